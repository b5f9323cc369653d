package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWriteFile_is_whole_or_not_there(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "x.json")
	broken := errors.New("broken off")
	err := writeFile(name, false, func(w io.Writer) error {
		_, err := io.WriteString(w, "half")
		return errors.Join(err, broken)
	})
	if !errors.Is(err, broken) || len(names(t, dir)) != 0 {
		t.Errorf("%v leaves %q", err, names(t, dir))
	}
	if err := writeFile(name, false, text("one")); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(name, false, text("two")); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "--force") || content(t, name) != "one" {
		t.Errorf("%v, the file holds %s", err, content(t, name))
	}
	if err := writeFile(name, true, text("three")); err != nil || content(t, name) != "three" {
		t.Errorf("%v, the file holds %s", err, content(t, name))
	}
	if about, err := os.Stat(name); err != nil || about.Mode().Perm() != 0o600 || len(names(t, dir)) != 1 {
		t.Errorf("%v %v, beside %q", about.Mode(), err, names(t, dir))
	}
	if err := writeFile(filepath.Join(dir, "no", "x"), false, text("x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestWriteFile_does_not_replace_what_came_meanwhile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "x.json")
	err := writeFile(name, false, func(io.Writer) error { return os.WriteFile(name, []byte("other"), 0o600) })
	if !errors.Is(err, fs.ErrExist) || content(t, name) != "other" || len(names(t, dir)) != 1 {
		t.Errorf("%v, the file holds %s, beside %q", err, content(t, name), names(t, dir))
	}
}

func TestWriteFile_follows_no_link(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(target, []byte("precious"), 0o600), os.Symlink(target, link)); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(link, false, text("x")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v", err)
	}
	if err := writeFile(link, true, text("new")); err != nil || content(t, target) != "precious" || content(t, link) != "new" {
		t.Errorf("%v, the target holds %s", err, content(t, target))
	}
}

func TestArchiveFileName_is_safe_and_tells_documents_apart(t *testing.T) {
	sum := []byte("0123456789")
	for id, want := range map[string]string{
		"trip":                   "trip-3031323334353637.jsonl",
		"../../etc/passwd":       "_._.._etc_passwd-3031323334353637.jsonl",
		"-rf":                    "_rf-3031323334353637.jsonl",
		".hidden":                "_hidden-3031323334353637.jsonl",
		`C:\x|y*?"<>`:            "C__x_y_____-3031323334353637.jsonl",
		strings.Repeat("x", 256): strings.Repeat("x", 60) + "-3031323334353637.jsonl",
	} {
		if got := archiveFileName(id, sum); got != want {
			t.Errorf("%s: got %s, want %s", id, got, want)
		}
	}
	if archiveFileName("a", sum) == archiveFileName("a", []byte("9123456789")) {
		t.Error("two documents have one name")
	}
}

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func content(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// names are those of a directory's files.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mnemo/memory"
)

func TestSessionsExport_and_import_give_the_same_session(t *testing.T) {
	k := newKeeper(t)
	k.keeps(t, "trip/2026", 48*time.Hour, "My name is Ada.", "Hello Ada!", "京都 👋\u2028", "はい。")
	edit := turnOf(t, time.Now(), "Again", "2!")
	edit.Supersedes = memory.Span{First: 2, Last: 2}
	edit.System = `[{"role":"system","content":"Be brief."}]`
	if _, err := k.store.Append(t.Context(), adas("trip/2026"), edit); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for _, name := range []string{"a.json", "a.jsonl"} {
		k.does(t, "export", "trip/2026", "-o", name)
		k.does(t, "delete", "--yes", "trip/2026")
		if out := k.does(t, "import", name); out != "trip/2026 is stored, with 3 turns.\n" {
			t.Errorf("got %s", out)
		}
		k.does(t, "export", "trip/2026", "-o", "again-"+name)
		if content(t, name) != content(t, "again-"+name) {
			t.Errorf("%s has changed:\n%s\n%s", name, content(t, name), content(t, "again-"+name))
		}
	}
	if got, _, _ := strings.Cut(content(t, "a.jsonl"), "\n"); !strings.HasPrefix(got, `{"format":"mnemo.session"`) || !strings.Contains(got, `"turns":3`) {
		t.Errorf("a.jsonl begins with %s", got)
	}
}

func TestSessionsExport_writes_every_format(t *testing.T) {
	k := newKeeper(t)
	k.keeps(t, "s", time.Hour, "Question, with comma", "Answer")
	t.Chdir(t.TempDir())
	for _, format := range []string{"json", "jsonl", "md", "txt", "csv"} {
		out := k.does(t, "export", "s", "--format", format)
		if !strings.Contains(out, "Question, with comma") {
			t.Errorf("%s:\n%s", format, out)
		}
		k.does(t, "export", "s", "--output", "x."+format)
		if content(t, "x."+format) != out {
			t.Errorf("x.%s is no %s", format, format)
		}
	}
	if out := k.does(t, "export", "s", "-o", "-"); !strings.HasPrefix(out, `{"format"`) {
		t.Errorf("got %s", out)
	}
	if out := k.does(t, "export", "s", "--format", "csv", "--bom"); !strings.HasPrefix(out, "\ufeff") {
		t.Errorf("got %q", out)
	}
	k.does(t, "export", "s", "--format", "md", "-o", "x.json", "--force")
	if content(t, "x.json") != content(t, "x.md") {
		t.Error("--format does not go before the file's name")
	}
	if _, _, err := k.sessions(t, "export", "s", "--format", "docx"); err == nil || !strings.Contains(err.Error(), "docx") {
		t.Errorf("got %v", err)
	}
}

func TestSessionsExport_leaves_a_file_alone(t *testing.T) {
	k := newKeeper(t)
	k.keeps(t, "s", time.Hour, "Question", "Answer")
	t.Chdir(t.TempDir())
	saveFile(t, "mine.json", "precious")
	if _, _, err := k.sessions(t, "export", "s", "-o", "mine.json"); err == nil || !strings.Contains(err.Error(), "--force") || content(t, "mine.json") != "precious" {
		t.Errorf("%v, the file holds %s", err, content(t, "mine.json"))
	}
	if _, _, err := k.sessions(t, "export", "nothing", "-o", "mine.json", "--force"); err == nil || content(t, "mine.json") != "precious" {
		t.Errorf("%v, the file holds %s", err, content(t, "mine.json"))
	}
	k.does(t, "export", "s", "-o", "mine.json", "--force")
	if !strings.Contains(content(t, "mine.json"), "Question") {
		t.Errorf("the file holds %s", content(t, "mine.json"))
	}
	if got := names(t, "."); len(got) != 1 {
		t.Errorf("left: %q", got)
	}
}

func TestSessionsImport_takes_what_it_can(t *testing.T) {
	k := newKeeper(t)
	k.keeps(t, "taken", time.Hour, "Question", "Answer")
	t.Chdir(t.TempDir())
	k.does(t, "export", "taken", "-o", "taken.jsonl")
	saveFile(t, "openai.json", `{"model":"gpt-4o","messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}]}`)
	saveFile(t, "bad.json", `{"what":1}`)
	if err := os.Mkdir("dir", 0o700); err != nil {
		t.Fatal(err)
	}
	_, errs, err := k.sessions(t, "import", "bad.json", "taken.jsonl", "absent.json", "dir", "openai.json")
	if err == nil || errs != "" {
		t.Fatalf("%v, %s", err, errs)
	}
	for i, want := range []string{"import bad.json: ", "import taken.jsonl: ", "import absent.json: ", "import dir: it is a directory"} {
		if lines := strings.Split(err.Error(), "\n"); len(lines) != 4 || !strings.HasPrefix(lines[i], want) {
			t.Errorf("%q is not line %d of\n%v", want, i, err)
		}
	}
	if out := k.does(t, "list", "--search", "Hi"); len(strings.Split(out, "\n")) != 3 {
		t.Errorf("got\n%s", out)
	}
	l := k.as(adaKey)
	l.stdin = strings.NewReader(`[{"role":"user","content":"From a pipe"}]`)
	out, _, err := l.run(t.Context(), t, "sessions", "import", "-", "--id", "piped")
	if err != nil || out != "piped is stored, with 1 turn.\n" || !k.has(t, "piped") {
		t.Errorf("%v, %s", err, out)
	}
	if out := k.does(t, "import", "taken.jsonl", "--id", "copy", "--json"); !strings.Contains(out, `"id": "copy"`) {
		t.Errorf("got %s", out)
	}
	if _, _, err := k.sessions(t, "import", "taken.jsonl", "openai.json", "--id", "x"); err == nil || !strings.Contains(err.Error(), "--id") {
		t.Errorf("got %v", err)
	}
}

func TestSessionsExport_to_where_nothing_can_be_written_says_so(t *testing.T) {
	k := newKeeper(t)
	k.keeps(t, "s", time.Hour, "Question", "Answer")
	if _, _, err := k.sessions(t, "export", "s", "-o", filepath.Join(t.TempDir(), "no", "x.json")); err == nil || !strings.Contains(err.Error(), "no such file or directory") {
		t.Errorf("got %v", err)
	}
}

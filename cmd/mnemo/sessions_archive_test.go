package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

const day = 24 * time.Hour

func TestSessionsArchive_moves_what_is_idle_and_import_restores_it(t *testing.T) {
	k := newKeeper(t)
	k.keeps(t, "old/1", 40*day, "My name is Ada.", "Hello Ada!", "京都", "はい。")
	k.keeps(t, "old/2", 31*day, "Other", "x")
	k.keeps(t, "young", 29*day, "Young", "x")
	before := k.does(t, "export", "old/1")
	dir := filepath.Join(t.TempDir(), "below", "archive")
	if out := k.archive(t, dir, "--dry-run"); out != "old/2: 1 turn\nold/1: 2 turns\n2 sessions would be archived.\n" || !k.has(t, "old/1") {
		t.Errorf("got %s", out)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("a dry run makes the directory: %v", err)
	}
	out := k.archive(t, dir)
	if !strings.HasSuffix(out, "2 sessions archived.\n") || k.has(t, "old/1") || k.has(t, "old/2") || !k.has(t, "young") {
		t.Errorf("got %s", out)
	}
	files := archives(t, dir)
	if len(files) != 2 || !strings.HasPrefix(files[0], "old_1-") || !strings.HasPrefix(files[1], "old_2-") {
		t.Fatalf("got %q", names(t, dir))
	}
	for name, mode := range map[string]os.FileMode{dir: 0o700 | os.ModeDir, filepath.Join(dir, files[0]): 0o600} {
		if about, err := os.Stat(name); err != nil || about.Mode() != mode {
			t.Errorf("%s: %v %v", name, about.Mode(), err)
		}
	}
	if out := k.archive(t, dir); out != "0 sessions archived.\n" {
		t.Errorf("got %s", out)
	}
	k.does(t, "import", filepath.Join(dir, files[0]), filepath.Join(dir, files[1]))
	if after := k.does(t, "export", "old/1"); after != before {
		t.Errorf("got\n%s\nwant\n%s", after, before)
	}
	// It is as idle as it was, and its file is there already.
	if out := k.archive(t, dir); !strings.HasSuffix(out, "2 sessions archived.\n") || !slices.Equal(archives(t, dir), files) {
		t.Errorf("%s, %q", out, names(t, dir))
	}
}

func TestSessionsArchive_keeps_a_session_that_changes_meanwhile(t *testing.T) {
	for when, path := range map[string]string{"while it is written": "GET /api/sessions/s/export", "before it is deleted": "DELETE /api/sessions/s"} {
		t.Run(when, func(t *testing.T) {
			k, dir := newKeeper(t), t.TempDir()
			k.keeps(t, "s", 40*day, "Question", "Answer")
			k.keeps(t, "t", 41*day, "Question", "Answer")
			k.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method+" "+r.URL.Path == path {
					k.goesOn(t, "s")
				}
				return false
			})
			out := k.archive(t, dir)
			if !strings.HasPrefix(out, "s: changed meanwhile, kept\n") || !strings.HasSuffix(out, "1 session archived, 1 changed meanwhile and kept.\n") {
				t.Errorf("got %s", out)
			}
			if files := archives(t, dir); !k.has(t, "s") || len(files) != 1 || !strings.HasPrefix(files[0], "t-") {
				t.Errorf("there is %v, left: %q", k.has(t, "s"), names(t, dir))
			}
		})
	}
}

func TestSessionsArchive_is_continued_where_it_was_interrupted(t *testing.T) {
	for _, at := range []string{"GET /api/sessions", "GET /api/sessions/s3", "GET /api/sessions/s3/export", "DELETE /api/sessions/s3"} {
		t.Run(at, func(t *testing.T) {
			k, dir := newKeeper(t), t.TempDir()
			for i := range 6 {
				k.keeps(t, fmt.Sprintf("s%d", i), time.Duration(40+i)*day, "Question", fmt.Sprint("Answer ", i))
			}
			ctx, cancel := context.WithCancel(t.Context())
			k.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method+" "+r.URL.Path == at {
					cancel()
				}
				return false
			})
			_, errs, err := k.as(adaKey).run(ctx, t, archiving(dir)...)
			if err == nil || !strings.Contains(err.Error(), "interrupted") || errs != "" {
				t.Errorf("%v, %s", err, errs)
			}
			k.safe(t, dir, 6)
			if deleting := strings.HasPrefix(at, http.MethodDelete); deleting == k.has(t, "s3") {
				t.Errorf("there is s3: %v; what was begun must be ended, and no more begun", !deleting)
			}
			k.intercept(nil)
			k.archive(t, dir)
			for i := range 6 {
				if k.has(t, fmt.Sprintf("s%d", i)) {
					t.Errorf("s%d is not archived", i)
				}
			}
			k.safe(t, dir, 6)
		})
	}
}

func TestSessionsArchive_cleans_up_after_a_run_that_was_killed(t *testing.T) {
	k, dir := newKeeper(t), t.TempDir()
	k.keeps(t, "s", 40*day, "Question", "Answer")
	// It was killed in the middle of a file, and before it deleted what it had written.
	half := filepath.Join(dir, unfinished+"123")
	if err := os.WriteFile(half, []byte(`{"format":`), 0o600); err != nil {
		t.Fatal(err)
	}
	k.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete {
			panic(http.ErrAbortHandler)
		}
		return false
	})
	if out, errs, err := k.tryArchive(t, dir); err == nil || !strings.Contains(out, "1 failed") || !strings.Contains(errs, "; "+dir) {
		t.Errorf("%v, %s, %s", err, out, errs)
	}
	files := archives(t, dir)
	if _, err := os.Stat(half); !os.IsNotExist(err) || len(files) != 1 || !k.has(t, "s") {
		t.Errorf("%v, left: %q", err, names(t, dir))
	}
	k.intercept(nil)
	if out := k.archive(t, dir); !strings.HasSuffix(out, "1 session archived.\n") || !slices.Equal(archives(t, dir), files) || k.has(t, "s") {
		t.Errorf("%s, left: %q", out, names(t, dir))
	}
}

func TestSessionsArchive_never_removes_the_only_copy(t *testing.T) {
	for name, deletion := range map[string]func(k *keeper, w http.ResponseWriter, r *http.Request) bool{
		"the deletion is done and its answer is lost": func(k *keeper, _ http.ResponseWriter, _ *http.Request) bool {
			k.forget()
			panic(http.ErrAbortHandler)
		},
		"somebody else deletes it": func(k *keeper, _ http.ResponseWriter, _ *http.Request) bool {
			k.forget()
			return false
		},
		"the server wrongly says that it changed": func(k *keeper, w http.ResponseWriter, _ *http.Request) bool {
			k.forget()
			w.WriteHeader(http.StatusPreconditionFailed)
			return true
		},
		"the server does not know": func(k *keeper, w http.ResponseWriter, _ *http.Request) bool {
			k.forget()
			w.WriteHeader(http.StatusGatewayTimeout)
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			k, dir := newKeeper(t), t.TempDir()
			k.keeps(t, "s0", 40*day, "Question", "Answer 0")
			k.intercept(func(w http.ResponseWriter, r *http.Request) bool {
				return r.Method == http.MethodDelete && deletion(k, w, r)
			})
			out, errs, err := k.tryArchive(t, dir)
			if !strings.Contains(out+errs, dir) {
				t.Errorf("it does not say where the session is: %v, %s, %s", err, out, errs)
			}
			k.safe(t, dir, 1)
		})
	}
}

func TestSessionsArchive_deletes_nothing_that_it_cannot_read_back(t *testing.T) {
	k, dir := newKeeper(t), t.TempDir()
	k.keeps(t, "s", 40*day, "Question", "Answer")
	for name, answer := range map[string]string{
		"no session":  "not JSON\n",
		"no turns":    `{"format":"mnemo.session","version":1,"id":"s","title":"","created":0,"updated":0,"system":null,"persona":"","summary":null,"turns":0}` + "\n",
		"half":        `{"format":"mnemo.session","version":1,"id":"s","title":"","created":0,"updated":0,"system":null,"persona":"","summary":null,"turns":1}` + "\n",
		"another one": `{"format":"mnemo.session","version":1,"id":"x","title":"","created":0,"updated":0,"system":null,"persona":"","summary":null,"turns":1}` + "\n" + `{"seq":1,"id":"a","at":0,"model":"m","messages":[{"tokens":1,"message":{"role":"user","content":"x"}}]}` + "\n",
	} {
		tag := ""
		k.intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/export") {
				if tag == "" {
					answer, err := http.NewRequestWithContext(r.Context(), http.MethodGet, k.url+"/api/sessions/s", nil)
					if err != nil {
						panic(err)
					}
					answer.Header.Set("Authorization", "Bearer "+adaKey)
					got, err := http.DefaultClient.Do(answer)
					if err != nil {
						panic(err)
					}
					tag = got.Header.Get("ETag")
					_ = got.Body.Close()
				}
				w.Header().Set("ETag", tag)
				fmt.Fprint(w, answer)
				return true
			}
			return false
		})
		out, errs, err := k.tryArchive(t, dir)
		if err == nil || !k.has(t, "s") || len(archives(t, dir)) != 0 || !strings.Contains(errs, "mnemo: archive s: ") {
			t.Errorf("%s: %v, %s, %s, left: %q", name, err, out, errs, names(t, dir))
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestSessionsArchive_leaves_a_damaged_file_and_its_session_alone(t *testing.T) {
	k, dir := newKeeper(t), t.TempDir()
	k.keeps(t, "s", 40*day, "Question", "Answer")
	k.archive(t, dir)
	name := filepath.Join(dir, archives(t, dir)[0])
	k.does(t, "import", name)
	if err := os.WriteFile(name, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, err := k.tryArchive(t, dir); err == nil || !strings.Contains(errs, "does not hold what was received") || !k.has(t, "s") || content(t, name) != "damaged" {
		t.Errorf("%v, %s", err, errs)
	}
}

func TestSessionsArchive_needs_a_directory_that_it_can_write(t *testing.T) {
	k, dir := newKeeper(t), t.TempDir()
	k.keeps(t, "s", 40*day, "Question", "Answer")
	asked := 0
	k.intercept(func(http.ResponseWriter, *http.Request) bool { asked++; return false })
	occupied := filepath.Join(dir, "file")
	if err := os.WriteFile(occupied, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	sealed := filepath.Join(dir, "sealed")
	if err := os.Mkdir(sealed, 0o500); err != nil {
		t.Fatal(err)
	}
	unwritable := []string{occupied, filepath.Join(occupied, "below")}
	if os.Getuid() != 0 { // whom no mode keeps out
		unwritable = append(unwritable, sealed)
	}
	for _, to := range unwritable {
		if out, _, err := k.tryArchive(t, to); err == nil || out != "" || asked != 0 || !k.has(t, "s") {
			t.Errorf("%s: %v, %s, after %d calls", to, err, out, asked)
		}
	}
	lock := flock.New(filepath.Join(dir, archiveLock))
	if held, err := lock.TryLock(); !held || err != nil {
		t.Fatal(err)
	}
	if _, _, err := k.tryArchive(t, dir); err == nil || !strings.Contains(err.Error(), "another mnemo") || !k.has(t, "s") {
		t.Errorf("got %v", err)
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	k.archive(t, dir)
}

func TestSessionsArchive_survives_a_directory_that_goes_away(t *testing.T) {
	k, dir := newKeeper(t), filepath.Join(t.TempDir(), "archive")
	k.keeps(t, "s", 40*day, "Question", "Answer")
	k.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/export") {
			if err := os.RemoveAll(dir); err != nil {
				t.Error(err)
			}
		}
		return false
	})
	if _, errs, err := k.tryArchive(t, dir); err == nil || !strings.Contains(errs, "no such file") || !k.has(t, "s") {
		t.Errorf("%v, %s", err, errs)
	}
}

func TestSessionsArchive_gives_up_where_everything_fails(t *testing.T) {
	k, dir := newKeeper(t), t.TempDir()
	for i := range 2 * maxFailures {
		k.keeps(t, fmt.Sprintf("s%d", i), 40*day, "Question", "Answer")
	}
	exports := 0
	k.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/export") {
			exports++
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		return false
	})
	_, errs, err := k.tryArchive(t, dir)
	if err == nil || !strings.Contains(err.Error(), "given up") || exports != maxFailures || strings.Count(errs, "\n") != maxFailures || len(archives(t, dir)) != 0 {
		t.Errorf("%v after %d, %s", err, exports, errs)
	}
}

func TestSessionsArchive_goes_on_after_a_session_that_fails(t *testing.T) {
	k, dir := newKeeper(t), t.TempDir()
	for i := range 3 {
		k.keeps(t, fmt.Sprintf("s%d", i), time.Duration(40+i)*day, "Question", "Answer")
	}
	k.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/api/sessions/s1/export" {
			panic(http.ErrAbortHandler)
		}
		return false
	})
	out, errs, err := k.tryArchive(t, dir, "--json")
	if err == nil || err.Error() != "archive: 1 session could not be archived" || errs != "" || k.has(t, "s0") || !k.has(t, "s1") || k.has(t, "s2") {
		t.Errorf("%v, %s", err, errs)
	}
	var outcomes []string
	for line := range strings.Lines(out) {
		var o outcome
		if err := json.Unmarshal([]byte(line), &o); err != nil || (o.Outcome == archived) != (o.File != "") || (o.Outcome == failed) != (o.Error != "") {
			t.Errorf("%v, %s", err, line)
		}
		outcomes = append(outcomes, o.ID+" "+o.Outcome)
	}
	if want := []string{"s0 archived", "s1 failed", "s2 archived"}; !slices.Equal(outcomes, want) {
		t.Errorf("got %q", outcomes)
	}
}

func TestSessionsArchive_of_an_age_that_cannot_be_read_says_so(t *testing.T) {
	k := newKeeper(t)
	k.keeps(t, "s", 40*day, "Question", "Answer")
	out, _, err := k.sessions(t, "archive", "--older-than", "a month", "--to", t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "idle_since") || !k.has(t, "s") {
		t.Errorf("%v, %s", err, out)
	}
	for _, args := range [][]string{{"archive"}, {"archive", "--to", "x"}, {"archive", "--older-than", "1d"}} {
		if _, _, err := k.sessions(t, args...); err == nil || !strings.HasPrefix(err.Error(), "usage: ") {
			t.Errorf("%q: got %v", args, err)
		}
	}
}

// archive archives what was idle for 30 days, which must succeed.
func (k *keeper) archive(t *testing.T, dir string, more ...string) string {
	t.Helper()
	out, errs, err := k.tryArchive(t, dir, more...)
	if err != nil || errs != "" {
		t.Fatalf("%v, %s, %s", err, out, errs)
	}
	return out
}

func (k *keeper) tryArchive(t *testing.T, dir string, more ...string) (stdout, stderr string, err error) {
	t.Helper()
	return k.as(adaKey).run(t.Context(), t, append(archiving(dir), more...)...)
}

func archiving(dir string) []string {
	return []string{"sessions", "archive", "--older-than", "30d", "--to", dir}
}

// forget deletes s0 in the store.
func (k *keeper) forget() {
	if err := k.store.Delete(context.Background(), adas("s0")); err != nil {
		panic(err)
	}
}

// safe checks that each of the sessions s0, s1, … is in the store or whole in a
// file, and that there is no half a file.
func (k *keeper) safe(t *testing.T, dir string, n int) {
	t.Helper()
	files := archives(t, dir)
	for i := range n {
		filed := slices.ContainsFunc(files, func(name string) bool {
			text := content(t, filepath.Join(dir, name))
			return strings.HasPrefix(name, fmt.Sprintf("s%d-", i)) && strings.Contains(text, fmt.Sprintf(`"Answer %d"`, i)) && strings.HasSuffix(text, "}\n")
		})
		if !filed && !k.has(t, fmt.Sprintf("s%d", i)) {
			t.Errorf("s%d is lost; there is %q", i, names(t, dir))
		}
	}
	if got := names(t, dir); len(got) != len(files)+1 { // and the lock
		t.Errorf("left: %q", got)
	}
}

// archives are the names of the archives in a directory.
func archives(t *testing.T, dir string) []string {
	t.Helper()
	return slices.DeleteFunc(names(t, dir), func(name string) bool { return !strings.HasSuffix(name, ".jsonl") })
}

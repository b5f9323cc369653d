package outbox

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mnemo/memory"
)

func TestSpool_takes_what_does_not_fit_and_gives_it_back_in_order(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, Options{SpoolDir: dir, MaxTurns: 8}, func(t *testing.T, r *rig) {
		r.store.down.Store(true)
		for i := 1; i <= 100; i++ {
			wantAdded(t, r, key, ErrQueued, fmt.Sprint(i))
			if i%3 == 0 {
				wantAdded(t, r, other, ErrQueued, fmt.Sprint(i))
			}
		}
		synctest.Wait()
		got := r.Status()
		if got.Queued > 8 || got.Queued+got.Spooled != 133 || got.SpoolBytes == 0 || got.SpoolBytes != sizeOf(t, dir) || got.Lost != 0 {
			t.Errorf("status %+v, %d bytes of files", got, sizeOf(t, dir))
		}
		r.store.down.Store(false)
		time.Sleep(time.Second)
		wantLog(t, r, key, numbers(1, 100)...)
		wantLog(t, r, other, slices.DeleteFunc(numbers(1, 100), func(s string) bool { n, _ := strconv.Atoi(s); return n%3 != 0 })...)
		if got := r.Status(); got != (Status{}) {
			t.Errorf("status %+v", got)
		}
		if files := filesOf(t, dir); len(files) != 0 {
			t.Errorf("files are left: %q", files)
		}
		if r.log.count("question") != 0 {
			t.Errorf("the log says\n%s", r.log)
		}
	})
}

func TestSpool_keeps_turns_over_a_restart(t *testing.T) {
	dir := t.TempDir()
	turn := exchange("2")
	turn.System, turn.Persona, turn.Partial = `[{"role":"system","content":"s"}]`, "teacher", true
	turn.Usage = memory.Usage{Input: 5, Output: 6, Cost: 7, Priced: true}
	turn.Messages[0].Tokens = 9
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{SpoolDir: dir})
		r.store.down.Store(true)
		wantAdded(t, r, key, ErrQueued, "1")
		if _, err := r.Append(t.Context(), key, turn); !errors.Is(err, ErrQueued) {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if r.log.count("for the next start") != 1 || r.log.count("lost") != 0 {
			t.Errorf("the log says\n%s", r.log)
		}
	})
	inBubble(t, Options{SpoolDir: dir}, func(t *testing.T, r *rig) {
		if _, err := r.Load(t.Context(), key, all); err != nil {
			t.Errorf("a load that writes the queued turns: %v", err)
		}
		wantAdded(t, r, key, nil, "3")
		wantLog(t, r, key, "1", "2", "3")
		got := r.shelf.sessions[key].Turns[1]
		if got.ID == "" || got.System != turn.System || got.Persona != turn.Persona || !got.Partial || got.Usage != turn.Usage ||
			!got.At.Equal(turn.At) || got.Messages[0].Tokens != 9 || got.Messages[0].Hash != turn.Messages[0].Hash {
			t.Errorf("the turn came back as %+v", got)
		}
		synctest.Wait()
		if files := filesOf(t, dir); len(files) != 0 {
			t.Errorf("files are left: %q", files)
		}
	})
}

func TestSpool_leaves_out_what_a_crash_half_wrote(t *testing.T) {
	dir := t.TempDir()
	leave(t, dir, key, "1", "2", "3", "4")
	path := filesOf(t, dir)[0]
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/4+40] ^= 1 // the second line
	if err := os.WriteFile(path, text[:len(text)-9], 0o600); err != nil {
		t.Fatal(err)
	}
	inBubble(t, Options{SpoolDir: dir}, func(t *testing.T, r *rig) {
		wantLog(t, r, key, "1", "3")
		synctest.Wait()
		if r.log.count("damaged") != 1 || r.Status() != (Status{Lost: 2}) || len(filesOf(t, dir)) != 0 {
			t.Errorf("status %+v, the log says\n%s", r.Status(), r.log)
		}
	})
}

func TestSpool_has_no_byte_of_a_deleted_session(t *testing.T) {
	dir := t.TempDir()
	secret := memory.Key{Tenant: "tenant", Session: "a-secret-name"}
	inBubble(t, Options{SpoolDir: dir, MaxTurns: 1}, func(t *testing.T, r *rig) {
		var stuck atomic.Bool
		r.store.onAppends(func(k memory.Key, _ *memory.Turn) fault {
			if stuck.Load() && k == other {
				return before
			}
			return none
		})
		for round := range 4 {
			r.store.down.Store(true)
			for i := range 5 {
				wantAdded(t, r, secret, ErrQueued, fmt.Sprint("a-secret-", i))
				wantAdded(t, r, other, ErrQueued, fmt.Sprint(round, i))
			}
			synctest.Wait()
			if round%2 == 1 { // deleted after it was stored, while its files are there still
				stuck.Store(true)
				r.store.down.Store(false)
				time.Sleep(time.Second)
				wantLogOf(t, r, secret, 5)
			}
			if holds(t, dir, "a-secret") != (round%2 == 0) {
				t.Fatalf("in round %d the files hold it: %v", round, round%2 != 0)
			}
			if err := r.Delete(t.Context(), secret); err != nil {
				t.Fatal(err)
			}
			if holds(t, dir, "a-secret") || !holds(t, dir, `"session":"other"`) {
				t.Fatalf("after round %d the files hold it still", round)
			}
			stuck.Store(false)
			r.store.down.Store(false)
			time.Sleep(time.Minute)
			wantLog(t, r, secret)
		}
		wantLogOf(t, r, other, 20)
		if got := r.Status(); got != (Status{}) {
			t.Errorf("status %+v", got)
		}
	})
}

func TestDelete_reaches_what_a_process_left_that_died(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, Options{SpoolDir: dir}, func(t *testing.T, r *rig) {
		leave(t, dir, key, "1", "2")
		leave(t, dir, other, "a")
		if err := r.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		wantLog(t, r, key)
		wantLog(t, r, other, "a")
		leave(t, dir, key, "3", "4")
		if err := r.DeleteAt(t.Context(), key, 0); !errors.Is(err, memory.ErrConflict) {
			t.Errorf("delete at: %v", err)
		}
		wantLog(t, r, key, "3", "4")
	})
}

func TestSpool_is_bounded(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, Options{SpoolDir: dir, MaxTurns: 4, MaxSpoolBytes: 4 << 10}, func(t *testing.T, r *rig) {
		r.store.down.Store(true)
		lost := 0
		for i := range 100 {
			if errors.Is(add(r, key, fmt.Sprint(i)), ErrLost) {
				lost++
			}
		}
		got := r.Status()
		if got.SpoolBytes > 4<<10 || got.SpoolBytes < 2<<10 || got.Queued != 4 || got.Spooled+got.Queued+lost != 100 || got.Lost != int64(lost) {
			t.Errorf("%d lost, status %+v", lost, got)
		}
		if r.log.count("cannot be spooled") != 1 {
			t.Errorf("the log says\n%s", r.log)
		}
		r.store.down.Store(false)
		time.Sleep(time.Minute)
		wantLog(t, r, key, numbers(0, 99-lost)...)
	})
}

func TestSpool_that_breaks_loses_nothing_that_fits_into_memory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	inBubble(t, Options{SpoolDir: dir, MaxTurns: 8}, func(t *testing.T, r *rig) {
		r.store.down.Store(true)
		wantAdded(t, r, key, ErrQueued, numbers(1, 20)...)
		synctest.Wait()
		spooled := r.Status().Spooled
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		wantAdded(t, r, key, ErrQueued, numbers(21, 30)...)
		synctest.Wait()
		if now := r.Status(); now.Spooled <= spooled || sizeOf(t, dir) == 0 {
			t.Errorf("the directory was removed, and then %+v", now)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir, nil, 0o600); err != nil { // nothing can be made there
			t.Fatal(err)
		}
		last := 30
		for add(r, key, fmt.Sprint(last+1)) != nil && r.Status().Lost == 0 {
			last++
		}
		if got := r.Status(); got.Queued != 8 || last == 30 {
			t.Errorf("after %d turns: %+v", last, got)
		}
		begin := time.Now()
		wantAdded(t, r, key, ErrLost, "x", "y", "z")
		if time.Since(begin) != 0 {
			t.Error("a broken disk makes callers wait")
		}
		if err := r.Delete(t.Context(), other); err == nil {
			t.Error("a spool that cannot be read was swept")
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		r.store.down.Store(false)
		time.Sleep(time.Minute)
		wantLog(t, r, key, numbers(1, last)...)
	})
}

func TestOpen_tells_that_the_directory_cannot_be_used(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Store: newShelf(), SpoolDir: file}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("open: %v", err)
	}
}

func TestSpool_leaves_the_files_of_a_process_that_lives(t *testing.T) {
	dir := t.TempDir()
	cmd, out := startProcess(t, dir, 400)
	r := newRig(t, Options{SpoolDir: dir, CloseTimeout: time.Millisecond})
	if got := r.Status(); got.Spooled != 0 {
		t.Errorf("files of a living process are taken over: %+v", got)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = out.ReadString(0)
	_ = cmd.Wait()
	inBubble(t, Options{SpoolDir: dir}, func(t *testing.T, r *rig) {
		time.Sleep(time.Second)
		session, err := r.Load(t.Context(), key, all)
		if err != nil || len(session.Turns) < 390 {
			t.Fatalf("%d turns of a killed process, %v", len(session.Turns), err)
		}
		wantLog(t, r, key, numbers(1, len(session.Turns))...)
		if files := filesOf(t, dir); len(files) != 0 {
			t.Errorf("files are left: %q", files)
		}
	})
}

func TestSpool_hands_over_files_of_several_processes_in_their_order(t *testing.T) {
	dir := t.TempDir()
	for i := 1; i <= 5; i++ {
		leave(t, dir, key, fmt.Sprint(i))
	}
	inBubble(t, Options{SpoolDir: dir}, func(t *testing.T, r *rig) { wantLog(t, r, key, numbers(1, 5)...) })
}

func TestRecord_comes_back_byte_for_byte(t *testing.T) {
	for _, content := range []string{`"plain"`, "\"a\",\n \"name\" :\r\n \"<&>\"", "\"\xff\xfe\"", `"\u0000 \ud83d"`, `"` + strings.Repeat("é€😀", 1000) + `"`} {
		m, err := memory.ParseMessage(`{"role":"user","content":` + content + `}`)
		if err != nil {
			t.Fatal(err)
		}
		turn := memory.Turn{ID: memory.NewTurnID(), At: time.UnixMilli(5), Supersedes: memory.Span{First: 1, Last: 2}, Messages: []memory.Message{m}, Persona: "<p>\n", System: "[\n]"}
		k := memory.Key{Tenant: `<"\>`, Session: `{"a":'&'}`}
		line := encodeRecord(k, &turn)
		if bytes.IndexByte(line, '\n') != len(line)-1 {
			t.Errorf("%.40q is not one line", line)
		}
		got, err := decodeRecord(k, line)
		if err != nil || got.Messages[0].Raw != m.Raw || got.ID != turn.ID || got.Supersedes != turn.Supersedes ||
			got.System != turn.System || got.Persona != turn.Persona || !got.Redelivered {
			t.Errorf("%.40q: %+v, %v", content, got, err)
		}
		if _, err := decodeRecord(key, line); !errors.Is(err, errRecord) {
			t.Errorf("another session's record: %v", err)
		}
		for _, i := range []int{0, 9, 20, len(line) / 2, len(line) - 2} {
			bad := bytes.Clone(line)
			bad[i] ^= 4
			if _, err := decodeRecord(k, bad); !errors.Is(err, errRecord) {
				t.Errorf("byte %d of %.40q is wrong: %v", i, line, err)
			}
		}
	}
}

func FuzzRecord(f *testing.F) {
	turn := exchange("x")
	f.Add(encodeRecord(key, &turn))
	f.Add([]byte(crcHead))
	f.Fuzz(func(t *testing.T, line []byte) {
		got, err := decodeRecord(key, line)
		if err != nil {
			return
		}
		if again, err := decodeRecord(key, encodeRecord(key, &got)); err != nil || len(again.Messages) != len(got.Messages) {
			t.Errorf("%q: %v", line, err)
		}
	})
}

// leave has an outbox leave turns of a session in the directory.
func leave(t *testing.T, dir string, key memory.Key, names ...string) {
	t.Helper()
	store := &flaky{FullStore: newShelf()}
	store.down.Store(true)
	o, err := Open(Options{Store: store, SpoolDir: dir, CloseTimeout: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer time.Sleep(time.Millisecond) // the clock of the bubble, if there is one: a later start
	wantAdded(t, o, key, ErrQueued, names...)
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
}

func wantLogOf(t *testing.T, s memory.Store, key memory.Key, n int) {
	t.Helper()
	session, err := s.Load(t.Context(), key, all)
	if err != nil || len(session.Turns) != n {
		t.Fatalf("%d turns, want %d, %v", len(session.Turns), n, err)
	}
}

func filesOf(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func sizeOf(t *testing.T, dir string) (size int64) {
	t.Helper()
	for _, path := range filesOf(t, dir) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	return size
}

// holds reports whether a file in the directory holds a text.
func holds(t *testing.T, dir, text string) bool {
	t.Helper()
	for _, path := range filesOf(t, dir) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte(text)) {
			return true
		}
	}
	return false
}

// The environment of a test binary that runs again as a process that spools.
const (
	dirEnv   = "OUTBOX_DIR"
	turnsEnv = "OUTBOX_TURNS"
)

// startProcess starts a process whose store is down, and waits until it has spooled
// turns; it runs until it is killed.
func startProcess(t *testing.T, dir string, turns int) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), dirEnv+"="+dir, turnsEnv+"="+strconv.Itoa(turns))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	if line, err := r.ReadString('\n'); err != nil || line != "spooled\n" {
		t.Fatalf("the process says %q, %v", line, err)
	}
	return cmd, r
}

func spoolAndWait() bool {
	dir := os.Getenv(dirEnv)
	if dir == "" {
		return false
	}
	turns, err := strconv.Atoi(os.Getenv(turnsEnv))
	if err != nil {
		panic(err)
	}
	store := &flaky{FullStore: newShelf()}
	store.down.Store(true)
	o, err := Open(Options{Store: store, SpoolDir: dir, MaxTurns: 10, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))})
	if err != nil {
		panic(err)
	}
	for i := range turns {
		if err := add(o, key, fmt.Sprint(i+1)); !errors.Is(err, ErrQueued) {
			panic(err)
		}
	}
	for o.Status().Spooled < turns-10 {
		_ = o.inSpool(context.Background(), func() error { return nil }) // the spool is done with what it had
	}
	fmt.Println("spooled")
	select {}
}

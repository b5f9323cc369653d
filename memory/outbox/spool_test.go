package outbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mnemo/internal/bubble"
	"mnemo/memory"
)

func TestSpool_takes_what_does_not_fit_and_gives_it_back_in_order(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, Options{SpoolDir: dir, MaxTurns: 8}, func(t *testing.T, r *rig) {
		r.store.down.Store(true)
		for i := 1; i <= 100; i++ {
			wantAdded(t, r, key, memory.ErrQueued, fmt.Sprint(i))
			if i%3 == 0 {
				wantAdded(t, r, other, memory.ErrQueued, fmt.Sprint(i))
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
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t, Options{SpoolDir: dir})
		r.store.down.Store(true)
		wantAdded(t, r, key, memory.ErrQueued, "1")
		if _, err := r.Append(t.Context(), key, turn); !errors.Is(err, memory.ErrQueued) {
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

func TestSpool_makes_room_for_a_turn_that_is_large(t *testing.T) {
	size := newEntry(key, exchange("1")).size
	inBubble(t, Options{SpoolDir: t.TempDir(), MaxBytes: 10 * size}, func(t *testing.T, r *rig) {
		r.store.down.Store(true)
		wantAdded(t, r, key, memory.ErrQueued, "1", "2", "3", "4", "5")
		huge := strings.Repeat("x", int(4*size))
		begin := time.Now()
		wantAdded(t, r, key, memory.ErrQueued, huge)
		if got := r.Status(); got.Queued == 6 || got.Queued+got.Spooled != 6 || time.Since(begin) != 0 {
			t.Errorf("after %v: %+v", time.Since(begin), got)
		}
		wantAdded(t, r, key, ErrLost, huge+huge+huge)
		r.store.down.Store(false)
		time.Sleep(time.Second)
		wantLog(t, r, key, "1", "2", "3", "4", "5", huge)
	})
}

func TestSpool_keeps_nothing_that_was_stored_while_it_was_being_spilled(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, Options{SpoolDir: dir, MaxTurns: 8}, func(t *testing.T, r *rig) {
		var takes atomic.Bool
		r.store.onAppends(func(memory.Key, *memory.Turn) fault {
			if takes.Load() {
				return none
			}
			return before
		})
		for round := range 20 {
			takes.Store(false)
			wantAdded(t, r, key, memory.ErrQueued, fmt.Sprint(8*round+1))
			synctest.Wait()
			wantAdded(t, r, key, memory.ErrQueued, numbers(8*round+2, 8*round+8)...)
			takes.Store(true) // and the spool is at work
			wantLog(t, r, key, numbers(1, 8*round+8)...)
		}
		synctest.Wait()
		if got := r.Status(); got != (Status{}) || len(filesOf(t, dir)) != 0 {
			t.Errorf("status %+v, files %q", got, filesOf(t, dir))
		}
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
		wantAdded(t, r, key, memory.ErrQueued, numbers(1, 20)...)
		synctest.Wait()
		spooled := r.Status().Spooled
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		wantAdded(t, r, key, memory.ErrQueued, numbers(21, 30)...)
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

func TestSpool_hands_over_files_of_several_processes_in_their_order(t *testing.T) {
	dir := t.TempDir()
	for i := 1; i <= 5; i++ {
		leave(t, dir, key, fmt.Sprint(i))
	}
	inBubble(t, Options{SpoolDir: dir}, func(t *testing.T, r *rig) { wantLog(t, r, key, numbers(1, 5)...) })
}

var starts atomic.Int64

// leave has an outbox leave turns of a session in the directory, as a process that
// started later than the one before.
func leave(t *testing.T, dir string, key memory.Key, names ...string) {
	t.Helper()
	start := time.Unix(starts.Add(1), 0)
	store := &flaky{Store: newShelf()}
	store.down.Store(true)
	o, err := Open(Options{Store: store, SpoolDir: dir, CloseTimeout: time.Millisecond, Now: func() time.Time { return start }})
	if err != nil {
		t.Fatal(err)
	}
	wantAdded(t, o, key, memory.ErrQueued, names...)
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

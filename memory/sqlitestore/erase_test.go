package sqlitestore

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"mnemo/memory"
)

// A forest is many sessions of all sizes in one file, in which two stores write. What
// one of them writes expires after an hour.
type forest struct {
	t      *testing.T
	path   string
	stores [2]*Store
	random *rand.Rand
	passed time.Duration
	trees  []*tree
}

// A tree is one life of a session. Its mark stands again and again in all that it has.
type tree struct {
	home    int // of the stores
	key     memory.Key
	mark    string
	seq     int64
	expires time.Duration // if it lives in the second store
}

var marks = regexp.MustCompile(`mark[0-9a-f]{20}`)

func TestDelete_leaves_nothing_in_the_files_whatever_was_moved_in_them(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	f := &forest{t: t, path: filepath.Join(t.TempDir(), "f.db"), random: rand.New(rand.NewPCG(seed, 0))}
	for i, ttl := range []time.Duration{0, time.Hour} {
		f.stores[i] = opened(t, Options{Path: f.path, TTL: ttl, SweepInterval: 24 * time.Hour, CacheBytes: -1, Relaxed: true, Now: f.now})
		defer f.stores[i].Close()
	}
	for round := range 60 {
		f.fell()
		if round%8 == 7 {
			f.winter()
		}
		for _, s := range f.stores {
			erased(t, s)
		}
		f.sow() // so that pages are written again
		f.grow()
		if round%3 == 2 {
			f.search()
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	f.inspect()
}

// Time passes between changes only.
func (f *forest) now() time.Time { return time.UnixMilli(1_700_000_000_000).Add(f.passed) }

// sow begins sessions.
func (f *forest) sow() {
	var wg sync.WaitGroup
	for range 6 + f.random.IntN(20) {
		tr := &tree{mark: fmt.Sprintf("mark%020x", f.random.Uint64()), home: f.random.IntN(2), expires: f.passed + time.Hour}
		tr.key = memory.Key{
			Tenant:  fmt.Sprint("tenant-", f.random.IntN(5)),
			Session: fmt.Sprintf("%x%s", f.random.Uint32(), strings.Repeat("-"+tr.mark, 1+f.random.IntN(2)*f.random.IntN(8))),
		}
		f.trees = append(f.trees, tr)
		if f.random.IntN(8) == 0 {
			snap := f.snapshot(tr)
			wg.Go(func() { f.must(f.stores[tr.home].Import(f.t.Context(), tr.key, snap)) })
		} else {
			wg.Go(f.adding(tr))
		}
	}
	wg.Wait()
}

// grow changes some sessions, at once.
func (f *forest) grow() {
	var wg sync.WaitGroup
	ctx := f.t.Context()
	f.random.Shuffle(len(f.trees), func(i, j int) { f.trees[i], f.trees[j] = f.trees[j], f.trees[i] })
	for _, tr := range f.trees[:f.random.IntN(min(len(f.trees), 30))] {
		s := f.stores[tr.home]
		switch f.random.IntN(8) {
		case 0, 1:
			sum := &memory.Summary{Text: f.text(tr), UpTo: 1}
			wg.Go(func() {
				held, err := s.Load(ctx, tr.key, memory.Need{})
				f.must(err)
				f.must(s.Compact(ctx, tr.key, held.Revision, sum))
			})
		case 2:
			wg.Go(func() {
				_, err := s.Lease(ctx, tr.key, "holder "+tr.mark, time.Hour)
				f.must(err)
			})
		default:
			wg.Go(f.adding(tr))
		}
	}
	wg.Wait()
}

// fell deletes some sessions, at once.
func (f *forest) fell() {
	var wg sync.WaitGroup
	for range f.random.IntN(1 + len(f.trees)/6) {
		tr := f.trees[len(f.trees)-1]
		f.trees = f.trees[:len(f.trees)-1]
		s := f.stores[f.random.IntN(2)]
		if f.random.IntN(2) == 0 {
			wg.Go(func() { f.must(s.Delete(f.t.Context(), tr.key)) })
		} else {
			wg.Go(func() { f.must(s.DeleteAt(f.t.Context(), tr.key, tr.seq)) })
		}
	}
	wg.Wait()
}

// winter lets time pass and sessions expire.
func (f *forest) winter() {
	f.passed += time.Duration(f.random.IntN(50)) * time.Minute
	var left []*tree
	for _, tr := range f.trees {
		if tr.home == 0 || tr.expires > f.passed {
			left = append(left, tr)
		}
	}
	f.trees = left
	f.must(f.stores[f.random.IntN(2)].sweep(f.t.Context()))
}

// search looks for marks of sessions that are gone in every byte of the files.
func (f *forest) search() {
	f.t.Helper()
	alive, found := map[string]bool{}, map[string]bool{}
	for _, tr := range f.trees {
		alive[tr.mark] = true
	}
	for _, name := range []string{f.path, f.path + "-wal"} {
		b, err := os.ReadFile(name)
		f.must(err)
		for _, mark := range marks.FindAllString(string(b), -1) {
			if !alive[mark] && !found[name+mark] {
				f.t.Errorf("%s is in %s", mark, filepath.Base(name))
			}
			found[name+mark], found[mark] = true, true
		}
	}
	for mark := range alive {
		if !found[mark] {
			f.t.Errorf("%s is in no file", mark)
		}
	}
}

// inspect finds what is alive whole, and the file well-formed.
func (f *forest) inspect() {
	for _, tr := range f.trees {
		turns, err := f.stores[1-tr.home].Turns(f.t.Context(), tr.key, 0, 1000)
		if err != nil || int64(len(turns)) != tr.seq {
			f.t.Errorf("%d turns of %d, %v", len(turns), tr.seq, err)
		}
		for i := range turns {
			if said := turns[i].Messages[1].Raw; len(marks.FindAllString(said, -1)) != strings.Count(said, tr.mark) {
				f.t.Errorf("turn %d of %s says %.100s", i+1, tr.mark, said)
			}
		}
	}
	f.must(f.stores[0].write(f.t.Context(), func(w *writer) error {
		return sqlitex.ExecuteTransient(w.conn, "PRAGMA integrity_check", &sqlitex.ExecOptions{ResultFunc: func(q *sqlite.Stmt) error {
			if said := q.ColumnText(0); said != "ok" {
				f.t.Error(said)
			}
			return nil
		}})
	}))
}

// adding appends a turn when it is called.
func (f *forest) adding(tr *tree) func() {
	turn := f.turn(tr)
	return func() {
		seq, err := f.stores[tr.home].Append(f.t.Context(), tr.key, turn)
		f.must(err)
		tr.seq, tr.expires = seq, f.passed+time.Hour
	}
}

func (f *forest) turn(tr *tree) memory.Turn {
	turn := exchange(f.t, f.text(tr))
	turn.At = f.now()
	if f.random.IntN(4) == 0 {
		turn.System, turn.Persona = `["`+f.text(tr)+`"]`, tr.mark
	}
	if tr.seq > 0 && f.random.IntN(4) == 0 {
		first := 1 + f.random.Int64N(tr.seq)
		turn.Supersedes = memory.Span{First: first, Last: first + f.random.Int64N(tr.seq-first+1)}
	}
	return turn
}

func (f *forest) snapshot(tr *tree) *memory.Snapshot {
	snap := &memory.Snapshot{Title: tr.mark, Created: f.now(), Updated: f.now(), System: f.text(tr)}
	for n := 1 + f.random.Int64N(60); tr.seq < n; {
		turn := f.turn(tr)
		tr.seq++
		turn.Seq = tr.seq
		snap.Turns = append(snap.Turns, turn)
	}
	f.must(snap.Settle())
	return snap
}

// text is of any order of magnitude.
func (f *forest) text(tr *tree) string {
	most := []int{1, 3, 10, 10, 30, 30, 100, 200, 1000}[f.random.IntN(9)]
	if f.random.IntN(400) == 0 {
		most = 50_000
	}
	return strings.Repeat(tr.mark+" ", 1+f.random.IntN(most))
}

func (f *forest) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Error(err)
	}
}

// erased returns when the store has emptied the write-ahead log.
func erased(t *testing.T, s *Store) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; {
		erasing := true
		if err := s.write(t.Context(), func(w *writer) error { erasing = w.erasing; return nil }); err != nil {
			t.Fatal(err)
		}
		if !erasing {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the log is not emptied")
		}
	}
}

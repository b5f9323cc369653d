package outbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mnemo/memory"
)

var (
	errOutage = errors.New("connection refused")
	key       = memory.Key{Tenant: "tenant", Session: "session"}
	other     = memory.Key{Tenant: "tenant", Session: "other"}
	all       = memory.Need{Groups: 1 << 40}
)

// A shelf is a store in memory, as trivial as can be.
type shelf struct {
	memory.FullStore // what is not here is not used

	mu       sync.Mutex
	sessions map[memory.Key]memory.Session
	limit    int // turns of a session; 0: none
	closed   bool
}

func newShelf() *shelf { return &shelf{sessions: map[memory.Key]memory.Session{}} }

func (s *shelf) Load(ctx context.Context, key memory.Key, _ memory.Need) (memory.Session, error) {
	if err := errors.Join(key.Check(), ctx.Err()); err != nil {
		return memory.Session{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[key], nil
}

func (s *shelf) Append(ctx context.Context, key memory.Key, t memory.Turn) (int64, error) {
	if err := errors.Join(key.Check(), ctx.Err()); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	had := s.sessions[key]
	if t.Redelivered {
		for i := range had.Turns {
			if had.Turns[i].ID == t.ID {
				return had.Turns[i].Seq, nil
			}
		}
	}
	if s.limit > 0 && len(had.Turns) >= s.limit {
		return 0, memory.ErrSessionFull
	}
	had.Seq++
	t.Seq = had.Seq
	had.Turns = append(had.Turns, t)
	s.sessions[key] = had
	return had.Seq, nil
}

func (s *shelf) Delete(_ context.Context, key memory.Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, key)
	return nil
}

func (s *shelf) DeleteAt(_ context.Context, key memory.Key, seq int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[key].Seq != seq {
		return memory.ErrConflict
	}
	delete(s.sessions, key)
	return nil
}

func (s *shelf) Import(_ context.Context, key memory.Key, snapshot *memory.Snapshot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[key] = memory.Session{Seq: int64(len(snapshot.Turns)), Turns: snapshot.Turns}
	return nil
}

func (s *shelf) Ping(ctx context.Context) error { return ctx.Err() }

func (s *shelf) Close() error {
	s.closed = true
	return nil
}

// A fault is what goes wrong in one use of a store.
type fault int

const (
	none   fault = iota
	before       // an error, and nothing was done
	after        // an error, though it was done
	hang         // nothing until the context ends; nothing was done
	late         // the same, though it was done
)

// A flaky store goes wrong as it is told.
type flaky struct {
	memory.FullStore
	down    atomic.Bool // all of it
	appends atomic.Pointer[func(key memory.Key, t *memory.Turn) fault]
	loads   atomic.Pointer[func() fault]
	pings   atomic.Pointer[func() fault]
	pinged  atomic.Int64
	loaded  atomic.Int64
}

func (f *flaky) onAppends(fails func(key memory.Key, t *memory.Turn) fault) {
	f.appends.Store(pointer(fails, fails == nil))
}
func (f *flaky) onLoads(fails func() fault) { f.loads.Store(pointer(fails, fails == nil)) }
func (f *flaky) onPings(fails func() fault) { f.pings.Store(pointer(fails, fails == nil)) }

func pointer[T any](f T, none bool) *T {
	if none {
		return nil
	}
	return &f
}

func (f *flaky) Append(ctx context.Context, key memory.Key, t memory.Turn) (seq int64, err error) {
	kind := none
	if fails := f.appends.Load(); fails != nil {
		kind = (*fails)(key, &t)
	}
	err = f.do(ctx, kind, func() error {
		seq, err = f.FullStore.Append(context.WithoutCancel(ctx), key, t)
		return err
	})
	return seq, err
}

func (f *flaky) Load(ctx context.Context, key memory.Key, need memory.Need) (s memory.Session, err error) {
	f.loaded.Add(1)
	kind := none
	if fails := f.loads.Load(); fails != nil {
		kind = (*fails)()
	}
	err = f.do(ctx, kind, func() error {
		s, err = f.FullStore.Load(ctx, key, need)
		return err
	})
	return s, err
}

func (f *flaky) Ping(ctx context.Context) error {
	f.pinged.Add(1)
	kind := none
	if fails := f.pings.Load(); fails != nil {
		kind = (*fails)()
	}
	return f.do(ctx, kind, func() error { return f.FullStore.Ping(ctx) })
}

func (f *flaky) do(ctx context.Context, kind fault, use func() error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case f.down.Load() || kind == before:
		return errOutage
	case kind == hang:
		<-ctx.Done()
		return ctx.Err()
	}
	if err := use(); err != nil || kind == none {
		return err
	}
	if kind == late {
		<-ctx.Done()
		return ctx.Err()
	}
	return errOutage
}

// said collects what is logged.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) count(part string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(s.text.String(), part)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// rig is an outbox before a flaky shelf.
type rig struct {
	*Outbox
	shelf *shelf
	store *flaky
	log   *said
}

func newRig(t *testing.T, opts Options) *rig {
	t.Helper()
	r := &rig{shelf: newShelf(), log: &said{}}
	r.store = &flaky{FullStore: r.shelf}
	opts.Store, opts.Log = r.store, slog.New(slog.NewTextHandler(r.log, nil))
	var err error
	if r.Outbox, err = Open(opts); err != nil {
		t.Fatal(err)
	}
	return r
}

// inBubble runs a test with an outbox in a bubble of its own time.
func inBubble(t *testing.T, opts Options, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, opts)
		defer func() {
			if err := r.Close(); err != nil || !r.shelf.closed {
				t.Errorf("close: %v, the store is closed: %v", err, r.shelf.closed)
			}
		}()
		test(t, r)
	})
}

func exchange(name string) memory.Turn {
	turn := memory.Turn{At: time.UnixMilli(1_700_000_000_123), Model: "gpt-4o"}
	for _, raw := range []string{`{"role":"user","content":"question ` + name + `"}`, `{"role":"assistant","content":"answer ` + name + `"}`} {
		m, err := memory.ParseMessage(raw)
		if err != nil {
			panic(err)
		}
		turn.Messages = append(turn.Messages, m)
	}
	return turn
}

func nameOf(t *memory.Turn) string {
	return strings.TrimSuffix(strings.TrimPrefix(t.Messages[0].Raw, `{"role":"user","content":"question `), `"}`)
}

// add appends and returns the error.
func add(s memory.Store, key memory.Key, name string) error {
	_, err := s.Append(context.Background(), key, exchange(name))
	return err
}

func wantAdded(t *testing.T, s memory.Store, key memory.Key, want error, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := add(s, key, name); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Fatalf("append %s: %v, want %v", name, err, want)
		}
	}
}

// wantLog checks the names of a session's turns in the store itself.
func wantLog(t *testing.T, s memory.Store, key memory.Key, want ...string) {
	t.Helper()
	session, err := s.Load(context.Background(), key, all)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	got := make([]string, len(session.Turns))
	for i := range session.Turns {
		got[i] = nameOf(&session.Turns[i])
	}
	if !slices.Equal(got, want) {
		t.Fatalf("the log is %q, want %q", got, want)
	}
}

func numbers(from, to int) []string {
	var names []string
	for i := from; i <= to; i++ {
		names = append(names, fmt.Sprint(i))
	}
	return names
}

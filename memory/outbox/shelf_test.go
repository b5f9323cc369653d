package outbox

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"mnemo/memory"
)

// A shelf is a store in memory, as trivial as can be.
type shelf struct {
	memory.Store // what is not here is not used

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
	memory.Store
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
		seq, err = f.Store.Append(context.WithoutCancel(ctx), key, t)
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
		s, err = f.Store.Load(ctx, key, need)
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
	return f.do(ctx, kind, func() error { return f.Store.Ping(ctx) })
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

// Package outbox keeps the turns of a store that cannot be reached, and writes
// them, in order and once, when it is back.
//
// An Outbox stands before a store. While the store answers, it costs a call one
// atomic load. When an append fails, the turn is queued and the store counts as
// down: further turns are queued at once, loads fail at once, and the store is
// asked again and again whether it is back. Then the queued turns are written,
// those of each session in their order. A session with queued turns is not loaded:
// a prompt without its last turns would be wrong.
//
// The queue is bounded. What does not fit is spilled to files, the oldest first, if
// there is a directory for them, or is lost. The files of a process that died are
// taken over by the next one.
package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"mnemo/memory"
)

// Defaults of Options.
const (
	DefaultAppendTimeout = 2 * time.Second
	DefaultMaxTurns      = 10_000
	DefaultMaxBytes      = 64 << 20
	DefaultMaxSpoolBytes = 1 << 30
	DefaultProbeInterval = 250 * time.Millisecond
	DefaultCloseTimeout  = 5 * time.Second
)

// Errors of an Outbox. Each stands with its cause where there is one.
var (
	// ErrLost means that a turn is neither stored nor queued: the queue is full.
	ErrLost = errors.New("the turn is lost, the queue is full")
	// ErrClosed is returned by an outbox that was closed.
	ErrClosed = errors.New("the outbox is closed")
)

// Options of an Outbox. Only Store is needed.
type Options struct {
	Store         memory.Store     // closed with the outbox
	AppendTimeout time.Duration    // of one append or ping; 0: DefaultAppendTimeout
	MaxTurns      int              // queued in memory; 0: DefaultMaxTurns
	MaxBytes      int64            // of queued turns in memory; 0: DefaultMaxBytes
	SpoolDir      string           // for what does not fit; created if absent; "": none
	MaxSpoolBytes int64            // of this process's files in it; 0: DefaultMaxSpoolBytes
	ProbeInterval time.Duration    // between attempts while the store is down; 0: DefaultProbeInterval
	CloseTimeout  time.Duration    // for what is queued at the end; 0: DefaultCloseTimeout
	Log           *slog.Logger     // nil: nothing is logged; nothing of a turn ever is
	Now           func() time.Time // for Status.Since and names of files; nil: time.Now
}

// Status is what an outbox holds at a moment.
type Status struct {
	Down        bool
	Since       time.Time // when the store went down; zero while it is up
	Queued      int       // turns in memory
	QueuedBytes int64     // that they take
	Spooled     int       // turns in files
	SpoolBytes  int64     // that the files take
	Lost        int64     // turns that were given up since Open, refused ones included
}

// An Outbox is a memory.Store that keeps what another one cannot take. What is
// not said below is done by that one.
type Outbox struct {
	store
	opts  Options
	spool *spool // nil: there is none

	// trouble is false while the store is up, no turn is queued and the last load
	// succeeded. Everything below matters only while it is true.
	trouble atomic.Bool

	mu sync.Mutex // of what follows; a method whose comment says "locked" is called with it
	queue
	health
	spilling
	lost    burst
	emptied chan struct{} // closed once the outbox is closed and nothing is queued

	alarm *time.Timer // when the store or the queue is to be looked at
	ctx   context.Context
	stop  context.CancelFunc // ends ctx, and with it all that works in the background
	work  sync.WaitGroup
	close func() error
}

var _ memory.Store = (*Outbox)(nil)

// Open takes over what processes that died left in the spool directory, and begins
// to write it. It fails only if that directory cannot be used.
func Open(opts Options) (*Outbox, error) {
	opts.AppendTimeout = cmp.Or(max(opts.AppendTimeout, 0), DefaultAppendTimeout)
	opts.MaxTurns = cmp.Or(max(opts.MaxTurns, 0), DefaultMaxTurns)
	opts.MaxBytes = cmp.Or(max(opts.MaxBytes, 0), DefaultMaxBytes)
	opts.MaxSpoolBytes = cmp.Or(max(opts.MaxSpoolBytes, 0), DefaultMaxSpoolBytes)
	opts.ProbeInterval = cmp.Or(max(opts.ProbeInterval, 0), DefaultProbeInterval)
	opts.CloseTimeout = cmp.Or(max(opts.CloseTimeout, 0), DefaultCloseTimeout)
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	o := &Outbox{store: opts.Store, opts: opts, queue: newQueue(), spilling: newSpilling(), emptied: make(chan struct{})}
	o.alarm = time.NewTimer(opts.ProbeInterval)
	o.alarm.Stop()
	o.ctx, o.stop = context.WithCancel(context.Background())
	if opts.SpoolDir != "" {
		spool, err := newSpool(opts.SpoolDir, opts.MaxSpoolBytes, opts.Now())
		if err != nil {
			o.stop()
			return nil, fmt.Errorf("open spool: %w", err)
		}
		o.spool = spool
		_ = o.adopt() // it is logged, and tried again
		o.work.Go(o.serveSpool)
	}
	o.work.Go(o.tend)
	o.close = sync.OnceValue(o.shut)
	return o, nil
}

// Load implements memory.Store. It returns memory.ErrDown at once while the store is down.
// If turns of the session are queued, they are written first; where that does not
// succeed before the context ends, it returns memory.ErrDown too.
func (o *Outbox) Load(ctx context.Context, key memory.Key, need memory.Need) (memory.Session, error) {
	uneasy := o.trouble.Load()
	if uneasy {
		if err := o.settled(ctx, key); err != nil {
			return memory.Session{}, fmt.Errorf("load session: %w", err)
		}
	}
	session, err := o.store.Load(ctx, key, need)
	if err != nil {
		o.loadFailed(ctx, err)
	} else if uneasy {
		o.loaded()
	}
	return session, err
}

// Append implements memory.Store. If the store does not take the turn, and neither
// refuses it for good nor was stopped by the caller, it returns memory.ErrQueued, or
// ErrLost. A turn without an ID gets one. A context with a deadline nearer than
// Options.AppendTimeout is passed on as it is, which saves making one.
func (o *Outbox) Append(ctx context.Context, key memory.Key, t memory.Turn) (int64, error) {
	if t.ID == "" {
		t.ID = memory.NewTurnID()
	}
	uneasy := o.trouble.Load()
	if uneasy {
		if done, err := o.detour(ctx, key, t); done {
			return 0, err
		}
	}
	bounded, cancel := o.bounded(ctx)
	seq, err := o.apply(bounded, key, t)
	cancel()
	switch {
	case err != nil:
		return 0, o.appendFailed(ctx, key, t, err)
	case uneasy:
		o.appended()
	}
	return seq, nil
}

// Delete implements memory.Store. Queued turns of the session are dropped first, and
// what the spool's files hold of it is overwritten.
func (o *Outbox) Delete(ctx context.Context, key memory.Key) error {
	if err := key.Check(); err != nil {
		return err
	}
	err := o.sweep(ctx)
	dropped, derr := o.drop(ctx, key)
	if derr != nil {
		return fmt.Errorf("delete session: drop queued turns: %w", derr)
	}
	if dropped {
		err = o.sweep(ctx)
	}
	if err != nil {
		err = fmt.Errorf("delete session: sweep the spool: %w", err)
	}
	return errors.Join(err, o.store.Delete(ctx, key))
}

// DeleteAt implements memory.Store. While turns of the session are queued, seq
// is not its last one: it returns ErrConflict.
func (o *Outbox) DeleteAt(ctx context.Context, key memory.Key, seq int64) error {
	if err := key.Check(); err != nil {
		return err
	}
	if err := o.sweep(ctx); err != nil {
		return fmt.Errorf("delete session: sweep the spool: %w", err)
	}
	if o.holds(key) {
		return fmt.Errorf("delete session: %w: turns of it are queued", memory.ErrConflict)
	}
	return o.store.DeleteAt(ctx, key, seq)
}

// Import implements memory.Store. While turns of the session are queued, it
// exists: it returns ErrExists.
func (o *Outbox) Import(ctx context.Context, key memory.Key, s *memory.Snapshot) error {
	if o.holds(key) {
		return fmt.Errorf("import session: %w: turns of it are queued", memory.ErrExists)
	}
	return o.store.Import(ctx, key, s)
}

// Ping implements memory.Store. While the store counts as down, it returns ErrDown
// though the store may answer again: calls are still served without it.
func (o *Outbox) Ping(ctx context.Context) error {
	if err := o.store.Ping(ctx); err != nil {
		return err
	}
	if o.trouble.Load() && o.Status().Down {
		return fmt.Errorf("ping store: %w", memory.ErrDown)
	}
	return nil
}

// Status tells what the outbox holds.
func (o *Outbox) Status() Status {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := Status{
		Down: o.down, Since: o.since,
		Queued: o.turns(), QueuedBytes: o.bytes, Spooled: o.spooled, Lost: o.lost.total,
	}
	if o.spool != nil {
		s.SpoolBytes = o.spool.bytes.Load()
	}
	return s
}

// Close tries to write what is queued, for Options.CloseTimeout at most, spills what
// is left, or loses it and says how much, and closes the store. Closing again does
// nothing.
func (o *Outbox) Close() error { return o.close() }

// Private

// store is embedded, so that what an Outbox does not touch is done by it.
type store = memory.Store

func nothing() {}

func (o *Outbox) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if at, ok := ctx.Deadline(); ok && time.Until(at) <= o.opts.AppendTimeout {
		return ctx, nothing
	}
	return context.WithTimeout(ctx, o.opts.AppendTimeout)
}

func (o *Outbox) holds(key memory.Key) bool {
	if !o.trouble.Load() {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lines[key] != nil
}

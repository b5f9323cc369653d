package ledger

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults of WriterOptions.
const (
	DefaultInterval = time.Second
	DefaultBatch    = 512
	DefaultQueue    = 16 << 10
	DefaultTimeout  = 30 * time.Second
)

const (
	rollInterval = time.Hour
	maxPause     = 30 * time.Second // between attempts to write
)

// WriterOptions are the options of a Writer. Only Store is needed.
type WriterOptions struct {
	Store    Store
	Interval time.Duration // how long an entry waits at most; 0: DefaultInterval
	Batch    int           // entries that are written at once, and so soon as there are so many; 0: DefaultBatch
	Queue    int           // entries that wait at most; 0: DefaultQueue
	Timeout  time.Duration // of one batch; 0: DefaultTimeout
	Keep     time.Duration // calls older than that are rolled up to days, once an hour; 0: never
	Log      *slog.Logger  // nil discards
	OnDrop   func(n int64) // told of dropped entries, from one goroutine; nil: nobody is
}

// A Writer brings entries to a store: in batches, each Interval or when there is a
// batch, and never on the time of who adds them. If the store does not take a batch,
// it is tried again, later and later, up to every 30 s, while the queue holds what
// comes. What does not fit is dropped and counted. A crash of the process loses what
// waits: the entries of the last Interval, and those of a batch under way.
type Writer struct {
	opts WriterOptions
	id   uint64 // of this writer, the first half of its UIDs

	full    chan struct{} // a batch waits
	stop    chan struct{}
	done    chan struct{}
	rolling sync.WaitGroup
	ctx     context.Context // ends with the patience of Close
	cancel  context.CancelFunc
	close   sync.Once

	dropped atomic.Int64
	writing chan struct{} // held while the store is written

	mu     sync.Mutex
	ring   []*Entry // the queue, from head
	head   int
	queued int
	last   uint64 // the second half of the last UID
	closed bool
}

// NewWriter starts a writer. It must be closed.
func NewWriter(opts WriterOptions) *Writer {
	opts.Interval = cmp.Or(opts.Interval, DefaultInterval)
	opts.Batch = cmp.Or(opts.Batch, DefaultBatch)
	opts.Queue = cmp.Or(opts.Queue, DefaultQueue)
	opts.Timeout = cmp.Or(opts.Timeout, DefaultTimeout)
	opts.Batch = min(opts.Batch, opts.Queue)
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.OnDrop == nil {
		opts.OnDrop = func(int64) {}
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	w := &Writer{
		opts: opts, id: binary.BigEndian.Uint64(id[:]),
		full: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}), writing: make(chan struct{}, 1),
		ring: make([]*Entry, opts.Queue),
	}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	go w.run()
	if opts.Keep > 0 {
		w.rolling.Go(w.rollRegularly)
	}
	return w
}

// Add takes an entry over and gives it a UID. It never waits; if the queue is full,
// or the writer closed, the entry is dropped.
func (w *Writer) Add(e *Entry) {
	w.mu.Lock()
	if w.closed || w.queued == len(w.ring) {
		w.mu.Unlock()
		w.dropped.Add(1)
		return
	}
	w.last++
	binary.BigEndian.PutUint64(e.UID[:8], w.id)
	binary.BigEndian.PutUint64(e.UID[8:], w.last)
	at := w.head + w.queued
	if at >= len(w.ring) {
		at -= len(w.ring)
	}
	w.ring[at] = e
	w.queued++
	full := w.queued == w.opts.Batch
	w.mu.Unlock()
	if full {
		select {
		case w.full <- struct{}{}:
		default:
		}
	}
}

// Dropped is how many entries were dropped since the start.
func (w *Writer) Dropped() int64 { return w.dropped.Load() }

// Written is how many entries were brought to the store since the start.
func (w *Writer) Written() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return int64(w.last) - int64(w.queued) //nolint:gosec // it counts up from 0
}

// Queued is how many entries wait.
func (w *Writer) Queued() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.queued
}

// Forget takes a session's id out of the entries that wait and of those in the
// store. Queues of other processes, and calls that are still under way, it does not
// know of.
func (w *Writer) Forget(ctx context.Context, tenant, session string) error {
	select {
	case w.writing <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("forget session in the ledger: %w", ctx.Err())
	}
	defer func() { <-w.writing }()
	w.mu.Lock()
	for i := range w.queued {
		if e := w.ring[(w.head+i)%len(w.ring)]; e.Tenant == tenant && e.Session == session {
			e.Session = ""
		}
	}
	w.mu.Unlock()
	return w.opts.Store.Forget(ctx, tenant, session)
}

// Close writes what waits, until ctx ends; what is left then is dropped, and the
// error says how much. The store stays open.
func (w *Writer) Close(ctx context.Context) error {
	w.close.Do(func() {
		w.mu.Lock()
		w.closed = true
		w.mu.Unlock()
		close(w.stop)
	})
	giveUp := context.AfterFunc(ctx, w.cancel)
	defer giveUp()
	<-w.done
	w.cancel()
	w.rolling.Wait()
	if left := w.Queued(); left > 0 {
		return fmt.Errorf("close ledger: %d entries were not written", left)
	}
	return nil
}

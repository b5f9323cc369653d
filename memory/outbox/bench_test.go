package outbox

import (
	"context"
	"testing"
	"time"

	"mnemo/memory"
)

// A sink is the least store there is: what it costs is the call.
type sink struct {
	memory.Store
	session memory.Session
}

func (s *sink) Load(context.Context, memory.Key, memory.Need) (memory.Session, error) {
	return s.session, nil
}
func (s *sink) Append(context.Context, memory.Key, memory.Turn) (int64, error) { return 1, nil }
func (s *sink) Close() error                                                   { return nil }

func TestOutbox_allocates_nothing_while_the_store_answers(t *testing.T) {
	o, err := Open(Options{Store: &sink{}})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	ctx, cancel := context.WithTimeout(t.Context(), DefaultAppendTimeout)
	defer cancel()
	turn := exchange("x")
	turn.ID = memory.NewTurnID()
	if n := testing.AllocsPerRun(100, func() { _, _ = o.Load(ctx, key, all) }); n != 0 {
		t.Errorf("a load allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = o.Append(ctx, key, turn) }); n != 0 {
		t.Errorf("an append allocates %v times", n)
	}
}

func BenchmarkLoad(b *testing.B) {
	run(b, func(ctx context.Context, s memory.Store, _ *memory.Turn) { _, _ = s.Load(ctx, key, all) })
}

// BenchmarkAppend gives the deadline itself, as a caller should.
func BenchmarkAppend(b *testing.B) {
	run(b, func(ctx context.Context, s memory.Store, t *memory.Turn) { _, _ = s.Append(ctx, key, *t) })
}

// BenchmarkAppendUnbounded has the outbox make the deadline.
func BenchmarkAppendUnbounded(b *testing.B) {
	run(b, func(_ context.Context, s memory.Store, t *memory.Turn) {
		_, _ = s.Append(context.Background(), key, *t)
	})
}

// BenchmarkQueue is an append while the store is down.
func BenchmarkQueue(b *testing.B) {
	turn := exchange("x")
	turn.ID = memory.NewTurnID()
	down := func() *Outbox {
		store := &flaky{Store: newShelf()}
		store.down.Store(true)
		o, err := Open(Options{Store: store, MaxTurns: 1 << 30, MaxBytes: 1 << 50, ProbeInterval: time.Hour, CloseTimeout: time.Nanosecond})
		if err != nil {
			b.Fatal(err)
		}
		_ = add(o, key, "first")
		return o
	}
	o := down()
	b.ReportAllocs()
	for b.Loop() {
		_, _ = o.Append(context.Background(), key, turn)
	}
	b.StopTimer()
	_ = o.Close()
}

func run(b *testing.B, use func(ctx context.Context, s memory.Store, t *memory.Turn)) {
	b.Helper()
	turn := exchange("x")
	turn.ID = memory.NewTurnID()
	store := &sink{session: memory.Session{Turns: []memory.Turn{turn}}}
	o, err := Open(Options{Store: store})
	if err != nil {
		b.Fatal(err)
	}
	defer o.Close()
	ctx, cancel := context.WithTimeout(b.Context(), DefaultAppendTimeout)
	defer cancel()
	for name, s := range map[string]memory.Store{"store": store, "outbox": o} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				use(ctx, s, &turn)
			}
		})
	}
}

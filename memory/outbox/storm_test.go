package outbox

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mnemo/internal/bubble"
	"mnemo/memory"
	"mnemo/memory/redisstore"
	"mnemo/memory/sqlitestore"
	"mnemo/memory/storetest/redisserver"
)

func TestOutbox_loses_and_doubles_nothing_in_any_storm(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			dir := t.TempDir()
			bubble.Test(t, func(t *testing.T) {
				s := &storm{shelf: newShelf(), clients: map[memory.Key]*client{}, random: rand.New(rand.NewPCG(seed, 1))}
				opts := Options{MaxTurns: 16, SpoolDir: dir, CloseTimeout: time.Second}
				for range 3 { // lives of the process
					s.rage(t, s.shelf, opts, 12, 40, time.Second)
				}
				s.calm(t, s.shelf, opts)
				s.check(t, s.shelf)
				if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
					t.Errorf("files are left: %v, %v", files, err)
				}
			})
		})
	}
}

func TestOutbox_loses_and_doubles_nothing_before_sqlite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	open := func() memory.Store {
		s, err := sqlitestore.Open(t.Context(), sqlitestore.Options{Path: path, Relaxed: true})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := &storm{clients: map[memory.Key]*client{}, random: rand.New(rand.NewPCG(rand.Uint64(), 1))}
	opts := Options{MaxTurns: 16, SpoolDir: filepath.Join(t.TempDir(), "spool"), AppendTimeout: 20 * time.Millisecond, ProbeInterval: 5 * time.Millisecond, CloseTimeout: time.Second}
	for range 2 {
		s.rage(t, open(), opts, 8, 25, 10*time.Millisecond)
	}
	opts.AppendTimeout = 0
	s.calm(t, open(), opts)
	whole := open()
	defer whole.Close()
	s.check(t, whole)
}

func TestOutbox_loses_and_doubles_nothing_while_redis_is_killed_and_restarted(t *testing.T) {
	t.Cleanup(func() {
		for range 3 { // the pool of go-redis looks once a second whether it was closed
			if goleak.Find() == nil {
				return
			}
		}
	})
	server := redisserver.Start(t)
	open := func() memory.Store {
		s, err := redisstore.Open(t.Context(), redisstore.Options{URL: "redis://" + server.Addr})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := &storm{clients: map[memory.Key]*client{}, random: rand.New(rand.NewPCG(rand.Uint64(), 1))}
	o, err := Open(Options{Store: open(), ProbeInterval: 10 * time.Millisecond, CloseTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for i := range 16 {
		c := s.client(memory.Key{Tenant: "t", Session: fmt.Sprint(i)})
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(4 * time.Millisecond):
					c.say(t, o, none)
				}
			}
		})
	}
	queued := 0
	for range 4 {
		for start := s.said.Load(); s.said.Load() < start+200; { // it runs under load
			s.pause(t)
		}
		server.Kill()
		for o.Status().Queued < 100 {
			s.pause(t)
		}
		queued += o.Status().Queued
		server.Restart(t)
		for o.Status().Down {
			s.pause(t)
		}
	}
	close(stop)
	wg.Wait()
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	if got := o.Status(); got.Queued != 0 || got.Lost != 0 {
		t.Errorf("status %+v", got)
	}
	whole := open()
	defer whole.Close()
	s.check(t, whole)
	t.Logf("%d turns, of which %d were queued", s.said.Load(), queued)
}

// A storm is clients, each with a session of its own, at a store that fails.
type storm struct {
	shelf   *shelf
	mu      sync.Mutex
	random  *rand.Rand
	clients map[memory.Key]*client
	said    atomic.Int64
}

// A client says one turn after the other.
type client struct {
	storm *storm
	key   memory.Key
	next  int
	kept  []string        // what Append said is stored or will be
	maybe map[string]bool // what nobody promised
}

func (s *storm) client(key memory.Key) *client {
	if s.clients[key] == nil {
		s.clients[key] = &client{storm: s, key: key, maybe: map[string]bool{}}
	}
	return s.clients[key]
}

func (s *storm) n(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.IntN(n)
}

// pause waits a moment for a process.
func (s *storm) pause(t *testing.T) {
	t.Helper()
	select {
	case <-time.After(time.Millisecond):
	case <-t.Context().Done():
	}
}

// rage lets clients say turns while the store fails in every way, and closes it.
func (s *storm) rage(t *testing.T, store memory.Store, opts Options, clients, turns int, moment time.Duration) {
	t.Helper()
	f := &flaky{Store: store}
	f.onAppends(func(memory.Key, *memory.Turn) fault { return fault(max(0, s.n(40)-35)) })
	f.onLoads(func() fault { return fault(max(0, s.n(40)-35)) })
	f.onPings(func() fault { return fault(max(0, s.n(8)-3)) })
	opts.Store = f
	o, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	var wg, weather sync.WaitGroup
	over := make(chan struct{})
	weather.Go(func() {
		for {
			select {
			case <-over:
				return
			case <-time.After(time.Duration(s.n(10)) * moment):
				f.down.Store(s.n(2) == 0)
			}
		}
	})
	for i := range clients {
		c := s.client(memory.Key{Tenant: "t", Session: fmt.Sprint(i)})
		wg.Go(func() {
			for range turns {
				<-time.After(time.Duration(s.n(3)) * moment / 2)
				c.say(t, o, fault(s.n(20)))
			}
		})
	}
	wg.Wait()
	close(over)
	weather.Wait()
	f.down.Store(true)
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
}

// calm writes what is left.
func (s *storm) calm(t *testing.T, store memory.Store, opts Options) {
	t.Helper()
	opts.Store, opts.CloseTimeout = store, time.Minute
	o, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	if got := o.Status(); got.Queued+got.Spooled != 0 || got.Lost != 0 {
		t.Errorf("status %+v", got)
	}
}

// say loads the session, which must have all that was said, and appends a turn.
func (c *client) say(t *testing.T, o *Outbox, leaving fault) {
	c.next++
	name := fmt.Sprint(c.next)
	ctx, cancel := context.WithTimeout(context.Background(), 250*time.Millisecond)
	if session, err := o.Load(ctx, c.key, all); err == nil {
		if bad := c.compare(session); bad != nil {
			t.Errorf("load of %s: %v", c.key.Session, bad)
		}
	}
	cancel()
	ctx, cancel = context.WithCancel(context.Background())
	if leaving == 1 {
		time.AfterFunc(time.Millisecond, cancel)
	}
	_, err := o.Append(ctx, c.key, exchange(name))
	cancel()
	c.storm.said.Add(1)
	switch {
	case err == nil, errors.Is(err, memory.ErrQueued):
		c.kept = append(c.kept, name)
	case errors.Is(err, context.Canceled):
		c.maybe[name] = true
	default:
		t.Errorf("append %s: %v", name, err)
	}
}

// compare tells what is wrong with a log.
func (c *client) compare(session memory.Session) error {
	var got []string
	for i := range session.Turns {
		if name := nameOf(&session.Turns[i]); !c.maybe[name] {
			got = append(got, name)
		}
	}
	if !slices.Equal(got, c.kept) {
		return fmt.Errorf("%d turns, want %d: %q, want %q", len(got), len(c.kept), got, c.kept)
	}
	return nil
}

func (s *storm) check(t *testing.T, store memory.Store) {
	t.Helper()
	total := 0
	for key, c := range s.clients {
		session, err := store.Load(context.Background(), key, all)
		if err == nil {
			err = c.compare(session)
		}
		if err != nil {
			t.Errorf("session %s: %v", key.Session, err)
		}
		total += len(c.kept)
	}
	if total < 100 {
		t.Errorf("only %d turns were said", total)
	}
}

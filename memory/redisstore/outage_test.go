package redisstore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mnemo/memory"
	"mnemo/memory/redisstore"
	"mnemo/memory/storetest/redisserver"
)

var key = memory.Key{Tenant: "tenant", Session: "session"}

func TestStore_works_on_after_redis_was_killed_and_forgot_its_scripts(t *testing.T) {
	server := redisserver.Start(t)
	s := open(t, redisstore.Options{URL: "redis://" + server.Addr})
	add(t, s, key, "before")
	server.Kill()
	if _, err := s.Append(t.Context(), key, exchange(t, "lost")); err == nil {
		t.Fatal("a killed redis took a turn")
	}
	server.Restart(t)
	add(t, s, key, "after")
	wantQuestions(t, s, key, "before", "after")
	if said, err := server.Do("SCRIPT", "FLUSH"); err != nil || said != "+OK" {
		t.Fatalf("flush: %q, %v", said, err)
	}
	if got, err := s.Load(t.Context(), key, need); err != nil || got.Seq != 2 {
		t.Fatalf("load: seq %d, %v", got.Seq, err)
	}
	add(t, s, key, "at last")
	wantQuestions(t, s, key, "before", "after", "at last")
}

func TestStore_keeps_everything_over_a_kill_and_a_script_flush(t *testing.T) {
	server := redisserver.Start(t)
	s := open(t, redisstore.Options{URL: "redis://" + server.Addr})
	whole(t, s, key)
	imported := memory.Key{Tenant: key.Tenant, Session: "imported"}
	if err := s.Import(t.Context(), imported, logOf(t, 30, "words")); err != nil {
		t.Fatal(err)
	}
	before, err := s.Info(t.Context(), key)
	if err != nil || before.Summary == nil {
		t.Fatalf("described as %+v, %v", before, err)
	}
	all := everything(t, server)
	server.Kill()
	server.Restart(t)
	if after := everything(t, server); len(after) != len(all) {
		t.Errorf("after a kill there is %q, before it %q", after, all)
	}
	for _, h := range []*redisstore.Store{s, open(t, redisstore.Options{URL: "redis://" + server.Addr})} {
		if after, err := h.Info(t.Context(), key); err != nil || !reflect.DeepEqual(after, before) {
			t.Errorf("described as %+v, %v, want %+v", after, err, before)
		}
		got, err := h.Load(t.Context(), key, need)
		if err != nil || !reflect.DeepEqual(got.Summary, before.Summary) || len(got.Turns) != 2 || got.Revision.Branch != 3 {
			t.Errorf("loaded is %+v, %v", got, err)
		}
		if got := sessions(t, h, memory.Query{AllTenants: true}); !slices.Equal(got, []string{key.Session, imported.Session}) {
			t.Errorf("listed are %q", got)
		}
	}
	for name, call := range calls(s) {
		if said, err := server.Do("SCRIPT", "FLUSH"); err != nil || said != "+OK" {
			t.Fatalf("flush: %q, %v", said, err)
		}
		if err := call(t.Context(), memory.Key{Tenant: "other", Session: strings.ReplaceAll(name, " ", "-")}); err != nil && !errors.Is(err, memory.ErrNotFound) && !errors.Is(err, memory.ErrConflict) {
			t.Errorf("%s after a flush: %v", name, err)
		}
	}
}

// calls are all methods that use a session.
func calls(s *redisstore.Store) map[string]func(ctx context.Context, k memory.Key) error {
	return map[string]func(ctx context.Context, k memory.Key) error{
		"load":          func(ctx context.Context, k memory.Key) error { _, err := s.Load(ctx, k, need); return err },
		"read turns":    func(ctx context.Context, k memory.Key) error { _, err := s.Turns(ctx, k, 0, 1); return err },
		"find":          func(ctx context.Context, k memory.Key) error { _, err := s.Find(ctx, k, []memory.Link{1}); return err },
		"lease":         func(ctx context.Context, k memory.Key) error { _, err := s.Lease(ctx, k, "a", time.Hour); return err },
		"describe":      func(ctx context.Context, k memory.Key) error { _, err := s.Info(ctx, k); return err },
		"compact":       func(ctx context.Context, k memory.Key) error { return s.Compact(ctx, k, memory.Revision{}, nil) },
		"delete":        s.Delete,
		"delete at one": func(ctx context.Context, k memory.Key) error { return s.DeleteAt(ctx, k, 1) },
		"import":        func(ctx context.Context, k memory.Key) error { return s.Import(ctx, k, &memory.Snapshot{}) },
		"append": func(ctx context.Context, k memory.Key) error {
			_, err := s.Append(ctx, k, memory.Turn{At: time.UnixMilli(1_700_000_000_000)})
			return err
		},
		"list": func(ctx context.Context, k memory.Key) error {
			_, err := s.Sessions(ctx, memory.Query{Tenant: k.Tenant, Limit: 1})
			return err
		},
		"list all": func(ctx context.Context, _ memory.Key) error {
			_, err := s.Sessions(ctx, memory.Query{AllTenants: true, Limit: 1})
			return err
		},
	}
}

func TestStore_refuses_everything_when_it_is_closed(t *testing.T) {
	s, err := redisstore.Open(t.Context(), redisstore.Options{URL: "redis://" + redisserver.Start(t).Addr})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, call := range calls(s) {
		if err := call(t.Context(), key); !errors.Is(err, redisstore.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStore_fails_fast_without_redis_and_names_the_host_only(t *testing.T) {
	server := redisserver.Start(t, "--requirepass", "s3cret")
	s := open(t, redisstore.Options{URL: "redis://:s3cret@" + server.Addr})
	add(t, s, key, "before")
	server.Kill()
	start := time.Now()
	all := calls(s)
	all["ping"] = func(ctx context.Context, _ memory.Key) error { return s.Ping(ctx) }
	for what, call := range all {
		if err := call(t.Context(), key); err == nil || !strings.Contains(err.Error(), server.Addr) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if took := time.Since(start); took > time.Duration(len(all))*redisstore.DefaultTimeout {
		t.Errorf("%d refused calls took %v", len(all), took)
	}
}

func TestOpen_does_not_wait_for_a_redis_that_comes_later(t *testing.T) {
	server := redisserver.Start(t, "--requirepass", "s3cret")
	server.Kill()
	var warned bytes.Buffer
	s := open(t, redisstore.Options{URL: "redis://:s3cret@" + server.Addr, Log: slog.New(slog.NewTextHandler(&warned, nil))})
	if text := warned.String(); !strings.Contains(text, server.Addr) || strings.Contains(text, "s3cret") {
		t.Errorf("the log says %q", text)
	}
	server.Restart(t)
	add(t, s, key, "late")
	wantQuestions(t, s, key, "late")
}

func TestOpen_says_what_is_wrong_with_the_password_without_it(t *testing.T) {
	server := redisserver.Start(t, "--requirepass", "right")
	_, err := redisstore.Open(t.Context(), redisstore.Options{URL: "redis://:wr0ng@" + server.Addr})
	if err == nil || !strings.Contains(err.Error(), "WRONGPASS") || strings.Contains(err.Error(), "wr0ng") {
		t.Errorf("open: %v", err)
	}
}

func TestAppend_is_stored_once_when_the_reply_is_lost(t *testing.T) {
	server := redisserver.Start(t)
	wire := listen(t, server.Addr)
	s := open(t, redisstore.Options{URL: "redis://" + wire.addr})
	other := open(t, redisstore.Options{URL: "redis://" + server.Addr})
	var want []string
	for _, question := range strings.Fields("a b c d e f g h i j k l") {
		wire.lose.Store(true)
		seq, err := s.Append(t.Context(), key, exchange(t, question))
		want = append(want, question)
		if err != nil || seq != int64(len(want)) {
			t.Fatalf("append %s: seq %d, %v", question, seq, err)
		}
		if wire.lose.Load() {
			t.Fatal("no reply was lost")
		}
		add(t, other, key, "other")
		want = append(want, "other")
	}
	wantQuestions(t, s, key, want...)
	if got, err := s.Load(t.Context(), key, memory.Need{Groups: 100}); err != nil || len(got.Turns) != len(want) {
		t.Fatalf("load: %d turns, %v", len(got.Turns), err)
	}
}

func TestStore_returns_when_the_context_ends_though_redis_is_silent(t *testing.T) {
	server := redisserver.Start(t)
	wire := listen(t, server.Addr)
	s := open(t, redisstore.Options{URL: "redis://" + wire.addr + "?read_timeout=1s"})
	wire.silent.Store(true)
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if _, err := s.Load(ctx, key, need); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("load: %v", err)
		}
		if _, err := s.Append(ctx, key, exchange(t, "x")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("append: %v", err)
		}
		cancel()
	}
	wire.silent.Store(false)
}

func TestStore_gives_up_on_a_silent_redis(t *testing.T) {
	server := redisserver.Start(t)
	wire := listen(t, server.Addr)
	s := open(t, redisstore.Options{URL: "redis://" + wire.addr + "?read_timeout=50ms&max_retries=-1"})
	wire.silent.Store(true)
	if _, err := s.Load(t.Context(), key, need); err == nil || !strings.Contains(err.Error(), wire.addr) {
		t.Errorf("load: %v", err)
	}
}

// A wire passes bytes to a server and back.
type wire struct {
	addr   string
	lose   atomic.Bool  // a reply, and the connection with it
	skip   atomic.Int64 // how many replies before it arrive
	silent atomic.Bool  // replies do not arrive
}

func listen(t *testing.T, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{addr: l.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { w.pass(client, to) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return w
}

// loseAfter loses the reply after n others.
func (w *wire) loseAfter(n int) {
	w.skip.Store(int64(n))
	w.lose.Store(true)
}

func (w *wire) pass(client net.Conn, to string) {
	defer client.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		io.Copy(server, client)
		server.Close()
	})
	defer wg.Wait()
	defer client.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		if err != nil || w.lose.Load() && w.skip.Add(-1) < 0 && w.lose.CompareAndSwap(true, false) {
			return
		}
		if w.silent.Load() {
			continue
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

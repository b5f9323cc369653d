package redisstore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
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

func TestStore_fails_fast_without_redis_and_names_the_host_only(t *testing.T) {
	server := redisserver.Start(t, "--requirepass", "s3cret")
	s := open(t, redisstore.Options{URL: "redis://:s3cret@" + server.Addr})
	add(t, s, key, "before")
	server.Kill()
	start := time.Now()
	_, loadErr := s.Load(t.Context(), key, need)
	_, addErr := s.Append(t.Context(), key, exchange(t, "x"))
	_, turnsErr := s.Turns(t.Context(), key, 0, 1)
	for what, err := range map[string]error{
		"load": loadErr, "append": addErr, "read turns": turnsErr, "delete": s.Delete(t.Context(), key), "ping": s.Ping(t.Context()),
	} {
		if err == nil || !strings.Contains(err.Error(), server.Addr) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if took := time.Since(start); took > 5*redisstore.DefaultTimeout {
		t.Errorf("five refused calls took %v", took)
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
	lose   atomic.Bool // the next reply, and the connection with it
	silent atomic.Bool // replies do not arrive
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
		if err != nil || w.lose.CompareAndSwap(true, false) {
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

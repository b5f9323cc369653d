package redisboard_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mnemo/memory/storetest/redisserver"
	"mnemo/proxy/upstream"
	"mnemo/proxy/upstream/redisboard"
)

func TestBoard_spares_a_replica_the_failures_of_another(t *testing.T) {
	server := redisserver.Start(t)
	var well atomic.Bool
	well.Store(true)
	up := newAPI(t, func(string) bool { return !well.Load() })
	breaker := upstream.Breaker{Consecutive: 3, Open: 2 * time.Second}
	o := redisboard.Options{URL: "redis://" + server.Addr}
	a, b := replica(t, up.URL, open(t, o), breaker), replica(t, up.URL, open(t, o), breaker)
	call(t, a, "m")
	call(t, b, "m")
	well.Store(false)
	for range 3 {
		call(t, a, "m")
	}
	eventually(t, "the other hears of it", func() bool { return state(b, "m") == "open" })
	if got := call(t, b, "m"); got != 0 || up.failed.Load() != 3 {
		t.Errorf("answer %d after %d failures", got, up.failed.Load())
	}
	if call(t, b, "other") != http.StatusInternalServerError {
		t.Error("another model is left alone, too")
	}
	well.Store(true)
	eventually(t, "one of them finds it well", func() bool { return call(t, a, "m") == http.StatusOK })
	eventually(t, "the other does", func() bool { return call(t, b, "m") == http.StatusOK })
	if n := up.failed.Load(); n != 4 {
		t.Errorf("%d failures", n)
	}
}

func TestBoard_tells_who_comes_later_what_still_holds(t *testing.T) {
	server := redisserver.Start(t)
	up := newAPI(t, func(model string) bool { return model != "well" })
	o := redisboard.Options{URL: "redis://" + server.Addr}
	first := open(t, o)
	a := replica(t, up.URL, first, atOnce)
	for range 3 {
		call(t, a, "m")
	}
	first.Opened("elsewhere", "m", time.Minute)
	eventually(t, "it is written down", func() bool {
		said, _ := server.Do("HLEN", "mnemo:board")
		return said == ":2"
	})
	late := open(t, o)
	heard := make(chan string, 10)
	late.Listen(func(up, model string, d time.Duration) {
		if d > 25*time.Second && d <= time.Minute {
			heard <- up + " " + model
		}
	})
	<-heard
	<-heard
	b := replica(t, up.URL, late, atOnce)
	eventually(t, "the late one leaves it alone", func() bool { return call(t, b, "m") == 0 })
	if n := up.failed.Load(); n > 6 {
		t.Errorf("%d failures", n)
	}
	if call(t, b, "well") != http.StatusOK {
		t.Error("another model is left alone, too")
	}
}

func TestBoard_forgets_what_is_over(t *testing.T) {
	server := redisserver.Start(t)
	o := redisboard.Options{URL: "redis://" + server.Addr}
	a, heard := open(t, o), make(chan time.Duration, 10)
	open(t, o).Listen(func(_, _ string, d time.Duration) { heard <- d })
	a.Opened("u", "m", time.Hour)
	if d := <-heard; d <= 59*time.Minute || d > time.Hour {
		t.Errorf("open for %v", d)
	}
	a.Closed("u", "m")
	for d := time.Hour; d != 0; { // what was read after it was heard comes twice
		d = <-heard
	}
	if said, err := server.Do("EXISTS", "mnemo:board"); err != nil || said != ":0" {
		t.Errorf("exists: %q, %v", said, err)
	}
	a.Opened("u", "m", 50*time.Millisecond)
	<-heard
	eventually(t, "it expires", func() bool {
		said, _ := server.Do("EXISTS", "mnemo:board")
		return said == ":0"
	})
}

func TestBoard_does_not_hear_itself(t *testing.T) {
	server := redisserver.Start(t)
	o := redisboard.Options{URL: "redis://" + server.Addr}
	a, b := open(t, o), open(t, o)
	own, others := make(chan string, 10), make(chan string, 10)
	a.Listen(func(_, model string, _ time.Duration) { own <- model })
	stop := b.Listen(func(_, model string, _ time.Duration) { others <- model })
	a.Opened("u", "of a", time.Hour)
	if got := <-others; got != "of a" {
		t.Errorf("heard %s", got)
	}
	stop()
	b.Opened("u", "of b", time.Hour)
	last := make(chan string, 10)
	a.Listen(func(_, model string, _ time.Duration) { last <- model })
	<-last
	if got := <-own; got != "of b" || len(own) > 0 && <-own != "of b" {
		t.Errorf("heard %s", got)
	}
}

func TestBoard_works_on_after_redis_was_killed_under_calls(t *testing.T) {
	server := redisserver.Start(t)
	up := newAPI(t, func(model string) bool { return strings.HasPrefix(model, "bad") })
	o := redisboard.Options{URL: "redis://" + server.Addr}
	a, b := replica(t, up.URL, open(t, o), atOnce), replica(t, up.URL, open(t, o), atOnce)
	ctx, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	var calls atomic.Int64
	for range 4 {
		callers.Go(func() {
			for ctx.Err() == nil {
				for _, p := range []*upstream.Pool{a, b} {
					if code := call(t, p, "well"); code != http.StatusOK {
						t.Errorf("answer %d", code)
					}
				}
				calls.Add(1)
			}
		})
	}
	under := func() {
		for before := calls.Load(); calls.Load() < before+20; {
			<-time.After(time.Millisecond)
		}
	}
	under()
	server.Kill()
	under()
	for range 3 {
		call(t, a, "bad while it is away")
	}
	if call(t, a, "bad while it is away") != 0 || call(t, b, "bad while it is away") != http.StatusInternalServerError {
		t.Error("without redis a breaker is not what it was")
	}
	under()
	server.Restart(t)
	n := 0
	eventually(t, "the other hears again", func() bool {
		n++
		model := fmt.Sprint("bad ", n)
		call(t, b, model)
		for range 3 {
			call(t, a, model)
		}
		<-time.After(50 * time.Millisecond)
		return state(b, model) == "open"
	})
	under()
	stop()
	callers.Wait()
}

func TestBoard_never_lets_a_caller_wait(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // it takes connections and never says a word
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	var log syncBuffer
	b := open(t, redisboard.Options{URL: "redis://" + silent.Addr().String(), Log: slog.New(slog.NewTextHandler(&log, nil))})
	b.Listen(func(string, string, time.Duration) { t.Error("something was heard") })
	const findings = 20_000
	for i := range findings { // each would take a second
		b.Opened("u", fmt.Sprint(i), time.Hour)
	}
	if n := b.Dropped(); n < findings-300 {
		t.Errorf("%d findings wait", findings-n)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "level=WARN") {
		t.Errorf("the log has %d lines: %s", n, log.String())
	}
	before := b.Dropped()
	if b.Opened("u", "m", time.Hour); b.Dropped() != before {
		t.Error("a closed board counts")
	}
}

func TestBoard_finds_a_redis_that_comes_later(t *testing.T) {
	server := redisserver.Start(t)
	server.Kill()
	var log syncBuffer
	o := redisboard.Options{URL: "redis://" + server.Addr, Log: slog.New(slog.NewTextHandler(&log, nil))}
	a, b := open(t, o), open(t, o)
	heard := make(chan string, 1000)
	b.Listen(func(_, model string, _ time.Duration) { heard <- model })
	server.Restart(t)
	eventually(t, "they meet", func() bool {
		a.Opened("u", "m", time.Hour)
		return len(heard) > 0
	})
	eventually(t, "it is told", func() bool { return strings.Contains(log.String(), "shared with other replicas again") })
}

func TestBoard_keeps_installations_apart(t *testing.T) {
	server := redisserver.Start(t)
	heard := make(chan string, 100)
	installations := []redisboard.Options{
		{URL: "redis://" + server.Addr},
		{URL: "unix://" + server.Socket, Prefix: "other"},
		{URL: "redis://" + server.Addr + "/3"},
	}
	for _, o := range installations {
		open(t, o).Listen(func(of, model string, _ time.Duration) {
			if of != o.URL {
				t.Errorf("%s hears %s", o.URL, of)
			}
			heard <- model
		})
	}
	for _, o := range installations {
		b := open(t, o)
		for _, model := range []string{"1", "2"} {
			b.Opened(o.URL, model, time.Hour)
		}
	}
	for last := 0; last < len(installations); { // those who came too early hear of it when they read
		if <-heard == "2" {
			last++
		}
	}
}

func TestBoard_hears_no_nonsense(t *testing.T) {
	server := redisserver.Start(t)
	b := open(t, redisboard.Options{URL: "redis://" + server.Addr})
	heard := make(chan time.Duration, 100)
	b.Listen(func(_, model string, d time.Duration) {
		if model != "m" {
			t.Errorf("heard of %q", model)
		}
		heard <- d
	})
	for _, text := range []string{
		"", "{", "[]", "null", `"x"`, `{"open_ms":1}`, `{"upstream":"u","model":"bad","open_ms":-1}`, `{"upstream":"u","model":"bad","open_ms":"1"}`,
		`{"upstream":"u","model":"bad","open_ms":1e99}`, `{"upstream":"u","model":"` + strings.Repeat("x", 4096) + `","open_ms":1}`,
		`{"upstream":"u","model":"m","open_ms":9223372036854775807}`,
	} {
		for _, command := range [][]string{
			{"PUBLISH", "mnemo:board:0", text},
			{"HSET", "mnemo:board", "f", text},
			{"HSET", "mnemo:board", "g", "99999999999999 " + text},
		} {
			if said, err := server.Do(command...); err != nil || strings.HasPrefix(said, "-") {
				t.Fatalf("%s: %q, %v", command[0], said, err)
			}
		}
	}
	if d := <-heard; d != 24*time.Hour {
		t.Errorf("believed for %v", d)
	}
	b.Listen(func(string, string, time.Duration) {}) // which reads what is written
	if d := <-heard; d != 24*time.Hour {
		t.Errorf("believed for %v", d)
	}
}

func TestBoard_works_in_a_cluster(t *testing.T) {
	nodes := redisserver.StartCluster(t, 3)
	heard := make(chan string, 10)
	u := "redis://" + nodes[0].Addr + "," + nodes[1].Addr + "?cluster=true"
	open(t, redisboard.Options{URL: u}).Listen(func(_, model string, _ time.Duration) { heard <- model })
	a := open(t, redisboard.Options{URL: "redis://" + nodes[2].Addr + "?cluster=true"})
	eventually(t, "a finding crosses the cluster", func() bool {
		a.Opened("u", "m", time.Minute)
		return len(heard) > 0
	})
	open(t, redisboard.Options{URL: u}).Listen(func(string, string, time.Duration) { heard <- "late" })
	eventually(t, "a late one reads it", func() bool {
		select {
		case who := <-heard:
			return who == "late"
		default:
			return false
		}
	})
}

func TestOpen_refuses_a_bad_url(t *testing.T) {
	if b, err := redisboard.Open(t.Context(), redisboard.Options{URL: "redis://:secret@h/db"}); b != nil || !errors.Is(err, redisboard.ErrURL) {
		t.Errorf("open: %v", err)
	}
}

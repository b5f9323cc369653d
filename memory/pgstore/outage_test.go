package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mnemo/memory"
	"mnemo/memory/pgstore"
	"mnemo/memory/storetest/pgserver"
)

// TestStore_loses_and_doubles_nothing_over_outages has clients do what the proxy
// does with a turn that was not acknowledged: they deliver it again.
func TestStore_loses_and_doubles_nothing_over_outages(t *testing.T) {
	const writers, turns = 8, 40
	server := pgserver.Start(t)
	s := opened(t, pgstore.Options{URL: server.URL() + "pool_max_conns=6"})
	var wg sync.WaitGroup
	var stored, refused atomic.Int64
	for w := range writers {
		wg.Go(func() {
			k := memory.Key{Tenant: "t", Session: fmt.Sprint(w % 3)}
			for i := range turns {
				turn := exchange(t, fmt.Sprintf("%d of %d", i, w))
				turn.ID = memory.NewTurnID()
				if err := soon(func() error {
					_, err := s.Append(t.Context(), k, turn)
					if err != nil {
						refused.Add(1)
						turn.Redelivered = true
					}
					return err
				}); err != nil {
					t.Error(err)
					return
				}
				stored.Add(1)
				if got, err := s.Load(t.Context(), k, need); err == nil && got.Seq < int64(i) {
					t.Errorf("after turn %d of %d the log ends at %d", i, w, got.Seq)
				}
			}
		})
	}
	for _, at := range []int64{40, 120, 200} {
		eventually(t, func() error {
			if n := stored.Load(); n < at {
				return fmt.Errorf("%d turns are stored", n)
			}
			return nil
		})
		server.Kill()
		server.Restart(t)
	}
	wg.Wait()
	seen, seq := map[string]bool{}, int64(0)
	for i := range 3 {
		page, err := s.Turns(t.Context(), memory.Key{Tenant: "t", Session: fmt.Sprint(i)}, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for j, turn := range page {
			if turn.Seq != int64(j+1) {
				t.Errorf("turn %d stands at place %d", turn.Seq, j+1)
			}
			seen[turn.Messages[0].Raw] = true
			seq++
		}
	}
	if len(seen) != writers*turns || seq != writers*turns {
		t.Errorf("%d turns, %d different ones, want %d", seq, len(seen), writers*turns)
	}
	if refused.Load() == 0 {
		t.Error("there was no outage")
	}
}

func TestStore_does_not_notice_that_the_server_was_restarted(t *testing.T) {
	server := pgserver.Start(t)
	s := opened(t, pgstore.Options{URL: server.URL()})
	var want []string
	for i := range 4 {
		var wg sync.WaitGroup
		for range 8 { // so that there are many connections to break
			wg.Go(func() {
				if _, err := s.Load(t.Context(), key, need); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		server.Kill()
		server.Restart(t)
		turn := exchange(t, fmt.Sprint(i))
		turn.ID = memory.NewTurnID()
		if seq, err := s.Append(t.Context(), key, turn); err != nil || seq != int64(i+1) {
			t.Fatalf("append: seq %d, %v", seq, err)
		}
		want = append(want, fmt.Sprint(i))
	}
	wantQuestions(t, s, key, want...)
}

func TestAppend_is_on_disk_when_it_returns(t *testing.T) {
	server := pgserver.Start(t, "fsync=on", "full_page_writes=on")
	s := opened(t, pgstore.Options{URL: server.URL()})
	add(t, s, key, "acknowledged")
	server.Kill()
	server.Restart(t)
	wantQuestions(t, opened(t, pgstore.Options{URL: server.URL()}), key, "acknowledged")
}

func TestAppend_is_stored_once_when_the_reply_is_lost(t *testing.T) {
	server := pgserver.Fresh(t)
	wire := listen(t, server.Addr)
	s := opened(t, pgstore.Options{URL: strings.Replace(server.URL(), server.Addr, wire.addr, 1)})
	other := opened(t, pgstore.Options{URL: server.URL()})
	add(t, s, key, "first") // so that its statement is prepared
	want := []string{"first"}
	for _, question := range strings.Fields("a b c d e f g h") {
		if _, err := s.Load(t.Context(), key, need); err != nil { // and a connection is there
			t.Fatal(err)
		}
		turn := exchange(t, question)
		turn.ID = memory.NewTurnID()
		wire.lose.Store(true)
		seq, err := s.Append(t.Context(), key, turn)
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

func TestStore_does_not_repeat_what_must_be_done_once(t *testing.T) {
	server := pgserver.Fresh(t)
	wire := listen(t, server.Addr)
	s := opened(t, pgstore.Options{URL: strings.Replace(server.URL(), server.Addr, wire.addr, 1)})
	lost := func(what string, do func() error) {
		t.Helper()
		_ = do() // prepares its statement
		wire.lose.Store(true)
		if err := do(); err == nil || !strings.Contains(err.Error(), wire.addr) {
			t.Errorf("%s: %v, want an error of the connection", what, err)
		}
		wire.lose.Store(false)
	}
	lost("append without an ID", func() error {
		_, err := s.Append(t.Context(), key, exchange(t, "x"))
		return err
	})
	wantQuestions(t, s, key, "x", "x")
	session, err := s.Load(t.Context(), key, memory.Need{})
	if err != nil {
		t.Fatal(err)
	}
	lost("compact", func() error {
		return s.Compact(t.Context(), key, session.Revision, &memory.Summary{Text: "x", UpTo: 1})
	})
	lost("delete at", func() error { return s.DeleteAt(t.Context(), key, 99) })
	wantQuestions(t, s, key, "x", "x")
}

func TestStore_fails_fast_without_a_server_and_names_the_host_only(t *testing.T) {
	server := pgserver.Start(t)
	s := opened(t, pgstore.Options{URL: strings.Replace(server.URL(), "postgres@", "postgres:s3cret@", 1)})
	add(t, s, key, "before")
	server.Kill()
	_, loadErr := s.Load(t.Context(), key, need)
	_, addErr := s.Append(t.Context(), key, exchange(t, "x"))
	_, turnsErr := s.Turns(t.Context(), key, 0, 1)
	_, infoErr := s.Info(t.Context(), key)
	_, listErr := s.Sessions(t.Context(), memory.Query{AllTenants: true, Limit: 1})
	_, leaseErr := s.Lease(t.Context(), key, "holder", time.Minute)
	for what, err := range map[string]error{
		"load session": loadErr, "append turn": addErr, "read turns": turnsErr, "describe session": infoErr, "list sessions": listErr,
		"lease session": leaseErr, "delete session": s.Delete(t.Context(), key), "ping store": s.Ping(t.Context()),
		"import session": s.Import(t.Context(), key, &memory.Snapshot{}),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), what+": postgres "+server.Addr) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestStore_returns_when_the_context_ends_though_the_server_is_silent(t *testing.T) {
	server := pgserver.Fresh(t)
	wire := listen(t, server.Addr)
	s := opened(t, pgstore.Options{URL: strings.Replace(server.URL(), server.Addr, wire.addr, 1) + "connect_timeout=1", Timeout: 300 * time.Millisecond})
	wire.silent.Store(true)
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if _, err := s.Load(ctx, key, need); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("load: %v", err)
		}
		if _, err := s.Append(ctx, key, exchange(t, "x")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("append: %v", err)
		}
		cancel()
	}
	if _, err := s.Load(t.Context(), key, need); err == nil || !strings.Contains(err.Error(), wire.addr) {
		t.Errorf("load without a deadline: %v", err)
	}
	wire.silent.Store(false)
	eventually(t, func() error { return s.Ping(t.Context()) })
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

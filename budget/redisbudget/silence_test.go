package redisbudget_test

import (
	"bytes"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mnemo/budget"
	"mnemo/budget/redisbudget"
)

// A client that waits for hours makes no call wait: each returns, or this test never ends.
func TestCalls_do_not_wait_for_a_silent_redis(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns []net.Conn
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns = append(conns, conn)
		}
	})
	patient := redis.NewClient(&redis.Options{Addr: l.Addr().String(), ReadTimeout: time.Hour, MaxRetries: -1, Protocol: 2})
	b, err := budget.New(budget.Options{
		Rules: rules(), Deadline: time.Millisecond, Counter: redisbudget.New(redisbudget.Options{Client: patient}),
	})
	if err != nil {
		t.Fatal(err)
	}
	got := flood(t, []*budget.Budgets{b}, 150, 10, cent, cent)
	if got != dollar || b.Stats().Alone != 150 {
		t.Errorf("%d were spent of a budget of %d, %+v", got, dollar, b.Stats())
	}
	l.Close()
	accepting.Wait()
	for _, conn := range conns {
		conn.Close()
	}
	patient.Close()
	if err := b.Close(t.Context()); err == nil {
		t.Error("what nobody heard is not told")
	}
}

// lines is a log that is read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) count(what string) int { return strings.Count(l.String(), what) }

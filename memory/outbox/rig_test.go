package outbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mnemo/internal/bubble"
	"mnemo/memory"
)

var (
	errOutage = errors.New("connection refused")
	key       = memory.Key{Tenant: "tenant", Session: "session"}
	other     = memory.Key{Tenant: "tenant", Session: "other"}
	all       = memory.Need{Groups: 1 << 40}
)

// said collects what is logged.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) count(part string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(s.text.String(), part)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// rig is an outbox before a flaky shelf.
type rig struct {
	*Outbox
	shelf *shelf
	store *flaky
	log   *said
}

func newRig(t *testing.T, opts Options) *rig {
	t.Helper()
	r := &rig{shelf: newShelf(), log: &said{}}
	r.store = &flaky{Store: r.shelf}
	opts.Store, opts.Log = r.store, slog.New(slog.NewTextHandler(r.log, nil))
	var err error
	if r.Outbox, err = Open(opts); err != nil {
		t.Fatal(err)
	}
	return r
}

// inBubble runs a test with an outbox in a bubble of its own time.
func inBubble(t *testing.T, opts Options, test func(t *testing.T, r *rig)) {
	t.Helper()
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t, opts)
		defer func() {
			if err := r.Close(); err != nil || !r.shelf.closed {
				t.Errorf("close: %v, the store is closed: %v", err, r.shelf.closed)
			}
		}()
		test(t, r)
	})
}

func exchange(name string) memory.Turn {
	turn := memory.Turn{At: time.UnixMilli(1_700_000_000_123), Model: "gpt-4o"}
	for _, raw := range []string{`{"role":"user","content":"question ` + name + `"}`, `{"role":"assistant","content":"answer ` + name + `"}`} {
		m, err := memory.ParseMessage(raw)
		if err != nil {
			panic(err)
		}
		turn.Messages = append(turn.Messages, m)
	}
	return turn
}

func nameOf(t *memory.Turn) string {
	return strings.TrimSuffix(strings.TrimPrefix(t.Messages[0].Raw, `{"role":"user","content":"question `), `"}`)
}

// add appends and returns the error.
func add(s memory.Store, key memory.Key, name string) error {
	_, err := s.Append(context.Background(), key, exchange(name))
	return err
}

func wantAdded(t *testing.T, s memory.Store, key memory.Key, want error, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := add(s, key, name); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Fatalf("append %s: %v, want %v", name, err, want)
		}
	}
}

// wantLog checks the names of a session's turns in the store itself.
func wantLog(t *testing.T, s memory.Store, key memory.Key, want ...string) {
	t.Helper()
	session, err := s.Load(context.Background(), key, all)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	got := make([]string, len(session.Turns))
	for i := range session.Turns {
		got[i] = nameOf(&session.Turns[i])
	}
	if !slices.Equal(got, want) {
		t.Fatalf("the log is %q, want %q", got, want)
	}
}

func numbers(from, to int) []string {
	var names []string
	for i := from; i <= to; i++ {
		names = append(names, fmt.Sprint(i))
	}
	return names
}

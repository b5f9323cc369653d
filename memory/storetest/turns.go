package storetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"mnemo/memory"
)

// tokens that each message of an exchange counts.
const tokens = 10

// exchange is a turn of a question and its answer, both named so that a torn or
// a misplaced one is recognised.
func exchange(name string) memory.Turn {
	return turn(`{"role":"user","content":"question `+name+`"}`, `{"role":"assistant","content":"answer `+name+`"}`)
}

func turn(raws ...string) memory.Turn {
	t := memory.Turn{At: time.UnixMilli(1_700_000_000_123), Model: "gpt-4o"}
	for _, raw := range raws {
		m, err := memory.ParseMessage(raw)
		if err != nil {
			panic(fmt.Sprintf("parse %.80s: %v", raw, err))
		}
		m.Tokens = tokens
		t.Messages = append(t.Messages, m)
	}
	return t
}

// nameOf is the name of an exchange, or an error if it is not whole.
func nameOf(t *memory.Turn) (string, error) {
	if len(t.Messages) != 2 {
		return "", fmt.Errorf("turn %d has %d messages", t.Seq, len(t.Messages))
	}
	name := strings.TrimPrefix(t.Messages[0].Raw, `{"role":"user","content":"question `)
	name = strings.TrimSuffix(name, `"}`)
	want := exchange(name)
	for i := range want.Messages {
		if t.Messages[i].Raw != want.Messages[i].Raw {
			return "", fmt.Errorf("turn %d is not whole: message %d is %.80s", t.Seq, i, t.Messages[i].Raw)
		}
	}
	return name, nil
}

// namesOf checks that a session holds its whole log, without gaps, of whole
// exchanges, and returns their names in order.
func namesOf(s memory.Session) ([]string, error) {
	names := make([]string, 0, len(s.Turns))
	if int64(len(s.Turns)) != s.Seq {
		return nil, fmt.Errorf("%d turns, the last is %d", len(s.Turns), s.Seq)
	}
	var sum memory.Totals
	for i := range s.Turns {
		if s.Turns[i].Seq != int64(i+1) {
			return nil, fmt.Errorf("turn %d stands at place %d", s.Turns[i].Seq, i+1)
		}
		name, err := nameOf(&s.Turns[i])
		if err != nil {
			return nil, err
		}
		names = append(names, name)
		sum.Add(&s.Turns[i])
	}
	if sum != s.Totals {
		return nil, fmt.Errorf("totals are %+v, the turns have %+v", s.Totals, sum)
	}
	return names, nil
}

// fill appends n exchanges, named by their number from 1.
func fill(ctx context.Context, t *testing.T, s memory.Store, k memory.Key, n int) {
	t.Helper()
	for i := range n {
		if _, err := s.Append(ctx, k, exchange(fmt.Sprint(i+1))); err != nil {
			t.Fatalf("append %d: %v", i+1, err)
		}
	}
}

func load(ctx context.Context, t *testing.T, s memory.Store, k memory.Key, need memory.Need) memory.Session {
	t.Helper()
	session, err := s.Load(ctx, k, need)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return session
}

// loadNames loads a whole log and returns its names.
func loadNames(ctx context.Context, t *testing.T, s memory.Store, k memory.Key) []string {
	t.Helper()
	names, err := namesOf(load(ctx, t, s, k, everything))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func wantNames(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Fatalf("the log is %q, want %q", got, want)
	}
}

package storetest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"mnemo/memory"
)

// edit is an exchange in place of a span of others.
func edit(name string, first, last int64) memory.Turn {
	t := exchange(name)
	t.Supersedes = memory.Span{First: first, Last: last}
	return t
}

// spending is an exchange with an ID that was paid for if the price is known.
func spending(name string, cost int64) memory.Turn {
	t := exchange(name)
	t.ID = memory.NewTurnID()
	t.Usage = memory.Usage{Input: 100, CachedInput: 40, Output: 20, Reasoning: 5, Estimated: cost == 0, Cost: cost, Priced: cost > 0}
	return t
}

// at is the turn at another time.
func at(t memory.Turn, when time.Time) memory.Turn {
	t.At = when
	return t
}

// add appends a turn that is expected to get the number.
func add(ctx context.Context, t *testing.T, s memory.Store, k memory.Key, tn memory.Turn, want int64) {
	t.Helper()
	if seq, err := s.Append(ctx, k, tn); err != nil || seq != want {
		t.Fatalf("append: seq %d, %v, want %d", seq, err, want)
	}
}

// pages reads a whole log in pages.
func pages(ctx context.Context, t *testing.T, s memory.Store, k memory.Key) []memory.Turn {
	t.Helper()
	var all []memory.Turn
	for before := int64(0); ; {
		page, err := s.Turns(ctx, k, before, 100)
		if err != nil {
			t.Fatalf("turns before %d: %v", before, err)
		}
		if len(page) == 0 {
			return all
		}
		all, before = slices.Concat(page, all), page[0].Seq
		if before == 1 {
			return all
		}
	}
}

// wantLive checks that all that a handle says about a log is what follows from
// its turns, and that those are the live ones.
func wantLive(ctx context.Context, t *testing.T, s memory.Store, k memory.Key, want ...string) {
	t.Helper()
	turns := pages(ctx, t, s, k)
	model := memory.Snapshot{Turns: slices.Clone(turns)}
	if err := model.Settle(); err != nil {
		t.Fatalf("the log is none: %v", err)
	}
	var live []memory.Turn
	var names []string
	for i := range turns {
		name, err := nameOf(&turns[i])
		if err != nil {
			t.Fatal(err)
		}
		if got, want := turns[i].SupersededBy, model.Turns[i].SupersededBy; got != want {
			t.Errorf("turn %d (%s) is superseded by %d, want %d", turns[i].Seq, name, got, want)
		}
		if model.Turns[i].SupersededBy == 0 {
			live, names = append(live, model.Turns[i]), append(names, name)
		}
	}
	wantNames(t, names, want...)

	session := load(ctx, t, s, k, everything)
	if !reflect.DeepEqual(session.Turns, live) {
		t.Fatalf("loaded were turns %v, live are %v", numbers(session.Turns), numbers(live))
	}
	if session.Totals != model.Totals || session.Seq != int64(len(turns)) || session.Revision.Branch != model.Branch {
		t.Fatalf("seq %d, branch %d, totals %+v, want %d, %d, %+v",
			session.Seq, session.Revision.Branch, session.Totals, len(turns), model.Branch, model.Totals)
	}
	info := describe(ctx, t, s, k)
	if info.Totals != model.Totals || info.Spent != model.Spent || info.Seq != session.Seq {
		t.Fatalf("described as seq %d, %+v, %+v, want %d, %+v, %+v",
			info.Seq, info.Totals, info.Spent, session.Seq, model.Totals, model.Spent)
	}
	if info.System != session.System || info.Persona != session.Persona || !reflect.DeepEqual(info.Summary, session.Summary) {
		t.Fatalf("described with %q, %q, %+v, loaded with %q, %q, %+v",
			info.System, info.Persona, info.Summary, session.System, session.Persona, session.Summary)
	}
}

func describe(ctx context.Context, t *testing.T, s memory.Store, k memory.Key) memory.Info {
	t.Helper()
	info, err := s.Info(ctx, k)
	if err != nil || info.Key != k {
		t.Fatalf("info: %v, %v", info.Key, err)
	}
	return info
}

func numbers(turns []memory.Turn) string {
	var b strings.Builder
	for i := range turns {
		fmt.Fprintf(&b, " %d", turns[i].Seq)
	}
	return b.String()
}

// consistent checks a session that others change meanwhile: its live turns make
// up its totals, and its summary covers what it says.
func consistent(s *memory.Session) error {
	held, covered := memory.Totals{}, memory.Totals{}
	for i := range s.Turns {
		tn := &s.Turns[i]
		if _, err := nameOf(tn); err != nil {
			return err
		}
		if tn.SupersededBy != 0 || (i > 0 && tn.Seq <= s.Turns[i-1].Seq) {
			return fmt.Errorf("loaded were turns %s, one of them superseded or out of order", numbers(s.Turns))
		}
		held.Add(tn)
		if s.Summary != nil && tn.Seq <= s.Summary.UpTo {
			covered.Add(tn)
		}
	}
	if held.Bytes > s.Totals.Bytes {
		return fmt.Errorf("the turns have %d bytes, the log %d", held.Bytes, s.Totals.Bytes)
	}
	if held.Bytes = s.Totals.Bytes; held != s.Totals {
		return fmt.Errorf("totals are %+v, the turns have %+v", s.Totals, held)
	}
	if s.Summary != nil && (s.Summary.Covered != covered || s.Summary.Version != s.Revision.Summary) {
		return fmt.Errorf("the summary says %+v at revision %+v, the turns have %+v", *s.Summary, s.Revision, covered)
	}
	return nil
}

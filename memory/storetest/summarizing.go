package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"mnemo/memory"
)

// summaryOf is a summary of the live turns up to one.
func summaryOf(s *memory.Session, upTo int64, text string) *memory.Summary {
	made := &memory.Summary{Text: text, Tokens: len(text), UpTo: upTo, Model: "gpt-4o-mini", At: time.UnixMilli(1_700_000_100_456)}
	for i := range s.Turns {
		if s.Turns[i].Seq <= upTo {
			made.Covered.Add(&s.Turns[i])
		}
	}
	return made
}

// summarize makes a summary up to a turn the session's.
func summarize(ctx context.Context, t *testing.T, s memory.Store, upTo int64) {
	t.Helper()
	session := load(ctx, t, s, key, everything)
	if err := s.Compact(ctx, key, session.Revision, summaryOf(&session, upTo, fmt.Sprint("up to ", upTo))); err != nil {
		t.Fatalf("compact up to %d: %v", upTo, err)
	}
}

func wantSummary(ctx context.Context, t *testing.T, s memory.Store, want *memory.Summary) {
	t.Helper()
	session, info := load(ctx, t, s, key, memory.Need{Messages: 1}), describe(ctx, t, s, key)
	if !reflect.DeepEqual(session.Summary, want) || !reflect.DeepEqual(info.Summary, want) {
		t.Fatalf("loaded is summary %+v, described %+v, want %+v", session.Summary, info.Summary, want)
	}
	if want != nil && session.Revision.Summary != want.Version {
		t.Fatalf("revision %+v, want summary %d", session.Revision, want.Version)
	}
}

func summaryRoundTrip(t *testing.T, b Backend) {
	ctx, s, other := deadline(t), b.open(t, Options{}), b.open(t, Options{})
	fill(ctx, t, s, key, 10)
	for _, h := range []memory.Store{s, other} {
		wantSummary(ctx, t, h, nil)
	}
	before := describe(ctx, t, s, key)
	for i, text := range []string{"plain", "日本語 é \u0000 \u2028 \" \\ \r\n\t <script>", strings.Repeat("long, ", 1<<14)} {
		session := load(ctx, t, other, key, everything)
		if session.Revision.Summary != int64(i) {
			t.Fatalf("revision %+v, want summary %d", session.Revision, i)
		}
		want := summaryOf(&session, int64(i+5), text)
		want.Left = i % 2
		given := *want
		if err := other.Compact(ctx, key, session.Revision, &given); err != nil {
			t.Fatal(err)
		}
		want.Version = int64(i + 1)
		for _, h := range []memory.Store{s, other, b.open(t, Options{})} {
			wantSummary(ctx, t, h, want)
			wantSummary(ctx, t, h, want) // from the cache too
		}
		add(ctx, t, s, key, exchange(fmt.Sprint(i+11)), int64(i+11))
		for _, h := range []memory.Store{s, other} {
			wantSummary(ctx, t, h, want)
		}
	}
	if err := s.Compact(ctx, key, load(ctx, t, s, key, memory.Need{}).Revision, nil); err != nil {
		t.Fatal(err)
	}
	for _, h := range []memory.Store{s, other, b.open(t, Options{})} {
		wantSummary(ctx, t, h, nil)
		if got := load(ctx, t, h, key, memory.Need{}).Revision.Summary; got != 4 {
			t.Fatalf("after three summaries and none the count is %d", got)
		}
	}
	after := describe(ctx, t, s, key)
	if !after.Updated.Equal(before.Updated) || !after.Created.Equal(before.Created) || after.Totals.Turns != 13 {
		t.Fatalf("summaries made %+v of %+v", after, before)
	}
}

func summaryConflicts(t *testing.T, b Backend) {
	ctx, s, other := deadline(t), b.open(t, Options{}), b.open(t, Options{})
	conflicts := func(why string, base memory.Revision) {
		t.Helper()
		for _, made := range []*memory.Summary{{Text: "stale", UpTo: 1}, nil} {
			for _, h := range []memory.Store{s, other} {
				if err := h.Compact(ctx, key, base, made); !errors.Is(err, memory.ErrConflict) {
					t.Fatalf("compact after %s: %v, want ErrConflict", why, err)
				}
			}
		}
	}
	conflicts("nothing", memory.Revision{})
	fill(ctx, t, s, key, 6)
	conflicts("nothing was seen", memory.Revision{})

	seen := load(ctx, t, other, key, everything)
	add(ctx, t, s, key, exchange("7"), 7)
	if err := other.Compact(ctx, key, seen.Revision, summaryOf(&seen, 4, "kept")); err != nil {
		t.Fatalf("compact after an ordinary turn: %v", err)
	}
	conflicts("another compact", seen.Revision)

	seen = load(ctx, t, s, key, everything)
	add(ctx, t, s, key, edit("7'", 7, 7), 8)
	conflicts("an edit", seen.Revision)
	want := summaryOf(&seen, 4, "kept")
	want.Version = 1
	wantSummary(ctx, t, other, want)

	seen = load(ctx, t, s, key, everything)
	if err := s.Delete(ctx, key); err != nil {
		t.Fatal(err)
	}
	conflicts("a delete", seen.Revision)
	fill(ctx, t, other, key, 7)
	conflicts("another life began", seen.Revision)
	wantSummary(ctx, t, s, nil)
	wantLive(ctx, t, s, key, "1", "2", "3", "4", "5", "6", "7")
}

func editForgetsSummary(t *testing.T, b Backend) {
	ctx, s, other := deadline(t), b.open(t, Options{}), b.open(t, Options{})
	fill(ctx, t, s, key, 10)
	summarize(ctx, t, s, 5)
	kept := load(ctx, t, other, key, everything).Summary
	add(ctx, t, s, key, edit("6'", 6, 10), 11)
	for _, h := range []memory.Store{s, other} {
		wantSummary(ctx, t, h, kept)
	}
	add(ctx, t, s, key, edit("5'", 5, 11), 12)
	for _, h := range []memory.Store{s, other, b.open(t, Options{})} {
		wantSummary(ctx, t, h, nil)
		if got := load(ctx, t, h, key, memory.Need{}).Revision; got.Summary != 2 || got.Branch != 12 {
			t.Fatalf("a summary made and forgotten: revision %+v", got)
		}
	}
	summarize(ctx, t, other, 12)
	if got := load(ctx, t, s, key, everything); got.Summary == nil || got.Summary.Version != 3 || got.Summary.UpTo != 12 {
		t.Fatalf("the next summary is %+v", got.Summary)
	}
	add(ctx, t, other, key, edit("2'", 2, 2), 13)
	for _, h := range []memory.Store{s, other} {
		wantSummary(ctx, t, h, nil)
		wantLive(ctx, t, h, key, "1", "3", "4", "2'") // 5' superseded what came after 2
	}
}

// branchRaces has every goroutine do all that changes a session.
func branchRaces(t *testing.T, b Backend) {
	ctx := deadline(t)
	handles := []memory.Store{b.open(t, Options{}), b.open(t, Options{}), b.open(t, Options{})}
	fill(ctx, t, handles[0], key, 5)
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			for i := range 20 {
				if err := raceOnce(ctx, handles[(g+i)%3], fmt.Sprintf("%d of %d", i, g), (g+2*i)%3); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	want := load(ctx, t, handles[0], key, everything)
	names := make([]string, len(want.Turns))
	for i := range want.Turns {
		names[i], _ = nameOf(&want.Turns[i])
	}
	for _, h := range append(handles, b.open(t, Options{})) {
		got := load(ctx, t, h, key, everything)
		if err := consistent(&got); err != nil {
			t.Error(err)
		}
		wantLive(ctx, t, h, key, names...)
	}
	if want.Seq < 5+6*20/3 {
		t.Errorf("only %d turns were stored", want.Seq)
	}
}

func raceOnce(ctx context.Context, s memory.Store, name string, what int) error {
	seen, err := s.Load(ctx, key, everything)
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	if err := consistent(&seen); err != nil {
		return err
	}
	switch last := seen.Turns[len(seen.Turns)-1].Seq; what {
	case 0:
		_, err = s.Append(ctx, key, exchange(name))
	case 1:
		first := seen.Turns[max(0, len(seen.Turns)-2)].Seq
		_, err = s.Append(ctx, key, edit(name, first, last))
	case 2:
		middle := seen.Turns[len(seen.Turns)/2].Seq
		err = s.Compact(ctx, key, seen.Revision, summaryOf(&seen, middle, name))
		if errors.Is(err, memory.ErrConflict) {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("step %d: %w", what, err)
	}
	return nil
}

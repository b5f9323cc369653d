package summarize

import (
	"context"
	"errors"
	"strings"
	"testing"

	"mnemo/memory"
)

func TestRebuild_makes_the_summary_anew_and_keeps_the_old_one_until_then(t *testing.T) {
	l := newLog(t)
	l.talk(20)
	s := started(t, Options{Store: l.store, Input: 300})
	if err := s.Fold(t.Context(), l.job(15, completer(extract))); err != nil {
		t.Fatal(err)
	}
	old := l.check().Summary
	calls := 0
	failing := completer(func(ctx context.Context, record, transcript string) (Completion, error) {
		if calls++; calls == 3 {
			return Completion{}, errors.New("out of order")
		}
		return extract(ctx, record, transcript)
	})
	var rejected *RejectedError
	if err := s.Rebuild(t.Context(), l.job(0, failing)); !errors.As(err, &rejected) || rejected.Reason != Failed {
		t.Fatalf("%v", err)
	}
	if got := l.check().Summary; *got != *old {
		t.Errorf("the old summary became %+v", got)
	}
	calls = 0
	if err := s.Rebuild(t.Context(), l.job(0, completer(func(ctx context.Context, record, transcript string) (Completion, error) {
		if calls++; calls == 1 {
			if record != "" {
				t.Errorf("it did not begin anew: %q", record)
			}
			l.talk(1)
			l.replace(memory.Span{First: 21, Last: 21}, user("ITEM-8000"), assistant("Noted."))
		}
		return extract(ctx, record, transcript)
	}))); err != nil {
		t.Fatal(err)
	}
	got := l.check().Summary
	if got.Version <= old.Version || got.UpTo != old.UpTo || got.Text != old.Text {
		t.Errorf("%+v became %+v", old, got)
	}
}

func TestRebuild_without_a_summary_makes_one(t *testing.T) {
	l := newLog(t)
	l.talk(6)
	s := started(t, Options{Store: l.store})
	if err := s.Rebuild(t.Context(), l.job(0, nil)); err != nil {
		t.Errorf("to nowhere: %v", err)
	}
	if err := s.Rebuild(t.Context(), l.job(4, completer(extract))); err != nil {
		t.Fatal(err)
	}
	if got := l.check().Summary; got == nil || got.UpTo != 4 {
		t.Errorf("%+v", got)
	}
}

func TestRebuild_starts_over_when_an_edit_takes_the_old_summary_away(t *testing.T) {
	l := newLog(t)
	l.talk(12)
	s := started(t, Options{Store: l.store})
	if err := s.Fold(t.Context(), l.job(8, completer(extract))); err != nil {
		t.Fatal(err)
	}
	calls := 0
	if err := s.Rebuild(t.Context(), l.job(6, completer(func(ctx context.Context, record, transcript string) (Completion, error) {
		if calls++; calls == 1 {
			l.replace(memory.Span{First: 7, Last: 12}, user("ITEM-9000"), assistant("Noted."))
		}
		return extract(ctx, record, transcript)
	}))); err != nil {
		t.Fatal(err)
	}
	if got := l.check().Summary; got == nil || got.UpTo != 6 || strings.Contains(got.Text, "1006") {
		t.Errorf("%+v", got)
	}
}

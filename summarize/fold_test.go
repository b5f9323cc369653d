package summarize

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mnemo/memory"
)

func TestFold_covers_what_it_says_step_by_step(t *testing.T) {
	l := newLog(t)
	l.talk(40)
	calls := 0
	s := started(t, Options{Store: l.store, Input: 300})
	err := s.Fold(t.Context(), l.job(30, completer(func(ctx context.Context, record, transcript string) (Completion, error) {
		calls++
		before := l.check().Summary
		if before == nil && record != "" || before != nil && record != before.Text {
			t.Errorf("the model was shown the record %q", record)
		}
		return extract(ctx, record, transcript)
	})))
	if err != nil {
		t.Fatal(err)
	}
	got := l.check().Summary
	if got.UpTo != 30 || got.Left != 0 || got.Model != "gpt-4o-2024" || got.Version != int64(calls) {
		t.Errorf("%+v after %d calls", got, calls)
	}
	if n := len(items.FindAllString(got.Text, -1)); n != 30 {
		t.Errorf("%d of 30 items survived: %s", n, got.Text)
	}
	if calls < 5 {
		t.Errorf("%d calls for 30 turns of 56 tokens in steps of 300", calls)
	}
	if err := s.Fold(t.Context(), l.job(30, nil)); err != nil {
		t.Errorf("nothing was left to do: %v", err)
	}
}

func TestFold_may_end_inside_a_turn(t *testing.T) {
	l := newLog(t)
	l.add(user("I need ITEM-1001 and then also ITEM-1002. "+strings.Repeat("It is urgent. ", 20)), assistant("Noted."),
		user("And ITEM-1003."), assistant("Noted ITEM-1003."))
	l.talk(3)
	s := started(t, Options{Store: l.store})
	job := l.job(1, completer(extract))
	job.Target.Left = 2
	if err := s.Fold(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if got := l.check().Summary; got == nil || got.UpTo != 1 || got.Left != 2 || got.Covered.Turns != 1 || got.Covered.Messages != 2 {
		t.Fatalf("%+v", got)
	}
	if err := s.Fold(t.Context(), l.job(2, completer(extract))); err != nil {
		t.Fatal(err)
	}
	if got := l.check().Summary; got.UpTo != 2 || got.Left != 0 || got.Covered.Turns != 2 || got.Covered.Messages != 6 {
		t.Errorf("%+v", got)
	}
}

func TestFold_passes_over_what_was_superseded(t *testing.T) {
	l := newLog(t)
	l.talk(4) // ITEM-1000 to 1003
	l.replace(memory.Span{First: 3, Last: 4}, user("Please note ITEM-2000 instead, it is the one thing that I really want you to keep for me."), assistant("I have noted ITEM-2000, and nothing else will be kept for you."))
	l.talk(4)
	if err := started(t, Options{Store: l.store}).Fold(t.Context(), l.job(7, completer(extract))); err != nil {
		t.Fatal(err)
	}
	got := l.check().Summary
	if strings.Contains(got.Text, "1002") || !strings.Contains(got.Text, "2000") || got.UpTo != 7 {
		t.Errorf("%+v", got)
	}
}

func TestFold_ends_before_a_user_message_only(t *testing.T) {
	l := newLog(t)
	l.talk(3)
	l.add(user("Look up ITEM-3000 please, I really have to know what it is and where it can be found."), assistant("One moment, I will look up ITEM-3000 for you."))
	l.add(counted(messageOf(memory.RoleTool, "ITEM-3000 is a lamp")), assistant("ITEM-3000 is a lamp."))
	l.talk(2)
	s := started(t, Options{Store: l.store})
	if err := s.Fold(t.Context(), l.job(4, completer(extract))); err != nil { // turn 5 goes on with turn 4's group
		t.Fatal(err)
	}
	if got := l.check().Summary; got.UpTo != 3 {
		t.Errorf("it ends with turn %d, inside a group", got.UpTo)
	}
	if err := s.Fold(t.Context(), l.job(5, completer(extract))); err != nil {
		t.Fatal(err)
	}
	if got := l.check().Summary; got.UpTo != 5 {
		t.Errorf("it ends with turn %d", got.UpTo)
	}
}

func TestFold_takes_a_group_that_is_larger_than_the_input_whole(t *testing.T) {
	l := newLog(t)
	l.add(user("Read this: "+strings.Repeat("a page of a very long book. ", 2000)), assistant("It is about ITEM-4000."))
	l.talk(2)
	longest := 0
	s := started(t, Options{Store: l.store, Input: 500})
	if err := s.Fold(t.Context(), l.job(1, completer(func(ctx context.Context, record, transcript string) (Completion, error) {
		longest = max(longest, counter.Message(messageOf(memory.RoleUser, transcript).Raw))
		if !strings.Contains(transcript, "characters left out") {
			t.Errorf("shown %q", transcript)
		}
		answer, err := extract(ctx, record, transcript)
		answer.Text += " They belong to a very long book that the user gave to the assistant to read, page by page, and asked about afterwards."
		return answer, err
	}))); err != nil {
		t.Fatal(err)
	}
	if got := l.check().Summary; got.UpTo != 1 || longest == 0 || longest > 600 {
		t.Errorf("%+v, the model was shown %d tokens", got, longest)
	}
}

func TestFold_of_a_turn_that_an_edit_elsewhere_leaves_alone_is_stored_without_a_second_call(t *testing.T) {
	l := newLog(t)
	l.talk(10)
	calls := 0
	s := started(t, Options{Store: l.store})
	if err := s.Fold(t.Context(), l.job(5, completer(func(ctx context.Context, record, transcript string) (Completion, error) {
		calls++
		l.add(user("ITEM-5000"), assistant("Noted."))
		l.replace(memory.Span{First: 11, Last: 11}, user("ITEM-5001"), assistant("Noted."))
		return extract(ctx, record, transcript)
	}))); err != nil {
		t.Fatal(err)
	}
	if got := l.check().Summary; got == nil || got.UpTo != 5 || calls != 1 {
		t.Errorf("%+v after %d calls", got, calls)
	}
}

func TestFold_starts_over_when_what_it_folds_is_edited(t *testing.T) {
	l := newLog(t)
	l.talk(10)
	calls := 0
	s := started(t, Options{Store: l.store})
	if err := s.Fold(t.Context(), l.job(5, completer(func(ctx context.Context, record, transcript string) (Completion, error) {
		if calls++; calls == 1 {
			l.replace(memory.Span{First: 4, Last: 10}, user("ITEM-6000"), assistant("Noted."))
		}
		return extract(ctx, record, transcript)
	}))); err != nil {
		t.Fatal(err)
	}
	got := l.check().Summary
	if got == nil || got.UpTo != 3 || strings.Contains(got.Text, "1004") || calls != 2 {
		t.Errorf("%+v after %d calls", got, calls)
	}
}

func TestFold_gives_up_on_a_session_that_never_rests(t *testing.T) {
	l := newLog(t)
	l.talk(8)
	calls := 0
	var seen []Reason
	s := started(t, Options{Store: l.store, Observe: func(o Outcome) { seen = append(seen, o.Reason) }})
	err := s.Fold(t.Context(), l.job(1000, completer(func(ctx context.Context, record, transcript string) (Completion, error) {
		calls++
		l.replace(memory.Span{First: 4, Last: int64(l.turns)}, user(fmt.Sprintf("ITEM-%d is what I want now and nothing else", 7000+calls)), assistant("Noted."))
		return extract(ctx, record, transcript)
	})))
	if !errors.Is(err, memory.ErrConflict) || !slices.Equal(seen, []Reason{Conflict}) || calls != maxConflicts+1 {
		t.Errorf("%v after %d calls, observed %v", err, calls, seen)
	}
	if got := l.check().Summary; got != nil {
		t.Errorf("%+v", got)
	}
}

func TestFold_forgets_a_session_that_was_deleted_meanwhile(t *testing.T) {
	l := newLog(t)
	l.talk(6)
	s := started(t, Options{Store: l.store})
	if err := s.Fold(t.Context(), l.job(5, completer(func(ctx context.Context, record, transcript string) (Completion, error) {
		if err := l.store.Delete(ctx, l.key); err != nil {
			t.Error(err)
		}
		l.turns = 0
		l.talk(6) // the same words in another life
		return extract(ctx, record, transcript)
	}))); err != nil && !errors.Is(err, memory.ErrConflict) && !errors.Is(err, ErrBusy) {
		t.Fatal(err)
	}
	if got := l.check().Summary; got != nil {
		t.Errorf("another life's summary: %+v", got)
	}
}

func TestFold_of_an_unknown_session_asks_nobody(t *testing.T) {
	l := newLog(t)
	if err := started(t, Options{Store: l.store}).Fold(t.Context(), l.job(5, nil)); !errors.Is(err, ErrBusy) {
		t.Errorf("%v", err)
	}
}

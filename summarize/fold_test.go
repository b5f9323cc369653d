package summarize

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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

// A model that misbehaves at random, and a client that writes and edits while it is
// at work, never make a summary that covers other than what it says.
func TestFold_survives_models_and_clients_that_misbehave(t *testing.T) {
	for seed := range uint64(12) {
		random := rand.New(rand.NewPCG(seed, 7))
		l := newLog(t)
		l.talk(4)
		s := New(Options{Store: l.store, Input: 200 + random.IntN(400), MaxTokens: 600})
		mischief := func() {
			switch random.IntN(8) {
			case 0, 1, 2:
				l.talk(1 + random.IntN(2))
			case 3:
				last := int64(l.turns)
				first := max(1, last-int64(random.IntN(6)))
				l.replace(memory.Span{First: first, Last: last}, user(fmt.Sprintf("No, note ITEM-%d instead of what I said before, if you please.", 5000+l.turns)), assistant("As you like it."))
			}
		}
		stored := 0
		for range 40 {
			before := l.summary()
			bad := random.IntN(2) == 0
			edited := false
			c := completer(func(ctx context.Context, record, transcript string) (Completion, error) {
				turns := l.turns
				mischief()
				edited = edited || l.turns > turns
				if bad {
					return misbehave(random)
				}
				return extract(ctx, record, transcript)
			})
			job := l.job(int64(l.turns+1-random.IntN(8)), c)
			job.Target.Left = random.IntN(2) * random.IntN(3)
			do := s.Fold
			if random.IntN(6) == 0 {
				do = s.Rebuild
			}
			err := do(t.Context(), job)
			after := l.check().Summary
			if err == nil && after != nil && (before == nil || before.Version != after.Version) {
				stored++
			}
			if bad && after != nil && (before == nil || *after != *before) {
				t.Fatalf("seed %d: a bad answer left %+v", seed, after)
			}
			if bad && !edited && before != nil && after == nil {
				t.Fatalf("seed %d: a bad answer took the summary away", seed)
			}
			s.pauses.succeeded(l.key)
			l.talk(1)
			mischief()
			l.check()
		}
		if stored < 3 {
			t.Errorf("seed %d: %d summaries only", seed, stored)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// misbehave answers in one of the ways that are no summary.
func misbehave(random *rand.Rand) (Completion, error) {
	switch random.IntN(8) {
	case 0:
		return Completion{}, errors.New("the upstream is down")
	case 1:
		return Completion{Finish: "stop"}, nil
	case 2:
		return Completion{Text: "The user and the assistant talked about several topics.", Finish: "stop"}, nil
	case 3:
		return Completion{Text: strings.Repeat("and then they spoke on ", 900), Finish: "stop"}, nil
	case 4:
		return Completion{Text: "I'm sorry, but I can't help with that.", Finish: "stop"}, nil
	case 5:
		return Completion{Text: "They wanted ITEM-10", Finish: "length"}, nil
	case 6:
		return Completion{Text: "They wanted ITEM-1000", Finish: "content_filter"}, nil
	}
	panic("the model's client is broken")
}

func TestFold_loses_none_of_forty_facts_over_three_hundred_turns(t *testing.T) {
	l := newLog(t)
	calls := 0
	s := started(t, Options{Store: l.store, MaxTokens: 1200, Input: 2000})
	keep := completer(func(_ context.Context, record, transcript string) (Completion, error) {
		calls++
		kept := strings.Fields("")
		for line := range strings.Lines(record + "\n" + transcript) {
			if _, fact, found := strings.Cut(strings.TrimSpace(line), "Remember: "); found {
				kept = append(kept, "Remember: "+fact)
			}
		}
		if len(kept) == 0 {
			kept = []string{"Nothing was to be remembered so far; the user and the assistant spoke about the weather and about what they had done in the garden that day."}
		}
		return Completion{Text: strings.Join(kept, "\n"), Finish: "stop"}, nil
	})
	facts := facts(40)
	for turn := range 300 {
		if turn%7 == 0 && turn/7 < len(facts) {
			l.add(user("Remember: "+facts[turn/7]), assistant("I will."))
		} else {
			l.add(user("It rained again today and so we could not work in the garden, which made us all a little sad."), assistant("What a pity; maybe tomorrow will be a better day for the garden and for all of you."))
		}
		if turn%30 == 29 {
			if err := s.Fold(t.Context(), l.job(int64(turn-9), keep)); err != nil {
				t.Fatal(err)
			}
			l.check()
		}
	}
	got := l.check().Summary
	if calls < 5 || got.UpTo != 290 {
		t.Fatalf("%d rolls up to turn %d", calls, got.UpTo)
	}
	for _, fact := range facts {
		if !strings.Contains(got.Block(), fact) {
			t.Errorf("lost: %s", fact)
		}
	}
}

func facts(n int) []string {
	shapes := []string{
		"my colleague %[2]s sits in room %[1]d.", "order A-%[1]d was paid by %[2]s.", "%[2]s has the number +49 30 555%[1]d.",
		"the rent is %[1]d euros, says %[2]s.", "%[2]s was born on 1971-04-%02[3]d.", "the file is report_%[1]d.pdf, by %[2]s.",
	}
	names := []string{"Annegret Thal", "Boris Ünal", "Chiara Neri", "Dmitri Orlow", "Édith Roux", "Farid Haddad", "Greta Lund"}
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(shapes[i%len(shapes)], 1000+37*i, names[i%len(names)], 1+i%28)
		all[i] = strings.ReplaceAll(strings.Split(all[i], "%!(EXTRA")[0], "\n", " ")
	}
	return all
}

package summarize

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"mnemo/memory"
)

// A model that misbehaves at random, and a client that writes and edits while it is
// at work, never make a summary that covers other than what it says.
func TestFold_survives_models_and_clients_that_misbehave(t *testing.T) {
	for seed := range uint64(8) {
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
		for range 25 {
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
		var kept []string
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
	shapes := []func(i int, name string) string{
		func(i int, name string) string { return fmt.Sprintf("my colleague %s sits in room %d.", name, 1000+i) },
		func(i int, name string) string { return fmt.Sprintf("order A-%d was paid by %s.", 1000+i, name) },
		func(i int, name string) string { return fmt.Sprintf("%s has the number +49 30 555%d.", name, 1000+i) },
		func(i int, name string) string { return fmt.Sprintf("the rent is %d euros, says %s.", 1000+i, name) },
		func(i int, name string) string { return fmt.Sprintf("%s was born on 1971-04-%02d.", name, 1+i%28) },
		func(i int, name string) string { return fmt.Sprintf("the file is report_%d.pdf, by %s.", 1000+i, name) },
	}
	names := []string{"Annegret Thal", "Boris Ünal", "Chiara Neri", "Dmitri Orlow", "Édith Roux", "Farid Haddad", "Greta Lund"}
	all := make([]string, n)
	for i := range all {
		all[i] = shapes[i%len(shapes)](37*i, names[i%len(names)])
	}
	return all
}

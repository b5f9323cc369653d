package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"mnemo/memory"
)

func supersededPaged(t *testing.T, b Backend) {
	ctx, s, other := deadline(t), b.open(t, Options{}), b.open(t, Options{})
	fill(ctx, t, s, key, 5)
	add(ctx, t, s, key, edit("4'", 4, 5), 6)
	add(ctx, t, other, key, exchange("7"), 7)
	add(ctx, t, other, key, edit("4''", 6, 7), 8)
	for _, h := range []memory.Store{s, other, b.open(t, Options{})} {
		wantLive(ctx, t, h, key, "1", "2", "3", "4''")
		turns, err := h.Turns(ctx, key, 0, 5)
		if err != nil || len(turns) != 5 {
			t.Fatalf("%d turns, %v", len(turns), err)
		}
		for i, want := range []memory.Turn{
			{Seq: 4, SupersededBy: 6}, {Seq: 5, SupersededBy: 6}, {Seq: 6, SupersededBy: 8, Supersedes: memory.Span{First: 4, Last: 5}},
			{Seq: 7, SupersededBy: 8}, {Seq: 8, Supersedes: memory.Span{First: 6, Last: 7}},
		} {
			if got := turns[i]; got.Seq != want.Seq || got.SupersededBy != want.SupersededBy || got.Supersedes != want.Supersedes {
				t.Errorf("turn %d supersedes %v and is superseded by %d, want %d, %v, %d",
					got.Seq, got.Supersedes, got.SupersededBy, want.Seq, want.Supersedes, want.SupersededBy)
			}
		}
	}
}

func liveTotals(t *testing.T, b Backend) {
	ctx, s := deadline(t), b.open(t, Options{})
	size := int64(0)
	for i := range 6 {
		tn := spending(fmt.Sprint(i), int64(i)*1_000_000_007)
		size += int64(tn.Size())
		add(ctx, t, s, key, tn, int64(i+1))
	}
	all := spending("all of it", 1<<40)
	all.Supersedes = memory.Span{First: 1, Last: 6}
	size += int64(all.Size())
	add(ctx, t, s, key, all, 7)
	want := memory.Totals{Turns: 1, Messages: 2, Groups: 1, Tokens: 2 * tokens, Bytes: size}
	spent := memory.Spent{Input: 700, CachedInput: 280, Output: 140, Cost: 15*1_000_000_007 + 1<<40, Unpriced: 1}
	for _, h := range []memory.Store{s, b.open(t, Options{})} {
		if got := load(ctx, t, h, key, memory.Need{Messages: 1}); got.Totals != want || got.Seq != 7 {
			t.Fatalf("seq %d, totals %+v, want %+v", got.Seq, got.Totals, want)
		}
		if info := describe(ctx, t, h, key); info.Spent != spent {
			t.Fatalf("spent %+v, want %+v", info.Spent, spent)
		}
		wantLive(ctx, t, h, key, "all of it")
	}

	// The size limit is over all turns, so that editing is bounded too.
	small := b.open(t, Options{MaxSessionBytes: size})
	if seq, err := small.Append(ctx, key, edit("too much", 7, 7)); !errors.Is(err, memory.ErrSessionFull) || seq != 0 {
		t.Fatalf("an edit of a full session: seq %d, %v", seq, err)
	}
	wantLive(ctx, t, small, key, "all of it")
}

func concurrentEdits(t *testing.T, b Backend) {
	ctx, s, other := deadline(t), b.open(t, Options{}), b.open(t, Options{})
	for i, tn := range []memory.Turn{
		exchange("1"), exchange("2"), exchange("3"),
		edit("3a", 3, 3), exchange("between"), edit("3b", 3, 3), // both saw 3
	} {
		add(ctx, t, []memory.Store{s, other}[i%2], key, tn, int64(i+1))
	}
	wantLive(ctx, t, s, key, "1", "2", "between", "3b")
	add(ctx, t, s, key, edit("2a", 2, 3), 7) // it saw neither 3a nor 3b
	for _, h := range []memory.Store{s, other, b.open(t, Options{})} {
		wantLive(ctx, t, h, key, "1", "between", "2a")
	}
	add(ctx, t, other, key, edit("3c", 3, 3), 8) // of a branch that is over: 2a begins before it and stays
	for _, h := range []memory.Store{s, other, b.open(t, Options{})} {
		wantLive(ctx, t, h, key, "1", "between", "2a", "3c")
		if got := load(ctx, t, h, key, memory.Need{Messages: 3}); got.Revision.Branch != 8 {
			t.Errorf("branch %d, want 8", got.Revision.Branch)
		}
	}
}

func editInvalidates(t *testing.T, b Backend) {
	ctx, s, other := deadline(t), b.open(t, Options{}), b.open(t, Options{})
	fill(ctx, t, s, key, 10)
	for _, h := range []memory.Store{s, other} {
		checkEnd(t, load(ctx, t, h, key, everything), 10)
	}
	add(ctx, t, s, key, edit("10'", 10, 10), 11)
	for _, h := range []memory.Store{other, s} {
		got := load(ctx, t, h, key, memory.Need{Messages: 4})
		if end := numbers(got.Turns[len(got.Turns)-2:]); end != " 9 11" {
			t.Fatalf("a load after an edit ends with turns%s", end)
		}
		wantLive(ctx, t, h, key, "1", "2", "3", "4", "5", "6", "7", "8", "9", "10'")
	}
	add(ctx, t, other, key, edit("from the start", 1, 11), 12)
	add(ctx, t, s, key, exchange("and on"), 13)
	for _, h := range []memory.Store{other, s} {
		wantLive(ctx, t, h, key, "from the start", "and on")
	}
}

// spanOfNothing is what an edit finds whose session was deleted meanwhile. Were its
// span kept, the log could not be imported again.
func spanOfNothing(t *testing.T, b Backend) {
	ctx, s := deadline(t), b.open(t, Options{})
	add(ctx, t, s, key, edit("of a former life", 3, 5), 1)
	add(ctx, t, s, key, exchange("2"), 2)
	add(ctx, t, s, key, edit("of itself", 2, 3), 3)
	for _, h := range []memory.Store{s, b.open(t, Options{})} {
		wantLive(ctx, t, h, key, "of a former life", "2", "of itself")
		for _, tn := range pages(ctx, t, h, key) {
			if tn.Supersedes != (memory.Span{}) {
				t.Errorf("turn %d supersedes %v", tn.Seq, tn.Supersedes)
			}
		}
	}
}

func skipsSuperseded(t *testing.T, b Backend) {
	ctx, s := deadline(t), b.open(t, Options{})
	fill(ctx, t, s, key, 3)
	for i := range int64(100) { // the last answer, regenerated again and again
		add(ctx, t, s, key, edit("again", 3+i, 3+i), 4+i)
	}
	fresh := b.open(t, Options{})
	got := load(ctx, t, fresh, key, memory.Need{Messages: 4})
	if numbers(got.Turns) != " 2 103" {
		t.Fatalf("loaded were turns%s", numbers(got.Turns))
	}
	wantLive(ctx, t, fresh, key, "1", "2", "again")
	wantLive(ctx, t, s, key, "1", "2", "again")
}

func latestPersona(t *testing.T, b Backend) {
	ctx, s, other := deadline(t), b.open(t, Options{}), b.open(t, Options{})
	for i, step := range []struct {
		persona, system         string
		supersedes              memory.Span
		wantPersona, wantSystem string
	}{
		{},
		{persona: "pirate", wantPersona: "pirate"},
		{system: `["a"]`, wantPersona: "pirate", wantSystem: `["a"]`},
		{persona: "poet é 名", wantPersona: "poet é 名", wantSystem: `["a"]`},
		{supersedes: memory.Span{First: 4, Last: 4}, wantPersona: "poet é 名", wantSystem: `["a"]`},
		{persona: "pirate", system: `["b"]`, supersedes: memory.Span{First: 5, Last: 5}, wantPersona: "pirate", wantSystem: `["b"]`},
		{wantPersona: "pirate", wantSystem: `["b"]`},
	} {
		tn := exchange(fmt.Sprint(i))
		tn.Persona, tn.System, tn.Supersedes = step.persona, step.system, step.supersedes
		add(ctx, t, s, key, tn, int64(i+1))
		for from, h := range map[string]memory.Store{"the writer": s, "another handle": other, "a new handle": b.open(t, Options{})} {
			got, info := load(ctx, t, h, key, everything), describe(ctx, t, h, key)
			if got.Persona != step.wantPersona || got.System != step.wantSystem {
				t.Fatalf("%s: after turn %d loaded were %q, %q, want %+v", from, i+1, got.Persona, got.System, step)
			}
			if info.Persona != step.wantPersona || info.System != step.wantSystem {
				t.Fatalf("%s: after turn %d described were %q, %q, want %+v", from, i+1, info.Persona, info.System, step)
			}
			for _, tn := range got.Turns {
				if tn.Persona != "" || tn.System != "" {
					t.Fatalf("%s: turn %d carries %q, %q", from, tn.Seq, tn.Persona, tn.System)
				}
			}
		}
	}
}

func redelivered(t *testing.T, b Backend) {
	ctx, s, other := deadline(t), b.open(t, Options{}), b.open(t, Options{})
	lost := spending("lost", 7)
	lost.Redelivered = true
	add(ctx, t, s, key, lost, 1) // the first attempt did not arrive
	var all []memory.Turn
	for i := range 300 {
		tn := spending(fmt.Sprint(i), 7)
		add(ctx, t, s, key, tn, int64(i+2))
		all = append(all, tn)
	}
	gone := edit("301'", 301, 301)
	gone.ID = memory.NewTurnID()
	add(ctx, t, s, key, gone, 302)
	before := describe(ctx, t, s, key)
	again := map[int64]memory.Turn{1: lost, 2: all[0], 150: all[148], 301: all[299], 302: gone}
	var wg sync.WaitGroup
	for want, tn := range again {
		tn.Redelivered, tn.System, tn.Persona = true, `["again"]`, "again"
		for _, h := range []memory.Store{s, other} {
			wg.Go(func() {
				if seq, err := h.Append(ctx, key, tn); err != nil || seq != want {
					t.Errorf("turn %d again: seq %d, %v", want, seq, err)
				}
			})
		}
	}
	wg.Wait()
	if after := describe(ctx, t, other, key); after.Seq != before.Seq || after.Totals != before.Totals || after.Spent != before.Spent ||
		after.System != "" || after.Persona != "" || !after.Updated.Equal(before.Updated) {
		t.Fatalf("turns again made %+v of %+v", after, before)
	}
	// Another turn with the same words is another turn; and an ID is one of its session's.
	elsewhere := memory.Key{Tenant: key.Tenant, Session: "elsewhere"}
	same, there := spending("lost", 7), all[0]
	same.Redelivered, there.Redelivered = true, true
	add(ctx, t, s, key, same, 303)
	add(ctx, t, s, elsewhere, there, 1)
	add(ctx, t, other, elsewhere, there, 1)
	wantLive(ctx, t, s, elsewhere, "0")
}

package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"mnemo/memory"
)

// snapshot is a settled session with all that one can have.
func snapshot(t *testing.T) *memory.Snapshot {
	t.Helper()
	s := &memory.Snapshot{
		Title: "imported é 名 😀", Created: monday, Updated: monday.Add(time.Hour),
		System: `[{"role":"system","content":"be brief"}]`, Persona: "pirate",
	}
	for i := range 12 {
		tn := at(spending(fmt.Sprint(i+1), int64(i)*1_000), monday.Add(time.Duration(i)*time.Minute))
		tn.Partial, tn.Model = i == 2, strings.Repeat("model ", i)
		s.Turns = append(s.Turns, tn)
	}
	s.Turns[6].Supersedes = memory.Span{First: 5, Last: 6}
	s.Turns[8].Supersedes = memory.Span{First: 5, Last: 5} // and so the other edit
	for i := range s.Turns {
		s.Turns[i].Seq = int64(i + 1)
	}
	s.Summary = &memory.Summary{Text: "what was said", Tokens: 7, UpTo: 4, Left: 1, Model: "gpt-4o-mini", At: monday}
	for i := range 4 {
		tn := s.Turns[i]
		tn.Messages = tn.Messages[:len(tn.Messages)-i/3]
		s.Summary.Covered.Add(&tn)
	}
	if err := s.Settle(); err != nil {
		t.Fatal(err)
	}
	return s
}

// wantImported checks that a handle has just what the snapshot has.
func wantImported(t *testing.T, s memory.Store, k memory.Key, want *memory.Snapshot) {
	t.Helper()
	ctx := t.Context()
	if turns := pages(ctx, t, s, k); !reflect.DeepEqual(turns, want.Turns) {
		t.Fatalf("the turns are\n%+v, want\n%+v", turns, want.Turns)
	}
	info := describe(ctx, t, s, k)
	session := load(ctx, t, s, k, everything)
	summary := want.Summary
	if summary != nil {
		own := *summary
		own.Version, summary = session.Revision.Summary, &own
	}
	expires := info.Expires
	if wantInfo := (memory.Info{
		Key: k, Title: want.Title, Created: want.Created, Updated: want.Updated, Expires: expires, Seq: int64(len(want.Turns)),
		Totals: want.Totals, Spent: want.Spent, System: want.System, Persona: want.Persona, Summary: summary,
	}); !reflect.DeepEqual(info, wantInfo) {
		t.Fatalf("described as\n%+v, want\n%+v", info, wantInfo)
	}
	var names []string
	for i := range want.Turns {
		if name, err := nameOf(&want.Turns[i]); err == nil && want.Turns[i].SupersededBy == 0 {
			names = append(names, name)
		}
	}
	wantLive(ctx, t, s, k, names...)
}

func importRoundTrip(t *testing.T, b Backend) {
	ctx, s, other := deadline(t), b.open(t, Options{}), b.open(t, Options{})
	want := snapshot(t)
	for _, h := range []memory.Store{s, other} {
		if got := load(ctx, t, h, key, everything); got.Seq != 0 {
			t.Fatalf("seq %d", got.Seq)
		}
	}
	if err := s.Import(ctx, key, want); err != nil {
		t.Fatal(err)
	}
	for _, h := range []memory.Store{other, s, b.open(t, Options{})} {
		wantImported(t, h, key, want)
	}
	listed := walk(ctx, t, other, memory.Query{Tenant: key.Tenant, Search: "É 名"}, 2)
	if len(listed) != 1 || listed[0].Title != want.Title || !listed[0].Updated.Equal(want.Updated) {
		t.Fatalf("listed as %+v", listed)
	}

	// Out and in again, for handles that have the former life in their caches.
	again := *want
	again.Turns = pages(ctx, t, other, key)
	again.Title, again.Persona, again.Turns[11].Model = "again", "poet", "another"
	if err := s.Delete(ctx, key); err != nil {
		t.Fatal(err)
	}
	if err := s.Import(ctx, key, &again); err != nil {
		t.Fatal(err)
	}
	for _, h := range []memory.Store{other, s} {
		wantImported(t, h, key, &again)
	}
}

func importExists(t *testing.T, b Backend) {
	ctx, s, other := deadline(t), b.open(t, Options{}), b.open(t, Options{})
	taken := memory.Key{Tenant: key.Tenant, Session: "taken"}
	add(ctx, t, s, taken, exchange("mine"), 1)
	if err := other.Import(ctx, taken, snapshot(t)); !errors.Is(err, memory.ErrExists) {
		t.Fatalf("import over a session: %v, want ErrExists", err)
	}
	wantLive(ctx, t, other, taken, "mine")
	if got := describe(ctx, t, s, taken); got.Title != "question mine" || got.Persona != "" || got.System != "" {
		t.Fatalf("described as %+v", got)
	}
	want := snapshot(t)
	if err := s.Import(ctx, key, want); err != nil {
		t.Fatal(err)
	}
	if err := other.Import(ctx, key, &memory.Snapshot{}); !errors.Is(err, memory.ErrExists) {
		t.Fatalf("import over an imported session: %v, want ErrExists", err)
	}
	wantImported(t, other, key, want)

	small := b.open(t, Options{MaxSessionBytes: want.Totals.Bytes - 1})
	if err := small.Import(ctx, memory.Key{Tenant: "t", Session: "large"}, want); !errors.Is(err, memory.ErrSessionFull) {
		t.Fatalf("import of a session over the limit: %v", err)
	}
	if _, err := small.Info(ctx, memory.Key{Tenant: "t", Session: "large"}); !errors.Is(err, memory.ErrNotFound) {
		t.Fatalf("a refused import: %v", err)
	}
}

func importGoesOn(t *testing.T, b Backend) {
	ctx, s, other := deadline(t), b.open(t, Options{}), b.open(t, Options{})
	want := snapshot(t)
	if err := s.Import(ctx, key, want); err != nil {
		t.Fatal(err)
	}
	wantFound(ctx, t, other, 4, linksOf("4")...)
	wantFound(ctx, t, other, 0, linksOf("6")...) // superseded
	wantFound(ctx, t, other, 9, linksOf("9")...)
	twice := want.Turns[2]
	twice.Redelivered = true
	add(ctx, t, other, key, twice, 3)
	add(ctx, t, other, key, at(exchange("13"), monday.Add(3*time.Hour)), 13)
	wantFound(ctx, t, s, 13, linksOf("13")...)
	for _, h := range []memory.Store{s, other} {
		got := describe(ctx, t, h, key)
		if got.Title != want.Title || got.Persona != want.Persona || got.System != want.System || !got.Created.Equal(want.Created) || !got.Updated.Equal(monday.Add(3*time.Hour)) {
			t.Fatalf("after one more turn: %+v", got)
		}
		wantLive(ctx, t, h, key, "1", "2", "3", "4", "8", "9", "10", "11", "12", "13")
	}
	add(ctx, t, s, key, edit("4'", 4, 13), 14)
	for _, h := range []memory.Store{s, other} {
		wantSummary(ctx, t, h, nil)
		wantLive(ctx, t, h, key, "1", "2", "3", "4'")
	}
}

func importEmpty(t *testing.T, b Backend) {
	ctx, s, other := deadline(t), b.open(t, Options{}), b.open(t, Options{})
	want := &memory.Snapshot{Created: monday, Updated: monday.Add(time.Second), Persona: "pirate", System: `["be brief"]`}
	if err := want.Settle(); err != nil {
		t.Fatal(err)
	}
	if err := s.Import(ctx, key, want); err != nil {
		t.Fatal(err)
	}
	for _, h := range []memory.Store{s, other} {
		wantImported(t, h, key, want)
		wantFound(ctx, t, h, 0, linksOf("1")...)
		if listed := walk(ctx, t, h, memory.Query{Tenant: key.Tenant}, 2); len(listed) != 1 || listed[0].Key != key || listed[0].Seq != 0 {
			t.Fatalf("listed as %+v", listed)
		}
	}
	wantLease(ctx, t, other, "a", time.Hour, true)
	if err := s.DeleteAt(ctx, key, 1); !errors.Is(err, memory.ErrConflict) {
		t.Fatalf("delete at a turn that is not there: %v", err)
	}
	untouched := b.open(t, Options{}) // it has not loaded the session
	for i, h := range []memory.Store{untouched, s, other} {
		add(ctx, t, h, key, at(exchange(fmt.Sprint(i+1)), monday.Add(time.Duration(i)*time.Hour)), int64(i+1))
		for _, h := range []memory.Store{untouched, s, other} {
			got := load(ctx, t, h, key, everything)
			if got.Persona != "pirate" || got.System != `["be brief"]` || len(got.Turns) != i+1 {
				t.Fatalf("after turn %d loaded were %q, %q and %d turns", i+1, got.Persona, got.System, len(got.Turns))
			}
		}
	}
	wantLive(ctx, t, s, key, "1", "2", "3")
	if got := describe(ctx, t, s, key); got.Title != "question 1" || !got.Created.Equal(monday) || !got.Updated.Equal(monday.Add(2*time.Hour)) {
		t.Fatalf("described as %+v", got)
	}
}

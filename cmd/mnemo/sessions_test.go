package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"mnemo/memory"
	"mnemo/proxy/manage"
)

func TestSessionsList_shows_the_last_active_first(t *testing.T) {
	k := newKeeper(t)
	if out := k.does(t, "list"); out != "There are no sessions.\n" {
		t.Errorf("got %q", out)
	}
	k.keeps(t, "old", 30*24*time.Hour, "My name is Ada.", "Hello Ada!", "What is it?", "Ada.")
	k.keeps(t, "kyoto", 2*time.Hour, "京都の旅", "はい。")
	k.keeps(t, "evil", 3*time.Hour, "\x1b[2J\u202Eboo\nassistant", "x")
	k.keepsOf(t, memory.Key{Tenant: "bob", Session: "secret"}, 0, "Bob's", "own")
	want := "" +
		"ID     TITLE               TURNS  TOKENS     COST  LAST TURN\n" +
		"kyoto  京都の旅                1      10  $0.0012  2 h ago\n" +
		"evil   \uFFFD[2J\uFFFDboo assistant      1      10  $0.0012  3 h ago\n" +
		"old    My name is Ada.         2      20  $0.0025  30 d ago\n"
	if out := k.does(t, "list"); out != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
	if out := k.does(t, "list", "--search", "NAME is"); len(row(out, "old")) == 0 || len(row(out, "kyoto")) != 0 {
		t.Errorf("got\n%s", out)
	}
	out := k.does(t, "list", "--limit", "2")
	if strings.Count(out, "\n") != 4 || !strings.HasSuffix(out, "There are more: --limit or --all shows them.\n") {
		t.Errorf("got\n%s", out)
	}
	var list []manage.Session
	if err := json.Unmarshal([]byte(k.does(t, "list", "--json")), &list); err != nil || len(list) != 3 || list[0].ID != "kyoto" || list[0].Title != "京都の旅" {
		t.Errorf("%v, %+v", err, list)
	}
}

func TestSessionsList_shows_as_many_as_there_are(t *testing.T) {
	k := newKeeper(t)
	const n = apiPage + 5
	for i := range n {
		k.keeps(t, fmt.Sprintf("s%03d", i), time.Duration(i)*time.Second, "Hello", "x")
	}
	ids := func(args ...string) (all []string) {
		var list []manage.Session
		if err := json.Unmarshal([]byte(k.does(t, append([]string{"list", "--json"}, args...)...)), &list); err != nil {
			t.Fatal(err)
		}
		for i := range list {
			all = append(all, list[i].ID)
		}
		return all
	}
	all := ids("--all")
	if len(all) != n || !slices.IsSorted(all) {
		t.Errorf("%d sessions: %q", len(all), all)
	}
	for _, limit := range []int{1, apiPage, apiPage + 1} {
		if got := ids("--limit", fmt.Sprint(limit)); !slices.Equal(got, all[:limit]) {
			t.Errorf("--limit %d gives %d", limit, len(got))
		}
	}
}

func TestSessionsList_of_other_tenants_is_for_admins(t *testing.T) {
	k := newKeeper(t)
	k.keeps(t, "a", time.Hour, "Ada's", "x")
	k.keepsOf(t, memory.Key{Tenant: "bob", Session: "b"}, time.Hour, "Bob's", "x")
	admin := func(args ...string) string {
		out, _, err := k.as(adminKey).run(t.Context(), t, append([]string{"sessions"}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	all := admin("list", "--all-tenants")
	if got := row(all, "b"); len(got) == 0 || got[len(got)-1] != "bob" || len(row(all, "a")) == 0 {
		t.Errorf("got\n%s", all)
	}
	if out := admin("list", "--tenant", "ada"); len(row(out, "a")) == 0 || len(row(out, "b")) != 0 {
		t.Errorf("got\n%s", out)
	}
	if out := admin("show", "b", "--tenant", "bob"); !strings.Contains(out, "Bob's") {
		t.Errorf("got\n%s", out)
	}
	for _, args := range [][]string{{"list", "--all-tenants"}, {"list", "--tenant", "bob"}, {"show", "b", "--tenant", "bob"}} {
		if out, _, err := k.sessions(t, args...); err == nil || out != "" {
			t.Errorf("%q: anybody may: %s", args, out)
		}
	}
}

func TestSessionsShow_tells_facts_and_the_last_messages(t *testing.T) {
	k := newKeeper(t)
	k.keeps(t, "trip", 2*time.Hour, "My name is Ada.", "Hello Ada!", "Where am I?", "In Kyoto,\n\x1b[1mnear the station.")
	out := k.does(t, "show", "trip", "--messages", "3")
	for _, want := range []string{
		"id         trip\n", "title      My name is Ada.\n", "turns      2\n", "messages   4\n", "tokens     20\n",
		"used       200 tokens in (40 cached), 20 out\n", "cost       $0.002469\n", " (2 h ago)\n",
		"\nassistant\n    Hello Ada!\n\nuser\n    Where am I?\n\nassistant\n    In Kyoto,\n    \uFFFD[1mnear the station.\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if strings.Contains(out, "user\n    My name") || strings.Contains(out, "\x1b") {
		t.Errorf("got\n%s", out)
	}
	var s shown
	if err := json.Unmarshal([]byte(k.does(t, "show", "trip", "--json", "--messages", "99")), &s); err != nil || len(s.LastMessages) != 4 || s.Turns != 2 {
		t.Errorf("%v, %+v", err, s)
	}
	if out := k.does(t, "show", "trip", "--messages", "0"); strings.Contains(out, "Kyoto") {
		t.Errorf("got\n%s", out)
	}
	out, _, err := k.sessions(t, "show", "t\x1brap")
	if err == nil || out != "" || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("%v, %s", err, out)
	}
	if _, _, err := k.sessions(t, "show", "other"); err == nil || err.Error() != "show other: there is no such session" {
		t.Errorf("got %v", err)
	}
}

func TestSessionsShow_tells_of_superseded_turns_and_the_summary(t *testing.T) {
	k := newKeeper(t)
	k.keeps(t, "s", time.Hour, "One", "1", "Two", "2")
	key := adas("s")
	edit := turnOf(t, time.Now(), "Two!", "2!")
	edit.Supersedes = memory.Span{First: 2, Last: 2}
	edit.Persona = (&memory.Persona{Name: "teacher"}).Encode()
	edit.Usage = memory.Usage{Input: 1}
	if _, err := k.store.Append(t.Context(), key, edit); err != nil {
		t.Fatal(err)
	}
	session, err := k.store.Load(t.Context(), key, memory.Need{})
	if err != nil {
		t.Fatal(err)
	}
	var covered memory.Totals
	first := turnOf(t, time.Now(), "One", "1")
	covered.Add(&first)
	summary := &memory.Summary{Text: "It counts.", Tokens: 7, UpTo: 1, Covered: covered, Model: "gpt-4o-mini", At: time.Now()}
	if err := k.store.Compact(t.Context(), key, session.Revision, summary); err != nil {
		t.Fatal(err)
	}
	out := k.does(t, "show", "s")
	for _, want := range []string{
		"turns      2 and 1 superseded\n", "cost       $0.002469 and 1 turn of unknown price\n", "persona    teacher\n",
		"summary    of turns 1 to 1, 7 tokens, by gpt-4o-mini, just now\n", "    Two!\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if strings.Contains(out, "    Two\n") {
		t.Errorf("what was superseded is shown:\n%s", out)
	}
}

func TestSessionsDelete_asks_a_person_or_refuses(t *testing.T) {
	k := newKeeper(t)
	k.keeps(t, "a", 0, "x", "y")
	k.keeps(t, "b", 0, "x", "y")
	if _, _, err := k.sessions(t, "delete", "a"); err == nil || !strings.Contains(err.Error(), "--yes") || !k.has(t, "a") {
		t.Errorf("got %v", err)
	}
	reader, writer, err := os.Pipe() // an *os.File that is no terminal
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	defer writer.Close()
	l := k.as(adaKey)
	l.stdin = reader
	if _, _, err := l.run(t.Context(), t, "sessions", "delete", "a"); err == nil || !k.has(t, "a") {
		t.Errorf("got %v", err)
	}
	out, _, err := k.sessions(t, "delete", "a", "nothing", "b", "-y")
	if out != "a is deleted.\nb is deleted.\n" || err == nil || err.Error() != "delete nothing: there is no such session" || k.has(t, "a") || k.has(t, "b") {
		t.Errorf("%v, %s", err, out)
	}
}

func TestAgree_takes_yes_for_an_answer(t *testing.T) {
	for said, agreed := range map[string]bool{"Y\r\n": true, "yes\n": true, "yes": true, "": false, "\n": false, "no\n": false, "yesterday\n": false, strings.Repeat(" ", 100) + "yes\n": false} {
		var asked strings.Builder
		if err := agree(t.Context(), strings.NewReader(said), &asked, "Sure? "); (err == nil) != agreed || asked.String() != "Sure? " {
			t.Errorf("%q: %v after %q", said, err, asked.String())
		}
	}
	reader, writer := io.Pipe()
	defer writer.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := agree(ctx, reader, io.Discard, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestSessionsRebuild_waits_for_the_summary(t *testing.T) {
	k := newKeeper(t)
	k.keeps(t, "s", 0, "One", "1")
	if _, _, err := k.sessions(t, "rebuild", "s"); err == nil || !strings.Contains(err.Error(), "summaries are switched off") {
		t.Errorf("got %v", err)
	}
	k.rebuild = func(context.Context, memory.Key) error { return nil }
	if out := k.does(t, "rebuild", "s"); out != "s is too short to be summarised.\n" {
		t.Errorf("got %s", out)
	}
	k.rebuild = func(ctx context.Context, key memory.Key) error {
		session, err := k.store.Load(ctx, key, memory.Need{Messages: 10})
		if err != nil {
			return err
		}
		return k.store.Compact(ctx, key, session.Revision, &memory.Summary{Text: "It counts.", Tokens: 7, UpTo: 1, Covered: session.Totals, Model: "m", At: time.Now()})
	}
	if out := k.does(t, "rebuild", "s"); out != "s has a new summary of turns 1 to 1, 7 tokens.\n" {
		t.Errorf("got %s", out)
	}
	var rebuilt manage.Rebuilt
	if err := json.Unmarshal([]byte(k.does(t, "rebuild", "s", "--json")), &rebuilt); err != nil || rebuilt.Summary.Text != "It counts." {
		t.Errorf("%v, %+v", err, rebuilt)
	}
}

func TestSessions_say_whose_key_is_missing_or_wrong(t *testing.T) {
	k := newKeeper(t)
	for _, args := range [][]string{{"list"}, {"show", "x"}, {"export", "x"}, {"delete", "x", "-y"}, {"rebuild", "x"}, {"archive", "--older-than", "1d", "--to", t.TempDir()}} {
		for _, key := range []string{"", secretKey} {
			out, errs, err := k.as(key).run(t.Context(), t, append([]string{"sessions"}, args...)...)
			if err == nil || !strings.Contains(err.Error(), "MNEMO_KEY") || strings.Contains(out+errs+err.Error(), secretKey) {
				t.Errorf("%q: %v, %s", args, err, out)
			}
		}
	}
}

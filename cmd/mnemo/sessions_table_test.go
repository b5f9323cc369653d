package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"mnemo/proxy/manage"
)

func TestTable_counts_the_columns_of_a_terminal(t *testing.T) {
	var out bytes.Buffer
	err := (&table{
		head:  []string{"ID", "TITLE", "N"},
		right: []bool{false, false, true},
		rows:  [][]string{{"a", "京都の旅", "1"}, {"long id", "été", "100"}, {"", "👨‍👩‍👧", "5"}},
	}).write(&out)
	want := "" +
		"ID       TITLE       N\n" +
		"a        京都の旅    1\n" +
		"long id  été       100\n" +
		"         👨‍👩‍👧          5\n"
	if err != nil || out.String() != want {
		t.Errorf("%v, got\n%swant\n%s", err, out.String(), want)
	}
}

func TestFit_cuts_between_characters(t *testing.T) {
	for _, c := range []struct {
		text    string
		columns int
		want    string
	}{
		{"short", 5, "short"},
		{"longer", 5, "long…"},
		{"two words", 5, "two…"},
		{"京都の旅行", 10, "京都の旅行"},
		{"京都の旅行", 9, "京都の旅…"},
		{"京都の旅行", 8, "京都の…"},
		{"e\u0301e\u0301e\u0301", 2, "e\u0301…"},
		{"👨‍👩‍👧👨‍👩‍👧", 3, "👨‍👩‍👧…"},
		{"", 0, ""},
		{"x", 0, "…"},
	} {
		if got := fit(c.text, c.columns); got != c.want {
			t.Errorf("%q to %d: got %q, want %q", c.text, c.columns, got, c.want)
		}
	}
}

func TestPrintable_leaves_nothing_that_steers_a_terminal(t *testing.T) {
	for text, want := range map[string]string{
		"plain, 京都, مرحبا":           "plain, 京都, مرحبا",
		"\x1b[2Jgone":                "\uFFFD[2Jgone",
		"\x1b]0;title\x07":           "\uFFFD]0;title\uFFFD",
		"\u009b31mred":               "\uFFFD31mred",
		"a\r\nb\tc\vd\u2028e\u0085f": "a  b c d e\uFFFDf",
		"abc\u202Efdp.exe\u2066":     "abc\uFFFDfdp.exe\uFFFD",
		"\x7f\x00\b":                 "\uFFFD\uFFFD\uFFFD",
		"\xff\xfe":                   "\uFFFD\uFFFD",
	} {
		if got := printable(text); got != want || !utf8.ValidString(got) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got := printableLines("a\n\tb\r\n\x1b[31mc"); got != "a\n\tb \n\uFFFD[31mc" {
		t.Errorf("got %q", got)
	}
}

func TestAgo_says_it_as_people_do(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		-time.Hour: "just now", 59 * time.Second: "just now", time.Minute: "1 min ago", 59 * time.Minute: "59 min ago", time.Hour: "1 h ago",
		47 * time.Hour: "47 h ago", 48 * time.Hour: "2 d ago", 99 * 24 * time.Hour: "99 d ago", 365 * 24 * time.Hour: "2025-03-01",
	} {
		if got := ago(now.Add(-d), now); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

func TestCostOf_tells_nothing_from_not_known(t *testing.T) {
	usd := func(s string) *string { return &s }
	for _, c := range []struct {
		cost        manage.Cost
		short, long string
	}{
		{manage.Cost{}, "?", "nothing"},
		{manage.Cost{UnpricedTurns: 2}, "?", "not known"},
		{manage.Cost{USD: usd("0.0012345")}, "$0.0012", "$0.0012345"},
		{manage.Cost{USD: usd("12")}, "$12.0000", "$12"},
		{manage.Cost{USD: usd("0"), UnpricedTurns: 1}, "$0.0000+", "$0 and 1 turn of unknown price"},
		{manage.Cost{USD: usd("\x1b[31m")}, "\uFFFD[31m", "$\uFFFD[31m"},
	} {
		if got := costOf(&c.cost); got != c.short {
			t.Errorf("%+v: got %q, want %q", c.cost, got, c.short)
		}
		if got := exactCost(&c.cost); got != c.long {
			t.Errorf("%+v: got %q, want %q", c.cost, got, c.long)
		}
	}
}

func TestQuote_shows_all_kinds_of_messages_and_lets_none_forge_another(t *testing.T) {
	for raw, want := range map[string]string{
		`{"role":"user","content":"Hello\nassistant\n    no"}`:                                                                               "user\n    Hello\n    assistant\n        no\n",
		`{"role":"user","content":[{"type":"text","text":"See:"},{"type":"image_url","image_url":{"url":"data:"}}]}`:                         "user\n    See:\n    [image_url]\n",
		`{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"find","arguments":"{\"q\":1}"}}]}`: "assistant\n    [calls find({\"q\":1})]\n",
		`{"role":"assistant","content":"","refusal":"No."}`:                                                                                  "assistant\n    \n    No.\n",
		`{"role":"tool\u001b[1m","content":"x\u001b[2J"}`:                                                                                    "tool\uFFFD[1m\n    x\uFFFD[2J\n",
		`{"role":"user"}`: "user\n    \n",
	} {
		if got := quote(raw); got != want {
			t.Errorf("%s: got %q, want %q", raw, got, want)
		}
	}
	if got := quote(`{"role":"user","content":"` + strings.Repeat("x", 10_000) + `"}`); len(got) > shownText+20 {
		t.Errorf("%d bytes of a long message are shown", len(got))
	}
}

package config

import "testing"

func TestMistake_says_where_which_and_what(t *testing.T) {
	for want, m := range map[string]Mistake{
		"f.yaml:3:7: a.b: bad": {Origin{"f.yaml", 3, 7}, "a.b", "bad"},
		"MNEMO_X: a.b: bad":    {Origin{Name: "MNEMO_X"}, "a.b", "bad"},
		"f.yaml:1:1: bad":      {Origin{"f.yaml", 1, 1}, "", "bad"},
		"a.b: bad":             {Origin{}, "a.b", "bad"},
	} {
		if got := m.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestMistake_covers_its_setting_and_what_is_below(t *testing.T) {
	m := Mistake{Key: "a.b"}
	for key, want := range map[string]bool{"a.b": true, "a.b.c": true, "a.b[0]": true, "a.bc": false, "a": false, "": false} {
		if m.within(key) != want {
			t.Errorf("%s: %v", key, !want)
		}
	}
	if (&Mistake{}).within("a") {
		t.Error("a mistake in the whole file covers every setting")
	}
}

func TestSuggest_finds_slips_of_the_pen_only(t *testing.T) {
	known := []string{"listen", "log", "memory", "on_error", "tls"}
	for word, want := range map[string]string{
		"listne": "listen", "Listen": "listen", "on-error": "on_error", "memroy": "memory", "logs": "log", "onerror": "on_error",
		"colour": "", "": "", "x": "", "sql": "",
	} {
		if want != "" {
			want = " (did you mean " + want + "?)"
		}
		if got := suggest(word, known); got != want {
			t.Errorf("%q gives %q, want %q", word, got, want)
		}
	}
}

func TestDistance_counts_edits_and_swaps(t *testing.T) {
	for pair, want := range map[[2]string]int{
		{"", ""}: 0, {"abc", "abc"}: 0, {"abc", ""}: 3, {"abc", "abd"}: 1, {"abc", "acb"}: 1, {"abc", "ab"}: 1, {"kitten", "sitting"}: 3,
	} {
		if got := distance(pair[0], pair[1]); got != want || distance(pair[1], pair[0]) != want {
			t.Errorf("%q gives %d, want %d", pair, got, want)
		}
	}
}

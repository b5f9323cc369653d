package upstream

import "testing"

func TestTrace_follows_a_text_in_other_pieces_until_it_differs(t *testing.T) {
	trace := newTrace([]byte(`a\u00e4b`))
	for _, step := range []struct {
		piece, rest string
		same, ended bool
	}{{"a", "", true, false}, {"", "", true, false}, {"x", "", false, false}, {"äbc", "c", true, true}, {"d", "d", true, true}} {
		rest, same := trace.follow(step.piece)
		if rest != step.rest || same != step.same || trace.ended() != step.ended {
			t.Errorf("%q: %q, %v, ended %v", step.piece, rest, same, trace.ended())
		}
	}
	if got := trace.again(); got != `a\u00e4b` {
		t.Errorf("told again: %q", got)
	}
}

func TestContinuation_decides_whether_a_text_is_told_again(t *testing.T) {
	for name, c := range map[string]struct {
		pieces []string
		want   string
		open   bool
	}{
		"it is":                {[]string{"ab", "cd", " e"}, "e", false},
		"in one piece":         {[]string{"abcd e"}, "e", false},
		"it is not":            {[]string{"x", "abcd"}, "xabcd", false},
		"it seems so":          {[]string{"ab", "x"}, "abx", false},
		"not yet":              {[]string{"ab", "c"}, "", true},
		"with the space":       {[]string{"abcd", " ", " e"}, " e", false},
		"only the space again": {[]string{" ", "e"}, "e", false},
		"half the space":       {[]string{"e "}, "e ", false},
	} {
		going := continuation{echo: newTrace([]byte("abcd")), space: newTrace([]byte(" "))}
		got := ""
		for _, piece := range c.pieces {
			got += going.follow(piece)
		}
		if got != c.want || going.decided == c.open {
			t.Errorf("%s: %q, decided %v", name, got, going.decided)
		}
		if c.open && going.settle() != "abc" {
			t.Errorf("%s: what seemed so is lost", name)
		}
	}
}

package telemetry

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

func TestLabels_are_bounded(t *testing.T) {
	l := newLabels(3, other)
	for i := range 10_000 {
		name := fmt.Sprint("m", i)
		want := other
		if i < 3 {
			want = name
		}
		if got := l.admit(name); got != want {
			t.Fatalf("%s got label %s", name, got)
		}
	}
	if got := l.admit("m2"); got != "m2" {
		t.Errorf("an admitted name lost its label: %s", got)
	}
	if got := l.known("m9"); got != other {
		t.Errorf("an unknown name has label %s", got)
	}
}

func TestLabels_refuse_what_is_no_name(t *testing.T) {
	l := newLabels(10, other)
	for _, name := range []string{"", "\xff\xfe", strings.Repeat("x", maxLabel+1)} {
		if got := l.admit(name); got != other {
			t.Errorf("%.10q got label %.10q", name, got)
		}
	}
	if len(l.names) != 0 {
		t.Errorf("they take %d places", len(l.names))
	}
}

func TestLabels_stay_bounded_when_many_ask_at_once(t *testing.T) {
	l := newLabels(5, other)
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 200 {
				l.admit(fmt.Sprint(g, "-", i))
				l.admit("shared")
			}
		})
	}
	group.Wait()
	if len(l.names) != 5 {
		t.Errorf("%d names", len(l.names))
	}
}

func TestTable_shares_a_row_once_it_is_full(t *testing.T) {
	built := 0
	table := newTable(-1, func(key int) int { built++; return key })
	for i := range maxSeries {
		if got := table.row(i); got != i {
			t.Fatalf("row %d is %d", i, got)
		}
	}
	if got := table.row(maxSeries); got != -1 {
		t.Errorf("row beyond the limit is %d", got)
	}
	if got := table.row(7); got != 7 {
		t.Errorf("row 7 became %d", got)
	}
	if want := maxSeries + 1; built != want {
		t.Errorf("built %d rows, want %d", built, want)
	}
}

func TestClip_returns_valid_text_of_bounded_length(t *testing.T) {
	for _, s := range []string{"gpt-4o", "a\xffb", strings.Repeat("é", maxLabel), strings.Repeat("x", maxLabel-1) + "é"} {
		got := clip(s)
		if len(got) > maxLabel || !utf8.ValidString(got) || got == "" {
			t.Errorf("clip(%.8q…) is %d bytes: %q", s, len(got), got)
		}
	}
	if got := clip("gpt-4o"); got != "gpt-4o" {
		t.Errorf("got %q", got)
	}
}

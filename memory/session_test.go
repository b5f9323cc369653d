package memory

import (
	"errors"
	"strings"
	"testing"
)

func TestKey_takes_visible_ASCII_only(t *testing.T) {
	longest := strings.Repeat("x", MaxKeyLength)
	for _, half := range []string{"a", "!", "~", "user/42:main", longest} {
		if err := (Key{Tenant: half, Session: half}).Check(); err != nil {
			t.Errorf("%q: %v", half, err)
		}
	}
	for _, half := range []string{"", " ", "a b", "a\n", "\x00", "\x7f", "é", "\xff", longest + "x"} {
		for _, key := range []Key{{Tenant: half, Session: "s"}, {Tenant: "t", Session: half}} {
			if err := key.Check(); !errors.Is(err, ErrKey) {
				t.Errorf("%+v: %v, want ErrKey", key, err)
			}
		}
	}
}

func TestKey_error_names_the_half_and_not_its_value(t *testing.T) {
	err := Key{Tenant: "secret tenant", Session: "s"}.Check()
	if err == nil || !strings.Contains(err.Error(), "tenant must") || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
	err = Key{Tenant: "t"}.Check()
	if err == nil || !strings.Contains(err.Error(), "session must") {
		t.Errorf("error %v", err)
	}
}

func TestTotals_add_up_turns(t *testing.T) {
	s := session(t, "u1*5 a1*7", "u2 u3 c:x", "t:x a2*0")
	bytes, last := 0, pointers(s)[6]
	for _, m := range pointers(s) {
		bytes += len(m.Raw)
	}
	want := Totals{Turns: 3, Messages: 7, Groups: 3, Tokens: int64(5 + 7 + 30 + 10 + last.Bound()), Bytes: int64(bytes)}
	if s.Totals != want {
		t.Errorf("totals %+v, want %+v", s.Totals, want)
	}
}

func TestNeed_is_met_when_each_number_is_reached(t *testing.T) {
	need := Need{Tokens: 100, Groups: 2, Messages: 5}
	for have, want := range map[Totals]bool{
		{Tokens: 100, Groups: 2, Messages: 5}:  true,
		{Tokens: 900, Groups: 20, Messages: 9}: true,
		{Tokens: 99, Groups: 2, Messages: 5}:   false,
		{Tokens: 100, Groups: 1, Messages: 5}:  false,
		{Tokens: 100, Groups: 2, Messages: 4}:  false,
		{}:                                     false,
	} {
		if got := need.Met(have); got != want {
			t.Errorf("%+v: %v, want %v", have, got, want)
		}
	}
	if !(Need{}).Met(Totals{}) {
		t.Error("no need is not met by nothing")
	}
}

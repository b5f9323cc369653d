package config

import "testing"

func TestAmount_is_dollars_or_tokens_exactly(t *testing.T) {
	for text, want := range map[string]Amount{
		"5 USD": {NanoUSD: 5e9}, "0.000000001 USD": {NanoUSD: 1}, "1.50 USD": {NanoUSD: 15e8}, ".5 USD": {NanoUSD: 5e8},
		"1234567.123456789 USD": {NanoUSD: 1234567123456789}, "9000000 USD": {NanoUSD: 9e15},
		"1 tokens": {Tokens: 1}, "100000  tokens": {Tokens: 100_000},
	} {
		var a, again Amount
		if err := a.UnmarshalText([]byte(text)); err != nil || a != want {
			t.Errorf("%s gives %+v, %v", text, a, err)
		}
		if err := again.UnmarshalText([]byte(a.String())); err != nil || again != a {
			t.Errorf("%s is shown as %q", text, a)
		}
	}
	for _, text := range []string{
		"", "5", "USD", " USD", "0 USD", "-1 USD", "+1 USD", "1e3 USD", "1_000 USD", "1. USD", ". USD", "0.0000000001 USD", "9000000.000000001 USD", "99999999999999999999 USD",
		"5 EUR", "5USD", "5 usd", "1.5 tokens", "0 tokens", "9000000000000001 tokens", "5 USD tokens",
	} {
		a := Amount{Tokens: 7}
		if err := a.UnmarshalText([]byte(text)); err == nil || a.Tokens != 7 {
			t.Errorf("%q gives %+v, %v", text, a, err)
		}
	}
	if got := (Amount{}).String(); got != "" {
		t.Errorf("none is shown as %q", got)
	}
}

func TestRate_is_dollars_for_a_million_tokens_exactly(t *testing.T) {
	for text, want := range map[string]Rate{"0": 0, "2.5": 2_500_000, "0.000001": 1, "2000": 2_000_000_000, "10.10": 10_100_000} {
		var r, again Rate
		if err := r.UnmarshalText([]byte(text)); err != nil || r != want {
			t.Errorf("%s gives %d, %v", text, int64(r), err)
		}
		if err := again.UnmarshalText([]byte(r.String())); err != nil || again != r {
			t.Errorf("%s is shown as %q", text, r)
		}
	}
	for _, text := range []string{"", "-1", "2000.000001", "0.0000001", "1e-3", "x", "1.", "."} {
		if err := new(Rate).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

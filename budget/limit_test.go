package budget

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestParseLimit_reads_exact_amounts(t *testing.T) {
	for text, want := range map[string]Limit{
		"10 USD":                  {10_000_000_000, USD},
		"0.50 USD":                {500_000_000, USD},
		" 0.5  usd ":              {500_000_000, USD},
		"0.000000001 USD":         {1, USD},
		"1_000.25 USD":            {1_000_250_000_000, USD},
		"9000000 USD":             {MaxAmount, USD},
		"1_000_000 tokens":        {1_000_000, Tokens},
		"1 token":                 {1, Tokens},
		"9000000000000000 TOKENS": {MaxAmount, Tokens},
	} {
		if got, err := ParseLimit(text); err != nil || got != want {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
}

func TestParseLimit_refuses_what_is_no_exact_amount(t *testing.T) {
	for _, text := range []string{
		"", "10", "USD", "10 EUR", "10USD", "-1 USD", "+1 USD", "1e3 USD", ".5 USD", "1. USD", "1.0000000001 USD",
		"1.5 tokens", "1,000 tokens", "_1 tokens", "1_ tokens", "1__0 tokens", "0x10 tokens", "1 2 USD", "1.2.3 USD", "1._5 USD",
		"0 USD", "0.000000000 USD", "0 tokens", "9000000.000000001 USD", "9000000000000001 tokens",
		strings.Repeat("9", 400) + " tokens",
	} {
		if got, err := ParseLimit(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestLimit_is_told_exactly(t *testing.T) {
	for want, l := range map[string]Limit{
		"5.00 USD":         {5_000_000_000, USD},
		"0.50 USD":         {500_000_000, USD},
		"0.000125 USD":     {125_000, USD},
		"9000000.00 USD":   {MaxAmount, USD},
		"-1.000000001 USD": {-1_000_000_001, USD},
		"1000000 tokens":   {1_000_000, Tokens},
	} {
		if got := l.String(); got != want {
			t.Errorf("%d is %q, want %q", l.Amount, got, want)
		}
	}
}

func TestLimit_goes_through_JSON(t *testing.T) {
	text, err := json.Marshal(Limit{1_250_000_000, USD})
	if err != nil || string(text) != `"1.25 USD"` {
		t.Fatalf("%s, %v", text, err)
	}
	var l Limit
	if err := json.Unmarshal(text, &l); err != nil || l != (Limit{1_250_000_000, USD}) {
		t.Errorf("%v, %v", l, err)
	}
	if err := json.Unmarshal([]byte(`"much"`), &l); err == nil {
		t.Error("much is an amount")
	}
}

func FuzzParseLimit_reads_what_it_tells(f *testing.F) {
	f.Add("10 USD")
	f.Add("1_0.123456789 usd")
	f.Add("7 tokens")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseLimit(text)
		if err != nil {
			return
		}
		if l.Amount <= 0 || l.Amount > MaxAmount {
			t.Fatalf("%q is %d", text, l.Amount)
		}
		if again, err := ParseLimit(l.String()); err != nil || again != l {
			t.Fatalf("%q is %v, then %v, %v", text, l, again, err)
		}
	})
}

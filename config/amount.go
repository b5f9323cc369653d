package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// A Rate is what tokens cost, in millionths of a dollar for a million of them. As
// text it is dollars for a million, with up to six decimals.
type Rate int64

// String is the rate in dollars for a million tokens.
func (r Rate) String() string { return formatDecimal(int64(r), rateDecimals) }

// UnmarshalText reads a rate of at most 2000 dollars for a million tokens.
func (r *Rate) UnmarshalText(text []byte) error {
	n, ok := parseDecimal(string(text), rateDecimals)
	if !ok || n > maxRate {
		return errors.New("must be dollars for a million tokens, at most 2000, with at most 6 decimals")
	}
	*r = Rate(n)
	return nil
}

// An Amount is what a budget allows: dollars or tokens. As text it is "5 USD", with
// up to nine decimals, or "100000 tokens". One of its fields is above 0; the zero
// value is no amount.
type Amount struct {
	NanoUSD int64 // billionths of a dollar
	Tokens  int64
}

// String is the amount as it would be written in a file.
func (a Amount) String() string {
	switch {
	case a.NanoUSD > 0:
		return formatDecimal(a.NanoUSD, usdDecimals) + " USD"
	case a.Tokens > 0:
		return strconv.FormatInt(a.Tokens, 10) + " tokens"
	}
	return ""
}

// UnmarshalText reads an amount.
func (a *Amount) UnmarshalText(text []byte) error {
	number, unit, _ := strings.Cut(string(text), " ")
	var read Amount
	var ok bool
	switch strings.TrimLeft(unit, " ") {
	case "USD":
		read.NanoUSD, ok = parseDecimal(number, usdDecimals)
		ok = ok && read.NanoUSD <= maxNanoUSD
	case "tokens":
		read.Tokens, ok = parseDecimal(number, 0)
		ok = ok && read.Tokens <= maxTokens
	}
	if !ok || read == (Amount{}) {
		return errors.New(`must be an amount above 0 such as "5 USD" or "100000 tokens"`)
	}
	*a = read
	return nil
}

// Private

const (
	rateDecimals = 6
	maxRate      = 2000_000000
	usdDecimals  = 9
	maxNanoUSD   = 9_000_000 * 1_000_000_000
	maxTokens    = 9_000_000_000_000_000
)

// parseDecimal reads a decimal number exactly, in units of its last place.
func parseDecimal(text string, places int) (int64, bool) {
	whole, fraction, dotted := strings.Cut(text, ".")
	if dotted && fraction == "" || len(fraction) > places {
		return 0, false
	}
	n, err := strconv.ParseUint(whole+fraction+strings.Repeat("0", places-len(fraction)), 10, 63)
	return int64(min(n, math.MaxInt64)), err == nil && text != ""
}

func formatDecimal(n int64, places int) string {
	digits := strconv.FormatInt(n, 10)
	if missing := places + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	whole, fraction := digits[:len(digits)-places], strings.TrimRight(digits[len(digits)-places:], "0")
	if fraction == "" {
		return whole
	}
	return whole + "." + fraction
}

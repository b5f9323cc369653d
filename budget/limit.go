package budget

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Units of a Limit.
const (
	USD    Unit = "USD" // counted in nano-dollars
	Tokens Unit = "tokens"
)

// MaxAmount bounds limits and sums: nine million dollars, or 9e15 tokens. Every whole number up to
// it is exact as a float64 too, which is what Redis computes with. Sums stay there.
const MaxAmount int64 = 9_000_000_000_000_000

const (
	nanoPerDollar = 1_000_000_000
	decimals      = 9
)

var errLimit = errors.New("must be an amount such as 10 USD, 0.50 USD or 1_000_000 tokens")

// A Unit is what is counted.
type Unit string

// A Limit is an amount: nano-dollars or tokens.
type Limit struct {
	Amount int64
	Unit   Unit
}

// ParseLimit reads an amount such as "10 USD", "0.50 USD" or "1_000_000 tokens". Dollars may have
// nine decimals. It must be more than 0 and at most MaxAmount.
func ParseLimit(text string) (Limit, error) {
	number, unit, _ := strings.Cut(strings.TrimSpace(text), " ")
	var l Limit
	switch unit = strings.TrimSpace(unit); {
	case strings.EqualFold(unit, "usd"):
		l.Unit = USD
	case strings.EqualFold(unit, "tokens"), strings.EqualFold(unit, "token"):
		l.Unit = Tokens
	default:
		return Limit{}, errLimit
	}
	whole, fraction, point := strings.Cut(number, ".")
	if point && (l.Unit != USD || !digits(fraction) || len(fraction) > decimals) {
		return Limit{}, errLimit
	}
	plain := ungroup(whole)
	if !digits(plain) {
		return Limit{}, errLimit
	}
	if l.Unit == USD {
		plain += fraction + strings.Repeat("0", decimals-len(fraction))
	}
	amount, err := strconv.ParseInt(plain, 10, 64) // only its range can be wrong
	if err != nil || amount > MaxAmount {
		return Limit{}, fmt.Errorf("must be at most %s", Limit{MaxAmount, l.Unit})
	}
	if amount == 0 {
		return Limit{}, errors.New("must be more than 0")
	}
	l.Amount = amount
	return l, nil
}

// String is the exact amount, as ParseLimit reads it: "5.00 USD", "0.000125 USD", "1000000 tokens".
func (l Limit) String() string {
	if l.Unit != USD {
		return strconv.FormatInt(l.Amount, 10) + " " + string(l.Unit)
	}
	whole, rest := l.Amount/nanoPerDollar, l.Amount%nanoPerDollar
	sign := ""
	if l.Amount < 0 {
		sign, whole, rest = "-", -whole, -rest
	}
	fraction := strings.TrimRight(fmt.Sprintf("%0*d", decimals, rest), "0")
	for len(fraction) < 2 {
		fraction += "0"
	}
	return sign + strconv.FormatInt(whole, 10) + "." + fraction + " USD"
}

// MarshalText implements encoding.TextMarshaler as String.
func (l Limit) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler as ParseLimit.
func (l *Limit) UnmarshalText(text []byte) (err error) {
	*l, err = ParseLimit(string(text))
	return err
}

// Private

// ungroup removes underscores that stand between digits.
func ungroup(s string) string {
	if strings.HasPrefix(s, "_") || strings.HasSuffix(s, "_") || strings.Contains(s, "__") {
		return ""
	}
	return strings.ReplaceAll(s, "_", "")
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

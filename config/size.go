package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// Units of a Size.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
)

// A Size is a number of bytes. As text it is a whole number with an optional
// unit: KiB, MiB and GiB are powers of 1024, kB, MB and GB powers of 1000.
type Size int64

// UnmarshalText reads a size. A space may stand before the unit, whose case does
// not matter.
func (s *Size) UnmarshalText(text []byte) error {
	number, unit := string(text), ""
	if i := strings.IndexFunc(number, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		number, unit = number[:i], strings.TrimLeft(number[i:], " ")
	}
	factor, known := sizeUnits[strings.ToLower(unit)]
	n, err := strconv.ParseInt(number, 10, 64)
	switch {
	case !known || errors.Is(err, strconv.ErrSyntax):
		return errors.New("must be a size such as 32MiB, 16MB or a number of bytes")
	case err != nil || n > math.MaxInt64/int64(factor):
		return errors.New("must be a smaller size")
	}
	*s = Size(n) * factor
	return nil
}

// String is the shortest exact form, in powers of 1024.
func (s Size) String() string {
	switch {
	case s != 0 && s%GiB == 0:
		return strconv.FormatInt(int64(s/GiB), 10) + "GiB"
	case s != 0 && s%MiB == 0:
		return strconv.FormatInt(int64(s/MiB), 10) + "MiB"
	case s != 0 && s%KiB == 0:
		return strconv.FormatInt(int64(s/KiB), 10) + "KiB"
	}
	return strconv.FormatInt(int64(s), 10)
}

// Private

var sizeUnits = map[string]Size{
	"": 1, "b": 1,
	"kib": KiB, "mib": MiB, "gib": GiB,
	"kb": 1e3, "mb": 1e6, "gb": 1e9,
}

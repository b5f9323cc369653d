package config

import (
	"errors"
	"time"
)

// A Date is a day, at its beginning in UTC. The zero value is none, and "" as text.
type Date struct{ time.Time }

// String is the day as it would be written in a file: 2026-01-31.
func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	return d.Format(time.DateOnly)
}

// MarshalText returns what String returns.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a day.
func (d *Date) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*d = Date{}
		return nil
	}
	day, err := time.Parse(time.DateOnly, string(text))
	if err != nil {
		return errors.New("must be a date such as 2026-01-31")
	}
	*d = Date{day}
	return nil
}

package budget

import "time"

// Periods of a Rule: the hours, days and months of the calendar in UTC.
const (
	Hour  Period = "hour"
	Day   Period = "day"
	Month Period = "month"
)

// A Period is how long a sum grows until it begins anew.
type Period string

// Window is the period that holds t: it begins at from and has ended at until.
func (p Period) Window(t time.Time) (from, until time.Time) {
	t = t.UTC()
	year, month, day := t.Date()
	switch p {
	case Hour:
		from = t.Truncate(time.Hour)
		return from, from.Add(time.Hour)
	case Day:
		from = time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
		return from, from.AddDate(0, 0, 1)
	default:
		from = time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
		return from, from.AddDate(0, 1, 0)
	}
}

// Private

// each is the period as it is said of an amount.
func (p Period) each() string {
	if p == Hour {
		return "an hour"
	}
	return "a " + string(p)
}

package budget

import (
	"testing"
	"time"
)

func TestPeriod_follows_the_calendar_in_UTC(t *testing.T) {
	for _, c := range []struct {
		per             Period
		at, from, until string
	}{
		{Hour, "2026-11-21T10:59:59.999999999Z", "2026-11-21T10:00:00Z", "2026-11-21T11:00:00Z"},
		{Hour, "2026-11-21T11:00:00Z", "2026-11-21T11:00:00Z", "2026-11-21T12:00:00Z"},
		{Hour, "2026-11-21T05:45:00+05:30", "2026-11-21T00:00:00Z", "2026-11-21T01:00:00Z"},
		{Day, "2026-11-21T00:30:00+02:00", "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"},
		{Day, "2028-02-28T23:59:59Z", "2028-02-28T00:00:00Z", "2028-02-29T00:00:00Z"},
		{Day, "2026-12-31T12:00:00Z", "2026-12-31T00:00:00Z", "2027-01-01T00:00:00Z"},
		{Month, "2028-02-29T23:59:59Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"},
		{Month, "2027-02-28T23:59:59Z", "2027-02-01T00:00:00Z", "2027-03-01T00:00:00Z"},
		{Month, "2026-01-31T00:00:00Z", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"},
		{Month, "2027-01-01T00:30:00+01:00", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"},
	} {
		at, err := time.Parse(time.RFC3339Nano, c.at)
		if err != nil {
			t.Fatal(err)
		}
		from, until := c.per.Window(at)
		if f, u := from.Format(time.RFC3339Nano), until.Format(time.RFC3339Nano); f != c.from || u != c.until {
			t.Errorf("the %s of %s is %s to %s", c.per, c.at, f, u)
		}
	}
}

func TestPeriod_leaves_no_moment_out(t *testing.T) {
	end := time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, per := range []Period{Hour, Day, Month} {
		for at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); at.Before(end); {
			from, until := per.Window(at)
			last, _ := per.Window(until.Add(-1))
			if !from.Equal(at) || !last.Equal(at) || !until.After(from) {
				t.Fatalf("the %s that begins at %s is %s to %s", per, at, from, until)
			}
			at = until
		}
	}
}

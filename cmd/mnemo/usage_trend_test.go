package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mnemo/ledger"
	"mnemo/proxy/manage"
)

func TestSparkline_shows_what_is_little(t *testing.T) {
	for want, values := range map[string][]int64{
		"·": {0}, "█": {1}, "▁█": {1, 1 << 60}, "·▁▂▃▄▅▆▇█": {0, 1, 2, 3, 4, 5, 6, 7, 8}, "··": {0, -5}, "███": {3, 3, 3},
	} {
		if got := sparkline(values); got != want {
			t.Errorf("%v: got %s, want %s", values, got, want)
		}
	}
}

func TestBar_shows_what_is_little_and_ends_in_time(t *testing.T) {
	for share, want := range map[float64]string{0: "", -1: "", 1e-9: "▏", 0.5: "██", 0.6: "██▍", 1: "████", 7: "████"} {
		if got := bar(share, 4); got != want {
			t.Errorf("%v: got %s, want %s", share, got, want)
		}
	}
}

// rowsOf are rows of a model by day, each with a cost.
func rowsOf(days map[string]int64, from string) *manage.UsageReport {
	total := int64(0)
	r := &manage.UsageReport{GroupBy: []ledger.Dimension{ledger.ByModel, ledger.ByDay}}
	for at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); at.Before(noon); at = at.AddDate(0, 0, 1) {
		if cost, spent := days[at.Format(time.DateOnly)]; spent {
			total += cost
			row := manage.UsageRow{Group: map[ledger.Dimension]string{"model": "m", "day": at.Format(time.RFC3339)}}
			row.NanoUSD = &cost
			r.Rows = append(r.Rows, row)
		}
	}
	r.Groups, r.Total.NanoUSD = len(r.Rows), &total
	if at, err := time.Parse(time.DateOnly, from); err == nil {
		r.From = &manage.Time{Time: at}
	}
	return r
}

func TestTrend_is_of_the_time_that_is_asked_for(t *testing.T) {
	by := []ledger.Dimension{ledger.ByModel}
	for _, c := range []struct {
		days        map[string]int64
		from        string
		title, want string
	}{
		{map[string]int64{"2026-02-27": 8, "2026-03-01": 1}, "2026-02-25", "COST BY DAY", "··█·▁"},
		{map[string]int64{"2026-02-27": 8, "2026-03-01": 1}, "", "COST BY DAY", "█·▁"},
		{map[string]int64{"2026-02-28": 4, "2026-03-01": 8}, "2001-01-01", "COST BY DAY", "▄█"},
		{map[string]int64{"2026-01-01": 8, "2026-01-02": 8, "2026-01-03": 2, "2026-03-01": 4}, "", "COST BY 2 DAYS", "█▁" + strings.Repeat("·", 27) + "▂"},
		{map[string]int64{"2026-02-28": 0}, "", "TOKENS BY DAY", "··"},
	} {
		got := newTrend(rowsOf(c.days, c.from), by, noon)
		if line := sparkline(got.lines[`"m"`]); got.title != c.title || line != c.want || got.total() != c.want {
			t.Errorf("%v from %q: got %s %s, want %s %s", c.days, c.from, got.title, line, c.title, c.want)
		}
	}
}

func TestTrend_survives_clocks_that_differ_and_servers_that_do_not_know_days(t *testing.T) {
	early := newTrend(rowsOf(map[string]int64{"2026-02-28": 1, "2026-03-01": 1}, ""), nil, noon.AddDate(-1, 0, 0))
	if early == nil || early.total() != "██" {
		t.Errorf("got %+v", early)
	}
	none := rowsOf(map[string]int64{"2026-02-28": 1}, "")
	none.Rows[0].Group = map[ledger.Dimension]string{"model": "m"}
	if got := newTrend(none, nil, noon); got != nil {
		t.Errorf("got %+v", got)
	}
	if got := newTrend(rowsOf(nil, ""), nil, noon); got != nil {
		t.Errorf("got %+v", got)
	}
}

// A ledger with more groups and days than are sent shows no trend rather than a part.
func TestTrend_that_is_not_whole_is_not_shown(t *testing.T) {
	for groups, want := range map[int]bool{1: true, 2: false} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			const sums = `"calls":1,"cost_nano_usd":7`
			by := strings.Split(r.URL.Query().Get("group_by"), ",")
			if len(by) == 1 {
				fmt.Fprintf(w, `{"group_by":["session"],"rows":[{"group":{"session":"s"},%s}],"total":{%s},"groups":1}`, sums, sums)
				return
			}
			fmt.Fprintf(w, `{"group_by":["session","day"],"rows":[{"group":{"session":"s","day":"2026-03-01T00:00:00Z"},%s}],"total":{%s},"groups":%d}`, sums, sums, groups)
		}))
		_, out, errs := (&accounts{url: server.URL}).run(t, adaKey, "usage", "--by", "session")
		server.Close()
		if head, _, _ := strings.Cut(out, "\n"); strings.Contains(head, "COST BY ") != want {
			t.Errorf("%d groups: got %s%s", groups, out, errs)
		}
	}
}

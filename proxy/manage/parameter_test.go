package manage

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"mnemo/proxy/apierror"
)

// asked is a request with a query.
func asked(query string) *request {
	web := new(fasthttp.RequestCtx)
	web.Request.SetRequestURI("/api/x?" + query)
	return &request{api: &api{Options: Options{Now: func() time.Time { return today }}}, web: web}
}

func TestMoment_is_a_time_a_day_or_how_long_ago(t *testing.T) {
	for text, want := range map[string]time.Time{
		"at=2026-02-01T03:00:00Z": time.Date(2026, 2, 1, 3, 0, 0, 0, time.UTC), "at=2026-02-01T03:00:00.5-01:30": time.Date(2026, 2, 1, 4, 30, 0, 5e8, time.UTC),
		"at=2026-02-01": time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), "at=0d": today, "at=36500d": today.AddDate(0, 0, -36500), "at=1d": today.AddDate(0, 0, -1),
		"at=1h30m": today.Add(-90 * time.Minute), "at=0s": today, "": {},
	} {
		if got, err := asked(text).moment("at"); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "-1d", "36501d", "1.5d", "-1h", "7", "1w", "2026-02-30", "2026-02-01 03:00:00Z", "yesterday", "1d ", "99999999999999999999d"} {
		got, err := asked("at=" + text).moment("at")
		var e *apierror.Error
		if !errors.As(err, &e) || e.Param != "at" || e.Status != http.StatusBadRequest || !got.IsZero() {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestParameters_are_bounded(t *testing.T) {
	for query, valid := range map[string]bool{"": true, "w=abc": true, "w=%E4%BA%AC": true, "w=": false, "w=abcd": false, "w=%FF": false} {
		if word, err := asked(query).word("w", 3); (err == nil) != valid || err != nil && word != "" {
			t.Errorf("%s: %q, %v", query, word, err)
		}
	}
	for query, want := range map[string]string{"": "none", "c=a": "a", "c=b": "b", "c=": "", "c=A": "", "c=a,b": ""} {
		if got, err := asked(query).choice("c", "none", "a", "b"); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", query, got, err)
		}
	}
	for query, want := range map[string]int64{"": 5, "n=1": 1, "n=9": 9, "n=0": 0, "n=10": 0, "n=-1": 0, "n=1e1": 0, "n=": 0, "n=99999999999999999999": 0} {
		if got, err := asked(query).number("n", 9, 5); got != want || (err == nil) != (want != 0) {
			t.Errorf("%s: %d, %v", query, got, err)
		}
	}
}

package manage

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"mnemo/ledger"
)

func TestUsage_adds_calls_up_exactly(t *testing.T) {
	r := newAccountRig(t,
		callAt(time.Hour, func(e *ledger.Entry) {
			e.Stream, e.FirstToken = true, 400*time.Millisecond
			e.Memory = ledger.Memory{Status: "ok", Turns: 2, Tokens: 60, Dropped: 3}
			e.FullKnown, e.FullInput, e.FullCost, e.FullCostCached = true, 900, 1_250_001, 200_000
		}),
		callAt(2*time.Hour, func(e *ledger.Entry) { e.Cost, e.Latency, e.Measured = 1, 500*time.Millisecond, false }),
		callAt(3*time.Hour, func(e *ledger.Entry) { e.ModelUsed, e.Priced, e.Degraded = "house-llama", false, true }),
		callAt(4*time.Hour, func(e *ledger.Entry) {
			e.ModelUsed, e.Priced, e.Usage, e.Attempts, e.Status, e.Measured = "house-llama", true, ledger.Usage{}, nil, 200, true
			e.Cost, e.Cached = 0, true
		}),
		callAt(5*time.Hour, func(e *ledger.Entry) {
			e.Status, e.Error, e.Usage, e.Priced, e.Measured = 502, "upstream", ledger.Usage{}, false, false
		}))
	var report UsageReport
	a := r.want(http.StatusOK, http.MethodGet, "/api/usage?group_by=model", "", &report)
	if report.Groups != 2 || len(report.Rows) != 2 || report.From != nil || report.To != nil {
		t.Fatalf("%s", a.body)
	}
	total := &report.Total
	if total.Calls != 5 || total.Measured != 3 || total.Estimated != 1 || total.Unpriced != 1 || total.Errors != 1 || total.Cached != 1 ||
		total.Degraded != 1 || total.Streams != 1 || total.Attempts != 4 || total.Tokens != (CallTokens{Input: 300, CachedInput: 120, Output: 30}) {
		t.Errorf("%+v", total)
	}
	if *total.NanoUSD != 250_001 || *total.USD != "0.000250001" || *total.Latency != 1300 || *total.FirstToken != 400 || total.Memory != (UsageMemory{60, 3}) {
		t.Errorf("%s", a.body)
	}
	h := total.WholeHistory
	if h.Calls != 1 || h.Input != 900 || h.UsedInput != 100 || h.Priced != 1 || *h.Used.NanoUSD != 250_000 ||
		*h.Uncached.SavedNanoUSD != 1_000_001 || *h.Uncached.SavedUSD != "0.001000001" || *h.Uncached.USD != "0.001250001" ||
		*h.Cached.NanoUSD != 200_000 || *h.Cached.SavedNanoUSD != -50_000 || *h.Cached.SavedUSD != "-0.00005" {
		t.Errorf("%s", a.body)
	}
	dear, cheap := &report.Rows[0], &report.Rows[1]
	if dear.Group["model"] != "gpt-4o-2024-11-20" || dear.Calls != 3 || len(dear.Group) != 1 {
		t.Errorf("%+v", dear)
	}
	if cheap.Group["model"] != "house-llama" || *cheap.USD != "0" || cheap.Unpriced != 1 || cheap.WholeHistory != nil || cheap.FirstToken != nil {
		t.Errorf("%+v", cheap)
	}
}

func TestUsage_knows_no_cost_where_no_price_is_known(t *testing.T) {
	r := newAccountRig(t, callAt(0, func(e *ledger.Entry) {
		e.Priced, e.FullKnown, e.FullInput, e.FullCost = false, true, 500, 7
	}))
	var report UsageReport
	a := r.want(http.StatusOK, http.MethodGet, "/api/usage", "", &report)
	if total := report.Total; total.NanoUSD != nil || total.USD != nil || total.WholeHistory == nil || total.WholeHistory.Uncached.NanoUSD != nil || total.WholeHistory.Used.USD != nil {
		t.Errorf("%s", a.body)
	}
	a = r.want(http.StatusOK, http.MethodGet, "/api/usage?model=nobodys", "", &report)
	if total := report.Total; total.Calls != 0 || *total.USD != "0" || total.Latency != nil || len(report.Rows) != 0 {
		t.Errorf("%s", a.body)
	}
}

func TestUsage_is_of_the_time_that_is_asked_for(t *testing.T) {
	r := newAccountRig(t,
		callAt(0, nil), callAt(30*time.Minute, nil), callAt(9*time.Hour, nil), callAt(10*time.Hour, nil), callAt(6*24*time.Hour, nil), callAt(8*24*time.Hour, nil))
	for query, want := range map[string]int64{
		"": 6, "from=7d": 5, "since=7d": 5, "since=24h": 4, "from=90m": 2, "from=2026-03-01": 3, "from=2026-03-01T00:00:00Z": 3,
		"from=2026-03-01T00:00:00%2B01:00": 4, "from=2026-02-28&to=2026-03-01": 1, "to=2026-03-01": 3, "from=10h&to=9h": 1, "from=9d&to=7d": 1,
	} {
		var report UsageReport
		if r.want(http.StatusOK, http.MethodGet, "/api/usage?"+query, "", &report); report.Total.Calls != want {
			t.Errorf("%s: %d calls, want %d", query, report.Total.Calls, want)
		}
	}
	a := r.want(http.StatusOK, http.MethodGet, "/api/usage?since=1h&to=2026-03-02", "", nil)
	if !strings.HasPrefix(a.body, `{"from":"2026-03-01T08:30:00.123Z","to":"2026-03-02T00:00:00.000Z","group_by":[]`) {
		t.Error(a.body)
	}
}

func TestUsage_groups_filters_and_orders(t *testing.T) {
	other := func(ago time.Duration, model, session string, cost int64) ledger.Entry {
		return callAt(ago, func(e *ledger.Entry) { e.ModelUsed, e.Session, e.Cost = model, session, cost })
	}
	r := newAccountRig(t,
		other(time.Hour, "a", "s1", 5), other(2*time.Hour, "b", "s1", 9), other(26*time.Hour, "a", "s2", 7), other(27*time.Hour, "b", "", 1),
		callAt(3*time.Hour, func(e *ledger.Entry) {
			e.ModelUsed, e.Session, e.Cost, e.Operation, e.Upstream, e.Key = "c", "s3", 3, ledger.OperationSummarize, "azure", "k2"
		}))
	rows := func(query string) string {
		t.Helper()
		var report UsageReport
		r.want(http.StatusOK, http.MethodGet, "/api/usage?"+query, "", &report)
		var out []string
		for _, row := range report.Rows {
			var parts []string
			for _, d := range report.GroupBy {
				parts = append(parts, row.Group[d])
			}
			out = append(out, strings.Join(append(parts, *row.USD), " "))
		}
		return strings.Join(out, ", ")
	}
	for query, want := range map[string]string{
		"group_by=model":                     "a 0.000000012, b 0.00000001, c 0.000000003",
		"group_by=model&limit=1":             "a 0.000000012",
		"group_by=session,model":             "s1 b 0.000000009, s2 a 0.000000007, s1 a 0.000000005, s3 c 0.000000003,  b 0.000000001",
		"group_by=day&order=time":            "2026-02-28T00:00:00Z 0.000000008, 2026-03-01T00:00:00Z 0.000000017",
		"group_by=hour&model=a&order=time":   "2026-02-28T07:00:00Z 0.000000007, 2026-03-01T08:00:00Z 0.000000005",
		"group_by=operation,upstream,key":    "chat openai a 0.000000022, summarize azure k2 0.000000003",
		"session=s1":                         "0.000000014",
		"upstream=azure&key=k2&model=c":      "0.000000003",
		"operation=chat&group_by=tenant":     "ada 0.000000022",
		"operation=summarize&group_by=model": "c 0.000000003",
	} {
		if got := rows(query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	var report UsageReport
	if r.want(http.StatusOK, http.MethodGet, "/api/usage?group_by=model&limit=2", "", &report); report.Groups != 3 || report.Total.Calls != 5 {
		t.Errorf("%+v", report)
	}
}

func TestUsage_shows_tenants_their_own_and_admins_all(t *testing.T) {
	r := newAccountRig(t, callAt(0, nil), callAt(0, func(e *ledger.Entry) { e.Tenant = "bob" }), callAt(0, func(e *ledger.Entry) { e.Tenant = "" }))
	calls := func(r *rig, query string) int64 {
		t.Helper()
		var report UsageReport
		r.want(http.StatusOK, http.MethodGet, "/api/usage?group_by=tenant"+query, "", &report)
		return report.Total.Calls
	}
	if n := calls(r, ""); n != 1 {
		t.Errorf("ada sees %d calls", n)
	}
	for query, want := range map[string]int64{"": 0, "&tenant=ada": 1, "&all=true": 3, "&all=false&tenant=bob": 1} {
		if n := calls(r.as(root), query); n != want {
			t.Errorf("root sees %d calls with %q, want %d", n, query, want)
		}
	}
	r.refused(http.StatusForbidden, "admin_only", http.MethodGet, "/api/usage?all=true", "")
	r.as(bobs).refused(http.StatusForbidden, "admin_only", http.MethodGet, "/api/usage?tenant=ada", "")
	r.as(root).refused(http.StatusBadRequest, "invalid_parameter", http.MethodGet, "/api/usage?all=true&tenant=ada", "")
}

func TestUsage_names_the_parameter_that_is_wrong(t *testing.T) {
	r := newAccountRig(t)
	for _, query := range []string{
		"from=", "from=soon", "from=-1h", "from=99999d", "from=2026-13-01", "to=2026", "to=later", "since=1w",
		"to=9999d", "group_by=", "group_by=models", "group_by=model,model", "group_by=day,hour", "group_by=model,session,key,day",
		"group_by=model,", "model=", "session=" + strings.Repeat("x", 257), "upstream=%FF", "key=", "operation=chats", "order=name", "order=time", "order=",
		"limit=0", "limit=10001", "limit=x", "format=xml", "all=yes",
	} {
		name, _, _ := strings.Cut(query, "=")
		if query == "to=9999d" {
			query = "from=1d&to=9999d"
		}
		a := r.refused(http.StatusBadRequest, "invalid_parameter", http.MethodGet, "/api/usage?"+query, "")
		if !strings.Contains(a.body, `"message":"`+name+" ") || !strings.Contains(a.body, `"param":"`+name+`"`) {
			t.Errorf("%s: %s", query, a.body)
		}
	}
	r.refused(http.StatusBadRequest, "invalid_parameter", http.MethodGet, "/api/usage?since=1d&from=1d", "")
}

func TestUsage_as_CSV_starts_no_formula(t *testing.T) {
	const evil = `=HYPERLINK("http://x","y")`
	r := newAccountRig(t,
		callAt(time.Hour, func(e *ledger.Entry) { e.Session = evil }),
		callAt(time.Hour, func(e *ledger.Entry) { e.Session, e.Priced = "@SUM(A1)\r\n,x", false }))
	a := r.want(http.StatusOK, http.MethodGet, "/api/usage?group_by=session,day&format=csv", "", nil)
	if got := a.header.Get("Content-Type"); got != "text/csv; charset=utf-8" || a.header.Get("Content-Disposition") != `attachment; filename="usage.csv"` ||
		a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%v", a.header)
	}
	rows, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Fatalf("%v: %s", err, a.body)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	if rows[1][0] != "'"+evil || rows[1][1] != "2026-03-01T00:00:00Z" || rows[1][column["cost_usd"]] != "0.00025" {
		t.Errorf("%q", rows[1])
	}
	if !strings.HasPrefix(rows[2][0], "'@SUM(A1)") || strings.ContainsAny(rows[2][0], "\r\n") || rows[2][column["cost_usd"]] != "" || rows[2][column["unpriced"]] != "1" {
		t.Errorf("%q", rows[2])
	}
}

func TestUsage_of_ten_thousand_groups_is_whole(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Ledger = plenty{} })
	var report UsageReport
	r.large("/api/usage?group_by=session,model,day&limit=10000", func(body io.Reader) error { return json.NewDecoder(body).Decode(&report) })
	if len(report.Rows) != 10_000 || report.Groups != 10_001 || *report.Total.NanoUSD != 10_001*10_000/2 || report.Rows[9_999].Group["session"] != "s1" || *report.Rows[9_999].NanoUSD != 1 {
		t.Errorf("%d rows of %d, %+v", len(report.Rows), report.Groups, report.Total)
	}
	var rows [][]string
	r.large("/api/usage?group_by=session,model,day&limit=10000&format=csv", func(body io.Reader) (err error) {
		rows, err = csv.NewReader(body).ReadAll()
		return err
	})
	if len(rows) != 10_001 || rows[10_000][0] != "s1" {
		t.Errorf("%d rows", len(rows))
	}
}

// A plenty ledger has ten thousand and one sessions.
type plenty struct{ ledger.Store }

func (plenty) Usage(_ context.Context, q ledger.Query) (report ledger.Report, err error) {
	err = q.Settle()
	for i := range 10_001 {
		e := callAt(0, func(e *ledger.Entry) { e.Session, e.Cost = "s"+strconv.Itoa(i), int64(i) })
		row := ledger.Row{Group: ledger.Group{Session: e.Session, Model: e.ModelUsed, Time: ledger.Day(today)}, Sums: ledger.SumsOf(&e)}
		report.Rows, report.Groups = append(report.Rows, row), report.Groups+1
		report.Total.Add(&row.Sums)
	}
	report.Finish(&q)
	return report, err
}

// large reads an answer that is too large to be checked against the document in a moment.
func (r *rig) large(path string, read func(io.Reader) error) {
	r.t.Helper()
	request, err := http.NewRequest(http.MethodGet, r.base+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+r.key)
	answer, err := r.client.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := read(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		r.t.Errorf("%s: %d, %v", path, answer.StatusCode, err)
	}
}

// An away ledger answers with an error.
type away struct {
	ledger.Store
	err error
}

func (l away) Usage(context.Context, ledger.Query) (ledger.Report, error) {
	return ledger.Report{}, l.err
}

func (l away) Call(context.Context, ledger.Scope, string) ([]ledger.Entry, error) {
	return nil, l.err
}

func TestLedger_that_fails_is_no_secret_told(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{errors.New("dial tcp 10.1.2.3:5432: connection refused"), http.StatusServiceUnavailable, "ledger_unavailable"},
		{fmt.Errorf("10.1.2.3: %w", context.DeadlineExceeded), http.StatusGatewayTimeout, "timeout"},
		{fmt.Errorf("10.1.2.3: %w", ledger.ErrTooWide), http.StatusBadRequest, "too_many_groups"},
		{fmt.Errorf("%w: by", ledger.ErrQuery), http.StatusBadRequest, "invalid_parameter"},
	} {
		r := newRig(t, func(o *Options) { o.Ledger = away{err: c.err} })
		for _, path := range []string{"/api/usage?group_by=session", "/api/calls/req-1"} {
			if a := r.refused(c.status, c.code, http.MethodGet, path, ""); strings.Contains(a.body, "10.1.2.3") {
				t.Error(a.body)
			}
		}
		if c.status >= 500 && !strings.Contains(r.log.String(), c.err.Error()) {
			t.Errorf("the log says %q", r.log.String())
		}
	}
}

func TestLedger_that_is_not_kept_is_said_so(t *testing.T) {
	r := newRig(t, nil)
	for _, path := range []string{"/api/usage", "/api/calls/x"} {
		if a := r.refused(http.StatusNotImplemented, "not_configured", http.MethodGet, path, ""); !strings.Contains(a.body, "ledger.enabled") {
			t.Error(a.body)
		}
	}
	if r.log.String() != "" {
		t.Errorf("the log says %q", r.log.String())
	}
}

// Every column of the CSV is in the JSON too: no sum is forgotten.
func TestUsage_has_every_sum_of_the_ledger(t *testing.T) {
	var sums ledger.Sums
	for i, value := range sums.Values() {
		*value = int64(1000 + i)
	}
	want := reflect.ValueOf(sumsOf(&sums))
	for i := range want.NumField() {
		if want.Field(i).IsZero() {
			t.Errorf("%s is not filled in", want.Type().Field(i).Name)
		}
	}
}

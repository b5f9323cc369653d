package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"mnemo/budget"
)

const alertSecret = "whsec-5ecret"

// A bell is a webhook of alerts. It fails once before it takes the first.
type bell struct {
	url string

	mu    sync.Mutex
	tries int
	rung  []gjson.Result
	wrong []string // signatures
	heard chan struct{}
}

func newBell(t *testing.T) *bell {
	b := &bell{heard: make(chan struct{}, 64)}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	b.url = server.URL + "/hook"
	return b
}

// ServeHTTP takes one alert.
func (b *bell) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tries++; err != nil || b.tries == 1 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	signature := r.Header.Get(budget.SignatureHeader)
	at, _, _ := strings.Cut(strings.TrimPrefix(signature, "t="), ",")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || budget.Sign([]byte(alertSecret), time.Unix(seconds, 0), body) != signature || time.Since(time.Unix(seconds, 0)) > time.Minute {
		b.wrong = append(b.wrong, signature)
	}
	b.rung = append(b.rung, gjson.ParseBytes(body))
	b.heard <- struct{}{}
}

// wait returns the alerts once there are n.
func (b *bell) wait(t *testing.T, n int) []gjson.Result {
	t.Helper()
	end := time.After(patience)
	for range n {
		select {
		case <-b.heard:
		case <-end:
			t.Fatalf("%d alerts do not come", n)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.wrong) > 0 {
		t.Errorf("signed wrongly: %q", b.wrong)
	}
	return b.rung
}

func TestBudget_warns_once_in_the_log_the_metrics_and_to_a_webhook(t *testing.T) {
	up, hook := newTill(t), newBell(t)
	m := serve(t, setup{file: up.file("{name: watch, scope: global, limit: 0.04 USD, per: month, action: warn, warn_at: 0.5}") +
		"alerts: {url: " + hook.url + ", secret: " + alertSecret + "}\n"})
	for i := range 7 {
		a, err := cent(t.Context(), m)
		if err != nil || a.status != http.StatusOK || a.header.Get("X-Degraded") != "" {
			t.Errorf("call %d: %d %s, %v", i, a.status, a.body, err)
		}
	}
	var told []string
	for _, alert := range hook.wait(t, 2) {
		told = append(told, fmt.Sprint(alert.Get("event"), " ", alert.Get("rule"), " ", alert.Get("action"), " ", alert.Get("text")))
	}
	if got := strings.Join(told, "; "); got != "budget.warning watch warn 0.02 USD of 0.04 USD a month; budget.reached watch warn 0.04 USD of 0.04 USD a month" {
		t.Errorf("the webhook is told %s", got)
	}
	m.log.wait(t, "a budget is used up")
	for part, want := range map[string]int{"a budget is nearly used up": 1, "a budget is used up": 1, alertSecret: 0} {
		if lines := m.log.all(part); len(lines) != want {
			t.Errorf("%d lines of %q, want %d: %s", len(lines), part, want, lines)
		}
	}
	if n := total(m.metrics(t), "mnemo_budget_crossings_total", 1, `rule="watch"`, `action="warn"`); n != 2 {
		t.Errorf("the metrics tell of %d crossings", n)
	}
}

func TestBudget_that_degrades_sends_calls_to_the_cheaper_model_and_says_so(t *testing.T) {
	up := newTill(t)
	m := serve(t, setup{file: up.file("{name: thrift, scope: tenant, limit: 0.03 USD, per: month, action: degrade}") +
		"routes:\n  - {model: cent, to: [{upstream: up}], degrade: [{upstream: up, model: tenth}]}\n"})
	for i := range 6 {
		a, err := cent(t.Context(), m)
		degraded := map[bool]string{true: "budget"}[i >= 3]
		model := map[bool]string{true: "tenth", false: "cent"}[i >= 3]
		if err != nil || a.status != http.StatusOK || a.header.Get("X-Degraded") != degraded || gjson.Get(a.body, "model").String() != model {
			t.Errorf("call %d: %d %s, X-Degraded %q, %v", i, a.status, a.body, a.header.Get("X-Degraded"), err)
		}
	}
	if n := len(m.log.waitAll(t, "a budget is used up", 1)); n != 1 {
		t.Errorf("it is told %d times", n)
	}
	m.reaches(t, "mnemo_ledger_rows_total", 6)
	used := m.usage(t, clientKey)
	if used.Get("degraded").Int() != 3 || used.Get("cost_nano_usd").Int() != 3*10_000_000+3*1_000_000 || up.of("cent") != 3 || up.of("tenth") != 3 {
		t.Errorf("used is %s of %v", used, up.sold)
	}
	// Where nothing is cheaper, the budget is the end.
	a, err := m.chat(t.Context(), "s", strings.Replace(centCall, "cent", "tenth", 1), nil)
	if err != nil {
		t.Error(err)
	}
	wantOverBudget(t, a)
}

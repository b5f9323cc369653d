package deploy

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Prometheus scrapes twice a second here, and every 15 s or so elsewhere: Grafana's
// intervals are shorter to match.
var shortIntervals = strings.NewReplacer("$__rate_interval", "5s", "$__range", "1m",
	"$instance", ".*", "$upstream", ".*", "$model", ".*", "$tenant", ".*")

// fallback is for what is 0 while all is well; here it is not.
const fallback = " or vector(0)"

// calm is what stays 0 in a run in which nothing is lost.
var calm = map[string]bool{"Lost turns": true, "Lost ledger rows": true, "Lost {{mnemo_telemetry_signal}}": true}

// A server is a Prometheus with what it scraped of a run.
type server struct {
	url   string
	begin time.Time
}

// Everything is asked of one run, which takes the longest.
func TestRun_is_seen(t *testing.T) {
	need(t, "prometheus", "promtool", "redis-server")
	dir := t.TempDir()
	r := startRun(t, dir)
	s := &server{startPrometheus(t, dir, strings.TrimPrefix(r.url, "http://")), time.Now()}
	r.live(t)
	t.Run("in every panel", s.testPanels)
	t.Run("by every variable", s.testVariables)
	t.Run("by every alert", s.testAlerts)
	t.Run("in a form without faults", func(t *testing.T) {
		status, body := get(t, r.url+"/metrics")
		if status != http.StatusOK {
			t.Fatal(status)
		}
		check := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
		check.Stdin = bytes.NewReader(body)
		if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

func (s *server) testPanels(t *testing.T) {
	for _, p := range readDashboard(t).Panels {
		for _, q := range p.Targets {
			expr := shortIntervals.Replace(strings.TrimSuffix(q.Expr, fallback))
			switch most, any := s.query(t, expr); {
			case !any:
				t.Errorf("%s, %s is empty: %s", p.Title, q.RefID, expr)
			case most == 0 && !calm[p.Title+" "+q.LegendFormat]:
				t.Errorf("%s, %s is 0 all the time: %s", p.Title, q.RefID, expr)
			}
		}
	}
}

func (s *server) testVariables(t *testing.T) {
	for _, v := range readDashboard(t).Templating.List {
		if v.Type != "query" {
			continue
		}
		var query struct{ Query string }
		if err := json.Unmarshal(v.Query, &query); err != nil {
			t.Fatal(err)
		}
		parts := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`).FindStringSubmatch(query.Query)
		if parts == nil {
			t.Fatalf("%s: %s", v.Name, query.Query)
		}
		var values []string
		s.get(t, "/api/v1/label/"+parts[2]+"/values?"+url.Values{"match[]": {shortIntervals.Replace(parts[1])}}.Encode(), &values)
		if len(values) == 0 {
			t.Errorf("%s has no values: %s", v.Name, query.Query)
		}
		if v.Name == "tenant" && strings.Join(values, " ") != "lab shop" {
			t.Errorf("tenants are %v", values)
		}
	}
}

func (s *server) testAlerts(t *testing.T) {
	var loaded struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError, State string }
		}
	}
	s.get(t, "/api/v1/rules", &loaded)
	states := map[string]string{}
	for _, group := range loaded.Groups {
		for _, r := range group.Rules {
			states[r.Name] = r.State
			if r.Health != "ok" {
				t.Errorf("%s: %s, %s", r.Name, r.Health, r.LastError)
			}
		}
	}
	for _, r := range readRules(t) {
		if states[r.Alert] == "" {
			t.Errorf("%s is not loaded", r.Alert)
		}
		for _, metric := range metricsOf(r.Expr) {
			if _, any := s.query(t, "count("+metric+")"); !any {
				t.Errorf("%s asks for %s, which is not there", r.Alert, metric)
			}
		}
	}
	for _, name := range []string{"MnemoBudgetCrossed", "MnemoUnpricedCalls"} { // others take minutes
		if states[name] != "firing" {
			t.Errorf("%s is %s", name, states[name])
		}
	}
}

// query returns the greatest number that a panel would show during the run, if it
// shows any.
func (s *server) query(t *testing.T, expr string) (most float64, any bool) {
	t.Helper()
	values := url.Values{
		"query": {expr}, "start": {s.begin.Format(time.RFC3339)}, "end": {time.Now().Format(time.RFC3339)}, "step": {"0.5"},
	}
	var data struct{ Result []struct{ Values []sample } }
	s.get(t, "/api/v1/query_range?"+values.Encode(), &data)
	for _, series := range data.Result {
		for _, v := range series.Values {
			if number, err := strconv.ParseFloat(v.text(), 64); err == nil && !math.IsNaN(number) {
				most, any = max(most, number), true
			}
		}
	}
	return most, any
}

// A sample is a time and a number, which is a string.
type sample []any

func (s sample) text() string {
	if len(s) != 2 {
		return ""
	}
	text, _ := s[1].(string)
	return text
}

func (s *server) get(t *testing.T, path string, data any) {
	t.Helper()
	status, body := get(t, s.url+path)
	answer := struct{ Data any }{data}
	if err := json.Unmarshal(body, &answer); err != nil || status != http.StatusOK {
		t.Fatalf("%s: %d, %v, %s", path, status, err, body)
	}
}

// metricsOf are the names of the metrics in an expression.
func metricsOf(expr string) []string {
	expr = regexp.MustCompile(`\{[^}]*\}|\b(by|on) \([^)]*\)`).ReplaceAllString(expr, " ")
	return regexp.MustCompile(`\b(up|mnemo_\w+|gen_ai_\w+)\b`).FindAllString(expr, -1)
}

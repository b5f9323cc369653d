package telemetry

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// A row of the tables of metrics in docs/telemetry.md: name, Prometheus' name, kind,
// labels, and how many series there are at most.
var metricRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| `([^`]+)` \\| ([^|]*) \\| ([^|]*) \\| ([^|]*) \\|$")

func TestMetrics_are_those_of_the_documentation(t *testing.T) {
	page, err := os.ReadFile("../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	collected := newCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collected.URL)
	tel, written := start(t, Options{Getenv: os.Getenv, Semconv: SemconvBoth})
	exercise(t, tel)
	families := scrape(t, tel)
	written()

	documented, underscored := make(map[string]bool), make(map[string]bool)
	for _, row := range metricRow.FindAllStringSubmatch(string(page), -1) {
		documented[row[1]], underscored[row[2]] = true, true
		if strings.TrimSpace(row[5]) == "" {
			t.Errorf("%s: how many series?", row[1])
		}
		want := make(map[string]bool)
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[4], -1) {
			want[strings.ReplaceAll(name[1], ".", "_")] = true
		}
		got := make(map[string]bool)
		for _, m := range families[row[2]].GetMetric() {
			for _, l := range m.GetLabel() {
				got[l.GetName()] = true
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s has labels %v, documented are %v", row[1], slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
	}
	exported := make(map[string]bool)
	for _, request := range collected.metrics {
		for _, m := range request.GetResourceMetrics()[0].GetScopeMetrics()[0].GetMetrics() {
			exported[m.GetName()] = true
		}
	}
	scraped := make(map[string]bool)
	for name := range families {
		if name != "target_info" && !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			scraped[name] = true
		}
	}
	sameNames(t, "exported", exported, documented)
	sameNames(t, "scraped", scraped, underscored)
}

func TestSpans_have_the_attributes_of_the_documentation(t *testing.T) {
	page, err := os.ReadFile("../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	_, spans, _ := strings.Cut(string(page), "\n## Spans\n")
	spans, _, _ = strings.Cut(spans, "\n## ")
	documented := make(map[string]bool)
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*) \\|").FindAllStringSubmatch(spans, -1) {
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			documented[name[1]] = true
		}
	}
	tel, _ := start(t, Options{Semconv: SemconvBoth, Content: true, ContentLimit: 90})
	recorder := recordSpans(t, tel)
	exercise(t, tel)
	used := make(map[string]bool)
	for _, span := range recorder.Ended() {
		for name := range attributesOf(span) {
			used[name] = true
		}
	}
	sameNames(t, "used", used, documented)
}

func TestMetrics_are_named_as_Prometheus_wants_them(t *testing.T) {
	tel, _ := start(t, Options{Semconv: SemconvBoth, Version: "1.2.3"})
	exercise(t, tel)
	problems, err := promlint.New(strings.NewReader(scrapeText(t, tel))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestMetrics_stay_few_whatever_clients_send makes calls of ever new models, sessions,
// tenants, errors and all else that comes from outside.
func TestMetrics_stay_few_whatever_clients_send(t *testing.T) {
	tel, _ := start(t, Options{Semconv: SemconvBoth})
	for i := range 10_000 {
		call, request := memoryCall(), served()
		name := fmt.Sprint("name-", i)
		call.RequestModel, call.ResponseModel, call.Session, call.Tenant, call.RequestID = name, name, name, name, name
		request.Model, request.Session, request.RequestID, request.Method = name, name, name, name
		if i%2 == 1 {
			call.ErrorType, call.Status = name, 500+i
			request.Status = i
		}
		ctx, span := tel.StartCall(t.Context(), call.RequestModel, Origin{})
		tel.EndChat(span, call)
		tel.Access(ctx, request)
	}
	families, total := scrape(t, tel), 0
	for name, family := range families {
		series := len(family.GetMetric())
		total += series
		if series > maxSeries+2 {
			t.Errorf("%s has %d series", name, series)
		}
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if strings.Contains(name, "conversation") || strings.Contains(l.GetName(), "session") || strings.Contains(l.GetName(), "request_id") {
					t.Errorf("%s has a label %s", name, l.GetName())
				}
			}
		}
	}
	for name, most := range map[string]int{
		"gen_ai_client_operation_duration_seconds": DefaultMaxModels + 1 + maxErrorTypes + 1,
		"mnemo_prompt_tokens_total":                DefaultMaxModels + 1,
		"mnemo_http_requests_total":                7,
	} {
		if got := len(families[name].GetMetric()); got > most || got == 0 {
			t.Errorf("%s has %d series, want %d at most", name, got, most)
		}
	}
	tenants := make(map[string]bool)
	for _, m := range families["mnemo_cost_usd_total"].GetMetric() {
		tenants[label(m.GetLabel(), "mnemo_tenant")] = true
	}
	if len(tenants) != DefaultMaxTenants+1 {
		t.Errorf("%d tenants", len(tenants))
	}
	if total > 3000 {
		t.Errorf("%d series in all", total)
	}
}

// Private

// exercise makes every metric and every attribute appear.
func exercise(t *testing.T, tel *Telemetry) {
	t.Helper()
	tel.ObserveUpstreams(func() []UpstreamState {
		return []UpstreamState{{Name: "openai", Breakers: map[string]Breaker{"gpt-4o": BreakerOpen}, Cooldowns: map[string]time.Duration{"a": time.Second}}}
	})
	tel.ObserveQueue(func() QueueState { return QueueState{} })
	tel.ObserveLedger(func() LedgerState { return LedgerState{} })
	tel.ObserveStore(StoreLoad, time.Millisecond, errors.New("disk is full"))
	tel.Attempt(t.Context(), "openai", "ok", 200)
	tel.Summarized("done")
	tel.CacheLookup(CacheHit)
	tel.BudgetCrossed("shop-month", "warn")
	tel.Reloaded(true)
	tel.Access(t.Context(), served())
	tel.Deleted(t.Context(), "customer-4711", time.Now(), "store")

	call := memoryCall()
	call.RequestID, call.Tenant, call.ServiceTier, call.Fingerprint, call.ResponseID = "req-1", "shop", "flex", "fp", "chatcmpl-1"
	call.Stream, call.FirstChunk, call.Chunks, call.Cached, call.Degraded = true, at(500), 101, true, true
	call.Usage = Usage{Input: 1000, Output: 200, CachedInput: 600, CacheWrite: 300, Reasoning: 50, AudioInput: 10, AudioOutput: 20, Source: Measured}
	call.UpstreamWait = time.Second
	call.Tries = append(call.Tries, attempted(20, 1, "server_error", 500), elsewhere(attempted(30, 1, "ok", 200)),
		attempted(40, 1, "outrun", 0), attempted(50, 1, "ok", 200))
	call.Tries[3].Hedge, call.Tries[4].Resume = true, true
	call.Tries[3].Billed, call.Tries[3].Usage = true, Usage{Input: 1, Source: Estimated}
	call.Body = `{"temperature":1,"top_p":1,"frequency_penalty":1,"presence_penalty":1,"max_tokens":1,"seed":1,"n":2,"stop":"x","service_tier":"auto",
		"reasoning_effort":"low","response_format":{"type":"text"},"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"},{"role":"user","content":"v"}]}`
	call.Output = []string{`{"content":"."}`}
	_, span := tel.StartCall(t.Context(), call.RequestModel, Origin{})
	tel.EndChat(span, call)
	call.ErrorType = "upstream_cut"
	call.Tries = nil
	_, span = tel.StartCall(t.Context(), call.RequestModel, Origin{})
	tel.EndChat(span, call)
}

func sameNames(t *testing.T, what string, got, want map[string]bool) {
	t.Helper()
	for name := range got {
		if !want[name] {
			t.Errorf("%s is %s but not documented", name, what)
		}
	}
	for name := range want {
		if !got[name] {
			t.Errorf("%s is documented but not %s", name, what)
		}
	}
}

package telemetry

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"
)

const (
	clientTraceID = "0af7651916cd43dd8448eb211c80319c"
	clientTrace   = "00-" + clientTraceID + "-b7ad6b7169203331-01"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStart_says_which_format_it_does_not_know(t *testing.T) {
	_, err := Start(t.Context(), Options{LogFormat: "xml", Getenv: empty})
	if !errors.Is(err, ErrLogFormat) || !strings.Contains(err.Error(), "xml") {
		t.Fatalf("got %v", err)
	}
}

func TestStart_needs_no_options(t *testing.T) {
	for _, name := range []string{"OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER"} {
		t.Setenv(name, "none")
	}
	tel, err := Start(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if tel.tracer != nil {
		t.Error("spans are exported though nobody asked")
	}
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestMetrics_tell_what_is_running(t *testing.T) {
	tel, _ := start(t, Options{Version: "1.2.3"})
	labels := one(t, scrape(t, tel), "mnemo_build_info").GetLabel()
	if got := label(labels, "version"); got != "1.2.3" {
		t.Errorf("version %q", got)
	}
	if target := one(t, scrape(t, tel), "target_info").GetLabel(); label(target, "service_name") != serviceName {
		t.Errorf("target %v", target)
	}
}

func TestShutdown_writes_the_last_lines_though_its_time_is_over(t *testing.T) {
	var out buffer
	tel, err := Start(t.Context(), Options{Getenv: empty, LogOutput: &out})
	if err != nil {
		t.Fatal(err)
	}
	tel.Logger().Info("last words")
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tel.Shutdown(over); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if !strings.Contains(out.String(), "last words") {
		t.Errorf("got %q", out.String())
	}
}

func TestTelemetry_counts_every_call_of_many_at_once(t *testing.T) {
	tel, written := start(t, Options{})
	recordSpans(t, tel)
	const workers, calls = 8, 50
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for range calls {
				tel.InFlight(1)
				ctx, span := tel.StartCall(context.Background(), "gpt-4o", Origin{Traceparent: clientTrace})
				tel.Attempt(ctx, "openai", "ok", 200)
				tel.ObserveStore(StoreLoad, time.Millisecond, nil)
				tel.EndChat(span, answered())
				tel.Access(ctx, served())
				tel.InFlight(-1)
			}
		})
	}
	scrapeText(t, tel) // meanwhile
	group.Wait()
	families := scrape(t, tel)
	for _, name := range []string{"mnemo_http_requests_total", "mnemo_upstream_attempts_total", "mnemo_memory_calls_total"} {
		if got := one(t, families, name).GetCounter().GetValue(); got != workers*calls {
			t.Errorf("%s is %v", name, got)
		}
	}
	for _, name := range []string{"gen_ai_client_operation_duration_seconds", "mnemo_store_duration_seconds"} {
		if got := one(t, families, name).GetHistogram().GetSampleCount(); got != workers*calls {
			t.Errorf("%s counts %d", name, got)
		}
	}
	if got := one(t, families, "mnemo_http_requests_in_flight").GetGauge().GetValue(); got != 0 {
		t.Errorf("%v in flight", got)
	}
	if got := strings.Count(written(), "msg=request"); got != workers*calls {
		t.Errorf("%d lines", got)
	}
}

// Private

// empty is an environment without a variable.
func empty(string) string { return "" }

// start runs a set-up until the test ends; written returns what it has logged and
// must be called last.
func start(t *testing.T, o Options) (tel *Telemetry, written func() string) {
	t.Helper()
	var out buffer
	if o.LogOutput == nil {
		o.LogOutput = &out
	}
	if o.Getenv == nil {
		o.Getenv = empty
	}
	tel, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	shutdown := func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := tel.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() { once.Do(shutdown) })
	return tel, func() string {
		once.Do(shutdown)
		return out.String()
	}
}

// recordSpans makes tel keep its spans in memory.
func recordSpans(t *testing.T, tel *Telemetry) *tracetest.SpanRecorder {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	tel.tracing = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	tel.tracer = tel.tracing.Tracer(instrumentationName)
	return recorder
}

func scrapeText(t *testing.T, tel *Telemetry) string {
	t.Helper()
	w := httptest.NewRecorder()
	tel.Metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("scrape: %d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func scrape(t *testing.T, tel *Telemetry) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(scrapeText(t, tel)))
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// one returns the metric of a family that must have only one with the labels,
// given as name, value, name, value…
func one(t *testing.T, families map[string]*dto.MetricFamily, name string, want ...string) *dto.Metric {
	t.Helper()
	var found []*dto.Metric
next:
	for _, m := range families[name].GetMetric() {
		for i := 0; i < len(want); i += 2 {
			if label(m.GetLabel(), want[i]) != want[i+1] {
				continue next
			}
		}
		found = append(found, m)
	}
	if len(found) != 1 {
		t.Fatalf("%d series of %s with %v: %.2000s", len(found), name, want, families[name])
	}
	return found[0]
}

func label(labels []*dto.LabelPair, name string) string {
	for _, l := range labels {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// answered is a streamed chat call of 2 s with memory.
func answered() *ChatCall {
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return &ChatCall{
		RequestModel: "gpt-4o", ResponseModel: "gpt-4o-2024-08-06", ResponseID: "chatcmpl-1",
		FinishReason: "stop", Stream: true, Session: "customer-4711", Upstream: "openai", KeyLabel: "a",
		Attempts: 2, Status: 200, ServerAddress: "api.openai.com", ServerPort: 443,
		Usage: Usage{Input: 1000, Output: 200, CachedInput: 900, Reasoning: 50, Source: Measured},
		Start: begin, FirstChunk: begin.Add(500 * time.Millisecond), End: begin.Add(2 * time.Second), Chunks: 101,
		Memory: MemoryUse{Status: "ok", Turns: 7, Tokens: 900, Dropped: 3},
	}
}

// served is the request of that call.
func served() *Request {
	call := answered()
	return &Request{
		Method: http.MethodPost, Route: "/v1/chat/completions", Status: 200, Duration: 2 * time.Second,
		BytesIn: 512, BytesOut: 4096, RequestID: "req-1", Model: call.RequestModel, Upstream: call.Upstream,
		KeyLabel: call.KeyLabel, Attempts: call.Attempts, Usage: call.Usage, Memory: call.Memory, Session: call.Session,
	}
}

// A buffer may be written to by one goroutine and read by another.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// attributesOf returns the attributes of a span by their names.
func attributesOf(span sdktrace.ReadOnlySpan) map[string]attribute.Value {
	all := make(map[string]attribute.Value)
	for _, a := range span.Attributes() {
		all[string(a.Key)] = a.Value
	}
	return all
}

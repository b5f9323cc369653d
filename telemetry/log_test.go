package telemetry

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
)

func TestLogger_adds_the_ids_of_the_trace(t *testing.T) {
	tel, written := start(t, Options{LogFormat: LogJSON})
	recordSpans(t, tel)
	ctx, span := tel.StartCall(t.Context(), "gpt-4o", Origin{Traceparent: clientTrace})
	tel.Logger().With("part", "relay").WithGroup("g").InfoContext(ctx, "with")
	tel.Logger().Info("without")
	tel.EndChat(span, answered())

	with, without, _ := strings.Cut(written(), "\n")
	var line struct {
		Part string
		G    struct {
			TraceID string `json:"trace_id"`
			SpanID  string `json:"span_id"`
		}
	}
	if err := json.Unmarshal([]byte(with), &line); err != nil {
		t.Fatal(err)
	}
	if line.G.TraceID != clientTraceID || line.G.SpanID != span.SpanContext().SpanID().String() || line.Part != "relay" {
		t.Errorf("got %s", with)
	}
	if strings.Contains(without, "trace_id") {
		t.Errorf("got %s", without)
	}
}

func TestLogger_leaves_out_what_is_below_its_level(t *testing.T) {
	tel, written := start(t, Options{LogLevel: slog.LevelWarn})
	tel.Logger().Info("quiet")
	tel.Access(t.Context(), served())
	tel.Logger().Warn("loud")
	if got := one(t, scrape(t, tel), "mnemo_http_requests_total").GetCounter().GetValue(); got != 1 {
		t.Errorf("%v requests counted", got)
	}
	if got := written(); strings.Contains(got, "quiet") || strings.Contains(got, "msg=request") || !strings.Contains(got, "msg=loud") {
		t.Errorf("got %s", got)
	}
}

func TestLogger_counts_what_it_drops(t *testing.T) {
	out := &stuck{release: make(chan struct{})}
	tel, written := start(t, Options{LogOutput: out})
	for range 3 * writerBuffer / 1024 {
		tel.Logger().Info(strings.Repeat("x", 1024))
	}
	if got := one(t, scrape(t, tel), "mnemo_telemetry_dropped_total", "mnemo_telemetry_signal", "logs").GetCounter().GetValue(); got < 1000 {
		t.Errorf("%v dropped", got)
	}
	close(out.release)
	written()
}

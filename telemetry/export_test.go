package telemetry

import (
	"context"
	"io"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
)

func TestExport_is_off_unless_the_environment_asks(t *testing.T) {
	for _, test := range []struct {
		env             string
		traces, metrics bool
	}{
		{"", false, false},
		{"OTEL_TRACES_EXPORTER=none", false, false},
		{"OTEL_TRACES_EXPORTER=otlp", true, false},
		{"OTEL_METRICS_EXPORTER=console", false, true},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318", true, true},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://c:4318", true, false},
		{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://c:4318", false, true},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318 OTEL_METRICS_EXPORTER=none", true, false},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318 OTEL_SDK_DISABLED=True", false, false},
		{"OTEL_TRACES_EXPORTER=otlp OTEL_SDK_DISABLED=false", true, false},
	} {
		getenv := func(name string) string {
			for _, pair := range strings.Fields(test.env) {
				if value, ok := strings.CutPrefix(pair, name+"="); ok {
					return value
				}
			}
			return ""
		}
		if got := traces.wanted(getenv); got != test.traces {
			t.Errorf("%q: traces %v", test.env, got)
		}
		if got := metrics.wanted(getenv); got != test.metrics {
			t.Errorf("%q: metrics %v", test.env, got)
		}
	}
}

func TestExport_reaches_a_collector_named_by_the_environment(t *testing.T) {
	collector := newCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=collector-secret")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
	tel, written := start(t, Options{Version: "1.2.3", Getenv: os.Getenv})

	call := answered()
	call.RequestModel = "gpt\xff" // must not cost the batch
	ctx, span := tel.StartCall(t.Context(), call.RequestModel, Origin{Traceparent: clientTrace})
	tel.EndChat(span, call)
	tel.Access(ctx, served())
	if lines := written(); !strings.Contains(lines, "trace_id="+clientTraceID) || strings.Contains(lines, "secret") {
		t.Errorf("got %s", lines)
	}

	if len(collector.spans) != 1 || len(collector.metrics) == 0 {
		t.Fatalf("%d span and %d metric requests", len(collector.spans), len(collector.metrics))
	}
	resource := collector.spans[0].GetResourceSpans()[0].GetResource().GetAttributes()
	for name, want := range map[string]string{
		"service.name": "mnemo", "service.version": "1.2.3", "deployment.environment.name": "test",
	} {
		if got := stringOf(resource, name); got != want {
			t.Errorf("resource %s is %q", name, got)
		}
	}
	got := collector.spans[0].GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()[0]
	if got.GetName() != "chat gpt" || stringOf(got.GetAttributes(), "gen_ai.conversation.id") != "customer-4711" {
		t.Errorf("span %v", got)
	}
	names := make(map[string]bool)
	for _, m := range collector.metrics[0].GetResourceMetrics()[0].GetScopeMetrics()[0].GetMetrics() {
		names[m.GetName()] = true
	}
	for _, name := range []string{metricTokens, metricDuration, metricFirstChunk, metricPerChunk, metricRequests} {
		if !names[name] {
			t.Errorf("%s was not exported", name)
		}
	}
	if collector.key != "collector-secret" {
		t.Errorf("the collector was sent the key %q", collector.key)
	}
}

func TestExport_of_metrics_goes_over_grpc_too(t *testing.T) {
	collected := receivers["grpc"](t)
	t.Setenv("OTEL_METRICS_EXPORTER", "otlp")
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	tel, written := start(t, Options{Getenv: os.Getenv})
	_, span := tel.StartCall(t.Context(), "gpt-4o", Origin{})
	tel.EndChat(span, memoryCall())
	written()
	names := make(map[string]bool)
	for _, m := range collected.metrics[0].GetResourceMetrics()[0].GetScopeMetrics()[0].GetMetrics() {
		names[m.GetName()] = true
	}
	for _, name := range []string{metricDuration, metricOverhead, metricCost, metricMemoryTokens, metricBuild} {
		if !names[name] {
			t.Errorf("%s was not exported", name)
		}
	}
}

func TestExport_to_a_dead_collector_costs_nobody_anything(t *testing.T) {
	for _, protocol := range []string{"http/protobuf", "grpc"} {
		t.Run(protocol, func(t *testing.T) {
			dead := httptest.NewServer(nil)
			dead.Close()
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", strings.Replace(dead.URL, "://", "://user:password@", 1))
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
			t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
			t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "16")
			t.Setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8")
			var out buffer
			tel, err := Start(t.Context(), Options{Getenv: os.Getenv, LogOutput: &out})
			if err != nil {
				t.Fatal(err)
			}
			const calls, spansOfOne = 5000, 5
			for range calls {
				_, span := tel.StartCall(t.Context(), "gpt-4o", Origin{})
				tel.EndChat(span, memoryCall())
			}
			dropped := one(t, scrape(t, tel), "mnemo_telemetry_dropped_total", "mnemo_telemetry_signal", "spans").GetCounter().GetValue()
			if dropped < calls*spansOfOne-16 || dropped > calls*spansOfOne {
				t.Errorf("%v of %d spans dropped", dropped, calls*spansOfOne)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			err = tel.Shutdown(ctx)
			if err != nil {
				t.Errorf("got %v", err)
			}
			if lines := out.String(); strings.Count(lines, "\n") > 3 || !strings.Contains(lines, "not all of what was recorded is exported") || strings.Contains(lines, "password") {
				t.Errorf("got %s", lines)
			}
		})
	}
}

func TestExport_names_an_exporter_that_it_does_not_know(t *testing.T) {
	for _, name := range []string{"OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "pigeon")
			_, err := Start(t.Context(), Options{Getenv: os.Getenv, LogOutput: io.Discard})
			if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "pigeon") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Private

func stringOf(attrs []*commonpb.KeyValue, name string) string {
	for _, a := range attrs {
		if a.GetKey() == name {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

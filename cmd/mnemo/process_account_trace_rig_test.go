package main

import (
	"compress/gzip"
	"context"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	collectpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// A collector receives traces, over OTLP.
type collector struct {
	collectpb.UnimplementedTraceServiceServer
	environ []string // has a mnemo export to it

	mu    sync.Mutex
	spans []*tracepb.Span
}

// collectors are collectors by protocol.
var collectors = map[string]func(*testing.T) *collector{"http": collectHTTP, "grpc": collectGRPC}

func collectHTTP(t *testing.T) *collector {
	c := new(collector)
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.environ = []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + server.URL}
	c.environ = append(c.environ, exporting...)
	return c
}

func collectGRPC(t *testing.T) *collector {
	c := new(collector)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	collectpb.RegisterTraceServiceServer(server, c)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // Stop ends it
	}()
	t.Cleanup(func() {
		server.Stop()
		<-served
	})
	c.environ = append([]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + listener.Addr().String(), "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, exporting...)
	return c
}

// exporting has a mnemo export every span soon.
var exporting = []string{
	"OTEL_METRICS_EXPORTER=none", "OTEL_TRACES_SAMPLER=always_on", "OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_BSP_MAX_QUEUE_SIZE=100000",
}

// Export implements the trace service of OTLP over gRPC.
func (c *collector) Export(_ context.Context, m *collectpb.ExportTraceServiceRequest) (*collectpb.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range m.GetResourceSpans() {
		for _, s := range r.GetScopeSpans() {
			c.spans = append(c.spans, s.GetSpans()...)
		}
	}
	return new(collectpb.ExportTraceServiceResponse), nil
}

// ServeHTTP implements it over HTTP.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unzipped
	}
	m := new(collectpb.ExportTraceServiceRequest)
	data, err := io.ReadAll(body)
	if err == nil {
		err = proto.Unmarshal(data, m)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, _ = c.Export(r.Context(), m) // it returns no error
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// A span is one as a collector got it.
type span struct {
	*tracepb.Span
	attributes map[string]*commonpb.AnyValue
}

func (s span) id() string     { return hex.EncodeToString(s.GetSpanId()) }
func (s span) parent() string { return hex.EncodeToString(s.GetParentSpanId()) }
func (s span) trace() string  { return hex.EncodeToString(s.GetTraceId()) }

func (s span) text(name string) string  { return s.attributes[name].GetStringValue() }
func (s span) number(name string) int64 { return s.attributes[name].GetIntValue() }

// all is the spans that came, in the order of their starts.
func (c *collector) all() (spans []span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		attributes := map[string]*commonpb.AnyValue{}
		for _, a := range s.GetAttributes() {
			attributes[a.GetKey()] = a.GetValue()
		}
		spans = append(spans, span{s, attributes})
	}
	slices.SortStableFunc(spans, func(a, b span) int {
		return int(int64(a.GetStartTimeUnixNano() - b.GetStartTimeUnixNano())) //nolint:gosec // they are close
	})
	return spans
}

package telemetry

import (
	"cmp"
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	metricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
)

// A collector receives OTLP, over HTTP or gRPC.
type collector struct {
	collectpb.UnimplementedTraceServiceServer
	*httptest.Server

	mu      sync.Mutex
	key     string
	spans   []*collectpb.ExportTraceServiceRequest
	metrics []*metricpb.ExportMetricsServiceRequest
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

// Export implements the trace service of OTLP over gRPC.
func (c *collector) Export(_ context.Context, m *collectpb.ExportTraceServiceRequest) (*collectpb.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spans = append(c.spans, m)
	return new(collectpb.ExportTraceServiceResponse), nil
}

// A metricService is a collector's other service, whose method has the same name.
type metricService struct {
	metricpb.UnimplementedMetricsServiceServer
	*collector
}

// Export implements the metrics service of OTLP over gRPC.
func (s metricService) Export(_ context.Context, m *metricpb.ExportMetricsServiceRequest) (*metricpb.ExportMetricsServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.metrics = append(s.metrics, m)
	return new(metricpb.ExportMetricsServiceResponse), nil
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.key = r.Header.Get("api-key")
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		body, _ = gzip.NewReader(r.Body)
	}
	data, err := io.ReadAll(body)
	if err == nil {
		switch r.URL.Path {
		case "/v1/traces":
			m := new(collectpb.ExportTraceServiceRequest)
			err = proto.Unmarshal(data, m)
			c.spans = append(c.spans, m)
		case "/v1/metrics":
			m := new(metricpb.ExportMetricsServiceRequest)
			err = proto.Unmarshal(data, m)
			c.metrics = append(c.metrics, m)
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// receivers are collectors that the environment names, by protocol.
var receivers = map[string]func(*testing.T) *collector{
	"http": func(t *testing.T) *collector {
		c := newCollector(t)
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL)
		return c
	},
	"grpc": func(t *testing.T) *collector {
		c := &collector{}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := grpc.NewServer(grpc.Creds(insecure.NewCredentials()))
		collectpb.RegisterTraceServiceServer(server, c)
		metricpb.RegisterMetricsServiceServer(server, metricService{collector: c})
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = server.Serve(listener)
		}()
		t.Cleanup(func() {
			server.Stop()
			<-served
		})
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+listener.Addr().String())
		t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
		t.Setenv("OTEL_METRICS_EXPORTER", "none")
		return c
	},
}

// all is the spans that came, in the order of their starts.
func (c *collector) all() (spans []*tracepb.Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, request := range c.spans {
		for _, r := range request.GetResourceSpans() {
			for _, s := range r.GetScopeSpans() {
				spans = append(spans, s.GetSpans()...)
			}
		}
	}
	slices.SortStableFunc(spans, func(a, b *tracepb.Span) int {
		return cmp.Compare(a.GetStartTimeUnixNano(), b.GetStartTimeUnixNano())
	})
	return spans
}

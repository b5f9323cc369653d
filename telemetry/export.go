package telemetry

import (
	"context"
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel/attribute"
	promexporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
)

// serviceName is the default of OTEL_SERVICE_NAME.
const serviceName = "mnemo"

// A signal is one kind of telemetry as the OTEL_* variables name it.
type signal struct{ exporter, endpoint string }

var (
	traces  = signal{"OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"}
	metrics = signal{"OTEL_METRICS_EXPORTER", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"}
)

// Private

// wanted reports whether the environment asks for the signal to be exported: by
// naming an exporter other than none, or an endpoint.
func (s signal) wanted(getenv func(string) string) bool {
	if strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	if exporter := getenv(s.exporter); exporter != "" {
		return exporter != "none"
	}
	return getenv(s.endpoint) != "" || getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != ""
}

func (s signal) failed(getenv func(string) string, err error) error {
	return exportFailed(fmt.Sprintf("set up %s=%q", s.exporter, getenv(s.exporter)), err)
}

// newResource names the program; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES
// win.
func newResource(ctx context.Context, version string) (*resource.Resource, error) {
	r, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(
			attribute.String("service.name", serviceName),
			attribute.String("service.version", version)),
		resource.WithFromEnv())
	if err != nil {
		return nil, exportFailed("read OTEL_RESOURCE_ATTRIBUTES", err)
	}
	return r, nil
}

// newTracing returns nil if no exporter is wanted.
func newTracing(ctx context.Context, getenv func(string) string, r *resource.Resource) (*trace.TracerProvider, *backlog, error) {
	if !traces.wanted(getenv) {
		return nil, nil, nil
	}
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return nil, nil, traces.failed(getenv, err)
	}
	spans := newBacklog(exporter, getenv)
	return trace.NewTracerProvider(trace.WithSpanProcessor(spans), trace.WithResource(r)), spans, nil
}

// newMetering returns a provider that is always read by the registry, and by an
// exporter too if one is wanted.
func newMetering(ctx context.Context, getenv func(string) string, r *resource.Resource) (*metric.MeterProvider, *prometheus.Registry, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	scraped, err := promexporter.New(
		promexporter.WithRegisterer(registry),
		promexporter.WithoutScopeInfo(),
		promexporter.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithSuffixes))
	if err != nil {
		return nil, nil, fmt.Errorf("set up /metrics: %w", err)
	}
	options := []metric.Option{
		metric.WithReader(scraped),
		metric.WithResource(r),
		metric.WithCardinalityLimit(maxSeries + 2),
	}
	if metrics.wanted(getenv) {
		exported, err := autoexport.NewMetricReader(ctx)
		if err != nil {
			return nil, nil, metrics.failed(getenv, err)
		}
		options = append(options, metric.WithReader(exported))
	}
	return metric.NewMeterProvider(options...), registry, nil
}

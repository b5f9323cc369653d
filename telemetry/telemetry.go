// Package telemetry is what an operator sees of the program: spans, metrics and
// log lines.
//
// No secret is in any of it, and content in spans alone, if that is asked for. A
// session id is personal data: it is an attribute of spans only, a log line carries a
// short hash of it, and no metric has a label for it. Every metric states its
// worst-case number of series.
package telemetry

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const (
	// DefaultMaxModels is the number of model names that get a label of their own.
	DefaultMaxModels = 100

	maxScrapes = 4           // scrapes of /metrics at a time
	logGrace   = time.Second // what the log gets beyond the deadline of Shutdown
)

// Options of Start. The zero value is usable.
type Options struct {
	Version string // of the program

	// Getenv reads the OTEL_* variables that decide what is exported; nil is
	// os.Getenv. The exporters read their own settings from the process's
	// environment, as OpenTelemetry specifies them.
	Getenv func(string) string

	LogFormat string     // LogText (default) or LogJSON
	LogLevel  slog.Level // the zero value is slog.LevelInfo
	LogOutput io.Writer  // nil is os.Stderr; written to by one goroutine at a time

	// MaxModels is how many model names get a label of their own in metrics; all
	// others share the label "other". 0 means DefaultMaxModels.
	MaxModels int
	// MaxTenants is how many tenants get a label of their own in the metric of costs;
	// all others share the label "other". 0 means DefaultMaxTenants, less that none has one.
	MaxTenants int

	Semconv Semconv // "" is SemconvV141

	// Content puts messages into the spans of sampled calls. What looks like a secret is
	// taken out, and what Redact matches; then ContentLimit bounds each attribute, in
	// bytes. 0 is DefaultContentLimit, the most is MaxContentLimit.
	Content      bool
	ContentLimit int
	Redact       []*regexp.Regexp
}

// Telemetry is the running set-up. Its methods are safe for concurrent use and
// never wait for the outside world, but for Start and Shutdown.
type Telemetry struct {
	handler  slog.Handler
	logger   *slog.Logger
	writer   *writer
	tracer   trace.Tracer // nil if nothing is exported
	tracing  *sdktrace.TracerProvider
	backlog  *backlog // of spans; nil if nothing is exported
	metering *sdkmetric.MeterProvider
	scrape   http.Handler

	semconv Semconv
	content content

	instruments
	models     *labels
	tenants    *labels
	errors     *labels
	chats      *table[chatKey, *chatSeries]
	stores     *table[string, series]
	components [len(componentNames)]series

	inFlight  atomic.Int64
	stale     atomic.Int64 // 1 after a configuration that was not usable
	upstreams atomic.Pointer[func() []UpstreamState]
	queue     atomic.Pointer[func() QueueState]
	ledger    atomic.Pointer[func() LedgerState]
}

// Start sets up logging, metrics and, if the environment asks for it, export.
//
// Export is off by default. OTEL_TRACES_EXPORTER and OTEL_METRICS_EXPORTER (other
// than "none") or OTEL_EXPORTER_OTLP_[TRACES_|METRICS_]ENDPOINT switch it on,
// OTEL_SDK_DISABLED=true switches it off; Metrics is served in any case.
func Start(ctx context.Context, o Options) (*Telemetry, error) {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.LogOutput == nil {
		o.LogOutput = os.Stderr
	}
	if o.MaxModels <= 0 {
		o.MaxModels = DefaultMaxModels
	}
	if o.MaxTenants == 0 {
		o.MaxTenants = DefaultMaxTenants
	}
	t := &Telemetry{writer: newWriter(o.LogOutput), content: newContent(&o)}
	if err := t.start(ctx, o); err != nil {
		return nil, errors.Join(err, t.Shutdown(ctx))
	}
	return t, nil
}

// Logger returns the program's log. A record that is logged with the context of a
// span carries its ids.
func (t *Telemetry) Logger() *slog.Logger { return t.logger }

// Metrics serves all instruments in the text format of Prometheus.
func (t *Telemetry) Metrics() http.Handler { return t.scrape }

// Shutdown exports and writes out what is pending; what is recorded afterwards is
// lost. What cannot be exported is warned of: a program whose collector is away ends as
// any other. It takes at most a second longer than ctx allows.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	var traced, metered error
	var exporters sync.WaitGroup
	if t.tracing != nil {
		exporters.Go(func() { traced = exportFailed("export last traces", t.tracing.Shutdown(ctx)) })
	}
	if t.metering != nil {
		exporters.Go(func() { metered = exportFailed("export last metrics", t.metering.Shutdown(ctx)) })
	}
	exporters.Wait()
	if err := errors.Join(traced, metered); err != nil {
		t.logger.Warn("not all of what was recorded is exported", "error", err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logGrace)
	defer cancel()
	return t.writer.Close(ctx)
}

// Private

func (t *Telemetry) start(ctx context.Context, o Options) (err error) {
	if t.handler, err = newHandler(t.writer, o.LogFormat, o.LogLevel); err != nil {
		return err
	}
	if t.semconv, err = o.Semconv.check(); err != nil {
		return err
	}
	t.logger = slog.New(t.handler)
	(&complaints{logger: t.logger}).hear()

	resource, err := newResource(ctx, o.Version)
	if err != nil {
		return err
	}
	if t.tracing, t.backlog, err = newTracing(ctx, o.Getenv, resource); err != nil {
		return err
	}
	if t.tracing != nil {
		t.tracer = t.tracing.Tracer(instrumentationName, trace.WithInstrumentationVersion(o.Version))
	}
	metering, registry, err := newMetering(ctx, o.Getenv, resource)
	if err != nil {
		return err
	}
	t.metering = metering
	t.scrape = promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: maxScrapes,
	})
	t.models = newLabels(o.MaxModels, other)
	t.tenants = newLabels(max(o.MaxTenants, 0), other)
	t.errors = newLabels(maxErrorTypes, errorOther)
	t.chats = newTable(chatKey{otherModel, errorOther}, newChatSeries)
	t.stores = newTable(other, newStoreSeries)
	t.components = newComponents()
	return t.instrument(t.metering.Meter(instrumentationName), o.Version)
}

package telemetry

import (
	"context"
	"errors"
	"runtime"

	"go.opentelemetry.io/otel/metric"
)

// Buckets of the GenAI conventions.
var (
	tokenBuckets = []float64{
		1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864,
	}
	secondBuckets = []float64{
		0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
	}
	// storeBuckets begin where an embedded store answers.
	storeBuckets = []float64{
		0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
	}
)

// instruments are what is recorded as it happens. In the comments, models is
// MaxModels+1, upstreams, keys, routes and operations are those of the program's
// configuration and code, and no instrument has more than maxSeries+1 series.
type instruments struct {
	tokens     metric.Int64Histogram   // 2 operations × models × upstreams × 2 types × 2 sources
	duration   metric.Float64Histogram // 2 operations × models × upstreams × (maxErrorTypes+2)
	firstChunk metric.Float64Histogram // models × upstreams
	perChunk   metric.Float64Histogram // models × upstreams

	served metric.Int64Counter // routes × 7 status classes
	tried  metric.Int64Counter // upstreams × outcomes

	storeDuration metric.Float64Histogram // operations
	storeErrors   metric.Int64Counter     // operations

	memoryCalls   metric.Int64Counter // statuses (ok, off, bypassed)
	memoryTurns   metric.Int64Counter // 1
	memoryTokens  metric.Int64Counter // 1
	memoryDropped metric.Int64Counter // 1
	summaries     metric.Int64Counter // outcomes
}

// gauges are read when somebody looks.
type gauges struct {
	inFlight   metric.Int64ObservableGauge   // 1
	upInFlight metric.Int64ObservableGauge   // upstreams
	breaker    metric.Int64ObservableGauge   // upstreams × models
	cooldown   metric.Float64ObservableGauge // keys
	dropped    metric.Int64ObservableCounter // 1
	storeDown  metric.Int64ObservableGauge   // 1
	queueTurns metric.Int64ObservableGauge   // 2 places
	queueBytes metric.Int64ObservableGauge   // 2 places
	queueLost  metric.Int64ObservableCounter // 1
	build      metric.Int64ObservableGauge   // 1
}

// Private

// instrument creates all instruments.
func (t *Telemetry) instrument(meter metric.Meter, version string) error {
	m := maker{meter: meter}
	t.instruments = instruments{
		tokens: m.tokens(metricTokens, "Tokens of a chat call."),
		duration: m.seconds(metricDuration, "Time from the request of a chat call to the end of its answer.",
			secondBuckets),
		firstChunk: m.seconds(metricFirstChunk, "Time from the request of a streamed chat call to its first chunk.",
			secondBuckets),
		perChunk: m.seconds(metricPerChunk, "Time between the chunks of a streamed chat call, one mean per call.",
			secondBuckets),
		served:        m.count(metricRequests, "{request}", "HTTP requests served."),
		tried:         m.count(metricAttempts, "{attempt}", "Attempts to get an answer from an upstream."),
		storeDuration: m.seconds(metricStoreDuration, "Time that an operation of the session store took.", storeBuckets),
		storeErrors:   m.count(metricStoreErrors, "{error}", "Operations of the session store that failed."),
		memoryCalls:   m.count(metricMemoryCalls, "{call}", "Chat calls by what memory did for them."),
		memoryTurns:   m.count(metricMemoryTurns, "{turn}", "Stored groups that were put into prompts."),
		memoryTokens:  m.count(metricMemoryTokens, "{token}", "Tokens that memory added to prompts."),
		memoryDropped: m.count(metricMemoryDropped, "{turn}", "Stored groups that did not fit into prompts."),
		summaries:     m.count(metricSummaries, "{summary}", "Attempts to make a summary."),
	}
	g := gauges{
		inFlight:   m.gauge(metricInFlight, "{request}", "HTTP requests being served."),
		upInFlight: m.gauge(metricUpInFlight, "{request}", "Calls that an upstream is answering."),
		breaker:    m.gauge(metricBreaker, "", "State of a breaker: 0 closed, 1 half-open, 2 open."),
		cooldown:   m.gaugeSeconds(metricCooldown, "Time until a key of an upstream is used again."),
		dropped:    m.observedCount(metricLogDropped, "{record}", "Log records that were dropped."),
		storeDown:  m.gauge(metricStoreDown, "", "1 while the session store cannot be reached."),
		queueTurns: m.gauge(metricStoreQueued, "{turn}", "Turns that wait for the session store."),
		queueBytes: m.gauge(metricStoreBytes, "By", "Bytes of the turns that wait for the session store."),
		queueLost:  m.observedCount(metricStoreLost, "{turn}", "Turns that were given up because the session store did not take them."),
		build:      m.gauge(metricBuild, "", "Always 1; its labels say what is running."),
	}
	build := newSeries(buildVersion.String(version), buildGo.String(runtime.Version()))
	_, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(g.inFlight, t.inFlight.Load())
		o.ObserveInt64(g.dropped, t.writer.dropped.Load())
		o.ObserveInt64(g.build, 1, build.set)
		t.observeUpstreams(o, g)
		t.observeQueue(o, g)
		return nil
	}, g.inFlight, g.upInFlight, g.breaker, g.cooldown, g.dropped, g.storeDown, g.queueTurns, g.queueBytes, g.queueLost, g.build)
	return errors.Join(append(m.errs, err)...)
}

// A maker creates instruments and keeps the errors for the end.
type maker struct {
	meter metric.Meter
	errs  []error
}

func (m *maker) check(err error) {
	if err != nil {
		m.errs = append(m.errs, err)
	}
}

func (m *maker) tokens(name, description string) metric.Int64Histogram {
	h, err := m.meter.Int64Histogram(name, metric.WithUnit("{token}"), metric.WithDescription(description),
		metric.WithExplicitBucketBoundaries(tokenBuckets...))
	m.check(err)
	return h
}

func (m *maker) seconds(name, description string, buckets []float64) metric.Float64Histogram {
	h, err := m.meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description),
		metric.WithExplicitBucketBoundaries(buckets...))
	m.check(err)
	return h
}

func (m *maker) count(name, unit, description string) metric.Int64Counter {
	c, err := m.meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(description))
	m.check(err)
	return c
}

func (m *maker) observedCount(name, unit, description string) metric.Int64ObservableCounter {
	c, err := m.meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
	m.check(err)
	return c
}

func (m *maker) gauge(name, unit, description string) metric.Int64ObservableGauge {
	g, err := m.meter.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(description))
	m.check(err)
	return g
}

func (m *maker) gaugeSeconds(name, description string) metric.Float64ObservableGauge {
	g, err := m.meter.Float64ObservableGauge(name, metric.WithUnit("s"), metric.WithDescription(description))
	m.check(err)
	return g
}

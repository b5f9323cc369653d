package telemetry

import (
	"context"
	"errors"
	"runtime"

	"go.opentelemetry.io/otel/attribute"
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
	// overheadBuckets span from parsing a request to waiting for a model that thinks.
	overheadBuckets = []float64{
		0.00001, 0.00005, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60,
	}
)

// instruments are what is recorded as it happens. In the comments, models is
// MaxModels+1, tenants MaxTenants+2, upstreams, keys, rules, routes and words are
// those of the program's configuration and code. No instrument has more than
// maxSeries+2 series: one for what finds its table full, one for what finds the SDK's
// own limit reached.
type instruments struct {
	tokens     metric.Int64Histogram   // 2 operations × models × upstreams × 2 types × 2 sources; nil: not wanted
	duration   metric.Float64Histogram // 2 operations × models × upstreams × (maxErrorTypes+2)
	firstChunk metric.Float64Histogram // models × upstreams
	perChunk   metric.Float64Histogram // models × upstreams
	overhead   metric.Float64Histogram // 6 components

	input      *counter[tokensKey] // 2 operations × models × upstreams × 2 sources × 2 modalities
	output     *counter[tokensKey] // the same
	cacheRead  *counter[tokensKey] // 2 operations × models × upstreams × 2 sources
	cacheWrite *counter[tokensKey] // the same
	reasoning  *counter[tokensKey] // the same; all five are nil if they are not wanted

	cost         *counter[costKey]  // 2 operations × models × upstreams × tenants × 2 sources
	unpriced     *counter[modelKey] // 2 operations × models × upstreams
	prompt       *counter[modelKey] // the same
	promptCached *counter[modelKey] // the same

	served    *counter[requestKey] // routes × 7 status classes
	tried     *counter[attemptKey] // upstreams × outcomes
	retries   *counter[string]     // upstreams
	fallbacks *counter[string]     // upstreams
	hedges    *counter[string]     // upstreams
	rescues   *counter[string]     // upstreams

	storeDuration metric.Float64Histogram // operations
	storeErrors   *counter[string]        // operations

	memoryCalls   *counter[string] // statuses (ok, off, bypassed)
	memoryTurns   *tally
	memoryTokens  *tally
	memorySaved   *tally
	memoryDropped *tally
	summaries     *counter[string] // outcomes

	answers *counter[string]    // results (hit, miss, stale)
	budgets *counter[budgetKey] // rules × actions
	reloads *counter[string]    // outcomes (ok, failed)
}

// gauges are read together when somebody looks.
type gauges struct {
	upInFlight    metric.Int64ObservableGauge   // upstreams
	upQueued      metric.Int64ObservableGauge   // upstreams
	breaker       metric.Int64ObservableGauge   // upstreams × models
	cooldown      metric.Float64ObservableGauge // keys
	storeDown     metric.Int64ObservableGauge   // 1
	queueTurns    metric.Int64ObservableGauge   // 2 places
	queueBytes    metric.Int64ObservableGauge   // 2 places
	queueLost     metric.Int64ObservableCounter // 1
	ledgerRows    metric.Int64ObservableCounter // 1
	ledgerLost    metric.Int64ObservableCounter // 1
	ledgerWaiting metric.Int64ObservableGauge   // 1
	dropped       metric.Int64ObservableCounter // 2 signals
}

// Private

// instrument creates all instruments.
func (t *Telemetry) instrument(meter metric.Meter, version string) error {
	m := &maker{meter: meter}
	t.instruments = instruments{
		duration: m.seconds(metricDuration, "Time from the request of a chat call to the end of its answer.",
			secondBuckets),
		firstChunk: m.seconds(metricFirstChunk, "Time from the request of a streamed chat call to its first chunk.",
			secondBuckets),
		perChunk: m.seconds(metricPerChunk, "Time between the chunks of a streamed chat call, one mean per call.",
			secondBuckets),
		overhead: m.seconds(metricOverhead, "Time of a chat call by where it was spent.", overheadBuckets),

		served:        newCounter(m, metricRequests, "{request}", "HTTP requests served.", requestKey{route: other}, requestKey.labels),
		tried:         newCounter(m, metricAttempts, "{attempt}", "Attempts to get an answer from an upstream.", attemptKey{other, other}, attemptKey.labels),
		storeDuration: m.seconds(metricStoreDuration, "Time that an operation of the session store took.", storeBuckets),
		storeErrors:   newCounter(m, metricStoreErrors, "{error}", "Operations of the session store that failed.", other, by(storeOperation)),
		memoryCalls:   newCounter(m, metricMemoryCalls, "{call}", "Chat calls by what memory did for them.", other, by(memoryStatus)),
		memoryTurns:   newTotal(m, metricMemoryTurns, "{turn}", "Stored groups that were put into prompts."),
		memoryTokens:  newTotal(m, metricMemoryTokens, "{token}", "Tokens that memory added to prompts."),
		memorySaved:   newTotal(m, metricMemorySaved, "{token}", "Tokens that whole histories would have taken beyond the prompts that were sent."),
		memoryDropped: newTotal(m, metricMemoryDropped, "{turn}", "Stored groups that did not fit into prompts."),
		summaries:     newCounter(m, metricSummaries, "{summary}", "Attempts to make a summary.", other, by(summaryOutcome)),

		answers: newCounter(m, metricAnswers, "{call}", "Chat calls that looked for their answer in the cache.", other, by(cacheResult)),
		budgets: newCounter(m, metricBudgets, "{crossing}", "Budgets that were crossed.", budgetKey{other, other}, budgetKey.labels),
		reloads: newCounter(m, metricReloads, "{reload}", "Attempts to take over a changed configuration.", other, by(reloadOutcome)),
	}
	t.instrumentUsage(m)
	t.instrumentCost(m)
	t.instrumentAttempts(m)
	build := []attribute.KeyValue{buildVersion.String(version), buildGo.String(runtime.Version())}
	m.watch(metricInFlight, "{request}", "HTTP requests being served.", t.inFlight.Load)
	m.watch(metricStale, "", "1 while an old configuration is in force because the changed one is not usable.", t.stale.Load)
	m.watch(metricBuild, "", "Always 1; its labels say what is running.", func() int64 { return 1 }, build...)
	return errors.Join(append(m.errs, t.observe(m))...)
}

// observe creates the gauges that are read together.
func (t *Telemetry) observe(m *maker) error {
	g := gauges{
		upInFlight:    m.gauge(metricUpInFlight, "{request}", "Calls that an upstream is answering."),
		upQueued:      m.gauge(metricUpQueued, "{request}", "Calls that wait for a place at an upstream."),
		breaker:       m.gauge(metricBreaker, "", "State of a breaker: 0 closed, 1 half-open, 2 open."),
		cooldown:      m.gaugeSeconds(metricCooldown, "Time until a key of an upstream is used again."),
		storeDown:     m.gauge(metricStoreDown, "", "1 while the session store cannot be reached."),
		queueTurns:    m.gauge(metricStoreQueued, "{turn}", "Turns that wait for the session store."),
		queueBytes:    m.gauge(metricStoreBytes, "By", "Bytes of the turns that wait for the session store."),
		queueLost:     m.observedCount(metricStoreLost, "{turn}", "Turns that were given up because the session store did not take them."),
		ledgerRows:    m.observedCount(metricLedgerRows, "{row}", "Rows that were written to the ledger."),
		ledgerLost:    m.observedCount(metricLedgerLost, "{row}", "Rows that the ledger did not take."),
		ledgerWaiting: m.gauge(metricLedgerWaiting, "{row}", "Rows that wait to be written to the ledger."),
		dropped:       m.observedCount(metricDropped, "{record}", "Log records and spans that were dropped."),
	}
	logs, spans := newSeries(droppedSignal.String("logs")), newSeries(droppedSignal.String("spans"))
	_, err := m.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(g.dropped, t.writer.dropped.Load(), logs.set)
		if t.backlog != nil {
			o.ObserveInt64(g.dropped, t.backlog.dropped.Load(), spans.set)
		}
		t.observeUpstreams(o, g)
		t.observeQueue(o, g)
		t.observeLedger(o, g)
		return nil
	}, g.upInFlight, g.upQueued, g.breaker, g.cooldown, g.storeDown, g.queueTurns, g.queueBytes, g.queueLost,
		g.ledgerRows, g.ledgerLost, g.ledgerWaiting, g.dropped)
	return err
}

// by makes the one label that a word becomes.
func by(key attribute.Key) func(string) []attribute.KeyValue {
	return func(word string) []attribute.KeyValue { return []attribute.KeyValue{key.String(word)} }
}

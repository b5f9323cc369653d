package telemetry

import (
	"context"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// nano is what one dollar has of the unit that costs are counted in.
const nano = 1e9

// A counter counts by key. To count costs one look into a map; OpenTelemetry's SDK,
// whose own counters take ten times as long, is told when somebody reads metrics.
type counter[K comparable] struct {
	rows *table[K, *tally]
}

type tally struct {
	n   atomic.Int64
	set metric.MeasurementOption
}

// Private

// newCounter makes a counter whose key is written out as labels. rest is the key of
// all that come when it is full.
func newCounter[K comparable](m *maker, name, unit, description string, rest K, labels func(K) []attribute.KeyValue) *counter[K] {
	c := tallies(rest, labels)
	_, err := m.meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(description),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			c.each(func(t *tally) { o.Observe(t.n.Load(), t.set) })
			return nil
		}))
	m.check(err)
	return c
}

// newDollars makes a counter of nano-dollars that is read as dollars. The sum is of
// integers, and exact to the nano-dollar up to nine million dollars.
func newDollars[K comparable](m *maker, name, description string, rest K, labels func(K) []attribute.KeyValue) *counter[K] {
	c := tallies(rest, labels)
	_, err := m.meter.Float64ObservableCounter(name, metric.WithUnit("{USD}"), metric.WithDescription(description),
		metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
			c.each(func(t *tally) { o.Observe(float64(t.n.Load())/nano, t.set) })
			return nil
		}))
	m.check(err)
	return c
}

// newTotal makes a counter without labels, which is there from the start.
func newTotal(m *maker, name, unit, description string) *tally {
	c := newCounter(m, name, unit, description, struct{}{}, func(struct{}) []attribute.KeyValue { return nil })
	return c.rows.row(struct{}{})
}

func tallies[K comparable](rest K, labels func(K) []attribute.KeyValue) *counter[K] {
	return &counter[K]{rows: newTable(rest, func(key K) *tally { return &tally{set: newSeries(labels(key)...).set} })}
}

// add counts n, which is not negative.
func (c *counter[K]) add(key K, n int64) { c.rows.row(key).add(n) }

func (c *counter[K]) each(do func(*tally)) {
	c.rows.each(do)
	if rest := c.rows.rest; rest.n.Load() > 0 {
		do(rest)
	}
}

func (t *tally) add(n int64) { t.n.Add(max(n, 0)) }

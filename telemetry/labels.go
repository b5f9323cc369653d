package telemetry

import (
	"strings"
	"sync"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const (
	// maxLabel bounds a name that a client or an upstream chose, in bytes.
	maxLabel = 128
	// maxSeries bounds the rows of one table, and by it the series of each
	// instrument that draws its labels from it.
	maxSeries = 2000
	// other stands for every name that got no label of its own.
	other = "other"
)

// labels gives a bounded number of names a label of their own; the rest share
// one.
type labels struct {
	mu    sync.RWMutex
	names map[string]string
	max   int
	rest  string
}

func newLabels(limit int, rest string) *labels {
	return &labels{names: make(map[string]string), max: limit, rest: rest}
}

// known returns the label of name without making a new one.
func (l *labels) known(name string) string {
	l.mu.RLock()
	label, ok := l.names[name]
	l.mu.RUnlock()
	if !ok {
		return l.rest
	}
	return label
}

// admit returns the label of name, a new one if there is room.
func (l *labels) admit(name string) string {
	l.mu.RLock()
	label, ok := l.names[name]
	full := len(l.names) >= l.max
	l.mu.RUnlock()
	switch {
	case ok:
		return label
	case full, name == "", len(name) > maxLabel, !utf8.ValidString(name):
		return l.rest
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if label, ok = l.names[name]; ok {
		return label
	}
	if len(l.names) >= l.max {
		return l.rest
	}
	label = strings.Clone(name) // name may be a part of a whole request body
	l.names[label] = label
	return label
}

// A table keeps what was computed of a set of labels, so that a call computes
// nothing. Once it holds maxSeries rows, all new keys share one.
type table[K comparable, V any] struct {
	mu    sync.RWMutex
	rows  map[K]V
	build func(K) V
	rest  V
}

// newTable returns an empty table; rest is the key of the row that is shared.
func newTable[K comparable, V any](rest K, build func(K) V) *table[K, V] {
	return &table[K, V]{rows: make(map[K]V), build: build, rest: build(rest)}
}

func (t *table[K, V]) row(key K) V {
	t.mu.RLock()
	row, ok := t.rows[key]
	t.mu.RUnlock()
	if ok {
		return row
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if row, ok = t.rows[key]; ok {
		return row
	}
	if len(t.rows) >= maxSeries {
		return t.rest
	}
	row = t.build(key)
	t.rows[key] = row
	return row
}

// each calls do for every row but the one that is shared.
func (t *table[K, V]) each(do func(V)) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, row := range t.rows {
		do(row)
	}
}

// A series is one attribute set in the forms that instruments take. Building the
// option, and the slice for the variadic parameter, costs more than recording.
type series struct {
	record []metric.RecordOption
	set    metric.MeasurementOption
}

func newSeries(attrs ...attribute.KeyValue) series {
	set := metric.WithAttributeSet(attribute.NewSet(attrs...))
	return series{record: []metric.RecordOption{set}, set: set}
}

// clip bounds a string that is written out but is no label. It is made valid
// UTF-8: OTLP refuses a whole batch for one string that is not.
func clip(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), maxLabel)], "")
}

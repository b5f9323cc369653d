package ledger_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"mnemo/ledger"
)

func TestSums_name_each_of_their_values_once(t *testing.T) {
	var s ledger.Sums
	values, names := s.Values(), ledger.Columns()
	if len(values) != len(names) || len(slices.Compact(slices.Sorted(slices.Values(names)))) != len(names) {
		t.Fatalf("%d values, columns %q", len(values), names)
	}
	for i, v := range values {
		if *v != 0 {
			t.Fatalf("%s stands twice", names[i])
		}
		*v = int64(i + 1)
	}
	sum := 0
	numbers(reflect.ValueOf(s), func(n int64) { sum += int(n) })
	if want := len(names) * (len(names) + 1) / 2; sum != want {
		t.Errorf("the fields add up to %d, the values to %d", sum, want)
	}
}

// numbers calls f with each number in a struct.
func numbers(v reflect.Value, f func(n int64)) {
	for i := range v.NumField() {
		if field := v.Field(i); field.Kind() == reflect.Struct {
			numbers(field, f)
		} else {
			f(field.Int())
		}
	}
}

func TestSumsOf_counts_a_call(t *testing.T) {
	used := ledger.Usage{Input: 100, CachedInput: 60, Output: 20}
	for name, tt := range map[string]struct {
		entry ledger.Entry
		want  ledger.Sums
	}{
		"measured and priced": {
			ledger.Entry{Usage: used, Measured: true, Priced: true, Cost: 7, Latency: 1500 * time.Microsecond, FirstToken: time.Millisecond, Stream: true,
				Attempts: make([]ledger.Attempt, 2), Memory: ledger.Memory{Tokens: 30, Dropped: 4, Turns: 5}},
			ledger.Sums{Calls: 1, Measured: 1, Usage: used, Cost: 7, LatencyMicros: 1500, FirstTokens: 1, FirstTokenMicros: 1000, Streams: 1,
				Attempts: 2, MemoryTokens: 30, MemoryDropped: 4},
		},
		"estimated, its price unknown": {
			ledger.Entry{Usage: used, Cost: 7},
			ledger.Sums{Calls: 1, Estimated: 1, Unpriced: 1, Usage: used},
		},
		"failed before it used anything": {
			ledger.Entry{Error: "timeout", Status: 504},
			ledger.Sums{Calls: 1, Errors: 1},
		},
		"refused": {ledger.Entry{Status: 400}, ledger.Sums{Calls: 1, Errors: 1}},
		"from the cache": {
			ledger.Entry{Status: 200, Cached: true, Degraded: true, Priced: true, Measured: true},
			ledger.Sums{Calls: 1, Measured: 1, Cached: 1, Degraded: 1},
		},
		"compared": {
			ledger.Entry{Usage: used, Measured: true, Priced: true, Cost: 7, FullKnown: true, FullInput: 900, FullCost: 70, FullCostCached: 20},
			ledger.Sums{Calls: 1, Measured: 1, Usage: used, Cost: 7,
				Full: ledger.Full{Calls: 1, Input: 900, UsedInput: 100, Priced: 1, Cost: 70, CostCached: 20, UsedCost: 7}},
		},
		"compared, its price unknown": {
			ledger.Entry{Usage: used, Measured: true, FullKnown: true, FullInput: 900, FullCost: 70},
			ledger.Sums{Calls: 1, Measured: 1, Unpriced: 1, Usage: used, Full: ledger.Full{Calls: 1, Input: 900, UsedInput: 100}},
		},
	} {
		if got := ledger.SumsOf(&tt.entry); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

func TestSums_are_exact_beyond_what_a_float_holds(t *testing.T) {
	var s ledger.Sums
	for range 3 {
		one := ledger.SumsOf(&ledger.Entry{Usage: ledger.Usage{Input: 1}, Priced: true, Cost: 1<<60 + 1})
		s.Add(&one)
	}
	if s.Cost != 3<<60+3 || s.Calls != 3 {
		t.Errorf("%+v", s)
	}
	s = ledger.Sums{Calls: 4, LatencyMicros: 10_000, FirstTokens: 2, FirstTokenMicros: 3000}
	if s.Latency() != 2500*time.Microsecond || s.FirstToken() != 1500*time.Microsecond || (&ledger.Sums{}).Latency() != 0 {
		t.Errorf("means are %v and %v", s.Latency(), s.FirstToken())
	}
}

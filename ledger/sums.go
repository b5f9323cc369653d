package ledger

import "time"

// Sums are added up over calls.
type Sums struct {
	Calls     int64 `json:"calls"`
	Measured  int64 `json:"measured"`  // calls whose tokens the upstreams reported
	Estimated int64 `json:"estimated"` // calls whose tokens are, in part, estimates; some calls used none
	Unpriced  int64 `json:"unpriced"`  // calls that used tokens and whose cost is not known, and so not in Cost
	Errors    int64 `json:"errors"`    // calls with an Error, or a status of 400 and more
	Cached    int64 `json:"cached"`    // calls that the cache of answers answered
	Degraded  int64 `json:"degraded"`
	Streams   int64 `json:"streams"`
	Attempts  int64 `json:"attempts"`

	Usage
	Cost int64 `json:"cost"` // nano-dollars

	LatencyMicros    int64 `json:"latency_us"`
	FirstTokens      int64 `json:"first_tokens"` // calls that have one
	FirstTokenMicros int64 `json:"first_token_us"`

	MemoryTokens  int64 `json:"memory_tokens"`  // that memory added
	MemoryDropped int64 `json:"memory_dropped"` // groups that it left out

	Full Full `json:"full"`
}

// Full compares calls with what they would have been if their clients had sent the
// whole history. Only the calls for which that is known are in it.
type Full struct {
	Calls     int64 `json:"calls"`
	Input     int64 `json:"input"`      // tokens with the whole history
	UsedInput int64 `json:"used_input"` // tokens as it was

	Priced     int64 `json:"priced"`      // those of Calls whose costs are known
	Cost       int64 `json:"cost"`        // of Priced, in nano-dollars, with the whole history and nothing cached
	CostCached int64 `json:"cost_cached"` // … with what the provider's cache would have held
	UsedCost   int64 `json:"used_cost"`   // … as it was
}

// Columns names the values of Sums in their order. They are names of columns where
// sums are stored, and never change but by additions.
func Columns() []string {
	return []string{
		"calls", "measured", "estimated", "unpriced", "errors", "cached", "degraded", "streams", "attempts",
		"input", "cached_input", "cache_write", "output", "reasoning", "audio_input", "audio_output", "cost",
		"latency_us", "first_tokens", "first_token_us", "memory_tokens", "memory_dropped",
		"full_calls", "full_input", "full_used_input", "full_priced", "full_cost", "full_cost_cached", "full_used_cost",
	}
}

// SumsOf is the sums over one call.
func SumsOf(e *Entry) Sums {
	s := Sums{
		Calls: 1, Attempts: int64(len(e.Attempts)), Usage: e.Usage,
		Errors: one(e.Error != "" || e.Status >= 400), Cached: one(e.Cached), Degraded: one(e.Degraded), Streams: one(e.Stream),
		LatencyMicros: e.Latency.Microseconds(), FirstTokens: one(e.FirstToken > 0), FirstTokenMicros: e.FirstToken.Microseconds(),
		MemoryTokens: int64(e.Memory.Tokens), MemoryDropped: int64(e.Memory.Dropped),
	}
	used := e.Usage != Usage{}
	s.Measured, s.Estimated = one(e.Measured), one(!e.Measured && used)
	if e.Priced {
		s.Cost = e.Cost
	} else {
		s.Unpriced = one(used)
	}
	if e.FullKnown {
		s.Full = Full{Calls: 1, Input: e.FullInput, UsedInput: e.Usage.Input}
	}
	if e.FullKnown && e.Priced {
		s.Full.Priced, s.Full.Cost, s.Full.CostCached, s.Full.UsedCost = 1, e.FullCost, e.FullCostCached, e.Cost
	}
	return s
}

// Add adds other sums.
func (s *Sums) Add(other *Sums) {
	to, from := s.Values(), other.Values()
	for i := range to {
		*to[i] += *from[i]
	}
}

// Values are the numbers in the order of Columns.
func (s *Sums) Values() []*int64 {
	f := &s.Full
	return append(append([]*int64{
		&s.Calls, &s.Measured, &s.Estimated, &s.Unpriced, &s.Errors, &s.Cached, &s.Degraded, &s.Streams, &s.Attempts,
	}, s.values()...), &s.Cost,
		&s.LatencyMicros, &s.FirstTokens, &s.FirstTokenMicros, &s.MemoryTokens, &s.MemoryDropped,
		&f.Calls, &f.Input, &f.UsedInput, &f.Priced, &f.Cost, &f.CostCached, &f.UsedCost)
}

// Latency is that of a call on average; 0 without calls.
func (s *Sums) Latency() time.Duration { return mean(s.LatencyMicros, s.Calls) }

// FirstToken is the time to the first token on average, of calls that have one.
func (s *Sums) FirstToken() time.Duration { return mean(s.FirstTokenMicros, s.FirstTokens) }

// Private

func mean(micros, n int64) time.Duration {
	if n == 0 {
		return 0
	}
	return time.Duration(micros/n) * time.Microsecond
}

func one(is bool) int64 {
	if is {
		return 1
	}
	return 0
}

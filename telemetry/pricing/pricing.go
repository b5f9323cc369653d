// Package pricing knows what a call to a model costs.
//
// A table of figures is embedded; each carries its date. Operators lay their own
// over it: contracts, new models, their own machines. A model that neither knows
// has no price, which is not the same as costing nothing.
package pricing

import (
	"strconv"
	"time"
)

const (
	// MaxRate bounds a rate: two thousand dollars for a million tokens.
	MaxRate Rate = 2000 * dollar

	// MaxTokens bounds each figure of a Usage; what is above counts as this much.
	// With MaxRate, no cost overflows.
	MaxTokens = 1_000_000_000

	dollar Rate = 1_000_000 // for a million tokens

	picoPerNano = 1000
)

// A Rate is what a token costs, in pico-dollars: a million is one dollar for a
// million tokens.
type Rate int64

// Rates is what the kinds of tokens cost.
type Rates struct {
	Input       Rate
	CachedInput Rate // of a prompt's tokens that were read from the provider's cache
	CacheWrite  Rate // of a prompt's tokens that were written to it
	Output      Rate
}

// A Tier is the rates of calls with larger prompts. They hold for the whole call.
type Tier struct {
	Above int // in tokens of input
	Rates
}

// A Price is one entry of a table.
type Price struct {
	Model     string // the name of the entry
	Provider  string // whose figures these are; "" if that was not said
	Rates            // of calls that reach no tier
	Tiers     []Tier // in ascending order; must not be changed
	Window    int    // tokens of the longest prompt; 0: not known
	MaxOutput int    // tokens of the longest answer; 0: not known
	AsOf      time.Time
	Source    string // "embedded" or file:line
}

// Usage is the tokens of one call. Negative figures count as zero.
type Usage struct {
	Input       int // all of the prompt, CachedInput and CacheWrite included
	CachedInput int
	CacheWrite  int
	Output      int // all of the answer, reasoning included
}

// Cost is what a call costs, in nano-dollars, rounded half up once.
func (p Price) Cost(u Usage) int64 {
	input := bounded(u.Input, MaxTokens)
	cached := bounded(u.CachedInput, input)
	written := bounded(u.CacheWrite, input-cached)
	output := bounded(u.Output, MaxTokens)
	r := p.at(input)
	pico := Rate(input-cached-written)*r.Input + Rate(cached)*r.CachedInput +
		Rate(written)*r.CacheWrite + Rate(output)*r.Output
	return (int64(pico) + picoPerNano/2) / picoPerNano
}

// String is the rate in dollars for a million tokens, such as "0.075".
func (r Rate) String() string {
	s := strconv.FormatFloat(float64(r)/float64(dollar), 'f', -1, 64)
	if r%(dollar/100) == 0 {
		return strconv.FormatFloat(float64(r)/float64(dollar), 'f', 2, 64)
	}
	return s
}

// Private

// at is the rates of a call with that much input.
func (p *Price) at(input int) *Rates {
	for i := len(p.Tiers) - 1; i >= 0; i-- {
		if input > p.Tiers[i].Above {
			return &p.Tiers[i].Rates
		}
	}
	return &p.Rates
}

func bounded(n, most int) int { return min(max(n, 0), most) }

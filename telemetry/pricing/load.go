package pricing

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// maxFile bounds a file of prices, in bytes.
const maxFile = 32 << 20

// ErrFile means that a file holds no prices that can be read.
var ErrFile = errors.New("not a file of prices")

// figures are rates as a file gives them; what it does not say is unsaid.
type figures struct{ input, cached, write, output Rate }

const unsaid Rate = -1

// A step is figures from a size of input on.
type step struct {
	above int
	figures
}

// Load reads prices and lays them over the default table. name is what errors and
// Price.Source call the file. Two formats are understood.
//
// CSV, in dollars for a million tokens: a first line with the names of the columns,
// of which model, input and output are needed. The others are provider,
// cached_input and cache_write (where they are empty, a token costs what other
// input does), above, window, max_output and as_of (2006-01-02). A further line of
// the same model with a figure in above holds for prompts with more tokens; what
// is empty there stays as it is below. Lines that begin with # are ignored.
//
// JSON as LiteLLM publishes it (model_prices_and_context_window.json), in dollars
// for a token. Entries that do not charge by token are left out, and so are those
// with a rate above MaxRate, which is where mistaken figures are found.
func Load(r io.Reader, name string) (*Table, error) { return Default().with(r, name) }

// Private

func (t *Table) with(r io.Reader, name string) (*Table, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read prices: %s: %w", name, err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("read prices: %s: %w: it is longer than %d bytes", name, ErrFile, maxFile)
	}
	read := readCSV
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		read = readLiteLLM
	}
	prices, err := read(data, name)
	if err == nil && len(prices) == 0 {
		err = fmt.Errorf("%s: %w: it holds no price", name, ErrFile)
	}
	if err != nil {
		return nil, fmt.Errorf("read prices: %w", err)
	}
	return t.over(prices), nil
}

// set fills in the rates of a price from steps, of which the first is for all
// calls.
func (p *Price) set(steps []step) {
	slices.SortFunc(steps, func(a, b step) int { return cmp.Compare(a.above, b.above) })
	current := steps[0].figures
	p.Rates = current.rates()
	for _, s := range steps[1:] {
		current = s.over(current)
		p.Tiers = append(p.Tiers, Tier{Above: s.above, Rates: current.rates()})
	}
}

// over is the figures, with those of below where they say nothing.
func (f figures) over(below figures) figures {
	return figures{
		input: said(f.input, below.input), cached: said(f.cached, below.cached),
		write: said(f.write, below.write), output: said(f.output, below.output),
	}
}

func (f figures) rates() Rates {
	return Rates{Input: f.input, CachedInput: said(f.cached, f.input), CacheWrite: said(f.write, f.input), Output: f.output}
}

func said(r, otherwise Rate) Rate {
	if r == unsaid {
		return otherwise
	}
	return r
}

// rateOf makes a rate of dollars for a million tokens.
func rateOf(dollars float64) (Rate, bool) {
	pico := math.Round(dollars * float64(dollar))
	if pico >= 0 && pico <= float64(MaxRate) {
		return Rate(pico), true
	}
	return 0, false // it may be no number
}

package pricing

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// columns are those of a CSV file of prices. The first three are needed.
var columns = []string{"model", "input", "output", "provider", "cached_input", "cache_write", "above", "window", "max_output", "as_of"}

// A sheet is what was read of a CSV file.
type sheet struct {
	prices []*Price // in the order of the file
	steps  map[*Price][]step
	models map[string]*Price
}

// A row is one line of a CSV file, by the names of its columns.
type row map[string]string

func readCSV(data []byte, file string) ([]*Price, error) {
	lines := csv.NewReader(bytes.NewReader(data))
	lines.Comment = '#'
	lines.TrimLeadingSpace = true
	header, err := lines.Read()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w: %w", file, ErrFile, err)
	}
	if err := checkHeader(header); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", file, ErrFile, err)
	}
	s := sheet{steps: map[*Price][]step{}, models: map[string]*Price{}}
	for {
		fields, err := lines.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w: %w", file, ErrFile, err)
		}
		at, _ := lines.FieldPos(0)
		source := fmt.Sprintf("%s:%d", file, at)
		r := row{}
		for i, name := range header {
			r[name] = strings.TrimSpace(fields[i])
		}
		if err := s.add(r, source); err != nil {
			return nil, fmt.Errorf("%s: %w", source, err)
		}
	}
	for _, p := range s.prices {
		p.set(s.steps[p])
	}
	return s.prices, nil
}

func checkHeader(header []string) error {
	for _, name := range header {
		if !slices.Contains(columns, name) {
			return fmt.Errorf("column %q is none of %s", name, strings.Join(columns, ", "))
		}
	}
	for _, name := range columns[:3] {
		if !slices.Contains(header, name) {
			return fmt.Errorf("the first line must name the column %s", name)
		}
	}
	return nil
}

// add reads a row: a price, or a further step of one.
func (s *sheet) add(r row, source string) error {
	model := r["model"]
	if model == "" || len(model) > maxName {
		return fmt.Errorf("a model's name has 1 to %d bytes", maxName)
	}
	next, err := r.step()
	if err != nil {
		return err
	}
	p := s.models[model]
	switch {
	case p == nil && next.above > 0:
		return fmt.Errorf("%s needs a line before for prompts of up to %d tokens", model, next.above)
	case p == nil:
		if p, err = r.price(source); err != nil {
			return err
		}
		s.models[model] = p
		s.prices = append(s.prices, p)
	case next.above <= s.steps[p][len(s.steps[p])-1].above:
		return fmt.Errorf("%s: the lines of a model must ascend in above", model)
	}
	s.steps[p] = append(s.steps[p], next)
	return nil
}

func (r row) price(source string) (*Price, error) {
	p := &Price{Model: r["model"], Provider: r["provider"], Source: source}
	if known, ok := providers[p.Provider]; ok {
		p.Provider = known.name
	}
	if r["input"] == "" || r["output"] == "" {
		return nil, errors.New("input and output are needed")
	}
	var err error
	if p.Window, err = r.tokens("window"); err != nil {
		return nil, err
	}
	if p.MaxOutput, err = r.tokens("max_output"); err != nil {
		return nil, err
	}
	if date := r["as_of"]; date != "" {
		if p.AsOf, err = time.Parse(time.DateOnly, date); err != nil {
			return nil, fmt.Errorf("as_of: %q is no date such as 2006-01-02", date)
		}
	}
	return p, nil
}

func (r row) step() (s step, err error) {
	if s.above, err = r.tokens("above"); err != nil {
		return s, err
	}
	if s.input, err = r.rate("input"); err != nil {
		return s, err
	}
	if s.cached, err = r.rate("cached_input"); err != nil {
		return s, err
	}
	if s.write, err = r.rate("cache_write"); err != nil {
		return s, err
	}
	s.output, err = r.rate("output")
	return s, err
}

func (r row) tokens(column string) (int, error) {
	if r[column] == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(r[column])
	if err != nil || n < 0 || n > MaxTokens {
		return 0, fmt.Errorf("%s: %q is no number of tokens", column, r[column])
	}
	return n, nil
}

func (r row) rate(column string) (Rate, error) {
	if r[column] == "" {
		return unsaid, nil
	}
	dollars, err := strconv.ParseFloat(r[column], 64)
	rate, ok := rateOf(dollars)
	if err != nil || !ok {
		return 0, fmt.Errorf("%s: %q is no price: dollars for a million tokens, at most %v", column, r[column], MaxRate)
	}
	return rate, nil
}

package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"mnemo/telemetry/pricing"
)

// pricesCmd says what calls cost.
type pricesCmd struct {
	Model  string `arg:"" optional:"" help:"Model to look up as a call names it; default: all that are known."`
	Config string `help:"Configuration file, of which pricing.file is read; default ${default_file}, if there is one." placeholder:"FILE"`
	File   string `help:"Prices that lie over the embedded ones, in place of pricing.file: CSV, or JSON as LiteLLM publishes it." placeholder:"FILE"`
}

// Run prints a table, or what applies to one model.
func (c *pricesCmd) Run(p *process) error {
	if c.File == "" {
		loaded, err := (&configFlags{Config: c.Config}).load(p)
		if err != nil {
			return err
		}
		c.File = loaded.Pricing.File
	}
	table, err := loadPrices(c.File)
	if err != nil {
		return err
	}
	if c.Model == "" {
		return listPrices(p.stdout, table.All())
	}
	price, ok := table.Price(c.Model)
	if !ok {
		return fmt.Errorf("the price of %s is not known: its calls count as unpriced; --file names a file with prices of your own", printable(c.Model))
	}
	if _, err := fmt.Fprintln(p.stdout, explainPrice(c.Model, &price)); err != nil {
		return err
	}
	return listPrices(p.stdout, []pricing.Price{price})
}

// Private

// loadPrices is the embedded table, with those of a file over it unless name is "".
func loadPrices(name string) (*pricing.Table, error) {
	if name == "" {
		return pricing.Default(), nil
	}
	file, err := os.Open(name) //nolint:gosec // the operator names it
	if err != nil {
		return nil, fmt.Errorf("read prices: %w", err)
	}
	defer func() { _ = file.Close() }()
	return pricing.Load(file, name)
}

// explainPrice says which entry applies to a model, and where it comes from.
func explainPrice(asked string, p *pricing.Price) string {
	var s strings.Builder
	if asked == p.Model {
		fmt.Fprintf(&s, "%s has an entry of its own", printable(asked))
	} else {
		fmt.Fprintf(&s, "%s costs what %s costs", printable(asked), printable(p.Model))
	}
	if p.Provider != "" {
		fmt.Fprintf(&s, " at %s", printable(p.Provider))
	}
	fmt.Fprintf(&s, ": %s", source(p))
	if p.Window > 0 {
		fmt.Fprintf(&s, "; prompts of up to %d tokens", p.Window)
	}
	if p.MaxOutput > 0 {
		fmt.Fprintf(&s, "; answers of up to %d", p.MaxOutput)
	}
	return s.String() + ".\n"
}

// listPrices writes a row for each price, and one for each of its tiers.
func listPrices(w io.Writer, prices []pricing.Price) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "MODEL\tPROMPT\tINPUT\tCACHED\tCACHE WRITE\tOUTPUT\tFROM")
	for i := range prices {
		p := &prices[i]
		row := func(prompt string, r pricing.Rates) {
			fmt.Fprintf(table, "%s\t%s\t%v\t%v\t%v\t%v\t%s\n", printable(p.Model), prompt, r.Input, r.CachedInput, r.CacheWrite, r.Output, source(p))
		}
		row("any", p.Rates)
		for _, tier := range p.Tiers {
			row(fmt.Sprintf("> %d", tier.Above), tier.Rates)
		}
	}
	fmt.Fprintln(table, "\nUS dollars for a million tokens.")
	return table.Flush()
}

// source is where a price comes from, and of when it is.
func source(p *pricing.Price) string {
	from := cmp.Or(p.Source, "unknown")
	if p.AsOf.IsZero() {
		return from
	}
	return from + ", " + p.AsOf.Format("2006-01-02")
}

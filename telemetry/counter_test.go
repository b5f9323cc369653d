package telemetry

import (
	"fmt"
	"math"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
)

func TestCounter_counts_every_one_of_many_at_once(t *testing.T) {
	tel, _ := start(t, Options{})
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 1000 {
				tel.BudgetCrossed(fmt.Sprint("rule-", i%10), "block")
				if g == 0 && i%100 == 0 {
					scrapeText(t, tel)
				}
			}
		})
	}
	group.Wait()
	families := scrape(t, tel)
	for i := range 10 {
		m := one(t, families, "mnemo_budget_crossings_total", "mnemo_budget_rule", fmt.Sprint("rule-", i), "mnemo_budget_action", "block")
		if got := m.GetCounter().GetValue(); got != 800 {
			t.Errorf("rule %d was crossed %v times", i, got)
		}
	}
}

func TestCounter_shares_a_row_once_it_is_full(t *testing.T) {
	tel, _ := start(t, Options{})
	for i := range 10_000 {
		tel.BudgetCrossed(fmt.Sprint(i), "warn")
	}
	families := scrape(t, tel)
	if got := len(families["mnemo_budget_crossings_total"].GetMetric()); got != maxSeries+1 {
		t.Errorf("%d series", got)
	}
	rest := one(t, families, "mnemo_budget_crossings_total", "mnemo_budget_rule", other)
	if got := rest.GetCounter().GetValue(); got != 10_000-maxSeries {
		t.Errorf("%v share a row", got)
	}
}

func TestCounter_never_goes_down(t *testing.T) {
	c := tallies("", func(string) []attribute.KeyValue { return nil })
	c.add("a", 5)
	c.add("a", -3)
	if got := c.rows.row("a").n.Load(); got != 5 {
		t.Errorf("%d", got)
	}
}

func TestDollars_are_exact_to_the_nano(t *testing.T) {
	tel, _ := start(t, Options{})
	call := answered()
	call.Cost, call.Priced, call.CostSource = 100_000_001, true, CostTable // 0.1 dollars in floats would drift
	for range 12_345 {
		_, span := tel.StartCall(t.Context(), call.RequestModel, Origin{})
		tel.EndChat(span, call)
	}
	got := one(t, scrape(t, tel), "mnemo_cost_usd_total").GetCounter().GetValue()
	if want := int64(12_345 * 100_000_001); int64(math.Round(got*nano)) != want {
		t.Errorf("%v dollars, want %d nano-dollars", got, want)
	}
}

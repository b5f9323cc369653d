package telemetry

import "testing"

func TestCacheLookup_counts_by_result(t *testing.T) {
	tel, _ := start(t, Options{})
	for _, result := range []string{CacheHit, CacheMiss, CacheMiss, CacheStale} {
		tel.CacheLookup(result)
	}
	families := scrape(t, tel)
	for result, want := range map[string]float64{"hit": 1, "miss": 2, "stale": 1} {
		if got := one(t, families, "mnemo_cache_lookups_total", "mnemo_cache_result", result).GetCounter().GetValue(); got != want {
			t.Errorf("%s: %v", result, got)
		}
	}
}

func TestBudgetCrossed_counts_by_rule_and_action(t *testing.T) {
	tel, _ := start(t, Options{})
	tel.BudgetCrossed("shop-month", "warn")
	tel.BudgetCrossed("shop-month", "block")
	tel.BudgetCrossed("shop-month", "block")
	families := scrape(t, tel)
	m := one(t, families, "mnemo_budget_crossings_total", "mnemo_budget_rule", "shop-month", "mnemo_budget_action", "block")
	if got := m.GetCounter().GetValue(); got != 2 {
		t.Errorf("%v", got)
	}
}

func TestReloaded_tells_of_an_old_configuration_until_a_new_one_is_in_force(t *testing.T) {
	tel, _ := start(t, Options{})
	stale := func() float64 { return one(t, scrape(t, tel), "mnemo_config_stale").GetGauge().GetValue() }
	if stale() != 0 {
		t.Error("stale from the start")
	}
	tel.Reloaded(false)
	if stale() != 1 {
		t.Error("not stale after a configuration that was not usable")
	}
	tel.Reloaded(true)
	if stale() != 0 {
		t.Error("stale after a reload")
	}
	families := scrape(t, tel)
	for outcome, want := range map[string]float64{"ok": 1, "failed": 1} {
		if got := one(t, families, "mnemo_config_reloads_total", "mnemo_config_outcome", outcome).GetCounter().GetValue(); got != want {
			t.Errorf("%s: %v", outcome, got)
		}
	}
}

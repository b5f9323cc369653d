package telemetry

import "go.opentelemetry.io/otel/attribute"

// Results of looking for an answer in the cache.
const (
	CacheHit   = "hit"
	CacheMiss  = "miss"
	CacheStale = "stale" // too old, and served because nobody answered
)

// CacheLookup counts a call that looked for its answer in the cache, by one of the
// Cache constants.
func (t *Telemetry) CacheLookup(result string) { t.answers.add(result, 1) }

// BudgetCrossed counts that spending passed a limit: the rule's configured name and
// its action as one of a fixed set of words.
func (t *Telemetry) BudgetCrossed(rule, action string) { t.budgets.add(budgetKey{rule, action}, 1) }

// Reloaded counts an attempt to take over a changed configuration. After one that
// failed the old one is in force, until another succeeds.
func (t *Telemetry) Reloaded(ok bool) {
	if ok {
		t.reloads.add("ok", 1)
		t.stale.Store(0)
		return
	}
	t.reloads.add("failed", 1)
	t.stale.Store(1)
}

// Private

type budgetKey struct{ rule, action string }

func (k budgetKey) labels() []attribute.KeyValue {
	return []attribute.KeyValue{budgetRule.String(k.rule), budgetAction.String(k.action)}
}

package telemetry

import "go.opentelemetry.io/otel/attribute"

// Sources of a price.
const (
	CostTable  CostSource = "table"  // the program's own table
	CostConfig CostSource = "config" // the operator's figures
)

// DefaultMaxTenants is the number of tenants that get a label of their own.
const DefaultMaxTenants = 20

// CostSource says where the price of a call comes from; "" is of one without.
type CostSource string

// Total is what the call cost, the answer and each attempt that was billed beside
// it, in nano-dollars. It is not priced if the price of any of these is not known, or
// if nothing was billed.
func (c *ChatCall) Total() (nanoDollars int64, priced bool) {
	if c.Usage.Source != "" || c.Priced {
		if !c.Priced {
			return 0, false
		}
		nanoDollars, priced = c.Cost, true
	}
	for i := range c.Tries {
		a := &c.Tries[i]
		switch {
		case !a.Billed || a.Usage.Source == "" && !a.Priced:
		case !a.Priced:
			return 0, false
		default:
			nanoDollars, priced = nanoDollars+a.Cost, true
		}
	}
	return nanoDollars, priced
}

// Private

type costKey struct {
	modelKey
	tenant string
	source CostSource
}

func (k costKey) labels() []attribute.KeyValue {
	attrs := append(k.modelKey.labels(), costSource.String(string(k.source)))
	if k.tenant != "" {
		attrs = append(attrs, tenantName.String(k.tenant))
	}
	return attrs
}

func (t *Telemetry) instrumentCost(m *maker) {
	t.cost = newDollars(m, metricCost, "What chat calls and summaries cost; those without a known price are not in it.",
		costKey{otherModel, other, other}, costKey.labels)
	t.unpriced = newCounter(m, metricUnpriced, "{call}", "Calls whose cost is not known because their model has no price.",
		otherModel, modelKey.labels)
}

// countCost counts what a call cost, and what its attempts did that were billed
// beside the answer.
func (t *Telemetry) countCost(key modelKey, c *ChatCall) {
	tenant := c.Tenant
	if tenant != "" && c.failure() == "" {
		tenant = t.tenants.admit(tenant)
	} else if tenant != "" {
		tenant = t.tenants.known(tenant)
	}
	t.countPart(key, tenant, c.CostSource, c.Cost, c.Priced, c.Usage.Source)
	for i := range c.Tries {
		if a := &c.Tries[i]; a.Billed {
			part := modelKey{key.operation, key.model, a.Upstream}
			t.countPart(part, tenant, a.CostSource, a.Cost, a.Priced, a.Usage.Source)
		}
	}
}

func (t *Telemetry) countPart(key modelKey, tenant string, from CostSource, cost int64, priced bool, usage UsageSource) {
	switch {
	case priced:
		t.cost.add(costKey{key, tenant, from}, cost)
	case usage != "":
		t.unpriced.add(key, 1)
	}
}

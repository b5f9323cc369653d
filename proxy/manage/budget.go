package manage

import (
	"net/http"

	"mnemo/budget"
)

// A BudgetState is where one budget of one subject stands.
type BudgetState struct {
	Rule     string         `json:"rule"`
	Scope    budget.Scope   `json:"scope"`
	Action   budget.Action  `json:"action"`
	Subject  budget.Subject `json:"subject"` // whose it is; of a global rule: empty
	Spent    int64          `json:"spent"`
	Reserved int64          `json:"reserved"` // by calls under way
	Limit    int64          `json:"limit"`
	Unit     string         `json:"unit"` // of these three: nano_usd or tokens
	Used     float64        `json:"used"` // the share of the limit that is spent or reserved; more than 1: it was passed
	Period   budget.Period  `json:"period"`
	From     Time           `json:"from"`
	Resets   Time           `json:"resets"`
}

// A BudgetList is budgets, those that are used up most first.
type BudgetList struct {
	Budgets []BudgetState `json:"budgets"`
}

// Units of a BudgetState.
const (
	UnitNanoUSD = "nano_usd"
	UnitTokens  = "tokens"
)

// Private

// budgets shows where budgets stand. What all tenants spend together, which is what
// global and model rules count, is for those who may see all tenants.
func (a *api) budgets(r *request) (err error) {
	q := budget.Query{Tenant: r.caller.Tenant}
	if _, named := r.param("tenant"); named {
		q.Tenant, err = r.tenant()
	} else if r.caller.Admin || r.caller.Alone {
		q.Tenant = ""
	}
	if err != nil {
		return err
	}
	if q.Rule, err = r.word("rule", budget.MaxName); err != nil {
		return err
	}
	most, err := r.number("limit", budget.MaxStates, budget.DefaultStates)
	if err != nil {
		return err
	}
	q.Most = int(most)
	list := BudgetList{Budgets: []BudgetState{}}
	if a.Budgets != nil {
		for _, s := range a.Budgets(q) {
			list.Budgets = append(list.Budgets, budgetOf(&s))
		}
	}
	return r.answer(http.StatusOK, list)
}

func budgetOf(s *budget.State) BudgetState {
	b := BudgetState{
		Rule: s.Rule, Scope: s.Scope, Action: s.Action, Subject: s.Subject, Spent: s.Spent, Reserved: s.Reserved,
		Limit: s.Limit.Amount, Unit: UnitNanoUSD, Period: s.Per, From: Time{s.From}, Resets: Time{s.Resets},
	}
	if s.Limit.Unit == budget.Tokens {
		b.Unit = UnitTokens
	}
	if b.Limit > 0 {
		b.Used = float64(b.Spent+b.Reserved) / float64(b.Limit)
	}
	return b
}

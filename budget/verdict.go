package budget

import (
	"fmt"
	"time"
)

// A Verdict is what a call's budgets say to it. The zero value allows it.
type Verdict struct {
	Action Action // of the most severe rule that is used up, or Allow

	// What is used up, unless Action is Allow.
	Rule     string
	Subject  Subject
	Spent    int64 // in the unit of Limit, by calls that have ended
	Reserved int64 // by calls under way
	Limit    Limit
	Per      Period
	Resets   time.Time
}

// Message says to a client what is used up and when it resets; "" of a Verdict that allows.
func (v Verdict) Message() string {
	if v.Action == Allow {
		return ""
	}
	return fmt.Sprintf("the budget %s of %s %s is used up; it resets at %s",
		v.Rule, v.Limit, v.Per.each(), v.Resets.UTC().Format(time.RFC3339))
}

// Private

func newVerdict(a *account, r *rule) Verdict {
	return Verdict{
		Action: r.Action, Rule: r.Name, Subject: a.subject,
		Spent: a.sum(), Reserved: a.held(),
		Limit: r.Limit, Per: r.Per, Resets: a.until,
	}
}

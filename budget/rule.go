package budget

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Scopes of a Rule.
const (
	Global  Scope = "global"  // one sum of all calls
	Tenant  Scope = "tenant"  // one of each tenant
	Session Scope = "session" // one of each session of each tenant
	Model   Scope = "model"   // one of each model, as it was asked for
)

// Actions of a Rule, from the mildest on.
const (
	Allow   Action = ""        // of a Verdict only: no budget is used up
	Warn    Action = "warn"    // the call goes on
	Degrade Action = "degrade" // the call goes on, with a cheaper model
	Block   Action = "block"   // the call is refused
)

// Bounds of rules.
const (
	MaxRules   = 1000
	MaxName    = 64  // bytes of a rule's name
	MaxPattern = 256 // bytes of a pattern
)

// A Scope says whose calls are added up together.
type Scope string

// An Action is what happens to a call that finds its budget used up.
type Action string

// A Rule is one budget: how much may be spent by whom in which time, and what happens then.
//
// Rules that agree in Scope, Match, Tenant, Limit.Unit and Per share their sums, so that one may
// warn at five dollars and another block at ten.
type Rule struct {
	Name   string // unique; letters, digits, '.', '_' and '-'
	Scope  Scope
	Match  string // pattern of the tenants, sessions or models that it is about; * stands for any characters; "": all. Not for Global
	Tenant string // pattern of the tenants whose calls count; "": all
	Limit  Limit
	Per    Period
	Action Action
	WarnAt float64 // the share of the limit, below 1, at which a crossing is told too; 0: only at the limit
}

// Check returns an error that says everything that is wrong with rules, or nil.
func Check(rules []Rule) error {
	if len(rules) > MaxRules {
		return fmt.Errorf("%d budgets: at most %d are possible", len(rules), MaxRules)
	}
	var errs []error
	names := make(map[string]bool, len(rules))
	for i, r := range rules {
		if err := r.check(); err != nil {
			errs = append(errs, fmt.Errorf("budget %d (%q): %w", i, r.Name, err))
		}
		if names[r.Name] {
			errs = append(errs, fmt.Errorf("budget %d (%q): its name is taken", i, r.Name))
		}
		names[r.Name] = true
	}
	return errors.Join(errs...)
}

// Private

const nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

func (r Rule) check() error {
	switch {
	case r.Name == "" || len(r.Name) > MaxName || strings.Trim(r.Name, nameLetters) != "":
		return fmt.Errorf("a name is 1 to %d letters, digits, '.', '_' and '-'", MaxName)
	case !slices.Contains([]Scope{Global, Tenant, Session, Model}, r.Scope):
		return errors.New("scope must be global, tenant, session or model")
	case r.Scope == Global && r.Match != "":
		return errors.New("match has no meaning for scope global; tenant says whose calls count")
	case len(r.Match) > MaxPattern || len(r.Tenant) > MaxPattern:
		return fmt.Errorf("a pattern is at most %d bytes", MaxPattern)
	case r.Limit.Unit != USD && r.Limit.Unit != Tokens:
		return errors.New("the limit's unit must be USD or tokens")
	case r.Limit.Amount <= 0 || r.Limit.Amount > MaxAmount:
		return fmt.Errorf("the limit must be more than 0 and at most %s", Limit{MaxAmount, r.Limit.Unit})
	case !slices.Contains([]Period{Hour, Day, Month}, r.Per):
		return errors.New("per must be hour, day or month")
	case !slices.Contains([]Action{Warn, Degrade, Block}, r.Action):
		return errors.New("action must be warn, degrade or block")
	case !(r.WarnAt >= 0 && r.WarnAt < 1): // so that NaN is refused
		return errors.New("warn_at must be at least 0 and below 1")
	}
	return nil
}

// severity orders actions.
func (a Action) severity() int {
	return slices.Index([]Action{Allow, Warn, Degrade, Block}, a)
}

// A rule is a Rule and what is computed of it once.
type rule struct {
	Rule
	levels []level
}

// A level is an amount whose crossing is told.
type level struct {
	amount int64
	full   bool   // it is the limit
	mark   string // its name within an account
}

func newRule(r Rule) *rule {
	own := &rule{Rule: r}
	if warn := int64(r.WarnAt * float64(r.Limit.Amount)); warn > 0 {
		own.levels = append(own.levels, level{amount: warn})
	}
	own.levels = append(own.levels, level{amount: r.Limit.Amount, full: true})
	for i := range own.levels {
		own.levels[i].mark = r.Name + ":" + strconv.FormatInt(own.levels[i].amount, 10)
	}
	return own
}

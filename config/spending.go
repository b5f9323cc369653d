package config

import "time"

// Values of the settings of a Budget.
const (
	ScopeGlobal  = "global"
	ScopeTenant  = "tenant"
	ScopeSession = "session"
	ScopeModel   = "model"

	PerHour  = "hour"
	PerDay   = "day"
	PerMonth = "month"

	ActionWarn    = "warn"    // the call is served
	ActionDegrade = "degrade" // by the cheaper candidates of its route
	ActionBlock   = "block"   // it is refused
)

// Pricing says what tokens cost.
type Pricing struct {
	File string `yaml:"file"` // of prices that go before the built-in ones
}

// Ledger says how the accounts of calls are kept, in the database of the store.
type Ledger struct {
	Enabled  bool          `yaml:"enabled"`
	Interval time.Duration `yaml:"interval" range:">=10ms <=1h"` // between two writes: what a crash loses at most
	Queue    int           `yaml:"queue" range:">=1 <=10000000"` // accounts that wait to be written
	Keep     time.Duration `yaml:"keep" range:">=0s"`            // how long; 0: for ever
}

// A Budget bounds what may be spent in each hour, day or month, in UTC.
type Budget struct {
	Name   string  `yaml:"name"`                                      // unique
	Scope  string  `yaml:"scope" oneof:"global tenant session model"` // what has a budget of its own
	Match  string  `yaml:"match"`                                     // pattern of the tenants, sessions or models of Scope, * stands for anything; "" with ScopeGlobal
	Tenant string  `yaml:"tenant"`                                    // pattern of the tenants whose calls count
	Limit  Amount  `yaml:"limit"`
	Per    string  `yaml:"per" oneof:"hour day month"`
	Action string  `yaml:"action" oneof:"warn degrade block"` // once the limit is reached
	WarnAt float64 `yaml:"warn_at" range:">=0 <1"`            // the share of Limit at which there is a warning; 0: none before it
}

// Alerts says where warnings of budgets are sent.
type Alerts struct {
	URL     WebhookURL `yaml:"url"`                      // "": nowhere but to the log
	Secret  Secret     `yaml:"secret"`                   // that they are signed with; "": they are not
	Retries int        `yaml:"retries" range:">=0 <=20"` // further attempts after a failed one
}

// Private

// maxBudgets bounds how many there are: each is asked before a call.
const maxBudgets = 1000

func (b *Budget) setDefaults() {
	*b = Budget{Scope: ScopeTenant, Match: "*", Tenant: "*", Per: PerDay, Action: ActionBlock, WarnAt: 0.8}
}

package config

import "time"

// ProxyDirect is the proxy of an upstream that is called without one, whatever
// the environment says.
const ProxyDirect = "direct"

// An Upstream is a model API behind mnemo.
type Upstream struct {
	Name         string            `yaml:"name"`                      // unique
	URL          string            `yaml:"url"`                       // absolute, http or https, without a trailing slash
	Keys         []UpstreamKey     `yaml:"keys"`                      // the key pool; may be empty
	RotateAfter  time.Duration     `yaml:"rotate_after" range:">=0s"` // a key that is older is warned of; 0: none
	KeyPolicy    string            `yaml:"key_policy" oneof:"weighted least_in_flight headroom"`
	Sticky       bool              `yaml:"sticky"`                    // a session keeps its key while it can
	MaxInFlight  int               `yaml:"max_in_flight" range:">=0"` // calls at a time; 0: any number
	MaxPerKey    int               `yaml:"max_in_flight_per_key" range:">=0"`
	Queue        CallQueue         `yaml:"queue"`
	Organization string            `yaml:"organization"` // sent as OpenAI-Organization; "": as the client sent it
	Project      string            `yaml:"project"`      // sent as OpenAI-Project; "": as the client sent it
	Headers      map[string]Secret `yaml:"headers"`      // set on every request; Host replaces the host name
	CA           CertFile          `yaml:"ca"`           // trusted beside what the system trusts
	Proxy        ProxyURL          `yaml:"proxy"`        // "": as the environment says
	Timeouts     Timeouts          `yaml:"timeouts"`
	Capabilities Capabilities      `yaml:"capabilities"`
	// Retry and Breaker are complete: what the file leaves out is the global's.
	Retry   Retry   `yaml:"retry"`
	Breaker Breaker `yaml:"breaker"`
	// Prices by model are what this upstream charges; they go before all tables.
	Prices map[string]Price `yaml:"prices"`
}

// An UpstreamKey is one key of a pool.
type UpstreamKey struct {
	Label string `yaml:"label"` // what clients and logs see of it; unique in its pool; key-<n>, if left out
	// Value is never empty: where File is set, it is what that holds.
	Value  Secret `yaml:"value"`
	File   string `yaml:"file"`                         // a file with the key on its only line
	Weight int    `yaml:"weight" range:">=0 <=1000000"` // share of the calls; 0: none
	Since  Date   `yaml:"since"`                        // when it was made; zero: unknown
}

// CallQueue bounds the calls that wait for an upstream with max_in_flight.
type CallQueue struct {
	Length int           `yaml:"length" range:">=1 <=1000000"`
	Wait   time.Duration `yaml:"wait" range:">0s"`
}

// Timeouts of an upstream call.
type Timeouts struct {
	Connect    time.Duration `yaml:"connect" range:">0s"`
	Headers    time.Duration `yaml:"headers" range:">0s"`      // until the answer begins
	FirstToken time.Duration `yaml:"first_token" range:">=0s"` // until a stream's first content, where a further candidate exists; 0: none
	StreamIdle time.Duration `yaml:"stream_idle" range:">0s"`  // between two pieces of a stream
	Total      time.Duration `yaml:"total" range:">0s"`
}

// Capabilities are what an upstream understands.
type Capabilities struct {
	StreamOptions   bool `yaml:"stream_options"`   // stream_options.include_usage
	PromptCacheKey  bool `yaml:"prompt_cache_key"` // prompt_cache_key, which is then set to one for each session
	Prefill         bool `yaml:"prefill"`          // a last message of the assistant, which it continues
	ReplayReasoning bool `yaml:"replay_reasoning"` // reasoning of earlier turns in their messages
}

// A Price is what an upstream charges for a model.
type Price struct {
	Input       Rate `yaml:"input"`
	CachedInput Rate `yaml:"cached_input"` // read from the provider's cache; Input, if left out
	CacheWrite  Rate `yaml:"cache_write"`  // written to it; Input, if left out
	Output      Rate `yaml:"output"`
}

// A Route says which upstreams serve a model.
type Route struct {
	Model   string     `yaml:"model"`   // pattern, * stands for anything; unique
	To      []Target   `yaml:"to"`      // at least one, in order of preference
	Degrade []Target   `yaml:"degrade"` // cheaper ones, for when a queue or a budget is exhausted
	Cache   RouteCache `yaml:"cache"`
}

// A Target is an upstream of a route.
type Target struct {
	Upstream string `yaml:"upstream"` // the name of one
	Model    string `yaml:"model"`    // what the upstream calls the model; "": the same
}

// A RouteCache keeps answers, to be given again to the same request.
type RouteCache struct {
	TTL          time.Duration `yaml:"ttl" range:">=0s"` // 0: nothing is kept
	MaxEntries   int           `yaml:"max_entries" range:">=1 <=1000000"`
	StaleIfError time.Duration `yaml:"stale_if_error" range:">=0s"` // after TTL, while every candidate is down
}

// AnswerCache says where the answers are kept that routes cache.
type AnswerCache struct {
	URL  RedisURL `yaml:"url"`                  // "": in memory
	Size Size     `yaml:"size" range:">=64KiB"` // of all answers in memory
}

// Retry says how often and how soon a failed call is tried again.
type Retry struct {
	Attempts int           `yaml:"attempts" range:">=0 <=10"` // after the first; 0: none
	Base     time.Duration `yaml:"base" range:">0s"`          // the first pause
	Max      time.Duration `yaml:"max" range:">0s"`           // the longest pause
	Within   time.Duration `yaml:"within" range:">=0s"`       // no attempt begins later in a call; 0: no limit but its total
	Ratio    float64       `yaml:"ratio" range:">0 <=100"`    // further attempts for each call, over time
}

// Breaker says when an upstream counts as down, and for how long.
type Breaker struct {
	Window       time.Duration `yaml:"window" range:">0s"` // over which calls are counted
	MinCalls     int           `yaml:"min_calls" range:">=1 <=1000000"`
	FailureRatio float64       `yaml:"failure_ratio" range:">0 <=1"`      // of at least MinCalls
	Consecutive  int           `yaml:"consecutive" range:">=1 <=1000000"` // failures in a row
	Open         time.Duration `yaml:"open" range:">0s"`                  // until one call is let through again
	OpenMax      time.Duration `yaml:"open_max" range:">0s"`              // the longest that it grows to
}

// SharedBreaker is the Breaker of every upstream that says nothing else, and where
// replicas tell each other what they find.
type SharedBreaker struct {
	Breaker
	Share RedisURL `yaml:"share" reload:"restart"` // "": each finds out for itself
}

// Private

// setDefaults fills an upstream that a file is about to describe. Its Retry and
// Breaker are taken from the global ones once those are known.
func (u *Upstream) setDefaults() {
	u.Timeouts = Timeouts{
		Connect: 5 * time.Second, Headers: 5 * time.Minute, StreamIdle: 2 * time.Minute, Total: 30 * time.Minute,
	}
	u.Capabilities = Capabilities{StreamOptions: true}
	u.KeyPolicy, u.Sticky = KeyPolicyWeighted, true
	u.Queue = CallQueue{Length: 100, Wait: 10 * time.Second}
}

func (k *UpstreamKey) setDefaults() { k.Weight = 1 }

func (r *Route) setDefaults() { r.Cache.MaxEntries = 1000 }

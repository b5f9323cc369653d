// Package config holds every setting of mnemo: its name, its default, its
// limits and where its value came from.
//
// Load lays the sources over each other: defaults, then the file, then the
// environment, then flags. It reports all mistakes at once and accepts nothing
// that it does not know.
package config

import "time"

// Values of the settings that name one of several.
const (
	AuthPassthrough = "passthrough" // the client's own key goes upstream
	AuthKeys        = "keys"        // clients present a key of mnemo's
	AuthNone        = "none"        // anybody may call

	OnErrorOpen   = "open"   // serve without memory
	OnErrorClosed = "closed" // answer 503

	StrategyTrim      = "trim"      // the newest groups that fit the budget
	StrategyWindow    = "window"    // the newest groups, a fixed number
	StrategySummarize = "summarize" // as trim, with a summary of what is left out

	KeyPolicyWeighted      = "weighted"        // by weight
	KeyPolicyLeastInFlight = "least_in_flight" // the key with the fewest calls under way
	KeyPolicyHeadroom      = "headroom"        // the key whose limits leave the most

	OnDisconnectKeep    = "keep"    // store the partial answer
	OnDisconnectDiscard = "discard" // store nothing

	OnStreamBreakError  = "error"  // the stream ends with an error
	OnStreamBreakResume = "resume" // the next candidate goes on with it

	FormatText = "text"
	FormatJSON = "json"
)

// DefaultFile is read if no other file is named. It may be absent.
const DefaultFile = "mnemo.yaml"

// A Config is a complete, valid configuration. Load makes one.
type Config struct {
	Listen    string        `yaml:"listen" reload:"restart"` // host:port; port 0 takes a free one
	TLS       TLS           `yaml:"tls" reload:"restart"`
	Drain     time.Duration `yaml:"drain" range:">0s"` // how long a shutdown waits for answers to end
	Auth      Auth          `yaml:"auth"`
	Store     Store         `yaml:"store"`
	Memory    Memory        `yaml:"memory"`
	Summarize Summarize     `yaml:"summarize"`
	// Personas by name. They are read again while mnemo runs.
	Personas  map[string]Persona `yaml:"personas"`
	Upstreams []Upstream         `yaml:"upstreams"` // at least one; the first is the default
	Routes    []Route            `yaml:"routes"`    // the first match wins
	Retry     Retry              `yaml:"retry"`
	Breaker   SharedBreaker      `yaml:"breaker"`
	// HedgeAfter is when a stream that has not begun is asked of the next candidate
	// too; 0: never.
	HedgeAfter time.Duration `yaml:"hedge_after" range:">=0s"`
	// OnStreamBreak says what becomes of a stream that breaks off or stalls.
	OnStreamBreak string      `yaml:"on_stream_break" oneof:"error resume"`
	AnswerCache   AnswerCache `yaml:"answer_cache" reload:"restart"`
	Limits        Limits      `yaml:"limits"`
	Pricing       Pricing     `yaml:"pricing"`
	Ledger        Ledger      `yaml:"ledger" reload:"restart"`
	Budgets       []Budget    `yaml:"budgets"`
	Alerts        Alerts      `yaml:"alerts" reload:"restart"`
	Telemetry     Telemetry   `yaml:"telemetry" reload:"restart"`
	Log           Log         `yaml:"log"`

	// File is the path of the file that was read; "" if there was none.
	File string

	// Warnings are what deserves attention but does not prevent a start.
	Warnings []string

	origins map[string]Origin // of what is not a default, by key
}

// TLS names the files of a certificate and its key. Both or none are set; none
// means plain HTTP.
type TLS struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// Auth says who may call.
type Auth struct {
	// Mode is never empty after Load. Where nobody said, it is keys if client keys
	// are listed, else passthrough if no upstream has keys, else none.
	Mode string      `yaml:"mode" oneof:"passthrough keys none"`
	Keys []ClientKey `yaml:"keys"`
}

// A ClientKey is a key that mnemo's own clients present.
type ClientKey struct {
	Name   string   `yaml:"name"`   // unique
	Tenant string   `yaml:"tenant"` // who owns the sessions; the name, if left out
	Hash   Hash     `yaml:"hash"`   // of the key; unique
	Models []string `yaml:"models"` // patterns of the models it may use, * stands for anything; none: all
	Admin  bool     `yaml:"admin"`  // sees the sessions of all tenants in the management API
}

// Store says where sessions live.
type Store struct {
	URL         StoreURL      `yaml:"url" reload:"restart"`
	TTL         time.Duration `yaml:"ttl" range:">=0s" reload:"restart"` // since the last turn; 0: sessions never expire
	OnError     string        `yaml:"on_error" oneof:"open closed" reload:"restart"`
	LoadTimeout time.Duration `yaml:"load_timeout" range:">0s"`
	Queue       Queue         `yaml:"queue" reload:"restart"`
}

// Queue bounds what waits while the store cannot be reached.
type Queue struct {
	Turns     int    `yaml:"turns" range:">=1 <=10000000"`
	Size      Size   `yaml:"size" range:">=64KiB"`
	Spool     string `yaml:"spool"` // a directory for what is more; "": what is more is lost
	SpoolSize Size   `yaml:"spool_size" range:">=1MiB"`
}

// Memory says how prompts are composed.
type Memory struct {
	SessionHeader string  `yaml:"session_header"`
	Strategy      string  `yaml:"strategy" oneof:"trim window summarize"`
	Window        int     `yaml:"window" range:">=0"`        // groups; needed by strategy window
	Budget        int     `yaml:"budget" range:">=0"`        // tokens of a whole prompt; 0: the model's window less the reserve
	LowWater      float64 `yaml:"low_water" range:">0 <1"`   // share of the budget that a trim leaves
	ReplyReserve  int     `yaml:"reply_reserve" range:">=0"` // tokens of the model's window kept for the answer
	OnDisconnect  string  `yaml:"on_disconnect" oneof:"keep discard"`
}

// Summarize says how summaries are made.
type Summarize struct {
	Model     string        `yaml:"model"` // that writes them; "": the call's own
	MaxTokens int           `yaml:"max_tokens" range:">=64 <=100000"`
	Timeout   time.Duration `yaml:"timeout" range:">0s"` // for one answer
	Inline    bool          `yaml:"inline"`              // a call waits for the summary that it needs
}

// A Persona is a system prompt that calls name.
type Persona struct {
	Prompt   string            `yaml:"prompt"`   // with {variables}
	Greeting string            `yaml:"greeting"` // of a session that is created with it
	Vars     map[string]string `yaml:"vars"`     // what variables stand for that a call leaves out
}

// Limits bound what is taken in.
type Limits struct {
	Body     Size `yaml:"body" range:">=1KiB"`                            // a chat request
	Header   Size `yaml:"header" range:">=4KiB <=16MiB" reload:"restart"` // all headers of a request
	Depth    int  `yaml:"depth" range:">=16 <=10000"`                     // of nested JSON
	Session  Size `yaml:"session" range:">=1KiB" reload:"restart"`        // all turns of a session
	SSEEvent Size `yaml:"sse_event" range:">=1KiB"`                       // one event of a stream
	InFlight int  `yaml:"in_flight" range:">=0"`                          // calls at a time; 0: no limit
}

// Log says what is logged.
type Log struct {
	Format string `yaml:"format" oneof:"text json" reload:"restart"`
	Level  string `yaml:"level" oneof:"debug info warn error" reload:"restart"`
}

// Private

// defaults is what holds where no source says otherwise.
func defaults() *Config {
	upstream := Upstream{Name: "default", URL: "https://api.openai.com/v1"}
	upstream.setDefaults()
	c := &Config{
		Listen: "127.0.0.1:8080",
		Drain:  30 * time.Second,
		Store: Store{URL: StoreURL{public("sqlite:mnemo.db")}, OnError: OnErrorOpen, LoadTimeout: 250 * time.Millisecond,
			Queue: Queue{Turns: 10_000, Size: 64 * MiB, SpoolSize: 1024 * MiB}},
		Memory: Memory{
			SessionHeader: "X-Session-ID", Strategy: StrategyTrim, Budget: 8000, LowWater: 0.6,
			ReplyReserve: 1024, OnDisconnect: OnDisconnectKeep,
		},
		Summarize: Summarize{MaxTokens: 512, Timeout: 30 * time.Second},
		Retry:     Retry{Attempts: 2, Base: 200 * time.Millisecond, Max: 5 * time.Second, Ratio: 1.2},
		Breaker: SharedBreaker{Breaker: Breaker{
			Window: 30 * time.Second, MinCalls: 50, FailureRatio: 0.8, Consecutive: 20, Open: 10 * time.Second, OpenMax: 30 * time.Second,
		}},
		HedgeAfter:    10 * time.Second,
		OnStreamBreak: OnStreamBreakError,
		AnswerCache:   AnswerCache{Size: 64 * MiB},
		Limits: Limits{
			Body: 32 * MiB, Header: 36 * KiB, Depth: 512, Session: 256 * MiB, SSEEvent: 16 * MiB,
		},
		Ledger:    Ledger{Enabled: true, Interval: time.Second, Queue: 10_000, Keep: 90 * day},
		Alerts:    Alerts{Retries: 5},
		Telemetry: Telemetry{Semconv: Semconv141, ContentLimit: 16 * KiB, Tenants: 20},
		Log:       Log{Format: FormatText, Level: "info"},
	}
	upstream.Retry, upstream.Breaker = c.Retry, c.Breaker.Breaker
	c.Upstreams = []Upstream{upstream}
	return c
}

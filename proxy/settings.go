package proxy

import (
	"net/textproto"
	"time"

	"mnemo/budget"
	"mnemo/memory"
	"mnemo/proxy/answercache"
	"mnemo/proxy/upstream"
	"mnemo/telemetry"
)

// Defaults of Settings.
const (
	DefaultSessionHeader = "X-Session-Id"
	DefaultBodyLimit     = 32 << 20
	DefaultHeaderLimit   = 36 << 10
	DefaultDepthLimit    = 512
	DefaultEventLimit    = 16 << 20
	DefaultLoadTimeout   = 250 * time.Millisecond
	DefaultReplyReserve  = 1024
)

// Settings are what can change while a Server runs. Pool must be set; the rest has
// useful zero values.
type Settings struct {
	Pool     *upstream.Pool
	Auth     Auth
	Memory   Memory
	Limits   Limits
	Personas []Persona
	// CacheKeys says that there are upstreams that take a prompt_cache_key.
	CacheKeys bool
	// Cost prices tokens of a model at an upstream, "" if that is not known yet; nil: no
	// price is known.
	Cost func(upstream, model string, u telemetry.Usage) Cost
	// Addresses of the upstreams by name, for traces.
	Addresses map[string]Address
	Budgets   *budget.Budgets   // nil: there are none
	Cache     answercache.Cache // of answers; nil: none are kept
	// CacheRules say whose answers are; the first that matches a model holds.
	CacheRules []CacheRule
}

// Memory says how conversations are kept and composed.
type Memory struct {
	SessionHeader string        // default DefaultSessionHeader
	Policy        memory.Policy // Budget 0: what the model's window leaves
	ReplyReserve  int           // tokens kept free for the reply; default DefaultReplyReserve
	LoadTimeout   time.Duration // default DefaultLoadTimeout
	// FailClosed answers 503 while the store cannot be read, instead of serving
	// the call without memory.
	FailClosed bool
	// DiscardPartial drops the turn of a client that left in the middle of a
	// stream, instead of storing what it saw.
	DiscardPartial bool
	// SummaryWait is how long a call waits for the summary that it needs; 0: not at
	// all, it is trimmed until the summary is there.
	SummaryWait time.Duration
}

// Limits bound what a client can ask of the process. Zero values are defaults.
type Limits struct {
	Body     int   // bytes of a chat request
	Header   int   // bytes of a request's header; fixed once the server is made
	Depth    int   // nesting of a chat request's JSON
	Session  int64 // bytes of a session's messages; 0: no limit
	Event    int   // bytes of one SSE event of a stream with memory
	InFlight int64 // requests at a time; 0: no limit
}

// Apply puts settings in force for every request from now on. Those under way go on
// with theirs, and with the pool that they have.
func (s *Server) Apply(next Settings) { s.settings.Store(newSettings(next)) }

// Private

// settings are Settings as requests use them. Each request takes those that are in
// force when it comes.
type settings struct {
	Settings
	auth       *authenticator
	ownHeaders map[string]bool
	personas   map[string]*persona
	refusing   refusals // the models whose upstream rejects stream_options
}

func newSettings(of Settings) *settings {
	m, l := &of.Memory, &of.Limits
	if m.SessionHeader == "" {
		m.SessionHeader = DefaultSessionHeader
	}
	m.SessionHeader = textproto.CanonicalMIMEHeaderKey(m.SessionHeader)
	setDefault(&m.ReplyReserve, DefaultReplyReserve)
	setDefault(&m.LoadTimeout, DefaultLoadTimeout)
	setDefault(&l.Body, DefaultBodyLimit)
	setDefault(&l.Header, DefaultHeaderLimit)
	setDefault(&l.Depth, DefaultDepthLimit)
	setDefault(&l.Event, DefaultEventLimit)
	set := &settings{Settings: of, auth: newAuthenticator(of.Auth), personas: make(map[string]*persona, len(of.Personas))}
	set.ownHeaders = map[string]bool{m.SessionHeader: true}
	for _, name := range [...]string{headerMode, headerBudget, headerStrategy, headerPersona, headerPersonaVars, headerCache} {
		set.ownHeaders[name] = true
	}
	for _, p := range of.Personas {
		set.personas[p.Name] = parsePersona(p)
	}
	return set
}

func setDefault[T int | int64 | time.Duration](value *T, fallback T) {
	if *value == 0 {
		*value = fallback
	}
}

package upstream

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	maxResponseHeader   = 1 << 20
	maxIdleConnsPerHost = 512
	idleConnTimeout     = 90 * time.Second
	bufferSize          = 4 << 10
	pingAfter           = 30 * time.Second // of silence on an HTTP/2 connection in use
	pingTimeout         = 15 * time.Second
)

// A Pool calls upstreams. It is safe for concurrent use.
type Pool struct {
	lasting
	upstreams  []*upstream
	router     *router
	retry      Retry
	hedgeAfter time.Duration
	resume     bool
	tokens     func(model, text string) int
	onAttempt  func(Attempt)
	deafen     func() // ends hearing what is on the board
}

// A Request is one call. The pool owns it until Do returns an error or the
// answer is finished.
type Request struct {
	Method string
	Target string      // what follows the base URL, with the query, as the client wrote it; it travels unchanged
	Header http.Header // the end-to-end headers with canonical names; Authorization in it is the client's own
	Body   string      // the body, unless Stream is set
	Stream io.Reader   // a body that can be read once; a call is not repeated after it was begun
	Length int64       // of Stream; -1: unknown
	Model  string      // chooses route and breaker; "": unknown
	Tenant string      // who takes turns with others when calls queue; "": nobody in particular
	Sticky string      // who keeps one key of a pool, such as a session; "": nobody
	// CacheKey becomes "prompt_cache_key" of a chat completion that has none, at
	// upstreams that take it; "": nothing is added.
	CacheKey string
	// Degrade says that the route's cheaper candidates serve the call, and no other.
	Degrade bool
	// Background says that nobody waits for the answer. The call is made once, and if
	// it fails, that is no news for the calls of others: no breaker counts it, and no
	// key rests for it.
	Background bool
}

// New returns a pool, or every mistake in the options.
func New(o Options) (*Pool, error) {
	l := lasting{log: o.Log, now: o.Now, board: o.Board}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	if l.now == nil {
		l.now = time.Now
	}
	p, err := assemble(&o, l, nil)
	if err != nil {
		return nil, err
	}
	p.listen()
	return p, nil
}

// Do makes the call: attempts, until one has an answer to pass on or nothing is
// left to try. Every answer of an upstream comes back as an Answer, the last
// failing one too; errors are *Error. When ctx ends, so does the call, its
// answer's body included; the error then matches ctx.Err().
//
// GET, HEAD, OPTIONS, a POST that only computes (chat, completions, embeddings)
// and whatever has an Idempotency-Key are repeated after any failure. Other calls
// are repeated only if the upstream did no work: it could not be dialled, or it
// refused the key (401, 403) or the rate (429). When a kept connection turns out
// to be dead, net/http takes another for the calls of the first kind; that is no
// attempt of its own.
//
// While a route has another candidate to try, the head and the first events of a
// stream are held until there is content, for at most 64 events, 64 KiB, and 15 s,
// or 15 s beyond HedgeAfter and FirstToken: a stream that fails before that goes
// there.
//
// While another attempt is allowed, a chat completion that is no stream is read
// whole, up to 8 MiB, before Do returns. One that was cut, HTML, JSON that is none
// and {"error": …} without choices are failures like a 5xx, whatever the status
// says; the last one is passed on as it came.
func (p *Pool) Do(ctx context.Context, r *Request) (*Answer, error) {
	if err := checkTarget(r.Target); err != nil {
		return nil, invalidRequest(err.Error())
	}
	if !knownMethod(r.Method) {
		return nil, invalidRequest("the method cannot be passed on")
	}
	c := call{pool: p, ctx: ctx, request: r, candidates: p.router.candidates(r.Model), began: time.Now(), credential: readCredential(r)}
	a, err := c.run()
	if err == nil {
		c.guard(a)
	}
	return a, err
}

// Close drops idle connections. Calls under way go on.
func (p *Pool) Close() {
	p.deafen()
	for _, u := range p.upstreams {
		u.closeIdle()
	}
}

// Private

// lasting is what a pool hands on to the one that replaces it.
type lasting struct {
	log   *slog.Logger
	now   func() time.Time
	board Board
}

// assemble takes from others what is the same as in the options.
func assemble(o *Options, l lasting, others []*upstream) (*Pool, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	p := &Pool{lasting: l, retry: o.Retry.withDefaults(), hedgeAfter: max(o.HedgeAfter, 0), onAttempt: o.OnAttempt,
		resume: o.Resume, tokens: o.Tokens}
	for i := range o.Upstreams {
		s, keys := o.settings(i), o.Upstreams[i].Keys
		u := s.among(others, len(keys) > 0)
		if u == nil {
			var err error
			if u, err = newUpstream(s, keys, l); err != nil {
				return nil, fmt.Errorf("upstream %q: %w", s.Name, err)
			}
		}
		p.upstreams = append(p.upstreams, u)
	}
	var err error
	if p.router, err = newRouter(o.Routes, p.upstreams); err != nil {
		return nil, err
	}
	return p, nil
}

// An upstream is what an Upstream becomes.
type upstream struct {
	settings  settings
	name      string
	address   *address
	transport http.RoundTripper
	closeIdle func()
	template  *http.Request
	headers   map[string][]string
	timeouts  Timeouts
	keys      *keyring
	circuits  *circuits
	retry     *Retry // nil: the pool's
	budget    *retryBudget
	gate      *gate // nil: nothing is bounded
	inFlight  atomic.Int64
	latencies latencies
	retired   atomic.Bool // no pool in force has it

	noStreamOptions bool
	promptCacheKey  bool
	replayReasoning bool
	noSticky        bool
}

// newUpstream has its settings from nowhere else: they are what a reload compares.
func newUpstream(s settings, keys []Key, l lasting) (*upstream, error) {
	if s.mistake != nil {
		return nil, s.mistake
	}
	u := &upstream{
		settings: s,
		name:     s.Name,
		address:  s.address,
		timeouts: s.Timeouts.withDefaults(),
		keys:     newKeyring(&s.Upstream, l.log),
		budget:   newRetryBudget(s.ratio),
		circuits: newCircuits(s.Name, s.breaker, s.openMax, l.log),

		noStreamOptions: s.NoStreamOptions,
		promptCacheKey:  s.PromptCacheKey,
		replayReasoning: s.ReplayReasoning,
		noSticky:        s.NoSticky,
	}
	u.circuits.board, u.circuits.boardName = l.board, boardName(&s)
	if s.Retry != nil {
		retry := s.Retry.withDefaults()
		u.retry = &retry
	}
	if err := u.keys.set(keys); err != nil {
		return nil, err
	}
	u.gate = newGate(&s.Upstream, u.keys, l.now)
	u.template = new(http.Request)
	u.headers, u.template.Host = headerValues(s.Headers)
	transport := newTransport(s.address, u.timeouts.Connect)
	transport.TLSClientConfig.RootCAs = s.RootCAs
	u.use(transport)
	return u, nil
}

func (u *upstream) pooled() bool { return u.keys.pooled.Load() }

func (u *upstream) use(t *http.Transport) { u.transport, u.closeIdle = t, t.CloseIdleConnections }

func newTransport(a *address, connect time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: connect}
	return &http.Transport{
		Proxy:                  http.ProxyURL(a.proxy),
		DialContext:            dial(dialer),
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    connect,
		DisableCompression:     true,
		MaxIdleConns:           0,
		MaxIdleConnsPerHost:    maxIdleConnsPerHost,
		IdleConnTimeout:        idleConnTimeout,
		MaxResponseHeaderBytes: maxResponseHeader,
		WriteBufferSize:        32 << 10,
		ReadBufferSize:         bufferSize,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
}

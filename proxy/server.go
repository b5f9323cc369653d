// Package proxy is the HTTP face of mnemo: it passes everything under /v1/
// through to the upstreams and puts memory into the chat completions that name a
// session.
//
// A request's way: server.go takes it, exchange.go accompanies it, auth.go says
// whose it is, passthrough.go or chat.go answer it, relay.go and events.go carry
// the answer to the client while reply.go listens, meter.go accounts for it.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/textproto"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/valyala/fasthttp"

	"mnemo/memory"
	"mnemo/proxy/apierror"
	"mnemo/proxy/upstream"
	"mnemo/telemetry"
)

// Defaults of Options.
const (
	DefaultSessionHeader = "X-Session-Id"
	DefaultBodyLimit     = 32 << 20
	DefaultHeaderLimit   = 36 << 10
	DefaultDepthLimit    = 512
	DefaultEventLimit    = 16 << 20
	DefaultLoadTimeout   = 250 * time.Millisecond
	DefaultReplyReserve  = 1024

	headerTimeout = 30 * time.Second // for a request's header to arrive
	uploadTimeout = 30 * time.Minute // for its body
	idleTimeout   = 2 * time.Minute  // between two requests of a connection
	writeTimeout  = 2 * time.Minute  // for a client to take what is written to it
	commitTimeout = 2 * time.Second  // for a turn to be stored; beyond it, it waits elsewhere
	lastTimeout   = 10 * time.Second // for a turn to be stored that has nowhere to wait
	writeBuffer   = 8 << 10
)

// Options configure a Server. Pool, Store, Telemetry, Counter and Window must be
// set; the rest has useful zero values.
type Options struct {
	Pool      *upstream.Pool
	Store     memory.Store
	Telemetry *telemetry.Telemetry
	Auth      Auth
	Memory    Memory
	Limits    Limits
	// Counter counts tokens as the model does.
	Counter func(model string) *memory.Counter
	// Window is the model's context window in tokens, and whether it is known.
	Window func(model string) (tokens int, known bool)
	// Cost is what a call costs in nano-dollars, and whether the model's price is
	// known; nil: none is.
	Cost func(model string, u memory.Usage) (nanoDollars int64, priced bool)
	// Summaries makes summaries for memory.Summarize; nil: nobody does.
	Summaries Summaries
	Personas  []Persona
	Log       *slog.Logger // nil: nowhere
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
	Header   int   // bytes of a request's header
	Depth    int   // nesting of a chat request's JSON
	Session  int64 // bytes of a session's messages; 0: no limit
	Event    int   // bytes of one SSE event of a stream with memory
	InFlight int64 // requests at a time; 0: no limit
}

// A Server is mnemo's HTTP face.
type Server struct {
	Options
	app        *fiber.App
	auth       *authenticator
	meter      *meter
	ownHeaders map[string]bool
	inFlight   atomic.Int64
	exchanges  sync.WaitGroup // those that fasthttp does not know of included

	mu       sync.Mutex
	listener net.Listener
	over     bool // Shutdown was called
	// refusing remembers the upstreams that reject stream_options.
	refusing refusals
	// failed remembers calls of which nothing was stored.
	failed     *lru.Cache[callID, struct{}]
	rebuilding chan struct{} // has one for each rebuild under way
	personas   atomic.Pointer[map[string]*persona]
}

// New returns a server that Serve starts.
func New(o Options) *Server {
	o.setDefaults()
	s := &Server{Options: o, auth: newAuthenticator(o.Auth), ownHeaders: map[string]bool{o.Memory.SessionHeader: true}}
	for _, name := range [...]string{headerMode, headerBudget, headerStrategy, headerPersona, headerPersonaVars} {
		s.ownHeaders[name] = true
	}
	s.failed, _ = lru.New[callID, struct{}](maxFailed) // fails for a size below 1 only
	s.rebuilding = make(chan struct{}, maxRebuilds)
	s.SetPersonas(o.Personas)
	s.meter = newMeter(s)
	s.app = fiber.New(fiber.Config{
		AppName:                      "mnemo",
		BodyLimit:                    1, // bodies are streamed; each handler sets its own bound
		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		DisableDefaultContentType:    true,
		DisableStartupMessage:        true,
		ReadBufferSize:               o.Limits.Header,
		WriteBufferSize:              writeBuffer,
		ReadTimeout:                  headerTimeout,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  idleTimeout,
		ErrorHandler: func(c *fiber.Ctx, err error) error {
			asAPIError(err).Write(c.Context())
			return nil
		},
	})
	server := s.app.Server()
	server.SecureErrorLogMessage = true
	server.Handler = s.handler(s.app.Handler())
	server.HeaderReceived = func(*fasthttp.RequestHeader) fasthttp.RequestConfig {
		return fasthttp.RequestConfig{ReadTimeout: uploadTimeout}
	}
	s.app.Get("/healthz", s.serveHealth)
	s.app.Get("/readyz", s.serveReady)
	s.app.Get("/metrics", adaptor.HTTPHandler(o.Telemetry.Metrics()))
	s.registerAPI()
	s.app.Use(func(*fiber.Ctx) error { return fiber.ErrNotFound })
	return s
}

// Serve answers requests of the listener until Shutdown. It returns nil then.
func (s *Server) Serve(l net.Listener) error {
	l = &clientListener{Listener: l}
	s.mu.Lock()
	s.listener = l
	over := s.over
	s.mu.Unlock()
	if over {
		return l.Close()
	}
	return s.app.Listener(l)
}

// Shutdown stops accepting and lets what runs come to its end, streams and their
// commits included. It returns the context's error if they do not in time.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.over = true
	if s.listener != nil {
		s.listener.Close() //nolint:errcheck // it may be closed
	}
	s.mu.Unlock()
	err := s.app.ShutdownWithContext(ctx)
	ended := make(chan struct{})
	go func() {
		s.exchanges.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		err = errors.Join(err, ctx.Err())
	}
	s.meter.close(ctx)
	return err
}

// InFlight is the number of requests on the data plane right now.
func (s *Server) InFlight() int64 { return s.inFlight.Load() }

// Private

func (o *Options) setDefaults() {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	m, l := &o.Memory, &o.Limits
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
}

func setDefault[T int | int64 | time.Duration](value *T, fallback T) {
	if *value == 0 {
		*value = fallback
	}
}

// handler takes the data plane, whatever the method; everything else is Fiber's.
func (s *Server) handler(others fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(web *fasthttp.RequestCtx) {
		if ambiguous(&web.Request.Header) {
			apierror.BadRequest("bad_request", "", "a request has either Content-Length or Transfer-Encoding").Write(web)
			web.SetConnectionClose()
			return
		}
		if t, ok := parseTarget(string(web.Request.Header.RequestURI())); ok {
			s.newExchange(web, t).serve()
			return
		}
		others(web)
		// What is left of a body must not be taken for the next request.
		if !drained(web) {
			web.SetConnectionClose()
		}
	}
}

// survive keeps a panic from ending the process and logs it.
func (s *Server) survive(where string) {
	if cause := recover(); cause != nil {
		s.Log.Error("panic", "where", where, "cause", fmt.Sprint(cause), "stack", string(debug.Stack()))
	}
}

func (s *Server) serveHealth(c *fiber.Ctx) error {
	c.Response().Header.SetContentType("application/json")
	return c.SendString(`{"status":"ok"}`)
}

// serveReady says whether the process can do its work: the store answers and an
// upstream is usable.
func (s *Server) serveReady(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	store, up := "ok", "ok"
	if err := s.Store.Ping(ctx); err != nil {
		s.Log.Warn("store is not ready", "error", err)
		store = "unreachable"
	}
	if !s.Pool.Usable() {
		up = "none usable"
	}
	c.Response().Header.SetContentType("application/json")
	if store != "ok" || up != "ok" {
		c.Status(http.StatusServiceUnavailable)
	}
	return c.JSON(fiber.Map{"store": store, "upstreams": up})
}

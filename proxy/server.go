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
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/valyala/fasthttp"

	"mnemo/ledger"
	"mnemo/memory"
	"mnemo/proxy/apierror"
	"mnemo/telemetry"
)

const (
	headerTimeout   = 30 * time.Second // for a request's header to arrive
	uploadTimeout   = 30 * time.Minute // for its body
	idleTimeout     = 2 * time.Minute  // between two requests of a connection
	writeTimeout    = 2 * time.Minute  // for a client to take what is written to it
	commitTimeout   = 2 * time.Second  // for a turn to be stored; beyond it, it waits elsewhere
	lastTimeout     = 10 * time.Second // for a turn to be stored that has nowhere to wait
	strangerTimeout = time.Second      // for a connection to say something, once a shutdown has begun
	cutTimeout      = 3 * time.Second  // for calls that outlast a shutdown to be stored and accounted for
	writeBuffer     = 8 << 10
)

// Options configure a Server. Settings, Store, Telemetry, Counter and Window must be
// set; the rest has useful zero values.
type Options struct {
	Settings
	Store     memory.Store
	Telemetry *telemetry.Telemetry
	// Counter counts tokens as the model does.
	Counter func(model string) *memory.Counter
	// Window is the model's context window in tokens, and whether it is known.
	Window func(model string) (tokens int, known bool)
	// Summaries makes summaries for memory.Summarize; nil: nobody does.
	Summaries Summaries
	// Ledger gets an entry for each chat call, and LedgerStore tells of them; nil: none
	// is kept.
	Ledger      *ledger.Writer
	LedgerStore ledger.Store
	Log         *slog.Logger // nil: nowhere
}

// A Server is mnemo's HTTP face.
type Server struct {
	Store     memory.Store
	Telemetry *telemetry.Telemetry
	Counter   func(model string) *memory.Counter
	Window    func(model string) (tokens int, known bool)
	Summaries Summaries
	Ledger    *ledger.Writer
	Log       *slog.Logger

	settings  atomic.Pointer[settings]
	outdated  atomic.Pointer[time.Time] // since when; nil: the settings are those of the configuration
	app       *fiber.App
	meter     *meter
	inFlight  atomic.Int64
	exchanges sync.WaitGroup // those that fasthttp does not know of included
	ctx       context.Context
	cut       context.CancelCauseFunc // ends every exchange

	mu       sync.Mutex
	listener *clientListener
	over     bool // Shutdown was called
	// failed remembers calls of which nothing was stored.
	failed     *lru.Cache[callID, struct{}]
	rebuilding chan struct{} // has one for each rebuild under way
}

// New returns a server that Serve starts.
func New(o Options) *Server {
	s := &Server{Store: o.Store, Telemetry: o.Telemetry, Counter: o.Counter, Window: o.Window, Summaries: o.Summaries, Ledger: o.Ledger, Log: o.Log}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	s.ctx, s.cut = context.WithCancelCause(context.Background())
	s.Apply(o.Settings)
	s.failed, _ = lru.New[callID, struct{}](maxFailed) // fails for a size below 1 only
	s.rebuilding = make(chan struct{}, maxRebuilds)
	s.meter = newMeter(s)
	s.app = fiber.New(fiber.Config{
		AppName:                      "mnemo",
		BodyLimit:                    1, // bodies are streamed; each handler sets its own bound
		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		DisableDefaultContentType:    true,
		DisableStartupMessage:        true,
		ReadBufferSize:               s.now().Limits.Header,
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
	s.registerAPI(&o)
	s.app.Use(func(*fiber.Ctx) error { return fiber.ErrNotFound })
	return s
}

// Serve answers requests of the listener until Shutdown. It returns nil then.
func (s *Server) Serve(l net.Listener) error {
	clients := &clientListener{Listener: l}
	s.mu.Lock()
	s.listener = clients
	over := s.over
	s.mu.Unlock()
	if over {
		return l.Close()
	}
	return s.app.Listener(clients)
}

// Shutdown stops accepting and lets what runs come to its end, streams and their
// commits included. What does not in time is cut, accounted for, and the reason for the
// context's error, which it returns then.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.over = true
	if s.listener != nil {
		s.listener.Close() //nolint:errcheck // it may be closed
		defer time.AfterFunc(strangerTimeout, s.listener.strangers.sendOff).Stop()
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
		s.Log.Warn("calls were cut at shutdown", "in_flight", s.InFlight())
		s.cut(errOver)
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), cutTimeout)
		defer cancel()
		select {
		case <-ended:
		case <-last.Done():
		}
		ctx = last
	}
	s.meter.close(ctx)
	return err
}

// InFlight is the number of requests on the data plane right now.
func (s *Server) InFlight() int64 { return s.inFlight.Load() }

// Private

// now are the settings in force.
func (s *Server) now() *settings { return s.settings.Load() }

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

package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"mnemo/budget"
	"mnemo/memory"
	"mnemo/proxy/answercache"
	"mnemo/proxy/apierror"
	"mnemo/proxy/manage"
)

// maxRebuilds is how many summaries are rebuilt at a time.
const maxRebuilds = 4

// Private

// registerAPI serves the management API.
func (s *Server) registerAPI(o *Options) {
	manage.Register(s.app, manage.Options{
		Store:        s.Store,
		Identify:     s.identify,
		Personas:     s.listPersonas,
		Upstreams:    s.listUpstreams,
		CheckPersona: func(p *memory.Persona) error { return s.now().checkPersona(p) },
		Prompt:       s.preview,
		Rebuild:      s.rebuild,
		Ledger:       o.LedgerStore,
		Budgets:      s.listBudgets,
		Deleted:      s.forget,
		MaxBody:      s.importLimit(),
		Log:          s.Log,
	})
}

// listBudgets says where budgets stand.
func (s *Server) listBudgets(q budget.Query) []budget.State {
	budgets := s.now().Budgets
	if budgets == nil {
		return nil
	}
	return budgets.Status(q)
}

// forget has the ledger and the cache of answers forget a session that was deleted.
func (s *Server) forget(ctx context.Context, key memory.Key) error {
	begin, failure := time.Now(), ""
	var err error
	if cache := s.now().Cache; cache != nil {
		err = cache.Drop(ctx, answercache.TagOf(key.Tenant, key.Session))
	}
	if s.Ledger != nil {
		err = errors.Join(err, s.Ledger.Forget(ctx, key.Tenant, key.Session))
	}
	if err != nil {
		failure = "store_failed"
	}
	s.Telemetry.Deleted(ctx, key.Session, begin, failure)
	return err
}

// importLimit is the bytes of a document that is imported. The smaller the messages,
// the more of it is what stands around them.
func (s *Server) importLimit() int {
	limit := s.now().Limits.Session
	return int(max(limit+limit/4, min(8*limit, 512<<20)))
}

// identify says who asks, by the same credentials as on the data plane. A page of
// another site that a browser shows must not act for whoever sits before it.
func (s *Server) identify(h *fasthttp.RequestHeader) (manage.Caller, error) {
	if origin := string(h.Peek("Origin")); origin != "" {
		if from, err := url.Parse(origin); err != nil || !strings.EqualFold(from.Host, string(h.Host())) {
			return manage.Caller{}, errCrossOrigin
		}
	}
	set := s.now()
	if err := set.auth.checkPage(h); err != nil {
		return manage.Caller{}, err
	}
	header := set.readHeader(h)
	c, err := set.auth.caller(header.up)
	if err != nil {
		return manage.Caller{}, err
	}
	for name, value := range header.own {
		header.up.Set(name, value)
	}
	return manage.Caller{Tenant: c.tenant, Admin: c.admin, Alone: set.auth.mode == AuthNone, Name: c.name, Models: c.models, Header: header.up}, nil
}

// rebuild makes a session's summary anew, with the caller's credentials.
func (s *Server) rebuild(ctx context.Context, c manage.Caller, key memory.Key) error {
	if s.Summaries == nil {
		return &apierror.Error{Status: http.StatusNotImplemented, Type: apierror.TypeInvalidRequest, Code: "no_summaries", Message: "this server makes no summaries"}
	}
	info, err := s.Store.Info(ctx, key)
	if err == nil && info.Summary == nil {
		return &apierror.Error{Status: http.StatusConflict, Type: apierror.TypeInvalidRequest, Code: "no_summary",
			Message: "the session has no summary: one is made with strategy summarize, when the conversation outgrows the budget"}
	}
	model := ""
	if err == nil {
		model, err = s.lastModel(ctx, key)
	}
	if err == nil {
		err = (&caller{models: c.Models}).mayUse(model)
	}
	if err != nil {
		return err
	}
	select {
	case s.rebuilding <- struct{}{}:
		defer func() { <-s.rebuilding }()
	default:
		return &apierror.Error{Status: http.StatusServiceUnavailable, Type: apierror.TypeServer, Code: "too_many_rebuilds", RetryAfter: 10 * time.Second,
			Message: "mnemo is rebuilding as many summaries as it does at a time; try again"}
	}
	err = s.Summaries.Rebuild(ctx, s.foldJob(s.now(), key, model, c.Header))
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	s.Log.WarnContext(ctx, "rebuild summary", "error", err)
	return &apierror.Error{Status: http.StatusBadGateway, Type: apierror.TypeServer, Code: "summary_failed",
		Message: "no summary could be made; the log says why, and the old one is in force if there was one"}
}

// lastModel is the model that the session's last turn was answered by.
func (s *Server) lastModel(ctx context.Context, key memory.Key) (string, error) {
	turns, err := s.Store.Turns(ctx, key, 0, 1)
	if err != nil {
		return "", storeUnavailable("the session cannot be read now")
	}
	if len(turns) == 0 {
		return "", nil
	}
	return turns[0].Model, nil
}

package upstream

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

const (
	shelfSize = 64 << 10    // of a failing answer that is read ahead of another attempt
	shelfTime = time.Second // for reading it
)

// Private

var errBroken = errors.New("its failing answer broke off")

// A credential is what the client sent to identify itself, and what its headers
// say about repeating.
type credential struct {
	authorization []string
	apiKey        []string
	repeatable    bool
}

// A leg is an attempt from its launch to its verdict.
type leg struct {
	chosen  choice
	at      int // of the candidate
	f       *flight
	asked   *Request
	whole   bool // an answer that is no stream is checked before it is passed on
	request *http.Request
	resp    *http.Response
	err     error
	found   finding // of what was read ahead
	took    time.Duration

	hedge, limit time.Time // when another is started beside it, or in its place; zero: never
}

// attempt makes one call of the chosen candidate. Its verdict is recorded with
// breaker, key and listener. A failure means that there is no answer.
func (c *call) attempt(chosen *choice) (*flight, verdict, *Error) {
	if c.races(chosen) {
		return c.race(chosen)
	}
	l := c.launch(chosen)
	if c.attempts <= c.retries && c.further() {
		held, arrived := l, make(chan *leg, 1)
		go held.flyAhead(heldTime, arrived)
		return c.land(<-arrived)
	}
	l.fly()
	return c.land(&l)
}

// launch prepares an attempt.
func (c *call) launch(chosen *choice) leg {
	u := chosen.candidate.upstream
	c.attempts++
	f := &flight{upstream: u, circuit: chosen.circuit, key: chosen.key}
	f.answer.Upstream, f.answer.Model = u.name, chosen.model
	if chosen.key != nil {
		f.answer.Key = chosen.key.label
	}
	ctx := c.ctx
	if c.request.chat() { // somebody accounts for it
		ctx = f.watched(ctx)
	}
	f.ctx, f.cancel = context.WithCancelCause(ctx)
	u.inFlight.Add(1)
	request := c.compose(f, chosen)
	f.depart(c.began)
	c.begin(f, chosen)
	return leg{chosen: *chosen, at: c.at, f: f, asked: c.request, whole: c.renewable(), request: request}
}

// fly waits for the answer's head, and for the whole of an answer that is to be
// checked.
func (l *leg) fly() {
	l.resp, l.err = l.f.upstream.transport.RoundTrip(l.request) //nolint:bodyclose // the flight closes it
	l.took = time.Since(l.f.began)
	if l.err != nil {
		return
	}
	l.f.arrive(l.resp)
	if l.whole && l.resp.StatusCode == http.StatusOK && l.complete() {
		l.found, l.err = l.f.readWhole()
	}
}

// flyAhead is fly that waits for the first content of a stream, too, at most for
// hold. It tells arrived once and returns when it reads ahead no more.
func (l *leg) flyAhead(hold time.Duration, arrived chan<- *leg) {
	l.fly()
	if hold <= 0 || l.err != nil || !streams(l.resp) {
		arrived <- l
		return
	}
	l.f.hold(hold, func(found finding, err error) {
		l.found, l.err = found, err
		arrived <- l
	})
}

func (c *call) land(l *leg) (*flight, verdict, *Error) {
	f, u := l.f, l.f.upstream
	r := result{err: l.err, pooled: l.chosen.key != nil, early: l.found.kind == failed, whole: l.found.whole, fault: l.found.fault}
	if l.resp != nil {
		r.status = l.resp.StatusCode
	}
	if l.err == nil {
		if r.status == http.StatusTooManyRequests && f.shelve() {
			r.fault = faultOf(f.shelf)
		}
	} else {
		r.cause, r.left = context.Cause(f.ctx), c.ctx.Err() != nil
		_ = f.Close()
		r.upload = !sendable(l.request.Header) || f.upload != nil && f.upload.failed()
	}
	v := classify(r)
	if c.request.Background {
		v = v.aside()
	}
	f.counts = l.err == nil && r.status < 400 && !r.early && !c.request.Background
	l.chosen.circuit.head(l.chosen.done, v.breaker, f.counts)
	c.applyToKey(&l.chosen, v, l.resp)
	a := l.settle(v, r)
	if c.pool.onAttempt != nil {
		c.pool.onAttempt(a)
	}
	return f, v, c.failureOf(u, v, r)
}

func (c *call) failureOf(u *upstream, v verdict, r result) *Error {
	if r.err == nil {
		return nil
	}
	switch v.outcome {
	case OutcomeClientGone:
		return clientGone(c.ctx.Err())
	case OutcomeBadUpload:
		e := invalidRequest("the request's headers or body cannot be passed on")
		e.Err = r.err
		return e
	case OutcomeTimeout:
		return timedOut(u.name, r.cause)
	}
	return unreachable(u.name, r.err)
}

func (c *call) applyToKey(chosen *choice, v verdict, resp *http.Response) {
	if chosen.key == nil {
		return
	}
	keys := chosen.candidate.upstream.keys
	if resp != nil && keys.policy == Headroom {
		keys.learn(chosen.key, resp.Header, c.pool.now())
	}
	switch v.key {
	case keyGood:
		keys.good(chosen.key, chosen.model)
	case keyCools:
		now := c.pool.now()
		keys.cool(chosen.key, cooldown(resp.Header, now), now)
	case keyOut:
		// A client must not be able to put a key out for others. So a key is out
		// for every call only if it was refused for a plain call of a model (401, or
		// nothing left to pay with); a forbidden model (403) or a call without a model says nothing of the rest,
		// and a refused organization nothing at all.
		if h := c.request.Header; len(h["Openai-Organization"])+len(h["Openai-Project"]) == 0 {
			all := resp.StatusCode != http.StatusForbidden && chosen.model != ""
			keys.refuse(chosen.key, resp.StatusCode, chosen.model, all, c.pool.now())
		}
	}
}

// compose builds the request of an attempt.
func (c *call) compose(f *flight, chosen *choice) *http.Request {
	r, u := c.request, chosen.candidate.upstream
	request := u.template.WithContext(f.ctx)
	request.Method = r.Method
	request.URL = u.address.of(r.Target)
	request.Header = c.header(u, chosen.key)
	switch {
	case r.Stream != nil && r.Length != 0:
		f.upload = &upload{stream: r.Stream, length: r.Length, ended: f.uploaded}
		request.Body, request.ContentLength = f.upload, r.Length
	case r.Stream == nil && r.Body != "":
		body := c.body(f)
		body = c.adapt(body, chosen.candidate)
		// net/http sends head and body together only if it knows the reader.
		request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
		request.Body, _ = request.GetBody()
		request.ContentLength = int64(len(body))
	}
	return request
}

// header is the client's headers with what the upstream and the key replace. A
// first attempt with the client's own credential uses its map itself; a key of the
// pool never gets into it, because a later attempt may go elsewhere.
func (c *call) header(u *upstream, k *key) http.Header {
	h := c.request.Header
	if c.attempts > 1 || k != nil || len(u.headers) > 0 || h == nil {
		h = make(http.Header, len(c.request.Header)+len(u.headers)+2)
		maps.Copy(h, c.request.Header)
		restore(h, "Authorization", c.credential.authorization)
		restore(h, "Api-Key", c.credential.apiKey)
	}
	if k != nil {
		h["Authorization"] = k.header
		delete(h, "Api-Key")
	}
	for name, value := range u.headers {
		h[name] = value
	}
	delete(h, "Expect") // the body is here, nobody needs to ask for it
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = nil // net/http would send its own
	}
	if c.credential.repeatable {
		// An empty value is not sent. It tells net/http that it may use another
		// connection when the server closed an idle one at the wrong moment.
		if _, ok := h["Idempotency-Key"]; !ok {
			h["Idempotency-Key"] = nil
		}
	}
	return h
}

func restore(h http.Header, name string, value []string) {
	if value == nil {
		delete(h, name)
		return
	}
	h[name] = value
}

func readCredential(r *Request) credential {
	h := r.Header
	return credential{
		authorization: h["Authorization"],
		apiKey:        h["Api-Key"],
		repeatable:    repeatable(r),
	}
}

// repeatable reports whether doing a call twice is the same as doing it once,
// but for its cost.
func repeatable(r *Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	case http.MethodPost:
		path, _, _ := strings.Cut(r.Target, "?")
		switch path {
		case chatTarget, "/completions", "/embeddings", "/moderations":
			return true
		}
	}
	return len(r.Header["Idempotency-Key"]) > 0
}

// sendable reports whether net/http sends such headers at all. It is asked only
// after a failure: a client must not be able to open a breaker with them.
func sendable(h http.Header) bool {
	for name, values := range h {
		if !httpguts.ValidHeaderFieldName(name) {
			return false
		}
		for _, v := range values {
			if !httpguts.ValidHeaderFieldValue(v) {
				return false
			}
		}
	}
	return true
}

func knownMethod(m string) bool {
	return m == http.MethodPost || m == http.MethodGet || m != http.MethodConnect && httpguts.ValidHeaderFieldName(m)
}

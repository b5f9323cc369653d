package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"mnemo/memory"
	"mnemo/proxy/apierror"
	"mnemo/proxy/manage"
	"mnemo/proxy/upstream"
	"mnemo/telemetry"
)

// phase is a part of a call's way that ends now.
func phase(begin time.Time, err error) telemetry.Phase {
	p := telemetry.Phase{Start: begin, Duration: time.Since(begin)}
	if err != nil {
		p.Error = "store_failed"
	}
	return p
}

// countInline is the size of new messages up to which counting them is cheaper
// than a goroutine.
const countInline = 4 << 10

// summaryWords are what X-Memory-Summary says.
var summaryWords = map[memory.SummaryState]string{
	memory.SummaryNone: manage.SummaryNone, memory.SummaryUsed: manage.SummaryUsed, memory.SummaryPending: manage.SummaryPending,
}

// A recall is a chat call with memory.
type recall struct {
	x       *exchange
	request *chatRequest
	key     memory.Key
	wish    memoryWish
	policy  memory.Policy
	counter *memory.Counter
	branch  memory.Branch // where the request continues the session
	prompt  memory.Prompt
	blind   bool          // the session could not be loaded
	counted chan struct{} // closed when the prompt's counting is done; nil if it was not begun
	asked   bool          // usage was asked for on the client's behalf
	reply   reply
	stored  bool
}

func (x *exchange) newRecall(request *chatRequest, wish memoryWish) *recall {
	r := &recall{x: x, request: request, key: memory.Key{Tenant: x.caller.tenant, Session: x.session}, wish: wish}
	r.counter = x.s.Counter(request.model)
	r.policy = x.policyFor(&wish, request)
	request.incoming.Retry = r.repeats()
	return r
}

// answer loads, composes, sends and relays.
func (r *recall) answer() error {
	err := r.serve()
	if err != nil || r.x.request.Status/100 != 2 {
		r.noteFailure()
	}
	return err
}

// Private

func (r *recall) serve() error {
	x := r.x
	if err := r.compose(); err != nil {
		return err
	}
	x.header.up.Del("Accept-Encoding") // the tap reads what comes
	if err := r.ask(); err != nil {
		return err
	}
	if x.answer.StatusCode/100 != 2 {
		x.report = &report{sent: x.report.sent, deaf: true} // there is no reply to tell of
		return x.pass()
	}
	r.count()
	if isEventStream(x.answer.Header) {
		return r.relayEvents()
	}
	return r.relayWhole()
}

// compose makes the prompt and takes note of what memory does.
func (r *recall) compose() error {
	x := r.x
	use := &x.call.Memory
	use.Status = memoryOK
	if err := r.load(); err != nil {
		if err := r.goBlind(err); err != nil {
			return err
		}
	}
	if err := r.takePersona(); err != nil {
		return err
	}
	begin := time.Now()
	r.prompt = r.branch.Compose(&r.request.incoming, r.policy, r.counter)
	x.call.Compose = phase(begin, nil)
	if r.prompt.Fold != (memory.Position{}) && r.wish.reads() && r.wish.writes() {
		if err := r.fold(); err != nil {
			return err
		}
	}
	size := r.branch.Session.Totals.Bytes + int64(sizeOf(r.branch.Kept)+sizeOf(r.prompt.New))
	if limit := x.set.Limits.Session; limit > 0 && r.wish.writes() && size > limit {
		return &apierror.Error{Status: http.StatusRequestEntityTooLarge, Type: apierror.TypeInvalidRequest, Code: "session_full", Param: x.set.Memory.SessionHeader,
			Message: "the session would hold more than " + sizeText(limit) + " (limits.session raises that); use another id or X-Memory-Mode: read-only"}
	}
	if r.wish.reads() {
		use.Turns, use.Tokens, use.Dropped = r.prompt.Groups, r.prompt.Tokens, r.prompt.Dropped
		use.Summary = summaryWords[r.prompt.Summary]
		x.unsent = r.prompt.Unsent(r.branch.Session.Totals.Tokens)
	}
	return nil
}

// load loads the session and finds out where the request continues it.
func (r *recall) load() error {
	x := r.x
	ctx, cancel := context.WithTimeout(x.ctx, x.set.Memory.LoadTimeout)
	defer cancel()
	begin := time.Now()
	branch, err := x.s.branch(ctx, r.key, &r.request.incoming, r.policy)
	x.s.Telemetry.ObserveStore(telemetry.StoreLoad, time.Since(begin), err)
	x.call.Load = phase(begin, err)
	if err == nil {
		r.branch = branch
	}
	return err
}

func (s *Server) branch(ctx context.Context, key memory.Key, in *memory.Incoming, p memory.Policy) (memory.Branch, error) {
	need := p.Need(in)
	session, err := s.Store.Load(ctx, key, need)
	if err != nil {
		return memory.Branch{}, err
	}
	return memory.Reconcile(ctx, s.Store, key, &session, in, need)
}

// goBlind goes on with a call whose session cannot be loaded, without what it
// holds. Its turn is stored nevertheless, as soon as that can be done.
func (r *recall) goBlind(err error) error {
	x := r.x
	if x.ctx.Err() != nil {
		return x.ctx.Err()
	}
	level := slog.LevelError
	if errors.Is(err, memory.ErrDown) { // it is told of once, not at every call
		level = slog.LevelDebug
	}
	x.s.Log.Log(x.ctx, level, "load session", "error", err)
	if x.set.Memory.FailClosed {
		return storeUnavailable("the session cannot be loaded now, and store.on_error is closed")
	}
	x.call.Memory.Status = memoryBypassed
	r.blind = true
	return nil
}

// policyFor is the configured policy, with what the call's header fields and the
// model's window change.
func (x *exchange) policyFor(wish *memoryWish, request *chatRequest) memory.Policy {
	p := x.set.Memory.Policy
	if wish.strategy != nil {
		p.Strategy = *wish.strategy
	}
	if wish.budget > 0 {
		p.Budget, p.OneOff = wish.budget, true
		return p
	}
	reserve := x.set.Memory.ReplyReserve
	if request.size.tokens > 0 {
		reserve = request.size.tokens
	}
	window, known := x.s.Window(request.model)
	switch room := window - reserve; {
	case !known && p.Budget == 0:
		p.Budget = unknownBudget
	case known && room <= 0:
		p.Budget = -1 // no room at all
	case known && (p.Budget == 0 || room < p.Budget):
		p.Budget = room
	}
	return p
}

// fold asks for a summary of what the prompt leaves out. Where calls are told to
// wait for it, the prompt is composed once more with it.
func (r *recall) fold() error {
	x := r.x
	if x.s.Summaries == nil {
		return nil
	}
	job := x.s.foldJob(x.set, r.key, r.request.model, x.header.up)
	job.Target = r.prompt.Fold
	if x.span != nil {
		job.asked = x.span.SpanContext()
	}
	if x.set.Memory.SummaryWait == 0 {
		x.s.Summaries.Ask(job)
		return nil
	}
	ctx, cancel := context.WithTimeout(x.ctx, x.set.Memory.SummaryWait)
	defer cancel()
	if err := x.s.Summaries.Fold(ctx, job); err != nil {
		x.s.Log.WarnContext(x.ctx, "summarise before the call", "error", err)
		return x.ctx.Err()
	}
	if err := r.load(); err != nil {
		x.s.Log.WarnContext(x.ctx, "load the new summary", "error", err)
		return x.ctx.Err() // the prompt without it will do
	}
	r.prompt = r.branch.Compose(&r.request.incoming, r.policy, r.counter)
	return nil
}

// ask sends the composed call. An upstream that rejects being asked for usage is
// asked again without, and remembered.
func (r *recall) ask() error {
	x := r.x
	prompt := &r.prompt
	if !r.wish.reads() || r.blind && len(r.request.incoming.Persona) == 0 {
		prompt = nil
	}
	up := x.upstreamRequest()
	up.Model = r.request.model
	r.asked = r.request.mayAskUsage() && x.set.Pool.StreamOptions(up.Model) && !x.set.refusing.has(up.Model)
	if prompt != nil {
		r.dropReasoning()
	}
	up.Body = r.request.upstreamBody(prompt, r.asked)
	r.reply.limit, r.reply.reasoning = answerLimit, x.set.Pool.ReplayReasoning(up.Model)
	x.report = &report{sent: up.Body, reply: &r.reply}
	if err := x.askChat(up, r.request.stream, r.request.size); err != nil {
		return err
	}
	if !r.asked || x.answer.StatusCode != http.StatusBadRequest && x.answer.StatusCode != http.StatusUnprocessableEntity {
		return nil
	}
	refused, err := x.refusesOptions()
	if err != nil || !refused {
		return err
	}
	x.release(upstream.Completed)
	r.asked = false
	up.Body = r.request.upstreamBody(prompt, false)
	x.report.sent = up.Body
	if err := x.askChat(up, r.request.stream, r.request.size); err != nil {
		return err
	}
	if x.answer.StatusCode/100 == 2 {
		x.set.refusing.add(up.Model)
		x.s.Log.WarnContext(x.ctx, "upstream rejects stream_options; usage is estimated", "upstream", x.answer.Upstream)
	}
	return nil
}

// count counts the new messages while the upstream is at work, if that takes
// long enough to matter.
func (r *recall) count() {
	if !r.wish.writes() || sizeOf(r.prompt.New) < countInline {
		return
	}
	r.counted = make(chan struct{})
	go func() {
		defer close(r.counted)
		defer r.x.s.survive("count prompt")
		r.counter.CountPrompt(&r.prompt)
	}()
}

// sizeOf is the bytes of messages.
func sizeOf(messages []memory.Message) (bytes int) {
	for i := range messages {
		bytes += len(messages[i].Raw)
	}
	return bytes
}

package proxy

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"mnemo/memory"
	"mnemo/proxy/apierror"
	"mnemo/proxy/upstream"
	"mnemo/telemetry"
)

// A recall is a chat call with memory.
type recall struct {
	x       *exchange
	request *chatRequest
	key     memory.Key
	wish    memoryWish
	counter *memory.Counter
	prompt  memory.Prompt
	counted chan struct{} // closed when the prompt's counting is done; nil if it was not begun
	asked   bool          // usage was asked for on the client's behalf
	reply   reply
	stored  bool
}

// answer loads, composes, sends and relays.
func (r *recall) answer() error {
	x := r.x
	session, err := r.load()
	if err != nil {
		return r.withoutStore(err)
	}
	if err := r.compose(&session); err != nil {
		return err
	}
	x.header.up.Del("Accept-Encoding") // the tap reads what comes
	if err := r.ask(); err != nil {
		return err
	}
	if x.answer.StatusCode/100 != 2 {
		x.report = nil // there is no reply to tell of
		return x.pass()
	}
	r.count()
	if isEventStream(x.answer.Header) {
		return r.relayEvents()
	}
	return r.relayWhole()
}

func (r *recall) load() (memory.Session, error) {
	ctx, cancel := context.WithTimeout(r.x.ctx, r.x.s.Memory.LoadTimeout)
	defer cancel()
	begin := time.Now()
	session, err := r.x.s.Store.Load(ctx, r.key, r.policy().Need(&r.request.incoming))
	r.x.s.Telemetry.ObserveStore(telemetry.StoreLoad, time.Since(begin), err)
	return session, err
}

// withoutStore serves a call whose session cannot be loaded.
func (r *recall) withoutStore(err error) error {
	x := r.x
	if x.ctx.Err() != nil {
		return x.ctx.Err()
	}
	x.s.Log.ErrorContext(x.ctx, "load session", "error", err)
	if x.s.Memory.FailClosed {
		return storeUnavailable("the session cannot be loaded now, and store.on_error is closed")
	}
	x.call.Memory.Status = memoryBypassed
	return x.sendPlain(r.request.body, r.request.model)
}

// policy is the configured one, with what the call's header fields and the
// model's window change.
func (r *recall) policy() memory.Policy {
	p := r.x.s.Memory.Policy
	if r.wish.strategy != nil {
		p.Strategy = *r.wish.strategy
	}
	if r.wish.budget > 0 {
		p.Budget, p.OneOff = r.wish.budget, true
		return p
	}
	reserve := r.x.s.Memory.ReplyReserve
	if r.request.maxTokens > 0 {
		reserve = r.request.maxTokens
	}
	window, known := r.x.s.Window(r.request.model)
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

func (r *recall) compose(session *memory.Session) error {
	x := r.x
	r.counter = x.s.Counter(r.request.model)
	branch := memory.Branch{Session: *session}
	r.prompt = branch.Compose(&r.request.incoming, r.policy(), r.counter)
	if limit := x.s.Limits.Session; limit > 0 && r.wish.writes() && session.Totals.Bytes+int64(newSize(&r.prompt)) > limit {
		return &apierror.Error{Status: http.StatusRequestEntityTooLarge, Type: apierror.TypeInvalidRequest, Code: "session_full", Param: x.s.Memory.SessionHeader,
			Message: "the session would hold more than " + size(limit) + " (limits.session raises that); use another id or X-Memory-Mode: read-only"}
	}
	use := &x.call.Memory
	use.Status = memoryOK
	if r.wish.reads() {
		use.Turns, use.Tokens, use.Dropped = r.prompt.Groups, r.prompt.Tokens, r.prompt.Dropped
	}
	return nil
}

// ask sends the composed call. An upstream that rejects being asked for usage is
// asked again without, and remembered.
func (r *recall) ask() error {
	x := r.x
	prompt := &r.prompt
	if !r.wish.reads() {
		prompt = nil
	}
	up := x.upstreamRequest()
	up.Model = r.request.model
	r.asked = r.request.mayAskUsage() && x.s.Pool.StreamOptions(up.Model) && !x.s.refusing.has(up.Model)
	up.Body = r.request.upstreamBody(prompt, r.asked)
	r.reply.limit = answerLimit
	x.report = &report{sent: up.Body, reply: &r.reply}
	if err := x.ask(up); err != nil {
		return err
	}
	if !r.asked || x.answer.StatusCode != http.StatusBadRequest && x.answer.StatusCode != http.StatusUnprocessableEntity {
		return nil
	}
	refused, err := x.refusesOptions()
	if err != nil || !refused {
		return err
	}
	x.answer.Finish(upstream.Completed)
	r.asked = false
	up.Body = r.request.upstreamBody(prompt, false)
	x.report.sent = up.Body
	if err := x.ask(up); err != nil {
		return err
	}
	if x.answer.StatusCode/100 == 2 {
		x.s.refusing.add(up.Model)
		x.s.Log.WarnContext(x.ctx, "upstream rejects stream_options; usage is estimated", "upstream", x.answer.Upstream)
	}
	return nil
}

// count counts the new messages while the upstream is at work, if that takes
// long enough to matter.
func (r *recall) count() {
	if !r.wish.writes() || newSize(&r.prompt) < countInline {
		return
	}
	r.counted = make(chan struct{})
	go func() {
		defer close(r.counted)
		defer r.x.s.survive("count prompt")
		r.counter.CountPrompt(&r.prompt)
	}()
}

// countInline is the size of new messages up to which counting them is cheaper
// than a goroutine.
const countInline = 4 << 10

// commit stores the turn. It is called before the client can see the end of the
// answer, so that whoever has seen the end finds the turn.
func (r *recall) commit(raw string, partial bool) error {
	if r.stored || !r.wish.writes() {
		return nil
	}
	r.stored = true
	x := r.x
	if r.counted != nil {
		<-r.counted
	}
	if !validJSON(raw, x.s.Limits.Depth) {
		x.s.Log.ErrorContext(x.ctx, "reply is no JSON; the turn is not stored", "upstream", x.call.Upstream)
		return nil
	}
	message, err := memory.ParseMessage(raw)
	if err != nil {
		return fmt.Errorf("read reply: %w", err)
	}
	turn := memory.Turn{
		At:       time.Now(),
		Model:    r.request.model,
		Partial:  partial,
		Messages: append(r.prompt.New[:len(r.prompt.New):len(r.prompt.New)], message),
		System:   systemArray(r.request.incoming.System),
	}
	r.counter.CountTurn(&turn)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.ctx), commitTimeout)
	defer cancel()
	begin := time.Now()
	_, err = x.s.Store.Append(ctx, r.key, turn)
	x.s.Telemetry.ObserveStore(telemetry.StoreCommit, time.Since(begin), err)
	if err != nil {
		x.s.Log.ErrorContext(x.ctx, "store turn", "error", err)
	}
	return err
}

// commitWhole stores the turn of a complete answer, whose client has seen nothing
// yet and can be told if that fails.
func (r *recall) commitWhole(raw string) error {
	if err := r.commit(raw, false); err != nil {
		if r.x.s.Memory.FailClosed {
			return storeUnavailable("the turn cannot be stored now, and store.on_error is closed")
		}
		r.x.call.Memory.Status = memoryBypassed
	}
	return nil
}

// keepPartial stores what a client that left had seen of the answer.
func (r *recall) keepPartial() {
	partial := !r.reply.complete()
	if partial && (r.x.s.Memory.DiscardPartial || r.reply.failed) {
		return
	}
	if raw, ok := r.reply.message(partial); ok {
		_ = r.commit(raw, partial) // it has logged why not
	}
}

func systemArray(system []memory.Message) string {
	if len(system) == 0 {
		return ""
	}
	var b strings.Builder
	for i := range system {
		if i == 0 {
			b.WriteByte('[')
		} else {
			b.WriteByte(',')
		}
		b.WriteString(system[i].Raw)
	}
	b.WriteByte(']')
	return b.String()
}

func newSize(p *memory.Prompt) (bytes int) {
	for i := range p.New {
		bytes += len(p.New[i].Raw)
	}
	return bytes
}

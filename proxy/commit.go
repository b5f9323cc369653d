package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mnemo/memory"
	"mnemo/telemetry"
)

// commit stores the turn. It is called before the client can see the end of the
// answer, so that whoever has seen the end finds the turn.
func (r *recall) commit(raw string, partial bool) error {
	if r.stored || !r.wish.writes() {
		return nil
	}
	r.stored = true
	x := r.x
	begin := time.Now()
	if r.counted != nil {
		<-r.counted
	} else {
		r.counter.CountPrompt(&r.prompt)
	}
	if !validJSON(raw, x.set.Limits.Depth) {
		x.s.Log.ErrorContext(x.ctx, "reply is no JSON; the turn is not stored", "upstream", x.call.Upstream)
		return nil
	}
	reply, err := memory.ParseMessage(raw)
	if err != nil {
		return fmt.Errorf("read reply: %w", err)
	}
	turn := r.turn(reply)
	turn.Partial = partial
	patience := commitTimeout
	if x.set.Memory.FailClosed {
		patience = lastTimeout
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.ctx), patience)
	defer cancel()
	_, err = x.s.Store.Append(ctx, r.key, turn)
	x.s.Telemetry.ObserveStore(telemetry.StoreCommit, time.Since(begin), err)
	x.call.Commit = phase(begin, err)
	switch {
	case err == nil:
		r.noteSuccess()
	case errors.Is(err, memory.ErrQueued): // whoever queued it tells of the outage
		x.s.Log.DebugContext(x.ctx, "store turn", "error", err)
	default:
		x.s.Log.ErrorContext(x.ctx, "store turn", "error", err)
	}
	return err
}

// commitWhole stores the turn of a complete answer, whose client has seen nothing
// yet and can be told if that fails.
func (r *recall) commitWhole(raw string) error {
	if err := r.commit(raw, false); err != nil {
		if r.x.set.Memory.FailClosed {
			return storeUnavailable("the turn cannot be stored now, and store.on_error is closed")
		}
		r.x.call.Memory.Status = memoryBypassed
	}
	return nil
}

// keepPartial stores what a client that left had seen of the answer.
func (r *recall) keepPartial() {
	partial := !r.reply.complete()
	if partial && (r.x.set.Memory.DiscardPartial || r.reply.failed) {
		return
	}
	if raw, ok := r.reply.message(partial); ok {
		_ = r.commit(raw, partial) // it has logged why not
	}
}

// Private

// turn is the call as the log keeps it.
func (r *recall) turn(reply memory.Message) memory.Turn {
	turn := memory.Turn{
		ID:         memory.NewTurnID(),
		At:         time.Now(),
		Model:      r.request.model,
		Messages:   slices.Concat(r.branch.Kept, r.prompt.New, []memory.Message{reply}),
		Supersedes: r.branch.Supersedes,
		Unresolved: r.blind,
		Repeated:   r.blind && r.request.incoming.Retry,
		System:     systemArray(r.request.incoming.System),
	}
	if r.wish.persona != nil {
		turn.Persona = r.wish.persona.Encode()
	}
	r.counter.CountTurn(&turn)
	for i := range r.prompt.New {
		r.x.fresh += r.prompt.New[i].Tokens
	}
	turn.Usage = r.usage(&turn)
	return turn
}

// usage is what the call took, as the upstream says or else as far as it was
// counted.
func (r *recall) usage(turn *memory.Turn) memory.Usage {
	if r.x.call.Cached {
		return memory.Usage{Priced: true}
	}
	used := r.reply.usage
	if !r.reply.measured {
		used = telemetry.Usage{
			Input:  r.counter.PromptTokens(&r.prompt, r.request.incoming.Fixed),
			Output: max(0, turn.Messages[len(turn.Messages)-1].Tokens-r.counter.Message(emptyReply)),
		}
	}
	answer := r.x.answer
	cost := r.x.set.cost(answer.Upstream, r.reply.model, answer.Model, r.request.model, used)
	return memory.Usage{
		Input: used.Input, CachedInput: used.CachedInput, Output: used.Output, Reasoning: used.Reasoning,
		Estimated: !r.reply.measured, Cost: cost.NanoDollars, Priced: cost.Known,
	}
}

// systemArray is instructions as one JSON text; "" if there are none.
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

// Package ledger keeps an account of every call: whose it was, what it used and
// what that cost. A [Store] keeps entries and adds them up, a [Writer] brings them
// there off the requests' path.
//
// Sums are exact integers: tokens, and cost in nano-dollars (1e-9 USD). A cost that
// is not known is never counted as 0; the calls that it is missing of are counted
// instead.
package ledger

import (
	"encoding/hex"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of an Entry. What exceeds them is cut by Bound.
const (
	MaxText     = 256 // bytes of a text
	MaxAttempts = 64  // of one call

	maxCount = 1 << 32 // of tokens; what an upstream reports must not break a sum
	maxCost  = 1 << 43 // nano-dollars, over 8,000 dollars: a million such calls can be added up
)

// A UID tells an entry from all others, so that one that is appended twice is
// kept once. The zero UID is none.
type UID [16]byte

// String returns the UID in hexadecimal.
func (u UID) String() string { return hex.EncodeToString(u[:]) }

// An Entry is the account of one call.
type Entry struct {
	UID       UID       `json:"-"`                   // given by Writer.Add
	ID        string    `json:"id,omitempty"`        // its X-Request-ID; a client may choose it, and choose it twice
	Time      time.Time `json:"time,omitzero"`       // when it began; kept to the millisecond
	Operation string    `json:"operation,omitempty"` // OperationChat or OperationSummarize

	Tenant     string `json:"tenant,omitempty"`
	Session    string `json:"session,omitempty"`
	ModelAsked string `json:"model_asked,omitempty"` // as the client named it
	ModelUsed  string `json:"model_used,omitempty"`  // as the upstream was asked for it; "": none was reached
	Upstream   string `json:"upstream,omitempty"`    // the one whose answer the client got
	Key        string `json:"key,omitempty"`         // its label, never the key

	Usage    Usage `json:"usage"`              // of all attempts together
	Measured bool  `json:"measured,omitempty"` // the upstreams reported all of it; else it is, in part, estimated
	Cost     int64 `json:"cost,omitempty"`     // nano-dollars; meaningless unless Priced
	Priced   bool  `json:"priced,omitempty"`

	Latency    time.Duration `json:"latency_ns,omitempty"`     // to the answer's end
	FirstToken time.Duration `json:"first_token_ns,omitempty"` // 0: it was no stream
	Status     int           `json:"status,omitempty"`         // what the client got; 499 if it left
	Error      string        `json:"error,omitempty"`          // a word for it, not a text; "": none
	Stream     bool          `json:"stream,omitempty"`
	Cached     bool          `json:"cached,omitempty"`   // answered from the cache of answers
	Degraded   bool          `json:"degraded,omitempty"` // by a cheaper model than asked for

	Attempts []Attempt `json:"attempts,omitempty"`
	Memory   Memory    `json:"memory,omitzero"`
	Phases   Phases    `json:"phases,omitzero"`

	// What the call would have been if its client had sent the whole history. The
	// costs are known if the call is Priced too.
	FullKnown      bool  `json:"full_known,omitempty"`
	FullInput      int64 `json:"full_input,omitempty"`       // tokens of the prompt
	FullCost       int64 `json:"full_cost,omitempty"`        // nano-dollars, nothing of it cached
	FullCostCached int64 `json:"full_cost_cached,omitempty"` // … with what the provider's cache would have held
}

// Operations of an Entry.
const (
	OperationChat      = "chat"
	OperationSummarize = "summarize"
)

// Usage is numbers of tokens.
type Usage struct {
	Input       int64 `json:"input"` // all of the prompt
	CachedInput int64 `json:"cached_input,omitempty"`
	CacheWrite  int64 `json:"cache_write,omitempty"`
	Output      int64 `json:"output"` // all of the answer
	Reasoning   int64 `json:"reasoning,omitempty"`
	AudioInput  int64 `json:"audio_input,omitempty"`
	AudioOutput int64 `json:"audio_output,omitempty"`
}

// Add adds the tokens of other.
func (u *Usage) Add(other Usage) {
	to, from := u.values(), other.values()
	for i := range to {
		*to[i] += *from[i]
	}
}

// An Attempt is one call of an upstream.
type Attempt struct {
	Upstream string        `json:"upstream,omitempty"`
	Key      string        `json:"key,omitempty"` // its label
	Model    string        `json:"model,omitempty"`
	Outcome  string        `json:"outcome,omitempty"` // a word
	Status   int           `json:"status,omitempty"`  // 0: there was no answer
	Start    time.Duration `json:"start_ns"`          // after the call's
	Duration time.Duration `json:"duration_ns"`
	Breaker  string        `json:"breaker,omitempty"` // its state when the attempt began
	Hedge    bool          `json:"hedge,omitempty"`   // it was started beside another
	Resume   bool          `json:"resume,omitempty"`  // it went on where another broke off
	Usage    Usage         `json:"usage"`
	Measured bool          `json:"measured,omitempty"`
	Cost     int64         `json:"cost,omitempty"` // nano-dollars; meaningless unless Priced
	Priced   bool          `json:"priced,omitempty"`
}

// Memory is what memory did for a call.
type Memory struct {
	Status  string `json:"status,omitempty"`  // ok, off or bypassed; "": it was not asked
	Turns   int    `json:"turns,omitempty"`   // stored groups that were sent
	Tokens  int    `json:"tokens,omitempty"`  // that memory added to the prompt
	Dropped int    `json:"dropped,omitempty"` // stored groups that were left out
	Summary string `json:"summary,omitempty"` // none, used or pending
}

// Phases is where a call's time went.
type Phases struct {
	Load     time.Duration `json:"load_ns,omitempty"`
	Compose  time.Duration `json:"compose_ns,omitempty"`
	Upstream time.Duration `json:"upstream_ns,omitempty"` // waiting for its answer to begin
	Commit   time.Duration `json:"commit_ns,omitempty"`
}

// Model is the model that was used, or, if none was, the one that was asked for.
func (e *Entry) Model() string {
	if e.ModelUsed == "" {
		return e.ModelAsked
	}
	return e.ModelUsed
}

// Bound makes an entry one that every store takes: its texts are cut to MaxText
// bytes of printable Unicode, its numbers are not negative, its time is in
// milliseconds. It keeps the first MaxAttempts attempts. The attempts themselves are
// changed in place.
func (e *Entry) Bound() {
	for _, text := range []*string{
		&e.ID, &e.Tenant, &e.Session, &e.Operation, &e.ModelAsked, &e.ModelUsed, &e.Upstream, &e.Key,
		&e.Error, &e.Memory.Status, &e.Memory.Summary,
	} {
		*text = Plain(*text)
	}
	for _, count := range append(e.Usage.values(), &e.FullInput) {
		*count = min(max(*count, 0), maxCount)
	}
	for _, cost := range []*int64{&e.Cost, &e.FullCost, &e.FullCostCached} {
		*cost = min(max(*cost, 0), maxCost)
	}
	for _, d := range []*time.Duration{&e.Latency, &e.FirstToken} {
		*d = max(*d, 0)
	}
	for _, n := range []*int{&e.Memory.Turns, &e.Memory.Tokens, &e.Memory.Dropped} {
		*n = min(max(*n, 0), 1<<31-1)
	}
	if e.Time.Before(epoch) {
		e.Time = epoch
	}
	e.Time = time.UnixMilli(e.Time.UnixMilli()).UTC()
	e.Attempts = e.Attempts[:min(len(e.Attempts), MaxAttempts)]
	for i := range e.Attempts {
		a := &e.Attempts[i]
		for _, text := range []*string{&a.Upstream, &a.Key, &a.Model, &a.Outcome, &a.Breaker} {
			*text = Plain(*text)
		}
	}
}

// Plain is a text as entries have it: cut, and without what no database or terminal
// should see. Stores look for texts in this form.
func Plain(text string) string {
	if len(text) <= MaxText && ascii(text) {
		return text
	}
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, text[:min(len(text), MaxText)])
	for len(text) > MaxText {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text
}

// Private

var epoch = time.UnixMilli(0)

func (u *Usage) values() []*int64 {
	return []*int64{&u.Input, &u.CachedInput, &u.CacheWrite, &u.Output, &u.Reasoning, &u.AudioInput, &u.AudioOutput}
}

// ascii reports whether a text is printable ASCII.
func ascii(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

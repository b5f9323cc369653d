package manage

import (
	"encoding/json"
	"math"
	"net/http"
	"strings"

	"mnemo/memory"
)

// A Turn is one exchange of a session, as it is listed.
type Turn struct {
	Seq          int64             `json:"seq"`
	ID           string            `json:"id"`
	At           Time              `json:"at"`
	Model        string            `json:"model"`
	Partial      bool              `json:"partial"` // the client left before the reply was whole
	Tokens       int               `json:"tokens"`  // of the messages
	Usage        TurnUsage         `json:"usage"`
	CostUSD      *string           `json:"cost_usd"`      // nil: the price is not known
	Supersedes   *Span             `json:"supersedes"`    // nil: none
	SupersededBy *int64            `json:"superseded_by"` // nil: the turn is live
	Messages     []json.RawMessage `json:"messages"`
}

// A TurnUsage is the tokens of a turn's call.
type TurnUsage struct {
	Input       int  `json:"input"`
	CachedInput int  `json:"cached_input"`
	Output      int  `json:"output"`
	Reasoning   int  `json:"reasoning"`
	Estimated   bool `json:"estimated"`
}

// A Span is a range of turns, both ends included.
type Span struct {
	First int64 `json:"first"`
	Last  int64 `json:"last"`
}

// A TurnList is a page of turns.
type TurnList struct {
	Turns      []Turn `json:"turns"`
	NextCursor *int64 `json:"next_cursor"` // nil: this is the last page
}

// Private

const (
	readTurns = 32      // at a time
	pageBytes = 8 << 20 // of messages, after which a page ends
)

// messages pages through the turns of a session, from either end.
func (a *api) messages(r *request) error {
	key, err := r.key()
	if err != nil {
		return err
	}
	p := paging{}
	if err := p.read(r); err != nil {
		return err
	}
	ctx, cancel := within(storeTimeout)
	defer cancel()
	info, err := a.Store.Info(ctx, key)
	if err != nil {
		return storeError(err)
	}
	p.begin(info.Seq)
	for p.more() {
		before, limit := p.next()
		turns, err := a.Store.Turns(ctx, key, before, limit)
		if err != nil {
			return storeError(err)
		}
		if len(turns) == 0 {
			return memory.ErrNotFound // it was deleted meanwhile
		}
		p.take(turns)
	}
	return r.answer(http.StatusOK, p.list())
}

// A paging makes one page of turns. Pages that lack superseded turns may have
// looked at many more than they show.
type paging struct {
	limit      int64
	at         int64 // the last turn that was looked at; 0: none yet
	last       int64 // of the session
	down       bool  // the newest first
	superseded bool
	bytes      int
	turns      []Turn
}

func (p *paging) read(r *request) (err error) {
	if p.at, err = r.number("cursor", math.MaxInt64-1, 0); err != nil {
		return err
	}
	if p.limit, err = r.number("limit", maxLimit, defaultLimit); err != nil {
		return err
	}
	switch order, given := r.param("order"); {
	case order == "desc":
		p.down = true
	case given && order != "asc":
		return invalid("order", "order is asc or desc")
	}
	p.superseded, err = r.flag("superseded")
	return err
}

// begin places the page in a session.
func (p *paging) begin(last int64) {
	p.last = last
	if p.down && (p.at == 0 || p.at > last+1) {
		p.at = last + 1
	}
}

func (p *paging) left() bool {
	if p.down {
		return p.at > 1
	}
	return p.at < p.last
}

func (p *paging) more() bool {
	return p.left() && int64(len(p.turns)) < p.limit && p.bytes < pageBytes
}

// next is what to ask the store for.
func (p *paging) next() (before int64, limit int) {
	n := int64(readTurns)
	if p.down {
		return p.at, int(min(n, p.at-1))
	}
	n = min(n, p.last-p.at)
	return p.at + n + 1, int(n)
}

// take adds turns, which are in the order of the log, until the page is full.
func (p *paging) take(turns []memory.Turn) {
	for i := range turns {
		t := &turns[i]
		if p.down {
			t = &turns[len(turns)-1-i]
		}
		if !p.more() {
			return
		}
		p.at = t.Seq
		if t.SupersededBy == 0 || p.superseded {
			p.turns = append(p.turns, turnOf(t))
			p.bytes += t.Size()
		}
	}
}

func (p *paging) list() TurnList {
	list := TurnList{Turns: append([]Turn{}, p.turns...)}
	if p.left() {
		list.NextCursor = &p.at
	}
	return list
}

func turnOf(t *memory.Turn) Turn {
	u := &t.Usage
	out := Turn{
		Seq: t.Seq, ID: t.ID, At: Time{t.At}, Model: t.Model, Partial: t.Partial, Tokens: t.Tokens(),
		Usage:    TurnUsage{Input: u.Input, CachedInput: u.CachedInput, Output: u.Output, Reasoning: u.Reasoning, Estimated: u.Estimated},
		Messages: make([]json.RawMessage, len(t.Messages)),
	}
	if u.Priced {
		out.CostUSD = dollars(u.Cost)
	}
	if s := t.Supersedes; s.First != 0 {
		out.Supersedes = &Span{First: s.First, Last: s.Last}
	}
	if t.SupersededBy != 0 {
		out.SupersededBy = &t.SupersededBy
	}
	for i := range t.Messages {
		out.Messages[i] = json.RawMessage(strings.ToValidUTF8(t.Messages[i].Raw, "\ufffd"))
	}
	return out
}

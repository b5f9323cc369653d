package manage

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"mnemo/memory"
)

// A Session is what a list says of one.
type Session struct {
	ID         string `json:"id"`
	Tenant     string `json:"tenant"`
	Title      string `json:"title"`
	CreatedAt  Time   `json:"created_at"`
	UpdatedAt  Time   `json:"updated_at"`
	ExpiresAt  *Time  `json:"expires_at"` // nil: never
	Turns      int64  `json:"turns"`      // live ones
	Superseded int64  `json:"superseded"` // the others
	Messages   int64  `json:"messages"`   // in live turns, as are groups and tokens
	Groups     int64  `json:"groups"`
	Tokens     int64  `json:"tokens"`
	Bytes      int64  `json:"bytes"` // of all messages
	Usage      Tokens `json:"usage"` // of all turns, as is the cost
	Cost       Cost   `json:"cost"`
}

// A SessionList is a page of sessions.
type SessionList struct {
	Sessions   []Session `json:"sessions"`
	NextCursor *string   `json:"next_cursor"` // nil: this is the last page
}

// A SessionDetail is all that is said of one session.
type SessionDetail struct {
	Session
	Persona *string           `json:"persona"` // nil: it has none
	Vars    map[string]string `json:"vars"`    // of the persona
	System  json.RawMessage   `json:"system"`  // an array of messages
	Summary *Summary          `json:"summary"` // nil: there is none
}

// Tokens are those of a session's calls.
type Tokens struct {
	Input       int64 `json:"input"`
	CachedInput int64 `json:"cached_input"`
	Output      int64 `json:"output"`
}

// Cost is what a session's calls cost.
type Cost struct {
	USD           *string `json:"usd"` // a decimal number, exact; nil if no turn is priced
	UnpricedTurns int64   `json:"unpriced_turns"`
}

// A Summary is what stands in prompts for the beginning of a session.
type Summary struct {
	Text   string `json:"text"`
	UpTo   int64  `json:"up_to"` // the last turn that it covers
	Tokens int    `json:"tokens"`
	Model  string `json:"model"`
	At     Time   `json:"at"`
}

// Rebuilt is the answer to a rebuild.
type Rebuilt struct {
	Summary *Summary `json:"summary"` // nil: there is nothing to summarise yet
}

// A NewSession says how a session is to begin.
type NewSession struct {
	ID       string            `json:"id,omitempty"` // "": a random one
	Title    string            `json:"title,omitempty"`
	Greeting *string           `json:"greeting,omitempty"` // nil: the persona's
	Persona  string            `json:"persona,omitempty"`
	Vars     map[string]string `json:"vars,omitempty"`
	System   json.RawMessage   `json:"system,omitempty"` // a string, or an array of messages
}

// Created is the answer to a NewSession.
type Created struct {
	ID       string  `json:"id"`
	Greeting *string `json:"greeting"` // nil: none
}

// A Time is RFC 3339 in UTC with milliseconds.
type Time struct{ time.Time }

// MarshalJSON writes the time.
func (t Time) MarshalJSON() ([]byte, error) {
	return t.UTC().AppendFormat(nil, `"2006-01-02T15:04:05.000Z"`), nil
}

// Private

func (a *api) show(r *request) error {
	key, err := r.key()
	if err != nil {
		return err
	}
	ctx, cancel := within(storeTimeout)
	defer cancel()
	info, at, err := a.describe(ctx, key)
	if err != nil {
		return err
	}
	r.web.Response.Header.Set("ETag", at.tag())
	return r.answer(http.StatusOK, detailOf(&info))
}

func sessionOf(info *memory.Info) Session {
	s := Session{
		ID: info.Key.Session, Tenant: info.Key.Tenant, Title: info.Title,
		CreatedAt: Time{info.Created}, UpdatedAt: Time{info.Updated},
		Turns: info.Totals.Turns, Superseded: info.Seq - info.Totals.Turns,
		Messages: info.Totals.Messages, Groups: info.Totals.Groups, Tokens: info.Totals.Tokens, Bytes: info.Totals.Bytes,
		Usage: Tokens{Input: info.Spent.Input, CachedInput: info.Spent.CachedInput, Output: info.Spent.Output},
		Cost:  Cost{UnpricedTurns: info.Spent.Unpriced},
	}
	if !info.Expires.IsZero() {
		s.ExpiresAt = &Time{info.Expires}
	}
	if info.Spent.Unpriced < info.Seq {
		s.Cost.USD = dollars(info.Spent.Cost)
	}
	return s
}

func detailOf(info *memory.Info) SessionDetail {
	d := SessionDetail{Session: sessionOf(info), Vars: map[string]string{}, System: json.RawMessage("[]"), Summary: summaryOf(info.Summary)}
	if p := memory.DecodePersona(info.Persona); p != nil {
		d.Persona, d.Vars = &p.Name, p.Vars
	}
	if info.System != "" {
		d.System = json.RawMessage(strings.ToValidUTF8(info.System, "\ufffd"))
	}
	return d
}

func summaryOf(s *memory.Summary) *Summary {
	if s == nil {
		return nil
	}
	return &Summary{Text: s.Text, UpTo: s.UpTo, Tokens: s.Tokens, Model: s.Model, At: Time{s.At}}
}

// dollars writes nano-dollars as dollars, exactly.
func dollars(nano int64) *string {
	const billion = 1_000_000_000
	sign := ""
	whole, fraction := nano/billion, nano%billion
	if nano < 0 {
		sign, whole, fraction = "-", -whole, -fraction
	}
	text := sign + strconv.FormatInt(whole, 10)
	if fraction != 0 {
		digits := strconv.FormatInt(billion+fraction, 10)[1:]
		text += "." + strings.TrimRight(digits, "0")
	}
	return &text
}

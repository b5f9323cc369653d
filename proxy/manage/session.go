package manage

import (
	"encoding/json"
	"time"
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
	Persona *string         `json:"persona"` // nil: none was named
	System  json.RawMessage `json:"system"`  // an array of messages
	Summary *Summary        `json:"summary"` // nil: there is none
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

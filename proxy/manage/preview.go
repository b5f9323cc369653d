package manage

import "encoding/json"

// What becomes of a stored group in a prompt.
const (
	GroupSent       = "sent"       // it is in the prompt
	GroupSummarised = "summarised" // the summary stands for it
	GroupDropped    = "dropped"    // it does not fit, or cannot be sent
	GroupSuperseded = "superseded" // it was edited or regenerated
	GroupResent     = "resent"     // the request brings it itself
)

// Values of Preview.Summary.
const (
	SummaryNone    = "none"
	SummaryUsed    = "used"
	SummaryPending = "pending" // one is being made
)

// A Preview is the prompt that a chat call would send, explained.
type Preview struct {
	Model    string          `json:"model"`
	Messages json.RawMessage `json:"messages"` // the array that would be sent
	Tokens   int             `json:"tokens"`   // of the whole prompt
	Budget   int             `json:"budget"`   // tokens that it may have
	Dropped  int             `json:"dropped"`  // stored groups that are left out
	Summary  string          `json:"summary"`  // SummaryNone, SummaryUsed or SummaryPending
	Persona  *string         `json:"persona"`  // nil: none is in force
	Groups   []Group         `json:"groups"`   // the stored ones, oldest first
}

// A Group is a stored user message with everything up to the next one.
type Group struct {
	FirstSeq int64  `json:"first_seq"` // the turn in which it begins
	LastSeq  int64  `json:"last_seq"`  // the turn in which it ends
	Tokens   int    `json:"tokens"`
	State    string `json:"state"`   // one of the Group constants
	Reason   string `json:"reason"`  // why, in words
	Preview  string `json:"preview"` // how it begins
}

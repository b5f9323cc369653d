package manage

import (
	"encoding/json"
	"net/http"

	"mnemo/memory"
)

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

// Private

// prompt shows what a chat call would send.
func (a *api) prompt(r *request) error {
	key, err := r.key()
	if err != nil {
		return err
	}
	if a.Prompt == nil {
		return notConfigured("this mnemo composes no prompts")
	}
	body, err := r.text()
	if err != nil {
		return err
	}
	ctx, cancel := within(storeTimeout)
	defer cancel()
	if _, err := a.Store.Info(ctx, key); err != nil {
		return storeError(err)
	}
	preview, err := a.Prompt(ctx, r.caller, key, body)
	if err != nil {
		return storeError(err)
	}
	if preview.Messages == nil {
		preview.Messages = json.RawMessage("[]")
	}
	if preview.Groups == nil {
		preview.Groups = []Group{}
	}
	return r.answer(http.StatusOK, preview)
}

// rebuild makes a session's summary anew.
func (a *api) rebuild(r *request) error {
	key, err := r.key()
	if err != nil {
		return err
	}
	if a.Rebuild == nil {
		return notConfigured("this mnemo makes no summaries: set memory.strategy to summarize")
	}
	ctx, cancel := within(rebuildTimeout)
	defer cancel()
	if _, err := a.Store.Info(ctx, key); err != nil {
		return storeError(err)
	}
	if err := a.Rebuild(ctx, r.caller, key); err != nil {
		return storeError(err)
	}
	var info memory.Info
	if info, err = a.Store.Info(ctx, key); err != nil {
		return storeError(err)
	}
	return r.answer(http.StatusOK, Rebuilt{Summary: summaryOf(info.Summary)})
}

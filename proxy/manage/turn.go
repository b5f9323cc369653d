package manage

import "encoding/json"

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

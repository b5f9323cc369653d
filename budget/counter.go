package budget

import (
	"context"
	"time"
)

// Kept is an Entry.Reserved that leaves what the Counter knows.
const Kept int64 = -1

// A Counter adds up what several replicas spend. Each replica tells its own part of a sum, whole and
// ever growing, so that telling it twice, late, or to a Counter that lost everything does no harm.
type Counter interface {
	// Exchange takes claims in their order and answers each, in one round trip. Without claims it
	// says whether the Counter can be reached. After an error nothing is known of what was done;
	// all of it is told again. It is called by one goroutine at a time.
	Exchange(ctx context.Context, claims []Claim) ([]Answer, error)
}

// A Claim is entries that are admitted together or not at all. No two have the same Account and
// Writer.
type Claim struct {
	Entries []Entry
}

// An Entry is a replica's part of one sum, and what it asks of it.
type Entry struct {
	Account string // the sum: the same in all replicas, unique for what is counted, for whom and when
	Writer  string // whose part: unique over all replicas and their restarts

	Spent    int64         // the whole part; the larger of it and what is known counts
	Reserved int64         // what is reserved by calls under way, or Kept
	Lease    time.Duration // how long Reserved counts unless it is told again
	Until    time.Time     // when the window ends; the sum may be forgotten hours later

	// Estimate is added to Reserved if the claim is admitted. It is if in each of its entries all
	// that is spent and reserved by anybody is less than Limit, or Limit is 0.
	Estimate int64
	Limit    int64

	Marks []string // to be set once over all replicas
	Leave bool     // the writer will not come again: its part becomes everybody's
}

// An Answer says what became of a Claim.
type Answer struct {
	Admitted bool
	Others   []Others // one for each entry
}

// Others is the parts of all other writers.
type Others struct {
	Spent    int64
	Reserved int64
	Mine     []bool // for each of Entry.Marks, whether it is this writer's
}

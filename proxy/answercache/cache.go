// Package answercache keeps the answers to exact requests, so that the same request
// need not be sent again. It holds answers of users, and nothing of what they asked:
// an answer is found by a hash of its request, in which the tenant is.
package answercache

import (
	"context"
	"time"
)

// A Cache keeps answers. It is safe for concurrent use, and it never fails a call: a
// cache that cannot be reached has nothing and takes nothing.
type Cache interface {
	// Get returns an answer and how long ago it was put.
	Get(ctx context.Context, key Key) (answer Answer, age time.Duration, ok bool)

	// Put keeps an answer, in place of what there was. An answer that nobody would
	// find, because it is none or is to be kept for no time, is not.
	Put(ctx context.Context, key Key, answer Answer, terms Terms)

	// Drop forgets all answers with a tag, at once and for good; without an error
	// none is left. An answer that is put later is kept, whatever its tag.
	Drop(ctx context.Context, tag Tag) error

	Close() error
}

// Terms say how an answer is kept.
type Terms struct {
	// Keep is for how long. To serve what is stale where there is nothing else, put
	// with the time for that added, and compare the age.
	Keep time.Duration

	// Route names what shares MaxEntries, so that one route cannot push out the
	// answers of another. MaxEntries 0 sets no bound to the number.
	Route      string
	MaxEntries int

	// Tag is of the session whose answer this is; zero if there is none.
	Tag Tag
}

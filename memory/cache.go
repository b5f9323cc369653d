package memory

import (
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	// DefaultCacheBytes is the bound of a Cache that is given none.
	DefaultCacheBytes = 16 << 20

	// The cost of a turn and of a message beside the message's bytes.
	turnCost    = 160
	messageCost = 144
	sessionCost = 512

	// keptMessages is how much of a tail is kept though no Need asks for it.
	keptMessages = 32
)

// A Cache holds the decoded ends of the logs that a process used last, so that
// a store reads and decodes each turn once. It trusts no entry by itself: a store
// asks for a Tail, compares it with the Head that it keeps, and reads only what
// the tail lacks. It is safe for concurrent use.
type Cache struct {
	mu    sync.Mutex
	bound int64
	bytes int64
	lru   *simplelru.LRU[Key, *tailEntry]
}

// NewCache returns a cache of about that many bytes; 0 means DefaultCacheBytes,
// and a negative number a cache that holds nothing.
func NewCache(bytes int64) *Cache {
	if bytes == 0 {
		bytes = DefaultCacheBytes
	}
	// Bytes are the bound, not the number of entries; the only error is a size of 0.
	lru, _ := simplelru.NewLRU[Key, *tailEntry](math.MaxInt, nil)
	return &Cache{bound: max(bytes, 0), lru: lru}
}

// Tail returns what is cached of a session, and remembers the need: as much is
// kept.
func (c *Cache) Tail(key Key, need Need) Tail {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry, ok := c.lru.Get(key)
	if !ok {
		return Tail{}
	}
	entry.recent = larger(entry.recent, need)
	return entry.tail
}

// Extend joins a tail, as Tail returned it, with the live turns that were read
// from the store because the tail lacks them, older ones and newer ones, in order.
// If they leave a gap after the tail, or the tail's life or branch is over, they
// replace it. The turns are kept, not copied. The result is the session at head;
// it is cached unless something newer is already.
func (c *Cache) Extend(key Key, tail Tail, head Head, read []Turn) Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry, known := c.lru.Peek(key)
	owned := known && entry.tail.same(tail)
	if owned {
		tail = entry.tail // only it knows whether there is room behind its turns
	}
	next := tail.join(head, read, owned)
	if owned || !known || entry.tail.olderThan(next) {
		c.put(key, entry, next)
	}
	return next.Session
}

// Append adds a turn that was stored just now and made head the session's head; of
// head, only the Revision, the Seq and the Totals are looked at. The turn is copied.
// If turns before it are missing, nothing is done, and if it supersedes others, the
// session is forgotten: the next Load reads what there is.
func (c *Cache) Append(key Key, head Head, turn *Turn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if turn.Supersedes != (Span{}) {
		c.drop(key)
		return
	}
	entry, known := c.lru.Get(key)
	var tail Tail
	if known && entry.tail.Session.Revision.branch() == head.Revision.branch() {
		tail = entry.tail
	}
	had := &tail.Session
	if had.Seq != head.Seq-1 {
		return
	}
	if had.Seq > 0 {
		head.Revision.Summary = had.Revision.Summary // a newer one is still to be read
	}
	head.System, head.Persona, head.Summary = latest(turn.System, had.System), latest(turn.Persona, had.Persona), had.Summary
	own := turn.clone()
	own.Seq = head.Seq
	c.put(key, entry, tail.join(head, []Turn{own}, true))
}

// Drop forgets a session.
func (c *Cache) Drop(key Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(key)
}

// Private

// A tailEntry is what is cached of a session. It owns the room behind the last
// turn of its tail; what lies before is shared with readers.
type tailEntry struct {
	tail             Tail
	bytes            int64
	recent, previous Need // the largest since the tail was last cut, and before
}

func (c *Cache) put(key Key, entry *tailEntry, tail Tail) {
	if entry == nil {
		entry = &tailEntry{}
		c.lru.Add(key, entry)
	}
	entry.tail = tail
	entry.cut()
	c.bytes -= entry.bytes
	entry.bytes = entry.tail.cost(key)
	c.bytes += entry.bytes
	if entry.bytes > c.bound { // it must not push out all the others
		c.drop(key)
	}
	for c.bytes > c.bound {
		_, oldest, _ := c.lru.RemoveOldest()
		c.bytes -= oldest.bytes
	}
}

func (c *Cache) drop(key Key) {
	if entry, ok := c.lru.Peek(key); ok {
		c.bytes -= entry.bytes
		c.lru.Remove(key)
	}
}

// cut drops turns that no recent Need asked for. It waits until twice the need
// is held, so that the copy it makes is rare.
func (e *tailEntry) cut() {
	need := larger(e.recent, e.previous)
	need.Messages = max(need.Messages, keptMessages)
	if !need.doubled().Met(e.tail.Held) {
		return
	}
	turns := e.tail.Session.Turns
	var held Totals
	i := len(turns)
	for i > 0 && !need.Met(held) {
		i--
		held.Add(&turns[i])
	}
	e.tail.Session.Turns = slices.Clone(turns[i:])
	e.tail.Held = held
	e.previous, e.recent = e.recent, Need{}
}

// latest is what was said now, copied, or else what was said before.
func latest(now, before string) string {
	if now == "" || now == before {
		return before
	}
	return strings.Clone(now)
}

func larger(a, b Need) Need {
	return Need{Tokens: max(a.Tokens, b.Tokens), Groups: max(a.Groups, b.Groups), Messages: max(a.Messages, b.Messages)}
}

func (n Need) doubled() Need {
	return Need{Tokens: double(n.Tokens), Groups: double(n.Groups), Messages: double(n.Messages)}
}

func double(n int) int {
	if n > math.MaxInt/2 {
		return math.MaxInt
	}
	return 2 * n
}

// clone copies the turn, so that it keeps nothing larger alive, such as the body
// of a request.
func (t *Turn) clone() Turn {
	own := *t
	own.Model = strings.Clone(t.Model)
	own.ID = strings.Clone(t.ID)
	own.System, own.Persona, own.Redelivered = "", "", false
	own.Messages = make([]Message, len(t.Messages))
	for i := range t.Messages {
		m := t.Messages[i]
		m.Raw = strings.Clone(m.Raw)
		m.Role = strings.Clone(m.Role)
		m.CallID = strings.Clone(m.CallID)
		m.Calls = slices.Clone(m.Calls)
		for j := range m.Calls {
			m.Calls[j] = strings.Clone(m.Calls[j])
		}
		own.Messages[i] = m
	}
	return own
}

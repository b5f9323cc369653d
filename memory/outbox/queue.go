package outbox

import (
	"container/list"
	"slices"
	"strings"
	"time"

	"mnemo/memory"
)

const (
	// What a queued turn and a message take beside their bytes.
	turnCost    = 512
	messageCost = 160
)

// A queue holds turns, those of each session in a line. The outbox's lock guards it.
type queue struct {
	lines    map[memory.Key]*line
	inMemory *list.List // of *entry, the oldest first
	bytes    int64      // of those
	spooled  int        // entries that are in files
}

// A line is the queued turns of one session.
type line struct {
	key     memory.Key
	entries []*entry
	// busy is closed when whoever works on the line is done; nil: nobody does. Only
	// they remove entries.
	busy chan struct{}

	attempts int       // to write its first turn, while the store answered
	refusals int       // those at which the store had taken other turns meanwhile
	seen     int64     // how many turns the store had taken at the last one
	retry    time.Time // not before
}

// An entry is one queued turn, in memory or in a file.
type entry struct {
	turn    *memory.Turn // nil: it is in a file
	size    int64
	element *list.Element // its place in memory's order; nil: it is not there
	key     memory.Key
	place   place
}

func newQueue() queue {
	return queue{lines: map[memory.Key]*line{}, inMemory: list.New()}
}

// newEntry copies a turn, so that it keeps no request's body alive.
func newEntry(key memory.Key, t memory.Turn) *entry {
	t.ID, t.Model = strings.Clone(t.ID), strings.Clone(t.Model)
	t.System, t.Persona = strings.Clone(t.System), strings.Clone(t.Persona)
	t.Messages = slices.Clone(t.Messages)
	t.Redelivered = true // an append whose outcome is unknown may have succeeded
	size := turnCost + len(t.System) + len(t.Persona) + len(t.Model)
	for i := range t.Messages {
		m := &t.Messages[i]
		m.Raw, m.Role, m.CallID = strings.Clone(m.Raw), strings.Clone(m.Role), strings.Clone(m.CallID)
		m.Calls = slices.Clone(m.Calls)
		for j, id := range m.Calls {
			m.Calls[j] = strings.Clone(id)
			size += len(id)
		}
		size += messageCost + len(m.Raw) + len(m.CallID)
	}
	key.Tenant, key.Session = strings.Clone(key.Tenant), strings.Clone(key.Session)
	return &entry{turn: &t, size: int64(size), key: key}
}

// Private

// turns is the number of turns in memory.
func (q *queue) turns() int { return q.inMemory.Len() }

// push adds an entry at the end of its session's line and reports whether the line
// is new.
func (q *queue) push(e *entry) (first bool) {
	l := q.lines[e.key]
	if l == nil {
		l, first = &line{key: e.key}, true
		q.lines[e.key] = l
	}
	l.entries = append(l.entries, e)
	if e.turn == nil {
		q.spooled++
		return first
	}
	e.element = q.inMemory.PushBack(e)
	q.bytes += e.size
	return first
}

// spilled says that an entry, if it is queued still, is in a file now.
func (q *queue) spilled(e *entry, at place) bool {
	if e.element == nil {
		return false
	}
	q.leaveMemory(e)
	e.turn, e.place = nil, at
	q.spooled++
	return true
}

// shift removes the first entries of a line.
func (q *queue) shift(l *line, n int) {
	for i, e := range l.entries[:n] {
		if e.element != nil {
			q.leaveMemory(e)
		} else {
			q.spooled--
		}
		l.entries[i] = nil
	}
	l.entries = l.entries[n:]
	l.attempts, l.refusals, l.retry = 0, 0, time.Time{}
}

// places are those of the line's entries that are in files.
func (l *line) places() []place {
	var places []place
	for _, e := range l.entries {
		if e.turn == nil {
			places = append(places, e.place)
		}
	}
	return places
}

func (q *queue) leaveMemory(e *entry) {
	q.inMemory.Remove(e.element)
	e.element = nil
	q.bytes -= e.size
}

package answercache

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	// DefaultBytes bounds a Memory that is given no bound.
	DefaultBytes = 64 << 20

	// entryCost is what an entry takes beside its answer's bytes.
	entryCost = 512
	// sweepEvery is how often what is too old is looked for.
	sweepEvery = time.Minute
)

// A Memory is a Cache in this process. When it is full, what was not asked for the
// longest makes room. What is too old is never returned, and is forgotten when the
// next answers are put.
type Memory struct {
	mu      sync.Mutex
	limit   int64
	bytes   int64
	entries *simplelru.LRU[Key, *entry]
	routes  map[string]*simplelru.LRU[Key, struct{}]
	tags    map[Tag]map[Key]struct{}
	swept   time.Time
}

var _ Cache = (*Memory)(nil)

// NewMemory returns a cache of about that many bytes; 0 means DefaultBytes, and a
// negative number a cache that keeps nothing.
func NewMemory(bytes int64) *Memory {
	if bytes == 0 {
		bytes = DefaultBytes
	}
	m := &Memory{
		limit:  max(bytes, 0),
		routes: make(map[string]*simplelru.LRU[Key, struct{}]),
		tags:   make(map[Tag]map[Key]struct{}),
	}
	// Bytes are the bound, not the number of entries; the only error is a size of 0.
	m.entries, _ = simplelru.NewLRU(math.MaxInt, m.forget)
	return m
}

// Get implements Cache.
func (m *Memory) Get(_ context.Context, key Key) (answer Answer, age time.Duration, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.entries.Get(key)
	if !ok {
		return Answer{}, 0, false
	}
	if age = time.Since(e.at); age >= e.terms.Keep {
		m.entries.Remove(key)
		return Answer{}, 0, false
	}
	m.routes[e.terms.Route].Get(key)
	return e.answer, age, true
}

// Put implements Cache.
func (m *Memory) Put(_ context.Context, key Key, answer Answer, terms Terms) {
	e := &entry{answer: answer, terms: terms, at: time.Now()}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries.Remove(key)
	if answer == (Answer{}) || terms.Keep <= 0 || e.size() > m.limit {
		return
	}
	m.sweep(e.at)
	m.insert(key, e)
	if route := m.routes[terms.Route]; terms.MaxEntries > 0 {
		for route.Len() > terms.MaxEntries {
			oldest, _, _ := route.GetOldest()
			m.entries.Remove(oldest)
		}
	}
	for m.bytes > m.limit {
		m.entries.RemoveOldest()
	}
}

// Drop implements Cache.
func (m *Memory) Drop(_ context.Context, tag Tag) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key := range m.tags[tag] {
		m.entries.Remove(key)
	}
	return nil
}

// Close implements Cache. It forgets everything.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries.Purge()
	return nil
}

// Private

type entry struct {
	answer Answer
	terms  Terms
	at     time.Time
}

func (e *entry) size() int64 { return int64(len(e.answer.body) + entryCost) }

func (m *Memory) insert(key Key, e *entry) {
	m.bytes += e.size()
	m.entries.Add(key, e)
	route := m.routes[e.terms.Route]
	if route == nil {
		route, _ = simplelru.NewLRU[Key, struct{}](math.MaxInt, nil)
		m.routes[e.terms.Route] = route
	}
	route.Add(key, struct{}{})
	if e.terms.Tag == (Tag{}) {
		return
	}
	if m.tags[e.terms.Tag] == nil {
		m.tags[e.terms.Tag] = make(map[Key]struct{})
	}
	m.tags[e.terms.Tag][key] = struct{}{}
}

// forget is called with each entry that leaves.
func (m *Memory) forget(key Key, e *entry) {
	m.bytes -= e.size()
	route := m.routes[e.terms.Route]
	if route.Remove(key); route.Len() == 0 {
		delete(m.routes, e.terms.Route)
	}
	keys := m.tags[e.terms.Tag]
	if delete(keys, key); len(keys) == 0 {
		delete(m.tags, e.terms.Tag)
	}
}

// sweep removes what is too old.
func (m *Memory) sweep(now time.Time) {
	if now.Sub(m.swept) < sweepEvery {
		return
	}
	m.swept = now
	for _, key := range m.entries.Keys() {
		if e, _ := m.entries.Peek(key); now.Sub(e.at) >= e.terms.Keep {
			m.entries.Remove(key)
		}
	}
}

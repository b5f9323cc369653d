package summarize

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"mnemo/memory"
)

// Private

const (
	firstPause = time.Second
	lastPause  = 4 * time.Minute // with jitter, 5
	jitter     = 0.25

	// rememberedPauses bounds the sessions whose failures are remembered. The one
	// that failed longest ago is forgotten first.
	rememberedPauses = 8192
)

// pauses are the sessions of which the last attempt failed: after each failure in a
// row they wait twice as long for the next one. They are safe for concurrent use.
type pauses struct {
	now      func() time.Time
	mu       sync.Mutex
	sessions *simplelru.LRU[memory.Key, pause]
}

type pause struct {
	failures int
	until    time.Time
}

func newPauses(now func() time.Time) *pauses {
	sessions, _ := simplelru.NewLRU[memory.Key, pause](rememberedPauses, nil) // fails for a size below 1 only
	return &pauses{now: now, sessions: sessions}
}

// holds reports whether the session has to wait.
func (p *pauses) holds(key memory.Key) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	held, found := p.sessions.Peek(key)
	return found && p.now().Before(held.until)
}

// failed makes the session wait, longer than the last time.
func (p *pauses) failed(key memory.Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	held, _ := p.sessions.Peek(key)
	length := lastPause
	if doubled := firstPause << min(held.failures, 30); doubled < lastPause {
		length = doubled
	}
	length += time.Duration(rand.Float64() * jitter * float64(length))
	p.sessions.Add(key, pause{failures: held.failures + 1, until: p.now().Add(length)})
}

// occupied makes the session wait for the job that has it, which is no failure.
func (p *pauses) occupied(key memory.Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	held, _ := p.sessions.Peek(key)
	held.until = p.now().Add(firstPause)
	p.sessions.Add(key, held)
}

// succeeded forgets the failures.
func (p *pauses) succeeded(key memory.Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sessions.Remove(key)
}

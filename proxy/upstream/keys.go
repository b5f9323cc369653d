package upstream

import (
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Private

// A keyring shares an upstream's calls out among its keys.
type keyring struct {
	upstream string
	policy   KeyPolicy
	log      *slog.Logger
	mu       sync.Mutex
	keys     []*key
	scratch  []*key // of pick
	homes    homes
}

type key struct {
	label  string
	header []string // the value of Authorization
	weight int
	seed   uint64 // of its places in the sessions' orders

	inFlight atomic.Int64
	troubled atomic.Bool // there is something for a good answer to clear

	// Guarded by the keyring.
	credit  int       // smooth weighted round robin: grows by weight, the greatest is picked
	settled int       // sessions that have their home here
	room    room      // what its limits leave, if the policy asks
	cooling time.Time // not used before
	limits  int       // 429s in a row that named no time
	bar     bar
}

// A bar keeps a refused key from calls like the one that it was refused for.
type bar struct {
	until time.Time // zero: none
	model string    // of those calls
	all   bool      // every call
}

func newKeyring(u *Upstream, log *slog.Logger) *keyring {
	ring := &keyring{upstream: u.Name, policy: u.KeyPolicy, log: log}
	weighted := false
	for _, k := range u.Keys {
		weighted = weighted || k.Weight > 0
	}
	for _, k := range u.Keys {
		weight := k.Weight
		if !weighted {
			weight = 1
		}
		ring.keys = append(ring.keys,
			&key{label: k.Label, header: []string{"Bearer " + k.Value}, weight: weight, seed: hash(k.Label)})
	}
	return ring
}

// pick returns the key for the next call of a model, in flight from now on. A
// session that is named keeps its key. If there is none, wait is the time until
// one has cooled, or 0 if every key is refused.
func (r *keyring) pick(model, sticky string, now time.Time) (picked *key, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	usable := r.scratch[:0]
	for _, k := range r.keys {
		if k.weight == 0 || k.bar.blocks(model, now) {
			continue
		}
		if rest := k.cooling.Sub(now); !k.cooling.IsZero() && rest > 0 {
			wait = shortest(wait, rest)
			continue
		}
		usable = append(usable, k)
	}
	r.scratch = usable
	switch {
	case len(usable) == 0:
		return nil, wait
	case len(usable) == 1:
		picked = usable[0]
	case sticky != "":
		picked = r.homes.of(sticky, usable)
	default:
		picked = r.policy.pick(usable, now)
	}
	if picked.bar.covers(model) {
		picked.bar.until = now.Add(probeGap) // this call is the probe; others wait for what it finds
	}
	picked.inFlight.Add(1)
	return picked, 0
}

// leave ends a call of the key.
func (k *key) leave() {
	if k != nil {
		k.inFlight.Add(-1)
	}
}

// learn reads what an answer tells of the key's limits, if that matters.
func (r *keyring) learn(k *key, h http.Header, now time.Time) {
	if r.policy != Headroom {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	k.room.learn(h, now)
}

// cool keeps a key from being used for d; 0 means that nobody said how long.
func (r *keyring) cool(k *key, d time.Duration, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d <= 0 {
		if now.Before(k.cooling) {
			return // calls that were under way together are one limit
		}
		d = min(firstCooldown<<min(k.limits, 10), lastCooldown)
		k.limits++
	}
	if until := now.Add(d); until.After(k.cooling) {
		k.cooling = until
	}
	k.troubled.Store(true)
}

// refuse keeps a key from being used until it is probed: for every call, or for
// those of one model.
func (r *keyring) refuse(k *key, status int, model string, all bool, now time.Time) {
	r.mu.Lock()
	known := k.bar.covers(model)
	k.bar = bar{until: now.Add(outFor), model: model, all: all}
	k.troubled.Store(true)
	r.mu.Unlock()
	if !known {
		r.log.Warn("upstream refuses a key", "upstream", r.upstream, "key", k.label, "status", status,
			"model", oneLine(model), "every_model", all, "probe_after", outFor)
	}
}

// good clears what an answer disproved.
func (r *keyring) good(k *key, model string) {
	if !k.troubled.Load() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	k.limits = 0
	if k.bar.covers(model) {
		k.bar = bar{}
	}
	k.troubled.Store(!k.bar.until.IsZero())
}

func (b *bar) covers(model string) bool {
	return !b.until.IsZero() && (b.all || b.model == model)
}

func (b *bar) blocks(model string, now time.Time) bool {
	return b.covers(model) && now.Before(b.until)
}

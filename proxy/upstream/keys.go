package upstream

import (
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Private

// whenFree is the wait for a key that serves as many calls as it may.
const whenFree time.Duration = -1

// A keyring shares an upstream's calls out among its keys.
type keyring struct {
	upstream string
	policy   KeyPolicy
	perKey   int64 // calls at a time; 0: any
	log      *slog.Logger
	pooled   atomic.Bool // there are keys
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
	proven  bool      // it had a good answer
	due     time.Time // to be replaced; zero: never
	warned  bool      // that it is due
}

// A bar keeps a refused key from calls like the one that it was refused for.
type bar struct {
	until   time.Time // zero: none
	model   string    // of those calls
	all     bool      // every call
	probes  int       // that were refused too
	probing bool      // a call is under way to see
}

// newKeyring takes keys that were checked.
func newKeyring(u *Upstream, log *slog.Logger) *keyring {
	ring := &keyring{upstream: u.Name, policy: u.KeyPolicy, perKey: int64(max(u.MaxInFlightPerKey, 0)), log: log}
	_ = ring.set(u.Keys)
	return ring
}

// pick returns the key for the next call of a model, in flight from now on. A
// session that is named keeps its key. If there is none, wait is the time until
// one has cooled, or 0 if every key is refused, or whenFree.
func (r *keyring) pick(model, sticky string, now time.Time) (picked *key, wait time.Duration) {
	r.mu.Lock()
	picked, wait = r.next(model, sticky, now)
	due := picked != nil && picked.ageing(now)
	r.mu.Unlock()
	if due {
		r.log.Warn("key is due to be replaced", "upstream", r.upstream, "key", picked.label)
	}
	return picked, wait
}

func (r *keyring) next(model, sticky string, now time.Time) (picked *key, wait time.Duration) {
	usable, full := r.scratch[:0], false
	for _, k := range r.keys {
		if k.weight == 0 || k.bar.blocks(model, now) {
			continue
		}
		if rest := k.cooling.Sub(now); !k.cooling.IsZero() && rest > 0 {
			wait = shortest(wait, rest)
			continue
		}
		if r.perKey > 0 && k.inFlight.Load() >= r.perKey {
			full = true
			continue
		}
		usable = append(usable, k)
	}
	r.scratch = usable
	usable = tried(usable)
	switch {
	case len(usable) == 0 && full:
		return nil, whenFree
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
		picked.bar.until, picked.bar.probing = now.Add(probeGap), true // this call is the probe; others wait for what it finds
	}
	picked.inFlight.Add(1)
	return picked, 0
}

// tried leaves out keys without any good answer yet that one call is trying now,
// if another key is known to work: a wrong one shall not cost many calls.
func tried(keys []*key) []*key {
	if len(keys) < 2 || !slices.ContainsFunc(keys, func(k *key) bool { return k.proven }) {
		return keys
	}
	return slices.DeleteFunc(keys, func(k *key) bool { return !k.proven && k.inFlight.Load() > 0 })
}

// leave ends a call of the key.
func (k *key) leave() {
	if k != nil {
		k.inFlight.Add(-1)
	}
}

// learn reads what an answer tells of the key's limits.
func (r *keyring) learn(k *key, h http.Header, now time.Time) {
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
// those of one model. What calls that were under way together find is one refusal.
func (r *keyring) refuse(k *key, status int, model string, all bool, now time.Time) {
	r.mu.Lock()
	again := k.bar.covers(model)
	if again && !k.bar.probing && now.Before(k.bar.until) && k.bar.all == all {
		r.mu.Unlock()
		return
	}
	probes := 0
	if again {
		probes = k.bar.probes + 1
	}
	out := outTime(probes)
	k.bar = bar{until: now.Add(out), model: model, all: all, probes: probes}
	k.troubled.Store(true)
	r.mu.Unlock()
	if !again {
		r.log.Warn("upstream refuses a key", "upstream", r.upstream, "key", k.label, "status", status,
			"model", oneLine(model), "every_model", all, "probe_after", out)
	}
}

// good clears what an answer disproved.
func (r *keyring) good(k *key, model string) {
	if !k.troubled.Load() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	k.limits, k.proven = 0, true
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

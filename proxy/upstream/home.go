package upstream

import (
	"maps"
	"math"
)

const maxHomes = 8192 // sessions of an upstream that are surely remembered; as many more may be

// Private

// homes remembers which key a session lives at, so that the provider finds its
// prompts in the cache. A new session settles by rendezvous hashing (Thaler and
// Ravishankar, 1998), which every replica and every start answers alike, with
// bounded loads (Mirrokni, Thorup and Zadimoghaddam, 2016): a key that has more
// sessions than its weight allows passes the next on. Whoever was not seen for
// the longest is forgotten.
type homes struct {
	recent, older map[uint64]*key
}

// of returns the session's key if it is usable, else the one that it spills to.
// There is at least one.
func (h *homes) of(session string, usable []*key) *key {
	id := hash(session)
	if home := h.find(id); home != nil && home.weight > 0 {
		for _, k := range usable {
			if k == home {
				return k
			}
		}
		return favourite(id, usable, math.Inf(1))
	}
	sessions := 1
	for _, k := range usable {
		sessions += k.settled
	}
	k := favourite(id, usable, float64(sessions))
	h.settle(id, k)
	return k
}

func (h *homes) find(id uint64) *key {
	if k := h.recent[id]; k != nil {
		return k
	}
	k := h.older[id]
	if k != nil {
		delete(h.older, id)
		k.settled--
		h.settle(id, k)
	}
	return k
}

func (h *homes) settle(id uint64, k *key) {
	if len(h.recent) >= maxHomes {
		for _, gone := range h.older {
			gone.settled--
		}
		h.older, h.recent = h.recent, nil
	}
	if h.recent == nil {
		h.recent = map[uint64]*key{}
	}
	if before := h.recent[id]; before != nil {
		before.settled--
	}
	h.recent[id] = k
	k.settled++
}

// leave forgets the sessions of a key that is gone.
func (h *homes) leave(gone *key) {
	for _, known := range []map[uint64]*key{h.recent, h.older} {
		maps.DeleteFunc(known, func(_ uint64, k *key) bool { return k == gone })
	}
}

// favourite is the key that ranks highest for a session among those that may
// have one more of so many sessions. All keys together may exceed their shares
// by a tenth of the smallest.
func favourite(id uint64, keys []*key, sessions float64) *key {
	total, smallest := 0, math.MaxInt
	for _, k := range keys {
		total += k.weight
		smallest = min(smallest, k.weight)
	}
	slack := float64(smallest) / float64(10*len(keys))
	var best *key
	highest := 0.0
	for _, k := range keys {
		if float64(k.settled) >= (float64(k.weight)+slack)/float64(total)*sessions {
			continue
		}
		if r := rank(id, k); best == nil || r > highest {
			best, highest = k, r
		}
	}
	return best
}

// rank gives each key a part of the sessions that is as large as its weight.
func rank(id uint64, k *key) float64 {
	unit := (float64(mix(id^k.seed)>>11) + 0.5) / (1 << 53)
	return -float64(k.weight) / math.Log(unit)
}

// hash is FNV-1a: it is the same in every process.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h)
}

// mix is the finalizer of SplitMix64.
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

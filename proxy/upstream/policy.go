package upstream

import "time"

// A KeyPolicy says which of an upstream's usable keys serves a call that no
// session binds to one. Equals share by weight.
type KeyPolicy string

// The key policies.
const (
	Weighted      KeyPolicy = "weighted"        // in turn, by weight; also if the policy is ""
	LeastInFlight KeyPolicy = "least_in_flight" // with the fewest calls under way for its weight
	Headroom      KeyPolicy = "headroom"        // whose limits leave most, as its answers' headers tell
)

// Private

func (p KeyPolicy) known() bool {
	return p == "" || p == Weighted || p == LeastInFlight || p == Headroom
}

// pick chooses among keys, of which there is at least one. It reorders them.
func (p KeyPolicy) pick(keys []*key, now time.Time) *key {
	switch p {
	case LeastInFlight:
		keys = lowest(keys, func(k *key) float64 { return float64(k.inFlight.Load()) / float64(k.weight) })
	case Headroom:
		keys = lowest(keys, func(k *key) float64 { return -k.room.left(float64(k.inFlight.Load()), now) })
	}
	return inTurn(keys)
}

// inTurn is nginx's smooth weighted round robin.
func inTurn(keys []*key) *key {
	total := 0
	var picked *key
	for _, k := range keys {
		total += k.weight
		k.credit += k.weight
		if picked == nil || k.credit > picked.credit {
			picked = k
		}
	}
	picked.credit -= total
	return picked
}

// lowest returns the keys of the lowest load.
func lowest(keys []*key, load func(*key) float64) []*key {
	n, least := 0, 0.0
	for _, k := range keys {
		switch l := load(k); {
		case n == 0 || l < least:
			n, least = 0, l
		case l > least:
			continue
		}
		keys[n] = k
		n++
	}
	return keys[:n]
}

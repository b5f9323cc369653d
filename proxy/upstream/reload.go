package upstream

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"time"
)

// Reload returns a pool with other options, to be called in place of this one
// from now on; or every mistake in them, and then nothing has changed. Log, Now
// and Board stay what they are.
//
// An upstream with the name and the settings of one of this pool is the same one:
// its connections, breakers, latencies and calls, those that wait included, go
// on, and its keys are replaced as SetKeys does it. An upstream that had keys and
// has none now, or the other way round, begins anew, so that no call that is
// under way goes up with another kind of credential than it began with. So does
// one with any other setting, of its own or of the options for breakers and for
// the ratio of retries; but a key that stays, with label and value, rests as long
// as it was told to.
//
// This pool ends the calls that are under way, however long they last. Idle
// connections of the upstreams that it has alone are closed. It need not be
// closed. Reload and SetKeys must not be called at the same time.
func (p *Pool) Reload(o Options) (*Pool, error) {
	next, err := assemble(&o, p.lasting, p.upstreams)
	if err != nil {
		return nil, err
	}
	for i, u := range next.upstreams {
		if err := u.succeed(p.upstreams, o.Upstreams[i].Keys); err != nil {
			return nil, err
		}
	}
	next.listen()
	p.deafen()
	for _, u := range p.upstreams {
		if !slices.Contains(next.upstreams, u) {
			u.retire()
		}
	}
	return next, nil
}

// Private

// settings are all that an upstream is made of, but for its keys.
type settings struct {
	Upstream // without keys
	breaker  Breaker
	openMax  time.Duration
	ratio    float64
	address  *address // in place of a Proxy, which cannot be compared
	mistake  error    // in place of the address
}

func (o *Options) settings(i int) settings {
	s := settings{
		Upstream: o.Upstreams[i],
		breaker:  o.Breaker.withDefaults(),
		openMax:  orDefault(o.OpenMax, DefaultOpenMax),
		ratio:    o.Retry.withDefaults().Ratio,
	}
	s.Keys, s.Headers = nil, maps.Clone(s.Headers) // the caller may change its own
	if s.Breaker != nil {
		s.Breaker, s.breaker = clone(s.Breaker), s.Breaker.withDefaults()
	}
	if s.Retry != nil {
		s.Retry, s.ratio = clone(s.Retry), s.Retry.withDefaults().Ratio
	}
	s.openMax = orDefault(s.OpenMax, s.openMax)
	proxy := s.Proxy
	if proxy == nil {
		proxy = http.ProxyFromEnvironment
	}
	s.address, s.mistake = newAddress(s.URL, proxy)
	s.Proxy = nil
	return s
}

// among returns the upstream with these settings, and with keys or without; nil
// if there is none.
func (s settings) among(upstreams []*upstream, pooled bool) *upstream {
	i := slices.IndexFunc(upstreams, func(u *upstream) bool {
		return u.pooled() == pooled && u.settings.equal(s)
	})
	if i < 0 {
		return nil
	}
	return upstreams[i]
}

func (s settings) equal(other settings) bool {
	if !s.RootCAs.Equal(other.RootCAs) {
		return false
	}
	s.RootCAs, other.RootCAs = nil, nil // a pool holds functions, which are never equal
	return reflect.DeepEqual(s, other)
}

func clone[T any](p *T) *T {
	v := *p
	return &v
}

// succeed makes an upstream, which may be one of the predecessors itself, go on
// where that of its name was.
func (u *upstream) succeed(predecessors []*upstream, keys []Key) error {
	for _, old := range predecessors {
		switch {
		case old == u:
			return u.setKeys(keys)
		case old.name == u.name:
			u.keys.adopt(old.keys)
		}
	}
	return nil
}

func (u *upstream) setKeys(keys []Key) error {
	err := u.keys.set(keys)
	u.gate.changed()
	return err
}

// retire has connections closed as soon as they are idle: now, and whenever a
// call leaves.
func (u *upstream) retire() {
	u.retired.Store(true)
	u.closeIdle()
}

// adopt takes over how long the keys that are in both rings must rest. What one
// was refused for may have been one of the settings that changed.
func (r *keyring) adopt(from *keyring) {
	from.mu.Lock()
	defer from.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.keys {
		i := slices.IndexFunc(from.keys, func(old *key) bool { return old.label == k.label && old.header[0] == k.header[0] })
		if i < 0 {
			continue
		}
		old := from.keys[i]
		k.cooling, k.limits = old.cooling, old.limits
		k.warned = old.warned && old.due.Equal(k.due)
	}
}

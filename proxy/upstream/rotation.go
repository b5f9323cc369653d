package upstream

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/net/http/httpguts"
)

// SetKeys replaces the keys of an upstream. Calls under way go on with theirs. A
// key that stays, with label and value, keeps its state; one with a new value
// starts afresh. An upstream that has keys cannot lose them all: clients'
// credentials would go up in their place.
func (p *Pool) SetKeys(name string, keys []Key) error {
	for _, u := range p.upstreams {
		if u.name == name {
			return u.setKeys(keys)
		}
	}
	return fmt.Errorf("set keys: there is no upstream %q", name)
}

// Private

func checkKeys(name string, keys []Key) error {
	var errs []error
	labels := map[string]bool{}
	for i, k := range keys {
		if k.Label == "" || labels[k.Label] {
			errs = append(errs, fmt.Errorf("upstream %q: key %d: label %q is empty or used twice", name, i, k.Label))
		}
		labels[k.Label] = true
		if k.Value == "" || !httpguts.ValidHeaderFieldValue(k.Value) {
			errs = append(errs, fmt.Errorf("upstream %q: key %q: the value is empty or cannot stand in a header", name, k.Label))
		}
		if k.Weight < 0 {
			errs = append(errs, fmt.Errorf("upstream %q: key %q: weight %d is negative", name, k.Label, k.Weight))
		}
	}
	return errors.Join(errs...)
}

func (r *keyring) set(keys []Key) error {
	if err := checkKeys(r.upstream, keys); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(keys) == 0 && len(r.keys) > 0 {
		return fmt.Errorf("upstream %q: at least one key is needed", r.upstream)
	}
	weighted := false
	known := make(map[string]*key, len(r.keys))
	for _, k := range keys {
		weighted = weighted || k.Weight > 0
	}
	for _, k := range r.keys {
		known[k.header[0]+" "+k.label] = k
	}
	r.keys = make([]*key, len(keys))
	for i, k := range keys {
		header := []string{"Bearer " + k.Value}
		kept := known[header[0]+" "+k.Label]
		if kept == nil {
			kept = &key{label: k.Label, header: header, seed: hash(k.Label)}
			kept.troubled.Store(true)
		}
		delete(known, header[0]+" "+k.Label)
		if kept.weight = k.Weight; !weighted {
			kept.weight = 1
		}
		kept.setAge(k)
		r.keys[i] = kept
	}
	for _, gone := range known {
		r.homes.leave(gone)
	}
	r.pooled.Store(len(keys) > 0)
	return nil
}

func (k *key) setAge(of Key) {
	due := time.Time{}
	if of.RotateAfter > 0 && !of.Since.IsZero() {
		due = of.Since.Add(of.RotateAfter)
	}
	if !due.Equal(k.due) {
		k.due, k.warned = due, false
	}
}

// ageing reports, once, that a key is due.
func (k *key) ageing(now time.Time) bool {
	if k.warned || !k.overdue(now) {
		return false
	}
	k.warned = true
	return true
}

func (k *key) overdue(now time.Time) bool { return !k.due.IsZero() && !now.Before(k.due) }

package config

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Private

// ownHeaders belong to the transport.
var ownHeaders = []string{"content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "keep-alive"}

// completeUpstream fills in what follows from other settings and files.
func (l *loader) completeUpstream(key string, u *Upstream) {
	l.inherit(key+".retry", "retry", &u.Retry, &l.Retry)
	l.inherit(key+".breaker", "breaker", &u.Breaker, &l.Breaker.Breaker)
	for n := range u.Keys {
		l.readKey(fmt.Sprintf("%s.keys[%d]", key, n), &u.Keys[n])
	}
	l.readCertificates(key+".ca", &u.CA)
	for model, p := range u.Prices {
		at := join(key+".prices", model)
		if _, said := l.origins[at+".cached_input"]; !said {
			p.CachedInput = p.Input
		}
		if _, said := l.origins[at+".cache_write"]; !said {
			p.CacheWrite = p.Input
		}
		u.Prices[model] = p
	}
}

// inherit takes from a global group of settings what an upstream's own leaves out.
// Both are pointers to structs of one type.
func (l *loader) inherit(key, from string, own, global any) {
	into, of := reflect.ValueOf(own).Elem(), reflect.ValueOf(global).Elem()
	for _, s := range settingsOf(into.Type()) {
		name := s.Tag.Get("yaml")
		if _, said := l.origins[join(key, name)]; said {
			continue
		}
		into.FieldByIndex(s.Index).Set(of.FieldByIndex(s.Index))
		if at, said := l.origins[join(from, name)]; said {
			l.origins[join(key, name)] = at
		}
	}
}

func (l *loader) validateUpstream(key string, u *Upstream) {
	l.require(key+".name", u.Name, label, labelRule)
	// The messages do not quote the URL: it may hold a password.
	parsed, err := url.Parse(u.URL)
	switch {
	case err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Hostname() == "":
		l.wrong(key+".url", "must be an absolute http or https URL, such as https://api.openai.com/v1")
	case parsed.User != nil:
		l.wrong(key+".url", "must hold no credentials: they belong in keys or headers")
	case parsed.RawQuery != "" || parsed.ForceQuery || strings.Contains(u.URL, "#"):
		l.wrong(key+".url", "must end with its path: no query, no fragment")
	}
	l.validateKeys(key+".keys", u.Keys)
	l.validateHeaders(key, u)
	if u.Retry != l.Retry {
		l.validateRetry(key+".retry", &u.Retry)
	}
	if u.Breaker != l.Breaker.Breaker {
		l.validateBreaker(key+".breaker", &u.Breaker)
	}
	for model := range u.Prices {
		at := join(key+".prices", model)
		l.require(at, model, visible, modelRule)
		_, input := l.origins[at+".input"]
		_, output := l.origins[at+".output"]
		if !input || !output {
			l.wrong(at, "needs input and output, in dollars for a million tokens")
		}
	}
}

func (l *loader) validateKeys(key string, keys []UpstreamKey) {
	usable := len(keys) == 0
	for i, k := range keys {
		at := fmt.Sprintf("%s[%d]", key, i)
		l.require(at+".label", k.Label, label, labelRule)
		if k.File == "" {
			l.require(at+".value", k.Value.Reveal(), keyText, "must be a key: visible ASCII characters, not empty")
		}
		usable = usable || k.Weight > 0
	}
	if !usable {
		l.wrong(key, "must hold at least one key with a weight above 0")
	}
	unique(l, key, "label", keys, func(k UpstreamKey) string { return k.Label })
	unique(l, key, "value", keys, func(k UpstreamKey) Secret { return k.Value })
}

func (l *loader) validateHeaders(key string, u *Upstream) {
	for name, value := range u.Headers {
		if !httpguts.ValidHeaderFieldName(name) || slices.Contains(ownHeaders, strings.ToLower(name)) {
			l.wrong(join(key+".headers", name), "is no header that can be set")
		} else if !httpguts.ValidHeaderFieldValue(value.Reveal()) {
			l.wrong(join(key+".headers", name), "must hold no control characters")
		}
	}
	for setting, own := range map[string]struct{ header, value string }{
		"organization": {"OpenAI-Organization", u.Organization},
		"project":      {"OpenAI-Project", u.Project},
	} {
		if own.value == "" {
			continue
		}
		l.require(join(key, setting), own.value, visible, "must be 1 to 256 visible ASCII characters")
		for name := range u.Headers {
			if strings.EqualFold(name, own.header) {
				l.wrong(join(key, setting), "and headers.%s exclude each other", name)
			}
		}
	}
}

func (l *loader) validateRetry(key string, r *Retry) {
	if r.Max < r.Base {
		l.wrong(key+".base", "must be at most %s.max, %s", key, short(r.Max))
	}
}

func (l *loader) validateBreaker(key string, b *Breaker) {
	if b.OpenMax < b.Open {
		l.wrong(key+".open", "must be at most %s.open_max, %s", key, short(b.OpenMax))
	}
}

func (l *loader) validateRoutes() {
	known := make([]string, len(l.Upstreams))
	for i, u := range l.Upstreams {
		known[i] = u.Name
	}
	for i, r := range l.Routes {
		key := fmt.Sprintf("routes[%d]", i)
		l.require(key+".model", r.Model, visible, modelRule)
		if len(r.To) == 0 {
			l.wrong(key+".to", "must list at least one upstream")
		}
		l.validateTargets(key+".to", r.To, known)
		l.validateTargets(key+".degrade", r.Degrade, known)
	}
	unique(l, "routes", "model", l.Routes, func(r Route) string { return r.Model })
}

func (l *loader) validateTargets(key string, targets []Target, known []string) {
	for i, to := range targets {
		at := fmt.Sprintf("%s[%d]", key, i)
		if !slices.Contains(known, to.Upstream) {
			l.wrong(at+".upstream", "no upstream has the name %q%s", to.Upstream, suggest(to.Upstream, known))
		}
		if to.Model != "" {
			l.require(at+".model", to.Model, visible, modelRule)
		}
	}
}

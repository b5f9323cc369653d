package config

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Loopback reports whether only this machine can reach the address that mnemo
// listens on.
func (c *Config) Loopback() bool {
	host, _, _ := net.SplitHostPort(c.Listen)
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// Private

// open reports whether others than this machine can call, and nobody said who may.
func (c *Config) open() bool {
	_, decided := c.origins["auth.mode"]
	return !decided && len(c.Auth.Keys) == 0 && !c.Loopback()
}

// complete fills in what follows from other settings.
func (l *loader) complete() {
	pooled := false
	for i := range l.Upstreams {
		u := &l.Upstreams[i]
		u.URL = strings.TrimRight(u.URL, "/")
		pooled = pooled || len(u.Keys) > 0
		for n := range u.Keys {
			if u.Keys[n].Label == "" {
				u.Keys[n].Label = fmt.Sprintf("key-%d", n+1)
			}
		}
		l.completeUpstream(fmt.Sprintf("upstreams[%d]", i), u)
	}
	for i := range l.Budgets {
		if b := &l.Budgets[i]; b.Scope == ScopeGlobal && b.Match == "*" {
			b.Match = ""
		}
	}
	for i := range l.Auth.Keys {
		if k := &l.Auth.Keys[i]; k.Tenant == "" {
			k.Tenant = k.Name
		}
	}
	switch {
	case l.Auth.Mode != "":
	case len(l.Auth.Keys) > 0:
		l.Auth.Mode = AuthKeys
	case pooled:
		l.Auth.Mode = AuthNone
	default:
		l.Auth.Mode = AuthPassthrough
	}
}

// validate checks what a setting's tag cannot say.
func (l *loader) validate() {
	l.validateListen()
	l.validateAuth()
	for i := range l.Upstreams {
		l.validateUpstream(fmt.Sprintf("upstreams[%d]", i), &l.Upstreams[i])
	}
	unique(l, "upstreams", "name", l.Upstreams, func(u Upstream) string { return u.Name })
	l.validateRoutes()
	if m := &l.Memory; m.Strategy == StrategyWindow && m.Window == 0 {
		l.report(l.origin("memory.strategy"), "memory.window", "must be at least 1 with strategy window: the number of groups to send")
	}
	if !httpguts.ValidHeaderFieldName(l.Memory.SessionHeader) {
		l.wrong("memory.session_header", "must be the name of a header")
	}
	l.validatePersonas()
	l.validateRetry("retry", &l.Retry)
	l.validateBreaker("breaker", &l.Breaker.Breaker)
	l.validateBudgets()
	if len(l.Telemetry.Redact) > maxPatterns {
		l.wrong("telemetry.redact", "must list at most %d expressions", maxPatterns)
	}
	for i, p := range l.Telemetry.Redact {
		if p.Regexp == nil {
			l.wrong(fmt.Sprintf("telemetry.redact[%d]", i), "must be a regular expression")
		}
	}
}

func (l *loader) validateListen() {
	switch {
	case l.TLS.Cert != "" && l.TLS.Key == "":
		l.wrong("tls.cert", "needs tls.key beside it")
	case l.TLS.Key != "" && l.TLS.Cert == "":
		l.wrong("tls.key", "needs tls.cert beside it")
	}
	_, port, err := net.SplitHostPort(l.Listen)
	if _, wrong := strconv.ParseUint(port, 10, 16); err != nil || wrong != nil {
		l.wrong("listen", "must be host:port, such as 127.0.0.1:8080 or :8080")
		return
	}
	if l.open() {
		l.wrong("listen", "%s can be reached from other machines and nothing says who may call: set auth.mode (MNEMO_AUTH, --auth) to %s, or listen on 127.0.0.1",
			l.Listen, "keys, passthrough or, for anybody, none")
	}
}

func (l *loader) validateAuth() {
	a := &l.Auth
	switch {
	case a.Mode == AuthKeys && len(a.Keys) == 0:
		l.wrong("auth.mode", "keys needs client keys, which the file lists under auth.keys")
	case a.Mode != AuthKeys && len(a.Keys) > 0:
		l.wrong("auth.keys", "are of no use with auth.mode %s: remove them, or set auth.mode to keys", a.Mode)
	}
	if a.Mode == AuthPassthrough {
		for i := range l.Upstreams {
			if len(l.Upstreams[i].Keys) > 0 {
				l.wrong(fmt.Sprintf("upstreams[%d].keys", i),
					"are of no use with auth.mode passthrough, which sends the client's own key: remove them, or set auth.mode to keys or none")
			}
		}
	}
	for i, k := range a.Keys {
		key := fmt.Sprintf("auth.keys[%d]", i)
		l.require(key+".name", k.Name, label, labelRule)
		if k.Tenant != k.Name {
			l.require(key+".tenant", k.Tenant, visible, "must be 1 to 256 visible ASCII characters")
		}
		if k.Hash == (Hash{}) {
			l.wrong(key+".hash", "is missing: sha256: and the 64 hex digits that printf %%s KEY | sha256sum prints")
		}
		for n, pattern := range k.Models {
			l.require(fmt.Sprintf("%s.models[%d]", key, n), pattern, visible, modelRule)
		}
	}
	unique(l, "auth.keys", "name", a.Keys, func(k ClientKey) string { return k.Name })
	unique(l, "auth.keys", "hash", a.Keys, func(k ClientKey) Hash { return k.Hash })
}

func (l *loader) validatePersonas() {
	for name, p := range l.Personas {
		key := join("personas", name)
		l.require(key, name, label, labelRule)
		switch {
		case name == "none":
			l.wrong(key, "cannot be the name of a persona: it stands for no persona")
		case strings.TrimSpace(p.Prompt) == "":
			l.wrong(key+".prompt", "is missing: the text of the system message")
		case len(p.Prompt) > maxPrompt:
			l.wrong(key+".prompt", "must be at most %v", Size(maxPrompt))
		}
		for variable := range p.Vars {
			l.require(join(key+".vars", variable), variable, variableForm, "must be the name of a variable: letters, digits and _, not beginning with a digit")
		}
	}
}

func (l *loader) validateBudgets() {
	if len(l.Budgets) > maxBudgets {
		l.wrong("budgets", "must list at most %d", maxBudgets)
		return
	}
	for i, b := range l.Budgets {
		key := fmt.Sprintf("budgets[%d]", i)
		l.require(key+".name", b.Name, label, labelRule)
		switch {
		case b.Scope != ScopeGlobal:
			l.require(key+".match", b.Match, visible, patternRule)
		case b.Match != "":
			l.wrong(key+".match", "has no meaning with scope global; tenant says whose calls count")
		}
		l.require(key+".tenant", b.Tenant, visible, patternRule)
		if b.Limit == (Amount{}) {
			l.wrong(key+".limit", `is missing: an amount such as "5 USD" or "100000 tokens"`)
		}
	}
	unique(l, "budgets", "name", l.Budgets, func(b Budget) string { return b.Name })
}

func (l *loader) require(key, text string, form *regexp.Regexp, rule string) {
	if !form.MatchString(text) {
		l.wrong(key, "%s", rule)
	}
}

// unique reports the entries of a list whose setting repeats an earlier one's.
func unique[T any, V comparable](l *loader, list, setting string, entries []T, value func(T) V) {
	var none V
	first := map[V]int{}
	for i, entry := range entries {
		v := value(entry)
		if n, repeated := first[v]; repeated && v != none {
			l.wrong(fmt.Sprintf("%s[%d].%s", list, i, setting), "is the same as that of %s[%d]", list, n)
			continue
		}
		first[v] = i
	}
}

const (
	labelRule   = "must be 1 to 64 letters, digits or any of . _ -"
	patternRule = "must be a pattern: 1 to 256 visible ASCII characters, of which * stands for anything"
	modelRule   = "must be the name of a model: visible ASCII characters, not empty"
)

// maxPrompt bounds a persona's prompt, in bytes.
const maxPrompt = 64 << 10

var (
	variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	label        = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	visible      = regexp.MustCompile(`^[!-~]{1,256}$`)
	keyText      = regexp.MustCompile(`^[!-~]+$`)
)

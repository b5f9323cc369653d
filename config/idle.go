package config

import (
	"fmt"
	"slices"
)

// Private

// warnOfIdle tells of settings that somebody made and that have no effect.
func (l *loader) warnOfIdle() {
	further := func(r Route) bool { return len(r.To) > 1 }
	degrades := func(r Route) bool { return len(r.Degrade) > 0 }
	caches := func(r Route) bool { return r.Cache.TTL > 0 }

	_, hedged := l.origins["hedge_after"]
	l.idle("hedge_after", hedged && l.HedgeAfter > 0 && !slices.ContainsFunc(l.Routes, further), "no route has a second upstream")
	l.idle("answer_cache.url", l.AnswerCache.URL.Reveal() != "" && !slices.ContainsFunc(l.Routes, caches), "no route has a cache.ttl")
	l.idle("alerts.secret", l.Alerts.Secret.Reveal() != "" && l.Alerts.URL.Reveal() == "", "alerts.url is not set")
	l.idle("telemetry.redact", len(l.Telemetry.Redact) > 0 && !l.Telemetry.Content, "telemetry.content is false")
	for i, b := range l.Budgets {
		l.idle(fmt.Sprintf("budgets[%d].action", i), b.Action == ActionDegrade && !slices.ContainsFunc(l.Routes, degrades), "no route has a degrade list")
	}
	for i, r := range l.Routes {
		l.idle(fmt.Sprintf("routes[%d].cache.stale_if_error", i), r.Cache.StaleIfError > 0 && r.Cache.TTL == 0, "cache.ttl is 0s")
	}
	for i := range l.Upstreams {
		l.warnOfIdleUpstream(fmt.Sprintf("upstreams[%d]", i), &l.Upstreams[i])
	}
}

func (l *loader) warnOfIdleUpstream(key string, u *Upstream) {
	followed := slices.ContainsFunc(l.Routes, func(r Route) bool {
		at := slices.IndexFunc(r.To, func(t Target) bool { return t.Upstream == u.Name })
		return at >= 0 && at < len(r.To)-1
	})
	l.idle(key+".timeouts.first_token", u.Timeouts.FirstToken > 0 && !followed, "no route names an upstream after it")
	l.idle(key+".capabilities.prefill", u.Capabilities.Prefill && l.OnStreamBreak != OnStreamBreakResume, "on_stream_break is "+l.OnStreamBreak)
	l.idle(key+".rotate_after", u.RotateAfter > 0 && !slices.ContainsFunc(u.Keys, func(k UpstreamKey) bool { return !k.Since.IsZero() }), "no key says since when it is in use")
}

func (l *loader) idle(key string, is bool, why string) {
	if is {
		l.Warnings = append(l.Warnings, fmt.Sprintf("%s has no effect: %s", key, why))
	}
}

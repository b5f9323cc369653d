package upstream

import "slices"

// StreamOptions reports whether every upstream that may get a call for the model
// takes stream_options.include_usage.
func (p *Pool) StreamOptions(model string) bool {
	return p.every(model, func(u *upstream) bool { return !u.noStreamOptions })
}

// ReplayReasoning reports whether every upstream that may get a call for the model
// takes the reasoning of earlier turns in their messages.
func (p *Pool) ReplayReasoning(model string) bool {
	return p.every(model, func(u *upstream) bool { return u.replayReasoning })
}

// Private

// every asks of all that may get a call for the model, the cheaper ones included.
func (p *Pool) every(model string, has func(*upstream) bool) bool {
	lacks := func(c candidate) bool { return !has(c.upstream) }
	r := p.router.rule(model)
	return !slices.ContainsFunc(r.candidates, lacks) && !slices.ContainsFunc(r.degrade, lacks)
}

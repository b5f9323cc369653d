package upstream

import "slices"

// StreamOptions reports whether every upstream that may get a call for the model
// takes stream_options.include_usage.
func (p *Pool) StreamOptions(model string) bool {
	return !slices.ContainsFunc(p.router.candidates(model), func(c candidate) bool { return c.upstream.noStreamOptions })
}

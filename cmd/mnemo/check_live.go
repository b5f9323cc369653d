package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"mnemo/config"
)

// A liveReport is how the upstreams of a configuration answered.
type liveReport struct {
	Upstreams []liveUpstream `json:"upstreams"`
}

// A liveUpstream is how one of them did.
type liveUpstream struct {
	Name     string    `json:"name"`
	Usable   bool      `json:"usable"` // calls have a chance with at least one key
	Keys     []liveKey `json:"keys"`   // one without a label, if the upstream has no keys of its own
	Unlisted []string  `json:"unlisted_models"`
}

// Private

// callsAtOnce bounds the calls under way.
const callsAtOnce = 8

// callUpstreams makes a call for each key of each upstream.
func callUpstreams(ctx context.Context, c *config.Config) *liveReport {
	report := &liveReport{Upstreams: make([]liveUpstream, len(c.Upstreams))}
	places := make(chan struct{}, callsAtOnce)
	var calls sync.WaitGroup
	for i := range c.Upstreams {
		u := &c.Upstreams[i]
		keys := u.Keys
		if len(keys) == 0 {
			keys = []config.UpstreamKey{{Weight: 1}}
		}
		found := &report.Upstreams[i]
		found.Name, found.Keys = u.Name, make([]liveKey, len(keys))
		for n := range keys {
			places <- struct{}{}
			calls.Go(func() {
				defer func() { <-places }()
				found.Keys[n] = callUpstream(ctx, u, &keys[n], len(u.Keys) == 0 && c.Auth.Mode != config.AuthKeys)
			})
		}
	}
	calls.Wait()
	for i := range report.Upstreams {
		report.Upstreams[i].conclude(c, &c.Upstreams[i])
	}
	return report
}

// conclude says what the answers mean together.
func (l *liveUpstream) conclude(c *config.Config, u *config.Upstream) {
	var listed []string
	told := false
	for n, k := range l.Keys {
		l.Usable = l.Usable || k.usable() && (len(u.Keys) == 0 || u.Keys[n].Weight > 0)
		told = told || k.Models != nil
		listed = append(listed, k.models...)
	}
	l.Unlisted = []string{}
	if !told {
		return
	}
	for _, model := range modelsOf(c, u.Name) {
		if !slices.ContainsFunc(listed, wildcard(model).MatchString) {
			l.Unlisted = append(l.Unlisted, model)
		}
	}
}

// modelsOf lists the models that routes send to an upstream, as it calls them.
func modelsOf(c *config.Config, upstream string) (models []string) {
	for _, r := range c.Routes {
		for _, to := range slices.Concat(r.To, r.Degrade) {
			model := to.Model
			if model == "" {
				model = r.Model
			}
			if to.Upstream == upstream && !slices.Contains(models, model) {
				models = append(models, model)
			}
		}
	}
	return models
}

// wildcard matches what a route's pattern matches.
func wildcard(pattern string) *regexp.Regexp {
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$")
}

// failure is the upstreams of which no key can be used; nil if there is none.
func (r *liveReport) failure() error {
	var failures []error
	for _, u := range r.Upstreams {
		if !u.Usable {
			failures = append(failures, fmt.Errorf("upstream %s cannot be used", u.Name))
		}
	}
	return errors.Join(failures...)
}

func (r *liveReport) write(w io.Writer) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "UPSTREAM\tKEY\tRESULT\tLATENCY\tMODELS")
	var unlisted strings.Builder
	for _, u := range r.Upstreams {
		for _, k := range u.Keys {
			label, models := k.Label, "-"
			if label == "" {
				label = "-"
			}
			if k.Models != nil {
				models = fmt.Sprint(*k.Models)
			}
			fmt.Fprintf(out, "%s\t%s\t%s\t%.0f ms\t%s\n", u.Name, label, k, k.Latency, models)
		}
		for _, model := range u.Unlisted {
			fmt.Fprintf(&unlisted, "\nUpstream %s does not list %s, which a route sends there.", u.Name, model)
		}
	}
	if unlisted.Len() > 0 {
		fmt.Fprintln(out, unlisted.String())
	}
	return out.Flush()
}

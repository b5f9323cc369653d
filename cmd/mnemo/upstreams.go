package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"mnemo/proxy/manage"
)

// upstreamsCmd shows how the upstreams of a running server are.
type upstreamsCmd struct {
	apiFlags
	JSON bool `help:"Print JSON, for programs."`
}

// Run prints a table.
func (c *upstreamsCmd) Run(ctx context.Context, p *process) error {
	api, err := c.client(p)
	if err != nil {
		return err
	}
	defer api.close()
	var list manage.UpstreamList
	if _, err := api.json(ctx, apiCall{method: http.MethodGet, of: "/upstreams"}, &list); err != nil {
		return fmt.Errorf("show upstreams: %w", err)
	}
	if c.JSON {
		return printJSON(p.stdout, list)
	}
	return writeUpstreams(p.stdout, list.Upstreams)
}

// Private

// writeUpstreams writes a line for each model of each upstream, and then one for
// each key.
func writeUpstreams(w io.Writer, list []manage.Upstream) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "UPSTREAM\tMODEL\tBREAKER\tCALLS\tERRORS\tFIRST BYTE p50 / p95\tIN FLIGHT\tQUEUED")
	for _, u := range list {
		whole := fmt.Sprintf("%.0f ms / %.0f ms\t%d\t%d", u.P50, u.P95, u.InFlight, u.Queued)
		if len(u.Breakers) == 0 {
			fmt.Fprintf(out, "%s\t-\tclosed\t0\t-\t%s\n", printable(u.Name), whole)
		}
		for _, b := range u.Breakers {
			state := b.State
			if b.OpenFor > 0 {
				state += " for " + left(b.OpenFor)
			}
			model := printable(b.Model)
			if model == "" {
				model = "-"
			}
			fmt.Fprintf(out, "%s\t%s\t%s\t%d\t%.0f %%\t%s\n", printable(u.Name), model, state, b.Calls, 100*b.ErrorRate, whole)
		}
	}
	var keys strings.Builder
	for _, u := range list {
		for _, k := range u.Keys {
			state := k.State
			if k.UnusedFor > 0 {
				state += " for " + left(k.UnusedFor)
			}
			if k.Overdue {
				state += ", to be replaced"
			}
			fmt.Fprintf(&keys, "%s\t%s\t%s\t%d\n", printable(u.Name), printable(k.Label), state, k.InFlight)
		}
	}
	if keys.Len() > 0 {
		fmt.Fprintf(out, "\nUPSTREAM\tKEY\tSTATE\tIN FLIGHT\n%s", keys.String())
	}
	return out.Flush()
}

// left is a number of seconds as people write it.
func left(seconds float64) string {
	return (time.Duration(seconds) * time.Second).String()
}

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"mnemo/proxy/manage"
)

// callsCmd sees single calls.
type callsCmd struct {
	Show callsShowCmd `cmd:"" help:"Show what became of a call: attempts, time, memory, usage and cost."`
}

// callsShowCmd shows the calls with one id.
type callsShowCmd struct {
	apiFlags
	ID   string `arg:"" help:"The X-Request-ID of the call's answer."`
	All  bool   `help:"Calls of all tenants; for admin keys." aliases:"all-tenants"`
	JSON bool   `help:"Print JSON, for programs."`
}

// Run prints each call, the newest first.
func (c *callsShowCmd) Run(ctx context.Context, p *process) error {
	api, err := c.client(p)
	if err != nil {
		return err
	}
	defer api.close()
	query := url.Values{}
	if c.All {
		query.Set("all", "true")
	}
	var list manage.CallList
	if _, err := api.json(ctx, apiCall{method: http.MethodGet, of: "/calls", path: sessionPath(c.ID), query: query}, &list); err != nil {
		return fmt.Errorf("show call %s: %w", printable(c.ID), err)
	}
	if c.JSON {
		return printJSON(p.stdout, &list)
	}
	for i := range list.Calls {
		if i > 0 {
			fmt.Fprintln(p.stdout)
		}
		if err := writeCall(p.stdout, &list.Calls[i], time.Now()); err != nil {
			return err
		}
	}
	return nil
}

// Private

// writeCall writes facts of a call, and where its time went.
func writeCall(w io.Writer, c *manage.Call, now time.Time) error {
	t := table{head: []string{"id", printable(c.ID)}, right: []bool{false, false}}
	fact := func(name, value string) { t.rows = append(t.rows, []string{name, value}) }
	fact("when", moment(c.Time.Time, now))
	fact("who", listed("tenant "+orNone(c.Tenant), "session "+orNone(c.Session)))
	fact("model", routeOf(c))
	fact("answer", answerOf(c))
	if c.Memory.Status != "" {
		fact("memory", memoryOf(&c.Memory))
	}
	fact("tokens", tokensOf(c))
	fact("cost", costAt(&c.Money))
	if c.WholeHistory != nil {
		fact("history", historyOf(c.WholeHistory))
	}
	if err := t.write(w); err != nil {
		return err
	}
	if _, err := io.WriteString(w, "\n"); err != nil {
		return err
	}
	return waterfallOf(c).write(w)
}

// routeOf is which model was asked for, and which answered from where.
func routeOf(c *manage.Call) string {
	text := orNone(c.ModelAsked)
	if c.ModelUsed != "" && c.ModelUsed != c.ModelAsked {
		text += " → " + printable(c.ModelUsed)
	}
	if c.Upstream != "" {
		text += " at " + printable(c.Upstream)
	}
	if c.Key != "" {
		text += " with key " + printable(c.Key)
	}
	return text
}

func answerOf(c *manage.Call) string {
	return listed(
		fmt.Sprint(c.Status), printable(c.Error), when(c.Status == 499, "the client left"), when(c.Stream, "streamed"),
		when(c.Cached, "from the cache of answers"), when(c.Degraded, "degraded to a cheaper model"),
		when(c.Operation != "chat", printable(c.Operation)),
		"after "+milliseconds(&c.Latency), when(c.FirstToken != nil, "first token after "+milliseconds(c.FirstToken)))
}

func memoryOf(m *manage.CallMemory) string {
	if m.Status != "ok" {
		return printable(m.Status)
	}
	return listed(
		"ok", count(m.Turns, "stored group")+" sent", when(m.Dropped > 0, fmt.Sprintf("%d left out", m.Dropped)),
		count(m.Tokens, "token")+" added", when(m.Summary == "used", "with the summary"), when(m.Summary == "pending", "a summary is being made"))
}

func tokensOf(c *manage.Call) string {
	t := &c.Tokens
	if *t == (manage.CallTokens{}) {
		return "none"
	}
	in := listed(part(t.CachedInput, "cached"), part(t.CacheWrite, "written to the cache"), part(t.AudioInput, "audio"))
	out := listed(part(t.Reasoning, "reasoning"), part(t.AudioOutput, "audio"))
	return listed(
		fmt.Sprintf("%d in%s", t.Input, inParentheses(in)), fmt.Sprintf("%d out%s", t.Output, inParentheses(out)),
		counted(c))
}

// counted is who counted the tokens of a call.
func counted(c *manage.Call) string {
	switch {
	case c.Measured:
		return "measured"
	case slices.ContainsFunc(c.Attempts, func(a manage.CallAttempt) bool { return a.Measured }):
		return "in part estimated"
	}
	return "estimated"
}

func historyOf(h *manage.WholeHistory) string {
	if h.Input == h.UsedInput {
		return "all of it was sent"
	}
	text := fmt.Sprintf("the whole of it has %d tokens in%s", h.Input, saved(h.Input, h.UsedInput))
	if h.Used.NanoUSD == nil || h.Uncached.NanoUSD == nil || h.Cached.NanoUSD == nil {
		return text
	}
	used, plain, cached := *h.Used.NanoUSD, *h.Uncached.NanoUSD, *h.Cached.NanoUSD
	return fmt.Sprintf("%s and would cost %s%s, or %s with the provider's cache%s",
		text, costAt(&h.Uncached.Money), saved(plain, used), costAt(&h.Cached.Money), saved(cached, used))
}

// costAt is an exact cost.
func costAt(m *manage.Money) string {
	if m.USD == nil {
		return "not known"
	}
	return "$" + printable(*m.USD)
}

// listed puts commas between the parts that there are.
func listed(parts ...string) string {
	var given []string
	for _, p := range parts {
		if p != "" {
			given = append(given, p)
		}
	}
	return strings.Join(given, ", ")
}

func when(is bool, text string) string {
	if is {
		return text
	}
	return ""
}

func part(n int64, what string) string { return when(n > 0, fmt.Sprintf("%d %s", n, what)) }

func inParentheses(text string) string { return when(text != "", " ("+text+")") }

func orNone(text string) string { return cmp.Or(printable(text), "none") }

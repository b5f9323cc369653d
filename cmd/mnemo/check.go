package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"mnemo/config"
)

// checkCmd validates the configuration without starting anything.
type checkCmd struct {
	configFlags
	Live bool `help:"Make one cheap call for each key of each upstream too."`
	JSON bool `help:"With --live: print only what came of the calls, as JSON."`
}

// Run lists every setting with where it came from, then says what they mean, then
// how the upstreams are.
func (c *checkCmd) Run(ctx context.Context, p *process) error {
	if c.JSON && !c.Live {
		return errors.New("--json tells what came of the calls that --live makes")
	}
	loaded, err := c.load(p)
	if err != nil {
		return err
	}
	if c.JSON {
		report := callUpstreams(ctx, loaded)
		return errors.Join(printJSON(p.stdout, report), report.failure())
	}
	if err := listSettings(p.stdout, loaded); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(p.stdout, "\n%s\n", strings.Join(meaning(loaded), "\n")); err != nil || !c.Live {
		return err
	}
	fmt.Fprintln(p.stdout)
	report := callUpstreams(ctx, loaded)
	return errors.Join(report.write(p.stdout), report.failure())
}

// Private

func listSettings(w io.Writer, c *config.Config) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SETTING\tVALUE\tFROM")
	for _, s := range c.Settings() {
		if s.Value == "" {
			s.Value = `""`
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", s.Key, s.Value, s.Origin)
	}
	return table.Flush()
}

// meaning is the configuration in sentences.
func meaning(c *config.Config) []string {
	scheme, reach := "http", "from other machines too"
	if c.TLS.Cert != "" {
		scheme = "https"
	}
	if c.Loopback() {
		reach = "from this machine only"
	}
	lines := []string{
		fmt.Sprintf("mnemo listens on %s://%s, which can be reached %s.", scheme, c.Listen, reach),
		describeCallers(c),
		describeSessions(c),
	}
	for i := range c.Upstreams {
		lines = append(lines, describeUpstream(c, i))
	}
	return lines
}

func describeCallers(c *config.Config) string {
	switch c.Auth.Mode {
	case config.AuthKeys:
		return fmt.Sprintf("%s may call.", count(len(c.Auth.Keys), "client key"))
	case config.AuthNone:
		return "Anybody who reaches it may call, and all share one tenant."
	}
	return "Clients call with their own upstream key, which is passed on; each key has its own sessions."
}

func describeSessions(c *config.Config) string {
	life := "for ever"
	if c.Store.TTL > 0 {
		life = fmt.Sprintf("for %v after their last turn", c.Store.TTL)
	}
	prompt := fmt.Sprintf("prompts hold the newest %s", count(c.Memory.Window, "group"))
	switch {
	case c.Memory.Strategy == config.StrategyWindow:
	case c.Memory.Budget == 0:
		prompt = "prompts are trimmed to the model's window"
	default:
		prompt = fmt.Sprintf("prompts are trimmed to %s", count(c.Memory.Budget, "token"))
	}
	if c.Memory.Strategy == config.StrategySummarize {
		prompt += ", with a summary of what is left out"
	}
	return fmt.Sprintf("Sessions live in %s, %s; %s.", c.Store.URL, life, prompt)
}

func describeUpstream(c *config.Config, i int) string {
	u := &c.Upstreams[i]
	keys := "with " + count(len(u.Keys), "key")
	if len(u.Keys) == 0 {
		keys = "with the client's own key"
		if c.Auth.Mode == config.AuthKeys {
			keys = "without a key"
		}
	}
	role := ""
	if i == 0 {
		role = ", the default,"
	}
	return fmt.Sprintf("Upstream %s%s is %s, called %s.", u.Name, role, u.URL, keys)
}

// count is "1 key" or "2 keys".
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

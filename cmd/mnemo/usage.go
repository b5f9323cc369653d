package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"mnemo/ledger"
	"mnemo/proxy/manage"
)

const (
	usageSince = "7d" // unless the command says from when
	usageRows  = 200  // of a table, unless the command says how many
)

// usageCmd shows what calls used and what they cost.
type usageCmd struct {
	apiFlags
	By       string `help:"Up to three of model, session, tenant, upstream, key, operation, day and hour, with commas between." default:"model" placeholder:"WHAT"`
	Since    string `help:"Calls since then: how long ago, such as 7d or 24h, a day, or a time; default 7d." xor:"begin" placeholder:"WHEN"`
	From     string `help:"The same." xor:"begin" placeholder:"WHEN"`
	To       string `help:"Calls before then." placeholder:"WHEN"`
	Model    string `help:"Only calls of this model." placeholder:"MODEL"`
	Session  string `help:"Only calls of this session." placeholder:"ID"`
	Upstream string `help:"Only calls that this upstream answered." placeholder:"NAME"`
	All      bool   `help:"Calls of all tenants; for admin keys." aliases:"all-tenants"`
	Limit    int    `help:"At most so many rows; default 200, or 10000 with --json and --csv." placeholder:"N"`
	JSON     bool   `help:"Print JSON, for programs." xor:"format"`
	CSV      bool   `help:"Print CSV, for spreadsheets." xor:"format"`
}

// Run prints a table.
func (c *usageCmd) Run(ctx context.Context, p *process) error {
	api, err := c.client(p)
	if err != nil {
		return err
	}
	defer api.close()
	if err := c.print(ctx, p.stdout, api); err != nil {
		return fmt.Errorf("usage: %w", err)
	}
	return nil
}

// Private

func (c *usageCmd) print(ctx context.Context, w io.Writer, api *apiClient) error {
	query := c.query()
	if c.CSV {
		query.Set("format", "csv")
		answer, err := api.do(ctx, usageCall(query))
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		_, err = io.Copy(w, answer.Body)
		return err
	}
	var report manage.UsageReport
	if _, err := api.json(ctx, usageCall(query), &report); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(w, &report)
	}
	var over *trend
	if by := report.GroupBy; len(by) > 0 && len(by) < maxTrendBy && !inTime(by) && len(report.Rows) > 0 {
		var err error
		if over, err = api.trend(ctx, query, &report, time.Now()); err != nil {
			return err
		}
	}
	return writeUsage(w, &report, over)
}

func usageCall(query url.Values) apiCall {
	return apiCall{method: http.MethodGet, of: "/usage", query: query}
}

// query is what the flags ask for.
func (c *usageCmd) query() url.Values {
	query := url.Values{}
	since := c.Since
	if since == "" && c.From == "" && c.To == "" {
		since = usageSince
	}
	for name, value := range map[string]string{
		"group_by": c.By, "since": since, "from": c.From, "to": c.To, "model": c.Model, "session": c.Session, "upstream": c.Upstream,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if c.All {
		query.Set("all", "true")
	}
	if by := strings.Split(c.By, ","); slices.Contains(by, string(ledger.ByDay)) || slices.Contains(by, string(ledger.ByHour)) {
		query.Set("order", "time")
	}
	limit := c.Limit
	switch {
	case limit == 0 && (c.JSON || c.CSV):
		limit = ledger.MaxRows
	case limit == 0:
		limit = usageRows
	}
	query.Set("limit", strconv.Itoa(limit))
	return query
}

// inTime reports whether groups are of a day or of an hour.
func inTime(by []ledger.Dimension) bool {
	return slices.Contains(by, ledger.ByDay) || slices.Contains(by, ledger.ByHour)
}

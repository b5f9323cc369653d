package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"mnemo/proxy/manage"
)

const (
	// apiPage is the most sessions that a page of the API has.
	apiPage = 200
	// Columns of a terminal that an id and a title may take.
	idColumns    = 40
	titleColumns = 40
)

// sessionsListCmd lists sessions.
type sessionsListCmd struct {
	apiFlags
	Search     string `help:"Only those with this in their title or id, whatever the case." placeholder:"TEXT"`
	Limit      int    `help:"At most so many." default:"20" placeholder:"N"`
	All        bool   `help:"All of them, however many."`
	AllTenants bool   `help:"Those of all tenants; for admin keys."`
	JSON       bool   `help:"Print JSON, for programs."`
}

// Run prints a table.
func (c *sessionsListCmd) Run(ctx context.Context, p *process) error {
	if c.Limit < 1 && !c.All {
		return fmt.Errorf("--limit: at least 1 is expected, not %d", c.Limit)
	}
	api, err := c.client(p)
	if err != nil {
		return err
	}
	defer api.close()
	query := url.Values{}
	if c.Search != "" {
		query.Set("search", c.Search)
	}
	if c.AllTenants {
		query.Set("all", "true")
	}
	list := manage.SessionList{Sessions: []manage.Session{}}
	more := false
	err = api.sessions(ctx, query, func(s *manage.Session) bool {
		if more = !c.All && len(list.Sessions) == c.Limit; !more {
			list.Sessions = append(list.Sessions, *s)
		}
		return !more
	})
	if err != nil {
		return fmt.Errorf("list sessions: %w", err)
	}
	if c.JSON {
		return printJSON(p.stdout, list.Sessions)
	}
	if len(list.Sessions) == 0 {
		_, err = fmt.Fprintln(p.stdout, "There are no sessions.")
		return err
	}
	if err := c.table(list.Sessions, time.Now()).write(p.stdout); err != nil {
		return err
	}
	if more {
		_, err = fmt.Fprintln(p.stdout, "There are more: --limit or --all shows them.")
	}
	return err
}

// Private

// sessions calls yield with each session that a list has, until it returns false.
// It reads no more than it must.
func (c *apiClient) sessions(ctx context.Context, query url.Values, yield func(*manage.Session) bool) error {
	query.Set("limit", strconv.Itoa(apiPage))
	for {
		var page manage.SessionList
		if _, err := c.json(ctx, apiCall{method: http.MethodGet, query: query}, &page); err != nil {
			return err
		}
		for i := range page.Sessions {
			if !yield(&page.Sessions[i]) {
				return nil
			}
		}
		if page.NextCursor == nil {
			return nil
		}
		query.Set("cursor", *page.NextCursor)
	}
}

func (c *sessionsListCmd) table(sessions []manage.Session, now time.Time) *table {
	t := &table{head: []string{"ID", "TITLE", "TURNS", "TOKENS", "COST", "LAST TURN"}, right: []bool{2: true, 3: true, 4: true, 5: false}}
	if c.AllTenants {
		t.head, t.right = append(t.head, "TENANT"), append(t.right, false)
	}
	for i := range sessions {
		s := &sessions[i]
		row := []string{
			fit(printable(s.ID), idColumns), fit(printable(s.Title), titleColumns),
			strconv.FormatInt(s.Turns, 10), strconv.FormatInt(s.Tokens, 10), costOf(&s.Cost), ago(s.UpdatedAt.Time, now),
		}
		if c.AllTenants {
			row = append(row, fit(printable(s.Tenant), idColumns))
		}
		t.rows = append(t.rows, row)
	}
	return t
}

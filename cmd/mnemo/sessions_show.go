package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"mnemo/proxy/manage"
)

// shownText is how much of a message is shown, in columns of a terminal.
const shownText = 2000

// sessionsShowCmd shows one session.
type sessionsShowCmd struct {
	apiFlags
	ID       string `arg:"" help:"The session."`
	Messages int    `help:"How many of the last messages." default:"6" placeholder:"N"`
	JSON     bool   `help:"Print JSON, for programs."`
}

// shown is a session as it is printed for programs.
type shown struct {
	manage.SessionDetail
	LastMessages []json.RawMessage `json:"last_messages"`
}

// Run prints facts and the last messages.
func (c *sessionsShowCmd) Run(ctx context.Context, p *process) error {
	api, err := c.client(p)
	if err != nil {
		return err
	}
	defer api.close()
	s := shown{LastMessages: []json.RawMessage{}}
	if _, err := api.json(ctx, apiCall{method: http.MethodGet, path: sessionPath(c.ID)}, &s.SessionDetail); err != nil {
		return fmt.Errorf("show %s: %w", printable(c.ID), err)
	}
	if s.LastMessages, err = api.lastMessages(ctx, c.ID, c.Messages); err != nil {
		return fmt.Errorf("show %s: %w", printable(c.ID), err)
	}
	if c.JSON {
		return printJSON(p.stdout, &s)
	}
	return s.write(p.stdout, time.Now())
}

// Private

// lastMessages are the last n messages of a session, oldest first.
func (c *apiClient) lastMessages(ctx context.Context, id string, n int) ([]json.RawMessage, error) {
	messages := []json.RawMessage{} // newest first
	query := url.Values{"order": {"desc"}}
	for len(messages) < n {
		query.Set("limit", strconv.Itoa(min(n-len(messages), apiPage)))
		var page manage.TurnList
		if _, err := c.json(ctx, apiCall{method: http.MethodGet, path: sessionPath(id) + "/messages", query: query}, &page); err != nil {
			return nil, err
		}
		for i := range page.Turns {
			for _, m := range slices.Backward(page.Turns[i].Messages) {
				messages = append(messages, m)
			}
		}
		if page.NextCursor == nil {
			break
		}
		query.Set("cursor", strconv.FormatInt(*page.NextCursor, 10))
	}
	messages = messages[:max(min(n, len(messages)), 0)]
	slices.Reverse(messages)
	return messages, nil
}

func (s *shown) write(w io.Writer, now time.Time) error {
	t := table{head: []string{"id", printable(s.ID)}, right: []bool{false, false}}
	fact := func(name, value string) { t.rows = append(t.rows, []string{name, value}) }
	fact("title", printable(s.Title))
	fact("turns", s.turns())
	fact("messages", plain(s.Messages))
	fact("tokens", plain(s.Tokens))
	fact("used", fmt.Sprintf("%d tokens in (%d cached), %d out", s.Usage.Input, s.Usage.CachedInput, s.Usage.Output))
	fact("cost", exactCost(&s.Cost))
	fact("created", moment(s.CreatedAt.Time, now))
	fact("last turn", moment(s.UpdatedAt.Time, now))
	if s.ExpiresAt != nil {
		fact("expires", s.ExpiresAt.UTC().Format(time.RFC3339))
	}
	if s.Persona != nil {
		fact("persona", printable(*s.Persona))
	}
	if s.Summary != nil {
		fact("summary", fmt.Sprintf("of turns 1 to %d, %d tokens, by %s, %s",
			s.Summary.UpTo, s.Summary.Tokens, printable(s.Summary.Model), ago(s.Summary.At.Time, now)))
	}
	if err := t.write(w); err != nil {
		return err
	}
	for _, m := range s.LastMessages {
		if _, err := io.WriteString(w, "\n"+quote(string(m))); err != nil {
			return err
		}
	}
	return nil
}

// quote is a message under its role, indented so that no text passes for another
// message.
func quote(raw string) string {
	m := gjson.Parse(raw)
	var s strings.Builder
	s.WriteString(printable(m.Get("role").String()) + "\n")
	for line := range strings.Lines(strings.TrimRight(fit(printableLines(textOf(m)), shownText), "\n") + "\n") {
		s.WriteString("    " + line)
	}
	return s.String()
}

// textOf is what a message says, and what else there is in it.
func textOf(m gjson.Result) string {
	var parts []string
	if content := m.Get("content"); content.IsArray() {
		for _, part := range content.Array() {
			kind := part.Get("type").String()
			parts = append(parts, cmp.Or(part.Get("text").String(), "["+kind+"]"))
		}
	} else if content.Type == gjson.String {
		parts = append(parts, content.String())
	}
	if refusal := m.Get("refusal").String(); refusal != "" {
		parts = append(parts, refusal)
	}
	for _, call := range m.Get("tool_calls").Array() {
		f := call.Get("function")
		parts = append(parts, fmt.Sprintf("[calls %s(%s)]", f.Get("name"), f.Get("arguments")))
	}
	return strings.Join(parts, "\n")
}

func exactCost(c *manage.Cost) string {
	switch {
	case c.USD == nil && c.UnpricedTurns == 0:
		return "nothing"
	case c.USD == nil:
		return "not known"
	}
	text := "$" + printable(*c.USD)
	if c.UnpricedTurns > 0 {
		text += " and " + count(int(c.UnpricedTurns), "turn") + " of unknown price"
	}
	return text
}

func plain(n int64) string { return strconv.FormatInt(n, 10) }

func (s *shown) turns() string {
	if s.Superseded == 0 {
		return plain(s.Turns)
	}
	return fmt.Sprintf("%d and %d superseded", s.Turns, s.Superseded)
}

func moment(at, now time.Time) string {
	return fmt.Sprintf("%s (%s)", at.UTC().Format(time.RFC3339), ago(at, now))
}

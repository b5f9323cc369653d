package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/mattn/go-isatty"
)

// maxConfirmation bounds the line that confirms.
const maxConfirmation = 64

// sessionsDeleteCmd deletes sessions.
type sessionsDeleteCmd struct {
	apiFlags
	IDs []string `arg:"" name:"id" help:"The sessions."`
	Yes bool     `help:"Do not ask." short:"y"`
}

// Run deletes each of the sessions, after it was confirmed.
func (c *sessionsDeleteCmd) Run(ctx context.Context, p *process) error {
	api, err := c.client(p)
	if err != nil {
		return err
	}
	defer api.close()
	if !c.Yes {
		if err := c.confirm(ctx, p); err != nil {
			return err
		}
	}
	var failed []error
	for _, id := range c.IDs {
		if ctx.Err() != nil {
			failed = append(failed, ctx.Err())
			break
		}
		if err := api.delete(ctx, id, ""); err != nil {
			failed = append(failed, fmt.Errorf("delete %s: %w", printable(id), err))
			continue
		}
		fmt.Fprintf(p.stdout, "%s is deleted.\n", printable(id))
	}
	return errors.Join(failed...)
}

// Private

// delete deletes a session; if tag is not "", only the session that had this ETag.
func (c *apiClient) delete(ctx context.Context, id, tag string) error {
	q := apiCall{method: http.MethodDelete, path: sessionPath(id)}
	if tag != "" {
		q.header = map[string]string{"If-Match": tag}
	}
	answer, err := c.do(ctx, q)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

// confirm asks a person. Where there is none it refuses.
func (c *sessionsDeleteCmd) confirm(ctx context.Context, p *process) error {
	file, ok := p.stdin.(*os.File)
	if !ok || !isatty.IsTerminal(file.Fd()) {
		return errors.New("delete: nobody can be asked, because the input is no terminal; --yes deletes without asking")
	}
	names := make([]string, len(c.IDs))
	for i, id := range c.IDs {
		names[i] = printable(id)
	}
	return agree(ctx, p.stdin, p.stderr, fmt.Sprintf("Delete %s for good? Type yes: ", strings.Join(names, ", ")))
}

// agree returns nil if the answer is yes.
func agree(ctx context.Context, in io.Reader, out io.Writer, question string) error {
	fmt.Fprint(out, question)
	answer := make(chan string, 1)
	go func() { // a read from a terminal cannot be ended
		line, _ := bufio.NewReader(io.LimitReader(in, maxConfirmation)).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case said := <-answer:
		if said == "yes" || said == "y" {
			return nil
		}
		return errors.New("delete: it was not confirmed; nothing is deleted")
	}
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"mnemo/memory/transcript"
	"mnemo/proxy/manage"
)

// standardStream is a file name that stands for standard input or output.
const standardStream = "-"

// sessionsExportCmd writes one session as a document.
type sessionsExportCmd struct {
	apiFlags
	ID         string `arg:"" help:"The session."`
	Format     string `help:"json or jsonl, which can be imported, or md, txt or csv; default: as the file is called, else json." placeholder:"FORMAT"`
	Output     string `help:"File to write; default: standard output." short:"o" placeholder:"FILE"`
	Force      bool   `help:"Replace the file if there is one."`
	BOM        bool   `name:"bom" help:"Begin a csv with a byte order mark, by which spreadsheets know UTF-8."`
	Superseded bool   `help:"In md, txt and csv: the edited and regenerated turns too, marked."`
}

// sessionsImportCmd stores sessions.
type sessionsImportCmd struct {
	apiFlags
	Files []string `arg:"" name:"file" help:"Documents: exports in json or jsonl, archives, or OpenAI messages; - is standard input."`
	ID    string   `help:"The new session's id; default: the document's, else a random one." placeholder:"ID"`
	JSON  bool     `help:"Print JSON, for programs."`
}

// Run writes the document whole or not at all.
func (c *sessionsExportCmd) Run(ctx context.Context, p *process) error {
	format, err := c.format()
	if err != nil {
		return fmt.Errorf("--format: %w", err)
	}
	api, err := c.client(p)
	if err != nil {
		return err
	}
	defer api.close()
	query := url.Values{"format": {string(format)}}
	if c.BOM {
		query.Set("bom", "true")
	}
	if c.Superseded {
		query.Set("superseded", "true")
	}
	document := func(w io.Writer) error {
		_, err := api.export(ctx, c.ID, query, w)
		return err
	}
	if c.Output == "" || c.Output == standardStream {
		err = document(p.stdout)
	} else {
		err = writeFile(c.Output, c.Force, document)
	}
	if err != nil {
		return fmt.Errorf("export %s: %w", printable(c.ID), err)
	}
	return nil
}

// Run stores each of the documents.
func (c *sessionsImportCmd) Run(ctx context.Context, p *process) error {
	if c.ID != "" && len(c.Files) > 1 {
		return errors.New("--id: it can name one session only")
	}
	api, err := c.client(p)
	if err != nil {
		return err
	}
	defer api.close()
	var failed []error
	for _, name := range c.Files {
		s, err := c.one(ctx, p, api, name)
		if err != nil {
			failed = append(failed, fmt.Errorf("import %s: %w", printable(name), err))
			if ctx.Err() != nil {
				break
			}
			continue
		}
		if c.JSON {
			err = printJSON(p.stdout, s)
		} else {
			_, err = fmt.Fprintf(p.stdout, "%s is stored, with %s.\n", printable(s.ID), count(int(s.Turns+s.Superseded), "turn"))
		}
		if err != nil {
			return err
		}
	}
	return errors.Join(failed...)
}

// Private

func (c *sessionsExportCmd) format() (transcript.Format, error) {
	extension := strings.ToLower(strings.TrimPrefix(filepath.Ext(c.Output), "."))
	if f, err := transcript.ParseFormat(extension); c.Format == "" && err == nil {
		return f, nil
	}
	return transcript.ParseFormat(cmp.Or(c.Format, string(transcript.JSON)))
}

// export copies a document to w and returns its ETag.
func (c *apiClient) export(ctx context.Context, id string, query url.Values, w io.Writer) (tag string, err error) {
	answer, err := c.do(ctx, apiCall{method: http.MethodGet, path: sessionPath(id) + "/export", query: query})
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	_, err = io.Copy(w, answer.Body)
	return answer.Header.Get("ETag"), err
}

func (c *sessionsImportCmd) one(ctx context.Context, p *process, api *apiClient, name string) (*manage.SessionDetail, error) {
	q := apiCall{method: http.MethodPost, path: "/import", body: p.stdin, limit: importTimeout}
	q.header = map[string]string{"Content-Type": transcript.JSON.MediaType()}
	if strings.EqualFold(filepath.Ext(name), "."+string(transcript.JSONL)) {
		q.header["Content-Type"] = transcript.JSONL.MediaType()
	}
	if name != standardStream {
		file, err := os.Open(name) //nolint:gosec // the user names it
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }()
		about, err := file.Stat()
		if err != nil {
			return nil, err
		}
		if about.IsDir() {
			return nil, errors.New("it is a directory")
		}
		q.body = file
		if about.Mode().IsRegular() {
			q.length = about.Size()
		}
	}
	if c.ID != "" {
		q.query = url.Values{"id": {c.ID}}
	}
	var s manage.SessionDetail
	_, err := api.json(ctx, q, &s)
	return &s, err
}

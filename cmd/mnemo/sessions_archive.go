package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"

	"mnemo/proxy/manage"
)

const (
	// archiveLock is a file in the directory that one archiving process holds.
	archiveLock = ".mnemo-archive.lock"
	// maxFailures ends an archiving that gets nowhere: so many in a row.
	maxFailures = 5
)

// What becomes of a session that is to be archived.
const (
	archived = "archived" // it is in the file and no longer in mnemo
	changed  = "changed"  // it went on meanwhile, and stays
	gone     = "gone"     // somebody else deleted it meanwhile
	idle     = "idle"     // it would be archived, but for --dry-run
	failed   = "failed"   // it stays, or its file does
)

// sessionsArchiveCmd moves idle sessions into files.
type sessionsArchiveCmd struct {
	apiFlags
	OlderThan string `required:"" help:"How long a session has been idle: 30d, 12h or 90m." placeholder:"AGE"`
	To        string `required:"" help:"Directory of the files; it is made if there is none." placeholder:"DIR"`
	DryRun    bool   `help:"Only say which sessions."`
	JSON      bool   `help:"Print JSON, for programs: a line for each session."`
}

// An archiver moves sessions, one after another.
type archiver struct {
	api    *apiClient
	dir    string
	report func(outcome) error
	tally  map[string]int
}

// An outcome is what became of a session.
type outcome struct {
	ID      string `json:"id"`
	Outcome string `json:"outcome"`
	File    string `json:"file,omitempty"`
	Turns   int64  `json:"turns"`
	Error   string `json:"error,omitempty"`
}

// Run archives every session that is idle for long enough. A run that was
// interrupted is continued by the next.
func (c *sessionsArchiveCmd) Run(ctx context.Context, p *process) error {
	api, err := c.client(p)
	if err != nil {
		return err
	}
	defer api.close()
	a := &archiver{api: api, dir: c.To, tally: map[string]int{}, report: func(o outcome) error { return c.print(p, &o) }}
	each := a.move
	if c.DryRun {
		each = func(_ context.Context, s *manage.Session) outcome {
			return outcome{ID: s.ID, Outcome: idle, Turns: s.Turns + s.Superseded}
		}
	} else {
		unlock, err := openArchive(c.To)
		if err != nil {
			return fmt.Errorf("archive: %w", err)
		}
		defer unlock()
	}
	err = a.all(ctx, c.OlderThan, each)
	if !c.JSON {
		fmt.Fprintln(p.stdout, a.summary(c.DryRun))
	}
	return err
}

// Private

// openArchive makes the directory, takes hold of it and removes what an
// interrupted run left there.
func openArchive(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(dir, archiveLock), flock.SetPermissions(0o600))
	held, err := lock.TryLock()
	if err != nil {
		return nil, err
	}
	if !held {
		return nil, fmt.Errorf("%s: another mnemo is archiving into it", dir)
	}
	unlock = func() { _ = lock.Close() }
	entries, err := os.ReadDir(dir)
	if err != nil {
		unlock()
		return nil, err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), unfinished) {
			err = cmp.Or(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// all hands on every session that is idle.
func (a *archiver) all(ctx context.Context, olderThan string, each func(context.Context, *manage.Session) outcome) error {
	row := 0
	var stopped error
	err := a.api.sessions(ctx, url.Values{"idle_since": {olderThan}}, func(s *manage.Session) bool {
		o := each(ctx, s)
		if ctx.Err() != nil && o.Outcome == failed {
			return false // said below, once
		}
		a.tally[o.Outcome]++
		if row++; o.Outcome != failed {
			row = 0
		}
		if stopped = a.report(o); stopped == nil && row == maxFailures {
			stopped = fmt.Errorf("given up after %d failures in a row", row)
		}
		return stopped == nil && ctx.Err() == nil
	})
	switch err = cmp.Or(stopped, err, ctx.Err()); {
	case errors.Is(err, context.Canceled):
		return errors.New("archive: interrupted; the next run goes on")
	case err != nil:
		return fmt.Errorf("archive: %w", err)
	case a.tally[failed] > 0:
		return fmt.Errorf("archive: %s could not be archived", count(a.tally[failed], "session"))
	}
	return nil
}

// move archives one session.
func (a *archiver) move(ctx context.Context, listed *manage.Session) outcome {
	o := outcome{ID: listed.ID, Turns: listed.Turns + listed.Superseded}
	var err error
	if o.File, err = a.try(ctx, listed.ID); err == nil {
		o.Outcome = archived
		return o
	}
	var refused *apiError
	switch {
	case errors.Is(err, errChanged):
		o.Outcome = changed
	case errors.As(err, &refused) && refused.status == http.StatusNotFound:
		o.Outcome = gone
	default:
		o.Outcome, o.Error = failed, err.Error()
	}
	return o
}

// try writes a session's file, verifies it, and only then deletes the session as
// it was written. The error says which of these did not happen.
func (a *archiver) try(ctx context.Context, id string) (name string, err error) {
	var s manage.SessionDetail
	head, err := a.api.json(ctx, apiCall{method: http.MethodGet, path: sessionPath(id)}, &s)
	if err != nil {
		return "", err
	}
	tag := head.Get("ETag")
	if tag == "" {
		return "", errors.New("the server gives the session no ETag")
	}
	name, fresh, err := a.write(ctx, &s, tag)
	if err != nil {
		return "", err
	}
	if ctx.Err() != nil {
		return name, ctx.Err()
	}
	// What has begun is ended: half a deletion would leave nobody sure.
	ctx = context.WithoutCancel(ctx)
	err = a.api.delete(ctx, id, tag)
	var refused *apiError
	if errors.As(err, &refused) && refused.status == http.StatusPreconditionFailed {
		err = errChanged
		if fresh && a.stands(ctx, &s) {
			return "", errors.Join(err, os.Remove(name), syncDir(a.dir))
		}
	}
	return name, err
}

// stands reports whether the server still has a session. Whatever else happened, a
// file is not removed unless it does.
func (a *archiver) stands(ctx context.Context, s *manage.SessionDetail) bool {
	var now manage.SessionDetail
	_, err := a.api.json(ctx, apiCall{method: http.MethodGet, path: sessionPath(s.ID)}, &now)
	return err == nil && now.CreatedAt.Equal(s.CreatedAt.Time) && now.Turns+now.Superseded >= s.Turns+s.Superseded
}

func (c *sessionsArchiveCmd) print(p *process, o *outcome) error {
	if c.JSON {
		return printLine(p.stdout, o)
	}
	name, still := printable(o.ID), ""
	if o.File != "" {
		still = "; " + printable(o.File) + " holds it"
	}
	var err error
	switch o.Outcome {
	case archived:
		_, err = fmt.Fprintf(p.stdout, "%s: %s in %s\n", name, count(int(o.Turns), "turn"), printable(o.File))
	case idle:
		_, err = fmt.Fprintf(p.stdout, "%s: %s\n", name, count(int(o.Turns), "turn"))
	case changed:
		_, err = fmt.Fprintf(p.stdout, "%s: changed meanwhile, kept%s\n", name, still)
	case gone:
		_, err = fmt.Fprintf(p.stdout, "%s: deleted by somebody else meanwhile%s\n", name, still)
	case failed:
		_, err = fmt.Fprintf(p.stderr, "mnemo: archive %s: %s%s\n", name, o.Error, still)
	}
	return err
}

func (a *archiver) summary(dryRun bool) string {
	if dryRun {
		return fmt.Sprintf("%s would be archived.", count(a.tally[idle], "session"))
	}
	text := count(a.tally[archived], "session") + " archived"
	for _, rest := range []struct{ outcome, words string }{
		{changed, "changed meanwhile and kept"}, {gone, "deleted by somebody else"}, {failed, "failed"},
	} {
		if n := a.tally[rest.outcome]; n > 0 {
			text += fmt.Sprintf(", %d %s", n, rest.words)
		}
	}
	return text + "."
}

package main

import (
	"context"
	"fmt"
	"net/http"

	"mnemo/proxy/manage"
)

// sessionsCmd sees and keeps what a running mnemo remembers.
type sessionsCmd struct {
	List    sessionsListCmd    `cmd:"" help:"List sessions, the last active first."`
	Show    sessionsShowCmd    `cmd:"" help:"Show what a session holds, and how it ends."`
	Export  sessionsExportCmd  `cmd:"" help:"Write a session as a document."`
	Import  sessionsImportCmd  `cmd:"" help:"Store sessions that were exported or archived."`
	Delete  sessionsDeleteCmd  `cmd:"" help:"Forget sessions at once and for good."`
	Archive sessionsArchiveCmd `cmd:"" help:"Move idle sessions into files."`
	Rebuild sessionsRebuildCmd `cmd:"" help:"Make a session's summary anew from its log."`
}

// sessionsRebuildCmd makes a summary anew.
type sessionsRebuildCmd struct {
	apiFlags
	ID   string `arg:"" help:"The session."`
	JSON bool   `help:"Print JSON, for programs."`
}

// Run waits until the summary is stored.
func (c *sessionsRebuildCmd) Run(ctx context.Context, p *process) error {
	api, err := c.client(p)
	if err != nil {
		return err
	}
	defer api.close()
	var rebuilt manage.Rebuilt
	rebuild := apiCall{method: http.MethodPost, path: sessionPath(c.ID) + "/rebuild", limit: rebuildTimeout}
	if _, err := api.json(ctx, rebuild, &rebuilt); err != nil {
		return fmt.Errorf("rebuild %s: %w", printable(c.ID), err)
	}
	if c.JSON {
		return printJSON(p.stdout, &rebuilt)
	}
	if rebuilt.Summary == nil {
		_, err = fmt.Fprintf(p.stdout, "%s is too short to be summarised.\n", printable(c.ID))
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "%s has a new summary of turns 1 to %d, %s.\n",
		printable(c.ID), rebuilt.Summary.UpTo, count(rebuilt.Summary.Tokens, "token"))
	return err
}

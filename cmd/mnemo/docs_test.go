package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"mnemo/memory"
	"mnemo/memory/sqlitestore"
)

// docsAddress is where mnemo listens in the examples of the pages.
const docsAddress = "127.0.0.1:8080"

// docsAccounts has calls in the ledger at once, and budgets for docs/api.md.
const docsAccounts = `
ledger: {interval: 10ms}
budgets:
  - {name: team-day, scope: tenant, limit: 5 USD, per: day}
  - {name: chat-month, scope: session, limit: 5000 tokens, per: month}
`

var consoleBlock = regexp.MustCompile("(?s)```console\n(.*?)```")

// An example is one command of a page and what the page says that it prints.
type example struct{ command, output string }

// The examples of a page are run in their order, each by a shell, against one
// mnemo that begins as the page says. In what they print, an ellipsis stands for
// anything.
func TestDocs_examples_are_true(t *testing.T) {
	need(t, "sh", "curl")
	for _, page := range []struct {
		name string
		seed func(t *testing.T, database string)
		want int // examples, at least
	}{
		{name: "api.md", seed: func(*testing.T, string) {}, want: 35},
		{name: "sessions.md", seed: seedSessions, want: 15},
	} {
		t.Run(page.name, func(t *testing.T) {
			database := filepath.Join(t.TempDir(), "mnemo.db")
			page.seed(t, database)
			m := serve(t, setup{file: patientStore + docsAccounts, args: []string{"--upstream", newFakeModel(t).url, "--auth", "none", "--store", "sqlite:" + database}})
			examples := examplesOf(t, page.name, m)
			if len(examples) < page.want {
				t.Errorf("the page has %d examples, want %d", len(examples), page.want)
			}
			shell := newShell(t, m)
			for _, e := range examples {
				got := shell(e.command)
				for end := time.Now().Add(patience); e.ofAccounts() && !pattern(e.output).MatchString(got) && time.Now().Before(end); {
					got = shell(e.command)
				}
				if !pattern(e.output).MatchString(got) {
					t.Errorf("$ %s\n%s\nthe page says\n%s", e.command, got, e.output)
				}
			}
		})
	}
}

// ofAccounts reports whether the example reads accounts, which are written a moment
// after the calls that they are of.
func (e *example) ofAccounts() bool {
	return regexp.MustCompile(`/api/(usage|calls|budgets)|mnemo (usage|calls|budgets)`).MatchString(e.command)
}

// No page has an example that nobody runs.
func TestDocs_examples_are_all_run(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(repository, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, filepath.Join(repository, "README.md")) {
		name := filepath.Base(page)
		if consoleBlock.MatchString(content(t, page)) && !slices.Contains([]string{"api.md", "sessions.md"}, name) {
			t.Errorf("%s has examples that no test runs", name)
		}
	}
}

// examplesOf reads the examples of a page, with the address of the mnemo in place
// of the page's.
func examplesOf(t *testing.T, page string, m *mnemo) (all []example) {
	t.Helper()
	text := strings.ReplaceAll(content(t, filepath.Join(repository, "docs", page)), docsAddress, strings.TrimPrefix(m.url, "http://"))
	for _, block := range consoleBlock.FindAllStringSubmatch(text, -1) {
		for _, one := range strings.Split("\n"+block[1], "\n$ ")[1:] {
			command, output, _ := strings.Cut(one, "\n")
			all = append(all, example{command, strings.TrimRight(output, "\n")})
		}
	}
	return all
}

// newShell returns what runs a command in a fresh directory, where mnemo is a
// program that knows the server, and returns what the command prints.
func newShell(t *testing.T, m *mnemo) func(command string) string {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, programs := t.TempDir(), t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\n%s=1 GORACE=atexit_sleep_ms=0 exec '%s' \"$@\"\n", programEnv, binary)
	if err := os.WriteFile(filepath.Join(programs, "mnemo"), []byte(script), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	return func(command string) string {
		p := &program{dir: dir, args: []string{"sh", "-c", command}, environ: []string{
			"PATH=" + programs + string(os.PathListSeparator) + os.Getenv("PATH"), serverVariable + "=" + m.url,
		}}
		out, _ := p.run(t)
		return strings.TrimRight(strings.ReplaceAll(out, "\r\n", "\n"), "\n")
	}
}

// seedSessions makes the sessions of which docs/sessions.md tells.
func seedSessions(t *testing.T, database string) {
	t.Helper()
	store, err := sqlitestore.Open(context.Background(), sqlitestore.Options{Path: database})
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper{store: store}
	of := func(id string) memory.Key { return memory.Key{Tenant: "default", Session: id} }
	k.keepsOf(t, of("trip"), 2*time.Hour, "My name is Ada.", "Hello Ada!", "What is my name?", "Your name is Ada.")
	k.keepsOf(t, of("kyoto"), 3*time.Hour, "京都でお寺を三つ見たい", "清水寺、金閣寺、…")
	k.keepsOf(t, of("support-4711"), 40*day, "Where is my parcel?", "On its way.")
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

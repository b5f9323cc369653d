package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// A commandLine is one use of the command line.
type commandLine struct {
	environ []string
	stdin   io.Reader
	stdout  io.Writer // nil: it is returned
}

// commands are those of these tests.
type commands struct {
	Sessions sessionsCmd `cmd:""`
	Prices   pricesCmd   `cmd:""`
}

// run runs a command and returns what it says and its error.
func (l commandLine) run(ctx context.Context, t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	p := &process{environ: l.environ, stdin: l.stdin, stdout: &out, stderr: &errs}
	if p.stdin == nil {
		p.stdin = strings.NewReader("")
	}
	if l.stdout != nil {
		p.stdout = l.stdout
	}
	parser, err := kong.New(new(commands), kong.Vars{"default_file": "mnemo.yaml"}, kong.Writers(&out, &errs),
		kong.Exit(func(int) {}), kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(p))
	if err != nil {
		t.Fatal(err)
	}
	command, err := parser.Parse(args)
	if err != nil {
		return "", "", fmt.Errorf("usage: %w", err)
	}
	err = command.Run()
	return out.String(), errs.String(), err
}

// saveFile makes a file in the working directory.
func saveFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

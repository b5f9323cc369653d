// Command mnemo is a proxy for the OpenAI API that gives stateless applications
// a memory.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"mnemo/config"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2 // the command line cannot be understood
)

// complaintTimeout bounds how long the last words of the program may take.
const complaintTimeout = time.Second

// cli is the command line: one field for each command, each with a Run method.
type cli struct {
	Serve     serveCmd     `cmd:"" help:"Serve until told to stop."`
	Demo      demoCmd      `cmd:"" help:"Show a chat that remembers, with a built-in model and no key."`
	Sessions  sessionsCmd  `cmd:"" help:"See, export, import and delete the conversations that a running server keeps."`
	Usage     usageCmd     `cmd:"" help:"Show what the calls of a running server used and cost."`
	Calls     callsCmd     `cmd:"" help:"See single calls of a running server."`
	Budgets   budgetsCmd   `cmd:"" help:"Show where the budgets of a running server stand."`
	Prices    pricesCmd    `cmd:"" help:"Say what calls cost."`
	Upstreams upstreamsCmd `cmd:"" help:"Show how the upstreams of a running server are."`
	Check     checkCmd     `cmd:"" help:"Validate the configuration, list it and say what it means."`
	Version   versionCmd   `cmd:"" help:"Print the version."`
}

// A process is what a command sees of the world. Commands take it and the
// context as parameters of Run.
type process struct {
	environ []string // as os.Environ returns it
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
}

// getenv returns the value of an environment variable, "" if it is not set.
func (p *process) getenv(name string) string {
	for _, pair := range p.environ {
		if n, value, found := strings.Cut(pair, "="); found && n == name {
			return value
		}
	}
	return ""
}

// configFlags are the flags of every command that reads the configuration.
// Those that were not given are nil.
type configFlags struct {
	Config   string  `help:"Configuration file; default ${default_file}, if there is one." placeholder:"FILE"`
	Listen   *string `help:"Address to listen on." placeholder:"HOST:PORT"`
	Upstream *string `help:"Base URL of the default upstream." placeholder:"URL"`
	Store    *string `help:"Where sessions live: sqlite:PATH, redis://…, rediss://… or postgres://…." placeholder:"URL"`
	Auth     *string `help:"Who may call: passthrough, keys or none." placeholder:"MODE"`
	Strategy *string `help:"How prompts are composed: trim, window or summarize." placeholder:"NAME"`
	Budget   *string `help:"Tokens of a whole prompt." placeholder:"TOKENS"`
	Log      *string `help:"Format of the log: text or json." placeholder:"FORMAT"`
	LogLevel *string `help:"Least level that is logged: debug, info, warn or error." placeholder:"LEVEL"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// run is the program. It returns its exit code; ctx ends it.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &process{environ, stdin, stdout, stderr}
	exited := false
	parser, err := kong.New(new(cli),
		kong.Name("mnemo"),
		kong.Description("A proxy for the OpenAI API that gives stateless applications a memory."),
		kong.Vars{"default_file": config.DefaultFile},
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { exited = true }), // after --help; run returns instead
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(p),
	)
	if err != nil {
		panic(err) // the cli type is wrong
	}
	command, err := parser.Parse(args)
	switch {
	case exited:
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "mnemo: %v\nRun mnemo --help for the commands and flags.\n", err)
		return exitUsage
	}
	if err := command.Run(); err != nil {
		complain(stderr, err)
		return exitFailed
	}
	return exitOK
}

// Private

// complain writes an error, or gives up: the program must end although nobody
// reads its output.
func complain(stderr io.Writer, err error) {
	var text strings.Builder
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(&text, "mnemo: %s\n", strings.TrimSuffix(line, "\n"))
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		fmt.Fprint(stderr, text.String())
	}()
	select {
	case <-written:
	case <-time.After(complaintTimeout):
	}
}

// load reads the configuration and warns of what deserves attention.
func (f *configFlags) load(p *process) (*config.Config, error) {
	given := map[string]string{}
	for name, value := range map[string]*string{
		"listen": f.Listen, "upstream": f.Upstream, "store": f.Store, "auth": f.Auth, "strategy": f.Strategy,
		"budget": f.Budget, "log": f.Log, "log-level": f.LogLevel,
	} {
		if value != nil {
			given[name] = *value
		}
	}
	c, err := config.Load(config.Sources{File: f.Config, Flags: given, Environ: p.environ, ReadFile: os.ReadFile})
	if err != nil {
		return nil, err
	}
	for _, warning := range c.Warnings {
		fmt.Fprintf(p.stderr, "mnemo: warning: %s\n", warning)
	}
	return c, nil
}

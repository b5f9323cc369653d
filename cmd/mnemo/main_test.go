package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"mnemo/config"
)

func TestRun_without_a_command_says_which_there_are(t *testing.T) {
	for _, args := range [][]string{nil, {"nonsense"}, {"check", "--nonsense"}, {"check", "more"}} {
		code, out, errs := start(t, nil, args...)
		if code != exitUsage || out != "" || !strings.HasPrefix(errs, "mnemo: ") || !strings.Contains(errs, "mnemo --help") {
			t.Errorf("%q exits with %d, says %q and %q", args, code, out, errs)
		}
	}
}

func TestRun_help_names_commands_and_flags(t *testing.T) {
	code, out, errs := start(t, nil, "--help")
	if code != exitOK || errs != "" || !strings.Contains(out, "check") || !strings.Contains(out, "version") {
		t.Errorf("exits with %d, says %q and %q", code, out, errs)
	}
	code, out, errs = start(t, nil, "check", "--help")
	if code != exitOK || errs != "" || !strings.Contains(out, "mnemo.yaml") {
		t.Errorf("exits with %d, says %q and %q", code, out, errs)
	}
	for _, v := range config.Variables() {
		if v.Flag != "" && !strings.Contains(out, "--"+v.Flag+"=") {
			t.Errorf("--%s is not in %s", v.Flag, out)
		}
	}
}

func TestConfigFlags_reach_the_configuration(t *testing.T) {
	given := map[string]string{
		"listen": "127.0.0.1:9", "upstream": "http://localhost:1/v1", "store": "redis://localhost", "auth": "none",
		"strategy": "trim", "budget": "5", "log": "json", "log-level": "debug",
	}
	for _, v := range config.Variables() {
		if v.Flag == "" {
			continue
		}
		code, out, errs := start(t, nil, "check", "--"+v.Flag, given[v.Flag])
		if code != exitOK || errs != "" {
			t.Errorf("--%s exits with %d, says %s", v.Flag, code, errs)
		}
		if got := row(out, v.Key); !reflect.DeepEqual(got, []string{v.Key, given[v.Flag], "--" + v.Flag}) {
			t.Errorf("--%s gives %q", v.Flag, got)
		}
	}
}

func TestProcess_reads_its_own_environment(t *testing.T) {
	p := process{environ: []string{"A=1", "B=x=y", "C"}}
	if p.getenv("A") != "1" || p.getenv("B") != "x=y" || p.getenv("C") != "" || p.getenv("D") != "" {
		t.Errorf("got %q %q %q %q", p.getenv("A"), p.getenv("B"), p.getenv("C"), p.getenv("D"))
	}
}

// start runs the program in the current directory.
func start(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, environ, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// file makes a fresh working directory with one file.
func file(t *testing.T, name, text string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
}

// row finds the line of a setting in a listing.
func row(listing, key string) []string {
	for line := range strings.Lines(listing) {
		if fields := strings.Fields(line); len(fields) > 0 && fields[0] == key {
			return fields
		}
	}
	return nil
}

package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	repository = "../.."
	// exampleTimeout bounds a program of an example, npm and the Go compiler included.
	exampleTimeout = 5 * time.Minute
)

var exampleNames = []string{"chat", "stream", "tools"}

func TestExamples_of_curl_prove_memory(t *testing.T) {
	need(t, "sh", "curl")
	d := exampleDemo(t)
	testExamples(t, d, func(name string) *program {
		return &program{dir: filepath.Join(repository, "examples/curl"), args: []string{"sh", name + ".sh"}}
	})
	d.paste(t, "curl", t.TempDir())
}

func TestExamples_of_Go_prove_memory(t *testing.T) {
	need(t, "go", "sh")
	d, binaries := exampleDemo(t), t.TempDir()
	build := &program{dir: repository, args: []string{"go", "build", "-o", binaries, "./examples/go/..."}}
	if out, code := build.run(t); code != 0 {
		t.Fatal(out)
	}
	testExamples(t, d, func(name string) *program { return &program{args: []string{filepath.Join(binaries, name)}} })
	// The pasted program finds the modules of the repository, so that nothing is
	// downloaded.
	module := t.TempDir()
	copyFiles(t, repository, module, "go.mod", "go.sum")
	d.paste(t, "Go", module)
}

func TestExamples_of_JavaScript_prove_memory(t *testing.T) {
	need(t, "node", "npm", "sh")
	d, dir := exampleDemo(t), t.TempDir()
	copyFiles(t, filepath.Join(repository, "examples/javascript"), dir,
		"package.json", "package-lock.json", "chat.mjs", "stream.mjs", "tools.mjs")
	install := &program{dir: dir, args: []string{"npm", "ci", "--prefer-offline", "--no-audit", "--no-fund"}}
	if out, code := install.run(t); code != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal(out)
		}
		t.Skipf("npm ci, which needs the registry: %s", out)
	}
	testExamples(t, d, func(name string) *program { return &program{dir: dir, args: []string{"node", name + ".mjs"}} })
	d.paste(t, "JavaScript", dir)
}

func TestExamples_of_Python_prove_memory(t *testing.T) {
	need(t, "python3", "sh")
	d, dir := exampleDemo(t), filepath.Join(repository, "examples/python")
	for _, name := range exampleNames {
		check := &program{dir: dir, args: []string{"python3", "-m", "py_compile", name + ".py"}, environ: []string{"PYTHONPYCACHEPREFIX=" + t.TempDir()}}
		if out, code := check.run(t); code != 0 {
			t.Errorf("%s: %s", name, out)
		}
	}
	if _, code := (&program{args: []string{"python3", "-c", "import openai"}}).run(t); code != 0 {
		t.Skip("only the syntax was checked: this python3 has no module openai")
	}
	testExamples(t, d, func(name string) *program { return &program{dir: dir, args: []string{"python3", name + ".py"}} })
	d.paste(t, "Python", t.TempDir())
}

func TestExamples_lock_file_names_no_registry(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, "examples/javascript/package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte("://")) || !bytes.Contains(text, []byte(`"integrity"`)) {
		t.Errorf("%s", text)
	}
}

// testExamples runs each example before a mnemo, where it must succeed, and
// before the model alone, where it must notice that nothing remembers.
func testExamples(t *testing.T, d *demo, example func(name string) *program) {
	t.Helper()
	proof := map[string]string{"chat": "Your name is Ada.", "stream": "Your name is Ada.", "tools": "get_weather(Oslo) says: 7 degrees"}
	complaint := map[string]string{"chat": "there was no memory", "stream": "there was no memory", "tools": "400"}
	for _, name := range exampleNames {
		p := example(name)
		p.environ = []string{"MNEMO_URL=" + d.url}
		if out, code := p.run(t); code != 0 || !strings.Contains(out, proof[name]) {
			t.Errorf("%s exits with %d: %s", name, code, out)
		}
		p.environ = []string{"MNEMO_URL=" + d.model.url()}
		if out, code := p.run(t); code == 0 || !strings.Contains(out, complaint[name]) {
			t.Errorf("%s without memory exits with %d: %s", name, code, out)
		}
	}
}

// paste runs what the demo prints for a language, but for the installation.
func (d *demo) paste(t *testing.T, language, dir string) {
	t.Helper()
	for _, s := range demoSnippets(d.url) {
		if s.language != language {
			continue
		}
		if out, code := (&program{dir: dir, args: []string{"sh", "-c", s.command}}).run(t); code != 0 || !strings.Contains(out, "Your name is Ada.") {
			t.Errorf("the snippet exits with %d: %s", code, out)
		}
		return
	}
	t.Errorf("no snippet for %s", language)
}

func exampleDemo(t *testing.T) *demo {
	t.Helper()
	var errs bytes.Buffer
	d, err := startDemo(t.Context(), &process{stderr: &errs}, "127.0.0.1:0", 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.close(); err != nil || errs.Len() > 0 {
			t.Errorf("%v, logged %s", err, errs.String())
		}
	})
	return d
}

type program struct {
	dir     string
	args    []string
	environ []string // beside that of the test
}

func (p *program) run(t *testing.T) (output string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), exampleTimeout)
	defer cancel()
	c := exec.CommandContext(ctx, p.args[0], p.args[1:]...)
	c.Dir = p.dir
	c.Env = append(os.Environ(), "OPENAI_API_KEY=demo")
	c.Env = append(c.Env, p.environ...)
	out, err := c.CombinedOutput()
	if failed := new(exec.ExitError); err != nil && !errors.As(err, &failed) {
		t.Fatalf("%s: %v", p.args, err)
	}
	return string(out), c.ProcessState.ExitCode()
}

// need skips a test whose programs are not installed.
func need(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed", name)
		}
	}
}

func copyFiles(t *testing.T, from, to string, names ...string) {
	t.Helper()
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

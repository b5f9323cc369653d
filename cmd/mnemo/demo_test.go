package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"go.uber.org/goleak"
)

func TestDemo_plays_its_conversations_and_exits(t *testing.T) {
	temporary := temporaryDir(t)
	code, out, errs := start(t, nil, "demo", "--once", "--listen", "127.0.0.1:0")
	if code != exitOK || errs != "" {
		t.Fatalf("exits with %d, says %q", code, errs)
	}
	for _, want := range []string{
		"user: My name is Ada and I live in Paris.\n", "added nothing: the session is new\n", "X-Memory-Turns: 1\n", "added 2 earlier exchanges, ",
		"answer   Your name is Ada.\n", "answer   I do not know your name: ", "answer   You live in Paris.\n",
		"\nmemory     works", "\nisolation  works",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in %s", want, out)
		}
	}
	if strings.Contains(out, "Ctrl-C") || strings.Contains(out, "\x1b") {
		t.Error(out)
	}
	wantEmpty(t, temporary)
}

func TestDemo_serves_until_it_is_told_to_stop(t *testing.T) {
	temporary, running := temporaryDir(t), goleak.IgnoreCurrent()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	shown, stdout := io.Pipe()
	var errs bytes.Buffer
	exited := make(chan int, 1)
	go func() {
		exited <- run(ctx, []string{"demo", "--listen", "127.0.0.1:0"}, nil, nil, stdout, &errs)
		stdout.Close()
	}()
	lines := bufio.NewReader(shown)
	address := lineWith(t, lines, `^mnemo serves at (\S+) until you press Ctrl-C`)
	for _, language := range []string{"curl", "Python", "JavaScript", "Go"} {
		lineWith(t, lines, "^--- "+language+" -+$")
		lineWith(t, lines, regexp.QuoteMeta(address))
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	answer := exchange(t, http.MethodPost, address+"/chat/completions", helloBody+`}`)
	if answer.status != http.StatusOK || gjson.Get(answer.body, "choices.0.message.content").String() == "" {
		t.Errorf("%d %s", answer.status, answer.body)
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	if code := <-exited; code != exitOK || errs.Len() > 0 {
		t.Errorf("exits with %d, says %q", code, errs.String())
	}
	wantEmpty(t, temporary)
	goleak.VerifyNone(t, running, idleCleaner, clock)
}

func TestDemo_fails_if_it_is_stopped_in_its_conversations(t *testing.T) {
	temporary := temporaryDir(t)
	ctx, stop := context.WithCancel(t.Context())
	var errs bytes.Buffer
	code := run(ctx, []string{"demo", "--listen", "127.0.0.1:0"}, nil, nil, writerFunc(func(p []byte) {
		if strings.Contains(string(p), "[2]") {
			stop()
		}
	}), &errs)
	if code != exitFailed || !strings.Contains(errs.String(), "mnemo: demo: ") {
		t.Errorf("exits with %d, says %q", code, errs.String())
	}
	wantEmpty(t, temporary)
}

func TestDemoSnippets_can_be_pasted(t *testing.T) {
	for _, s := range demoSnippets("http://127.0.0.1:1/v1") {
		if text := s.String(); !strings.Contains(text, "http://127.0.0.1:1/v1") || strings.Contains(text, "{url}") || strings.Contains(text, "\t") {
			t.Error(text)
		}
	}
}

func TestReachable_is_an_address_for_this_machine(t *testing.T) {
	for listening, want := range map[string]string{
		"http://127.0.0.1:80": "http://127.0.0.1:80/v1", "http://0.0.0.0:8080": "http://127.0.0.1:8080/v1",
		"http://[::]:8080": "http://127.0.0.1:8080/v1", "http://[::1]:8080": "http://[::1]:8080/v1",
	} {
		if got, err := reachable(listening); got != want || err != nil {
			t.Errorf("%s: %s, %v", listening, got, err)
		}
	}
	if got, err := reachable("http://%zz"); err == nil {
		t.Error(got)
	}
}

func TestDemo_says_who_can_reach_it(t *testing.T) {
	var out bytes.Buffer
	d := &demo{open: true, model: demoModelFor(t, 0)}
	d.introduce(&process{stdout: &out})
	if !strings.Contains(out.String(), "Other machines can reach this demo") {
		t.Error(out.String())
	}
}

type writerFunc func([]byte)

func (w writerFunc) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}

// temporaryDir is where temporary files of the test are.
func temporaryDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	return dir
}

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v, %v are left", left, err)
	}
}

// lineWith reads lines until one matches and returns its first group, or all.
func lineWith(t *testing.T, lines *bufio.Reader, pattern string) string {
	t.Helper()
	wanted := regexp.MustCompile(pattern)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("no line with %s: %v", pattern, err)
		}
		if found := wanted.FindStringSubmatch(strings.TrimSuffix(line, "\n")); found != nil {
			return found[len(found)-1]
		}
	}
}

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"go.uber.org/goleak"
)

const (
	// programEnv makes the test binary the program.
	programEnv = "RUN_AS_MNEMO"
	// patience bounds a wait for another process.
	patience = 20 * time.Second
	// clientKey is what clients present, unless they say otherwise.
	clientKey = "sk-client-5ecret"
	// patientStore is for tests that must not lose memory where the machine is busy.
	patientStore = "store: {load_timeout: 10s}\n"
)

// What a fasthttp server leaves behind: a cleaner that sleeps on for up to 10 s,
// and a clock that never stops.
var (
	idleCleaner = goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2")
	clock       = goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1")
)

// In the processes that the tests start, the test binary is the program.
func TestMain(m *testing.M) {
	if os.Getenv(programEnv) != "" {
		main()
	}
	goleak.VerifyTestMain(m, idleCleaner, clock)
}

// A setup is how a mnemo is started. Its environment holds nothing else.
type setup struct {
	dir     string // where it runs; "": a fresh one
	file    string // mnemo.yaml, if there is one
	environ []string
	args    []string
	trust   *http.Transport // of the clients; nil: one that trusts nobody new
	deaf    bool            // nobody reads the log beyond the line that tells the address
	listens bool            // the file says where; else it is a free port
}

// A mnemo is a process that serves.
type mnemo struct {
	url    string // without /v1
	http   *http.Client
	log    *logLines
	cmd    *exec.Cmd
	exited chan struct{}
}

// serve starts a process that listens on a free port and logs JSON, and waits
// until it does. It is stopped with the test, and must exit with 0 then.
func serve(t *testing.T, o setup) *mnemo {
	t.Helper()
	if o.dir == "" {
		o.dir = t.TempDir()
	}
	if o.file != "" {
		if err := os.WriteFile(filepath.Join(o.dir, "mnemo.yaml"), []byte(o.file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if o.trust == nil {
		o.trust = &http.Transport{}
	}
	o.trust.MaxIdleConnsPerHost = 64
	m := &mnemo{log: newLogLines(), http: &http.Client{Transport: o.trust, Timeout: patience}, exited: make(chan struct{})}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"serve", "--log", "json"}
	if !o.listens {
		args = append(args, "--listen", "127.0.0.1:0")
	}
	m.cmd = exec.CommandContext(context.Background(), program, append(args, o.args...)...)
	// The race detector would make each process sleep for a second at its end.
	m.cmd.Dir, m.cmd.Env = o.dir, append([]string{programEnv + "=1", "GORACE=atexit_sleep_ms=0"}, o.environ...)
	log, err := m.cmd.StderrPipe()
	if err == nil {
		err = m.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		m.log.read(log, o.deaf)
		_ = m.cmd.Wait() // its state is what the tests ask for
		close(m.exited)
	}()
	t.Cleanup(func() { m.cleanUp(t) })
	m.url = gjson.Get(m.log.wait(t, `"msg":"listening"`), "url").String()
	return m
}

// kill ends the process with SIGKILL.
func (m *mnemo) kill() {
	_ = m.cmd.Process.Kill() // it may be gone already
	<-m.exited
	m.http.CloseIdleConnections()
}

// terminate sends SIGTERM.
func (m *mnemo) terminate(t *testing.T) {
	t.Helper()
	if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("signal: %v", err)
	}
}

// wait waits until the process has ended and returns its exit code.
func (m *mnemo) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-m.exited:
	case <-time.After(patience):
		t.Errorf("it still runs; its log:\n%s", m.log)
		m.kill()
	}
	return m.cmd.ProcessState.ExitCode()
}

// Private

func (m *mnemo) cleanUp(t *testing.T) {
	m.http.CloseIdleConnections()
	select {
	case <-m.exited:
	default:
		m.terminate(t)
		if code := m.wait(t); code != exitOK {
			t.Errorf("exits with %d; its log:\n%s", code, m.log)
		}
	}
	for _, bad := range []string{"DATA RACE", "panic"} {
		if strings.Contains(m.log.String(), bad) {
			t.Error(m.log)
		}
	}
}

// logLines is what a process has written to its log so far.
type logLines struct {
	mu      sync.Mutex
	lines   []string
	changed chan struct{} // closed when a line comes
	ended   bool
}

func newLogLines() *logLines { return &logLines{changed: make(chan struct{})} }

// read takes lines until the log ends; or, if it is to be left unread, until the
// process listens.
func (l *logLines) read(from io.Reader, leave bool) {
	r := bufio.NewReader(from)
	for {
		line, err := r.ReadString('\n')
		l.mu.Lock()
		if line != "" {
			l.lines = append(l.lines, line)
		}
		l.ended = err != nil
		close(l.changed)
		l.changed = make(chan struct{})
		l.mu.Unlock()
		if err != nil || leave && strings.Contains(line, `"msg":"listening"`) {
			return
		}
	}
}

// all returns the lines that hold part.
func (l *logLines) all(part string) (lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.Contains(line, part) {
			lines = append(lines, line)
		}
	}
	return lines
}

// wait returns the first line that holds part, as soon as it is there.
func (l *logLines) wait(t *testing.T, part string) string {
	t.Helper()
	return l.waitAll(t, part, 1)[0]
}

// waitAll returns the lines that hold part, as soon as there are n of them.
func (l *logLines) waitAll(t *testing.T, part string, n int) []string {
	t.Helper()
	end := time.After(patience)
	for {
		l.mu.Lock()
		changed, ended := l.changed, l.ended
		l.mu.Unlock()
		if found := l.all(part); len(found) >= n {
			return found
		}
		if ended {
			t.Fatalf("the log ended without %d of %s:\n%s", n, part, l)
		}
		select {
		case <-changed:
		case <-end:
			t.Fatalf("%d of %s do not come in the log:\n%s", n, part, l)
		}
	}
}

func (l *logLines) String() string { return strings.Join(l.all(""), "") }

// A turn is what a client says, and to whom.
type turn struct {
	session string
	text    string
	key     string // "": clientKey
	stream  bool
}

// An answer is one whose end the client has seen.
type answer struct {
	status int
	header http.Header
	body   string
	text   string // what the assistant said
}

// ask sends one message and reads the answer. It returns an error unless it saw
// the answer's end.
func (m *mnemo) ask(ctx context.Context, q turn) (answer, error) {
	response, err := m.begin(ctx, q)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	a := answer{status: response.StatusCode, header: response.Header, body: string(body)}
	if err != nil || a.status != http.StatusOK {
		return a, err
	}
	if !q.stream {
		a.text = gjson.Get(a.body, "choices.0.message.content").String()
		return a, nil
	}
	for line := range strings.Lines(a.body) {
		a.text += gjson.Get(strings.TrimPrefix(line, "data: "), "choices.0.delta.content").String()
	}
	if !strings.HasSuffix(a.body, "data: [DONE]\n\n") {
		err = fmt.Errorf("the stream has no end: %s", a.body)
	}
	return a, err
}

// begin sends one message and returns when the answer begins.
func (m *mnemo) begin(ctx context.Context, q turn) (*http.Response, error) {
	body := fmt.Sprintf(`{"model":"gpt-4o","stream":%t,"messages":[{"role":"user","content":%q}]}`, q.stream, q.text)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+clientKey)
	if q.key != "" {
		request.Header.Set("Authorization", "Bearer "+q.key)
	}
	if q.session != "" {
		request.Header.Set("X-Session-ID", q.session)
	}
	return m.http.Do(request)
}

// says asks, and expects the answer.
func (m *mnemo) says(t *testing.T, q turn, want string) answer {
	t.Helper()
	a, err := m.ask(t.Context(), q)
	if err != nil || a.status != http.StatusOK || a.text != want {
		t.Errorf("%q is answered with %d %s (%v), want %q", q.text, a.status, a.body, err, want)
	}
	return a
}

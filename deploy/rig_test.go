// Package deploy holds what is to be looked at with other programs. There are only
// tests here: that they find what they show in a real run.
package deploy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mnemo/memory/storetest/redisserver"
)

// patience bounds a wait for another process.
const patience = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A process is one that the test started, and stops with SIGTERM.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
	log   lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs a program in a folder until the test ends.
func start(t *testing.T, dir, program string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.CommandContext(context.Background(), program, args...), ended: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = dir, []string{"HOME=" + dir}
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // its log says more
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may be gone already
		select {
		case <-p.ended:
		case <-time.After(patience):
			_ = p.cmd.Process.Kill()
			<-p.ended
		}
		http.DefaultClient.CloseIdleConnections()
		if t.Failed() {
			said := regexp.MustCompile(`.*"msg":"request".*\n`).ReplaceAllString(p.log.String(), "")
			t.Logf("%s said at last:\n%s", filepath.Base(program), said[max(0, len(said)-4000):])
		}
	})
	return p
}

// startMnemo builds and runs the program, with mnemo.yaml in that folder, and returns
// where it listens.
func startMnemo(t *testing.T, dir string) (url string) {
	t.Helper()
	program := filepath.Join(dir, "mnemo")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../cmd/mnemo").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p := start(t, dir, program, "serve", "--listen", "127.0.0.1:0", "--log", "json")
	p.wait(t, "it does not listen", func() bool {
		for lines := bufio.NewScanner(bytes.NewBufferString(p.log.String())); lines.Scan(); {
			var line struct{ Msg, URL string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
				url = line.URL
			}
		}
		return url != ""
	})
	return url
}

// startPrometheus runs one that scrapes twice a second and knows the alerts.
func startPrometheus(t *testing.T, dir, target string) (url string) {
	t.Helper()
	rules, err := filepath.Abs("prometheus/mnemo-rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	config := "global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 1s}\nrule_files: ['" + rules + "']\n" +
		"scrape_configs: [{job_name: mnemo, static_configs: [{targets: ['" + target + "']}]}]\n"
	file, addr := filepath.Join(dir, "prometheus.yml"), redisserver.FreeAddr(t)
	write(t, file, config)
	p := start(t, dir, "prometheus", "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr, "--log.level=warn")
	url = "http://" + addr
	p.wait(t, "it does not scrape", func() bool { // not before it has looked for targets for 5 s
		_, body := get(t, url+"/api/v1/query?query=up")
		return bytes.Contains(body, []byte(`"value"`))
	})
	return url
}

// wait asks until another process has done something.
func (p *process) wait(t *testing.T, not string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); {
		select {
		case <-p.ended:
			t.Fatalf("it has ended: %s", p.log.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %s", not, p.log.String())
		}
	}
}

func get(t *testing.T, url string) (status int, body []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil
	}
	defer answer.Body.Close()
	body, _ = io.ReadAll(answer.Body)
	return answer.StatusCode, body
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// need skips a test, or fails it where CI=true, if programs are not installed.
func need(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is not installed", name)
			}
			t.Skipf("%s is not installed", name)
		}
	}
}

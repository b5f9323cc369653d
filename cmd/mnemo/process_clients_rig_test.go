package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tidwall/gjson"
)

// chat makes a call and reads its answer. It returns an error unless it saw the
// answer's end.
func (m *mnemo) chat(ctx context.Context, session, body string, header http.Header) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for name, values := range header {
		request.Header[name] = values
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+clientKey)
	if session != "" {
		request.Header.Set("X-Session-ID", session)
	}
	response, err := m.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	return readAnswer(response, gjson.Get(body, "stream").Bool())
}

// manage makes a call of the management API, below the sessions.
func (m *mnemo) manage(t *testing.T, key, method, path, body string) (status int, said string) {
	t.Helper()
	if !strings.HasPrefix(path, "?") && path != "" {
		path = "/" + path
	}
	request, err := http.NewRequestWithContext(t.Context(), method, m.url+"/api/sessions"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	response, err := m.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	a, err := readAnswer(response, false)
	if err != nil {
		t.Fatal(err)
	}
	return a.status, a.body
}

// wantTurns compares a session's log, as the management API shows it.
func wantTurns(t *testing.T, m *mnemo, session string, live, superseded []string) {
	t.Helper()
	if got := turnsOf(t, m, session+"/messages"); !slices.Equal(got, live) {
		t.Errorf("live are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(live, "\n"))
	}
	all := slices.Sorted(slices.Values(slices.Concat(live, superseded)))
	if got := turnsOf(t, m, session+"/messages?superseded=true"); !slices.Equal(got, all) {
		t.Errorf("stored are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(all, "\n"))
	}
}

func turnsOf(t *testing.T, m *mnemo, path string) (turns []string) {
	t.Helper()
	status, page := m.manage(t, clientKey, http.MethodGet, path, "")
	if status != http.StatusOK || gjson.Get(page, "next_cursor").Int() != 0 {
		t.Fatalf("%s: %d %s", path, status, page)
	}
	for _, stored := range gjson.Get(page, "turns").Array() {
		var said []string
		for _, m := range stored.Get("messages").Array() {
			text := textIn(m.Get("content"))
			if calls := m.Get("tool_calls.#.id").Array(); len(calls) > 0 {
				text = "calls " + calls[0].String()
			}
			said = append(said, m.Get("role").String()+": "+text)
		}
		line := stored.Get("seq").String() + " " + strings.Join(said, " / ")
		if by := stored.Get("superseded_by"); by.Int() != 0 {
			line += " by " + by.String()
		}
		turns = append(turns, line)
	}
	return turns
}

// A javaScript is a directory with the official SDK.
type javaScript struct{ dir string }

func newJavaScript(t *testing.T) *javaScript {
	t.Helper()
	need(t, "node", "npm")
	j := &javaScript{t.TempDir()}
	copyFiles(t, filepath.Join(repository, "examples/javascript"), j.dir, "package.json", "package-lock.json")
	install := &program{dir: j.dir, args: []string{"npm", "ci", "--prefer-offline", "--no-audit", "--no-fund"}}
	if out, code := install.run(t); code != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal(out)
		}
		t.Skipf("npm ci, which needs the registry: %s", out)
	}
	if err := os.WriteFile(filepath.Join(j.dir, "client.mjs"), []byte(clientModule), 0o600); err != nil {
		t.Fatal(err)
	}
	return j
}

// run runs a program whose client talks to the address, and returns what it prints.
func (j *javaScript) run(t *testing.T, url, session, text string) string {
	t.Helper()
	text = "import { client, create, model, stream, tools } from \"./client.mjs\";\n" + text
	if err := os.WriteFile(filepath.Join(j.dir, "program.mjs"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &program{dir: j.dir, args: []string{"node", "program.mjs"},
		environ: []string{"MNEMO_URL=" + url + "/v1", "OPENAI_API_KEY=" + clientKey, "SESSION=" + session}}
	out, code := p.run(t)
	if code != 0 {
		t.Fatalf("it exits with %d: %s", code, out)
	}
	return out
}

// A lossy network drops the answer to each first attempt when it is complete.
type lossy struct {
	url  string
	lost atomic.Int64
}

func newLossy(t *testing.T, m *mnemo) *lossy {
	l := &lossy{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := r.Clone(r.Context())
		request.RequestURI, request.Host = "", ""
		request.URL.Scheme, request.URL.Host = "http", strings.TrimPrefix(m.url, "http://")
		response, err := m.http.Do(request)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil || r.Header.Get("X-Stainless-Retry-Count") == "0" {
			l.lost.Add(1)
			panic(http.ErrAbortHandler)
		}
		for name, values := range response.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(response.StatusCode)
		_, _ = w.Write(body) // the client may be gone
	}))
	t.Cleanup(server.Close)
	l.url = server.URL
	return l
}

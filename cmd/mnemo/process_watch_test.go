package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"mnemo/memory/storetest/redisserver"
)

func TestMnemo_shows_metrics_that_tell_nothing_private(t *testing.T) {
	const session, content = "session-5ecret", "Content-5ecret"
	m := serve(t, setup{args: []string{"--upstream", newFakeModel(t).url}})
	m.says(t, turn{session: session, text: content}, heard(content))
	m.says(t, turn{session: session, text: content, stream: true}, heard(content))
	m.wantAccessLines(t, 2) // what is logged has been measured
	metrics := m.page(t, "/metrics", http.StatusOK)
	for _, want := range []string{
		"\ngen_ai_client_token_usage_bucket{", "\ngen_ai_client_operation_duration_seconds_bucket{",
		"\ngen_ai_client_operation_time_to_first_chunk_seconds_bucket{",
		"\nmnemo_http_requests_total{", "\nmnemo_store_duration_seconds_bucket{", "\nmnemo_memory_calls_total{",
		"\nmnemo_upstream_attempts_total{", "\nmnemo_build_info{",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("%q is not in the metrics", want)
		}
	}
	wantNone(t, metrics, session, content, clientKey)
}

func TestMnemo_logs_each_request_once_and_nothing_private(t *testing.T) {
	const session, content, upstreamKey = "session-5ecret", "Content-5ecret", "sk-upstream-5ecret"
	up := newFakeModel(t)
	redis := "redis://:password-5ecret@127.0.0.1:1"
	processes := []*mnemo{
		serve(t, setup{args: []string{"--upstream", up.url, "--log-level", "debug"}}),
		serve(t, setup{environ: []string{"MNEMO_UPSTREAM_KEYS=" + upstreamKey, "MNEMO_RETRIES=0"}, args: []string{"--upstream", up.url, "--log-level", "debug"}}),
		serve(t, setup{args: []string{"--upstream", "http://127.0.0.1:1/v1", "--store", redis, "--log-level", "debug"},
			environ: []string{"MNEMO_RETRIES=0"}}),
	}
	requests := []struct{ path, session, body string }{
		{"/v1/chat/completions", session, `{"model":"gpt-4o","messages":[{"role":"user","content":"` + content + `"}]}`},
		{"/v1/chat/completions", session, `{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"` + content + `"}]}`},
		{"/v1/chat/completions", "", `{"model":"gpt-4o","messages":[{"role":"user","content":"` + content + `"}]}`},
		{"/v1/chat/completions", session + " with a blank", `{}`},
		{"/v1/chat/completions", session, `{"model":"gpt-4o","messages":"` + content + `"}`},
		{"/v1/chat/completions", session, content},
		{"/v1/chat/completions", session, `{"model":"401","messages":[{"role":"user","content":"` + content + `"}]}`},
		{"/v1/chat/completions", session, `{"model":"500","messages":[{"role":"user","content":"` + content + `"}]}`},
		{"/s/" + session + "/v1/chat/completions", "", `{"model":"gpt-4o","messages":[{"role":"user","content":"` + content + `"}]}`},
		{"/v1/embeddings?key=" + clientKey, session, `{"model":"gpt-4o","messages":[{"role":"user","content":"` + content + `"}]}`},
		{"/v1/files/" + content, "", content},
	}
	for _, m := range processes {
		for _, r := range requests {
			m.post(t, r.path, r.session, r.body)
		}
		m.wantAccessLines(t, len(requests))
		m.terminate(t)
		m.wait(t)
		m.wantAccessLines(t, len(requests))
		wantNone(t, m.log.String(), session, content, clientKey, upstreamKey, "password-5ecret")
	}
}

func TestMnemo_works_on_without_its_store(t *testing.T) {
	up, server := newFakeModel(t), redisserver.Start(t)
	b := redisBackend(server)
	// Only the load timeout can end the wait for a store that hangs.
	m := serve(t, setup{file: "store: {load_timeout: 2s}\n", args: []string{"--upstream", up.url, "--store", b.url + "?read_timeout=10m"}})
	m.says(t, turn{session: "s", text: "My name is Ada."}, heard("My name is Ada."))
	m.page(t, "/readyz", http.StatusOK)
	wantBypassed := func() {
		t.Helper()
		for _, stream := range []bool{false, true} {
			a := m.says(t, turn{session: "s", text: "What is my name?", stream: stream}, "I do not know your name.")
			if got := a.header.Get("X-Memory-Status"); got != "bypassed" {
				t.Errorf("memory is %q", got)
			}
		}
	}
	if said, err := server.Do("CLIENT", "PAUSE", "600000"); err != nil || said != "+OK" {
		t.Fatal(said, err)
	}
	wantBypassed()
	server.Kill()
	wantBypassed()
	page := m.page(t, "/readyz", http.StatusServiceUnavailable)
	if gjson.Get(page, "store").String() == "ok" || gjson.Get(page, "upstreams").String() != "ok" {
		t.Errorf("it says %s", page)
	}
	m.page(t, "/healthz", http.StatusOK)
	server.Restart(t)
	m.wantReady(t)
	a := m.says(t, turn{session: "s", text: "What is my name?"}, "Your name is Ada.")
	if got := a.header.Get("X-Memory-Status"); got != "ok" {
		t.Errorf("memory is %q", got)
	}
	wantNone(t, m.log.String(), clientKey, "My name is")
}

// page fetches a page of the process's own.
func (m *mnemo) page(t *testing.T, path string, want int) string {
	t.Helper()
	status, body, err := m.get(t.Context(), path)
	if err != nil || status != want {
		t.Errorf("%s answers %d %s, %v, want %d", path, status, body, err, want)
	}
	return body
}

func (m *mnemo) get(ctx context.Context, path string) (status int, body string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url+path, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	response, err := m.http.Do(request)
	if err != nil {
		return 0, "", err
	}
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), errors.Join(err, response.Body.Close())
}

// wantReady waits until the process is ready again, which nothing announces.
func (m *mnemo) wantReady(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		status, body, err := m.get(ctx, "/readyz")
		if err == nil && status == http.StatusOK {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("it is not ready: %d %s, %v", status, body, err)
		}
	}
}

// post sends any request and reads its answer, whatever it is.
func (m *mnemo) post(t *testing.T, path, session, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, m.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+clientKey)
	if session != "" {
		request.Header.Set("X-Session-ID", session)
	}
	response, err := m.http.Do(request)
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return
	}
	response.Body.Close()
}

// wantAccessLines waits for the lines of so many requests, and wants no more.
func (m *mnemo) wantAccessLines(t *testing.T, n int) {
	t.Helper()
	lines := m.log.waitAll(t, "duration_us", n)
	if len(lines) != n {
		t.Errorf("%d requests have the lines\n%s", n, strings.Join(lines, ""))
	}
}

// wantNone wants none of the secrets in a text.
func wantNone(t *testing.T, text string, secrets ...string) {
	t.Helper()
	for line := range strings.Lines(text) {
		for _, secret := range secrets {
			if strings.Contains(line, secret) {
				t.Errorf("%s is told by %s", secret, line)
			}
		}
	}
	if text == "" {
		t.Error(fmt.Sprint("nothing to look for ", secrets, " in"))
	}
}

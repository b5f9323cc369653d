package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const modelList = `{"object":"list","data":[{"id":"gpt-4o","object":"model"},{"id":"gpt-4o-mini","object":"model"}]}`

func TestCheckLive_tells_what_each_key_is_good_for(t *testing.T) {
	server := modelServer(t)
	refusing := closedAddress(t)
	file(t, "mnemo.yaml", `
upstreams:
  - name: openai
    url: `+server.URL+`/v1
    organization: org-1
    project: proj-1
    headers: {X-Team: blue}
    keys:
      - {label: good, value: sk-good}
      - {label: wrong, value: sk-401}
      - {label: forbidden, value: sk-403}
      - {label: unpaid, value: sk-402}
      - {label: empty, value: sk-quota}
      - {label: limited, value: sk-429}
      - {label: often, value: sk-429-bare}
      - {label: bare, value: sk-404}
      - {label: page, value: sk-html}
      - {label: down, value: sk-503}
      - {label: cut, value: sk-cut}
      - {label: away, value: sk-302}
  - {name: gone, url: "http://`+refusing+`/v1", keys: [{label: k, value: sk-good}]}
  - {name: nowhere, url: "http://mnemo.invalid/v1", proxy: direct}
  - {name: own, url: "`+server.URL+`/v1"}
`)
	code, out, errs := start(t, nil, "check", "--live")
	_, table, _ := strings.Cut(out, "UPSTREAM ")
	for _, want := range []string{
		`openai +good +ok +\d+ ms +2`,
		`openai +wrong +refused \(401\) +\d+ ms +-`,
		`openai +forbidden +refused \(403\) `,
		`openai +unpaid +no money \(402\) `,
		`openai +empty +no money \(429\) `,
		`openai +limited +limited \(429\) for 1m30s `,
		`openai +often +limited \(429\)  `,
		`openai +bare +answers, no model list \(404\) `,
		`openai +page +answers, no model list \(200\) `,
		`openai +down +fails \(503\) `,
		`openai +cut +unreachable \(the connection broke\) `,
		`openai +away +answers, no model list \(302\) `,
		`gone +k +unreachable \(connection refused\) `,
		`nowhere +- +unreachable \(DNS: .+\) `,
		`own +- +answers, wants the client's key \(401\) `,
	} {
		if !regexp.MustCompile(`(?m)^` + want).MatchString(table) {
			t.Errorf("no line %s in\n%s", want, table)
		}
	}
	if want := "mnemo: upstream gone cannot be used\nmnemo: upstream nowhere cannot be used\n"; code != exitFailed || errs != want {
		t.Errorf("exits with %d, says %s", code, errs)
	}
	if !strings.HasPrefix(out, "SETTING") || strings.Contains(out+errs, "sk-") {
		t.Errorf("the settings are missing, or a key is shown in\n%s%s", out, errs)
	}
}

func TestCheckLive_says_which_models_of_routes_an_upstream_does_not_list(t *testing.T) {
	server := modelServer(t)
	file(t, "mnemo.yaml", `
upstreams: [{name: openai, url: "`+server.URL+`/v1", keys: [{value: sk-good}, {value: sk-404}]}, {name: bare, url: "`+server.URL+`/v1", keys: [{value: sk-404}]}]
routes:
  - {model: "gpt-4*", to: [{upstream: openai}]}
  - {model: o9, to: [{upstream: openai}, {upstream: bare}], degrade: [{upstream: openai, model: o9-mini}]}
  - {model: "claude-*", to: [{upstream: openai}, {upstream: openai, model: gpt-4o}]}
`)
	code, out, errs := start(t, nil, "check", "--live")
	want := `
Upstream openai does not list o9, which a route sends there.
Upstream openai does not list o9-mini, which a route sends there.
Upstream openai does not list claude-*, which a route sends there.
`
	if code != exitOK || errs != "" || !strings.HasSuffix(out, "\n"+want) {
		t.Errorf("exits with %d, says %s\n%s", code, errs, out)
	}
}

func TestCheckLive_prints_the_same_as_JSON(t *testing.T) {
	server := modelServer(t)
	file(t, "mnemo.yaml", `
upstreams: [{name: openai, url: "`+server.URL+`/v1", keys: [{label: a, value: sk-good}, {label: b, value: sk-429}]}, {name: bad, url: "`+server.URL+`/v1", keys: [{label: c, value: sk-401}]}]
routes: [{model: o9, to: [{upstream: openai}]}]
`)
	code, out, errs := start(t, nil, "check", "--live", "--json")
	out = regexp.MustCompile(`"latency_ms": [0-9.]+`).ReplaceAllString(out, `"latency_ms": 1`)
	want := `{"upstreams": [
		{"name": "openai", "usable": true, "keys": [
			{"label": "a", "result": "ok", "status": 200, "latency_ms": 1, "models": 2},
			{"label": "b", "result": "limited", "status": 429, "retry_after": 90, "latency_ms": 1}],
		 "unlisted_models": ["o9"]},
		{"name": "bad", "usable": false, "keys": [{"label": "c", "result": "refused", "status": 401, "latency_ms": 1}], "unlisted_models": []}]}`
	if code != exitFailed || errs != "mnemo: upstream bad cannot be used\n" || compact(t, out) != compact(t, want) {
		t.Errorf("exits with %d, says %s\n%s", code, errs, out)
	}
	if code, out, errs := start(t, nil, "check", "--json"); code != exitFailed || out != "" || !strings.Contains(errs, "--live") {
		t.Errorf("without --live exits with %d, says %s%s", code, out, errs)
	}
}

func TestCheckLive_counts_only_keys_that_get_calls(t *testing.T) {
	server := modelServer(t)
	for text, want := range map[string]int{
		"keys: [{value: sk-good, weight: 0}, {value: sk-401}]": exitFailed,
		"keys: [{value: sk-401, weight: 0}, {value: sk-good}]": exitOK,
		"keys: [{value: sk-429}]":                              exitOK,
		"keys: [{value: sk-503}]":                              exitFailed,
	} {
		file(t, "mnemo.yaml", "upstreams: [{name: a, url: "+server.URL+"/v1, "+text+"}]")
		if code, out, errs := start(t, nil, "check", "--live"); code != want {
			t.Errorf("%s exits with %d, says %s\n%s", text, code, errs, out)
		}
	}
}

func TestCheckLive_calls_without_a_key_as_mnemo_would(t *testing.T) {
	server := modelServer(t)
	const hash = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	for text, want := range map[string]string{
		"auth: {mode: passthrough}": "answers, wants the client's key (401)",
		"auth: {mode: none}":        "answers, wants the client's key (401)",
		"auth: {mode: keys, keys: [{name: app, hash: '" + hash + "'}]}": "refused (401)", // nobody brings one
	} {
		file(t, "mnemo.yaml", text+"\nupstreams: [{name: a, url: "+server.URL+"/v1}]")
		if _, out, errs := start(t, nil, "check", "--live"); !strings.Contains(out, want) {
			t.Errorf("%s says %s\n%s", text, errs, out)
		}
	}
}

func TestCheckLive_trusts_the_authority_of_the_upstream(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(serveModels))
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	upstream := "name: a, keys: [{value: sk-good}], url: '" + server.URL + "/v1'"
	for settings, want := range map[string]string{
		upstream + ", ca: " + ca: "ok",
		upstream:                 "unreachable (TLS: x509: certificate signed by unknown authority)",
		strings.Replace(upstream, "127.0.0.1", "localhost", 1) + ", ca: " + ca:                           "unreachable (TLS: x509: certificate is valid for ",
		strings.Replace(upstream, server.URL, "https"+strings.TrimPrefix(modelServer(t).URL, "http"), 1): "unreachable (TLS: it does not speak TLS)",
	} {
		file(t, "mnemo.yaml", "upstreams: [{"+settings+"}]")
		_, out, errs := start(t, nil, "check", "--live")
		if !strings.Contains(out, "  "+want) {
			t.Errorf("%s says %s\n%s", settings, errs, out)
		}
	}
}

func TestCheckLive_goes_through_the_proxy_of_the_upstream(t *testing.T) {
	secure := httptest.NewTLSServer(http.HandlerFunc(serveModels))
	defer secure.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	plain := modelServer(t)
	proxy, passed := proxyServer(t)
	address := strings.TrimPrefix(proxy, "http://")
	for settings, want := range map[string]string{
		"url: " + plain.URL + "/v1, proxy: 'http://user:pa%2Fss@" + address + "'":                    "ok",
		"url: " + secure.URL + "/v1, ca: '" + ca + "', proxy: 'http://user:pa%2Fss@" + address + "'": "ok",
		"url: " + plain.URL + "/v1, proxy: 'http://user:wrong@" + address + "'":                      "unreachable (proxy: it refuses its credentials)",
		"url: " + secure.URL + "/v1, proxy: 'http://user:wrong@" + address + "'":                     "unreachable (Proxy Authentication Required)",
		"url: " + plain.URL + "/v1, proxy: 'http://user:hidden@" + closedAddress(t) + "'":            "unreachable (proxy: connection refused)",
		"url: " + plain.URL + "/v1, proxy: 'socks5://user:hidden@" + closedAddress(t) + "'":          "unreachable (proxy: connection refused)",
	} {
		before := passed.Load()
		file(t, "mnemo.yaml", "upstreams: [{name: a, keys: [{value: sk-good}], "+settings+"}]")
		_, out, errs := start(t, nil, "check", "--live")
		if !strings.Contains(out, "  "+want+"  ") {
			t.Errorf("%s says %s\n%s", settings, errs, out)
		}
		if want == "ok" && passed.Load() != before+1 {
			t.Errorf("%s did not go through the proxy", settings)
		}
		for _, secret := range []string{"user", "pa/ss", "pa%2F", "wrong", "hidden", "sk-"} {
			if strings.Contains(out+errs, secret) {
				t.Errorf("%s is shown in\n%s%s", secret, out, errs)
			}
		}
	}
}

func TestCheckLive_gives_up_on_an_upstream_that_is_silent(t *testing.T) {
	left := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(left)
	}))
	defer server.Close()
	file(t, "mnemo.yaml", "upstreams: [{name: a, url: "+server.URL+"/v1, keys: [{value: k}]}]")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond) // before its own limit
	defer cancel()
	var out, errs strings.Builder
	if code := run(ctx, []string{"check", "--live"}, nil, strings.NewReader(""), &out, &errs); code != exitFailed || !strings.Contains(out.String(), "unreachable (timeout)") {
		t.Errorf("exits with %d, says %s\n%s", code, errs.String(), out.String())
	}
	<-left
}

func TestCheckLive_makes_eight_calls_at_a_time(t *testing.T) {
	var inFlight, most, arrived atomic.Int64
	gates := []chan struct{}{make(chan struct{}), make(chan struct{}), make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		now := inFlight.Add(1)
		for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
		}
		n := arrived.Add(1)
		gate := gates[(n-1)/callsAtOnce]
		if n%callsAtOnce == 0 {
			close(gate) // the last of a group lets all of it go
		}
		<-gate
		inFlight.Add(-1)
		_, _ = io.WriteString(w, modelList)
	}))
	defer server.Close()
	var keys []string
	for i := range 3 * callsAtOnce {
		keys = append(keys, fmt.Sprintf("{value: sk-%d}", i))
	}
	file(t, "mnemo.yaml", "upstreams: [{name: a, url: "+server.URL+"/v1, keys: ["+strings.Join(keys, ",")+"]}]")
	if code, out, errs := start(t, nil, "check", "--live"); code != exitOK || most.Load() != callsAtOnce || arrived.Load() != 3*callsAtOnce {
		t.Errorf("exits with %d after %d calls, %d at once, says %s\n%s", code, arrived.Load(), most.Load(), errs, out)
	}
}

func TestRetryAfter_reads_milliseconds_seconds_and_dates(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for want, h := range map[time.Duration]http.Header{
		0:                      {},
		250 * time.Millisecond: {"Retry-After-Ms": {"250"}, "Retry-After": {"9"}},
		9 * time.Second:        {"Retry-After": {"9"}},
		time.Minute:            {"Retry-After": {"Sat, 31 Jan 2026 12:01:00 GMT"}},
	} {
		if got := retryAfter(h, now); got != want {
			t.Errorf("%v gives %v, want %v", h, got, want)
		}
	}
	for _, text := range []string{"-1", "soon", "1.5", "99999999999999999999", "Sat, 31 Jan 2026 11:00:00 GMT"} {
		if got := retryAfter(http.Header{"Retry-After": {text}}, now); got != 0 {
			t.Errorf("%s gives %v", text, got)
		}
	}
}

// modelServer answers as the key asks for.
func modelServer(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(serveModels))
	t.Cleanup(server.Close)
	return server
}

func serveModels(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/v1/models" || r.Method != http.MethodGet {
		http.Error(w, "not asked for", http.StatusTeapot)
		return
	}
	switch key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "); key {
	case "sk-good":
		if r.Header.Get("X-Team") != "" && (r.Header.Get("OpenAI-Organization") != "org-1" || r.Header.Get("OpenAI-Project") != "proj-1") {
			http.Error(w, "headers are missing", http.StatusTeapot)
			return
		}
		_, _ = io.WriteString(w, modelList)
	case "", "sk-401":
		http.Error(w, `{"error":{"message":"Incorrect API key provided: `+key+`","code":"invalid_api_key"}}`, http.StatusUnauthorized)
	case "sk-402", "sk-403", "sk-404", "sk-503":
		var status int
		_, _ = fmt.Sscanf(key, "sk-%d", &status)
		http.Error(w, "{}", status)
	case "sk-302":
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	case "sk-quota":
		http.Error(w, `{"error":{"type":"insufficient_quota","code":null}}`, http.StatusTooManyRequests)
	case "sk-429":
		w.Header().Set("Retry-After", "90")
		http.Error(w, `{"error":{"code":"rate_limit_exceeded"}}`, http.StatusTooManyRequests)
	case "sk-429-bare":
		http.Error(w, "slow down", http.StatusTooManyRequests)
	case "sk-html":
		_, _ = io.WriteString(w, "<html>Welcome</html>")
	case "sk-cut":
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, modelList)
	}
}

// proxyServer is a proxy that knows one user, and counts what passed.
func proxyServer(t *testing.T) (url string, passed *atomic.Int64) {
	t.Helper()
	passed = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		known := &http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}
		if user, password, _ := known.BasicAuth(); user != "user" || password != "pa/ss" {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		passed.Add(1)
		if r.Method == http.MethodConnect {
			tunnel(w, r.Host)
			return
		}
		serveModels(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, passed
}

// tunnel carries bytes between a client of the proxy and the host.
func tunnel(w http.ResponseWriter, host string) {
	to, err := net.Dial("tcp", host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer to.Close()
	w.WriteHeader(http.StatusOK)
	from, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer from.Close()
	go func() {
		_, _ = io.Copy(to, from)
		_ = to.Close()
	}()
	_, _ = io.Copy(from, to)
}

// closedAddress is one where nobody listens.
func closedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	return l.Addr().String()
}

func compact(t *testing.T, text string) string {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	again, _ := json.Marshal(value)
	return string(again)
}

package main

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tidwall/gjson"
)

// pooled is a configuration for clientKey, with upstreams that have keys of their own.
func pooled(upstreams, more string) string {
	return fmt.Sprintf("%sauth: {mode: keys, keys: [{name: app, hash: %q}]}\nupstreams:\n%s%s", patientStore, hashOf(clientKey), upstreams, more)
}

// secure puts TLS before a model, with an authority that nobody knows.
func secure(t *testing.T, model http.Handler) (url, ca string) {
	server := httptest.NewUnstartedServer(model)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	saveFile(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	return server.URL + "/v1", ca
}

func TestUpstream_with_an_authority_of_its_own_is_believed_by_whom_it_is_named_for(t *testing.T) {
	up := newFakeModel(t)
	url, ca := secure(t, up)
	m := serve(t, setup{file: pooled(
		fmt.Sprintf("- {name: known, url: %s, ca: %s, keys: [{value: sk-1}]}\n- {name: unknown, url: %s, keys: [{value: sk-2}], retry: {attempts: 0}}\n", url, ca, url),
		"routes: [{model: unknown, to: [{upstream: unknown}]}]\n")})
	m.says(t, turn{session: "s", text: "My name is Ada."}, heard("My name is Ada."))
	m.says(t, turn{session: "s", text: "What is my name?", stream: true}, "Your name is Ada.")
	before := len(up.all())
	a, err := m.chat(t.Context(), "s", `{"model":"unknown","messages":[{"role":"user","content":"Hello."}]}`, nil)
	if err != nil || a.status != http.StatusBadGateway || gjson.Get(a.body, "error.code").String() != "upstream_unreachable" || len(up.all()) != before {
		t.Errorf("whom nobody vouches for: %d %s, %v", a.status, a.body, err)
	}
}

// A forwarding proxy knows one user, and says what went through it.
type forwarding struct {
	address        string
	plain, tunnels atomic.Int64
}

func newForwarding(t *testing.T) *forwarding {
	f := new(forwarding)
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.Out.Host = r.In.Host }, FlushInterval: -1}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		known := &http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}
		if user, password, _ := known.BasicAuth(); user != "user" || password != "pa/ss" {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		if r.Method == http.MethodConnect {
			f.tunnels.Add(1)
			tunnel(w, r.Host)
			return
		}
		f.plain.Add(1)
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	f.address = strings.TrimPrefix(server.URL, "http://")
	return f
}

func TestUpstream_is_called_through_its_proxy(t *testing.T) {
	up, proxy := newFakeModel(t), newForwarding(t)
	url, ca := secure(t, up)
	m := serve(t, setup{environ: []string{"HTTP_PROXY=http://127.0.0.1:1", "HTTPS_PROXY=http://127.0.0.1:1"}, file: pooled(
		fmt.Sprintf("- {name: plain, url: %s, proxy: 'http://user:pa%%2Fss@%s', keys: [{value: sk-1}]}\n", up.url, proxy.address)+
			fmt.Sprintf("- {name: secure, url: %s, ca: %s, proxy: 'http://user:pa%%2Fss@%s', keys: [{value: sk-1}]}\n", url, ca, proxy.address)+
			fmt.Sprintf("- {name: refused, url: %s, ca: %s, proxy: 'http://user:5ecret@%s', keys: [{value: sk-1}], retry: {attempts: 0}}\n", url, ca, proxy.address)+
			fmt.Sprintf("- {name: direct, url: %s, proxy: direct, keys: [{value: sk-1}]}\n", up.url),
		"routes:\n- {model: secure, to: [{upstream: secure, model: gpt-4o}]}\n- {model: refused, to: [{upstream: refused, model: gpt-4o}]}\n- {model: direct, to: [{upstream: direct, model: gpt-4o}]}\n")})
	for _, c := range []struct {
		model          string
		status         int
		plain, tunnels int64
	}{{"gpt-4o", 200, 2, 0}, {"secure", 200, 2, 1}, {"direct", 200, 2, 1}, {"refused", 502, 2, 1}} {
		for _, stream := range []bool{false, true} {
			a, err := m.chat(t.Context(), "s", fmt.Sprintf(`{"model":%q,"stream":%t,"messages":[{"role":"user","content":"Hello."}]}`, c.model, stream), nil)
			if err != nil || a.status != c.status || c.status == 200 && a.text != heard("Hello.") {
				t.Errorf("%s, stream %v: %d %s, %v", c.model, stream, a.status, a.body, err)
			}
			wantNone(t, a.body, "5ecret", "pa/ss")
		}
		if plain, tunnels := proxy.plain.Load(), proxy.tunnels.Load(); plain != c.plain || tunnels != c.tunnels {
			t.Errorf("after %s the proxy has passed %d calls and %d tunnels", c.model, plain, tunnels)
		}
	}
	wantNone(t, m.log.String(), "5ecret", "pa/ss", "pa%2Fss")
}

func TestUpstream_gets_the_headers_that_it_is_configured_with(t *testing.T) {
	var host atomic.Value
	up := newActor(t, "up", func(_ http.ResponseWriter, r *http.Request, _ int64) bool {
		host.Store(r.Host)
		return false
	})
	m := serve(t, setup{environ: []string{"TEAM=blue"}, file: pooled(
		up.entry(`, keys: [{value: sk-1}], organization: org-1, project: proj-1, headers: {X-Team: "${TEAM}", Host: models.example}`), "")})
	body := `{"model":"gpt-4o","messages":[{"role":"user","content":"Hello."}]}`
	own := http.Header{"Openai-Organization": {"org-client"}, "Openai-Project": {"proj-client"}, "X-Team": {"red"}, "X-Other": {"kept"}}
	if a, err := m.chat(t.Context(), "s", body, own); err != nil || a.status != http.StatusOK {
		t.Fatalf("%d %s, %v", a.status, a.body, err)
	}
	got := up.last().header
	for name, want := range map[string]string{"Openai-Organization": "org-1", "Openai-Project": "proj-1", "X-Team": "blue", "X-Other": "kept", "Authorization": "Bearer sk-1"} {
		if values := got.Values(name); len(values) != 1 || values[0] != want {
			t.Errorf("%s is %q, want %q", name, values, want)
		}
	}
	if host.Load() != "models.example" {
		t.Errorf("the host is %v", host.Load())
	}
}

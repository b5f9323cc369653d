package proxy

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"mnemo/budget"
)

func TestAPI_keeps_the_connection_after_a_request_with_a_body(t *testing.T) {
	r := newRig(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	in := bufio.NewReader(conn)
	for i := range 3 {
		body := fmt.Sprintf(`{"id":"s%d"}`, i)
		fmt.Fprintf(conn, "POST /api/sessions HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer sk-client\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		if resp.StatusCode != http.StatusCreated || resp.Close {
			t.Errorf("request %d = %d, close %v", i, resp.StatusCode, resp.Close)
		}
		resp.Body.Close()
	}
}

func TestAPI_shows_each_tenant_its_own_and_an_admin_all(t *testing.T) {
	key := func(name, tenant string, admin bool) ClientKey {
		return ClientKey{Name: name, Tenant: tenant, Hash: sha256.Sum256([]byte("sk-" + name)), Admin: admin}
	}
	r := newRig(t, func(o *rigOptions) {
		o.proxy.Auth = Auth{Mode: AuthKeys, Keys: []ClientKey{key("client", "a", false), key("other", "b", false), key("root", "c", true)}}
	})
	r.chat("s", user("hello"))
	as := func(name, method, path string) exchanged {
		req, err := http.NewRequest(method, r.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp := r.send(req, "X-Nothing: x")
		req.Header.Set("Authorization", "Bearer sk-"+name)
		if name != "client" {
			got, err := r.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer got.Body.Close()
			var b strings.Builder
			if _, err := bufio.NewReader(got.Body).WriteTo(&b); err != nil {
				t.Fatal(err)
			}
			return exchanged{status: got.StatusCode, body: b.String()}
		}
		return resp
	}
	for _, c := range []struct {
		who, method, path string
		status            int
	}{
		{"client", "GET", "/api/sessions/s", 200},
		{"other", "GET", "/api/sessions/s", 404},
		{"other", "GET", "/api/sessions/s/export?format=json", 404},
		{"other", "GET", "/api/sessions/s/messages", 404},
		{"other", "POST", "/api/sessions/s/prompt", 404},
		{"other", "POST", "/api/sessions/s/rebuild", 404},
		{"other", "GET", "/api/sessions/s?tenant=a", 403},
		{"root", "GET", "/api/sessions/s", 404},
		{"root", "GET", "/api/sessions/s?tenant=a", 200},
		{"nobody", "GET", "/api/sessions", 401},
	} {
		if got := as(c.who, c.method, c.path); got.status != c.status {
			t.Errorf("%s: %s %s = %d %s, want %d", c.who, c.method, c.path, got.status, got.body, c.status)
		}
	}
	if n := len(gjson.Get(as("other", "GET", "/api/sessions").body, "sessions").Array()); n != 0 {
		t.Errorf("another tenant lists %d sessions", n)
	}
}

func TestAPI_refuses_pages_of_other_origins(t *testing.T) {
	r := newRig(t)
	for origin, status := range map[string]int{"http://evil.example": 403, "null": 403, strings.ToUpper(r.url): 200} {
		if got := r.do("GET", "/api/sessions", "", "Origin: "+origin); got.status != status {
			t.Errorf("%s = %d %s, want %d", origin, got.status, got.body, status)
		}
	}
}

func TestAPI_rebuilds_with_the_callers_credentials_what_there_is(t *testing.T) {
	r, scribe := withScribe(t)
	for n := range 8 {
		r.chat("s", long(n))
	}
	if got := r.do("POST", "/api/sessions/s/rebuild", ""); got.status != 409 || !strings.Contains(got.body, "no_summary") {
		t.Errorf("without a summary = %d %s", got.status, got.body)
	}
	if err := scribe.Fold(t.Context(), scribe.last(t)); err != nil {
		t.Fatal(err)
	}
	scribe.fail = fmt.Errorf("the upstream's own words")
	if got := r.do("POST", "/api/sessions/s/rebuild", ""); got.status != 502 || strings.Contains(got.body, "own words") {
		t.Errorf("a failed one = %d %s", got.status, got.body)
	}
}

func TestAPI_makes_sessions_with_personas_that_chats_follow(t *testing.T) {
	r := newRig(t, withTeachers)
	got := r.do("POST", "/api/sessions", `{"id":"t","persona":"teacher","vars":{"subject":"maths"}}`, "Content-Type: application/json")
	if got.status != 201 || gjson.Get(got.body, "greeting").String() != "Hello!" {
		t.Fatalf("created = %d %s", got.status, got.body)
	}
	r.chat("t", user("hi"))
	if got := r.system(); len(got) != 1 || got[0] != "You teach maths in English. Say {x}, not {1}." {
		t.Errorf("instructions %q", got)
	}
	if sent := lines(gjson.Get(r.up.last().body, "messages")); len(sent) != 2 {
		t.Errorf("the greeting was sent: %q", sent)
	}
	if got := r.do("POST", "/api/sessions", `{"persona":"teacher","vars":{"subjekt":"x"}}`, "Content-Type: application/json"); got.status != 400 {
		t.Errorf("a wrong variable = %d %s", got.status, got.body)
	}
	if got := r.do("GET", "/api/personas", ""); got.status != 200 || gjson.Get(got.body, "personas.1.variables.0").String() != "subject" {
		t.Errorf("personas = %d %s", got.status, got.body)
	}
}

func TestAuth_none_serves_no_page_of_another_site(t *testing.T) {
	r := newRig(t, func(o *rigOptions) { o.proxy.Auth = Auth{Mode: AuthNone, Local: true} })
	ask := func(path, host, site string) int {
		req, err := http.NewRequest(http.MethodPost, r.url+path, strings.NewReader(user("x")))
		if err != nil {
			t.Fatal(err)
		}
		if host != "" {
			req.Host = host
		}
		if site != "" {
			req.Header.Set("Sec-Fetch-Site", site)
		}
		return r.send(req).status
	}
	for _, path := range []string{"/v1/chat/completions", "/s/id/v1/chat/completions", "/v1/embeddings", "/api/sessions/import"} {
		for _, c := range []struct {
			host, site string
			refused    bool
		}{
			{"", "", false},
			{"localhost:8080", "same-site", false},
			{"[::1]:8080", "none", false},
			{"app.localhost", "same-origin", false},
			{"evil.example:8080", "same-origin", true},
			{"", "cross-site", true},
		} {
			if got := ask(path, c.host, c.site); (got == http.StatusForbidden) != c.refused {
				t.Errorf("%s to %q from %q = %d", path, c.host, c.site, got)
			}
		}
	}
}

func TestAPI_shows_who_is_alone_the_budgets_of_all(t *testing.T) {
	budgets, err := budget.New(budget.Options{Rules: []budget.Rule{{Name: "all", Scope: budget.Global, Limit: budget.Limit{Amount: 100, Unit: budget.Tokens}, Per: budget.Day, Action: budget.Warn}}})
	if err != nil {
		t.Fatal(err)
	}
	for mode, shown := range map[AuthMode]int64{AuthNone: 1, AuthPassthrough: 0} {
		r := newRig(t, func(o *rigOptions) { o.proxy.Auth, o.proxy.Budgets = Auth{Mode: mode, Local: true}, budgets })
		r.chat("s", user("hi"))
		got := r.do("GET", "/api/budgets", "")
		if n := gjson.Get(got.body, "budgets.#").Int(); got.status != 200 || n != shown {
			t.Errorf("%s: %d %s, want %d budgets", mode, got.status, got.body, shown)
		}
	}
}

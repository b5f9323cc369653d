package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const secretKey = "sk-very-5ecret"

func TestAPIClient_finds_server_and_key(t *testing.T) {
	for _, c := range []struct {
		flags     apiFlags
		environ   []string
		base, key string
	}{
		{apiFlags{}, nil, "http://127.0.0.1:8080", ""},
		{apiFlags{}, []string{"MNEMO_SERVER=https://m.example/", "OPENAI_API_KEY=sk-o"}, "https://m.example", "sk-o"},
		{apiFlags{}, []string{"MNEMO_SERVER=m:1/v1/", "MNEMO_KEY= sk-m\n", "OPENAI_API_KEY=sk-o"}, "http://m:1", "sk-m"},
		{apiFlags{Server: "https://h/below/mnemo", Key: "sk-f"}, []string{"MNEMO_SERVER=m", "MNEMO_KEY=sk-m"}, "https://h/below/mnemo", "sk-f"},
	} {
		api, err := c.flags.client(&process{environ: c.environ})
		if err != nil || api.base != c.base || api.key != c.key {
			t.Errorf("%+v %q: %v, %+v", c.flags, c.environ, err, api)
		}
	}
}

func TestAPIClient_refuses_addresses_and_keys_without_repeating_them(t *testing.T) {
	for _, f := range []apiFlags{
		{Server: "ftp://5ecret"}, {Server: "http://"}, {Server: "http://u:5ecret@h"}, {Server: "http://h?key=5ecret"}, {Server: "http://h#5ecret"},
		{Server: "http://[5ecret"}, {Key: "5e\ncret"}, {Key: "5ecrét"}, {Key: "5ec ret"},
	} {
		if api, err := f.client(&process{}); err == nil || strings.Contains(err.Error(), "5ec") {
			t.Errorf("%+v: %v, %+v", f, err, api)
		}
	}
}

func TestAPIClient_says_why_there_is_no_answer(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + free.Addr().String()
	free.Close()
	slow := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("search") {
		case "slow":
			<-slow
		case "stalls":
			w.(http.Flusher).Flush()
			<-slow
		case "cut":
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "{")
		case "html":
			fmt.Fprint(w, "<html>")
		case "moved":
			http.Redirect(w, r, "http://elsewhere.example/", http.StatusMovedPermanently)
		case "gateway":
			w.WriteHeader(http.StatusBadGateway)
		case "unauthorized":
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintf(w, `{"error":{"message":"no such key: %s \u001b[31m","code":"invalid_api_key"}}`, r.Header.Get("Authorization"))
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(slow) })
	for search, want := range map[string]string{
		"slow":         " did not answer within 50ms",
		"stalls":       " did not answer within 50ms",
		"cut":          " broke its answer off",
		"html":         " does not answer as mnemo does",
		"moved":        "status 301",
		"gateway":      "status 502",
		"unauthorized": "no such key: Bearer *** \uFFFD[31m (MNEMO_KEY or --key says whose sessions)",
		"nobody":       "nobody listens at " + nobody,
	} {
		flags := apiFlags{Server: server.URL, Key: secretKey}
		if search == "nobody" {
			flags.Server = nobody
		}
		api, err := flags.client(&process{})
		if err != nil {
			t.Fatal(err)
		}
		api.limit = time.Minute
		if strings.HasPrefix(want, " did not") {
			api.limit = 50 * time.Millisecond
		}
		_, err = api.json(t.Context(), apiCall{method: http.MethodGet, query: map[string][]string{"search": {search}}}, new(any))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secretKey) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s: got %v, want %q", search, err, want)
		}
		api.close()
	}
}

func TestAPIClient_bounds_standing_still_and_not_the_whole(t *testing.T) {
	const parts = 5
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for range parts {
			<-tick.C
			fmt.Fprint(w, "x")
			w.(http.Flusher).Flush()
		}
	}))
	defer server.Close()
	api, err := (&apiFlags{Server: server.URL}).client(&process{})
	if err != nil {
		t.Fatal(err)
	}
	defer api.close()
	api.limit = 400 * time.Millisecond // less than all parts take
	answer, err := api.do(t.Context(), apiCall{method: http.MethodGet})
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err != nil || len(text) != parts {
		t.Errorf("%q, %v", text, err)
	}
}

func TestAPIClient_ends_with_its_context(t *testing.T) {
	arrived := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	_, _, err := commandLine{}.run(ctx, t, "sessions", "list", "--server", server.URL)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestAPIClient_asks_for_what_it_was_told(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.RequestURI+" "+r.Header.Get("Authorization")+r.Header.Get("If-Match"))
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	for _, id := range []string{"trip", "a/b c?%", ".", "..", "...x"} {
		out, _, err := commandLine{environ: []string{"MNEMO_KEY=k"}}.run(t.Context(), t, "sessions", "delete", "--yes", "--tenant", "t&u", "--server", server.URL+"/m/", id)
		if err != nil || out != id+" is deleted.\n" {
			t.Errorf("%v, %s", err, out)
		}
	}
	want := "" +
		"DELETE /m/api/sessions/trip?tenant=t%26u Bearer k\n" +
		"DELETE /m/api/sessions/a%2Fb%20c%3F%25?tenant=t%26u Bearer k\n" +
		"DELETE /m/api/sessions/%2E?tenant=t%26u Bearer k\n" +
		"DELETE /m/api/sessions/%2E%2E?tenant=t%26u Bearer k\n" +
		"DELETE /m/api/sessions/...x?tenant=t%26u Bearer k\n"
	if got := strings.Join(asked, "\n") + "\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func TestTalks_notice_that_nothing_remembers(t *testing.T) {
	var out bytes.Buffer
	// The model itself, with no mnemo before it, keeps nothing.
	err := playTalks(t.Context(), demoModelFor(t, 0).url(), &out)
	if !errors.Is(err, errForgot) || !strings.Contains(err.Error(), `session-a was told "Ada" before and answers "I do not know your name`) {
		t.Error(err)
	}
	if !strings.Contains(out.String(), "was not asked") || strings.Contains(out.String(), "works") {
		t.Error(out.String())
	}
}

func TestTalks_notice_that_a_session_leaks(t *testing.T) {
	var out bytes.Buffer
	err := playTalks(t.Context(), api(t, http.StatusOK, event("I know ")+event("Ada.")+"data: [DONE]\n\n"), &out)
	if !errors.Is(err, errLeaked) || !strings.Contains(err.Error(), `session-b was never told "Ada" and answers "I know Ada."`) {
		t.Error(err)
	}
	if strings.Contains(out.String(), "works") {
		t.Error(out.String())
	}
}

func TestTalks_say_what_went_wrong(t *testing.T) {
	for _, c := range []struct {
		status     int
		body, says string
	}{
		{http.StatusBadGateway, `{"error":{"message":"no upstream"}}`, "502 Bad Gateway: " + `{"error":{"message":"no upstream"}}`},
		{http.StatusOK, event("I am"), "the stream ended without [DONE]"},
		{http.StatusOK, event("I am") + "data: {\"error\":{\"message\":\"upstream gone\"}}\n\n", "the stream broke: upstream gone"},
		{http.StatusOK, event(strings.Repeat("x", demoAnswer)) + "data: [DONE]\n\n", "the stream ended without [DONE]"},
	} {
		err := playTalks(t.Context(), api(t, c.status, c.body), new(bytes.Buffer))
		if err == nil || !strings.Contains(err.Error(), c.says) || errors.Is(err, errForgot) {
			t.Errorf("%.80s: %v", c.body, err)
		}
	}
	if err := playTalks(t.Context(), "http://127.0.0.1:0/v1", new(bytes.Buffer)); err == nil {
		t.Error("nobody is there")
	}
	if err := playTalks(t.Context(), "http://\x00", new(bytes.Buffer)); err == nil {
		t.Error("that is no address")
	}
}

func TestTalker_sends_one_message_and_its_session(t *testing.T) {
	var sent []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		sent = append(sent, r.Header.Get("X-Session-ID")+" "+gjson.GetBytes(body.Bytes(), "messages").Raw)
		fmt.Fprint(w, event("Hi")+"data: [DONE]\n\n")
	}))
	t.Cleanup(server.Close)
	talker := &talker{url: server.URL, out: new(bytes.Buffer), client: server.Client()}
	for _, text := range []string{"One", "Two"} {
		if answer, err := talker.say(t.Context(), "s", text); answer != "Hi" || err != nil {
			t.Errorf("%q, %v", answer, err)
		}
	}
	want := `[s [{"role":"user","content":"One"}] s [{"role":"user","content":"Two"}]]`
	if got := fmt.Sprint(sent); got != want {
		t.Error(got)
	}
}

func TestTalker_says_what_memory_added(t *testing.T) {
	for groups, want := range map[string]string{
		"": "was not asked", "0": "added nothing: the session is new",
		"1": "added 1 earlier exchange, 9 tokens", "2": "added 2 earlier exchanges, 9 tokens",
	} {
		h := http.Header{"X-Memory-Tokens": {"9"}}
		if groups != "" {
			h.Set("X-Memory-Turns", groups)
		}
		if got := memoryAdded(h); got != want {
			t.Errorf("%q: %s", groups, got)
		}
	}
}

func TestWordWriter_breaks_lines_between_words(t *testing.T) {
	var out bytes.Buffer
	w := &wordWriter{out: &out}
	for range 30 {
		w.write("größer ")
	}
	lines := strings.Split(out.String(), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[1], demoIndent+"größer ") {
		t.Errorf("%q", lines)
	}
	for i, line := range lines {
		if width := len([]rune(line)); width > demoWidth || i > 0 && width < len(demoIndent)+7 {
			t.Errorf("line %d has %d columns", i, width)
		}
	}
}

// api serves one answer to whatever it is asked.
func api(t *testing.T, status int, body string) (url string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func event(text string) string {
	return fmt.Sprintf("data: {\"choices\":[{\"delta\":{\"content\":%q}}]}\n\n", text)
}

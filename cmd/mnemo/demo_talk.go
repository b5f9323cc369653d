package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

const (
	// demoAnswer bounds an answer, in bytes.
	demoAnswer = 1 << 20

	demoIndent = "           "
	demoWidth  = 88 // columns of an answer's line, the indent included
)

// demoCalls is how many calls the conversations are.
const demoCalls = 4

var (
	errForgot = errors.New("memory failed")
	errLeaked = errors.New("isolation failed")
)

// playTalks holds two conversations with the API at a base URL and prints them.
// It returns errForgot if an answer lacks what its session was told, errLeaked if
// one has what another session was told.
func playTalks(ctx context.Context, url string, out io.Writer) error {
	t := &talker{url: url, out: out, client: &http.Client{Transport: new(http.Transport)}}
	defer t.client.CloseIdleConnections()
	const name, city = "Ada", "Paris"
	for _, line := range []struct {
		session, text string
		knows         string // what the answer must hold
		never         string // what it must not hold
	}{
		{session: "session-a", text: "My name is " + name + " and I live in " + city + "."},
		{session: "session-a", text: "What is my name?", knows: name},
		{session: "session-b", text: "What is my name?", never: name},
		{session: "session-a", text: "Where do I live?", knows: city},
	} {
		answer, err := t.say(ctx, line.session, line.text)
		switch {
		case err != nil:
			return fmt.Errorf("demo: %w", err)
		case !strings.Contains(answer, line.knows):
			return fmt.Errorf("%w: %s was told %q before and answers %q", errForgot, line.session, line.knows, answer)
		case line.never != "" && strings.Contains(answer, line.never):
			return fmt.Errorf("%w: %s was never told %q and answers %q", errLeaked, line.session, line.never, answer)
		}
	}
	fmt.Fprint(out, `
memory     works: session-a sent one message at a time and was known by name and city
isolation  works: session-b asked the same and was not told
`)
	return nil
}

// A talker is a stateless client.
type talker struct {
	url    string
	out    io.Writer
	client *http.Client
	calls  int
}

// Private

// say sends one message and prints what becomes of it.
func (t *talker) say(ctx context.Context, session, text string) (answer string, err error) {
	t.calls++
	fmt.Fprintf(t.out, "\n[%d]\n", t.calls)
	t.print("sent", "X-Session-ID: "+session, "user: "+text)
	response, err := t.post(ctx, session, text)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	t.print("memory", memoryAdded(response.Header))
	t.print("headers", ownHeaders(response)...)
	body := io.LimitReader(response.Body, demoAnswer)
	if response.StatusCode != http.StatusOK {
		problem, _ := io.ReadAll(body)
		return "", fmt.Errorf("%s: %s: %s", t.url, response.Status, strings.TrimSpace(string(problem)))
	}
	w := &wordWriter{out: t.out}
	t.label("answer")
	defer fmt.Fprintln(t.out)
	return readStream(body, w.write)
}

func (t *talker) post(ctx context.Context, session, text string) (*http.Response, error) {
	type message struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	body, err := json.Marshal(map[string]any{
		"model": demoModelName, "stream": true, "messages": []message{{"user", text}},
	})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url+"/chat/completions", strings.NewReader(string(body)))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Session-ID", session)
	return t.client.Do(request)
}

func (t *talker) label(label string) { fmt.Fprintf(t.out, "  %-9s", label) }

// print prints lines under a label.
func (t *talker) print(label string, lines ...string) {
	t.label(label)
	fmt.Fprintln(t.out, strings.Join(lines, "\n"+demoIndent))
}

// memoryAdded says what the headers of an answer say of memory.
func memoryAdded(h http.Header) string {
	groups, tokens := h.Get("X-Memory-Turns"), h.Get("X-Memory-Tokens")
	switch groups {
	case "":
		return "was not asked"
	case "0":
		return "added nothing: the session is new"
	case "1":
		return "added 1 earlier exchange, " + tokens + " tokens"
	}
	return "added " + groups + " earlier exchanges, " + tokens + " tokens"
}

// ownHeaders are the status and the header fields of an answer that mnemo wrote.
func ownHeaders(r *http.Response) []string {
	var lines []string
	for name := range r.Header {
		for _, prefix := range []string{"X-Session-", "X-Memory-", "X-Upstream", "X-Request-"} {
			if strings.HasPrefix(name, prefix) {
				lines = append(lines, name+": "+r.Header.Get(name))
			}
		}
	}
	slices.Sort(lines)
	return append([]string{r.Status + ", " + r.Header.Get("Content-Type")}, lines...)
}

// readStream reads the events of a chat stream and hands on each piece of text.
func readStream(body io.Reader, piece func(string)) (answer string, err error) {
	var b strings.Builder
	lines := bufio.NewReader(body)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return "", fmt.Errorf("the stream ended without [DONE]: %w", err)
		}
		event, found := strings.CutPrefix(strings.TrimSpace(line), "data: ")
		if !found {
			continue
		}
		if event == "[DONE]" {
			return b.String(), nil
		}
		if failure := gjson.Get(event, "error"); failure.Exists() {
			return "", fmt.Errorf("the stream broke: %s", failure.Get("message"))
		}
		text := gjson.Get(event, "choices.0.delta.content").String()
		b.WriteString(text)
		piece(text)
	}
}

// A wordWriter prints words as they come and begins a new line where one does not
// fit.
type wordWriter struct {
	out    io.Writer
	column int
}

func (w *wordWriter) write(word string) {
	width := utf8.RuneCountInString(word)
	if w.column > 0 && w.column+width > demoWidth-len(demoIndent) {
		fmt.Fprint(w.out, "\n"+demoIndent)
		w.column = 0
	}
	w.column += width
	fmt.Fprint(w.out, word)
}

package proxy

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"mnemo/memory"
	"mnemo/proxy/upstream"
)

func TestEvents_withholds_usage_the_client_did_not_ask_for(t *testing.T) {
	text := chunk(`{"role":"assistant","content":"fi"}`, "null") + chunk(`{"content":"ne"}`, "null") + chunk(`{}`, "stop")
	for name, c := range map[string]struct {
		body, sent, want string
	}{
		"not asked for":  {user("hi", `"stream":true`), text + usageEvent + doneEvent, text + doneEvent},
		"asked for":      {user("hi", `"stream":true`, `"stream_options":{"include_usage":true}`), text + usageEvent + doneEvent, text + usageEvent + doneEvent},
		"other options":  {user("hi", `"stream":true`, `"stream_options":{"include_obfuscation":false}`), text + usageEvent + doneEvent, text + doneEvent},
		"no DONE":        {user("hi", `"stream":true`), text + usageEvent, text},
		"last unmarked":  {user("hi", `"stream":true`), text + "data: [DONE]", text + "data: [DONE]"},
		"filter results": {user("hi", `"stream":true`), `data: {"choices":[],"prompt_filter_results":[]}` + "\n\n" + text + doneEvent, `data: {"choices":[],"prompt_filter_results":[]}` + "\n\n" + text + doneEvent},
		"usage on text":  {user("hi", `"stream":true`), text + `data: {"choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":1}}` + "\n\n" + doneEvent, text + `data: {"choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":1}}` + "\n\n" + doneEvent},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.up.stream(c.sent)
			got := r.chat("s", c.body)
			if got.body != c.want || got.err != nil {
				t.Errorf("client got %q, %v\nwant %q", got.body, got.err, c.want)
			}
			if options := gjson.Get(r.up.last().body, "stream_options.include_usage").Raw; options != "true" {
				t.Errorf("include_usage went up as %q", options)
			}
			if turns := r.turns("s"); len(turns) != 1 || turns[0].Messages[1].Raw != fineA {
				t.Errorf("stored %s", said(turns))
			}
			if name == "not asked for" {
				if line := r.accessLine(1); !strings.Contains(line, `"input_tokens":9`) || !strings.Contains(line, `"usage":"measured"`) {
					t.Errorf("access line = %s", line)
				}
			}
		})
	}
}

func TestEvents_every_kind_of_event_passes_byte_for_byte(t *testing.T) {
	parts := []string{
		": ping\n\n", ":\r\n\r\n",
		chunk(`{"role":"assistant","content":""}`, "null"),
		"event: odd\r\nid: 7\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\n",
		"data: not json\r\r",
		chunk(`{"content":"\ud83d"}`, "null"), chunk(`{"content":"\ude00 世"}`, "null"),
		"retry: 5\n\n", "\n\n", "data\n\n", "data: \n\n",
		chunk(`{"content":"`+strings.Repeat("x", 1<<20)+`"}`, "null"),
		chunk(`{}`, "stop"),
		doneEvent, ": after the end\n\n",
	}
	whole := strings.Join(parts, "")
	for name, cut := range map[string]int{"as written": 0, "7 bytes": 7_001, "single bytes at the start": 1} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.up.handle(func(w http.ResponseWriter, _ *http.Request, _ string) {
				w.Header().Set("Content-Type", "text/event-stream")
				rest := whole
				for i := 0; cut > 0 && i < 600 && len(rest) > cut; i++ {
					io.WriteString(w, rest[:cut])
					w.(http.Flusher).Flush()
					rest = rest[cut:]
				}
				io.WriteString(w, rest)
			})
			got := r.chat("s", user("hi", `"stream":true`))
			if got.body != whole || got.err != nil {
				t.Fatalf("client got %d bytes, %v; want %d", len(got.body), got.err, len(whole))
			}
			want := `{"role":"assistant","content":"\ud83d\ude00 世` + strings.Repeat("x", 1<<20) + `"}`
			if turns := r.turns("s"); len(turns) != 1 || turns[0].Messages[1].Raw != want {
				t.Error("the stored reply is another one")
			}
		})
	}
}

func TestEvents_reach_the_client_as_they_come(t *testing.T) {
	r := newRig(t)
	next := make(chan string)
	r.up.handle(func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		for part := range next {
			io.WriteString(w, part)
			w.(http.Flusher).Flush()
		}
	})
	req, _ := http.NewRequest("POST", r.url+"/v1/chat/completions", strings.NewReader(user("hi", `"stream":true`)))
	req.Header.Set("X-Session-ID", "s")
	req.Header.Set("Authorization", "Bearer sk-client")
	resp, err := r.client.Do(req) // the head comes before the first event
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for _, part := range []string{": keep-alive without an empty line\n", chunk(`{"content":"fine"}`, "null"), ": ping\n\n", chunk(`{}`, "stop")} {
		next <- part
		got := make([]byte, len(part))
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != part {
			t.Fatalf("got %q, %v; want %q", got, err, part)
		}
	}
	next <- doneEvent
	close(next)
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != doneEvent {
		t.Errorf("the end is %q, %v", rest, err)
	}
}

func TestEvents_an_event_over_the_limit_is_named(t *testing.T) {
	r := newRig(t, func(o *rigOptions) { o.proxy.Limits.Event = 10_000 })
	r.up.stream(chunk(`{"content":"a"}`, "null"), chunk(`{"content":"`+strings.Repeat("x", 50_000)+`"}`, "stop"), doneEvent)
	got := r.chat("s", user("hi", `"stream":true`))
	if got.err == nil || !strings.HasPrefix(got.body, chunk(`{"content":"a"}`, "null")) || !strings.Contains(got.body, "limits.sse_event") {
		t.Errorf("client got %.300q, %v", got.body, got.err)
	}
	if n := len(r.turns("s")); n != 0 {
		t.Errorf("%d turns", n)
	}
}

func TestEvents_tool_calls_of_a_stream_are_stored_whole(t *testing.T) {
	r := newRig(t)
	r.up.stream(
		chunk(`{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}`, "null"),
		chunk(`{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}}]}`, "null"),
		chunk(`{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}`, "null"),
		chunk(`{}`, "tool_calls"), doneEvent)
	r.chat("s", user("hi", `"stream":true`))
	want := `{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]}`
	if turns := r.turns("s"); len(turns) != 1 || turns[0].Messages[1].Raw != want {
		t.Errorf("stored %s", said(turns))
	}
}

func TestEvents_an_upstream_that_rejects_stream_options_is_asked_without_and_remembered(t *testing.T) {
	r := newRig(t)
	text := chunk(`{"content":"fine"}`, "null") + chunk(`{}`, "stop") + doneEvent
	r.up.handle(func(w http.ResponseWriter, _ *http.Request, body string) {
		if strings.Contains(body, "stream_options") {
			w.WriteHeader(400)
			io.WriteString(w, `{"error":{"message":"Unrecognized request argument supplied: stream_options"}}`)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, text)
	})
	for i, calls := range []int{2, 3} {
		got := r.chat("s", user("hi", `"stream":true`))
		if got.status != 200 || got.body != text {
			t.Fatalf("call %d = %d %q", i, got.status, got.body)
		}
		if n := len(r.up.requests()); n != calls {
			t.Errorf("call %d: %d upstream calls, want %d", i, n, calls)
		}
	}
	if line := r.accessLine(1); !strings.Contains(line, `"usage":"estimated"`) {
		t.Errorf("access line = %s", line)
	}
	r.up.handle(func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.WriteHeader(400)
		io.WriteString(w, `{"error":{"message":"something else"}}`)
	})
	if got := r.chat("s", user("hi", `"stream":true`, `"model":"other"`)); got.status != 400 || got.body != `{"error":{"message":"something else"}}` {
		t.Errorf("another 400 came as %d %q", got.status, got.body)
	}
}

// A partsReader gives its parts one read at a time.
type partsReader struct{ parts [][]byte }

func (p *partsReader) Read(b []byte) (int, error) {
	if len(p.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.parts[0])
	if p.parts[0] = p.parts[0][n:]; len(p.parts[0]) == 0 {
		p.parts = p.parts[1:]
	}
	return n, nil
}

// FuzzEvents relays arbitrary bytes, cut anywhere: the client gets all of them in
// their order, but for the events that are to be withheld.
func FuzzEvents(f *testing.F) {
	f.Add([]byte(chunk(`{"content":"a"}`, "stop")+usageEvent+doneEvent), uint16(7))
	f.Add([]byte("data: a\r\rdata: b\r\n\r\n: c\n\n"+strings.ReplaceAll(usageEvent, "\n", "\r")+"\ndata: d"), uint16(1))
	f.Add([]byte(strings.ReplaceAll(usageEvent, "\n", "\r\n")+doneEvent), uint16(3))
	f.Fuzz(func(t *testing.T, in []byte, cut uint16) {
		x := &exchange{s: &Server{Log: slog.New(slog.DiscardHandler)}, set: newSettings(Settings{}),
			answer: &upstream.Answer{Response: &http.Response{ProtoMajor: 2}}}
		x.ctx = t.Context()
		from := &partsReader{}
		for rest := in; len(rest) > 0; {
			n := min(int(cut%97)+1, len(rest))
			from.parts = append(from.parts, rest[:n])
			rest = rest[n:]
		}
		e := &events{r: &recall{x: x, asked: true, wish: memoryWish{mode: modeReadOnly}}, from: from, limit: 1 << 20}
		var out strings.Builder
		if err := e.copy(&out); err != nil {
			t.Fatal(err)
		}
		if want := withoutUsage(in); out.String() != want {
			t.Fatalf("in   %q\nout  %q\nwant %q", in, out.String(), want)
		}
	})
}

// withoutUsage splits the events at once, with nothing held over.
func withoutUsage(in []byte) string {
	var out strings.Builder
	for len(in) > 0 {
		n := plainEventEnd(in)
		if n < 0 {
			n = len(in)
		}
		if data := eventData(in[:n]); len(data) == 0 || !isUsageChunk(data) {
			out.Write(in[:n])
		} else {
			out.Write(in[:commentEnd(in[:n])])
		}
		in = in[n:]
	}
	return out.String()
}

func TestEvents_a_break_tells_the_client_and_keeps_nothing(t *testing.T) {
	x := &exchange{s: &Server{Log: slog.New(slog.DiscardHandler)}, set: newSettings(Settings{}), ctx: t.Context()}
	text := chunk(`{"content":"a"}`, "null")
	e := &events{r: &recall{x: x, wish: memoryWish{mode: modeOn}}, limit: 1 << 20,
		from: io.MultiReader(strings.NewReader(text+"data: {\"ch"), failing{errors.New("reset")})}
	var out strings.Builder
	if err := e.copy(&out); !errors.Is(err, errCut) || x.outcome != upstream.Cut {
		t.Errorf("copy = %v, outcome %v", err, x.outcome)
	}
	rest, found := strings.CutPrefix(out.String(), text)
	if !found || !strings.HasPrefix(rest, `data: {"error":{`) || !strings.HasSuffix(rest, "}}\n\n") {
		t.Errorf("client got %q", out.String())
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// BenchmarkEvents relays a stream of 100 events with memory on.
func BenchmarkEvents(b *testing.B) {
	text := strings.Repeat(chunk(`{"content":" word"}`, "null"), 100) + chunk(`{}`, "stop") + usageEvent + doneEvent
	for _, size := range []int{250, 16 << 10} {
		b.Run(fmt.Sprintf("reads_of_%d", size), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				x := &exchange{s: &Server{}, ctx: b.Context(), answer: &upstream.Answer{Response: &http.Response{ProtoMajor: 2}}}
				e := &events{r: &recall{x: x, asked: true, wish: memoryWish{mode: modeReadOnly}}, from: &partsReader{}, limit: 1 << 20}
				for rest := []byte(text); len(rest) > 0; {
					n := min(size, len(rest))
					e.from.(*partsReader).parts = append(e.from.(*partsReader).parts, rest[:n])
					rest = rest[n:]
				}
				if err := e.copy(io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkUpstreamBody splices a prompt of 50 stored messages.
func BenchmarkUpstreamBody(b *testing.B) {
	r := mustParse(b, user("hello", `"temperature":0.7`))
	m, err := memory.ParseMessage(`{"role":"user","content":"` + strings.Repeat("x", 400) + `"}`)
	if err != nil {
		b.Fatal(err)
	}
	prompt := &memory.Prompt{New: r.incoming.Messages}
	for range 50 {
		prompt.History = append(prompt.History, &m)
	}
	b.ReportAllocs()
	for b.Loop() {
		r.upstreamBody(prompt, false)
	}
}

// BenchmarkParseChat reads a request of one message.
func BenchmarkParseChat(b *testing.B) {
	body := user(strings.Repeat("hello ", 40), `"temperature":0.7`, `"stream":true`)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		mustParse(b, body)
	}
}

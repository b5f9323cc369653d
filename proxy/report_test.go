package proxy

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/tidwall/gjson"

	"mnemo/memory"
	"mnemo/memory/tokens"
)

// encoders by Content-Encoding.
var encoders = map[string]func(io.Writer) io.WriteCloser{
	"gzip": func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
	"br":   func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) },
	"zstd": func(w io.Writer) io.WriteCloser {
		z, err := zstd.NewWriter(w)
		if err != nil {
			panic(err)
		}
		return z
	},
	"deflate": func(w io.Writer) io.WriteCloser {
		z, err := flate.NewWriter(w, flate.BestSpeed)
		if err != nil {
			panic(err)
		}
		return z
	},
}

func encode(t *testing.T, encoding, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := encoders[encoding](&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestReport_reads_usage_of_answers_that_are_passed_on(t *testing.T) {
	stream := chunk(`{"content":"fi"}`, "null") + chunk(`{"content":"ne"}`, "stop")
	for name, c := range map[string]struct {
		kind, answer, want string
	}{
		"plain":            {"application/json", completion("fine"), `"input_tokens":9,"output_tokens":3,"cached_tokens":0,"usage":"measured"`},
		"stream":           {"text/event-stream", stream + usageEvent + doneEvent, `"input_tokens":9,"output_tokens":3,"cached_tokens":0,"usage":"measured"`},
		"stream, no usage": {"text/event-stream", stream + doneEvent, `"usage":"estimated"`},
		"stream, cut":      {"text/event-stream", stream + `data: {"cho`, `"usage":"estimated"`},
	} {
		for _, encoding := range []string{"", "gzip", "br", "zstd", "deflate"} {
			t.Run(name+" "+encoding, func(t *testing.T) {
				r := newRig(t)
				answer := c.answer
				if encoding != "" {
					answer = encode(t, encoding, c.answer)
				}
				r.up.handle(func(w http.ResponseWriter, _ *http.Request, _ string) {
					w.Header().Set("Content-Type", c.kind)
					if encoding != "" {
						w.Header().Set("Content-Encoding", encoding)
					}
					io.WriteString(w, answer)
				})
				got := r.do("POST", "/v1/chat/completions", user("hi"), "Accept-Encoding: "+encoding)
				if got.body != answer || got.header.Get("Content-Encoding") != encoding {
					t.Fatalf("the answer came as %q", got.body)
				}
				if line := r.accessLine(1); !strings.Contains(line, c.want) {
					t.Errorf("access line = %s", line)
				}
			})
		}
	}
}

func TestReport_estimates_what_the_tokenizer_says(t *testing.T) {
	r := newRig(t)
	text := "The quick brown fox jumps over the lazy dog."
	r.up.stream(chunk(`{"content":"`+text+`"}`, "stop"), doneEvent)
	body := user("How does the fox jump?")
	r.do("POST", "/v1/chat/completions", body)
	e := tokens.For("gpt-4o")
	line := r.accessLine(1)
	input, output := gjson.Get(line, "input_tokens").Int(), gjson.Get(line, "output_tokens").Int()
	if want := int64(e.CountMessage(gjson.Get(body, "messages.0").Raw) + 3); input != want {
		t.Errorf("input = %d, want %d", input, want)
	}
	if want := int64(e.Count(text)); output < want || output > want+1 {
		t.Errorf("output = %d, want %d", output, want)
	}
}

func TestReport_listens_however_a_stream_is_cut(t *testing.T) {
	in := chunk(`{"content":"fi"}`, "null") + ": ping\n\n" + chunk(`{"content":"ne"}`, "stop") + usageEvent + doneEvent
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		r := newReport("", "", true)
		for rest := in; rest != ""; {
			n := 1 + random.IntN(len(rest))
			r.see([]byte(rest[:n]))
			rest = rest[n:]
		}
		told, _, _ := r.read(false)
		if message, _ := told.message(false); message != fineA || !told.measured || told.usage.Input != 9 || told.finish != "stop" {
			t.Fatalf("told %+v", told)
		}
	}
}

func TestReport_keeps_no_more_than_its_limit(t *testing.T) {
	part := bytes.Repeat([]byte("x"), 1<<20)
	for _, r := range []*report{newReport("", "", false), newReport("", "gzip", true), newReport("", "", true)} {
		for range 20 {
			r.see(part)
		}
		if kept := r.size(); kept > 2*reportLimit {
			t.Errorf("%d bytes are kept", kept)
		}
		if told, _, _ := r.read(false); told != nil && told.measured {
			t.Error("something was told of an answer that was not kept")
		}
	}
}

func TestReport_a_bomb_is_not_unpacked(t *testing.T) {
	r := newReport("", "gzip", false)
	r.see([]byte(encode(t, "gzip", strings.Repeat("0", 200<<20))))
	if n := len(r.body()); n > 4*reportLimit {
		t.Errorf("%d bytes were unpacked", n)
	}
}

func TestMeter_accounts_for_calls_beyond_its_queue_at_once(t *testing.T) {
	r := newRig(t)
	r.up.reply(completion("fine"))
	big := user(strings.Repeat("x", 3<<20))
	const calls = 12 // more than meterBytes
	for range calls {
		r.do("POST", "/v1/chat/completions", big)
	}
	for i := range calls {
		if line := r.accessLine(i + 1); !strings.Contains(line, `"usage":"measured"`) {
			t.Errorf("access line %d = %s", i+1, line)
		}
	}
	eventually(t, "the queue is empty", func() bool { return r.server.meter.bytes.Load() == 0 })
}

func TestChat_memory_reads_answers_that_an_upstream_encodes_unasked(t *testing.T) {
	stream := chunk(`{"content":"fine"}`, "stop") + doneEvent
	for i, encoding := range []string{"gzip", "br", "zstd", "deflate"} {
		r := newRig(t)
		for j, body := range []string{user("hello"), user("hello", `"stream":true`)} {
			kind, plain := "application/json", completion("fine")
			if j == 1 {
				kind, plain = "text/event-stream", stream
			}
			r.up.handle(func(w http.ResponseWriter, _ *http.Request, _ string) {
				w.Header().Set("Content-Type", kind)
				w.Header().Set("Content-Encoding", encoding)
				io.WriteString(w, encode(t, encoding, plain))
			})
			session := "s" + strconv.Itoa(10*i+j)
			got := r.chat(session, body, "Accept-Encoding: gzip, br")
			if got.body != plain || got.header.Get("Content-Encoding") != "" {
				t.Errorf("%s: the client got %q", encoding, got.body)
			}
			if asked := r.up.last().header.Get("Accept-Encoding"); asked != "" {
				t.Errorf("the upstream was asked for %q", asked)
			}
			if got := said(r.turns(session)); got != helloU+"\n"+fineA+"\n" {
				t.Errorf("%s: stored %s", encoding, got)
			}
		}
	}
}

func TestAuth_knows_clients_by_their_keys(t *testing.T) {
	sum := func(key string) [32]byte { return sha256.Sum256([]byte(key)) }
	r := newRig(t, func(o *rigOptions) {
		o.proxy.Auth = Auth{Mode: AuthKeys, Keys: []ClientKey{
			{Name: "a", Tenant: "shop", Hash: sum("sk-client")},
			{Name: "b", Tenant: "shop", Hash: sum("second")},
			{Name: "c", Tenant: "other", Hash: sum("third"), Models: []string{"gpt-4o-*"}},
		}}
	})
	r.chat("s", user("hello"))
	if sent := r.up.last().header; sent.Get("Authorization") != "" {
		t.Errorf("a key of mnemo's went upstream: %v", sent)
	}
	call := func(header, value, model string) int {
		req, _ := http.NewRequest(http.MethodPost, r.url+"/v1/chat/completions", strings.NewReader(strings.ReplaceAll(user("again"), "gpt-4o", model)))
		req.Header.Set("X-Session-ID", "s")
		req.Header.Set(header, value)
		resp, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	messages := func() int64 { return gjson.Get(r.up.last().body, "messages.#").Int() }
	if status := call("Authorization", "bearer second", "gpt-4o"); status != 200 || messages() != 3 {
		t.Errorf("the tenant's second key: %d, %d messages", status, messages())
	}
	if status := call("Api-Key", "third", "gpt-4o-mini"); status != 200 || messages() != 1 {
		t.Errorf("the other tenant: %d, %d messages", status, messages())
	}
	for _, c := range [][3]string{{"Authorization", "Bearer wrong", "gpt-4o"}, {"Authorization", "Bearer ", "gpt-4o"}, {"X-Nothing", "", "gpt-4o"}} {
		if status := call(c[0], c[1], c[2]); status != 401 {
			t.Errorf("%q: %d, want 401", c[1], status)
		}
	}
	if status := call("Authorization", "Bearer third", "gpt-4o"); status != 403 {
		t.Errorf("a model outside the key's list: %d, want 403", status)
	}
	if n, err := r.store.Turns(t.Context(), memory.Key{Tenant: "shop", Session: "s"}, 0, 10); err != nil || len(n) != 2 {
		t.Errorf("%d turns of the tenant, %v", len(n), err)
	}
}

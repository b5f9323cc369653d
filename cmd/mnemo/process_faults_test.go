package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/tidwall/gjson"
)

// muteLimit is how long an upstream may say nothing in these tests.
const muteLimit = time.Second

// A misfortune is a fault of an upstream that ends in an error, by the name of the model
// that has it.
type misfortune struct {
	name string
	does act
	// What the official SDK throws: its class, the status and the code. A fault of a
	// stream alone is answered otherwise as if there were none.
	class  string
	status int
	code   string
	// … and where it is asked for a stream, if that is not the same.
	inStream string
	heard    string // of the stream, before the error
	calls    int64  // of the upstream, for a call of an SDK that asks again twice; 0: any number
}

func misfortunes() []misfortune {
	cut := func(w http.ResponseWriter, _ *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.Flush()
		if conn, _, err := rc.Hijack(); err == nil {
			_ = conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}
	}
	hush := func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	says := func(event string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, "data: %s\n\n", event)
			_ = http.NewResponseController(w).Flush()
		}
	}
	html := func(w http.ResponseWriter, _ *http.Request, _ int64) bool {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<html><h1>502 Bad Gateway</h1></html>")
		return true
	}
	return []misfortune{
		{name: "limited", does: fails(429, "rate_limit_exceeded"), class: "RateLimitError", status: 429, code: "rate_limit_exceeded"},
		{name: "quota", does: fails(429, "insufficient_quota"), class: "RateLimitError", status: 429, code: "insufficient_quota", calls: 3},
		{name: "overloaded", does: fails(503, "overloaded"), class: "InternalServerError", status: 503, code: "overloaded"},
		{name: "oops", does: fails(500, "oops"), class: "InternalServerError", status: 500, code: "oops"},
		{name: "too-long", does: fails(400, "context_length_exceeded"), class: "BadRequestError", status: 400, code: "context_length_exceeded", calls: 1},
		{name: "refused", does: fails(400, "content_policy_violation"), class: "BadRequestError", status: 400, code: "content_policy_violation", calls: 1},
		{name: "unknown", does: fails(404, "model_not_found"), class: "NotFoundError", status: 404, code: "model_not_found", calls: 1},
		{name: "html", does: html, class: "InternalServerError", status: 502},
		{name: "huge", does: func(w http.ResponseWriter, r *http.Request, n int64) bool {
			return fails(500, strings.Repeat("x", 2<<20))(w, r, n)
		}, class: "InternalServerError", status: 500, code: strings.Repeat("x", 2<<20)},
		{name: "reset", does: func(w http.ResponseWriter, _ *http.Request, _ int64) bool {
			if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
				_ = conn.(*net.TCPConn).SetLinger(0)
				conn.Close()
			}
			return true
		}, class: "InternalServerError", status: 502, code: "upstream_unreachable"},
		{name: "silent", does: stays, class: "InternalServerError", status: 504, code: "upstream_timeout"},
		{name: "cut", does: halves(cut), class: "InternalServerError", status: 502, code: "upstream_answer_cut",
			inStream: "APIError  upstream_stream_cut", heard: "Half of "},
		{name: "stalls", does: halves(hush), class: "InternalServerError", status: 504, code: "upstream_timeout",
			inStream: "APIError  upstream_stream_cut", heard: "Half of "},
		{name: "overloads", does: streams(says(`{"error":{"message":"overloaded","type":"server_error","code":"overloaded"}}`)),
			inStream: "APIError  overloaded", heard: "Half of "},
		{name: "limits", does: streams(says(`{"error":{"message":"slow down","type":"tokens","code":"rate_limit_exceeded"}}`)),
			inStream: "APIError  rate_limit_exceeded", heard: "Half of "},
	}
}

// halves answers with half of an answer, and then does as it is told.
func halves(then func(http.ResponseWriter, *http.Request)) act {
	inStream := streams(then)
	return func(w http.ResponseWriter, r *http.Request, n int64) bool {
		if inStream(w, r, n) {
			return true
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "500")
		_, _ = io.WriteString(w, `{"id":"c","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"mess`)
		then(w, r)
		return true
	}
}

// streams begins a stream, and then does as it is told. What is no stream is answered.
func streams(then func(http.ResponseWriter, *http.Request)) act {
	return func(w http.ResponseWriter, r *http.Request, _ int64) bool {
		body, err := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		if err != nil || !gjson.GetBytes(body, "stream").Bool() {
			return err != nil
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for _, delta := range []string{`{"role":"assistant","content":""}`, `{"content":"Half of "}`} {
			fmt.Fprintf(w, `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"delta":%s,"finish_reason":null}]}`+"\n\n", delta)
		}
		_ = http.NewResponseController(w).Flush()
		then(w, r)
		return true
	}
}

// serveMisfortunes starts a process before an upstream that has all of them.
func serveMisfortunes(t *testing.T, all []misfortune) (*mnemo, *actor) {
	up := newActor(t, "up", func(w http.ResponseWriter, r *http.Request, n int64) bool {
		body, err := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		i := slices.IndexFunc(all, func(f misfortune) bool { return f.name == gjson.GetBytes(body, "model").String() })
		return err != nil || i >= 0 && all[i].does(w, r, n)
	})
	// Each has breakers of its own.
	var entries, routes strings.Builder
	for _, f := range all {
		limit := muteLimit
		if f.name == "huge" { // its megabytes take their time where the machine is busy
			limit = patience
		}
		fmt.Fprintf(&entries, "- {name: %s, url: %s, timeouts: {headers: %v, stream_idle: %v}}\n", f.name, up.url, limit, limit)
		fmt.Fprintf(&routes, "- {model: %s, to: [{upstream: %[1]s}]}\n", f.name)
	}
	return serve(t, setup{file: patientStore + "upstreams:\n" + entries.String() +
		"retry: {attempts: 1, base: 1ms, max: 5ms}\nbreaker: {consecutive: 1000, failure_ratio: 1}\nroutes:\n" + routes.String()}), up
}

const misfortuneProgram = `
import OpenAI from "openai";
const impatient = new OpenAI({ baseURL: process.env.MNEMO_URL, maxRetries: RETRIES, timeout: 15000 });
const messages = [{ role: "user", content: "Hello." }];
for (const model of MODELS) {
  for (const stream of [false, true]) {
    for (const session of [undefined, model + stream]) {
      let heard = "", end;
      const headers = session ? { "X-Session-ID": session } : {};
      try {
        if (stream) {
          for await (const chunk of await impatient.chat.completions.create({ model, messages, stream }, { headers }))
            heard += chunk.choices[0]?.delta.content ?? "";
          end = "whole";
        } else {
          heard = (await impatient.chat.completions.create({ model, messages }, { headers })).choices[0].message.content;
          end = "whole";
        }
      } catch (e) {
        end = [e instanceof OpenAI.APIError ? e.constructor.name : "foreign " + e, e.status, e.code].join(" ");
      }
      console.log([model, stream ? "streamed" : "plain", end, heard].join("|"));
    }
  }
}
`

func TestFaults_end_in_errors_of_the_JavaScript_SDKs_own(t *testing.T) {
	j, all := newJavaScript(t), misfortunes()
	m, _ := serveMisfortunes(t, all)
	names, want := make([]string, len(all)), strings.Builder{}
	for i, f := range all {
		names[i] = quoted(f.name)
		whole := strings.TrimSpace(fmt.Sprintf("%s %d %s", f.class, f.status, f.code))
		said := ""
		if f.class == "" {
			whole, said = "whole", heard("Hello.")
		}
		if f.code == "" && f.class != "" {
			whole += " "
		}
		inStream := f.inStream
		if inStream == "" {
			inStream = whole
		}
		for range 2 {
			fmt.Fprintf(&want, "%s|plain|%s|%s\n", f.name, whole, said)
		}
		for range 2 {
			fmt.Fprintf(&want, "%s|streamed|%s|%s\n", f.name, inStream, f.heard)
		}
	}
	program := strings.NewReplacer("MODELS", "["+strings.Join(names, ",")+"]", "RETRIES", "0").Replace(misfortuneProgram)
	begin := time.Now()
	got, wanted := strings.Split(j.run(t, m.url, "s", program), "\n"), strings.Split(want.String(), "\n")
	for i := range max(len(got), len(wanted)) {
		if i == min(len(got), len(wanted)) || got[i] != wanted[i] {
			t.Fatalf("line %d is %.200q, want %.200q", i, got[i:], wanted[i:])
		}
	}
	t.Logf("%d faults, each in 4 ways, took %v", len(all), time.Since(begin).Round(time.Millisecond))
	m.wantNothingStored(t, all)
}

// wantNothingStored wants no turn of a call that ended in an error.
func (m *mnemo) wantNothingStored(t *testing.T, all []misfortune) {
	t.Helper()
	for _, f := range all {
		for _, stream := range []bool{false, true} {
			if !stream && f.class == "" {
				continue // it was answered
			}
			session := fmt.Sprint(f.name, stream)
			if status, said := m.manage(t, clientKey, http.MethodGet, session+"/messages", ""); status != http.StatusNotFound && gjson.Get(said, "turns.#").Int() != 0 {
				t.Errorf("of %s is stored %d %s", session, status, said)
			}
		}
	}
}

// What the pool's keys are refused for is no fault of the client's, and asking again is
// no use: the SDK is told so.
func TestFaults_of_all_keys_are_not_repeated_by_the_JavaScript_SDK(t *testing.T) {
	j := newJavaScript(t)
	for _, f := range []misfortune{
		{name: "quota", does: fails(429, "insufficient_quota")}, {name: "key", does: fails(401, "invalid_api_key")}, {name: "money", does: fails(402, "no_money")},
	} {
		t.Run(f.name, func(t *testing.T) {
			up := newActor(t, "up", f.does)
			m := serve(t, setup{file: pooled(up.entry(", keys: [{value: sk-1}, {value: sk-2}]"), "")})
			got := j.run(t, m.url, "s", strings.NewReplacer("MODELS", `["gpt-4o"]`, "RETRIES", "2").Replace(misfortuneProgram))
			if n := strings.Count(got, "|InternalServerError 502 upstream_credentials_exhausted|"); n != 4 || strings.Count(got, "\n") != 4 {
				t.Errorf("it prints %s", got)
			}
			if calls, answers := up.begun.Load(), len(m.log.waitAll(t, `"msg":"request"`, 4)); calls != 2 || answers != 4 {
				t.Errorf("%d calls of the upstream for %d of the client", calls, answers)
			}
		})
	}
}

// A client that asks again by itself does not when that is no use, and counts as few
// calls where it is.
func TestFaults_are_repeated_by_the_JavaScript_SDK_where_that_is_of_use(t *testing.T) {
	j := newJavaScript(t)
	for _, f := range misfortunes() {
		if f.calls == 0 || f.class == "" {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			m, up := serveMisfortunes(t, []misfortune{f})
			program := strings.NewReplacer("MODELS", "["+quoted(f.name)+"]", "RETRIES", "2").Replace(misfortuneProgram)
			begin := time.Now()
			got := j.run(t, m.url, "s", program)
			if n := strings.Count(got, fmt.Sprintf("|%s %d %s|", f.class, f.status, f.code)); n != 4 {
				t.Errorf("it prints %s", got)
			}
			if got := up.begun.Load(); got != 4*f.calls {
				t.Errorf("%d calls of the upstream, want %d", got, 4*f.calls)
			}
			t.Logf("4 calls, %d of the upstream, %v", up.begun.Load(), time.Since(begin).Round(time.Millisecond))
		})
	}
}

func TestFaults_end_in_errors_of_the_Go_SDKs_own(t *testing.T) {
	all := misfortunes()
	m, _ := serveMisfortunes(t, all)
	client := sdk(m, clientKey, "s")
	for _, f := range all {
		var failed *openai.Error
		_, err := client.Chat.Completions.New(t.Context(), says(f.name, "Hello."))
		if f.class == "" {
			if err != nil {
				t.Errorf("%s: %v", f.name, err)
			}
		} else if !errors.As(err, &failed) || failed.StatusCode != f.status || failed.Code != f.code {
			t.Errorf("%s: %.200v", f.name, err)
		}
		said, stream := "", client.Chat.Completions.NewStreaming(t.Context(), says(f.name, "Hello."))
		for stream.Next() {
			for _, choice := range stream.Current().Choices {
				said += choice.Delta.Content
			}
		}
		if stream.Err() == nil || said != f.heard {
			t.Errorf("%s: the stream ends with %v after %q", f.name, stream.Err(), said)
		}
		_ = stream.Close()
	}
}

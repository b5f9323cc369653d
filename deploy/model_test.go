package deploy

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// What befalls a call at the first upstream, by its model. The second answers all but
// deadModel.
const (
	goodModel    = "gpt-4o"
	cachedModel  = "gpt-4o-mini"
	flakyModel   = "gpt-4.1"       // every second attempt fails
	downModel    = "gpt-4.1-mini"  // fails
	cutModel     = "gpt-4.1-nano"  // its streams are cut
	silentModel  = "gpt-5"         // says nothing for a while
	slowModel    = "gpt-5-mini"    // streams slowly
	deadModel    = "gpt-5-nano"    // fails at both
	limitedModel = "o4-mini"       // its first key is limited
	strangeModel = "private-model" // has no price
	narrowModel  = "gpt-4"         // is served by an upstream of its own, one call at a time
)

// startModel runs an upstream: the first one, where things happen, or the second.
func startModel(t *testing.T, first bool) (url string) {
	t.Helper()
	var attempts atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var request struct {
			Model     string
			Stream    bool
			MaxTokens int `json:"max_tokens"`
			Messages  []struct{ Content string }
		}
		if json.Unmarshal(body, &request) != nil || request.MaxTokens < 0 {
			fail(w, http.StatusBadRequest)
			return
		}
		model := request.Model
		if !first && model != deadModel {
			model = goodModel
		}
		switch model {
		case flakyModel:
			if attempts.Add(1)%2 == 1 {
				fail(w, http.StatusInternalServerError)
				return
			}
		case downModel, deadModel:
			fail(w, http.StatusInternalServerError)
			return
		case limitedModel:
			if r.Header.Get("Authorization") == "Bearer key-a" {
				w.Header().Set("Retry-After", "120")
				fail(w, http.StatusTooManyRequests)
				return
			}
		case silentModel:
			pause(r, time.Second)
		case narrowModel:
			pause(r, 300*time.Millisecond)
		}
		if request.Stream {
			stream(w, r, model, request.Model, len(body)/4)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":"1","object":"chat.completion","created":1,"model":%q,"choices":[{"index":0,"message":`+
			`{"role":"assistant","content":"Noted: `+strings.Repeat("a word, ", 20)+`that is all."},"finish_reason":"stop"}],"usage":%s}`, request.Model, usage(len(body)/4))
	}))
	t.Cleanup(server.Close)
	return server.URL + "/v1"
}

func stream(w http.ResponseWriter, r *http.Request, behaviour, model string, input int) {
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	chunk := func(choices, more string) {
		fmt.Fprintf(w, `data: {"id":"1","object":"chat.completion.chunk","created":1,"model":%q,"choices":[%s]%s}`+"\n\n", model, choices, more)
		_ = out.Flush() // the client may have left
	}
	chunk(`{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}`, "")
	for i := range 10 {
		if behaviour == cutModel && i == 5 {
			panic(http.ErrAbortHandler)
		}
		if gap := 5 * time.Millisecond; behaviour == slowModel {
			pause(r, 20*gap)
		} else {
			pause(r, gap)
		}
		chunk(fmt.Sprintf(`{"index":0,"delta":{"content":"word %d "},"finish_reason":null}`, i), "")
	}
	chunk(`{"index":0,"delta":{},"finish_reason":"stop"}`, "")
	chunk("", `,"usage":`+usage(input))
	fmt.Fprint(w, "data: [DONE]\n\n")
}

func usage(input int) string {
	return fmt.Sprintf(`{"prompt_tokens":%d,"completion_tokens":25,"total_tokens":%d,"prompt_tokens_details":{"cached_tokens":%d}}`, input, input+25, input/2)
}

func fail(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":{"message":"status %d","type":"error","param":null,"code":null}}`, status)
}

// pause waits as a model does, unless nobody listens any more.
func pause(r *http.Request, d time.Duration) {
	select {
	case <-r.Context().Done():
	case <-time.After(d):
	}
}

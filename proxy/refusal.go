package proxy

import (
	"bytes"
	"crypto/rand"
	"io"
	"sync"
)

// optionsRefusal bounds what is read of a 400 to see whether it is about
// stream_options.
const optionsRefusal = 64 << 10

// maxRefusals bounds the models that are remembered to reject stream_options.
const maxRefusals = 1000

// maxModelName bounds the names among them.
const maxModelName = 128

// refusals remembers the models whose upstream rejects stream_options.
type refusals struct {
	mu     sync.RWMutex
	models map[string]bool
}

func (r *refusals) has(model string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.models[model]
}

func (r *refusals) add(model string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(model) > maxModelName {
		return
	}
	if r.models == nil || len(r.models) >= maxRefusals {
		r.models = make(map[string]bool)
	}
	r.models[model] = true
}

// refusesOptions reports whether the answer, a 400, is about stream_options. If
// it is not, the answer can still be passed on whole.
func (x *exchange) refusesOptions() (bool, error) {
	head, err := io.ReadAll(io.LimitReader(x.answer.Body, optionsRefusal))
	if err != nil {
		x.answerFailed(err)
		return false, cutBeforeHead(err)
	}
	plain := head
	if encoding := x.answer.Header.Get("Content-Encoding"); encoding != "" {
		if decoded, known, err := decoder(encoding, bytes.NewReader(head)); known && err == nil {
			plain, _ = io.ReadAll(io.LimitReader(decoded, optionsRefusal)) //nolint:errcheck // what can be read is enough
		}
	}
	if bytes.Contains(plain, []byte("stream_options")) || bytes.Contains(plain, []byte("include_usage")) {
		return true, nil
	}
	x.answer.Body = rereader{io.MultiReader(bytes.NewReader(head), x.answer.Body), x.answer.Body}
	return false, nil
}

// A rereader is a body whose beginning is read again.
type rereader struct {
	io.Reader
	io.Closer
}

// newRequestID makes an id for an answer whose upstream gave none.
func newRequestID() string { return "req_" + rand.Text() }

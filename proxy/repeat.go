package proxy

import "crypto/sha256"

// maxFailed bounds the calls that are remembered to have failed.
const maxFailed = 4096

// A callID identifies a call by its session and messages.
type callID [sha256.Size]byte

// Private

func (r *recall) id() (id callID) {
	h := sha256.New()
	h.Write([]byte(r.key.Tenant + "\x00" + r.key.Session + "\x00")) // a key holds no NUL
	for i := range r.request.incoming.Messages {
		h.Write(r.request.incoming.Messages[i].Hash[:])
	}
	h.Sum(id[:0])
	return id
}

// repeats reports whether the call repeats one that was answered, without the client
// having got the answer. OpenAI's SDKs count their attempts. They also repeat calls
// that failed, of which nothing is in the log: these are remembered.
func (r *recall) repeats() bool {
	count := r.x.header.up["X-Stainless-Retry-Count"]
	if len(count) != 1 || count[0] == "" || count[0] == "0" {
		return false
	}
	return !r.x.s.failed.Contains(r.id())
}

// noteFailure remembers a call of which nothing is stored.
func (r *recall) noteFailure() {
	if r.wish.writes() {
		r.x.s.failed.Add(r.id(), struct{}{})
	}
}

// noteSuccess forgets that the call failed.
func (r *recall) noteSuccess() {
	if r.x.s.failed.Len() > 0 {
		r.x.s.failed.Remove(r.id())
	}
}

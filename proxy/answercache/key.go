package answercache

import (
	"crypto/sha256"
	"encoding/binary"
)

// MaxRequest bounds the requests that have a Key, in bytes.
const MaxRequest = 16 << 20

// A Key is what all requests share that have the same answer. It is a hash, from
// which nothing of a request or a tenant can be told.
type Key [sha256.Size]byte

// A Tag marks the answers of one session, so that they can be dropped with it. The
// zero Tag marks nothing.
type Tag [sha256.Size]byte

// KeyOf returns the key of a chat completion request: of the tenant and of the
// body as it goes up, with the model that the client asked for, whichever upstream
// may serve it. The order of members and white space outside strings do not matter,
// the order of messages does, and so does that of members in tools, functions and
// response_format: models answer in the order of a schema.
//
// Members that say how an answer is sent, kept or accounted for, but not what it is
// (OpenAI API reference, "Create chat completion"), are left out: stream,
// stream_options, user, metadata, store, safety_identifier, prompt_cache_key,
// prompt_cache_retention and prompt_cache_options. All others count, also those
// that nobody knows.
//
// A body that is no JSON object, names a member twice, nests more than 128 levels
// deep or is longer than MaxRequest has no key.
func KeyOf(tenant, body string) (key Key, ok bool) {
	if len(body) > MaxRequest {
		return Key{}, false
	}
	s := scanner{text: body, moves: maxMoves * len(body)}
	s.out = framed(make([]byte, 0, len(tenant)+len(body)+2*binary.MaxVarintLen64), "request", tenant)
	s.blank()
	if s.at == len(body) || body[s.at] != '{' || !s.object(true, irrelevant) || !s.ended() {
		return Key{}, false
	}
	return sha256.Sum256(s.out), true
}

// TagOf returns the tag of a session.
func TagOf(tenant, session string) Tag {
	return sha256.Sum256(framed(nil, "session", tenant, session))
}

// Private

func irrelevant(name string) bool {
	switch name {
	case "stream", "stream_options", "user", "metadata", "store", "safety_identifier",
		"prompt_cache_key", "prompt_cache_retention", "prompt_cache_options":
		return true
	}
	return false
}

// framed appends parts so that no other parts give the same bytes.
func framed(b []byte, parts ...string) []byte {
	for _, part := range parts {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	return b
}

package memory

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash"
	"strings"

	"github.com/tidwall/gjson"
)

// Roles of a chat message that composing tells apart.
const (
	RoleSystem    = "system"
	RoleDeveloper = "developer"
	RoleUser      = "user"
	RoleAssistant = "assistant"
	RoleTool      = "tool"
)

// ErrMessage is returned for JSON that is no chat message.
var ErrMessage = errors.New("a message must be an object with a string role")

// A Message is one chat message. Raw is the truth; the other fields are read
// from it once, so that composing never parses JSON.
type Message struct {
	Raw    string   // the JSON object as it was said, byte for byte
	Role   string   // its role
	Tokens int      // what it adds to a prompt; 0 means not counted yet
	Hash   Hash     // equal for messages that mean the same
	Calls  []string // the ids of an assistant's tool calls
	CallID string   // the call that a tool message answers
}

// Hash identifies what a message says: its role, text, tool_call_id and the ids
// of its tool calls. A string content and text parts with that text are the
// same, and so are null, "" and an absent content. Parts that are not text
// count with every value in them.
type Hash [16]byte

// ParseMessage reads one message. raw must be valid JSON; it is kept, not copied.
func ParseMessage(raw string) (Message, error) { return parseMessage(raw, "") }

// IsSystem reports whether the message is an instruction rather than a part of
// the conversation.
func (m *Message) IsSystem() bool { return m.Role == RoleSystem || m.Role == RoleDeveloper }

// Bound is an upper bound of the message's tokens: its count where it has one,
// else its bytes, because no token is shorter than a byte. (An image may cost
// more than its bytes; the tokenizer's estimate is used once it is counted.)
func (m *Message) Bound() int {
	if m.Tokens > 0 {
		return m.Tokens
	}
	return len(m.Raw) + messageOverhead
}

// Private

const (
	// messageOverhead is more than the tokens that chat markup adds to a message.
	messageOverhead = 8
	// maxHashDepth is how deep values are told apart by what they hold; below it,
	// by their bytes. Content is as deep as a client likes to send it.
	maxHashDepth = 16
)

// hashText is the length of a Hash in base64.
var hashText = base64.RawStdEncoding.EncodedLen(len(Hash{}))

// parseMessage reads a message whose hash may be known, in base64.
func parseMessage(raw, hash string) (Message, error) {
	object := gjson.Parse(raw)
	if !object.IsObject() {
		return Message{}, ErrMessage
	}
	m := Message{Raw: object.Raw}
	var content gjson.Result
	valid := false
	object.ForEach(func(key, value gjson.Result) bool {
		switch key.String() {
		case "role":
			m.Role, valid = value.String(), value.Type == gjson.String
		case "content":
			content = value
		case "tool_call_id":
			m.CallID = value.String()
		case "tool_calls":
			m.Calls = nil
			if !value.IsArray() { // SDKs send null for none, over which ForEach would loop once
				return true
			}
			value.ForEach(func(_, call gjson.Result) bool {
				m.Calls = append(m.Calls, call.Get("id").String())
				return true
			})
		}
		return true
	})
	if !valid {
		return Message{}, ErrMessage
	}
	if len(hash) != hashText {
		m.Hash = hashOf(&m, content)
	} else if _, err := base64.RawStdEncoding.Decode(m.Hash[:], []byte(hash)); err != nil {
		return Message{}, err
	}
	return m, nil
}

func hashOf(m *Message, content gjson.Result) (sum Hash) {
	h := sha256.New()
	hashString(h, m.Role)
	hashString(h, text(content))
	hashString(h, m.CallID)
	for _, id := range m.Calls {
		hashString(h, id)
	}
	if content.IsArray() {
		content.ForEach(func(_, part gjson.Result) bool {
			if part.Get("type").String() != "text" {
				hashLeaves(h, part, maxHashDepth)
			}
			return true
		})
	}
	var full [sha256.Size]byte
	copy(sum[:], h.Sum(full[:0]))
	return sum
}

// text is what a content says: a string, or the text parts joined.
func text(content gjson.Result) string {
	if !content.IsArray() {
		return content.String()
	}
	var b strings.Builder
	content.ForEach(func(_, part gjson.Result) bool {
		if part.Get("type").String() == "text" {
			b.WriteString(part.Get("text").String())
		}
		return true
	})
	return b.String()
}

func hashLeaves(h hash.Hash, value gjson.Result, depth int) {
	if depth > 0 && (value.IsObject() || value.IsArray()) {
		value.ForEach(func(_, v gjson.Result) bool {
			hashLeaves(h, v, depth-1)
			return true
		})
		return
	}
	hashString(h, value.String())
}

func hashString(h hash.Hash, s string) {
	var size [8]byte
	binary.LittleEndian.PutUint64(size[:], uint64(len(s)))
	h.Write(size[:])
	h.Write([]byte(s))
}

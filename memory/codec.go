package memory

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tidwall/gjson"
)

// ErrCodec means that stored bytes are no turn of a version that is known.
var ErrCodec = errors.New("stored turn cannot be read")

const codecVersion = 1

// EncodeTurn is the form in which stores keep a turn: a JSON object, readable in
// any database client, in which each message stands byte for byte as it was said.
// Seq, SupersededBy, System and Persona are not in it; the store keeps them beside.
func EncodeTurn(t *Turn) []byte {
	b := make([]byte, 0, t.Size()+len(t.Model)+224+64*len(t.Messages))
	b = append(b, `{"v":`...)
	b = strconv.AppendInt(b, codecVersion, 10)
	if t.ID != "" {
		b = append(b, `,"id":`...)
		b = gjson.AppendJSONString(b, t.ID)
	}
	b = append(b, `,"at":`...)
	b = strconv.AppendInt(b, t.At.UnixMilli(), 10)
	b = append(b, `,"model":`...)
	b = gjson.AppendJSONString(b, t.Model)
	if t.Partial {
		b = append(b, `,"partial":true`...)
	}
	if t.Unresolved {
		b = append(b, `,"unresolved":true`...)
	}
	if t.Repeated {
		b = append(b, `,"repeated":true`...)
	}
	if t.Supersedes != (Span{}) {
		b = append(b, `,"supersedes":[`...)
		b = strconv.AppendInt(b, t.Supersedes.First, 10)
		b = append(b, ',')
		b = strconv.AppendInt(b, t.Supersedes.Last, 10)
		b = append(b, ']')
	}
	b = appendUsage(b, &t.Usage)
	b = append(b, `,"messages":[`...)
	for i := range t.Messages {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"tokens":`...)
		b = strconv.AppendInt(b, int64(t.Messages[i].Tokens), 10)
		b = append(b, `,"hash":"`...)
		b = base64.RawStdEncoding.AppendEncode(b, t.Messages[i].Hash[:])
		b = append(b, `","message":`...)
		b = append(b, t.Messages[i].Raw...)
		b = append(b, '}')
	}
	return append(b, "]}"...)
}

// DecodeTurn reads what EncodeTurn wrote. The turn keeps parts of data.
func DecodeTurn(seq int64, data string) (Turn, error) {
	t := Turn{Seq: seq}
	if !gjson.Valid(data) {
		return Turn{}, fmt.Errorf("%w: turn %d is no JSON", ErrCodec, seq)
	}
	var version int64
	var failed error
	gjson.Parse(data).ForEach(func(key, value gjson.Result) bool {
		switch key.String() {
		case "v":
			version = value.Int()
		case "at":
			t.At = time.UnixMilli(value.Int())
		case "model":
			t.Model = value.String()
		case "partial":
			t.Partial = value.Bool()
		case "unresolved":
			t.Unresolved = value.Bool()
		case "repeated":
			t.Repeated = value.Bool()
		case "id":
			t.ID = value.String()
		case "supersedes":
			t.Supersedes = Span{First: value.Get("0").Int(), Last: value.Get("1").Int()}
		case "usage":
			t.Usage = decodeUsage(value)
		case "messages":
			t.Messages, failed = decodeMessages(value)
		}
		return failed == nil
	})
	if failed == nil && version != codecVersion {
		failed = fmt.Errorf("version %d, this program reads %d", version, codecVersion)
	}
	if failed != nil {
		return Turn{}, fmt.Errorf("%w: turn %d: %w", ErrCodec, seq, failed)
	}
	return t, nil
}

// Private

func appendUsage(b []byte, u *Usage) []byte {
	if *u == (Usage{}) {
		return b
	}
	b = append(b, `,"usage":{"input":`...)
	b = strconv.AppendInt(b, int64(u.Input), 10)
	b = append(b, `,"cached_input":`...)
	b = strconv.AppendInt(b, int64(u.CachedInput), 10)
	b = append(b, `,"output":`...)
	b = strconv.AppendInt(b, int64(u.Output), 10)
	b = append(b, `,"reasoning":`...)
	b = strconv.AppendInt(b, int64(u.Reasoning), 10)
	if u.Estimated {
		b = append(b, `,"estimated":true`...)
	}
	if u.Priced {
		b = append(b, `,"cost":`...)
		b = strconv.AppendInt(b, u.Cost, 10)
	}
	return append(b, '}')
}

func decodeUsage(value gjson.Result) (u Usage) {
	value.ForEach(func(key, v gjson.Result) bool {
		switch key.String() {
		case "input":
			u.Input = int(v.Int())
		case "cached_input":
			u.CachedInput = int(v.Int())
		case "output":
			u.Output = int(v.Int())
		case "reasoning":
			u.Reasoning = int(v.Int())
		case "estimated":
			u.Estimated = v.Bool()
		case "cost":
			u.Cost, u.Priced = v.Int(), true
		}
		return true
	})
	return u
}

func decodeMessages(array gjson.Result) (messages []Message, err error) {
	array.ForEach(func(_, item gjson.Result) bool {
		var m Message
		hash := item.Get("hash").Str
		if m, err = parseMessage(item.Get("message").Raw, hash); err != nil {
			return false
		}
		m.Tokens = int(item.Get("tokens").Int())
		messages = append(messages, m)
		return true
	})
	return messages, err
}

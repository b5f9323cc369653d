package memory

import (
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
// Seq and System are not in it; the store keeps them beside.
func EncodeTurn(t *Turn) []byte {
	b := make([]byte, 0, t.Size()+len(t.Model)+64+32*len(t.Messages))
	b = append(b, `{"v":`...)
	b = strconv.AppendInt(b, codecVersion, 10)
	b = append(b, `,"at":`...)
	b = strconv.AppendInt(b, t.At.UnixMilli(), 10)
	b = append(b, `,"model":`...)
	b = gjson.AppendJSONString(b, t.Model)
	if t.Partial {
		b = append(b, `,"partial":true`...)
	}
	b = append(b, `,"messages":[`...)
	for i := range t.Messages {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"tokens":`...)
		b = strconv.AppendInt(b, int64(t.Messages[i].Tokens), 10)
		b = append(b, `,"message":`...)
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

func decodeMessages(array gjson.Result) (messages []Message, err error) {
	array.ForEach(func(_, item gjson.Result) bool {
		var m Message
		if m, err = ParseMessage(item.Get("message").Raw); err != nil {
			return false
		}
		m.Tokens = int(item.Get("tokens").Int())
		messages = append(messages, m)
		return true
	})
	return messages, err
}

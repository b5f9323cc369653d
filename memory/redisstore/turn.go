package redisstore

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"mnemo/memory"
)

// Private

// encode is a turn as it is stored: the numbers that loading adds up, then JSON.
func encode(t *memory.Turn, added memory.Totals) []byte {
	json := memory.EncodeTurn(t)
	b := make([]byte, 0, len(json)+32)
	b = append(strconv.AppendInt(b, added.Messages, 10), ' ')
	b = append(strconv.AppendInt(b, added.Groups, 10), ' ')
	b = append(strconv.AppendInt(b, added.Tokens, 10), ' ')
	return append(b, json...)
}

func decodeTurn(seq int64, stored any) (memory.Turn, error) {
	text, _ := stored.(string)
	json := strings.IndexByte(text, '{')
	if json < 0 {
		return memory.Turn{}, fmt.Errorf("%w: turn %d", memory.ErrCodec, seq)
	}
	return memory.DecodeTurn(seq, text[json:])
}

// decodePage reads a reply of turns.
func decodePage(reply any) ([]memory.Turn, error) {
	fields, _ := reply.([]any)
	if len(fields)%2 != 1 {
		return nil, unknown(reply)
	}
	first, ok := fields[0].(int64)
	if !ok {
		return nil, unknown(reply)
	}
	page := make([]memory.Turn, len(fields)/2)
	for i := range page {
		var err error
		if page[i], err = decodeTurn(first+int64(i), fields[2*i+2]); err != nil {
			return nil, err
		}
		if page[i].SupersededBy, err = number(fields[2*i+1]); err != nil {
			return nil, err
		}
	}
	return page, nil
}

// token is what a turn is known by while it may be sent again: its ID, or chance.
func token(t *memory.Turn) int64 {
	if t.ID == "" {
		return newLife()
	}
	sum := sha256.Sum256([]byte(t.ID))
	return int64(binary.LittleEndian.Uint64(sum[:8]) >> 1) //nolint:gosec // 63 bits fit
}

// newLife is a number that no life of a session had before.
func newLife() int64 { return rand.Int64N(1<<63-1) + 1 }

// idText is a turn's ID as it stands in the turn's JSON.
func idText(id string) string { return string(gjson.AppendJSONString(nil, id)) }

// linkText is a link in the name of a field.
func linkText(l memory.Link) string {
	return strconv.FormatUint(uint64(l), 36) //nolint:gosec // any 64 bits will do
}

// linksText is links, apart by spaces.
func linksText(links []memory.Link) string {
	switch len(links) {
	case 0:
		return ""
	case 1:
		return linkText(links[0])
	}
	var b strings.Builder
	for _, l := range links {
		b.WriteString(linkText(l))
		b.WriteByte(' ')
	}
	return b.String()
}

// packed is numbers in one argument, apart by a space, which costs less than one each.
func packed(numbers ...int64) []byte {
	b := make([]byte, 0, 128)
	for i, n := range numbers {
		if i > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendInt(b, n, 10)
	}
	return b
}

// number reads a field of a session; one that is absent is 0.
func number(field any) (int64, error) {
	switch field := field.(type) {
	case nil:
		return 0, nil
	case int64:
		return field, nil
	case string:
		return strconv.ParseInt(field, 10, 64)
	}
	return 0, unknown(field)
}

// numbers reads several.
func numbers(fields []any, into ...*int64) (err error) {
	for i, n := range into {
		if *n, err = number(fields[i]); err != nil {
			return fmt.Errorf("field %d of the session: %w", i, err)
		}
	}
	return nil
}

func unknown(reply any) error { return fmt.Errorf("unexpected reply of type %T", reply) }

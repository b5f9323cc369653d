package redisstore

import (
	"fmt"
	"strconv"
	"strings"

	"mnemo/memory"
)

// Private

// Replies of the scripts that say all by themselves.
const (
	current = int64(1) // of load: the cached tail is enough
	full    = int64(0) // of append: the turn does not fit
)

// headFields is the number of fields before the turns in a reply of load.
const headFields = 8

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

// decode reads a reply of load to what was asked with a tail.
func decode(reply any, tail memory.Tail) (memory.Head, []memory.Turn, error) {
	fields, _ := reply.([]any)
	if len(fields) < headFields {
		return memory.Head{}, nil, unknown(reply)
	}
	var n [6]int64
	for i := range n {
		var err error
		text, _ := fields[i].(string)
		if n[i], err = strconv.ParseInt(text, 10, 64); err != nil {
			return memory.Head{}, nil, fmt.Errorf("field %d of the session: %w", i, err)
		}
	}
	head := memory.Head{
		Revision: memory.Revision{Life: n[0]}, Seq: n[1],
		Totals: memory.Totals{Turns: n[1], Messages: n[2], Groups: n[3], Tokens: n[4], Bytes: n[5]},
	}
	tail = tail.At(head)
	system, ok := fields[7].(string)
	if !ok {
		system = tail.Session.System
	}
	head.System = system

	stored := fields[headFields:]
	read := make([]memory.Turn, len(stored))
	seq := head.Seq
	for i := range stored {
		if seq == tail.Session.Seq {
			seq = tail.First() - 1 // what lies between is cached
		}
		t, err := decodeTurn(seq, stored[i])
		if err != nil {
			return memory.Head{}, nil, err
		}
		read[len(read)-1-i] = t
		seq--
	}
	return head, read, nil
}

// decodePage reads a reply of turns.
func decodePage(reply any) ([]memory.Turn, error) {
	fields, _ := reply.([]any)
	if len(fields) == 0 {
		return nil, unknown(reply)
	}
	first, ok := fields[0].(int64)
	if !ok {
		return nil, unknown(reply)
	}
	page := make([]memory.Turn, len(fields)-1)
	for i := range page {
		var err error
		if page[i], err = decodeTurn(first+int64(i), fields[i+1]); err != nil {
			return nil, err
		}
	}
	return page, nil
}

// place reads a reply of append.
func place(reply any) (epoch, seq int64, err error) {
	fields, _ := reply.([]any)
	if len(fields) != 2 {
		return 0, 0, unknown(reply)
	}
	text, _ := fields[0].(string)
	seq, ok := fields[1].(int64)
	epoch, err = strconv.ParseInt(text, 10, 64)
	if !ok || err != nil {
		return 0, 0, unknown(reply)
	}
	return epoch, seq, nil
}

func unknown(reply any) error { return fmt.Errorf("unexpected reply of type %T", reply) }

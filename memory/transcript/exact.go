package transcript

import (
	"strconv"

	"github.com/tidwall/gjson"

	"mnemo/memory"
)

// Private

const (
	formatName    = "mnemo.session"
	formatVersion = 1
)

// exact writes JSON and JSONL. In both each turn has a line of its own; they
// differ in where the turns stand: inside the session's object or behind it.
type exact struct {
	lines bool
	some  bool // a turn was written
}

func (e *exact) begin(b []byte, info *memory.Info) []byte {
	b = append(b, `{"format":"`+formatName+`","version":`...)
	b = strconv.AppendInt(b, formatVersion, 10)
	b = appendText(b, "id", info.Key.Session)
	b = appendText(b, "title", info.Title)
	b = appendNumber(b, "created", info.Created.UnixMilli())
	b = appendNumber(b, "updated", info.Updated.UnixMilli())
	b = append(b, `,"system":`...)
	if info.System == "" {
		b = append(b, "null"...)
	} else {
		b = appendRaw(b, info.System)
	}
	b = appendText(b, "persona", info.Persona)
	b = append(b, `,"summary":`...)
	if info.Summary == nil {
		b = append(b, "null"...)
	} else {
		b = append(b, memory.EncodeSummary(info.Summary)...)
	}
	if e.lines {
		b = appendNumber(b, "turns", info.Seq)
		return append(b, "}\n"...)
	}
	return append(b, `,"turns":[`...)
}

func (e *exact) turn(b []byte, t *memory.Turn) []byte {
	if !e.lines {
		if e.some {
			b = append(b, ',')
		}
		b = append(b, '\n')
	}
	e.some = true
	b = append(b, `{"seq":`...)
	b = strconv.AppendInt(b, t.Seq, 10)
	b = appendText(b, "id", t.ID)
	b = appendNumber(b, "at", t.At.UnixMilli())
	b = appendText(b, "model", t.Model)
	if t.Partial {
		b = append(b, `,"partial":true`...)
	}
	b = appendUsage(b, &t.Usage)
	if t.Supersedes != (memory.Span{}) {
		b = append(b, `,"supersedes":[`...)
		b = strconv.AppendInt(b, t.Supersedes.First, 10)
		b = append(b, ',')
		b = strconv.AppendInt(b, t.Supersedes.Last, 10)
		b = append(b, ']')
	}
	if t.SupersededBy != 0 {
		b = appendNumber(b, "superseded_by", t.SupersededBy)
	}
	b = append(b, `,"messages":[`...)
	for i := range t.Messages {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"tokens":`...)
		b = strconv.AppendInt(b, int64(t.Messages[i].Tokens), 10)
		b = append(b, `,"message":`...)
		b = appendRaw(b, t.Messages[i].Raw)
		b = append(b, '}')
	}
	b = append(b, "]}"...)
	if e.lines {
		b = append(b, '\n')
	}
	return b
}

func (e *exact) end(b []byte) []byte {
	if e.lines {
		return b
	}
	if e.some {
		b = append(b, '\n')
	}
	return append(b, "]}\n"...)
}

func appendUsage(b []byte, u *memory.Usage) []byte {
	if *u == (memory.Usage{}) {
		return b
	}
	b = append(b, `,"usage":{"input":`...)
	b = strconv.AppendInt(b, int64(u.Input), 10)
	b = appendNumber(b, "cached_input", int64(u.CachedInput))
	b = appendNumber(b, "output", int64(u.Output))
	b = appendNumber(b, "reasoning", int64(u.Reasoning))
	if u.Estimated {
		b = append(b, `,"estimated":true`...)
	}
	if u.Priced {
		b = appendNumber(b, "cost", u.Cost)
	}
	return append(b, '}')
}

// appendText appends a member that is not the first.
func appendText(b []byte, name, value string) []byte {
	b = append(append(append(b, `,"`...), name...), `":`...)
	return gjson.AppendJSONString(b, value)
}

func appendNumber(b []byte, name string, value int64) []byte {
	b = append(append(append(b, `,"`...), name...), `":`...)
	return strconv.AppendInt(b, value, 10)
}

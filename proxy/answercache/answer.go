package answercache

import (
	"bytes"
	"iter"
)

// MaxAnswer bounds an Answer, in bytes of its JSON.
const MaxAnswer = 4 << 20

// An Answer is a complete chat completion, whether it came whole or as a stream. It
// has the upstream's own literals and all of its members, those that nobody knows
// included. The zero Answer is none.
type Answer struct{ body string }

// FromJSON reads the answer in the body of a call that did not ask for a stream. It
// is none if it is not worth being given again: if it is no chat completion, tells
// of an error, is longer than MaxAnswer, or if one of its choices
//
//   - did not end by itself (stop, tool_calls, function_call) or at the limit that the
//     request set (length). What a filter cut out (content_filter) it may let pass
//     tomorrow, and what else may be said nobody knows;
//   - says nothing: neither text nor refusal nor a call. That is rather a fault.
func FromJSON(body string) (answer Answer, ok bool) {
	r := Recorder{whole: true}
	r.add(body)
	return r.Answer()
}

// FromStream reads the answer in the complete body of a streamed call, by the rules
// of FromJSON. All of its choices must have ended; [DONE] may be missing. A stream
// with a chunk that is no JSON has no answer.
func FromStream(sse []byte) (answer Answer, ok bool) {
	var r Recorder
	for data := range events(sse) {
		r.Chunk(data)
	}
	return r.Answer()
}

// JSON is the body for a client that did not ask for a stream. The bytes are the
// caller's.
func (a Answer) JSON() []byte { return []byte(a.body) }

// Private

var (
	byteOrderMark = []byte("\xEF\xBB\xBF")
	dataField     = []byte("data:")
)

// events yields the data of each event (HTML standard, section 9.2.6), also of one
// at the end that lacks its empty line. The data are only lent.
func events(sse []byte) iter.Seq[[]byte] {
	return func(yield func(data []byte) bool) {
		var line, data []byte
		for rest := bytes.TrimPrefix(sse, byteOrderMark); len(rest) > 0; {
			line, rest = cutLine(rest)
			if value, ok := bytes.CutPrefix(line, dataField); ok {
				data = append(data, bytes.TrimPrefix(value, []byte(" "))...)
				data = append(data, '\n')
			}
			if len(line) == 0 || len(rest) == 0 {
				if len(data) > 0 && !yield(data) {
					return
				}
				data = data[:0]
			}
		}
	}
}

// cutLine cuts off the first line, which ends with LF, CRLF, CR or at the end.
func cutLine(b []byte) (line, rest []byte) {
	end := bytes.IndexAny(b, "\r\n")
	if end < 0 {
		return b, nil
	}
	line, rest = b[:end], b[end+1:]
	if b[end] == '\r' {
		rest = bytes.TrimPrefix(rest, []byte("\n"))
	}
	return line, rest
}

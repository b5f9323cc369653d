package upstream

import (
	"bytes"
	"strings"
	"unsafe"

	"github.com/tidwall/gjson"
)

// Private

// A framer finds where the events of a growing buffer end, as the HTML standard
// writes them (§9.2.6). It looks at each byte once.
type framer struct {
	at   int  // what comes before was looked at
	line int  // where the line under way begins
	busy bool // the event under way has a line that is no comment
	cr   bool // the last line ended with a carriage return, whose line feed may follow
}

// next returns the end of the first event of b that is whole, or -1. A comment
// between events is one of its own: it must not wait for what follows.
func (f *framer) next(b []byte) int {
	for f.at < len(b) {
		if f.cr && b[f.at] == '\n' {
			f.cr = false
			f.at++
			f.line = f.at
			if f.busy {
				continue
			}
			return f.at
		}
		f.cr = false
		rest := b[f.at:]
		end := bytes.IndexByte(rest, '\n')
		if end >= 0 {
			rest = rest[:end]
		}
		if cr := bytes.IndexByte(rest, '\r'); cr >= 0 {
			end, f.cr = cr, true
		}
		if end < 0 {
			f.at = len(b)
			return -1
		}
		line := b[f.line : f.at+end]
		f.at += end + 1
		f.line = f.at
		switch {
		case len(line) == 0:
			f.busy = false
			return f.at
		case line[0] == ':' && !f.busy:
			return f.at
		}
		f.busy = true
	}
	return -1
}

// shift tells that the first n bytes of the buffer, which were whole, are gone.
func (f *framer) shift(n int) {
	f.at -= n
	f.line -= n
}

// An event is what stands in one, without a copy where its data are one line.
type event struct {
	raw      []byte
	named    bool   // error
	data     string // "": none; it lives as long as raw
	from, to int    // of data in raw, or of the lines that data were joined from
}

func readEvent(raw []byte) event {
	e, lines := event{raw: raw}, 0
	for at := 0; at < len(raw); {
		end := lineEnd(raw[at:])
		line := raw[at : at+end]
		if value, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			value = bytes.TrimPrefix(value, []byte(" "))
			text := unsafe.String(unsafe.SliceData(value), len(value))
			e.to = at + end
			if lines++; lines == 1 {
				e.from, e.data = at+end-len(value), text
			} else {
				e.data = strings.Join([]string{e.data, text}, "\n")
			}
		} else if string(line) == "event: error" || string(line) == "event:error" {
			e.named = true
		}
		at += end + 1
	}
	return e
}

func lineEnd(b []byte) int {
	if end := bytes.IndexByte(b, '\n'); end >= 0 {
		b = b[:end]
	}
	if end := bytes.IndexByte(b, '\r'); end >= 0 {
		return end
	}
	return len(b)
}

// with appends the event with other data.
func (e *event) with(dst []byte, data string) []byte {
	dst = append(dst, e.raw[:e.from]...)
	dst = append(dst, data...)
	return append(dst, e.raw[e.to:]...)
}

// failure is the error that the event tells of.
func (e *event) failure() (fault, bool) {
	if told := gjson.Get(e.data, "error"); !e.named && told.Type == gjson.Null {
		return "", false
	}
	return faultOf([]byte(e.data)), true
}

// done reports whether the event says that the stream is over.
func (e *event) done() bool { return strings.TrimSpace(e.data) == "[DONE]" }

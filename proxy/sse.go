package proxy

import "bytes"

// lineWindow is how much is searched at once for the end of a line.
const lineWindow = 512

var streamDone = []byte("[DONE]")

// eventEnd returns where the first event of b ends: behind the empty line that
// ends it, or -1 if there is none yet. A line ends with LF, CRLF or CR (HTML
// standard, section 9.2.6). A CR at the very end of b counts as a whole line end;
// an LF that follows it belongs to the same one.
//
// resume is where to go on with more of the same event: what is before it need
// not be looked at again. It is 0 at first and behind the event's end.
func eventEnd(b []byte, resume int) (end, resumeNext int) {
	for at := resume; at < len(b); {
		length, next := lineEnd(b[at:])
		if next < 0 || at+next == len(b) && b[len(b)-1] == '\r' && length > 0 {
			return -1, at // of a CR at the end it is not known what follows
		}
		if length == 0 {
			return at + next, 0
		}
		at += next
		resume = at
	}
	return -1, resume
}

// lineEnd returns the length of b's first line and where the next one begins, or
// -1 if the line has no end yet.
func lineEnd(b []byte) (length, next int) {
	for from := 0; from < len(b); from += lineWindow {
		// Two fast searches in a part of b: one for both is slower, and one for
		// each in all of b reads it once for every line.
		window := b[from:min(from+lineWindow, len(b))]
		lf := bytes.IndexByte(window, '\n')
		if lf >= 0 {
			window = window[:lf]
		}
		cr := bytes.IndexByte(window, '\r')
		switch {
		case cr >= 0:
			cr += from
			if cr+1 < len(b) && b[cr+1] == '\n' {
				return cr, cr + 2
			}
			return cr, cr + 1
		case lf >= 0:
			return from + lf, from + lf + 1
		}
	}
	return 0, -1
}

// eventData returns the data of an event: its data lines, joined by LF. It is a
// part of event where there is one such line, and nil where there is none.
func eventData(event []byte) (data []byte) {
	lines := 0
	for len(event) > 0 {
		length, next := lineEnd(event)
		line := event
		if next >= 0 {
			line = event[:length]
		}
		if value, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			value = bytes.TrimPrefix(value, []byte(" "))
			switch lines++; lines {
			case 1:
				data = value
			case 2:
				data = append(append(append(make([]byte, 0, len(data)+len(value)+1), data...), '\n'), value...)
			default:
				data = append(append(data, '\n'), value...)
			}
		}
		if next < 0 {
			break
		}
		event = event[next:]
	}
	return data
}

// isDone reports whether an event's data say that the stream is over.
func isDone(data []byte) bool { return bytes.Equal(bytes.TrimSpace(data), streamDone) }

// commentEnd returns where the complete comment lines end with which b begins.
// They are keep-alives that belong to no event and need not wait for one.
func commentEnd(b []byte) (end int) {
	for end < len(b) && b[end] == ':' {
		_, next := lineEnd(b[end:])
		if next < 0 {
			break
		}
		end += next
	}
	return end
}

package proxy

import "bytes"

// eventEnd returns where the first event of b ends: behind the empty line that
// ends it, or -1 if there is none yet. A line ends with LF, CRLF or CR (HTML
// standard, section 9.2.6). A CR at the very end of b counts as a whole line
// end; an LF that follows it belongs to the same one, see lineFeedOwed.
func eventEnd(b []byte) int {
	for at := 0; at < len(b); {
		line, next := lineEnd(b[at:])
		if next < 0 {
			return -1
		}
		if line == 0 {
			return at + next
		}
		at += next
	}
	return -1
}

// lineEnd returns the length of b's first line and where the next one begins, or
// -1 if the line has no end yet.
func lineEnd(b []byte) (length, next int) {
	lf := bytes.IndexByte(b, '\n')
	head := b
	if lf >= 0 {
		head = b[:lf]
	}
	cr := bytes.IndexByte(head, '\r')
	switch {
	case cr >= 0 && cr == lf-1:
		return cr, lf + 1
	case cr >= 0:
		return cr, cr + 1
	case lf >= 0:
		return lf, lf + 1
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

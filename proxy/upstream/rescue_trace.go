package upstream

import "bytes"

// Private

// A trace is a text that was told, which another part of the stream tells again.
type trace struct {
	inside string // of a JSON string
	text   []byte // the same in CESU-8
	at     int    // of the text; what comes before was told again
}

func newTrace(inside []byte) trace {
	return trace{inside: string(inside), text: appendCESU(nil, string(inside))}
}

func (t *trace) ended() bool { return t.at == len(t.text) }

// follow returns what of a further piece was not told. It is not the same if the
// piece differs from what was.
func (t *trace) follow(inside string) (rest string, same bool) {
	if t.ended() {
		return inside, true
	}
	piece := appendCESU(nil, inside)
	n := min(len(piece), len(t.text)-t.at)
	if !bytes.Equal(piece[:n], t.text[t.at:t.at+n]) {
		return "", false
	}
	t.at += n
	_, rest = split(inside, n)
	return rest, true
}

// again returns what was told again.
func (t *trace) again() string {
	head, _ := split(t.inside, t.at)
	return head
}

// end takes it that nothing more is told again.
func (t *trace) end() { t.at = len(t.text) }

// A continuation is the text of a part that was asked to go on behind a text, and
// may tell it again. White space at the text's end was not asked with.
type continuation struct {
	echo, space trace
	decided     bool // whether it tells it again
}

// follow returns what of a further piece is new, once that is decided.
func (c *continuation) follow(inside string) (rest string) {
	rest = inside
	if !c.decided {
		var same bool
		if rest, same = c.echo.follow(inside); !same {
			rest = c.settle() + inside
		}
		c.decided = c.decided || c.echo.ended()
	}
	if rest == "" || c.space.ended() {
		return rest
	}
	piece := appendCESU(nil, rest)
	n := 0
	for n < len(piece) && n < len(c.space.text)-c.space.at && piece[n] == c.space.text[c.space.at+n] {
		n++
	}
	if c.space.at += n; n < len(piece) {
		c.space.end()
	}
	_, rest = split(rest, n)
	return rest
}

// settle decides that the text was not told again, and returns what seemed so.
func (c *continuation) settle() (inside string) {
	if c.decided {
		return ""
	}
	c.decided = true
	return c.echo.again()
}

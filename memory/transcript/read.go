package transcript

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"mnemo/memory"
)

// Bounds of a document that is read.
const (
	MaxDepth    = 10_016  // of nested JSON
	MaxMessages = 500_000 // of a session
)

// ErrTooLarge means that a document has more bytes than Read was allowed to read.
var ErrTooLarge = errors.New("the document is too large")

// An Error says where a document is wrong, and why.
type Error struct {
	Line int // from 1
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// A Document is a session that was read. Its snapshot is settled.
type Document struct {
	ID string // "" if the document names none
	memory.Snapshot
	undated bool // it came without times
}

// Read reads a document of at most limit bytes: JSON or JSONL as Write writes it, a
// chat request in OpenAI's form, of which model and messages are taken, or a bare
// array of messages. Of messages in OpenAI's form, system and developer messages
// become the session's instructions, and each user message begins a turn that ends
// before the next; what stands before the first is a turn of its own. They have
// neither times nor token counts.
//
// It returns ErrTooLarge, an *Error, or what the reader returned.
func Read(r io.Reader, limit int64) (*Document, error) {
	var text strings.Builder
	n, err := io.Copy(&text, io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, fmt.Errorf("%w: it has more than %d bytes", ErrTooLarge, limit)
	}
	p := parser{text: strings.TrimPrefix(text.String(), "\ufeff"), ids: map[string]bool{}}
	if err := p.parse(); err != nil {
		var own *Error
		if errors.As(err, &own) {
			return nil, err
		}
		return nil, p.fail(p.at, err)
	}
	return &p.doc, nil
}

// Date gives a document that came without times the present one.
func (d *Document) Date(now time.Time) {
	if !d.undated {
		return
	}
	d.undated = false
	d.Created, d.Updated = now, now
	for i := range d.Turns {
		d.Turns[i].At = now
	}
}

// Private

var (
	errDepth    = fmt.Errorf("nested more than %d levels deep", MaxDepth)
	errMessages = fmt.Errorf("more than %d messages", MaxMessages)
)

// A parser reads one document.
type parser struct {
	text     string
	at       int // the offset of what is being read
	doc      Document
	messages int
	ids      map[string]bool // of the turns
	marked   int64           // turns that settling looks at because of others
}

func (p *parser) parse() error {
	first, _, _ := strings.Cut(p.text, "\n")
	if checkJSON(first) == nil {
		if m := membersOf(gjson.Parse(first)); m.format.String() == formatName && m.turns.Type == gjson.Number {
			return p.lines(&m, len(first))
		}
	}
	if strings.TrimSpace(p.text) == "" {
		return errors.New("the document is empty")
	}
	if err := checkJSON(p.text); err != nil {
		return err
	}
	root := gjson.Parse(p.text)
	if root.IsArray() {
		return p.plain(root, "")
	}
	m := membersOf(root)
	switch {
	case m.format.String() == formatName:
		return p.object(&m)
	case m.messages.IsArray():
		return p.plain(m.messages, m.model.String())
	}
	return fmt.Errorf(`this is no session: neither {"format":%q, …}, nor {"messages": […]}, nor an array of messages`, formatName)
}

// object reads a session whose turns stand inside its object.
func (p *parser) object(m *members) error {
	if err := p.head(m); err != nil {
		return err
	}
	if !m.turns.IsArray() {
		return errors.New("turns is no array")
	}
	var err error
	m.turns.ForEach(func(_, value gjson.Result) bool {
		p.at = value.Index
		err = p.turn(value)
		return err == nil
	})
	if err != nil {
		return err
	}
	return p.settle()
}

// lines reads a session whose turns stand on lines of their own.
func (p *parser) lines(m *members, at int) error {
	if err := p.head(m); err != nil {
		return err
	}
	count, err := number(m.turns, 0, MaxMessages)
	if err != nil {
		return fmt.Errorf("turns: %w", err)
	}
	for at < len(p.text) {
		p.at = at + 1
		line, _, _ := strings.Cut(p.text[p.at:], "\n")
		at = p.at + len(line)
		if strings.TrimSpace(line) == "" {
			continue
		}
		if err := checkJSON(line); err != nil {
			return err
		}
		if err := p.turn(gjson.Parse(line)); err != nil {
			return err
		}
	}
	if have := int64(len(p.doc.Turns)); have != count {
		return fmt.Errorf("the document ends with turn %d of %d", have, count)
	}
	return p.settle()
}

// settle bounds and does what settling costs: each turn that supersedes others
// looks at all from the first of them on.
func (p *parser) settle() error {
	if p.marked > maxMarked {
		return errors.New("the turns supersede too many others")
	}
	p.at = 0
	return p.doc.Settle()
}

// fail is the error with the line of the offset.
func (p *parser) fail(at int, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		at += int(syntax.Offset)
	}
	at = min(at, len(p.text))
	return &Error{Line: 1 + strings.Count(p.text[:at], "\n"), Err: err}
}

// checkJSON says what is wrong with a JSON text.
func checkJSON(text string) error {
	if nesting(text, MaxDepth) > MaxDepth {
		return errDepth
	}
	if gjson.Valid(text) {
		return nil
	}
	// Slower, but it knows the place.
	if err := json.Unmarshal([]byte(text), new(json.RawMessage)); err != nil {
		return fmt.Errorf("not valid JSON: %w", err)
	}
	return errors.New("not valid JSON")
}

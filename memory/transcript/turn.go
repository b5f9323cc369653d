package transcript

import (
	"errors"
	"fmt"

	"github.com/tidwall/gjson"

	"mnemo/memory"
)

// Private

// maxMarked bounds what settling a document costs, in turns looked at.
const maxMarked = 1 << 27

// members are those of a document's object.
type members struct {
	format, version, id, title, created, updated gjson.Result
	system, persona, summary, turns              gjson.Result
	messages, model                              gjson.Result // of OpenAI's form
}

func membersOf(root gjson.Result) (m members) {
	if !root.IsObject() {
		return m
	}
	fields := map[string]*gjson.Result{
		"format": &m.format, "version": &m.version, "id": &m.id, "title": &m.title,
		"created": &m.created, "updated": &m.updated, "system": &m.system, "persona": &m.persona,
		"summary": &m.summary, "turns": &m.turns, "messages": &m.messages, "model": &m.model,
	}
	root.ForEach(func(key, value gjson.Result) bool {
		if field := fields[key.String()]; field != nil {
			*field = value
		}
		return true
	})
	return m
}

// head reads everything of a session but its turns.
func (p *parser) head(m *members) (err error) {
	if v, err := number(m.version, 0, maxCount); err != nil || v != formatVersion {
		return fmt.Errorf("version %s of the format; this program reads %d", m.version.Raw, formatVersion)
	}
	doc := &p.doc
	for _, field := range [...]struct {
		name  string
		value gjson.Result
		to    *string
	}{{"id", m.id, &doc.ID}, {"title", m.title, &doc.Title}, {"persona", m.persona, &doc.Persona}} {
		if *field.to, err = text(field.value, maxName); err != nil {
			return fmt.Errorf("%s: %w", field.name, err)
		}
	}
	if doc.ID != "" {
		if err := (memory.Key{Tenant: "any", Session: doc.ID}).Check(); err != nil {
			return fmt.Errorf("id: %w", err)
		}
	}
	if doc.Created, err = moment(m.created); err != nil {
		return fmt.Errorf("created: %w", err)
	}
	if doc.Updated, err = moment(m.updated); err != nil {
		return fmt.Errorf("updated: %w", err)
	}
	if doc.System, err = system(m.system); err != nil {
		return fmt.Errorf("system: %w", err)
	}
	if m.summary.Type == gjson.Null {
		return nil
	}
	p.at = m.summary.Index
	return p.summary(m.summary)
}

func (p *parser) summary(value gjson.Result) error {
	at := value.Get("at")
	if _, err := moment(at); err != nil {
		return fmt.Errorf("summary: at: %w", err)
	}
	if _, err := number(value.Get("tokens"), 0, maxCount); err != nil {
		return fmt.Errorf("summary: tokens: %w", err)
	}
	summary, err := memory.DecodeSummary(0, value.Raw)
	p.doc.Summary = summary
	return err
}

// turn reads one turn and adds it.
func (p *parser) turn(value gjson.Result) error {
	if !value.IsObject() {
		return errors.New("a turn is an object")
	}
	seq := int64(len(p.doc.Turns) + 1)
	var t memory.Turn
	err := errors.New("it has no seq")
	value.ForEach(func(key, v gjson.Result) bool {
		member := key.String()
		if memberErr := p.member(&t, member, v); memberErr != nil {
			err = fmt.Errorf("%s: %w", member, memberErr)
			return false
		}
		if t.Seq != 0 {
			err = nil
		}
		return true
	})
	switch {
	case err != nil:
		return fmt.Errorf("turn %d: %w", seq, err)
	case t.Seq != seq:
		return fmt.Errorf("turn %d stands where turn %d should", t.Seq, seq)
	case t.ID != "" && p.ids[t.ID]:
		return fmt.Errorf("turn %d has the id of another", seq)
	}
	p.ids[t.ID] = true
	if t.Supersedes.First > 0 {
		p.marked += seq - t.Supersedes.First
	}
	p.doc.Turns = append(p.doc.Turns, t)
	return nil
}

func (p *parser) member(t *memory.Turn, name string, v gjson.Result) (err error) {
	switch name {
	case "seq":
		t.Seq, err = number(v, 1, maxCount)
	case "id":
		t.ID, err = text(v, memory.MaxKeyLength)
	case "at":
		t.At, err = moment(v)
	case "model":
		t.Model, err = text(v, maxName)
	case "partial":
		t.Partial, err = boolean(v)
	case "usage":
		t.Usage, err = usage(v)
	case "supersedes":
		t.Supersedes, err = span(v)
	case "messages":
		t.Messages, err = p.turnMessages(v)
	}
	return err // superseded_by follows from the others
}

func (p *parser) turnMessages(array gjson.Result) (messages []memory.Message, err error) {
	if !array.IsArray() {
		return nil, errors.New("no array")
	}
	array.ForEach(func(_, item gjson.Result) bool {
		var m memory.Message
		if m, err = message(item); err == nil {
			messages = append(messages, m)
			p.messages++
		}
		if p.messages > MaxMessages {
			err = errMessages
		}
		return err == nil
	})
	return messages, err
}

func message(item gjson.Result) (m memory.Message, err error) {
	var tokens int64
	var raw string
	item.ForEach(func(key, v gjson.Result) bool {
		switch key.String() {
		case "tokens":
			tokens, err = number(v, 0, maxCount)
		case "message":
			raw, err = readRaw(v)
		}
		return err == nil
	})
	if err != nil {
		return m, err
	}
	if m, err = memory.ParseMessage(raw); err != nil {
		return m, err
	}
	if m.IsSystem() {
		return m, fmt.Errorf("a %s message is no part of a turn", m.Role)
	}
	m.Tokens = int(tokens)
	return m, nil
}

func usage(value gjson.Result) (u memory.Usage, err error) {
	if !value.IsObject() {
		return u, errors.New("no object")
	}
	value.ForEach(func(key, v gjson.Result) bool {
		var n int64
		switch key.String() {
		case "input":
			n, err = number(v, 0, maxCount)
			u.Input = int(n)
		case "cached_input":
			n, err = number(v, 0, maxCount)
			u.CachedInput = int(n)
		case "output":
			n, err = number(v, 0, maxCount)
			u.Output = int(n)
		case "reasoning":
			n, err = number(v, 0, maxCount)
			u.Reasoning = int(n)
		case "estimated":
			u.Estimated, err = boolean(v)
		case "cost":
			u.Cost, err = number(v, 0, maxCount)
			u.Priced = true
		}
		return err == nil
	})
	return u, err
}

func span(value gjson.Result) (s memory.Span, err error) {
	ends := value.Array()
	if !value.IsArray() || len(ends) != 2 {
		return s, errors.New("a first and a last turn are expected")
	}
	if s.First, err = number(ends[0], 1, maxCount); err == nil {
		s.Last, err = number(ends[1], 1, maxCount)
	}
	return s, err
}

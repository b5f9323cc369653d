package manage

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"mnemo/memory"
	"mnemo/proxy/apierror"
)

// Private

// create stores a session that nobody has talked to yet.
func (a *api) create(r *request) error {
	text, err := r.text()
	if err != nil {
		return err
	}
	var n NewSession
	if err := decode(text, &n); err != nil {
		return err
	}
	if n.ID == "" {
		n.ID = rand.Text()
	}
	key, err := r.keyOf(n.ID)
	if err != nil {
		return err
	}
	snapshot, err := a.beginning(&n)
	if err != nil {
		return err
	}
	ctx, cancel := within(storeTimeout)
	defer cancel()
	if err := a.Store.Import(ctx, key, snapshot); err != nil {
		return storeError(err)
	}
	r.locate(key)
	return r.answer(http.StatusCreated, Created{ID: n.ID, Greeting: n.Greeting})
}

// locate says where a new session is.
func (r *request) locate(key memory.Key) {
	id := url.PathEscape(key.Session)
	if strings.Trim(id, ".") == "" { // these have a meaning in paths
		id = strings.ReplaceAll(id, ".", "%2E")
	}
	location := "/api/sessions/" + id
	if key.Tenant != r.caller.Tenant {
		location += "?tenant=" + url.QueryEscape(key.Tenant)
	}
	r.web.Response.Header.Set("Location", location)
}

// decode reads a body of JSON; none is the zero value.
func decode(text string, into any) error {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil {
		if _, end := decoder.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("there is more behind the object")
		}
	}
	if err != nil {
		return apierror.BadRequest("invalid_json", "", "the body: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// beginning is the session as it is asked for. The greeting that it gets is put
// into the request.
func (a *api) beginning(n *NewSession) (s *memory.Snapshot, err error) {
	now := a.Now().Truncate(time.Millisecond)
	s = &memory.Snapshot{Title: memory.ShortenTitle(n.Title), Created: now, Updated: now}
	if s.System, err = instructions(n.System); err != nil {
		return nil, err
	}
	if err := a.usePersona(n, s); err != nil {
		return nil, err
	}
	if n.Greeting != nil && *n.Greeting == "" {
		n.Greeting = nil
	}
	if n.Greeting != nil {
		raw := append([]byte(`{"role":"assistant","content":`), gjson.AppendJSONString(nil, *n.Greeting)...)
		m, err := memory.ParseMessage(string(append(raw, '}')))
		if err != nil {
			return nil, err
		}
		s.Turns = []memory.Turn{{
			Seq: 1, ID: memory.NewTurnID(), At: now, Messages: []memory.Message{m},
			Usage: memory.Usage{Priced: true}, // it cost nothing
		}}
	}
	return s, s.Settle()
}

func (a *api) usePersona(n *NewSession, s *memory.Snapshot) error {
	if n.Persona == "" {
		if len(n.Vars) > 0 {
			return invalid("vars", "vars are those of a persona: name it")
		}
		return nil
	}
	var known []Persona
	if a.Personas != nil {
		known = a.Personas()
	}
	check := a.CheckPersona
	if check == nil {
		check = func(p *memory.Persona) error { return checkPersona(known, p) }
	}
	p := &memory.Persona{Name: n.Persona, Vars: n.Vars}
	if err := check(p); err != nil {
		return err
	}
	s.Persona = p.Encode()
	if at := slices.IndexFunc(known, named(p.Name)); at >= 0 && n.Greeting == nil {
		n.Greeting = known[at].Greeting
	}
	return nil
}

// instructions are a text, or an array of system and developer messages.
func instructions(raw json.RawMessage) (string, error) {
	value := gjson.ParseBytes(raw)
	switch {
	case value.Type == gjson.Null, value.Type == gjson.String && value.Str == "":
		return "", nil
	case value.Type == gjson.String:
		return `[{"role":"system","content":` + value.Raw + `}]`, nil
	case !value.IsArray():
		return "", invalid("system", "system is a text or an array of messages")
	}
	var messages []string
	var err error
	value.ForEach(func(_, item gjson.Result) bool {
		m, parseErr := memory.ParseMessage(item.Raw)
		if parseErr != nil || !m.IsSystem() {
			err = invalid("system", "messages of system have the role system or developer")
		}
		messages = append(messages, m.Raw)
		return err == nil
	})
	if len(messages) == 0 {
		return "", err
	}
	return "[" + strings.Join(messages, ",") + "]", err
}

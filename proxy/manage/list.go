package manage

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"
	"unicode/utf8"

	"mnemo/memory"
	"mnemo/proxy/apierror"
)

// Private

const (
	maxLimit     = 200
	defaultLimit = 50
	maxSearch    = 256
	maxCursor    = 2048
)

// list is a page of sessions, the last active first.
func (a *api) list(r *request) error {
	q, err := r.query()
	if err != nil {
		return err
	}
	limit := q.Limit
	q.Limit++ // one more tells whether there is another page
	ctx, cancel := within(storeTimeout)
	defer cancel()
	infos, err := a.Store.Sessions(ctx, q)
	if err != nil {
		return storeError(err)
	}
	page := SessionList{Sessions: []Session{}}
	if len(infos) > limit {
		infos = infos[:limit]
		next := encodeCursor(&infos[limit-1])
		page.NextCursor = &next
	}
	for i := range infos {
		page.Sessions = append(page.Sessions, sessionOf(&infos[i]))
	}
	return r.answer(http.StatusOK, page)
}

// query reads what is to be listed.
func (r *request) query() (q memory.Query, err error) {
	scope, err := r.scope()
	if err != nil {
		return q, err
	}
	q.Tenant, q.AllTenants = scope.Tenant, scope.AllTenants
	limit, err := r.number("limit", maxLimit, defaultLimit)
	if err != nil {
		return q, err
	}
	q.Limit = int(limit)
	if q.Search, _ = r.param("search"); len(q.Search) > maxSearch || !utf8.ValidString(q.Search) {
		return q, invalid("search", "a search is at most %d bytes of UTF-8", maxSearch)
	}
	if q.IdleSince, err = r.moment("idle_since"); err != nil {
		return q, err
	}
	if text, given := r.param("cursor"); given {
		q.After, err = decodeCursor(text, &q)
	}
	return q, err
}

// A cursor is memory.Cursor as clients carry it. It is a place in a list and gives
// no right to see anything.
type cursor struct {
	Updated int64  `json:"u"` // in milliseconds
	Session string `json:"s"`
	Tenant  string `json:"t"`
}

func encodeCursor(info *memory.Info) string {
	data, _ := json.Marshal(cursor{info.Updated.UnixMilli(), info.Key.Session, info.Key.Tenant}) // it has nothing that fails
	return base64.RawURLEncoding.EncodeToString(data)
}

func decodeCursor(text string, q *memory.Query) (*memory.Cursor, error) {
	broken := apierror.BadRequest("invalid_cursor", "cursor", "this is no next_cursor of such a list")
	if len(text) > maxCursor {
		return nil, broken
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, broken
	}
	var c cursor
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil || decoder.More() {
		return nil, broken
	}
	key := memory.Key{Tenant: c.Tenant, Session: c.Session}
	if key.Check() != nil || !q.AllTenants && c.Tenant != q.Tenant {
		return nil, broken
	}
	return &memory.Cursor{Updated: time.UnixMilli(c.Updated), Key: key}, nil
}

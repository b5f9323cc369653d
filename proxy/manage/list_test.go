package manage

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"mnemo/memory"
)

// ids walks through all pages of a list.
func (r *rig) ids(query string) (ids []string) {
	r.t.Helper()
	cursor := ""
	for range 100 {
		var page SessionList
		r.want(http.StatusOK, http.MethodGet, "/api/sessions?"+query+cursor, "", &page)
		for i := range page.Sessions {
			ids = append(ids, page.Sessions[i].Tenant+"/"+page.Sessions[i].ID)
		}
		if page.NextCursor == nil {
			return ids
		}
		cursor = "&cursor=" + url.QueryEscape(*page.NextCursor)
	}
	r.t.Fatal("the list has no end")
	return nil
}

// active stores a session that was active then.
func (r *rig) active(tenant, id, title string, at time.Time) {
	r.t.Helper()
	s := &memory.Snapshot{Title: title, Created: at, Updated: at}
	if err := s.Settle(); err != nil {
		r.t.Fatal(err)
	}
	if err := r.store.Import(context.Background(), memory.Key{Tenant: tenant, Session: id}, s); err != nil {
		r.t.Fatal(err)
	}
}

func TestList_has_the_last_active_first_on_every_page(t *testing.T) {
	r := newRig(t, nil)
	var want []string
	for i := range 23 {
		id := fmt.Sprintf("s%02d", i)
		r.active("ada", id, "", today.Add(time.Duration(i/3)*time.Hour)) // some at the same time
		want = append(want, "ada/"+id)
	}
	slices.Reverse(want)
	for _, limit := range []int{1, 5, 22, 23, 24, 200} {
		if got := r.ids(fmt.Sprintf("limit=%d", limit)); !slices.Equal(got, want) {
			t.Errorf("by %d: %v", limit, got)
		}
	}
}

func TestList_shows_tenants_their_own_and_admins_all(t *testing.T) {
	r := newRig(t, nil)
	r.active("ada", "a", "", today)
	r.active("bob", "b", "", today.Add(time.Hour))
	r.active("ops", "o", "", today.Add(2*time.Hour))
	for query, want := range map[string]string{"": "ops/o", "tenant=bob": "bob/b", "all=true": "ops/o bob/b ada/a", "all=true&limit=1": "ops/o bob/b ada/a"} {
		if got := strings.Join(r.as(root).ids(query), " "); got != want {
			t.Errorf("root, %q: %s, want %s", query, got, want)
		}
	}
	if got := strings.Join(r.ids(""), " "); got != "ada/a" {
		t.Errorf("ada sees %s", got)
	}
	r.refused(http.StatusForbidden, "admin_only", http.MethodGet, "/api/sessions?all=true", "")
	r.as(root).refused(http.StatusBadRequest, "invalid_parameter", http.MethodGet, "/api/sessions?all=true&tenant=ada", "")
}

func TestList_searches_titles_and_ids(t *testing.T) {
	r := newRig(t, nil)
	r.active("ada", "trip-1", "Nach KÖLN", today)
	r.active("ada", "trip-2", "京都への旅", today.Add(time.Minute))
	r.active("ada", "other", "100% _sure_", today.Add(2*time.Minute))
	for search, want := range map[string]string{"köln": "ada/trip-1", "京都": "ada/trip-2", "TRIP": "ada/trip-2 ada/trip-1", "%": "ada/other", "_": "ada/other", "nothing": ""} {
		if got := strings.Join(r.ids("search="+url.QueryEscape(search)), " "); got != want {
			t.Errorf("%s: %s, want %s", search, got, want)
		}
	}
	if got := r.ids("limit=1&search=trip"); len(got) != 2 {
		t.Errorf("by pages: %v", got)
	}
}

func TestList_finds_idle_sessions(t *testing.T) {
	r := newRig(t, nil)
	r.active("ada", "old", "", today.AddDate(0, 0, -31))
	r.active("ada", "new", "", today.Add(-13*time.Hour))
	for idle, want := range map[string]string{
		"30d": "ada/old", "12h": "ada/new ada/old", "0d": "ada/new ada/old", "400d": "", "780m": "ada/old",
		"2026-02-01T00:00:00Z": "ada/old", "2026-02-01": "ada/old", "2026-03-01T09:30:00+09:00": "ada/new ada/old",
	} {
		if got := strings.Join(r.ids("idle_since="+url.QueryEscape(idle)), " "); got != want {
			t.Errorf("%s: %s, want %s", idle, got, want)
		}
	}
}

func TestList_refuses_what_it_does_not_understand(t *testing.T) {
	r := newRig(t, nil)
	r.active("ada", "a", "", today)
	for _, query := range []string{"limit=0", "limit=201", "limit=x", "limit=", "idle_since=", "idle_since=-1h", "idle_since=soon", "idle_since=99999d", "all=maybe",
		"search=" + strings.Repeat("x", 257), "search=%FF"} {
		r.refused(http.StatusBadRequest, "invalid_parameter", http.MethodGet, "/api/sessions?"+query, "")
	}
	cursor := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	for _, broken := range []string{"", "x", "!!", cursor("{}"), cursor("[]"), cursor(`{"u":1,"s":"a","t":"bob"}`), cursor(`{"u":1,"s":"a b","t":"ada"}`),
		cursor(`{"u":1,"s":"a","t":"ada","x":1}`), cursor(`{"u":1,"s":"a","t":"ada"}{}`), cursor(`{"u":1.5,"s":"a","t":"ada"}`), strings.Repeat("A", 3000)} {
		r.refused(http.StatusBadRequest, "invalid_cursor", http.MethodGet, "/api/sessions?cursor="+url.QueryEscape(broken), "")
	}
}

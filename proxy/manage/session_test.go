package manage

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"mnemo/memory"
)

func TestSession_tells_what_it_holds(t *testing.T) {
	r := newRig(t, nil)
	path := r.told("ada", "trip", hello("My name is Ada."), hello("Bad question"))
	edit := turnOfMessages(t, hello("Good question"))
	edit.Supersedes, edit.System = memory.Span{First: 2, Last: 2}, `[{"role":"system","content":"Be <brief>."}]`
	edit.Usage = memory.Usage{Input: 100, CachedInput: 40, Output: 10, Cost: 1_234_500, Priced: true}
	edit.Persona = (&memory.Persona{Name: "teacher", Vars: map[string]string{"language": "日本語"}}).Encode()
	r.append("ada", "trip", edit)

	var s SessionDetail
	a := r.want(http.StatusOK, http.MethodGet, path, "", &s)
	if s.ID != "trip" || s.Tenant != "ada" || s.Title != "My name is Ada." || s.ExpiresAt != nil || s.Summary != nil {
		t.Errorf("%+v", s)
	}
	if s.Turns != 2 || s.Superseded != 1 || s.Messages != 4 || s.Groups != 2 || s.Tokens != 20 || s.Bytes == 0 {
		t.Errorf("%+v", s)
	}
	if s.Usage != (Tokens{100, 40, 10}) || s.Cost.USD == nil || *s.Cost.USD != "0.0012345" || s.Cost.UnpricedTurns != 2 {
		t.Errorf("%s", a.body)
	}
	if s.Persona == nil || *s.Persona != "teacher" || s.Vars["language"] != "日本語" || string(s.System) != edit.System {
		t.Errorf("%s", a.body)
	}
	if a.header.Get("ETag") == "" || !strings.Contains(a.body, `"created_at":"2026-03-01T09:30:00.123Z"`) {
		t.Errorf("ETag %q, %s", a.header.Get("ETag"), a.body)
	}
}

func TestSession_tells_its_summary(t *testing.T) {
	r := newRig(t, nil)
	path := r.told("ada", "trip", hello("one"), hello("two"))
	before := r.want(http.StatusOK, http.MethodGet, path, "", nil)
	summarise(t, r, "trip")
	var s SessionDetail
	after := r.want(http.StatusOK, http.MethodGet, path, "", &s)
	if s.Summary == nil || s.Summary.Text != "They said one." || s.Summary.UpTo != 1 || s.Summary.Tokens != 7 || s.Summary.Model != "m" || !s.Summary.At.Equal(today.Truncate(time.Millisecond)) {
		t.Errorf("%s", after.body)
	}
	if before.header.Get("ETag") == after.header.Get("ETag") {
		t.Error("the ETag is the same")
	}
}

func TestSession_costs_nothing_known_until_a_turn_is_priced(t *testing.T) {
	r := newRig(t, nil)
	var s SessionDetail
	r.want(http.StatusOK, http.MethodGet, r.told("ada", "trip", hello("one")), "", &s)
	if s.Cost.USD != nil || s.Cost.UnpricedTurns != 1 {
		t.Errorf("%+v", s.Cost)
	}
}

func TestSession_may_have_any_id(t *testing.T) {
	r := newRig(t, nil)
	for _, id := range []string{"a/b", "..", ".", "a//b", "a%2Fb", "50%", "a+b", "a?b#c", `"quoted"`, "import", "~'()*!;:@&=$,", "UPPER", "upper", strings.Repeat("x", 256), "/", "//"} {
		r.told("ada", id, hello("this is "+id))
		escaped := strings.ReplaceAll(url.PathEscape(id), ".", "%2E")
		for _, end := range []string{"", "/messages", "/export?format=txt"} {
			if a := r.want(http.StatusOK, http.MethodGet, "/api/sessions/"+escaped+end, "", nil); !strings.Contains(strings.ReplaceAll(a.body, `\"`, `"`), id) && end != "/messages" {
				t.Errorf("%s%s: %s", escaped, end, a.body)
			}
		}
	}
	for _, id := range []string{"UPPER", "upper"} {
		var s SessionDetail
		if r.want(http.StatusOK, http.MethodGet, "/api/sessions/"+id, "", &s); s.ID != id {
			t.Errorf("%s is %s", id, s.ID)
		}
	}
	r.refused(http.StatusBadRequest, "invalid_session_id", http.MethodGet, "/api/sessions/a%0Ab", "")
}

func TestSession_belongs_to_its_tenant(t *testing.T) {
	r := newRig(t, nil)
	path := r.told("ada", "trip", hello("one"))
	var s SessionDetail
	r.as(bobs).refused(http.StatusNotFound, "session_not_found", http.MethodGet, path, "")
	r.as(root).refused(http.StatusNotFound, "session_not_found", http.MethodGet, path, "")
	r.as(root).want(http.StatusOK, http.MethodGet, path+"?tenant=ada", "", &s)
	if s.Tenant != "ada" {
		t.Errorf("%+v", s)
	}
}

func TestDollars_are_exact(t *testing.T) {
	for nano, want := range map[int64]string{
		0: "0", 1: "0.000000001", 1_000_000_000: "1", 1_500_000_000: "1.5", 12_345_678_901_234_567: "12345678.901234567",
		-1: "-0.000000001", -2_500_000_000: "-2.5", 100: "0.0000001",
	} {
		if got := *dollars(nano); got != want {
			t.Errorf("%d is %s, want %s", nano, got, want)
		}
	}
}

func TestTime_is_in_UTC_with_milliseconds(t *testing.T) {
	data, err := json.Marshal(Time{time.Date(2026, 3, 1, 23, 0, 0, 5_999_999, time.FixedZone("", 3600))})
	if err != nil || string(data) != `"2026-03-01T22:00:00.005Z"` {
		t.Errorf("%s, %v", data, err)
	}
}

func turnOfMessages(t *testing.T, messages []string) memory.Turn {
	t.Helper()
	turn := memory.Turn{ID: memory.NewTurnID(), At: today.Add(time.Hour), Model: "gpt-4o-mini"}
	for _, raw := range messages {
		m, err := memory.ParseMessage(raw)
		if err != nil {
			t.Fatal(err)
		}
		m.Tokens = 5
		turn.Messages = append(turn.Messages, m)
	}
	return turn
}

// summarise gives the first turn of one of Ada's sessions a summary.
func summarise(t *testing.T, r *rig, id string) {
	t.Helper()
	ctx, key := context.Background(), memory.Key{Tenant: "ada", Session: id}
	turns, err := r.store.Turns(ctx, key, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	session, err := r.store.Load(ctx, key, memory.Need{})
	if err != nil {
		t.Fatal(err)
	}
	s := memory.Summary{Text: "They said one.", Tokens: 7, UpTo: 1, Model: "m", At: today}
	s.Covered.Add(&turns[0])
	if err := r.store.Compact(ctx, key, session.Revision, &s); err != nil {
		t.Fatal(err)
	}
}

package manage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"mnemo/ledger"
	"mnemo/memory"
)

// A full store takes no session.
type full struct{ memory.Store }

func (full) Import(context.Context, memory.Key, *memory.Snapshot) error {
	return fmt.Errorf("import: %w", memory.ErrSessionFull)
}

// A broken store knows nothing.
type broken struct {
	memory.Store
	err error
}

func (b broken) Load(context.Context, memory.Key, memory.Need) (memory.Session, error) {
	return memory.Session{}, b.err
}
func (b broken) Info(context.Context, memory.Key) (memory.Info, error) { return memory.Info{}, b.err }
func (b broken) Sessions(context.Context, memory.Query) ([]memory.Info, error) {
	return nil, b.err
}
func (b broken) Import(context.Context, memory.Key, *memory.Snapshot) error { return b.err }

func TestDelete_forgets_at_once_and_leaves_a_line_in_the_log(t *testing.T) {
	r := newRig(t, nil)
	path := r.told("ada", "trip", hello("my secret"))
	if a := r.want(http.StatusNoContent, http.MethodDelete, path, "", nil); a.body != "" {
		t.Errorf("%q", a.body)
	}
	for _, end := range []string{"", "/messages", "/export"} {
		r.refused(http.StatusNotFound, "session_not_found", http.MethodGet, path+end, "")
	}
	r.refused(http.StatusNotFound, "session_not_found", http.MethodDelete, path, "")
	session, err := r.store.Load(context.Background(), memory.Key{Tenant: "ada", Session: "trip"}, memory.Need{Messages: 9})
	if err != nil || session.Seq != 0 {
		t.Errorf("%+v, %v", session, err)
	}
	log := r.log.String()
	if want := `msg="session deleted" by=app by_tenant=ada by_admin=false tenant=ada session=trip`; strings.Count(log, want) != 1 || strings.Contains(log, "secret") {
		t.Errorf("the log says %q", log)
	}
	path = r.told("ada", "trip", hello("again"))
	r.as(root).want(http.StatusNoContent, http.MethodDelete, path+"?tenant=ada", "", nil)
	if want := `by=console by_tenant=ops by_admin=true tenant=ada session=trip`; !strings.Contains(r.log.String(), want) {
		t.Errorf("the log says %q", r.log.String())
	}
}

func TestDelete_leaves_what_changed_if_it_is_asked_to(t *testing.T) {
	r := newRig(t, nil)
	path := r.told("ada", "trip", hello("one"), hello("two"))
	tag := func() string { return r.want(http.StatusOK, http.MethodGet, path, "", nil).header.Get("ETag") }
	for name, change := range map[string]func(){
		"a turn":    func() { r.told("ada", "trip", hello("more")) },
		"a summary": func() { summarise(t, r, "trip") },
		"an edit": func() {
			edit := turnOfMessages(t, hello("edit"))
			edit.Supersedes = memory.Span{First: 2, Last: 2}
			r.append("ada", "trip", edit)
		},
		"another life": func() {
			r.want(http.StatusNoContent, http.MethodDelete, path, "", nil)
			r.told("ada", "trip", hello("one"), hello("two"))
		},
	} {
		old := tag()
		change()
		r.refused(http.StatusPreconditionFailed, "session_changed", http.MethodDelete, path, "", "If-Match", old)
		r.want(http.StatusOK, http.MethodGet, path, "", nil)
		if tag() == old {
			t.Errorf("%s leaves the ETag as it was", name)
		}
	}
	for _, condition := range []string{`"x"`, "W/" + tag(), `""`} {
		r.refused(http.StatusPreconditionFailed, "session_changed", http.MethodDelete, path, "", "If-Match", condition)
	}
	r.want(http.StatusNoContent, http.MethodDelete, path, "", nil, "If-Match", `"x", `+tag())
	r.refused(http.StatusNotFound, "session_not_found", http.MethodDelete, path, "", "If-Match", "*")
	r.told("ada", "trip", hello("one"))
	r.want(http.StatusNoContent, http.MethodDelete, path, "", nil, "If-Match", "*")
}

func TestDelete_is_no_race_with_a_turn(t *testing.T) {
	var late bool
	r := newRig(t, func(o *Options) { o.Store = &racing{Store: o.Store, late: &late} })
	path := r.told("ada", "trip", hello("one"))
	tag := r.want(http.StatusOK, http.MethodGet, path, "", nil).header.Get("ETag")
	late = true
	r.refused(http.StatusPreconditionFailed, "session_changed", http.MethodDelete, path, "", "If-Match", tag)
	var s SessionDetail
	if r.want(http.StatusOK, http.MethodGet, path, "", &s); s.Turns != 2 {
		t.Errorf("%+v", s)
	}
}

// A racing store gets a turn just before it deletes.
type racing struct {
	memory.Store
	late *bool
}

func (s *racing) DeleteAt(ctx context.Context, key memory.Key, seq int64) error {
	if *s.late {
		m, _ := memory.ParseMessage(`{"role":"user","content":"wait"}`)
		if _, err := s.Append(ctx, key, memory.Turn{ID: memory.NewTurnID(), At: today, Messages: []memory.Message{m}}); err != nil {
			return err
		}
	}
	return s.Store.DeleteAt(ctx, key, seq)
}

func TestStore_that_fails_is_no_secret_told(t *testing.T) {
	for code, err := range map[string]error{
		"store_unavailable": errors.New("dial tcp 10.1.2.3:6379: connection refused"),
		"timeout":           fmt.Errorf("load: %w", context.DeadlineExceeded),
	} {
		status := http.StatusServiceUnavailable
		if code == "timeout" {
			status = http.StatusGatewayTimeout
		}
		r := newRig(t, func(o *Options) { o.Store = broken{o.Store, err} })
		for path, method := range map[string]string{
			"/api/sessions": http.MethodGet, "/api/sessions/trip": http.MethodGet, "/api/sessions/trip/messages": http.MethodGet,
			"/api/sessions/trip/export": http.MethodGet, "/api/sessions/gone": http.MethodDelete, "/api/sessions/import": http.MethodPost,
		} {
			body := ""
			if method == http.MethodPost {
				body = talk
			}
			if a := r.refused(status, code, method, path, body); strings.Contains(a.body, "10.1.2.3") {
				t.Errorf("%s", a.body)
			}
		}
		if !strings.Contains(r.log.String(), err.Error()) {
			t.Errorf("the log says %q", r.log.String())
		}
	}
}

func TestDelete_has_everything_else_forget(t *testing.T) {
	store := newLedger(t, callAt(0, nil), callAt(0, func(e *ledger.Entry) { e.Tenant = "bob" }))
	r := newRig(t, func(o *Options) {
		o.Ledger = store
		o.Deleted = func(ctx context.Context, key memory.Key) error { return store.Forget(ctx, key.Tenant, key.Session) }
	})
	path := r.told("ada", "trip", hello("my secret"))
	r.refused(http.StatusPreconditionFailed, "session_changed", http.MethodDelete, path, "", "If-Match", `"x"`)
	sessions := func(r *rig) string {
		var list CallList
		r.want(http.StatusOK, http.MethodGet, "/api/calls/req-1", "", &list)
		return list.Calls[0].Session
	}
	if got := sessions(r); got != "trip" {
		t.Errorf("a session that stays is %q in the ledger", got)
	}
	r.want(http.StatusNoContent, http.MethodDelete, path, "", nil, "If-Match", "*")
	if got := sessions(r); got != "" {
		t.Errorf("the ledger knows %q", got)
	}
	if got := sessions(r.as(bobs)); got != "trip" {
		t.Errorf("bob's session is %q in the ledger", got)
	}
}

func TestDelete_that_is_not_forgotten_everywhere_is_said_so_and_goes_on(t *testing.T) {
	failure, told := errors.New("dial tcp 10.1.2.3:6379: connection refused"), 0
	r := newRig(t, func(o *Options) {
		o.Deleted = func(_ context.Context, key memory.Key) error {
			if key != (memory.Key{Tenant: "ada", Session: "trip"}) {
				t.Errorf("told of %v", key)
			}
			told++
			return failure
		}
	})
	path := r.told("ada", "trip", hello("my secret"))
	for range 2 { // the second finds no session any more
		a := r.refused(http.StatusServiceUnavailable, "session_not_forgotten", http.MethodDelete, path, "")
		if a.header.Get("Retry-After") == "" || !strings.Contains(a.body, "the session is gone") || strings.Contains(a.body, "10.1.2.3") {
			t.Errorf("%v %s", a.header, a.body)
		}
		r.refused(http.StatusNotFound, "session_not_found", http.MethodGet, path, "")
	}
	if log := r.log.String(); strings.Count(log, "session deleted") != 1 || !strings.Contains(log, failure.Error()) {
		t.Errorf("the log says %q", log)
	}
	failure = nil
	r.refused(http.StatusNotFound, "session_not_found", http.MethodDelete, path, "")
	if told != 3 {
		t.Errorf("told %d times", told)
	}
}

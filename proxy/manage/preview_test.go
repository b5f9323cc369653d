package manage

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"mnemo/memory"
	"mnemo/proxy/apierror"
)

func TestPrompt_is_explained_and_sends_nothing(t *testing.T) {
	const body = `{"messages":[{"role":"user","content":"And now?"}]}`
	name := "teacher"
	r := newRig(t, func(o *Options) {
		o.Prompt = func(_ context.Context, c Caller, key memory.Key, sent string) (Preview, error) {
			if c.Tenant != "ada" || key != (memory.Key{Tenant: "ada", Session: "trip"}) || sent != body {
				t.Errorf("%+v asks for %+v: %s", c, key, sent)
			}
			return Preview{
				Model: "gpt-4o", Messages: json.RawMessage(`[{"role":"user","n":1E+2,"content":"<now>"}]`), Tokens: 9, Budget: 100, Dropped: 1, Summary: SummaryUsed, Persona: &name,
				Groups: []Group{{FirstSeq: 1, LastSeq: 1, Tokens: 5, State: GroupDropped, Reason: "it is old", Preview: "one"}},
			}, nil
		}
	})
	path := r.told("ada", "trip", hello("one"))
	var p Preview
	a := r.want(http.StatusOK, http.MethodPost, path+"/prompt", body, &p)
	if !strings.Contains(a.body, `[{"role":"user","n":1E+2,"content":"<now>"}]`) || p.Groups[0].State != GroupDropped || *p.Persona != name || p.Summary != SummaryUsed {
		t.Errorf("%s", a.body)
	}
	r.refused(http.StatusNotFound, "session_not_found", http.MethodPost, "/api/sessions/unknown/prompt", body)
	r.as(bobs).refused(http.StatusNotFound, "session_not_found", http.MethodPost, path+"/prompt", body)
	r.refused(http.StatusRequestEntityTooLarge, "body_too_large", http.MethodPost, path+"/prompt", strings.Repeat(" ", maxBody+1))
}

func TestPrompt_of_nothing_is_described_too(t *testing.T) {
	r := newRig(t, func(o *Options) {
		o.Prompt = func(context.Context, Caller, memory.Key, string) (Preview, error) {
			return Preview{Summary: SummaryNone}, nil
		}
	})
	r.want(http.StatusOK, http.MethodPost, r.told("ada", "trip", hello("one"))+"/prompt", "{}", nil)
}

func TestPrompt_passes_errors_on(t *testing.T) {
	for code, err := range map[string]error{
		"missing_messages": apierror.BadRequest("missing_messages", "messages", "the body has no messages"), "store_unavailable": errors.New("redis is down"),
	} {
		r := newRig(t, func(o *Options) {
			o.Prompt = func(context.Context, Caller, memory.Key, string) (Preview, error) { return Preview{}, err }
		})
		a := r.do(http.MethodPost, r.told("ada", "trip", hello("one"))+"/prompt", "{}")
		if !strings.Contains(a.body, code) || strings.Contains(a.body, "redis") {
			t.Errorf("%d %s, want %s", a.status, a.body, code)
		}
	}
}

func TestRebuild_returns_the_new_summary(t *testing.T) {
	var r *rig
	r = newRig(t, func(o *Options) {
		o.Rebuild = func(_ context.Context, c Caller, key memory.Key) error {
			if c.Name != "app" || key.Session != "trip" {
				t.Errorf("%+v asks for %+v", c, key)
			}
			summarise(t, r, key.Session)
			return nil
		}
	})
	path := r.told("ada", "trip", hello("one"), hello("two"))
	var rebuilt Rebuilt
	r.want(http.StatusOK, http.MethodPost, path+"/rebuild", "", &rebuilt)
	if rebuilt.Summary == nil || rebuilt.Summary.Text != "They said one." {
		t.Errorf("%+v", rebuilt)
	}
	r.refused(http.StatusNotFound, "session_not_found", http.MethodPost, "/api/sessions/unknown/rebuild", "")
}

func TestRebuild_passes_errors_on(t *testing.T) {
	for err, want := range map[error]int{
		&apierror.Error{Status: http.StatusBadGateway, Type: apierror.TypeServer, Code: "summary_failed", Message: "no"}: http.StatusBadGateway,
		memory.ErrConflict: http.StatusConflict, memory.ErrNotFound: http.StatusNotFound, context.DeadlineExceeded: http.StatusGatewayTimeout,
	} {
		r := newRig(t, func(o *Options) {
			o.Rebuild = func(context.Context, Caller, memory.Key) error { return err }
		})
		if a := r.do(http.MethodPost, r.told("ada", "trip", hello("one"))+"/rebuild", ""); a.status != want {
			t.Errorf("%v: %d %s", err, a.status, a.body)
		}
	}
}

package proxy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"mnemo/memory"
)

// A scribe makes summaries by hand: it keeps the jobs, and folds what a test tells
// it to.
type scribe struct {
	store memory.Store
	mu    sync.Mutex
	jobs  []FoldJob
	fail  error
}

func (s *scribe) Ask(job FoldJob) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs = append(s.jobs, job)
	return true
}

func (s *scribe) Rebuild(ctx context.Context, job FoldJob) error { return s.Fold(ctx, job) }

func (s *scribe) Fold(ctx context.Context, job FoldJob) error {
	if s.fail != nil {
		return s.fail
	}
	session, err := s.store.Load(ctx, job.Key, memory.Need{Messages: 1 << 20})
	if err != nil {
		return err
	}
	summary := &memory.Summary{Text: fmt.Sprintf("record up to %d", job.Target.UpTo), Tokens: 50, UpTo: job.Target.UpTo, Left: job.Target.Left}
	for _, turn := range session.Turns {
		if turn.Seq <= summary.UpTo {
			summary.Covered.Add(&turn)
		}
	}
	return s.store.Compact(ctx, job.Key, session.Revision, summary)
}

func (s *scribe) last(t *testing.T) FoldJob {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.jobs) == 0 {
		t.Fatal("no summary was asked for")
	}
	return s.jobs[len(s.jobs)-1]
}

// withScribe is a rig that summarises to a budget of 400 tokens.
func withScribe(t *testing.T, change ...func(*rigOptions)) (*rig, *scribe) {
	s := &scribe{}
	return newRig(t, append(change, func(o *rigOptions) {
		if o.store == nil {
			o.store = openStore(t, t.TempDir()+"/m.db")
		}
		s.store = o.store
		o.proxy.Summaries = s
		o.proxy.Memory.Policy = memory.Policy{Strategy: memory.Summarize, Budget: 400}
		o.proxy.Memory.LoadTimeout = 10 * time.Second
	})...), s
}

// long is a question of about 60 tokens.
func long(n int) string { return user(fmt.Sprint("question ", n, strings.Repeat(" and so on", 18))) }

func TestSummary_is_asked_for_in_the_background_and_used_when_it_is_there(t *testing.T) {
	r, scribe := withScribe(t)
	n, states := 0, ""
	for len(scribe.jobs) == 0 {
		if n++; n > 20 {
			t.Fatal("no summary was asked for in 20 calls")
		}
		got := r.chat("s", long(n), "OpenAI-Organization: org", "X-Secret: no")
		states = got.header.Get("X-Memory-Summary")
		if states == "none" != (len(scribe.jobs) == 0) {
			t.Fatalf("call %d says %q with %d jobs", n, states, len(scribe.jobs))
		}
	}
	if states != "pending" {
		t.Errorf("the call that outgrew the budget says %q", states)
	}
	job := scribe.last(t)
	if job.Key != r.key("s") || job.Model != "gpt-4o" || job.Target.UpTo < 1 || job.Counter == nil {
		t.Errorf("job %+v", job)
	}
	if got := fmt.Sprint(job.header); got != "map[Authorization:[Bearer sk-client] Openai-Organization:[org]]" {
		t.Errorf("the job carries %s", got)
	}
	before := gjson.Get(r.up.last().body, "messages").Array()
	if err := scribe.Fold(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	got := r.chat("s", `{"model":"gpt-4o","messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"and now"}]}`)
	if got.header.Get("X-Memory-Summary") != "used" || got.header.Get("X-Memory-Dropped") == "0" {
		t.Errorf("with the summary: %v", got.header)
	}
	sent := gjson.Get(r.up.last().body, "messages").Array()
	system := sent[0].Get("content").String()
	if !strings.HasPrefix(system, "Be kind.\n\n") || !strings.Contains(system, "record up to ") || strings.Count(r.up.last().body, `"system"`) != 1 {
		t.Errorf("the summary stands as %s", sent[0].Raw)
	}
	if sent[1].Raw != before[0].Raw {
		t.Errorf("after the summary the conversation begins with %s, while it was pending with %s", sent[1].Raw, before[0].Raw)
	}
	if got := r.chat("s", user("x"), "X-Memory-Strategy: trim"); got.header.Get("X-Memory-Summary") != "none" || strings.Contains(r.up.last().body, "record up to") {
		t.Errorf("with strategy trim: %v", got.header)
	}
}

func TestSummary_inline_is_in_the_prompt_of_the_call_that_needs_it(t *testing.T) {
	inline := func(o *rigOptions) { o.proxy.Memory.SummaryWait = 10 * time.Second }
	for _, fail := range []error{nil, errors.New("no")} {
		r, scribe := withScribe(t, inline)
		scribe.fail = fail
		used := 0
		for n := range 12 {
			got := r.chat("s", long(n))
			if got.status != 200 {
				t.Fatalf("call %d = %d %s", n, got.status, got.body)
			}
			switch got.header.Get("X-Memory-Summary") {
			case "used":
				used++
				if !strings.Contains(r.up.last().body, "record up to") {
					t.Errorf("call %d: no summary in %s", n, r.up.last().body)
				}
			case "pending":
				if fail == nil {
					t.Errorf("call %d did not wait", n)
				}
			}
		}
		if (used > 0) != (fail == nil) {
			t.Errorf("used %d times though the scribe says %v", used, fail)
		}
		if n := len(r.turns("s")); n != 12 {
			t.Errorf("%d turns", n)
		}
	}
}

func TestSummary_is_not_asked_for_where_memory_is_not_read_or_limited_for_once(t *testing.T) {
	r, scribe := withScribe(t)
	for n := range 12 {
		r.chat("s", long(n), "X-Memory-Mode: write-only")
	}
	r.chat("s", long(13), "X-Memory-Mode: read-only")
	r.chat("s", long(13), "X-Memory-Budget: 200", "X-Memory-Mode: read-only")
	r.chat("s", long(13), "X-Memory-Strategy: window", "X-Memory-Mode: read-only")
	if n := len(scribe.jobs); n != 0 {
		t.Errorf("%d summaries were asked for", n)
	}
}

func TestSummary_inline_that_cannot_be_loaded_leaves_the_prompt_as_it_was(t *testing.T) {
	store := &absentStore{}
	r, scribe := withScribe(t, func(o *rigOptions) {
		store.Store = openStore(t, t.TempDir()+"/m.db")
		o.store = store
	})
	n := 0
	for ; len(scribe.jobs) == 0; n++ {
		r.chat("s", long(n))
	}
	want := len(gjson.Get(r.up.last().body, "messages").Array())
	r.apply(func(s *Settings) { s.Memory.SummaryWait = time.Second })
	r.server.Summaries = leaving{scribe, store}
	got := r.chat("s", long(n), "X-Memory-Mode: on")
	if sent := len(gjson.Get(r.up.last().body, "messages").Array()); got.status != 200 || sent < want {
		t.Errorf("%d messages were sent, want at least %d; %v", sent, want, got.header)
	}
}

// leaving is a scribe whose store goes away when it is done.
type leaving struct {
	*scribe
	store *absentStore
}

func (l leaving) Fold(ctx context.Context, job FoldJob) error {
	err := l.scribe.Fold(ctx, job)
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	l.store.away = true
	return err
}

package main

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"mnemo/memory/storetest/redisserver"
)

func TestAnswers_that_are_old_serve_while_no_upstream_does(t *testing.T) {
	up := newFakeModel(t)
	door := newDoorkeeper(t, up)
	m := serve(t, setup{file: cachedFile(door.url, "ttl: 1s, stale_if_error: 1h", "")})
	q := asking{session: "s", text: "My name is Ada.", more: zero}
	m.asks(t, asking{text: q.text, more: zero})
	m.kept(t, asking{text: q.text, more: zero})
	before := len(up.all())
	settles(t, "it is too old", func() bool {
		a := m.asks(t, asking{text: q.text, more: zero})
		if how := a.header.Get("X-Cache"); how != "" && how != "hit" {
			t.Errorf("while the upstream answers, X-Cache is %q", how)
		}
		return len(up.all()) == before+1
	})
	m.kept(t, asking{text: q.text, more: zero})
	door.server.Close()
	settles(t, "it is too old again", func() bool {
		return m.asks(t, asking{text: q.text, more: zero}).header.Get("X-Cache") == "stale"
	})
	for i, stream := range []bool{false, true} {
		q.session, q.stream = fmt.Sprint("s-", i), stream
		a := m.asks(t, q)
		if age, err := strconv.Atoi(a.header.Get("Age")); a.header.Get("X-Cache") != "stale" || err != nil || age < 1 || a.text != heard(q.text) || a.header.Get("X-Upstream") != "" {
			t.Errorf("stream %v: it says %q with %v", stream, a.text, a.header)
		}
		wantTurns(t, m, q.session, []string{"1 user: My name is Ada. / assistant: You said: My name is Ada."}, nil)
	}
	if a := m.tries(t, asking{session: "other", text: "Never asked.", more: zero}); a.status != http.StatusBadGateway {
		t.Errorf("what was never asked is answered with %d %s", a.status, a.body)
	}
	if a := m.tries(t, asking{text: q.text, more: zero, cache: "off"}); a.status != http.StatusBadGateway {
		t.Errorf("with X-Cache: off it is answered with %d %s", a.status, a.body)
	}
	if got := m.metric(t, `mnemo_cache_lookups_total{mnemo_cache_result="stale"}`); got != 3 {
		t.Errorf("%v lookups are stale", got)
	}
}

// Who has nothing left to spend is told so.
func TestAnswers_that_are_old_do_not_stand_in_for_a_budget(t *testing.T) {
	up := newFakeModel(t)
	m := serve(t, setup{file: cachedFile(up.url, "ttl: 500ms, stale_if_error: 1h", "budgets: [{name: few, scope: global, limit: 1 tokens, per: month}]\n")})
	q := asking{text: "My name is Ada.", more: zero}
	m.asks(t, q)
	var a answer
	settles(t, "the budget is used up and the answer old", func() bool {
		a = m.tries(t, q)
		return a.header.Get("X-Cache") != "hit"
	})
	if a.status != http.StatusTooManyRequests || gjson.Get(a.body, "error.code").String() != "insufficient_quota" {
		t.Errorf("it is answered with %d %s, X-Cache %q", a.status, a.body, a.header.Get("X-Cache"))
	}
}

func TestAnswers_of_a_session_go_with_it(t *testing.T) {
	t.Run("memory", func(t *testing.T) { answersGo(t, "") })
	t.Run("Redis", func(t *testing.T) {
		answersGo(t, "answer_cache: {url: \"redis://"+redisserver.Start(t).Addr+"\"}\n")
	})
}

func answersGo(t *testing.T, more string) {
	up := newFakeModel(t)
	m := serve(t, setup{file: cachedFile(up.url, "ttl: 1h", more)})
	q := asking{session: "secret", text: "My name is Ada.", more: zero}
	m.asks(t, q)
	m.asks(t, asking{session: "witness", text: "Witness.", more: zero})
	m.kept(t, asking{text: "Witness.", more: zero})
	if status, said := m.manage(t, clientKey, http.MethodDelete, "secret", ""); status != http.StatusNoContent && status != http.StatusOK {
		t.Fatalf("delete: %d %s", status, said)
	}
	before := len(up.all())
	if a := m.asks(t, q); a.header.Get("X-Cache") != "" || len(up.all()) != before+1 {
		t.Errorf("after its deletion X-Cache is %q", a.header.Get("X-Cache"))
	}
	if a := m.asks(t, asking{text: "Witness.", more: zero}); a.header.Get("X-Cache") != "hit" {
		t.Error("another session's answers are gone, too")
	}
}

func TestAnswers_in_Redis_are_shared_and_missed_by_nobody_when_it_dies(t *testing.T) {
	up, server := newFakeModel(t), redisserver.Start(t)
	file := cachedFile(up.url, "ttl: 1h", "answer_cache: {url: \"redis://"+server.Addr+"/1\"}\n")
	one, other := serve(t, setup{file: file}), serve(t, setup{file: file})
	q := asking{text: "My name is Ada.", more: zero}
	one.asks(t, q)
	var hit answer
	settles(t, "the other process has it", func() bool {
		hit = other.asks(t, q)
		return hit.header.Get("X-Cache") == "hit"
	})
	if q.stream = true; other.asks(t, q).text != heard(q.text) || one.kept(t, q).text != heard(q.text) {
		t.Error("the stream says something else")
	}
	server.Kill()
	for i := range 20 {
		q.text, q.session, q.stream = fmt.Sprintf("Turn %d.", i), "s", i%2 == 0
		begin := time.Now()
		if a := other.asks(t, q); a.text != heard(q.text) || a.header.Get("X-Cache") != "" || a.header.Get("X-Memory-Status") != "ok" {
			t.Errorf("it says %q, X-Cache %q", a.text, a.header.Get("X-Cache"))
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("it takes %v", took)
		}
	}
	other.log.wait(t, "the answer cache cannot be reached")
	if lines := other.log.all("the answer cache cannot be reached"); len(lines) != 1 {
		t.Errorf("the outage is told of %d times", len(lines))
	}
	server.Restart(t)
	settles(t, "answers are kept again", func() bool {
		return other.asks(t, asking{text: "Again.", more: zero}).header.Get("X-Cache") == "hit"
	})
	wantNone(t, other.log.String(), "Ada", clientKey)
}

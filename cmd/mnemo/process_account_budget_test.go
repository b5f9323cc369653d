package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tidwall/gjson"

	"mnemo/memory/storetest/redisserver"
)

// centCall is a call of five tokens for a cent.
const centCall = `{"model":"cent","max_tokens":5,"messages":[{"role":"user","content":"Hello."}]}`

// A till is an upstream whose answers have five tokens.
type till struct {
	url  string // with /v1
	mu   sync.Mutex
	sold map[string]int // answers, by model
}

func newTill(t *testing.T) *till {
	c := &till{sold: map[string]int{}}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.url = server.URL + "/v1"
	return c
}

// ServeHTTP answers one call, with an error if it is of the model that always fails.
func (c *till) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	model := gjson.GetBytes(body, "model").String()
	w.Header().Set("Content-Type", "application/json")
	if err != nil || model == "fails" {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	c.mu.Lock()
	c.sold[model]++
	c.mu.Unlock()
	fmt.Fprintf(w, `{"id":"c","object":"chat.completion","created":1,"model":%q,"choices":[{"index":0,"message":{"role":"assistant","content":"Here you are, Sir."},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14}}`, model)
}

// of is how many answers there were of a model.
func (c *till) of(model string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sold[model]
}

// file is a configuration with budgets, in which each call of the model cent costs a cent.
func (c *till) file(budgets string) string {
	return "upstreams: [{name: up, url: " + c.url + ", prices: {cent: {input: 0, output: 2000}, tenth: {input: 0, output: 200}}}]\n" +
		"retry: {attempts: 0}\nbreaker: {consecutive: 1000}\nstore: {load_timeout: 10s}\nbudgets: [" + budgets + "]\n"
}

const oneDollar = "{name: all, scope: global, limit: 1 USD, per: month, action: block}"

// spend makes n calls at once, in turn of the processes, and says how many were answered.
// The others must have been refused for the budget.
func spend(t *testing.T, n int, processes ...*mnemo) int {
	t.Helper()
	var answered atomic.Int64
	var calling sync.WaitGroup
	for i := range n {
		calling.Go(func() {
			a, err := cent(t.Context(), processes[i%len(processes)])
			switch {
			case err != nil:
				t.Error(err)
			case a.status == http.StatusOK:
				answered.Add(1)
			default:
				wantOverBudget(t, a)
			}
		})
	}
	calling.Wait()
	return int(answered.Load())
}

func cent(ctx context.Context, m *mnemo) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url+"/v1/chat/completions", strings.NewReader(centCall))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Authorization", "Bearer "+clientKey)
	response, err := m.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	return readAnswer(response, false)
}

// wantOverBudget looks at what a client gets whose budget is used up.
func wantOverBudget(t *testing.T, a answer) {
	t.Helper()
	told := gjson.Get(a.body, "error")
	after, err := strconv.Atoi(a.header.Get("Retry-After"))
	if a.status != http.StatusTooManyRequests || told.Get("type").String() != "insufficient_quota" || told.Get("code").String() != "insufficient_quota" ||
		!told.Get("param").Exists() || !strings.Contains(told.Get("message").String(), "it resets at 2") || err != nil || after < 1 || a.header.Get("X-Should-Retry") != "false" {
		t.Errorf("%d %s, %v", a.status, a.body, a.header)
	}
}

func TestBudget_of_two_processes_is_passed_by_no_more_than_a_call_of_each(t *testing.T) {
	up, server := newTill(t), redisserver.Start(t)
	o := setup{file: up.file(oneDollar), args: []string{"--store", "redis://" + server.Addr}}
	processes := []*mnemo{serve(t, o), serve(t, o)}
	answered := spend(t, 200, processes...)
	if calls := up.of("cent"); answered != calls || answered < 100 || answered > 102 {
		t.Errorf("%d calls are answered, %d went up, want 100 to 102", answered, calls)
	}
	for _, m := range processes {
		if n := spend(t, 5, m); n != 0 {
			t.Errorf("%d more are answered", n)
		}
	}
	processes[0].terminate(t)
	if code := processes[0].wait(t); code != exitOK {
		t.Errorf("exits with %d", code)
	}
	if n := spend(t, 10, serve(t, o), processes[1]); n != 0 {
		t.Errorf("%d are answered after a restart", n)
	}
	t.Logf("%d calls of a cent were answered", answered)
}

func TestBudget_is_that_of_the_ledger_after_a_restart(t *testing.T) {
	up, b := newTill(t), sqliteBackend(t)
	o := setup{file: up.file(oneDollar), args: []string{"--store", b.url}}
	m := serve(t, o)
	if n := spend(t, 60, m); n != 60 {
		t.Errorf("%d of 60 are answered", n)
	}
	m.terminate(t)
	m.wait(t)
	m = serve(t, o)
	if n := spend(t, 140, m); n < 40 || n > 42 || up.of("cent") != 60+n {
		t.Errorf("%d more are answered, of %d that went up; want 40", n, up.of("cent"))
	}
	m.terminate(t)
	m.wait(t)
	if n := spend(t, 5, serve(t, o)); n != 0 {
		t.Errorf("%d are answered after all is spent", n)
	}
}

// A call that is refused or fails reserves nothing for longer than it takes.
func TestBudget_has_all_back_of_calls_that_cost_nothing(t *testing.T) {
	up := newTill(t)
	m := serve(t, setup{file: up.file("{name: few, scope: global, limit: 0.05 USD, per: month, action: block}")})
	for range 20 {
		a, err := m.chat(t.Context(), "s", strings.Replace(centCall, "cent", "fails", 1), nil)
		if err != nil || a.status != http.StatusInternalServerError {
			t.Fatalf("%d %s, %v", a.status, a.body, err)
		}
	}
	if n := spend(t, 20, m); n != 5 {
		t.Errorf("%d calls are answered, want 5", n)
	}
	m.reaches(t, "mnemo_ledger_rows_total", 40)
	if got := m.usage(t, clientKey).Get("cost_nano_usd").Int(); got != 50_000_000 {
		t.Errorf("%d nano-dollars are spent", got)
	}
}

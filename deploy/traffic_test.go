package deploy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mnemo/memory/storetest/redisserver"
)

const (
	rounds   = 12 // of all that can happen
	roundFor = 800 * time.Millisecond
	// In these rounds the store is away.
	outageFrom, outageTo = 3, 6
	// In these the file of the configuration is wrong.
	mistakeFrom, mistakeTo = 6, 9
)

var tenants = [...]string{"shop", "lab"}

// A run is a mnemo to which everything happens that can be seen.
type run struct {
	url          string
	store        *redisserver.Server
	file, config string
}

func startRun(t *testing.T, dir string) *run {
	t.Helper()
	store := redisserver.Start(t)
	var keys strings.Builder
	for _, tenant := range tenants {
		hash := sha256.Sum256([]byte(tenant))
		fmt.Fprintf(&keys, "    - {name: %s, hash: \"sha256:%s\"}\n", tenant, hex.EncodeToString(hash[:]))
	}
	first := startModel(t, true)
	r := &run{store: store, file: filepath.Join(dir, "mnemo.yaml"), config: `
auth:
  keys:
` + keys.String() + `
store: {url: "redis://` + store.Addr + `?dial_timeout=200ms", load_timeout: 1s}
memory: {strategy: summarize, budget: 700}
summarize: {model: ` + cachedModel + `, max_tokens: 100}
upstreams:
  - name: first
    url: ` + first + `
    keys: [{label: a, value: key-a}, {label: b, value: key-b}]
  - name: second
    url: ` + startModel(t, false) + `
    keys: [{label: c, value: key-c}]
  - name: narrow
    url: ` + first + `
    keys: [{label: d, value: key-d}]
    max_in_flight: 1
routes:
  - {model: ` + narrowModel + `, to: [{upstream: narrow}]}
  - {model: ` + cachedModel + `, to: [{upstream: first}], cache: {ttl: 1m}}
  - {model: "*", to: [{upstream: first}, {upstream: second}]}
retry: {attempts: 2, base: 10ms, max: 50ms}
breaker: {consecutive: 3, open: 1s}
hedge_after: 200ms
on_stream_break: resume
ledger: {interval: 200ms}
budgets: [{name: day, scope: tenant, limit: 0.0001 USD, per: day, action: warn}]
`}
	write(t, r.file, r.config)
	r.url = startMnemo(t, dir)
	return r
}

// live lets everything happen, again and again.
func (r *run) live(t *testing.T) {
	t.Helper()
	for round := range rounds {
		end := time.After(roundFor)
		switch round {
		case outageFrom:
			r.store.Kill()
		case outageTo:
			r.store.Restart(t)
		}
		switch round {
		case mistakeFrom:
			write(t, r.file, r.config+"nonsense: 7\n")
		case mistakeTo:
			write(t, r.file, r.config)
		}
		r.round(t, round)
		<-end
	}
}

func (r *run) round(t *testing.T, round int) {
	t.Helper()
	var wg sync.WaitGroup
	defer wg.Wait()
	for i, tenant := range tenants {
		c := caller{r.url, tenant}
		session := fmt.Sprint("session-", i)
		for _, model := range [...]string{goodModel, flakyModel, limitedModel, strangeModel, cutModel, silentModel} {
			wg.Go(func() { c.chat(t, http.StatusOK, model, "", true) })
		}
		wg.Go(func() { c.chat(t, http.StatusOK, downModel, "", false) })
		wg.Go(func() { c.chat(t, 0, deadModel, "", false) }) // an error, or none if its breakers are open
		wg.Go(func() { c.leave(t) })
		wg.Go(func() { c.chat(t, http.StatusOK, narrowModel, "", false) })
		wg.Go(func() {
			for range 3 { // the same question again
				c.send(t, http.StatusOK, cachedModel, "", `"temperature":0,"messages":[{"role":"user","content":"Once."}]`)
			}
			c.send(t, http.StatusBadRequest, goodModel, "", `"max_tokens":-1,"messages":[{"role":"user","content":"?"}]`)
		})
		wg.Go(func() {
			for turn := range 3 {
				c.chat(t, http.StatusOK, goodModel, session, turn%2 == 0)
			}
		})
	}
	wg.Go(func() {
		status, _ := get(t, r.url+"/v1/models") // no key, so not allowed
		if status != http.StatusUnauthorized {
			t.Errorf("round %d: %d", round, status)
		}
	})
}

// A caller is a tenant, whose key is its name.
type caller struct{ url, tenant string }

func (c caller) chat(t *testing.T, want int, model, session string, streamed bool) {
	t.Helper()
	c.send(t, want, model, session, fmt.Sprintf(`"stream":%t,"messages":[{"role":"user","content":"Remember this: %s and %d."}]`,
		streamed, strings.Repeat("a long story, ", 25), time.Now().UnixNano()))
}

// send makes a call and reads its answer. Status 0 is any.
func (c caller) send(t *testing.T, want int, model, session, members string) {
	t.Helper()
	answer, err := c.do(t.Context(), model, session, members)
	if err != nil {
		t.Errorf("%s: %v", model, err)
		return
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || want != 0 && answer.StatusCode != want {
		t.Errorf("%s: %v, %d, %.300s", model, err, answer.StatusCode, body)
	}
}

// leave reads the beginning of an answer.
func (c caller) leave(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	answer, err := c.do(ctx, slowModel, "", `"stream":true,"messages":[{"role":"user","content":"Tell me."}]`)
	if err != nil {
		t.Error(err)
		return
	}
	defer answer.Body.Close()
	_, _ = io.ReadFull(answer.Body, make([]byte, 300)) // what it says does not matter
}

func (c caller) do(ctx context.Context, model, session, members string) (*http.Response, error) {
	body := strings.NewReader(fmt.Sprintf(`{"model":%q,%s}`, model, members))
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/v1/chat/completions", body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+c.tenant)
	request.Header.Set("Content-Type", "application/json")
	if session != "" {
		request.Header.Set("X-Session-ID", session)
	}
	return http.DefaultClient.Do(request)
}

package budget

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const secret = "a secret that nobody sees"

// A delivery is what a receiver was sent.
type delivery struct {
	header http.Header
	body   []byte
}

// A receiver is a webhook that misbehaves in the ways of faults, one each, before it is well.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []delivery
	faults []http.HandlerFunc
}

func listen(t *testing.T, faults ...http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{faults: faults}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		r.got = append(r.got, delivery{req.Header.Clone(), body})
		n := len(r.got)
		r.mu.Unlock()
		if n <= len(r.faults) {
			r.faults[n-1](w, req)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func answering(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

func reset(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func newAlerts(t *testing.T, opts AlertOptions) *Alerts {
	t.Helper()
	if opts.Backoff == 0 {
		opts.Backoff = time.Millisecond
	}
	a, err := NewAlerts(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, a) })
	return a
}

func shut(t *testing.T, a *Alerts) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
	defer cancel()
	if err := a.Close(ctx); err != nil {
		t.Error(err)
	}
}

func TestAlerts_tell_each_crossing_once_signed_and_in_spite_of_faults(t *testing.T) {
	r := listen(t, answering(500), reset, answering(429), answering(408))
	a := newAlerts(t, AlertOptions{URL: r.URL, Secret: secret})
	b := newBudgets(t, Options{Alerts: a, Rules: []Rule{
		{Name: "team-day", Scope: Session, Limit: dollars(1), Per: Day, Action: Block, WarnAt: 0.8},
	}})
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() { spend(b, call("a", 2*cent)) })
	}
	wg.Wait()
	shut(t, a)

	if len(r.got) != 6 {
		t.Fatalf("%d deliveries, want 4 that fail and 2", len(r.got))
	}
	for i, d := range r.got {
		at, _, _ := strings.Cut(strings.TrimPrefix(d.header.Get("X-Mnemo-Signature"), "t="), ",")
		unix, err := strconv.ParseInt(at, 10, 64)
		if err != nil || d.header.Get("X-Mnemo-Signature") != Sign([]byte(secret), time.Unix(unix, 0), d.body) {
			t.Errorf("%d: signature %q, %v", i, d.header.Get("X-Mnemo-Signature"), err)
		}
		if d.header.Get("Content-Type") != "application/json" || d.header.Get("Idempotency-Key") == "" {
			t.Errorf("%d: %v", i, d.header)
		}
		if first := r.got[0]; i < 5 && (d.header.Get("Idempotency-Key") != first.header.Get("Idempotency-Key") || !bytes.Equal(d.body, first.body)) {
			t.Errorf("the attempts of one crossing differ: %s", d.body)
		}
	}
	told := make(map[string]map[string]any)
	for _, d := range r.got[4:] {
		var a map[string]any
		if err := json.Unmarshal(d.body, &a); err != nil {
			t.Fatal(err)
		}
		if a["id"] != d.header.Get("Idempotency-Key") {
			t.Errorf("%s: %v", d.body, d.header)
		}
		told[fmt.Sprint(a["event"])] = a
	}
	warning, reached := told["budget.warning"], told["budget.reached"]
	want := map[string]any{
		"id": warning["id"], "event": "budget.warning", "rule": "team-day", "scope": "session", "action": "block",
		"subject": map[string]any{"tenant": "a", "session": "s"}, "spent": 8e8, "limit": 1e9, "unit": "nano_usd",
		"text": "0.80 USD of 1.00 USD a day", "period": "day",
		"from": "2026-11-21T00:00:00Z", "resets": "2026-11-22T00:00:00Z", "time": "2026-11-21T12:00:00Z",
	}
	if fmt.Sprint(warning) != fmt.Sprint(want) {
		t.Errorf("%v\nwant %v", warning, want)
	}
	if reached["id"] == warning["id"] || reached["spent"] != 1e9 {
		t.Errorf("%v", reached)
	}
	if s := a.Stats(); s != (AlertStats{Delivered: 2}) {
		t.Errorf("%+v", s)
	}
}

func TestAlerts_give_up(t *testing.T) {
	down := answering(503)
	for name, c := range map[string]struct {
		faults   []http.HandlerFunc
		attempts int
	}{
		"after the last attempt":          {[]http.HandlerFunc{down, down, down}, 3},
		"at once if the receiver refuses": {[]http.HandlerFunc{answering(400)}, 1},
		"at once if it sends elsewhere": {[]http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := listen(t, c.faults...)
			var log bytes.Buffer
			a := newAlerts(t, AlertOptions{URL: r.URL + "/token", Retries: 2, Log: slog.New(slog.NewTextHandler(&log, nil))})
			a.Send(Crossing{ID: "1", Rule: "lost"})
			a.Send(Crossing{ID: "2", Rule: "heard"})
			shut(t, a)
			if len(r.got) != c.attempts+1 || a.Stats() != (AlertStats{Delivered: 1, Abandoned: 1}) {
				t.Errorf("%d attempts, %+v", len(r.got), a.Stats())
			}
			if r.got[0].header.Get("X-Mnemo-Signature") != "" {
				t.Error("signed without a secret")
			}
			if text := log.String(); !strings.Contains(text, "budget=lost id=1") || strings.Contains(text, "heard") {
				t.Errorf("%s", text)
			}
		})
	}
}

func TestAlerts_keep_secrets_out_of_the_log(t *testing.T) {
	gone := listen(t)
	gone.Close()
	r := listen(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(400)
		fmt.Fprint(w, "echo: ", secret)
	})
	var log bytes.Buffer
	for _, url := range []string{gone.URL, r.URL} {
		url = strings.Replace(url, "http://", "http://user:password@", 1) + "/services/token?key=hidden"
		a := newAlerts(t, AlertOptions{URL: url, Secret: secret, Retries: -1, Log: slog.New(slog.NewTextHandler(&log, nil))})
		a.Send(Crossing{ID: "1", Rule: "day"})
		shut(t, a)
	}
	if user, password, _ := (&http.Request{Header: r.got[0].header}).BasicAuth(); user != "user" || password != "password" {
		t.Errorf("credentials %q %q", user, password)
	}
	text := log.String()
	if strings.Count(text, "an alert is not delivered") != 2 {
		t.Errorf("%s", text)
	}
	for _, hidden := range []string{secret, "password", "token", "hidden", "echo"} {
		if strings.Contains(text, hidden) {
			t.Errorf("the log says %q: %s", hidden, text)
		}
	}
}

func TestAlerts_never_wait_for_a_receiver(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	r := listen(t, func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-release
	})
	a := newAlerts(t, AlertOptions{URL: r.URL, Queue: 2})
	a.Send(Crossing{ID: "1"})
	<-entered
	for range 5 {
		a.Send(Crossing{ID: "more"})
	}
	if s := a.Stats(); s.Dropped != 3 {
		t.Errorf("%+v", s)
	}
	close(release)
	shut(t, a)
	a.Send(Crossing{ID: "late"})
	if s := a.Stats(); s != (AlertStats{Delivered: 3, Dropped: 4}) {
		t.Errorf("%+v", s)
	}
}

func TestAlerts_close_within_the_context(t *testing.T) {
	r := listen(t, answering(500))
	a, err := NewAlerts(AlertOptions{URL: r.URL, Backoff: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	a.Send(Crossing{ID: "1"})
	a.Send(Crossing{ID: "2"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Close(ctx); err == nil {
		t.Error("what was not delivered is not told")
	}
	if s := a.Stats(); s.Delivered+s.Abandoned != 2 || s.Abandoned == 0 {
		t.Errorf("%+v", s)
	}
}

func TestAlerts_do_not_follow_redirects_of_a_given_client(t *testing.T) {
	elsewhere := listen(t)
	r := listen(t, func(w http.ResponseWriter, req *http.Request) { http.Redirect(w, req, elsewhere.URL, http.StatusFound) })
	client := r.Client()
	a := newAlerts(t, AlertOptions{URL: r.URL, Client: client})
	a.Send(Crossing{ID: "1"})
	shut(t, a)
	if len(elsewhere.got) != 0 || a.Stats().Abandoned != 1 || client.CheckRedirect != nil {
		t.Errorf("%d, %+v", len(elsewhere.got), a.Stats())
	}
}

func TestNewAlerts_refuses_what_is_no_webhook_without_repeating_it(t *testing.T) {
	for _, url := range []string{"", "hooks.example", "ftp://password@host/", "http://", "http://password\x7f@host", "://password"} {
		a, err := NewAlerts(AlertOptions{URL: url})
		if err == nil || strings.Contains(err.Error(), "password") {
			t.Errorf("%q: %v, %v", url, a, err)
		}
	}
	var none *Alerts
	none.Send(Crossing{})
	if err := none.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

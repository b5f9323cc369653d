package budget

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults of AlertOptions.
const (
	DefaultRetries = 8
	DefaultQueue   = 256
	DefaultBackoff = time.Second

	attemptTimeout = 10 * time.Second
	maxBackoff     = 2 * time.Minute
)

// AlertOptions of Alerts.
type AlertOptions struct {
	URL    string // http or https; it may hold a user and a password
	Secret string // signs each delivery; "": they are not signed

	Client  *http.Client  // nil: one of its own. Redirects are not followed in any case
	Retries int           // attempts after the first; 0: DefaultRetries, negative: none
	Queue   int           // crossings that wait; 0: DefaultQueue. Further ones are dropped
	Backoff time.Duration // the first pause, which doubles up to two minutes; 0: DefaultBackoff

	Log *slog.Logger // nil discards
}

// Alerts tells a webhook of crossings, one after the other, in a goroutine of its own.
//
// A delivery is a POST of a JSON object:
//
//	{"id": "…", "event": "budget.warning" or "budget.reached", "rule": "team-day", "scope": "tenant",
//	 "action": "block", "subject": {"tenant": "a"}, "spent": 4000000000, "limit": 5000000000,
//	 "unit": "nano_usd" or "tokens", "text": "4.00 USD of 5.00 USD a day", "period": "day",
//	 "from": "2026-11-21T00:00:00Z", "resets": "2026-11-22T00:00:00Z", "time": "…"}
//
// Its header has Idempotency-Key, the id, which is the same in every delivery of a crossing, and
// X-Mnemo-Signature: t=<Unix seconds>,v1=<hex>, the HMAC-SHA256 of the time, a dot and the body.
// Any 2xx ends it. Without an answer, and after 408, 425, 429 and 5xx, it is tried again.
type Alerts struct {
	url     string
	secret  []byte
	client  *http.Client
	own     bool // client
	retries int
	backoff time.Duration
	log     *slog.Logger
	now     func() time.Time

	queue  chan Crossing
	ctx    context.Context // of deliveries
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.RWMutex // held for reading while a crossing is queued
	closed bool

	delivered, dropped, abandoned atomic.Int64
}

// AlertStats counts crossings.
type AlertStats struct {
	Delivered int64
	Dropped   int64 // because the queue was full, or Alerts closed
	Abandoned int64 // after the last attempt, or because the receiver refused them
}

// NewAlerts returns Alerts, to be closed. The error never repeats the URL, which may hold a secret.
func NewAlerts(opts AlertOptions) (*Alerts, error) {
	u, err := url.Parse(opts.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("the alerts' URL must be http://host/path or https://host/path")
	}
	var client http.Client
	if opts.Client != nil {
		client = *opts.Client
	} else if t, ok := http.DefaultTransport.(*http.Transport); ok {
		client.Transport = t.Clone() // its idle connections are ours to close
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	a := &Alerts{
		url: u.String(), secret: []byte(opts.Secret), client: &client, own: opts.Client == nil,
		retries: max(cmp.Or(opts.Retries, DefaultRetries), 0), backoff: cmp.Or(opts.Backoff, DefaultBackoff),
		log: opts.Log, now: time.Now,
		queue: make(chan Crossing, cmp.Or(max(opts.Queue, 0), DefaultQueue)), done: make(chan struct{}),
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	go a.run()
	return a, nil
}

// Send queues a crossing; it never waits. On nil Alerts it does nothing.
func (a *Alerts) Send(c Crossing) {
	if a == nil {
		return
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	if !a.closed {
		select {
		case a.queue <- c:
			return
		default:
		}
	}
	a.dropped.Add(1)
	a.log.Warn("an alert is dropped", slog.String("budget", c.Rule), slog.String("id", c.ID), slog.Bool("closed", a.closed))
}

// Stats returns the counts since NewAlerts.
func (a *Alerts) Stats() AlertStats {
	return AlertStats{Delivered: a.delivered.Load(), Dropped: a.dropped.Load(), Abandoned: a.abandoned.Load()}
}

// Close delivers what is queued, retries included, until ctx ends; the rest is abandoned. It returns
// an error if that is so. On nil Alerts it does nothing.
func (a *Alerts) Close(ctx context.Context) error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	if !a.closed {
		a.closed = true
		close(a.queue)
	}
	a.mu.Unlock()
	if a.own {
		defer a.client.CloseIdleConnections()
	}
	select {
	case <-a.done:
		return nil
	case <-ctx.Done():
	}
	a.cancel()
	<-a.done
	return fmt.Errorf("deliver the last alerts: %w", ctx.Err())
}

// Private

func (a *Alerts) run() {
	defer close(a.done)
	defer a.cancel()
	for c := range a.queue {
		a.deliver(c)
	}
}

// deliver makes the attempts for one crossing.
func (a *Alerts) deliver(c Crossing) {
	body, err := json.Marshal(newAlert(c))
	pause := a.backoff
	for attempt := 0; err == nil; attempt++ {
		var again bool
		if again, err = a.attempt(c.ID, body); err == nil {
			a.delivered.Add(1)
			return
		}
		if !again || attempt >= a.retries || a.ctx.Err() != nil {
			break
		}
		timer := time.NewTimer(pause/2 + rand.N(pause/2+1))
		select {
		case <-timer.C:
		case <-a.ctx.Done():
			timer.Stop()
		}
		pause, err = min(2*pause, maxBackoff), nil
	}
	a.abandoned.Add(1)
	a.log.Warn("an alert is not delivered", slog.String("budget", c.Rule), slog.String("id", c.ID), slog.Any("error", err))
}

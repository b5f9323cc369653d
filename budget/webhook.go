package budget

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// SignatureHeader is the header field of a delivery's signature.
const SignatureHeader = "X-Mnemo-Signature"

// Sign is the value of SignatureHeader for a body that is sent at t.
func Sign(secret []byte, t time.Time, body []byte) string {
	at := strconv.FormatInt(t.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(at + ".")) // a hash's Write returns no error
	mac.Write(body)
	return "t=" + at + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// Private

// maxReply is how much of a receiver's answer is read, so that its connection can be used again.
const maxReply = 16 << 10

// unitNano is the unit of the figures of dollars in an alert.
const unitNano = "nano_usd"

// An alert is the body of a delivery.
type alert struct {
	ID      string    `json:"id"`
	Event   Event     `json:"event"`
	Rule    string    `json:"rule"`
	Scope   Scope     `json:"scope"`
	Action  Action    `json:"action"`
	Subject Subject   `json:"subject"`
	Spent   int64     `json:"spent"`
	Limit   int64     `json:"limit"`
	Unit    string    `json:"unit"`
	Text    string    `json:"text"`
	Period  Period    `json:"period"`
	From    time.Time `json:"from"`
	Resets  time.Time `json:"resets"`
	Time    time.Time `json:"time"`
}

func newAlert(c Crossing) alert {
	unit := string(c.Limit.Unit)
	if c.Limit.Unit == USD {
		unit = unitNano
	}
	return alert{
		ID: c.ID, Event: c.Event, Rule: c.Rule, Scope: c.Scope, Action: c.Action, Subject: c.Subject,
		Spent: c.Spent, Limit: c.Limit.Amount, Unit: unit, Period: c.Per,
		Text: fmt.Sprintf("%s of %s %s", Limit{c.Spent, c.Limit.Unit}, c.Limit, c.Per.each()),
		From: c.From, Resets: c.Resets, Time: c.Time,
	}
}

// attempt posts a body once, and says whether it may be tried again. The error holds nothing of the
// URL or of the answer.
func (a *Alerts) attempt(id string, body []byte) (again bool, err error) {
	ctx, cancel := context.WithTimeout(a.ctx, attemptTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url, bytes.NewReader(body))
	if err != nil {
		return false, bare(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "mnemo")
	req.Header.Set("Idempotency-Key", id)
	if len(a.secret) > 0 {
		req.Header.Set(SignatureHeader, Sign(a.secret, a.now(), body))
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return true, bare(err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxReply) // the status has said all
	if resp.StatusCode/100 == 2 {
		return false, nil
	}
	return worthRetrying(resp.StatusCode), fmt.Errorf("post an alert: status %d", resp.StatusCode)
}

func worthRetrying(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= http.StatusInternalServerError
}

// bare is an error without the URL.
func bare(err error) error {
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		err = failed.Err
	}
	return fmt.Errorf("post an alert: %w", err)
}

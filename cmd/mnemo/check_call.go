package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/tidwall/gjson"

	"mnemo/config"
)

// What comes of a call with a key.
const (
	liveOK          = "ok"
	liveRefused     = "refused"
	liveNoMoney     = "no_money"
	liveLimited     = "limited"
	liveWantsKey    = "wants_key" // the client's own, which was not there
	liveNoList      = "no_model_list"
	liveFails       = "fails"
	liveUnreachable = "unreachable"
)

// A liveKey is what came of a call with one key. Nothing in it is secret.
type liveKey struct {
	Label      string  `json:"label"` // "" without a key
	Result     string  `json:"result"`
	Status     int     `json:"status,omitempty"`      // of the answer; 0 if there was none
	Reason     string  `json:"reason,omitempty"`      // why it is unreachable
	RetryAfter float64 `json:"retry_after,omitempty"` // seconds for which it is limited; 0: unknown
	Latency    float64 `json:"latency_ms"`            // from dialling to the head of the answer, or to the failure
	Models     *int    `json:"models,omitempty"`      // that it lists; nil: no list

	models []string
}

// String is the result in words.
func (k liveKey) String() string {
	switch k.Result {
	case liveRefused:
		return fmt.Sprintf("refused (%d)", k.Status)
	case liveNoMoney:
		return fmt.Sprintf("no money (%d)", k.Status)
	case liveLimited:
		if k.RetryAfter > 0 {
			return fmt.Sprintf("limited (%d) for %s", k.Status, left(k.RetryAfter))
		}
		return fmt.Sprintf("limited (%d)", k.Status)
	case liveWantsKey:
		return fmt.Sprintf("answers, wants the client's key (%d)", k.Status)
	case liveNoList:
		return fmt.Sprintf("answers, no model list (%d)", k.Status)
	case liveFails:
		return fmt.Sprintf("fails (%d)", k.Status)
	case liveUnreachable:
		return "unreachable (" + k.Reason + ")"
	}
	return k.Result
}

// Private

const (
	// liveTime bounds a call.
	liveTime = 10 * time.Second
	// maxModelList bounds what is read of an answer, in bytes.
	maxModelList = 16 << 20
)

// usable reports whether calls of clients have a chance with the key: one that is
// limited has, later.
func (k *liveKey) usable() bool {
	return slices.Contains([]string{liveOK, liveLimited, liveWantsKey, liveNoList}, k.Result)
}

// callUpstream asks for the list of models, over a connection of its own. bring says
// that clients bring their own key.
func callUpstream(ctx context.Context, u *config.Upstream, key *config.UpstreamKey, bring bool) (k liveKey) {
	ctx, cancel := context.WithTimeout(ctx, liveTime)
	defer cancel()
	k.Label = key.Label
	began := time.Now()
	answer, err := askForModels(ctx, u, key.Value.Reveal())
	k.Latency = float64(time.Since(began).Microseconds()) / 1000
	if err != nil {
		k.Result, k.Reason = liveUnreachable, whyUnreachable(err)
		return k
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxModelList+1))
	if err != nil {
		k.Result, k.Reason = liveUnreachable, whyUnreachable(err)
		return k
	}
	k.judge(answer, body, bring)
	return k
}

// judge reads what an answer says of the key.
func (k *liveKey) judge(answer *http.Response, body []byte, bring bool) {
	k.Status = answer.StatusCode
	switch {
	case k.Status == http.StatusProxyAuthRequired:
		k.Result, k.Reason = liveUnreachable, "proxy: it refuses its credentials"
	case k.Status == http.StatusPaymentRequired || k.Status == http.StatusTooManyRequests && unpaid(body):
		k.Result = liveNoMoney
	case k.Status == http.StatusTooManyRequests:
		k.Result, k.RetryAfter = liveLimited, retryAfter(answer.Header, time.Now()).Seconds()
	case (k.Status == http.StatusUnauthorized || k.Status == http.StatusForbidden) && bring:
		k.Result = liveWantsKey
	case k.Status == http.StatusUnauthorized || k.Status == http.StatusForbidden:
		k.Result = liveRefused
	case k.Status >= http.StatusInternalServerError:
		k.Result = liveFails
	case k.Status == http.StatusOK && len(body) <= maxModelList && gjson.ValidBytes(body) && gjson.GetBytes(body, "data").IsArray():
		k.Result = liveOK
		for _, id := range gjson.GetBytes(body, "data.#.id").Array() {
			k.models = append(k.models, id.String())
		}
		n := len(k.models)
		k.Models = &n
	default:
		k.Result = liveNoList
	}
}

func askForModels(ctx context.Context, u *config.Upstream, key string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.URL+"/models", nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "mnemo/"+version())
	if key != "" {
		key = "Bearer " + key
	}
	for name, value := range map[string]string{"Authorization": key, "OpenAI-Organization": u.Organization, "OpenAI-Project": u.Project} {
		if value != "" {
			request.Header.Set(name, value)
		}
	}
	for name, value := range u.Headers {
		if http.CanonicalHeaderKey(name) == "Host" {
			request.Host = value.Reveal()
			continue
		}
		request.Header.Set(name, value.Reveal())
	}
	transport, err := transportTo(u)
	if err != nil {
		return nil, err
	}
	return transport.RoundTrip(request) // as a call of a client: redirects are not followed
}

// transportTo makes one connection, as the upstream's settings say.
func transportTo(u *config.Upstream) (*http.Transport, error) {
	t := &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		DialContext:       (&net.Dialer{Timeout: u.Timeouts.Connect}).DialContext,
		TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true,
		DisableKeepAlives: true,
	}
	if len(u.CA.PEM) > 0 {
		roots, err := x509.SystemCertPool()
		if err != nil {
			return nil, err
		}
		roots.AppendCertsFromPEM(u.CA.PEM)
		t.TLSClientConfig.RootCAs = roots
	}
	switch proxy := u.Proxy.Reveal(); proxy {
	case "":
	case config.ProxyDirect:
		t.Proxy = nil
	default:
		through, err := url.Parse(proxy)
		if err != nil {
			return nil, errors.New("the proxy's URL cannot be read")
		}
		t.Proxy = http.ProxyURL(through)
	}
	return t, nil
}

// whyUnreachable says in a few words why there was no answer.
func whyUnreachable(err error) string {
	var at *net.OpError
	if errors.As(err, &at) && (at.Op == "proxyconnect" || at.Op == "socks connect") {
		return "proxy: " + whyUnreachable(at.Err)
	}
	var name *net.DNSError
	var timeout net.Error
	var certificate *tls.CertificateVerificationError
	var alert tls.AlertError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &name):
		return "DNS: " + printable(name.Err)
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.As(err, &certificate):
		return "TLS: " + printable(certificate.Err.Error())
	case errors.As(err, &alert):
		return "TLS: " + printable(alert.Error())
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "TLS: it does not speak TLS"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection broke"
	}
	return printable(err.Error())
}

// unpaid reports whether a 429 says that there is nothing left to pay with.
func unpaid(body []byte) bool {
	words := []string{"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_balance"}
	return slices.Contains(words, gjson.GetBytes(body, "error.code").String()) || slices.Contains(words, gjson.GetBytes(body, "error.type").String())
}

// retryAfter is how long an answer asks to wait: retry-after-ms, else Retry-After in
// seconds or as a date (RFC 9110 §10.2.3); 0 if it does not say.
func retryAfter(h http.Header, now time.Time) time.Duration {
	wait := time.Duration(0)
	if ms, err := strconv.ParseUint(h.Get("Retry-After-Ms"), 10, 32); err == nil {
		wait = time.Duration(ms) * time.Millisecond
	} else if s, err := strconv.ParseUint(h.Get("Retry-After"), 10, 32); err == nil {
		wait = time.Duration(s) * time.Second
	} else if date, err := http.ParseTime(h.Get("Retry-After")); err == nil {
		wait = date.Sub(now)
	}
	return max(wait, 0)
}

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

const (
	defaultServer   = "http://127.0.0.1:8080"
	serverVariable  = "MNEMO_SERVER"
	keyVariable     = "MNEMO_KEY"
	upstreamKeyName = "OPENAI_API_KEY" // the key of clients whose own is passed on

	// answerTimeout is how long a server may think before it answers, and how long
	// an answer may stand still.
	answerTimeout = time.Minute
	// importTimeout and rebuildTimeout are the same where a whole session is stored,
	// and where a model works.
	importTimeout  = 5 * time.Minute
	rebuildTimeout = 15 * time.Minute

	maxAnswer   = 256 << 20 // bytes of JSON that are held in memory
	maxAPIError = 64 << 10
)

// errStalled ends an answer that stands still.
var errStalled = errors.New("the answer stands still")

// An apiError is what the management API answers when it refuses.
type apiError struct {
	status  int
	code    string // OpenAI's; may be ""
	message string
}

func (e *apiError) Error() string { return e.message }

// apiFlags say which mnemo is asked, and by whom.
type apiFlags struct {
	Server string `help:"The mnemo to ask; default $$MNEMO_SERVER, else http://127.0.0.1:8080." placeholder:"URL"`
	Key    string `help:"Whose sessions: the key that calls are made with; default $$MNEMO_KEY, else $$OPENAI_API_KEY. Others can read the command line: rather set the variable." placeholder:"KEY"`
	Tenant string `help:"The sessions of another tenant; for admin keys." placeholder:"TENANT"`
}

// An apiClient talks to the management API of one mnemo.
type apiClient struct {
	base   string // without a slash at its end
	key    string // "": none is sent
	tenant string // "": the key's own
	http   *http.Client
	limit  time.Duration // answerTimeout
}

// client makes the client that the flags and the environment describe. Its close
// must be called.
func (f *apiFlags) client(p *process) (*apiClient, error) {
	base, err := serverURL(cmp.Or(f.Server, p.getenv(serverVariable), defaultServer))
	if err != nil {
		return nil, err
	}
	key := strings.TrimSpace(cmp.Or(f.Key, p.getenv(keyVariable), p.getenv(upstreamKeyName)))
	for _, r := range key {
		if r <= ' ' || r > '~' {
			return nil, fmt.Errorf("the key holds a character that no key has; see --key, %s and %s", keyVariable, upstreamKeyName)
		}
	}
	return &apiClient{
		base: base, key: key, tenant: f.Tenant,
		limit: answerTimeout,
		http: &http.Client{
			Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// An apiCall is one request to the management API.
type apiCall struct {
	of     string // what is asked about; "": /sessions
	method string
	path   string // below what is asked about, escaped
	query  url.Values
	header map[string]string
	body   io.Reader
	length int64         // of the body; 0: not known
	limit  time.Duration // 0: the client's
}

// sessionPath is the path of a session.
func sessionPath(id string) string {
	escaped := url.PathEscape(id)
	if strings.Trim(id, ".") == "" { // these have a meaning in paths
		escaped = strings.ReplaceAll(id, ".", "%2E")
	}
	return "/" + escaped
}

// do makes the call. The answer is of the 200s and its body, which the caller
// closes, fails if it stands still.
func (c *apiClient) do(ctx context.Context, q apiCall) (*http.Response, error) {
	limit := cmp.Or(q.limit, c.limit)
	ctx, cancel := context.WithCancelCause(ctx)
	watch := time.AfterFunc(limit, func() { cancel(errStalled) })
	stop := func() { watch.Stop(); cancel(nil) }
	request, err := c.request(ctx, q)
	if err != nil {
		stop()
		return nil, err
	}
	if q.body != nil {
		request.Body = io.NopCloser(&watched{Reader: q.body, watch: watch, limit: limit})
	}
	answer, err := c.http.Do(request)
	if err != nil {
		err = c.explain(ctx, limit, err)
		stop()
		return nil, err
	}
	watch.Reset(limit)
	answer.Body = &watchedBody{watched{Reader: answer.Body, watch: watch, limit: limit}, answer.Body, stop,
		func(err error) error { return c.explain(ctx, limit, err) }}
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		defer answer.Body.Close()
		return nil, c.refusal(answer)
	}
	return answer, nil
}

// json makes the call and reads the answer into out. It returns the answer's head.
func (c *apiClient) json(ctx context.Context, q apiCall, out any) (http.Header, error) {
	answer, err := c.do(ctx, q)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxAnswer {
		return nil, fmt.Errorf("%s answers with more than %d bytes", c.base, maxAnswer)
	}
	if err := json.Unmarshal(data, out); err != nil {
		return nil, fmt.Errorf("%s does not answer as mnemo does: %w", c.base, err)
	}
	return answer.Header, nil
}

func (c *apiClient) close() { c.http.CloseIdleConnections() }

// Private

func (c *apiClient) request(ctx context.Context, q apiCall) (*http.Request, error) {
	query := url.Values{}
	for name, values := range q.query {
		query[name] = values
	}
	if c.tenant != "" {
		query.Set("tenant", c.tenant)
	}
	address := c.base + "/api" + cmp.Or(q.of, "/sessions") + q.path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, q.method, address, q.body)
	if err != nil {
		return nil, err
	}
	if q.length > 0 {
		request.ContentLength = q.length
	}
	for name, value := range q.header {
		request.Header.Set(name, value)
	}
	if c.key != "" {
		request.Header.Set("Authorization", "Bearer "+c.key)
	}
	return request, nil
}

// explain says why there is no answer, and where to look next.
func (c *apiClient) explain(ctx context.Context, limit time.Duration, err error) error {
	var timeout net.Error
	switch {
	case errors.Is(context.Cause(ctx), errStalled):
		return fmt.Errorf("%s did not answer within %v", c.base, limit)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nobody listens at %s: is mnemo running there? --server or %s names another address", c.base, serverVariable)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%s cannot be reached: no connection in time", c.base)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("%s broke its answer off; its log says why", c.base)
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) { // its text holds the whole address
		err = wrapped.Err
	}
	return fmt.Errorf("ask %s: %w", c.base, err)
}

// refusal reads the error of an answer.
func (c *apiClient) refusal(answer *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(answer.Body, maxAPIError)) // what there is of it
	var said struct {
		Error struct{ Message, Code string }
	}
	if json.Unmarshal(body, &said) != nil || said.Error.Message == "" {
		said.Error.Message = fmt.Sprintf("it answers with status %d and not as mnemo does; is this its address?", answer.StatusCode)
	}
	text := printable(said.Error.Message)
	switch answer.StatusCode {
	case http.StatusUnauthorized:
		text += fmt.Sprintf(" (%s or --key says whose sessions)", keyVariable)
		if c.key != "" {
			text = strings.ReplaceAll(text, c.key, "***")
		}
	case http.StatusNotFound:
		return &apiError{answer.StatusCode, said.Error.Code, text}
	}
	return &apiError{answer.StatusCode, said.Error.Code, c.base + ": " + text}
}

// serverURL checks an address. The scheme may be missing, and a /v1 at the end,
// which clients of the data plane need, is left out.
func serverURL(address string) (string, error) {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("--server, %s: an address such as %s is expected", serverVariable, defaultServer)
	case u.User != nil:
		return "", fmt.Errorf("--server, %s: the address holds a user or a password; the key has a variable of its own, %s", serverVariable, keyVariable)
	}
	return strings.TrimSuffix(strings.TrimRight(u.String(), "/"), "/v1"), nil
}

// watched is a reader that is given time anew with everything it reads.
type watched struct {
	io.Reader
	watch *time.Timer
	limit time.Duration
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if n > 0 {
		w.watch.Reset(w.limit)
	}
	return n, err
}

// watchedBody is the body of an answer.
type watchedBody struct {
	watched
	io.Closer
	stop    func()
	explain func(error) error
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.watched.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.explain(err)
	}
	return n, err
}

func (b *watchedBody) Close() error {
	b.stop()
	return b.Closer.Close()
}

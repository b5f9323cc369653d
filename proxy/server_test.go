package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"mnemo/budget"
	"mnemo/ledger"
	"mnemo/ledger/sqliteledger"
	"mnemo/memory"
)

// keepLedger has the server keep a ledger. Its close writes what waits, and returns the
// store.
func keepLedger(t *testing.T, o *rigOptions) (closed func() ledger.Store) {
	t.Helper()
	store, err := sqliteledger.Open(t.Context(), sqliteledger.Options{Path: t.TempDir() + "/ledger.db"})
	if err != nil {
		t.Fatal(err)
	}
	o.proxy.Ledger, o.proxy.LedgerStore = ledger.NewWriter(ledger.WriterOptions{Store: store}), store
	w := o.proxy.Ledger
	t.Cleanup(func() {
		if err := errors.Join(w.Close(context.Background()), store.Close()); err != nil {
			t.Error(err)
		}
	})
	return func() ledger.Store {
		if err := w.Close(context.Background()); err != nil {
			t.Error(err)
		}
		return store
	}
}

// Who outlasts the drain is told so, keeps what was said, and is in the books.
func TestShutdown_accounts_for_the_calls_that_it_cuts(t *testing.T) {
	var closed func() ledger.Store
	r := newRig(t, func(o *rigOptions) { closed = keepLedger(t, o) })
	silent := make(chan struct{}, 1)
	r.up.handle(func(w http.ResponseWriter, req *http.Request, body string) {
		if !strings.Contains(body, "stream") {
			silent <- struct{}{}
			<-req.Context().Done()
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = w.Write([]byte(chunk(`{"content":"You are"}`, "null")))
		w.(http.Flusher).Flush()
		<-req.Context().Done()
	})
	begin := func(more ...string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/v1/chat/completions", strings.NewReader(user("Hello.", more...)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer sk-client")
		req.Header.Set("X-Session-ID", "s")
		response, err := r.client.Do(req)
		if err != nil {
			t.Error(err)
			return nil
		}
		t.Cleanup(func() { response.Body.Close() })
		return response
	}
	stream := bufio.NewReader(begin(`"stream":true`).Body)
	if line, err := stream.ReadString('\n'); err != nil || !strings.Contains(line, "You are") {
		t.Fatalf("%s, %v", line, err)
	}
	waiting := make(chan *http.Response, 1)
	go func() { waiting <- begin() }()
	<-silent
	drain, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := r.server.Shutdown(drain); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown: %v", err)
	}
	if response := <-waiting; response == nil || response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
		t.Errorf("who waits gets %v", response)
	}
	if n := r.server.InFlight(); n != 0 {
		t.Errorf("%d are under way still", n)
	}
	if turns := r.turns("s"); len(turns) != 1 || !turns[0].Partial || !strings.Contains(said(turns), "You are") {
		t.Errorf("kept is %s", said(turns))
	}
	report, err := closed().Usage(t.Context(), ledger.Query{Scope: ledger.Scope{AllTenants: true}})
	if err != nil || report.Total.Calls != 2 || report.Total.Errors != 2 || report.Total.Output == 0 || report.Total.Streams != 1 {
		t.Errorf("the ledger has %+v, %v", report.Total, err)
	}
}

func TestShutdown_does_not_wait_for_who_never_said_anything(t *testing.T) {
	r := newRig(t)
	address := strings.TrimPrefix(r.url, "http://")
	stranger, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	known, err := net.Dial("tcp", address) // the stranger was accepted before it
	if err != nil {
		t.Fatal(err)
	}
	defer known.Close()
	io.WriteString(known, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
	if _, err := known.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), headerTimeout)
	defer cancel()
	if err := r.server.Shutdown(ctx); err != nil || time.Since(begin) > headerTimeout/2 {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}

// fasthttp writes answers where nobody else catches a panic.
func TestRelay_cuts_an_answer_at_a_panic(t *testing.T) {
	r := newRig(t)
	x := &exchange{s: r.server}
	body := &relay{x: x, copy: func(io.Writer) error { panic("at the disco") }}
	if _, err := body.WriteTo(io.Discard); err == nil {
		t.Error("a part may be taken for the whole")
	}
	eventually(t, "somebody is told", func() bool { return strings.Contains(r.log.String(), "at the disco") })
}

func TestMeter_frees_what_is_reserved_when_it_cannot_account(t *testing.T) {
	rule := budget.Rule{Name: "all", Scope: budget.Global, Limit: budget.Limit{Amount: 1 << 30, Unit: budget.Tokens}, Per: budget.Day, Action: budget.Block}
	budgets, err := budget.New(budget.Options{Rules: []budget.Rule{rule}})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(o *rigOptions) {
		o.proxy.Budgets = budgets
		o.proxy.Counter = func(string) *memory.Counter { panic("no vocabulary") }
	})
	r.up.reply(strings.Replace(completion("fine"), `"usage"`, `"no_usage"`, 1)) // so that it is counted
	if a := r.do(http.MethodPost, "/v1/chat/completions", user("Hello.")); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	eventually(t, "the account fails", func() bool { return strings.Contains(r.log.String(), "no vocabulary") })
	eventually(t, "nothing is reserved", func() bool {
		states := budgets.Status(budget.Query{})
		return len(states) == 1 && states[0].Reserved == 0
	})
}

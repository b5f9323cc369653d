package main

import (
	"bytes"
	"encoding/binary"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"mnemo/budget"
	"mnemo/ledger"
	"mnemo/ledger/sqliteledger"
	"mnemo/memory/sqlitestore"
	"mnemo/proxy/manage"
)

// noon is when it is at an accounts server.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// accounts is a management API over a ledger and budgets.
type accounts struct{ url string }

// newAccounts serves the entries and the states.
func newAccounts(t *testing.T, entries []ledger.Entry, states ...budget.State) *accounts {
	t.Helper()
	dir := t.TempDir()
	store, err := sqlitestore.Open(t.Context(), sqlitestore.Options{Path: filepath.Join(dir, "m.db"), Relaxed: true})
	if err != nil {
		t.Fatal(err)
	}
	book, err := sqliteledger.Open(t.Context(), sqliteledger.Options{Path: filepath.Join(dir, "ledger.db")})
	if err != nil {
		t.Fatal(err)
	}
	for i := range entries {
		entries[i].Bound()
		binary.BigEndian.PutUint64(entries[i].UID[8:], uint64(i+1))
	}
	if err := book.Append(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	manage.Register(app, manage.Options{
		Store: store, Identify: identify, Ledger: book, Now: func() time.Time { return noon },
		Budgets: func(q budget.Query) (found []budget.State) {
			for _, s := range states {
				if (q.Tenant == "" || s.Subject.Tenant == q.Tenant) && (q.Rule == "" || q.Rule == s.Rule) && len(found) < q.Most {
					found = append(found, s)
				}
			}
			return found
		},
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- app.Listener(listener) }()
	t.Cleanup(func() {
		for _, err := range []error{app.ShutdownWithTimeout(patience), <-ended, book.Close(), store.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	return &accounts{url: "http://" + listener.Addr().String()}
}

// run runs a command of somebody's and returns its exit code and what it says.
func (a *accounts) run(t *testing.T, key string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, []string{"MNEMO_SERVER=" + a.url, "MNEMO_KEY=" + key}, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// prints expects what a command of Ada's prints.
func (a *accounts) prints(t *testing.T, want string, args ...string) {
	t.Helper()
	code, out, errs := a.run(t, adaKey, args...)
	if code != exitOK || errs != "" || out != want {
		t.Errorf("%q exits with %d, %s\ngot\n%s\nwant\n%s", args, code, errs, out, want)
	}
}

// spentAt is a call of Ada's so long before noon.
func spentAt(ago time.Duration, model string, nano int64, change func(*ledger.Entry)) ledger.Entry {
	e := ledger.Entry{
		ID: "req-1", Time: noon.Add(-ago), Operation: ledger.OperationChat, Tenant: "ada", Session: "trip",
		ModelAsked: model, ModelUsed: model, Upstream: "openai", Key: "a", Usage: ledger.Usage{Input: 1000, Output: 100}, Measured: true,
		Cost: nano, Priced: true, Latency: 800 * time.Millisecond, Status: 200,
	}
	if change != nil {
		change(&e)
	}
	return e
}

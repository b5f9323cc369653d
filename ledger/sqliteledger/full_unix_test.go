//go:build unix

package sqliteledger_test

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"mnemo/ledger"
	"mnemo/ledger/ledgertest"
)

func TestStore_goes_on_when_a_full_disk_has_room_again(t *testing.T) {
	const alone = "LEDGER_ALONE"
	if os.Getenv(alone) == "" { // the limit is the whole process's
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), alone+"=1")
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		return
	}
	signal.Ignore(syscall.SIGXFSZ)
	s := opened(t, filepath.Join(t.TempDir(), "l.db"))
	w := ledger.NewWriter(ledger.WriterOptions{Store: s, Interval: time.Millisecond, Queue: 5000})
	r, n := rand.New(rand.NewPCG(1, 1)), 0
	fill := func(more int) {
		for range more {
			e := ledgertest.Entry(r, 0)
			w.Add(&e)
			n++
		}
	}
	fill(200)
	until(t, func() bool { return w.Queued() == 0 })
	limitFiles(t, 400_000, func() {
		big := make([]ledger.Entry, 3000)
		for i := range big {
			big[i] = ledgertest.Entry(r, uint64(i))
		}
		if err := s.Append(t.Context(), big); err == nil {
			t.Error("the disk is not full")
		}
		fill(3000)
		if _, err := s.Usage(t.Context(), ledger.Query{Scope: ledger.Scope{AllTenants: true}}); err != nil {
			t.Errorf("a full disk cannot be read: %v", err)
		}
		fill(500)
	})
	if err := w.Close(t.Context()); err != nil || w.Dropped() != 0 {
		t.Fatalf("%v, %d are dropped", err, w.Dropped())
	}
	report, err := s.Usage(context.Background(), ledger.Query{Scope: ledger.Scope{AllTenants: true}, Operation: "chat"})
	other, otherErr := s.Usage(context.Background(), ledger.Query{Scope: ledger.Scope{AllTenants: true}, Operation: "summarize"})
	if err != nil || otherErr != nil || report.Total.Calls+other.Total.Calls != int64(n) {
		t.Fatalf("%d and %d calls are kept of %d: %v, %v", report.Total.Calls, other.Total.Calls, n, err, otherErr)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// until waits for what a disk does.
func until(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !done(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("it does not happen")
		}
	}
}

// limitFiles bounds the size of the process's files while f runs.
func limitFiles(t *testing.T, size uint64, f func()) {
	t.Helper()
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}

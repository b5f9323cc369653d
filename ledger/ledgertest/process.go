package ledgertest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mnemo/ledger"
)

const (
	// urlEnv is set in a test binary that runs again as a process that writes.
	urlEnv = "LEDGERTEST_URL"
	// interval is that of its writer, and grace what a slow machine may add.
	interval = 100 * time.Millisecond
	grace    = time.Second
)

// Main runs the tests of a store's package, from its TestMain, and fails them if
// goroutines are left. In the process that the suite starts it opens url, as it stands in
// Backend.URL, and writes.
func Main(m *testing.M, open func(ctx context.Context, url string) (ledger.Store, error)) {
	url := os.Getenv(urlEnv)
	if url == "" {
		goleak.VerifyTestMain(m)
		return
	}
	if err := write(context.Background(), url, open); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(1)
}

// Private

// write adds an entry every millisecond and prints when, until it is killed.
func write(ctx context.Context, url string, open func(ctx context.Context, url string) (ledger.Store, error)) error {
	s, err := open(ctx, url)
	if err != nil {
		return err
	}
	w := ledger.NewWriter(ledger.WriterOptions{Store: s, Interval: interval})
	r, tick := rand.New(rand.NewPCG(1, 1)), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		e := Entry(r, 0)
		e.ID = fmt.Sprint("call-", i)
		at := <-tick.C
		w.Add(&e)
		if _, err := fmt.Println(i, at.UnixMilli()); err != nil {
			return err
		}
	}
}

func killed(t *testing.T, b Backend) {
	ctx := deadline(t)
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), urlEnv+"="+b.URL)
	cmd.Stderr = &strings.Builder{}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var added []time.Time // by number
	for lines := bufio.NewReader(out); ; {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break
		}
		var i int
		var at int64
		if _, serr := fmt.Sscan(line, &i, &at); err != nil || serr != nil || i != len(added) {
			t.Fatalf("line %q: %v, %v", line, err, serr)
		}
		added = append(added, time.UnixMilli(at))
		if at := added[i].Sub(added[0]); at > interval+2*grace && cmd.ProcessState == nil {
			_ = cmd.Process.Kill() // again and again until it is gone
		}
	}
	_ = cmd.Wait()
	if said := cmd.Stderr.(*strings.Builder).String(); said != "" || len(added) < 100 {
		t.Fatalf("it added %d entries and said %s", len(added), said)
	}
	s := b.open(t)
	safe, kept := 0, usage(ctx, t, s, ledger.Query{Scope: everybody}).Total.Calls
	for _, at := range added {
		if added[len(added)-1].Sub(at) > interval+grace {
			safe++
		}
	}
	if safe == 0 || kept < int64(safe) || kept > int64(len(added))+1 {
		t.Fatalf("%d entries are kept, of %d that were safe and %d in all", kept, safe, len(added))
	}
	for i := range safe {
		if got, err := s.Call(ctx, everybody, fmt.Sprint("call-", i)); err != nil || len(got) != 1 {
			t.Fatalf("entry %d of %d is kept %d times (%v)", i, safe, len(got), err)
		}
	}
}

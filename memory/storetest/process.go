package storetest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"mnemo/memory"
)

// The environment of a test binary that runs again as a writing process.
const (
	urlEnv  = "STORETEST_URL"
	nameEnv = "STORETEST_NAME"
	endEnv  = "STORETEST_TURNS"
)

// writers is the number of goroutines that append in a process; the even ones
// share a session, the odd ones have one each.
const writers = 4

// Main runs the tests of a store's package, from its TestMain, and fails them if
// goroutines are left. In the processes that the suite starts it does not run
// tests: it opens url, as it stands in Backend.URL, and writes.
func Main(m *testing.M, open func(ctx context.Context, url string) (memory.Store, error)) {
	url := os.Getenv(urlEnv)
	if url == "" {
		goleak.VerifyTestMain(m)
		return
	}
	if err := write(context.Background(), url, open); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Private

// write appends from several goroutines and prints a line for each turn that was
// acknowledged.
func write(ctx context.Context, url string, open func(ctx context.Context, url string) (memory.Store, error)) error {
	end, err := strconv.Atoi(os.Getenv(endEnv))
	if err != nil {
		return err
	}
	s, err := open(ctx, url)
	if err != nil {
		return err
	}
	failed := make(chan error, writers)
	for w := range writers {
		go func() { failed <- writeTurns(ctx, s, w, end) }()
	}
	for range writers {
		if werr := <-failed; werr != nil {
			err = werr
		}
	}
	if cerr := s.Close(); err == nil {
		err = cerr
	}
	return err
}

func writeTurns(ctx context.Context, s memory.Store, w, end int) error {
	k := sharedKey
	if w%2 == 1 {
		k.Session = fmt.Sprint(os.Getenv(nameEnv), "-", w)
	}
	for i := range end {
		name := fmt.Sprintf("%s-%d-%d", os.Getenv(nameEnv), w, i)
		seq, err := s.Append(ctx, k, exchange(name))
		if err != nil {
			return fmt.Errorf("append %s: %w", name, err)
		}
		if _, err := fmt.Printf("%s %d %s\n", k.Session, seq, name); err != nil {
			return err
		}
	}
	return nil
}

var sharedKey = memory.Key{Tenant: "processes", Session: "shared"}

// acknowledged is session → sequence number → name of a turn.
type acknowledged map[string]map[int64]string

// read takes the lines of a writing process until it ends, or until n were read.
func (a acknowledged) read(r *bufio.Reader, n int) error {
	for i := 0; i != n; i++ {
		line, err := r.ReadString('\n')
		if err == io.EOF { // a line without its end was not said
			return nil
		}
		if err != nil {
			return err
		}
		var session, name string
		var seq int64
		if _, err := fmt.Sscanf(line, "%s %d %s\n", &session, &seq, &name); err != nil {
			return fmt.Errorf("line %q: %w", line, err)
		}
		if a[session] == nil {
			a[session] = map[int64]string{}
		}
		if twice, ok := a[session][seq]; ok {
			return fmt.Errorf("turn %d of %s was given to %s and %s", seq, session, twice, name)
		}
		a[session][seq] = name
	}
	return nil
}

// check checks that every acknowledged turn is in its place, and every turn whole.
func (a acknowledged) check(ctx context.Context, t *testing.T, s memory.Store) (turns int) {
	t.Helper()
	for session, acks := range a {
		names := loadNames(ctx, t, s, memory.Key{Tenant: sharedKey.Tenant, Session: session})
		for seq, name := range acks {
			if seq > int64(len(names)) || names[seq-1] != name {
				t.Errorf("turn %d of %s, %s, was acknowledged and is not there (%d turns)", seq, session, name, len(names))
			}
		}
		turns += len(names)
	}
	return turns
}

// start starts a process that writes; its output is to be read to the end.
func start(t *testing.T, b Backend, name string, turns int) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), urlEnv+"="+b.URL, nameEnv+"="+name, endEnv+"="+strconv.Itoa(turns))
	cmd.Stderr = &strings.Builder{}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatalf("start a process: %v", err)
	}
	return cmd, bufio.NewReader(out)
}

func processes(t *testing.T, b Backend) {
	const n, turns = 3, 50
	ctx := deadline(t)
	s := b.open(t, Options{}) // one more process that looks on
	all := make([]acknowledged, n)
	var wg sync.WaitGroup
	for i := range n {
		all[i] = acknowledged{}
		cmd, out := start(t, b, fmt.Sprint("p", i), turns)
		wg.Go(func() {
			if err := all[i].read(out, -1); err != nil {
				t.Error(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("process %d: %v: %s", i, err, cmd.Stderr)
			}
		})
	}
	wg.Wait()
	seqs := map[int64]bool{}
	for _, acks := range all {
		acks.check(ctx, t, s)
		for seq := range acks[sharedKey.Session] {
			seqs[seq] = true
		}
	}
	if want := n * turns * writers / 2; len(seqs) != want || len(loadNames(ctx, t, s, sharedKey)) != want {
		t.Fatalf("%d turns of the shared session were acknowledged, want %d", len(seqs), want)
	}
}

func killed(t *testing.T, b Backend) {
	ctx := deadline(t)
	acks := acknowledged{}
	for life := range 3 {
		cmd, out := start(t, b, fmt.Sprint("life", life), 1<<30)
		err := acks.read(out, 20+rand.IntN(300))
		if kerr := cmd.Process.Kill(); kerr != nil {
			t.Fatalf("kill: %v", kerr)
		}
		if err == nil {
			err = acks.read(out, -1) // said before it died
		}
		_ = cmd.Wait()
		if err != nil {
			t.Fatal(err)
		}
		if said := cmd.Stderr.(*strings.Builder).String(); said != "" {
			t.Fatalf("the process failed: %s", said)
		}
		s := b.Open(t, Options{})
		if n := acks.check(ctx, t, s); n < 20 {
			t.Fatalf("only %d turns were written", n)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

package outbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"mnemo/memory"
)

func TestSpool_leaves_the_files_of_a_process_that_lives(t *testing.T) {
	dir := t.TempDir()
	cmd, out := startProcess(t, dir, 400)
	r := newRig(t, Options{SpoolDir: dir, CloseTimeout: time.Millisecond})
	if got := r.Status(); got.Spooled != 0 {
		t.Errorf("files of a living process are taken over: %+v", got)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = out.ReadString(0)
	_ = cmd.Wait()
	inBubble(t, Options{SpoolDir: dir}, func(t *testing.T, r *rig) {
		time.Sleep(time.Second)
		session, err := r.Load(t.Context(), key, all)
		if err != nil || len(session.Turns) < 390 {
			t.Fatalf("%d turns of a killed process, %v", len(session.Turns), err)
		}
		wantLog(t, r, key, numbers(1, len(session.Turns))...)
		if files := filesOf(t, dir); len(files) != 0 {
			t.Errorf("files are left: %q", files)
		}
	})
}

// The environment of a test binary that runs again as a process that spools.
const (
	dirEnv   = "OUTBOX_DIR"
	turnsEnv = "OUTBOX_TURNS"
)

// startProcess starts a process whose store is down, and waits until it has spooled
// turns; it runs until it is killed.
func startProcess(t *testing.T, dir string, turns int) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), dirEnv+"="+dir, turnsEnv+"="+strconv.Itoa(turns))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	if line, err := r.ReadString('\n'); err != nil || line != "spooled\n" {
		t.Fatalf("the process says %q, %v", line, err)
	}
	return cmd, r
}

func spoolAndWait() bool {
	dir := os.Getenv(dirEnv)
	if dir == "" {
		return false
	}
	turns, err := strconv.Atoi(os.Getenv(turnsEnv))
	if err != nil {
		panic(err)
	}
	store := &flaky{Store: newShelf()}
	store.down.Store(true)
	o, err := Open(Options{Store: store, SpoolDir: dir, MaxTurns: 10, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))})
	if err != nil {
		panic(err)
	}
	for i := range turns {
		if err := add(o, key, fmt.Sprint(i+1)); !errors.Is(err, memory.ErrQueued) {
			panic(err)
		}
	}
	for o.Status().Spooled < turns-10 {
		_ = o.inSpool(context.Background(), func() error { return nil }) // the spool is done with what it had
	}
	fmt.Println("spooled")
	select {}
}

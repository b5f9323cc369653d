//go:build unix

package outbox

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mnemo/memory"
	"mnemo/memory/redisstore"
	"mnemo/memory/storetest/redisserver"
)

func TestOutbox_doubles_nothing_when_a_redis_that_hung_goes_on(t *testing.T) {
	server := redisserver.Start(t)
	pid := pidOf(t, server)
	store, err := redisstore.Open(t.Context(), redisstore.Options{URL: "redis://" + server.Addr})
	if err != nil {
		t.Fatal(err)
	}
	o, err := Open(Options{Store: store, AppendTimeout: 50 * time.Millisecond, ProbeInterval: 5 * time.Millisecond, CloseTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	s := &storm{clients: map[memory.Key]*client{}, random: rand.New(rand.NewPCG(rand.Uint64(), 1))}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for i := range 16 {
		c := s.client(memory.Key{Tenant: "t", Session: fmt.Sprint(i)})
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(4 * time.Millisecond):
					c.say(t, o, none)
				}
			}
		})
	}
	for range 5 {
		for start := s.said.Load(); s.said.Load() < start+100; {
			s.pause(t)
		}
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		for !o.Status().Down || o.Status().Queued < 50 {
			s.pause(t)
		}
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		for o.Status().Down {
			s.pause(t)
		}
	}
	close(stop)
	wg.Wait()
	for o.Status().Queued > 0 {
		s.pause(t)
	}
	s.check(t, store)
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
}

func pidOf(t *testing.T, server *redisserver.Server) (pid int) {
	t.Helper()
	said, err := server.Do("INFO", "server")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(said, "process_id:")
	if _, err := fmt.Sscan(rest, &pid); err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestSpool_loses_nothing_that_fits_into_memory_when_the_disk_is_full(t *testing.T) {
	const alone = "OUTBOX_ALONE"
	if os.Getenv(alone) == "" { // the limit is the whole process's
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), alone+"=1")
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		return
	}
	signal.Ignore(syscall.SIGXFSZ)
	dir := t.TempDir()
	inBubble(t, Options{SpoolDir: dir, MaxTurns: 40}, func(t *testing.T, r *rig) {
		r.store.down.Store(true)
		last := 100
		wantAdded(t, r, key, memory.ErrQueued, numbers(1, last)...)
		synctest.Wait()
		limitFiles(t, sizeOf(t, dir)+1000, func() { // a write goes wrong in the middle; the next file has room
			for ; last < 200; last++ {
				wantAdded(t, r, key, memory.ErrQueued, fmt.Sprint(last+1))
				synctest.Wait()
				if r.log.count("cannot be spooled") > 0 {
					time.Sleep(2 * spillRetry)
				}
			}
		})
		if files := filesOf(t, dir); len(files) < 2 || r.log.count("cannot be spooled") == 0 {
			t.Errorf("files %q, the log says\n%s", files, r.log)
		}
		limitFiles(t, 10, func() { // no write goes well
			for last < 300 && add(r, key, fmt.Sprint(last+1)) != nil && r.Status().Lost == 0 {
				last++
			}
			synctest.Wait()
		})
		got := r.Status()
		if got.Queued != 40 || got.Spooled+got.Queued != last || got.Lost != 1 || got.SpoolBytes != sizeOf(t, dir) {
			t.Errorf("after %d turns: %+v, %d bytes of files", last, got, sizeOf(t, dir))
		}
		time.Sleep(time.Minute) // there is room again
		wantAdded(t, r, key, memory.ErrQueued, numbers(last+1, last+100)...)
		r.store.down.Store(false)
		time.Sleep(time.Second)
		wantLog(t, r, key, numbers(1, last+100)...)
		if files := filesOf(t, dir); len(files) != 0 {
			t.Errorf("files are left: %q", files)
		}
	})
}

// limitFiles bounds the size of the process's files while f runs.
func limitFiles(t *testing.T, size int64, f func()) {
	t.Helper()
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(size), Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}

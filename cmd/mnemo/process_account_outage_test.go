//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"mnemo/memory/storetest/redisserver"
)

const (
	// stormCalls are made by stormClients at a time.
	stormCalls, stormClients = 300, 12
	// unhindered is longer than a call takes that waits for nobody, and shorter than the
	// time limits of all that could hold it up.
	unhindered = 4 * time.Second
)

// hindered makes calls with and without memory, which must all be answered soon, and says how
// long the slowest took.
func hindered(t *testing.T, m *mnemo) (slowest time.Duration) {
	t.Helper()
	var mu sync.Mutex
	var calling sync.WaitGroup
	for client := range stormClients {
		calling.Go(func() {
			for i := range stormCalls / stormClients {
				q := turn{text: fmt.Sprintf("Call %d.", i), stream: i%2 == 0}
				if i%3 > 0 {
					q.session = fmt.Sprint("storm-", client)
				}
				begin := time.Now()
				a, err := m.ask(t.Context(), q)
				took := time.Since(begin)
				if err != nil || a.status != http.StatusOK || q.session != "" && a.header.Get("X-Memory-Status") != "ok" {
					t.Errorf("%d %s, memory %q, %v", a.status, a.body, a.header.Get("X-Memory-Status"), err)
					return
				}
				mu.Lock()
				slowest = max(slowest, took)
				mu.Unlock()
			}
		})
	}
	calling.Wait()
	if slowest > unhindered {
		t.Errorf("a call took %v", slowest)
	}
	return slowest
}

func TestAccount_hinders_no_call_while_no_collector_can_be_reached(t *testing.T) {
	// One refuses connections, the other takes them and never answers.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, address := range map[string]string{"silent": listener.Addr().String(), "refusing": closed.Addr().String()} {
		for _, protocol := range []string{"grpc", "http/protobuf"} {
			t.Run(name+", "+protocol, func(t *testing.T) {
				m := serve(t, setup{file: patientStore, args: []string{"--upstream", newFakeModel(t).url}, environ: []string{
					"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + address, "OTEL_EXPORTER_OTLP_PROTOCOL=" + protocol, "OTEL_TRACES_SAMPLER=always_on",
					"OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_BSP_MAX_QUEUE_SIZE=64", "OTEL_METRICS_EXPORTER=none",
				}})
				slowest := hindered(t, m)
				metrics := m.reaches(t, "mnemo_telemetry_dropped_total", 1, `signal="spans"`)
				t.Logf("the slowest call took %v, %d spans are dropped", slowest.Round(time.Millisecond), total(metrics, "mnemo_telemetry_dropped_total", 1, `signal="spans"`))
			})
		}
	}
}

func TestAccount_hinders_no_call_while_metrics_are_read_all_the_time(t *testing.T) {
	m := serve(t, setup{file: patientStore, args: []string{"--upstream", newFakeModel(t).url}})
	stop := make(chan struct{})
	var reading sync.WaitGroup
	reads := make([]int, 8)
	for i := range reads {
		reading.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = m.metrics(t)
					reads[i]++
				}
			}
		})
	}
	slowest := hindered(t, m)
	close(stop)
	reading.Wait()
	t.Logf("the slowest call took %v; metrics were read %d times", slowest.Round(time.Millisecond), reads)
}

// Only the file of the ledger is on the full disk.
func TestAccount_hinders_no_call_while_the_disk_of_the_ledger_is_full(t *testing.T) {
	dir, disk := t.TempDir(), t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("a small disk cannot be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(filepath.Join(disk, "ledger.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(disk, "ledger.db"), filepath.Join(dir, "mnemo.db"+ledgerSuffix)); err != nil {
		t.Fatal(err)
	}
	m := serve(t, setup{dir: dir, file: patientStore + "ledger: {interval: 50ms, queue: 100}\n", args: []string{"--upstream", newFakeModel(t).url}})
	hindered(t, m)
	m.reaches(t, "mnemo_ledger_rows_total", stormCalls)
	filler := filepath.Join(disk, "filler")
	fill(t, filler)
	slowest := hindered(t, m)
	metrics := m.reaches(t, "mnemo_ledger_lost_total", 1)
	lost := total(metrics, "mnemo_ledger_lost_total", 1)
	m.log.wait(t, "the usage ledger cannot be written")
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	m.log.wait(t, "the usage ledger is written again")
	m.reaches(t, "mnemo_ledger_rows_total", 2*stormCalls-lost)
	if calls := m.usage(t, clientKey).Get("calls").Int(); calls != 2*stormCalls-lost {
		t.Errorf("%d calls are in the ledger, want %d without the %d that were lost", calls, 2*stormCalls-lost, lost)
	}
	t.Logf("the slowest call took %v, %d accounts are lost", slowest.Round(time.Millisecond), lost)
}

// fill writes until the disk is full.
func fill(t *testing.T, path string) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for block := bytes.Repeat([]byte{1}, 4096); err == nil; {
		_, err = file.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// Memory, ledger and budgets are all in the Redis that goes away.
func TestAccount_hinders_no_call_while_the_redis_of_budgets_is_away(t *testing.T) {
	up, server := newTill(t), redisserver.Start(t)
	m := serve(t, setup{file: up.file("{name: all, scope: global, limit: 0.10 USD, per: month, action: block}"), args: []string{"--store", "redis://" + server.Addr}})
	if n := spend(t, 4, m); n != 4 {
		t.Errorf("%d of 4 calls are answered", n)
	}
	server.Kill()
	begin := time.Now()
	if n := spend(t, 4, m); n != 4 {
		t.Errorf("%d of 4 calls are answered while Redis is away", n)
	}
	m.log.wait(t, "the shared counter of budgets cannot be reached")
	if n := spend(t, 20, m); n != 2 { // the process knows what it spent
		t.Errorf("%d calls more are answered, want 2", n)
	}
	if took := time.Since(begin); took > unhindered {
		t.Errorf("the calls took %v", took)
	}
	server.Restart(t)
	m.log.wait(t, "the shared counter of budgets can be reached again")
	other := serve(t, setup{file: up.file("{name: all, scope: global, limit: 0.10 USD, per: month, action: block}"), args: []string{"--store", "redis://" + server.Addr}})
	if n := spend(t, 4, m, other); n != 0 {
		t.Errorf("%d calls are answered after all is spent", n)
	}
}

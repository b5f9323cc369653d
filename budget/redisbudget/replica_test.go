package redisbudget_test

import (
	"context"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.uber.org/goleak"

	"mnemo/budget"
	"mnemo/budget/redisbudget"
	"mnemo/memory/storetest/redisserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	dollar = int64(1e9)
	cent   = dollar / 100

	patience = 20 * time.Second
)

func client(t testing.TB, addrs ...string) redis.UniversalClient {
	t.Helper()
	c := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: addrs, ContextTimeoutEnabled: true, DialTimeout: time.Second, DialerRetries: 1, MaxRetries: -1, Protocol: 2,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() { c.Close() })
	return c
}

// A replica is Budgets of its own over the same Redis.
func replica(t testing.TB, opts budget.Options, addrs ...string) *budget.Budgets {
	t.Helper()
	if opts.Counter == nil {
		opts.Counter = redisbudget.New(redisbudget.Options{Client: client(t, addrs...)})
	}
	if opts.Deadline == 0 {
		opts.Deadline = patience // so that a slow machine does not decide alone
	}
	b, err := budget.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Second)
		defer cancel()
		_ = b.Close(ctx) // its Redis may be gone
	})
	return b
}

func rules() []budget.Rule {
	return []budget.Rule{{
		Name: "all", Scope: budget.Global, Limit: budget.Limit{Amount: dollar, Unit: budget.USD}, Per: budget.Month,
		Action: budget.Block, WarnAt: 0.5,
	}}
}

func call(nanos int64) budget.Call {
	return budget.Call{Tenant: "a", Session: "s", Model: "m", Estimate: budget.Amount{NanoDollars: nanos}}
}

// flood makes calls from several goroutines over replicas and returns what they spent.
func flood(t *testing.T, replicas []*budget.Budgets, calls, workers int, estimate, actual int64) int64 {
	t.Helper()
	var spent atomic.Int64
	next := make(chan *budget.Budgets)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for b := range next {
				r, v := b.Reserve(t.Context(), call(estimate))
				if v.Action == budget.Block {
					continue
				}
				spent.Add(actual)
				r.Settle(budget.Amount{NanoDollars: actual})
			}
		})
	}
	for i := range calls {
		next <- replicas[i%len(replicas)]
	}
	close(next)
	wg.Wait()
	return spent.Load()
}

// eventually waits for what another process does.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.After(patience)
	for !ok() {
		select {
		case <-end:
			t.Fatalf("not in time: %s", what)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// spent is what a replica that knows nothing is told.
func spent(t *testing.T, addrs ...string) int64 {
	t.Helper()
	b := replica(t, budget.Options{Rules: rules()}, addrs...)
	r, v := b.Reserve(t.Context(), call(0))
	r.Settle(budget.Amount{})
	if v.Action == budget.Allow {
		return b.Status(budget.Query{})[0].Spent
	}
	return v.Spent
}

func TestTwo_replicas_share_one_budget(t *testing.T) {
	for name, addrs := range map[string]func(t *testing.T) []string{
		"one node": func(t *testing.T) []string { return []string{redisserver.Start(t).Addr} },
		"a cluster": func(t *testing.T) (addrs []string) {
			for _, node := range redisserver.StartCluster(t, 3) {
				addrs = append(addrs, node.Addr)
			}
			return addrs
		},
	} {
		t.Run(name, func(t *testing.T) {
			addrs := addrs(t)
			for _, c := range []struct {
				name                          string
				workers                       int
				estimate, actual, least, most int64
			}{
				{"right estimates", 200, cent, cent, 100 * cent, 100 * cent},
				// Above the limit: one call, and what each call under way costs more than estimated.
				{"estimates of half", 20, cent / 2, cent, 100 * cent, 101*cent + 20*cent/2},
				{"estimates of twice as much", 20, 2 * cent, cent, 60 * cent, 100 * cent},
			} {
				t.Run(c.name, func(t *testing.T) {
					prefix := strings.ReplaceAll(c.name, " ", "-")
					var replicas []*budget.Budgets
					for range 2 {
						counter := redisbudget.New(redisbudget.Options{Client: client(t, addrs...), Prefix: prefix})
						replicas = append(replicas, replica(t, budget.Options{Rules: rules(), Counter: counter}))
					}
					got := flood(t, replicas, 200, c.workers, c.estimate, c.actual)
					if got < c.least || got > c.most {
						t.Errorf("%d calls spent %d nano-dollars of a budget of one dollar, want %d to %d", 200, got, c.least, c.most)
					}
					t.Logf("spent %s", budget.Limit{Amount: got, Unit: budget.USD})
					for i, b := range replicas {
						if s := b.Stats(); s != (budget.Stats{}) {
							t.Errorf("replica %d: %+v", i, s)
						}
					}
				})
			}
		})
	}
}

func TestReplicas_tell_of_a_crossing_once(t *testing.T) {
	server := redisserver.Start(t)
	var mu sync.Mutex
	told := make(map[budget.Event]int)
	var replicas []*budget.Budgets
	for range 3 {
		replicas = append(replicas, replica(t, budget.Options{Rules: rules(), OnCrossing: func(c budget.Crossing) {
			mu.Lock()
			defer mu.Unlock()
			told[c.Event]++
		}}, server.Addr))
	}
	flood(t, replicas, 150, 30, cent, cent)
	for _, b := range replicas {
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if want := map[budget.Event]int{budget.Warning: 1, budget.Reached: 1}; !reflect.DeepEqual(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}

func TestReservations_of_a_killed_replica_expire(t *testing.T) {
	server := redisserver.Start(t)
	connection := client(t, server.Addr)
	const lease = time.Second
	dying := replica(t, budget.Options{
		Rules: rules(), Lease: lease, Deadline: time.Millisecond,
		Counter: redisbudget.New(redisbudget.Options{Client: connection}),
	})
	other := replica(t, budget.Options{Rules: rules(), Lease: lease}, server.Addr)
	r, _ := dying.Reserve(t.Context(), call(dollar))
	defer r.Settle(budget.Amount{})
	blocked := func() bool {
		r, v := other.Reserve(t.Context(), call(0))
		r.Settle(budget.Amount{})
		return v.Action == budget.Block
	}
	eventually(t, "the reservation is known", blocked)
	for end := time.Now().Add(2 * lease); time.Now().Before(end); {
		if !blocked() {
			t.Fatal("the reservation of a replica that lives has expired")
		}
	}
	connection.Close()
	eventually(t, "the reservation expires", func() bool { return !blocked() })
}

func TestParts_of_replicas_that_left_stay(t *testing.T) {
	server := redisserver.Start(t)
	for range 5 {
		b := replica(t, budget.Options{Rules: rules()}, server.Addr)
		flood(t, []*budget.Budgets{b}, 10, 3, cent, cent)
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := spent(t, server.Addr); got != 50*cent {
		t.Errorf("%d are spent, want %d", got, 50*cent)
	}
	key, err := server.Do("EVAL", "return redis.call('KEYS', 'mnemo:*')[1]", "0")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "one field for all of them, and a mark", func() bool {
		said, err := server.Do("HLEN", key)
		return err == nil && (said == ":2" || said == ":3") // the one that asked above leaves none either
	})
	left, err := server.Do("PTTL", key)
	if err != nil || strings.HasPrefix(left, ":-") {
		t.Errorf("the sum stays for ever: %s, %v", left, err)
	}
}

func TestCalls_go_on_while_redis_is_away_and_are_added_when_it_is_back(t *testing.T) {
	for name, lose := range map[string]bool{"its data is kept": false, "its data is lost": true} {
		t.Run(name, func(t *testing.T) {
			args := []string{}
			if lose {
				args = append(args, "--appendonly", "no")
			}
			server := redisserver.Start(t, args...)
			var log lines
			first := replica(t, budget.Options{Rules: rules(), Log: log.logger(), Deadline: 50 * time.Millisecond}, server.Addr)
			second := replica(t, budget.Options{Rules: rules(), Deadline: 50 * time.Millisecond}, server.Addr)
			all := []*budget.Budgets{first, second}
			before := flood(t, all, 20, 4, cent, cent)
			open, _ := first.Reserve(t.Context(), call(cent))
			eventually(t, "both know of 0.20", func() bool { return spent(t, server.Addr) == before })

			server.Kill()
			during := flood(t, all, 30, 4, cent, cent)
			if during != 30*cent {
				t.Errorf("%d were spent, want %d: a call did not go on", during, 30*cent)
			}
			eventually(t, "each replica knows", func() bool { return first.Stats().Away && second.Stats().Away })
			open.Settle(budget.Amount{NanoDollars: 5 * cent})
			alone := flood(t, all[:1], 200, 4, cent, cent) // until what it knows blocks it
			if _, v := first.Reserve(t.Context(), call(cent)); v.Action != budget.Block {
				t.Errorf("alone a replica does not block: %+v", v)
			}

			server.Restart(t)
			eventually(t, "each replica is back", func() bool { return !first.Stats().Away && !second.Stats().Away })
			want := before + during + 5*cent + alone
			eventually(t, "all that was spent is known to all", func() bool {
				return spent(t, server.Addr) == want && first.Status(budget.Query{})[0].Spent == want
			})
			if got := log.count("cannot be reached"); got != 1 {
				t.Errorf("logged %d times:\n%s", got, &log)
			}
			if log.count("can be reached again") != 1 || first.Stats().Alone == 0 {
				t.Errorf("%+v\n%s", first.Stats(), &log)
			}
		})
	}
}

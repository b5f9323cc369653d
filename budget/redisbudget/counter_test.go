package redisbudget_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"mnemo/budget"
	"mnemo/budget/redisbudget"
	"mnemo/memory/storetest/redisserver"
)

func TestExchange_takes_what_is_told_twice_or_late(t *testing.T) {
	server := redisserver.Start(t)
	c := redisbudget.New(redisbudget.Options{Client: client(t, server.Addr)})
	until := time.Now().Add(time.Hour)
	tell := func(writer string, spent, reserved int64) budget.Claim {
		return budget.Claim{Entries: []budget.Entry{{Account: "x", Writer: writer, Spent: spent, Reserved: reserved, Lease: time.Minute, Until: until, Marks: []string{"m"}}}}
	}
	answers, err := c.Exchange(t.Context(), []budget.Claim{
		tell("a", 5, 1), tell("a", 9, 2), tell("a", 5, 1), tell("a", 9, 2), tell("b", 1, 0), tell("a", 9, 0), tell("b", 1, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []budget.Others{
		{Mine: []bool{true}}, {Mine: []bool{true}}, {Mine: []bool{true}}, {Mine: []bool{true}},
		{Spent: 9, Reserved: 2, Mine: []bool{false}}, {Spent: 1, Mine: []bool{true}}, {Spent: 9, Mine: []bool{false}},
	} {
		if got := answers[i].Others[0]; !reflect.DeepEqual(got, want) || !answers[i].Admitted {
			t.Errorf("%d: %+v, want %+v", i, answers[i], want)
		}
	}
}

func TestExchange_admits_to_all_sums_of_a_claim_or_to_none(t *testing.T) {
	server := redisserver.Start(t)
	c := redisbudget.New(redisbudget.Options{Client: client(t, server.Addr)})
	until := time.Now().Add(time.Hour)
	ask := func(limits ...int64) (claim budget.Claim) {
		for i, limit := range limits {
			claim.Entries = append(claim.Entries, budget.Entry{
				Account: fmt.Sprint(i), Writer: "w", Reserved: budget.Kept, Lease: time.Minute, Until: until, Estimate: 10, Limit: limit})
		}
		return claim
	}
	answers, err := c.Exchange(t.Context(), []budget.Claim{ask(15, 0), ask(15, 0), ask(15, 0), ask(100, 25), ask(100, 20), ask(100, 21)})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, true, false, true, false, false} {
		if answers[i].Admitted != want {
			t.Errorf("%d: %+v, want %v", i, answers[i], want)
		}
	}
}

func TestExchange_is_exact_up_to_the_largest_sums(t *testing.T) {
	server := redisserver.Start(t)
	c := redisbudget.New(redisbudget.Options{Client: client(t, server.Addr)})
	tell := func(writer string, spent int64, leave bool) budget.Claim {
		return budget.Claim{Entries: []budget.Entry{{Account: "x", Writer: writer, Spent: spent, Leave: leave, Lease: time.Minute, Until: time.Now().Add(time.Hour)}}}
	}
	answers, err := c.Exchange(t.Context(), []budget.Claim{
		tell("a", budget.MaxAmount-2, false), tell("a", 0, true), tell("b", 1, false), tell("c", 0, false),
		tell("d", budget.MaxAmount, false), tell("c", 0, false),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := answers[3].Others[0].Spent; got != budget.MaxAmount-1 {
		t.Errorf("%d", got)
	}
	if got := answers[5].Others[0].Spent; got != budget.MaxAmount {
		t.Errorf("%d", got)
	}
}

func TestExchange_works_on_after_redis_forgot_its_scripts(t *testing.T) {
	server := redisserver.Start(t)
	c := redisbudget.New(redisbudget.Options{Client: client(t, server.Addr)})
	claim := budget.Claim{Entries: []budget.Entry{{Account: "x", Writer: "w", Spent: 1, Lease: time.Minute, Until: time.Now().Add(time.Hour)}}}
	for range 2 {
		if _, err := c.Exchange(t.Context(), []budget.Claim{claim, claim}); err != nil {
			t.Fatal(err)
		}
		if said, err := server.Do("SCRIPT", "FLUSH"); err != nil || said != "+OK" {
			t.Fatalf("flush: %q, %v", said, err)
		}
	}
	server.Kill()
	if _, err := c.Exchange(t.Context(), []budget.Claim{claim}); err == nil {
		t.Error("a killed redis took a sum")
	}
	if _, err := c.Exchange(t.Context(), nil); err == nil {
		t.Error("a killed redis can be reached")
	}
}

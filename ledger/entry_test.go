package ledger_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"mnemo/ledger"
)

func TestEntry_Bound_makes_every_entry_one_that_stores_take(t *testing.T) {
	e := ledger.Entry{
		Time: time.Date(1931, 1, 1, 0, 0, 0, 0, time.UTC), ID: strings.Repeat("ü", 200), Tenant: "a\x00b\u202ec\xff", ModelUsed: "日本 ü",
		Usage: ledger.Usage{Input: 1 << 62, Output: -5}, Cost: 1 << 62, FullCost: -1, Latency: -time.Second, Memory: ledger.Memory{Tokens: -1},
		Attempts: append(make([]ledger.Attempt, 100), ledger.Attempt{Outcome: "\n"}),
	}
	e.Attempts[0].Outcome = "\n"
	e.Bound()
	if e.ID != strings.Repeat("ü", 128) || e.Tenant != "a\uFFFDb\uFFFDc\uFFFD" || e.ModelUsed != "日本 ü" || e.Attempts[0].Outcome != "\uFFFD" {
		t.Errorf("texts are %q, %q, %q, %q", e.ID, e.Tenant, e.ModelUsed, e.Attempts[0].Outcome)
	}
	if e.Time.UnixMilli() != 0 || e.Usage.Output != 0 || e.Usage.Input != 1<<32 || e.Cost != 1<<43 || e.FullCost != 0 || e.Latency != 0 ||
		e.Memory.Tokens != 0 || len(e.Attempts) != ledger.MaxAttempts {
		t.Errorf("%+v", e)
	}
	again := e
	if again.Bound(); !reflect.DeepEqual(again, e) {
		t.Errorf("bounding again changes %+v", again)
	}
	if e.Model() != e.ModelUsed || (&ledger.Entry{ModelAsked: "m"}).Model() != "m" {
		t.Errorf("the model is %s", e.Model())
	}
}

func FuzzPlain(f *testing.F) {
	f.Add("plain")
	f.Add(strings.Repeat("\xff", 300))
	f.Add(strings.Repeat("a", 255) + "ü")
	f.Fuzz(func(t *testing.T, text string) {
		plain := ledger.Plain(text)
		if len(plain) > ledger.MaxText || plain != ledger.Plain(plain) || plain != strings.ToValidUTF8(plain, "") || strings.ContainsAny(plain, "\x00\r\n") {
			t.Errorf("%q is %q", text, plain)
		}
	})
}

package storetest

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"mnemo/memory"
)

func unknownIsEmpty(t *testing.T, b Backend) {
	ctx, s := deadline(t), b.open(t, Options{})
	if err := s.Ping(ctx); err != nil {
		t.Fatalf("ping: %v", err)
	}
	got := load(ctx, t, s, key, everything)
	if got.Seq != 0 || len(got.Turns) != 0 || got.System != "" || got.Totals != (memory.Totals{}) {
		t.Fatalf("an unknown session is %+v", got)
	}
	turns, err := s.Turns(ctx, key, 0, 10)
	if err != nil || len(turns) != 0 {
		t.Fatalf("turns of an unknown session: %v, %v", turns, err)
	}
	if err := s.Delete(ctx, key); err != nil {
		t.Fatalf("delete of an unknown session: %v", err)
	}
}

func roundTrip(t *testing.T, b Backend) {
	raws := []string{
		`{"role":"user","content":"plain"}`,
		"{ \"role\" :\t\"user\",\r\n  \"content\": \"white space\" }",
		`{"role":"user","content":"日本語 😀 é é"}`,
		`{"role":"user","content":"\u00e9\ud83d\ude00 \ud800 \" \\ \/ \b\f\n\r\t \u0000 \u2028"}`,
		`{"role":"user","content":"a","content":"b","name":"x","name":"y"}`,
		`{"role":"user","content":"n","big":123456789012345678901234567890,"exp":1E+2,"dec":0.70,"neg":-0}`,
		"{\"role\":\"user\",\"content\":\"invalid \xff\xfe\xc3 utf-8\"}",
		`{"role":"user","content":null,"unknown":{"a":[1,{"b":null}]},"t":true}`,
		`{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"data:,"}}]}`,
		`{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]}`,
		`{"role":"tool","tool_call_id":"call_1","content":"{}"}`,
		`{"role":"user","content":"` + strings.Repeat("a much longer text, ", 1<<20/20) + `"}`,
		`{"content":"","role":"assistant"}`,
	}
	want := turn(raws...)
	want.Partial, want.Model = true, "a \"model\" \\ \x01 \xff\n名"
	want.Messages[3].Tokens = 0
	ctx, writer, other := deadline(t), b.open(t, Options{}), b.open(t, Options{})
	if seq, err := writer.Append(ctx, key, want); err != nil || seq != 1 {
		t.Fatalf("append: seq %d, %v", seq, err)
	}
	paged, err := other.Turns(ctx, key, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	for from, turns := range map[string][]memory.Turn{
		"the writer":     load(ctx, t, writer, key, everything).Turns,
		"another handle": load(ctx, t, other, key, everything).Turns,
		"paging":         paged,
	} {
		if len(turns) != 1 {
			t.Fatalf("%s: %d turns", from, len(turns))
		}
		sameTurn(t, from, turns[0], want)
	}
}

func sameTurn(t *testing.T, from string, got, want memory.Turn) {
	t.Helper()
	if got.Seq != 1 || !got.At.Equal(want.At) || got.Partial != want.Partial || got.System != "" {
		t.Errorf("%s: seq %d, at %v, partial %v, system %q", from, got.Seq, got.At, got.Partial, got.System)
	}
	if strings.ToValidUTF8(got.Model, "\uFFFD") != strings.ToValidUTF8(want.Model, "\uFFFD") {
		t.Errorf("%s: model %q, want %q", from, got.Model, want.Model)
	}
	if len(got.Messages) != len(want.Messages) {
		t.Fatalf("%s: %d messages, want %d", from, len(got.Messages), len(want.Messages))
	}
	for i := range want.Messages {
		g, w := got.Messages[i], want.Messages[i]
		if g.Raw != w.Raw {
			t.Errorf("%s: message %d is %.200q, want %.200q", from, i, g.Raw, w.Raw)
		}
		if g.Role != w.Role || g.Tokens != w.Tokens || g.Hash != w.Hash || g.CallID != w.CallID || !slices.Equal(g.Calls, w.Calls) {
			t.Errorf("%s: message %d is read as %.200v, want %.200v", from, i, g, w)
		}
	}
}

func needs(t *testing.T, b Backend) {
	ctx, s := deadline(t), b.open(t, Options{})
	const n = 40
	fill(ctx, t, s, key, n)
	for _, tt := range []struct {
		need  memory.Need
		turns int
	}{
		{memory.Need{}, 0},
		{memory.Need{Messages: 1}, 1},
		{memory.Need{Messages: 7}, 4},
		{memory.Need{Groups: 7}, 7},
		{memory.Need{Tokens: 10*tokens + 1}, 6},
		{memory.Need{Tokens: 1, Groups: 2, Messages: 10}, 5},
		{memory.Need{Groups: n}, n},
		{memory.Need{Groups: n + 1}, n},
		{everything, n},
	} {
		for from, h := range map[string]memory.Store{"a used handle": s, "a new handle": b.open(t, Options{})} {
			got := load(ctx, t, h, key, tt.need)
			checkEnd(t, got, n)
			if len(got.Turns) < tt.turns {
				t.Errorf("%s: need %+v returned %d turns, want %d", from, tt.need, len(got.Turns), tt.turns)
			}
			if from == "a new handle" && len(got.Turns) > 2*tt.turns+1 {
				t.Errorf("%s: need %+v read %d turns, want about %d", from, tt.need, len(got.Turns), tt.turns)
			}
		}
	}
}

// checkEnd checks that a session holds the end of a log of n exchanges.
func checkEnd(t *testing.T, s memory.Session, n int) {
	t.Helper()
	if s.Seq != int64(n) || s.Totals.Messages != int64(2*n) {
		t.Fatalf("the log ends at %d with %+v, want %d", s.Seq, s.Totals, n)
	}
	for i := range s.Turns {
		want := n - len(s.Turns) + i + 1
		name, err := nameOf(&s.Turns[i])
		if err != nil || name != fmt.Sprint(want) || s.Turns[i].Seq != int64(want) {
			t.Fatalf("turn %d of %d is %q with seq %d, want %d (%v)", i, len(s.Turns), name, s.Turns[i].Seq, want, err)
		}
	}
}

// loadCost counts allocations, which decoding a turn cannot do without.
func loadCost(t *testing.T, b Backend) {
	ctx, writer := deadline(t), b.open(t, Options{})
	need := memory.Need{Messages: 20}
	short, long := memory.Key{Tenant: "t", Session: "short"}, memory.Key{Tenant: "t", Session: "long"}
	fill(ctx, t, writer, short, 20)
	fill(ctx, t, writer, long, 400)
	cold := func(k memory.Key) uint64 {
		least := ^uint64(0)
		for range 5 { // others allocate too; the least is ours
			reader := b.Open(t, Options{})
			load(ctx, t, reader, memory.Key{Tenant: "t", Session: "warm-up"}, need)
			n := mallocs(func() { load(ctx, t, reader, k, need) })
			least = min(least, n)
			if err := reader.Close(); err != nil {
				t.Fatal(err)
			}
		}
		return least
	}
	a, z := cold(short), cold(long)
	if z > 2*a {
		t.Errorf("the end of 400 turns took %d allocations, of 20 turns %d", z, a)
	}
	reader := b.open(t, Options{})
	load(ctx, t, reader, long, need)
	least := ^uint64(0)
	for range 5 {
		least = min(least, mallocs(func() { load(ctx, t, reader, long, need) }))
	}
	if least > z/2 {
		t.Errorf("a repeated load took %d allocations, the first one %d", least, z)
	}
}

func mallocs(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}

func totals(t *testing.T, b Backend) {
	ctx, s := deadline(t), b.open(t, Options{})
	var want memory.Totals
	for i := range 50 {
		tn := exchange(fmt.Sprint(i))
		if i%3 == 0 {
			tn.Messages = append(tn.Messages, turn(`{"role":"user","content":"again"}`, `{"role":"assistant","content":"é"}`).Messages...)
			tn.Messages[3].Tokens = 0
		}
		want.Add(&tn)
		if _, err := s.Append(ctx, key, tn); err != nil {
			t.Fatal(err)
		}
		if got := load(ctx, t, s, key, memory.Need{Messages: 1}).Totals; got != want {
			t.Fatalf("totals after %d turns are %+v, want %+v", i+1, got, want)
		}
	}
	if got := load(ctx, t, b.open(t, Options{}), key, memory.Need{Messages: 1}).Totals; got != want {
		t.Fatalf("another handle sees %+v, want %+v", got, want)
	}
}

func latestSystem(t *testing.T, b Backend) {
	ctx, s, other := deadline(t), b.open(t, Options{}), b.open(t, Options{})
	steps := []struct{ carried, want string }{
		{"", ""},
		{`[{"role":"system","content":"be brief é \u0000"}]`, `[{"role":"system","content":"be brief é \u0000"}]`},
		{"", `[{"role":"system","content":"be brief é \u0000"}]`},
		{`[{"role":"developer","content":"be long"}]`, `[{"role":"developer","content":"be long"}]`},
		{"", `[{"role":"developer","content":"be long"}]`},
	}
	for i, step := range steps {
		tn := exchange(fmt.Sprint(i))
		tn.System = step.carried
		if _, err := s.Append(ctx, key, tn); err != nil {
			t.Fatal(err)
		}
		for _, h := range []memory.Store{s, other} {
			got := load(ctx, t, h, key, everything)
			if got.System != step.want {
				t.Fatalf("after turn %d the instructions are %q, want %q", i+1, got.System, step.want)
			}
			if got.Totals.Messages != int64(2*(i+1)) {
				t.Fatalf("instructions were counted: %+v", got.Totals)
			}
		}
	}
}

func paging(t *testing.T, b Backend) {
	ctx, s := deadline(t), b.open(t, Options{})
	const n = 25
	fill(ctx, t, s, key, n)
	for _, tt := range []struct {
		before      int64
		limit       int
		first, last int64
	}{
		{0, 10, 16, 25}, {16, 10, 6, 15}, {6, 10, 1, 5}, {1, 10, 0, -1}, {0, 100, 1, 25}, {2, 1, 1, 1},
		{26, 5, 21, 25}, {1000, 5, 21, 25}, {0, 0, 0, -1}, {10, -1, 0, -1},
	} {
		turns, err := s.Turns(ctx, key, tt.before, tt.limit)
		if err != nil {
			t.Fatalf("%+v: %v", tt, err)
		}
		if len(turns) != int(tt.last-tt.first+1) && (tt.last >= 0 || len(turns) != 0) {
			t.Fatalf("%+v: %d turns", tt, len(turns))
		}
		for i := range turns {
			name, err := nameOf(&turns[i])
			if want := tt.first + int64(i); err != nil || turns[i].Seq != want || name != fmt.Sprint(want) {
				t.Fatalf("%+v: turn %d is %q with seq %d (%v)", tt, i, name, turns[i].Seq, err)
			}
		}
	}
}

func readYourWrite(t *testing.T, b Backend) {
	ctx := deadline(t)
	handles := []memory.Store{b.open(t, Options{}), b.open(t, Options{}), b.open(t, Options{})}
	for i := range 60 {
		if seq, err := handles[i%3].Append(ctx, key, exchange(fmt.Sprint(i+1))); err != nil || seq != int64(i+1) {
			t.Fatalf("append %d: seq %d, %v", i+1, seq, err)
		}
		for _, h := range handles {
			got := load(ctx, t, h, key, memory.Need{Messages: 10})
			checkEnd(t, got, i+1)
			if len(got.Turns) < min(5, i+1) {
				t.Fatalf("after turn %d only %d turns were returned", i+1, len(got.Turns))
			}
		}
	}
}

package memory

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"
)

var cacheKey = Key{Tenant: "t", Session: "s"}

// log is what a store would hold: turns with one question and one answer each.
type log struct {
	epoch int64
	turns []Turn
}

func (l *log) add(t *testing.T, n int) {
	t.Helper()
	for range n {
		seq := int64(len(l.turns) + 1)
		l.turns = append(l.turns, turnOf(t, seq, fmt.Sprintf("q%d", seq), fmt.Sprintf("a%d", seq)))
	}
}

func (l *log) head() Head {
	h := Head{Revision: Revision{Life: l.epoch}, Seq: int64(len(l.turns))}
	for i := range l.turns {
		h.Totals.Add(&l.turns[i])
	}
	return h
}

// load does what a store does, and returns how many turns it read.
func (l *log) load(c *Cache, need Need) (Session, int) {
	tail, head := c.Tail(cacheKey, need), l.head()
	if tail.Current(head) && tail.Covers(need) {
		return tail.Session, 0
	}
	tail = tail.At(head)
	var held Totals
	var read []Turn
	for seq := head.Seq; seq > 0 && !need.Met(held); seq-- {
		turn := l.turns[seq-1]
		held.Add(&turn)
		if seq < tail.First() || seq > tail.Session.Seq {
			read = append(read, turn)
		}
	}
	slices.Reverse(read)
	return c.Extend(cacheKey, tail, head, read), len(read)
}

func turnOf(t testing.TB, seq int64, question, answer string) Turn {
	t.Helper()
	turn := Turn{Seq: seq, Model: "m"}
	for _, raw := range []string{`{"role":"user","content":"` + question + `"}`, `{"role":"assistant","content":"` + answer + `"}`} {
		m, err := ParseMessage(raw)
		if err != nil {
			t.Fatal(err)
		}
		m.Tokens = 10
		turn.Messages = append(turn.Messages, m)
	}
	return turn
}

func checkTail(t *testing.T, s Session, l *log) {
	t.Helper()
	if s.Seq != int64(len(l.turns)) || s.Totals != l.head().Totals {
		t.Fatalf("session ends at %d with %+v, the log at %d with %+v", s.Seq, s.Totals, len(l.turns), l.head().Totals)
	}
	for i, turn := range s.Turns {
		want := l.turns[len(l.turns)-len(s.Turns)+i]
		if turn.Seq != want.Seq || turn.Messages[0].Raw != want.Messages[0].Raw {
			t.Fatalf("turn %d of the tail is %d %s, want %d %s", i, turn.Seq, turn.Messages[0].Raw, want.Seq, want.Messages[0].Raw)
		}
	}
}

func TestCache_reads_each_turn_once(t *testing.T) {
	c, l, need := NewCache(0), &log{epoch: 1}, Need{Messages: 10}
	l.add(t, 100)
	s, read := l.load(c, need)
	checkTail(t, s, l)
	if read != 5 || len(s.Turns) != 5 {
		t.Fatalf("cold load read %d turns, has %d", read, len(s.Turns))
	}
	if _, read = l.load(c, need); read != 0 {
		t.Fatalf("a current tail was read again: %d", read)
	}
	l.add(t, 3)
	s, read = l.load(c, need)
	checkTail(t, s, l)
	if read != 3 || len(s.Turns) != 8 {
		t.Fatalf("stale load read %d turns, has %d", read, len(s.Turns))
	}
}

func TestCache_adds_older_turns_when_more_is_needed(t *testing.T) {
	c, l := NewCache(0), &log{epoch: 1}
	l.add(t, 50)
	l.load(c, Need{Groups: 5})
	l.add(t, 2)
	s, read := l.load(c, Need{Groups: 20})
	checkTail(t, s, l)
	if read != 15 || len(s.Turns) != 20 {
		t.Fatalf("read %d, has %d", read, len(s.Turns))
	}
	s, _ = l.load(c, Need{Groups: 1000})
	checkTail(t, s, l)
	if len(s.Turns) != 52 {
		t.Fatalf("has %d of 52", len(s.Turns))
	}
	if _, read = l.load(c, Need{Groups: 2000}); read != 0 {
		t.Fatalf("the whole log is held, yet %d were read", read)
	}
}

func TestCache_never_changes_a_session_that_was_handed_out(t *testing.T) {
	c, l, need := NewCache(0), &log{epoch: 1}, Need{Messages: 20}
	l.add(t, 10)
	first, _ := l.load(c, need)
	before := fmt.Sprint(first)
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() { // the race detector sees a write to what readers hold
			defer wg.Done()
			for range 100 {
				s := c.Tail(cacheKey, need).Session
				for i := range s.Turns {
					_ = s.Turns[i].Messages[0].Raw
				}
			}
		}()
	}
	for range 100 {
		l.add(t, 1)
		c.Append(cacheKey, l.head(), &l.turns[len(l.turns)-1])
	}
	wg.Wait()
	if after := fmt.Sprint(first); after != before {
		t.Fatalf("changed from %s to %s", before, after)
	}
	s, read := l.load(c, need)
	checkTail(t, s, l)
	if read != 0 {
		t.Fatalf("read %d turns that were appended here", read)
	}
}

func TestCache_two_extensions_of_one_tail_do_not_meet(t *testing.T) {
	c, l, need := NewCache(0), &log{epoch: 1}, Need{Messages: 20}
	l.add(t, 10)
	l.load(c, need)
	c.Append(cacheKey, func() Head { l.add(t, 1); return l.head() }(), &l.turns[10]) // makes room behind the tail
	tail := c.Tail(cacheKey, need)
	l.add(t, 1)
	one := c.Extend(cacheKey, tail, l.head(), l.turns[11:12])
	l.add(t, 1)
	two := c.Extend(cacheKey, tail, l.head(), l.turns[11:13])
	checkTail(t, two, l)
	if &one.Turns[11] == &two.Turns[11] {
		t.Fatal("two readers wrote the same room")
	}
	late := c.Extend(cacheKey, tail, Head{Revision: Revision{Life: 1}, Seq: 12}, l.turns[11:12])
	if late.Seq != 12 {
		t.Fatalf("a late reader got %d", late.Seq)
	}
	if s, read := l.load(c, need); read != 0 || s.Seq != 13 {
		t.Fatalf("a late reader put an old tail back: read %d", read)
	}
}

func TestCache_serves_nothing_of_a_former_life(t *testing.T) {
	c, l, need := NewCache(0), &log{epoch: 1}, Need{Messages: 20}
	l.add(t, 10)
	l.load(c, need)
	l = &log{epoch: 2}
	l.add(t, 10)
	s, read := l.load(c, need)
	checkTail(t, s, l)
	if read != 10 || len(s.Turns) != 10 {
		t.Fatalf("read %d, has %d", read, len(s.Turns))
	}
	c.Append(cacheKey, Head{Revision: Revision{Life: 3}, Seq: 1}, &l.turns[0])
	if tail := c.Tail(cacheKey, need); tail.Session.Revision.Life != 3 || len(tail.Session.Turns) != 1 {
		t.Fatalf("first turn of a new life: %+v", tail)
	}
	c.Drop(cacheKey)
	if tail := c.Tail(cacheKey, need); len(tail.Session.Turns) != 0 || c.bytes != 0 {
		t.Fatalf("dropped, yet %d turns and %d bytes", len(tail.Session.Turns), c.bytes)
	}
}

func TestCache_leaves_a_gap_to_the_next_load(t *testing.T) {
	c, l, need := NewCache(0), &log{epoch: 1}, Need{Messages: 20}
	l.add(t, 5)
	l.load(c, need)
	l.add(t, 2)
	c.Append(cacheKey, l.head(), &l.turns[6])
	s, read := l.load(c, need)
	checkTail(t, s, l)
	if read != 2 || len(s.Turns) != 7 {
		t.Fatalf("read %d, has %d", read, len(s.Turns))
	}
}

func TestCache_skips_a_gap_that_nobody_needs(t *testing.T) {
	c, l, need := NewCache(0), &log{epoch: 1}, Need{Messages: 20}
	l.add(t, 5)
	l.load(c, need)
	l.add(t, 500)
	s, read := l.load(c, need)
	checkTail(t, s, l)
	if read != 10 || len(s.Turns) != 10 {
		t.Fatalf("read %d, has %d", read, len(s.Turns))
	}
	l.add(t, 1)
	s, read = l.load(c, Need{})
	checkTail(t, s, l)
	if read != 0 || len(s.Turns) != 0 {
		t.Fatalf("nothing was needed, yet %d read and %d had", read, len(s.Turns))
	}
}

func TestCache_does_not_let_a_tail_grow_for_ever(t *testing.T) {
	c, l, need := NewCache(0), &log{epoch: 1}, Need{Messages: 100, Groups: 10}
	longest := 0
	for range 1000 {
		s, read := l.load(c, need)
		checkTail(t, s, l)
		if read != 0 {
			t.Fatalf("%d turns were dropped too early", read)
		}
		longest = max(longest, len(s.Turns))
		l.add(t, 1)
		c.Append(cacheKey, l.head(), &l.turns[len(l.turns)-1])
	}
	if longest > 100 || longest < 50 {
		t.Fatalf("the longest tail had %d turns, want 50 to 100", longest)
	}
}

func TestCache_stays_within_its_bytes(t *testing.T) {
	const bound = 64 << 10
	c := NewCache(bound)
	turn := turnOf(t, 1, strings.Repeat("x", 1000), "a")
	for i := range 200 {
		c.Append(Key{"t", fmt.Sprint(i)}, Head{Revision: Revision{Life: 1}, Seq: 1}, &turn)
		if c.bytes > bound {
			t.Fatalf("%d bytes after %d sessions", c.bytes, i+1)
		}
	}
	entries := c.lru.Len()
	if entries < 20 || entries > 60 {
		t.Fatalf("%d sessions in %d bytes", entries, bound)
	}
	if len(c.Tail(Key{"t", "199"}, Need{}).Session.Turns) != 1 || len(c.Tail(Key{"t", "0"}, Need{}).Session.Turns) != 0 {
		t.Fatal("the last one used must stay, the first must go")
	}
	huge := turnOf(t, 1, strings.Repeat("x", bound), "a")
	c.Append(Key{"t", "huge"}, Head{Revision: Revision{Life: 1}, Seq: 1}, &huge)
	if c.lru.Len() != entries {
		t.Fatalf("a session that does not fit pushed out %d others", entries-c.lru.Len())
	}
	none := NewCache(-1)
	none.Append(cacheKey, Head{Revision: Revision{Life: 1}, Seq: 1}, &turn)
	if none.lru.Len() != 0 || none.bytes != 0 {
		t.Fatal("a cache of no bytes holds something")
	}
}

func TestCache_keeps_no_request_body_alive(t *testing.T) {
	c := NewCache(0)
	body := `{"x":` + strings.Repeat(" ", 1<<20) + `{"role":"tool","content":"c","tool_call_id":"id"}}`
	m, err := ParseMessage(body[strings.Index(body, `{"role"`) : len(body)-1])
	if err != nil {
		t.Fatal(err)
	}
	m.Calls = []string{body[2:4]}
	turn := Turn{Model: body[2:3], System: body[:9], Messages: []Message{m}}
	c.Append(cacheKey, Head{Revision: Revision{Life: 1}, Seq: 1}, &turn)
	s := c.Tail(cacheKey, Need{}).Session
	got := s.Turns[0].Messages[0]
	if got.Raw != m.Raw || got.CallID != "id" || got.Hash != m.Hash || s.System != body[:9] {
		t.Fatalf("copy differs: %+v", got)
	}
	low := uintptr(unsafe.Pointer(unsafe.StringData(body)))
	for _, part := range []string{got.Raw, got.Role, got.CallID, got.Calls[0], s.System, s.Turns[0].Model} {
		if at := uintptr(unsafe.Pointer(unsafe.StringData(part))); at >= low && at < low+uintptr(len(body)) {
			t.Errorf("%q is a part of the body", part)
		}
	}
}

func BenchmarkCache_Tail(b *testing.B) {
	c := NewCache(0)
	for seq := range int64(25) {
		turn := turnOf(b, seq+1, "question", "answer")
		c.Append(cacheKey, Head{Revision: Revision{Life: 1}, Seq: seq + 1}, &turn)
	}
	for b.Loop() {
		if tail := c.Tail(cacheKey, Need{Messages: 10}); !tail.Covers(Need{Messages: 10}) {
			b.Fatal("not covered")
		}
	}
}

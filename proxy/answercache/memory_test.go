package answercache

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"mnemo/internal/bubble"
)

func TestMemory(t *testing.T) {
	testCache(t, func(t *testing.T) Cache {
		m := NewMemory(0)
		t.Cleanup(func() {
			if err := m.Close(); err != nil || m.bytes != 0 || len(m.routes) != 0 || len(m.tags) != 0 {
				t.Errorf("closed, it keeps %d bytes, %d routes, %d tags: %v", m.bytes, len(m.routes), len(m.tags), err)
			}
		})
		return m
	})
}

func TestMemory_tells_the_age_and_forgets_in_time(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		m, a := NewMemory(0), mustAnswer(t, samples["text"])
		m.Put(t.Context(), keyNumber(1), a, Terms{Keep: time.Hour})
		time.Sleep(59 * time.Minute)
		if _, age, ok := m.Get(t.Context(), keyNumber(1)); !ok || age != 59*time.Minute {
			t.Errorf("%t, %v old", ok, age)
		}
		time.Sleep(time.Minute)
		if _, _, ok := m.Get(t.Context(), keyNumber(1)); ok || m.bytes != 0 {
			t.Errorf("after its time it is there: %t, in %d bytes", ok, m.bytes)
		}
	})
}

func TestMemory_forgets_what_nobody_asks_for_when_more_is_put(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		m, a := NewMemory(0), mustAnswer(t, samples["text"])
		for i := range 10 {
			m.Put(t.Context(), keyNumber(i), a, Terms{Keep: time.Minute, Tag: TagOf("", "1")})
		}
		time.Sleep(2 * time.Minute)
		m.Put(t.Context(), keyNumber(10), a, Terms{Keep: time.Minute})
		if m.entries.Len() != 1 || len(m.tags) != 0 || m.bytes != int64(len(a.body))+entryCost {
			t.Errorf("it keeps %d answers and %d tags in %d bytes", m.entries.Len(), len(m.tags), m.bytes)
		}
	})
}

func TestMemory_makes_room_by_what_was_not_asked_for_the_longest(t *testing.T) {
	a := mustAnswer(t, samples["text"])
	size := int64(len(a.body)) + entryCost
	m := NewMemory(3 * size)
	for i := range 3 {
		m.Put(t.Context(), keyNumber(i), a, Terms{Keep: time.Hour})
	}
	m.Get(t.Context(), keyNumber(0))
	m.Put(t.Context(), keyNumber(3), a, Terms{Keep: time.Hour})
	for i, want := range []bool{true, false, true, true} {
		if _, _, ok := m.Get(t.Context(), keyNumber(i)); ok != want {
			t.Errorf("%d is there: %t, want %t", i, ok, want)
		}
	}
	if m.bytes != 3*size {
		t.Errorf("it keeps %d bytes, want %d", m.bytes, 3*size)
	}
	limited := Terms{Keep: time.Hour, Route: "r", MaxEntries: 2}
	m = NewMemory(0)
	m.Put(t.Context(), keyNumber(0), a, limited)
	m.Put(t.Context(), keyNumber(1), a, limited)
	m.Get(t.Context(), keyNumber(0))
	m.Put(t.Context(), keyNumber(2), a, limited)
	if _, _, ok := m.Get(t.Context(), keyNumber(0)); !ok {
		t.Error("within a route, what was asked for makes room")
	}
}

func TestMemory_of_no_bytes_keeps_nothing(t *testing.T) {
	m, a := NewMemory(-1), mustAnswer(t, samples["text"])
	m.Put(t.Context(), keyNumber(1), a, Terms{Keep: time.Hour})
	if _, _, ok := m.Get(t.Context(), keyNumber(1)); ok || m.bytes != 0 {
		t.Errorf("%t, %d bytes", ok, m.bytes)
	}
}

func TestMemory_agrees_with_itself_whatever_happens(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 12))
		m := NewMemory(40 * (entryCost + 800))
		var answers []Answer
		for _, body := range samples {
			answers = append(answers, mustAnswer(t, body))
		}
		keys := make([]Key, 200)
		for i := range keys {
			keys[i] = keyNumber(i)
		}
		last := map[Key]Answer{}
		for range 20_000 {
			key := keys[r.IntN(len(keys))]
			switch r.IntN(10) {
			case 0:
				time.Sleep(time.Duration(r.IntN(20)) * time.Second)
			case 1:
				if err := m.Drop(t.Context(), TagOf("", strconv.Itoa(r.IntN(20)))); err != nil {
					t.Fatal(err)
				}
			case 2, 3, 4, 5:
				last[key] = answers[r.IntN(len(answers))]
				m.Put(t.Context(), key, last[key], Terms{Keep: time.Duration(r.IntN(120)) * time.Second, Route: strconv.Itoa(r.IntN(3)),
					MaxEntries: r.IntN(30), Tag: TagOf("", strconv.Itoa(r.IntN(20)))})
			default:
				if got, age, ok := m.Get(t.Context(), key); ok && (got != last[key] || age >= 2*time.Minute) {
					t.Fatalf("it has %s, %v old", got.JSON(), age)
				}
			}
			m.check(t)
		}
	})
}

// check counts what a memory has noted of itself.
func (m *Memory) check(t *testing.T) {
	t.Helper()
	var bytes int64
	tagged := 0
	for _, key := range m.entries.Keys() {
		e, _ := m.entries.Peek(key)
		bytes += e.size()
		if !m.routes[e.terms.Route].Contains(key) {
			t.Fatal("an entry is in no route")
		}
		if _, ok := m.tags[e.terms.Tag][key]; ok {
			tagged++
		}
	}
	routed, noted := 0, 0
	for _, route := range m.routes {
		routed += route.Len()
	}
	for _, keys := range m.tags {
		noted += len(keys)
	}
	if n := m.entries.Len(); bytes != m.bytes || m.bytes > m.limit || routed != n || tagged != n || noted != n {
		t.Fatalf("%d entries in %d bytes, of which %d are known; %d in routes, %d of %d by tag", n, bytes, m.bytes, routed, tagged, noted)
	}
}

package upstream

import (
	"fmt"
	"math"
	"net/http"
	"testing"
	"time"

	"mnemo/internal/bubble"
)

func fourKeys(weights ...int) []Key {
	keys := make([]Key, len(weights))
	for i, w := range weights {
		keys[i] = Key{Label: fmt.Sprint("k", i), Value: fmt.Sprint("v", i), Weight: w}
	}
	return keys
}

func TestHome_keeps_sessions_at_their_key_and_keys_at_their_weight(t *testing.T) {
	up := newFake(t, status(200))
	p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: up.URL, Keys: fourKeys(1, 1, 1, 1)}}})
	bySession, byKey := map[int]map[string]int{}, map[string]int{}
	for range 10 {
		for session := range 200 {
			r := chat("m")
			r.Sticky = fmt.Sprint("session-", session)
			_, _, answer := p.call(t, r)
			if bySession[session] == nil {
				bySession[session] = map[string]int{}
			}
			bySession[session][answer.Key]++
			byKey[answer.Key]++
		}
	}
	for session, keys := range bySession {
		if len(keys) != 1 {
			t.Errorf("session %d was at %v", session, keys)
		}
	}
	for key, calls := range byKey {
		if math.Abs(float64(calls)/500-1) > 0.15 {
			t.Errorf("key %s had %d calls of 500", key, calls)
		}
	}
}

func TestHome_shares_sessions_by_weight_whatever_their_names(t *testing.T) {
	for _, weights := range [][]int{{1, 1, 1, 1}, {4, 3, 2, 1}, {5, 1}, {2, 2, 3}} {
		total := 0
		for _, w := range weights {
			total += w
		}
		for seed := range 50 {
			r := ring(fourKeys(weights...)...)
			for session := range 400 {
				r.pick("m", fmt.Sprint(seed, "/", session), time.Now())
			}
			for i, k := range r.keys {
				want := 400 * float64(weights[i]) / float64(total)
				if off := math.Abs(float64(k.settled)/want - 1); off > 0.15 {
					t.Errorf("weights %v: key %d has %d sessions, want %.0f", weights, i, k.settled, want)
				}
			}
		}
	}
}

func TestHome_is_mostly_the_same_in_every_process(t *testing.T) {
	here, there := ring(fourKeys(1, 1, 1, 1)...), ring(fourKeys(1, 1, 1, 1)...)
	for i := range 400 {
		here.pick("m", fmt.Sprint(i), time.Now())
	}
	same := 0
	for i := 399; i >= 0; i-- { // another order
		a, _ := here.pick("m", fmt.Sprint(i), time.Now())
		b, _ := there.pick("m", fmt.Sprint(i), time.Now())
		if a.label == b.label {
			same++
		}
	}
	if same < 240 { // by chance it would be 100
		t.Errorf("%d of 400 sessions have the same home", same)
	}
}

func TestHome_is_left_only_while_its_key_cools(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: "http://a", Keys: fourKeys(1, 1, 1, 1)}}, Retry: retries})
		limited := ""
		up := inMemory(t, p, func(_ int, w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == limited {
				w.Header().Set("Retry-After", "30")
				w.WriteHeader(http.StatusTooManyRequests)
			}
		})[0]
		at := func() string {
			r := chat("m")
			r.Sticky = "s"
			_, _, answer := p.call(t, r)
			return answer.Key
		}
		home := at()
		limited = up.seen()[0].header.Get("Authorization")
		refuge := at()
		limited = ""
		if again := at(); refuge == home || again != refuge {
			t.Errorf("home %s, then %s and %s", home, refuge, again)
		}
		time.Sleep(31 * time.Second)
		if got := at(); got != home {
			t.Errorf("back at %s, want %s", got, home)
		}
	})
}

func TestHome_forgets_within_its_bound(t *testing.T) {
	r := ring(fourKeys(1, 1)...)
	for i := range 5 * maxHomes {
		r.pick("m", fmt.Sprint(i), time.Now())
		r.pick("m", "always here", time.Now())
	}
	known, settled := len(r.homes.recent)+len(r.homes.older), r.keys[0].settled+r.keys[1].settled
	if known > 2*maxHomes || known != settled {
		t.Errorf("%d sessions remembered, %d counted", known, settled)
	}
	if r.homes.find(hash("always here")) == nil {
		t.Error("a session in use was forgotten")
	}
}

func TestKeys_are_shared_out_anew_where_sessions_do_not_stick(t *testing.T) {
	up := newFake(t, status(200))
	for _, never := range []bool{false, true} {
		p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: up.URL, NoSticky: never,
			Keys: []Key{{Label: "x", Value: "1", Weight: 1}, {Label: "y", Value: "2", Weight: 1}}}}})
		used := map[string]int{}
		for range 20 {
			r := chat("m")
			r.Sticky = "s"
			_, _, answer := p.call(t, r)
			used[answer.Key]++
		}
		if (len(used) == 2) != never {
			t.Errorf("without sticking: %v, the keys were used %v", never, used)
		}
	}
}

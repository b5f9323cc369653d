package sqlitestore

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"mnemo/memory"
)

func TestSessions_are_in_order_however_the_lists_lag(t *testing.T) {
	s := opened(t, Options{Path: filepath.Join(t.TempDir(), "a.db")})
	defer s.Close()
	const sessions = 40
	random := rand.New(rand.NewPCG(1, 2))
	now := time.UnixMilli(1_700_000_000_000)
	for range 600 {
		turn := exchange(t, "x")
		now = now.Add(time.Duration(random.IntN(10)) * time.Second)
		turn.At = now.Add(-time.Duration(random.IntN(2)*random.IntN(900)) * time.Second)
		if _, err := s.Append(t.Context(), memory.Key{Tenant: "t", Session: fmt.Sprint(random.IntN(sessions))}, turn); err != nil {
			t.Fatal(err)
		}
	}
	if number(t, s, "SELECT count(*) FROM sessions WHERE listed_at < updated_at") < sessions/4 {
		t.Fatal("the lists do not lag")
	}
	for limit := 1; limit <= 2*sessions; limit += 7 {
		seen := map[string]bool{}
		q := memory.Query{Tenant: "t", Limit: limit}
		for last := now.Add(time.Hour); ; {
			page, err := s.Sessions(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, info := range page {
				if info.Updated.After(last) || seen[info.Key.Session] {
					t.Fatalf("%d a page: %s, used at %v, comes after %v", limit, info.Key.Session, info.Updated, last)
				}
				last, seen[info.Key.Session] = info.Updated, true
			}
			q.After = &memory.Cursor{Updated: last, Key: page[len(page)-1].Key}
		}
		if want := number(t, s, "SELECT count(*) FROM sessions"); len(seen) != want {
			t.Fatalf("%d a page: %d sessions of %d", limit, len(seen), want)
		}
	}
}

package answercache

import (
	"strconv"
	"sync"
	"testing"
	"time"
)

// testCache is what every cache does.
func testCache(t *testing.T, open func(t *testing.T) Cache) {
	hour := Terms{Keep: time.Hour, Route: "r", Tag: TagOf("shop", "1")}
	t.Run("gives what was put and nothing else", func(t *testing.T) {
		c, a := open(t), mustAnswer(t, samples["two choices"])
		if _, _, ok := c.Get(t.Context(), keyNumber(1)); ok {
			t.Error("an empty cache has an answer")
		}
		c.Put(t.Context(), keyNumber(1), a, hour)
		got, age, ok := c.Get(t.Context(), keyNumber(1))
		if !ok || got != a || age < 0 || age > time.Minute {
			t.Errorf("%t: %s, %v old", ok, got.JSON(), age)
		}
		if _, _, ok := c.Get(t.Context(), keyNumber(2)); ok {
			t.Error("another key finds it")
		}
		other := mustAnswer(t, samples["text"])
		c.Put(t.Context(), keyNumber(1), other, hour)
		if got, _, ok := c.Get(t.Context(), keyNumber(1)); !ok || got != other {
			t.Errorf("%t: after another answer was put it has %s", ok, got.JSON())
		}
	})
	t.Run("takes no answer that is none and none for no time", func(t *testing.T) {
		c := open(t)
		c.Put(t.Context(), keyNumber(1), Answer{}, hour)
		c.Put(t.Context(), keyNumber(2), mustAnswer(t, samples["text"]), Terms{Route: "r"})
		c.Put(t.Context(), keyNumber(3), mustAnswer(t, samples["text"]), Terms{Route: "r", Keep: -time.Second})
		for i := 1; i <= 3; i++ {
			if a, _, ok := c.Get(t.Context(), keyNumber(i)); ok {
				t.Errorf("%d: it has %s", i, a.JSON())
			}
		}
	})
	t.Run("keeps so many of a route", func(t *testing.T) {
		c, a := open(t), mustAnswer(t, samples["text"])
		few := Terms{Keep: time.Hour, Route: "few", MaxEntries: 3}
		for i := range 5 {
			c.Put(t.Context(), keyNumber(100+i), a, hour)
			c.Put(t.Context(), keyNumber(i), a, few)
			few.Keep += time.Minute // so that it is known which one expires first
		}
		for i := range 5 {
			if _, _, ok := c.Get(t.Context(), keyNumber(i)); ok != (i >= 2) {
				t.Errorf("%d is there: %t", i, ok)
			}
			if _, _, ok := c.Get(t.Context(), keyNumber(100+i)); !ok {
				t.Errorf("%d of another route is gone", i)
			}
		}
	})
	t.Run("drops what has a tag", func(t *testing.T) {
		c, a := open(t), mustAnswer(t, samples["text"])
		other := Terms{Keep: time.Hour, Route: "r", Tag: TagOf("shop", "2")}
		for i := range 600 {
			c.Put(t.Context(), keyNumber(i), a, hour)
		}
		c.Put(t.Context(), keyNumber(600), a, other)
		c.Put(t.Context(), keyNumber(601), a, Terms{Keep: time.Hour, Route: "r"})
		c.Put(t.Context(), keyNumber(0), a, other) // it is the other's now
		for range 2 {
			if err := c.Drop(t.Context(), hour.Tag); err != nil {
				t.Fatal(err)
			}
			if err := c.Drop(t.Context(), Tag{}); err != nil { // of none
				t.Fatal(err)
			}
		}
		for i := range 602 {
			if _, _, ok := c.Get(t.Context(), keyNumber(i)); ok != (i == 0 || i >= 600) {
				t.Errorf("%d is there: %t", i, ok)
			}
		}
		c.Put(t.Context(), keyNumber(1), a, hour)
		if _, _, ok := c.Get(t.Context(), keyNumber(1)); !ok {
			t.Error("after a drop nothing is kept")
		}
	})
	t.Run("serves many at once", func(t *testing.T) {
		c, a := open(t), mustAnswer(t, samples["text"])
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for j := range 20 {
					key := keyNumber(j % 5)
					c.Put(t.Context(), key, a, Terms{Keep: time.Hour, Route: strconv.Itoa(i % 2), MaxEntries: 2, Tag: TagOf("", strconv.Itoa(j%3))})
					if got, _, ok := c.Get(t.Context(), key); ok && got != a {
						t.Errorf("it has %s", got.JSON())
					}
					if err := c.Drop(t.Context(), TagOf("", strconv.Itoa(j%4))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	})
}

func keyNumber(i int) Key {
	key, _ := KeyOf("shop", `{"seed":`+strconv.Itoa(i)+`}`)
	return key
}

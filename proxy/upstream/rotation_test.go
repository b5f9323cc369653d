package upstream

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"mnemo/internal/bubble"
)

func TestRotation_drops_no_call_and_keeps_what_stays(t *testing.T) {
	release := make(chan struct{})
	up := newFake(t, func(n int, w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Header.Get("Authorization"))
		w.(http.Flusher).Flush()
		if n == 1 {
			<-release
		}
	})
	p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: up.URL, Keys: []Key{{Label: "x", Value: "X"}, {Label: "y", Value: "Y"}}}}})
	under, err := p.Do(t.Context(), chat("m"))
	if err != nil {
		t.Fatal(err)
	}
	ring := p.upstreams[0].keys
	ring.cool(ring.keys[1], time.Hour, time.Now())
	if err := p.SetKeys("a", []Key{{Label: "y", Value: "Y", Weight: 2}, {Label: "z", Value: "Z", Weight: 1}}); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, body, answer := p.call(t, chat("m")); body != "Bearer Z" || answer.Key != "z" {
			t.Errorf("answer %s of key %s: y has forgotten its cooldown, or x is still used", body, answer.Key)
		}
	}
	close(release)
	if body, err := io.ReadAll(under.Body); err != nil || string(body) != "Bearer X" {
		t.Errorf("the call under way got %q, %v", body, err)
	}
	under.Finish(Completed)
	if err := p.SetKeys("a", []Key{{Label: "y", Value: "new"}}); err != nil {
		t.Fatal(err)
	}
	if _, body, _ := p.call(t, chat("m")); body != "Bearer new" {
		t.Errorf("a new value is not used afresh: %s", body)
	}
}

func TestRotation_refuses_what_would_leave_the_pool_without_keys(t *testing.T) {
	p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: "http://a", Keys: []Key{{Label: "x", Value: "X"}}}}})
	for name, keys := range map[string][]Key{"a": nil, "b": {{Label: "x", Value: "s3cret"}}} {
		if err := p.SetKeys(name, keys); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if err := p.SetKeys("a", []Key{{Label: "x", Value: "s3cret\n"}}); err == nil || strings.Contains(err.Error(), "s3cret") || !p.upstreams[0].pooled() {
		t.Errorf("error %v", err)
	}
}

func TestRotation_forgets_the_homes_of_a_key_that_is_gone(t *testing.T) {
	r := ring(fourKeys(1, 1, 1)...)
	for i := range 90 {
		r.pick("m", fmt.Sprint(i), time.Now())
	}
	if err := r.set(fourKeys(1, 1)); err != nil {
		t.Fatal(err)
	}
	for i := range 90 {
		if k, _ := r.pick("m", fmt.Sprint(i), time.Now()); k.label == "k2" {
			t.Fatal("a key that is gone was picked")
		}
	}
	if a, b := r.keys[0].settled, r.keys[1].settled; a+b != 90 || a < 40 || b < 40 {
		t.Errorf("%d and %d sessions", a, b)
	}
}

func TestRotation_under_load_fails_nobody(t *testing.T) {
	up := newFake(t, status(200))
	p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: up.URL, Keys: fourKeys(1, 1)}}})
	ctx, cancel := context.WithCancel(t.Context())
	var rotating sync.WaitGroup
	rotating.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			if err := p.SetKeys("a", []Key{{Label: "k0", Value: fmt.Sprint(i)}, {Label: fmt.Sprint("k", i), Value: "v", Weight: 1}}); i > 0 && err != nil {
				t.Error(err)
			}
		}
	})
	for i := range 200 {
		r := chat("m")
		r.Sticky = fmt.Sprint(i % 7)
		if code, _, _ := p.call(t, r); code != 200 {
			t.Errorf("answer %d", code)
		}
	}
	cancel()
	rotating.Wait()
}

func TestRotation_warns_once_of_an_old_key(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var log strings.Builder
		keys := []Key{{Label: "x", Value: "X", Since: time.Now(), RotateAfter: time.Hour}}
		p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: "http://a", Keys: keys}}, Log: logTo(&log)})
		inMemory(t, p, status(200))
		p.call(t, chat("m"))
		if log.Len() > 0 || p.Status()[0].Keys[0].Overdue {
			t.Errorf("a young key is due: %s", log.String())
		}
		time.Sleep(time.Hour)
		for range 3 {
			if code, _, _ := p.call(t, chat("m")); code != 200 {
				t.Errorf("answer %d", code)
			}
		}
		if strings.Count(log.String(), "due to be replaced") != 1 || strings.Contains(log.String(), "=X") || !p.Status()[0].Keys[0].Overdue {
			t.Errorf("log = %s", log.String())
		}
	})
}

func TestRotation_warns_once_of_an_old_key_over_rotations_and_reloads(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var log strings.Builder
		old := Key{Label: "x", Value: "X", Since: time.Now(), RotateAfter: time.Hour}
		o := Options{Upstreams: []Upstream{{Name: "a", URL: "http://a", Keys: []Key{old}}}, Log: logTo(&log)}
		p := newPool(t, o)
		time.Sleep(2 * time.Hour)
		used := func(p *Pool) { p.upstreams[0].keys.pick("m", "", time.Now()) }
		used(p)
		if err := p.SetKeys("a", []Key{old, {Label: "y", Value: "Y"}}); err != nil {
			t.Fatal(err)
		}
		used(p)
		used(p)
		p = p.mustReload(t, o)
		used(p)
		o.Upstreams[0].URL = "http://b"
		p = p.mustReload(t, o)
		used(p)
		if n := strings.Count(log.String(), "due to be replaced"); n != 1 || !p.Status()[0].Keys[0].Overdue {
			t.Errorf("%d warnings: %s", n, log.String())
		}
		o.Upstreams[0].Keys = []Key{{Label: "x", Value: "new", Since: time.Now(), RotateAfter: time.Hour}}
		p = p.mustReload(t, o)
		used(p)
		if p.Status()[0].Keys[0].Overdue {
			t.Error("the new key is due at once")
		}
		time.Sleep(time.Hour)
		used(p)
		if n := strings.Count(log.String(), "due to be replaced"); n != 2 {
			t.Errorf("%d warnings of two keys", n)
		}
	})
}

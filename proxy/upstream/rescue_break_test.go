package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"mnemo/internal/bubble"
)

// begun is what the counting provider says before it breaks.
func begun(events int) string { return strings.Join(counting.events("")[:events], "") }

func TestRescue_answers_every_way_to_break(t *testing.T) {
	for name, c := range map[string]struct {
		first func(int, http.ResponseWriter, *http.Request)
		fails int // of the breaker of the first
	}{
		"a cut":                {events(begun(4), errCut), 1},
		"a cut inside":         {events(begun(4), "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"fo", errCut), 1},
		"a reset":              {reset(begun(4)), 1},
		"a stall":              {events(begun(4), time.Hour), 1},
		"silence, then closes": {events(begun(4), 30*time.Millisecond, errCut), 1},
		"an end":               {events(begun(4)), 1},
		"an error event":       {events(begun(4), data(`{"error":{"message":"overloaded"}}`), data("[DONE]")), 1},
		"a named error event":  {events(begun(4), "event: error\ndata: {\"message\":\"overloaded\"}\n\n"), 1},
		"an error event, cut":  {events(begun(4), `data: {"error":{"message":"overloaded"}}`, errCut), 1},
		"a limit":              {events(begun(4), data(`{"error":{"code":"rate_limit_exceeded"}}`)), 0},
	} {
		t.Run(name, func(t *testing.T) {
			other := counting
			other.name = "other"
			up, second := newFake(t, c.first), newFake(t, other.whole)
			o := rescueOptions(up.URL, second.URL)
			o.Upstreams[0].Timeouts.StreamIdle = 100 * time.Millisecond
			o.Upstreams[0].Keys = []Key{{Label: "k", Value: "v", Weight: 1}}
			p := newPool(t, o)
			_, body, answer := p.call(t, asking(question))
			if got := readReply(t, body); got.text != whole(counting) || got.finish != "stop" || !strings.HasPrefix(body, begun(4)) {
				t.Errorf("answer %q", got.text)
			}
			if answer.Upstream != "a" || answer.Attempts != 2 || len(up.seen()) != 1 {
				t.Errorf("answer of %s after %d attempts", answer.Upstream, answer.Attempts)
			}
			s := p.Status()
			if s[0].InFlight != 0 || s[1].InFlight != 0 {
				t.Errorf("in flight %+v", s)
			}
			if got := int(s[0].ErrorRate * float64(s[0].Breakers[1].Calls)); got != c.fails {
				t.Errorf("%d failures of %+v", got, s[0].Breakers)
			}
			if cools := s[0].Keys[0].State == KeyCooling; cools != (name == "a limit") {
				t.Errorf("key is %s", s[0].Keys[0].State)
			}
		})
	}
}

func TestRescue_ends_a_finished_answer_cleanly(t *testing.T) {
	all := counting.events("")
	finished := strings.Join(all[:len(all)-1], "")
	for name, first := range map[string]func(int, http.ResponseWriter, *http.Request){
		"a cut":            events(finished, errCut),
		"a cut inside":     events(finished, "data: [DO", errCut),
		"a reset":          reset(finished),
		"a stall":          events(finished, time.Hour),
		"a cut after DONE": events(finished, data("[DONE]"), errCut),
		"an early cut":     events(strings.TrimSuffix(finished, "\n\n"), errCut),
		"a late cut":       events(strings.TrimSuffix(finished, "\n"), errCut),
	} {
		up, second := newFake(t, first), newFake(t, status(500))
		o := rescueOptions(up.URL, second.URL)
		o.Upstreams[0].Timeouts.StreamIdle = 50 * time.Millisecond
		p := newPool(t, o)
		if _, body, _ := p.call(t, asking(question)); body != counting.stream() || len(second.seen()) > 0 {
			t.Errorf("%s: %q, %d calls of another", name, body, len(second.seen()))
		}
		if rate := p.Status()[0].ErrorRate; rate != 1 {
			t.Errorf("%s: error rate %v", name, rate)
		}
	}
}

func TestRescue_breaks_and_is_rescued_again(t *testing.T) {
	for _, prefill := range []bool{false, true} {
		ups := make([]*fake, 4)
		urls := make([]string, 4)
		for i := range ups {
			part := counting
			part.name = fmt.Sprint("part", i)
			ups[i] = newFake(t, func(n int, w http.ResponseWriter, r *http.Request) {
				told := ""
				if prefill {
					told = lastMessage(ups[i].seen()[n-1].body)
				}
				all := part.events(told)
				if i < 3 && prefill {
					all = all[:3]
				} else if i < 3 {
					all = all[:3+i]
				}
				events(strings.Join(all, ""))(n, w, r)
			})
			urls[i] = ups[i].URL
		}
		o := rescueOptions(urls...)
		for i := range o.Upstreams {
			o.Upstreams[i].Prefill = prefill
		}
		p := newPool(t, o)
		_, body, answer := p.call(t, asking(question))
		if got := readReply(t, body); got.text != whole(counting) || answer.Attempts != 4 {
			t.Errorf("prefill %v: %q after %d attempts", prefill, got.text, answer.Attempts)
		}
	}
}

func TestRescue_makes_no_more_attempts_than_may_be_repeated(t *testing.T) {
	up := newFake(t, events(begun(4)))
	for attempts := range 4 {
		o := rescueOptions(up.URL, up.URL, up.URL, up.URL, up.URL)
		o.Retry.Attempts = attempts
		p := newPool(t, o)
		before := len(up.seen())
		answer, err := p.Do(t.Context(), asking(question))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Finish(Cut)
		if calls := len(up.seen()) - before; calls != 1+attempts || answer.Attempts != calls || string(body) != begun(4) {
			t.Errorf("%d calls, %d attempts, %v, %q", calls, answer.Attempts, err, body)
		}
		if attempts > 0 && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("ended with %v", err)
		}
	}
}

func TestRescue_ends_when_the_client_leaves(t *testing.T) {
	hold := data(role)
	for name, second := range map[string]func(int, http.ResponseWriter, *http.Request){
		"before the other's head": hang,
		"while it catches up":     events(hold, time.Hour),
		"after it did":            events(counting.events("")[0], counting.events("")[1], counting.events("")[2], time.Hour),
	} {
		bubble.Test(t, func(t *testing.T) {
			o := rescueOptions("http://a", "http://b", "http://c")
			p := newPool(t, o)
			ups := inMemory(t, p, events(begun(2), time.Second, errCut), second, status(200))
			ctx, leave := context.WithCancel(t.Context())
			answer, err := p.Do(ctx, asking(question))
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(5*time.Second, leave)
			start := time.Now()
			_, err = io.ReadAll(answer.Body)
			if !errors.Is(err, context.Canceled) || time.Since(start) != 5*time.Second {
				t.Errorf("%s: %v after %v", name, err, time.Since(start))
			}
			answer.Finish(ClientGone)
			for _, s := range p.Status() {
				if s.InFlight != 0 {
					t.Errorf("%s: %s has %d in flight", name, s.Upstream, s.InFlight)
				}
			}
			if len(ups[1].seen()) != 1 || len(ups[2].seen()) != 0 {
				t.Errorf("%s: %d and %d calls", name, len(ups[1].seen()), len(ups[2].seen()))
			}
		})
	}
}

func TestRescue_ends_when_its_answer_is_finished_elsewhere(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, rescueOptions("http://a", "http://b"))
		inMemory(t, p, events(begun(2), errCut), hang)
		answer, err := p.Do(t.Context(), asking(question))
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, func() { answer.Finish(ClientGone) })
		if body, err := io.ReadAll(answer.Body); err == nil || string(body) != begun(2) {
			t.Errorf("read %q, %v", body, err)
		}
	})
}

func TestRescue_does_not_go_on_when_the_time_is_up(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		o := rescueOptions("http://a", "http://b")
		o.Upstreams[0].Timeouts.Total = 10 * time.Second
		p := newPool(t, o)
		ups := inMemory(t, p, events(begun(2), time.Hour), counting.whole)
		answer, err := p.Do(t.Context(), asking(question))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(answer.Body); !errors.Is(err, ErrTotal) || len(ups[1].seen()) != 0 {
			t.Errorf("ended with %v, %d calls", err, len(ups[1].seen()))
		}
		answer.Finish(Cut)
	})
}

func TestRescue_passes_events_and_keepalives_on_at_once(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, rescueOptions("http://a", "http://b"))
		all := counting.events("")
		inMemory(t, p,
			events(all[0], all[1], time.Second, all[2], all[3][:9], time.Second, all[3][9:], time.Second, ": ping\n", time.Second, errCut),
			events(all[0], all[1], time.Second, ": ping\n\n", time.Second, strings.Join(all[2:], "")))
		answer, err := p.Do(t.Context(), asking(question))
		if err != nil {
			t.Fatal(err)
		}
		start, buf := time.Now(), make([]byte, 1<<16)
		for _, want := range []struct {
			after time.Duration
			text  string
		}{{0, all[0] + all[1]}, {time.Second, all[2]}, {2 * time.Second, all[3]}, {3 * time.Second, ": ping\n"}, {5 * time.Second, ": ping\n\n"}, {6 * time.Second, all[4]}} {
			got := ""
			for len(got) < len(want.text) {
				n, err := answer.Body.Read(buf)
				if got += string(buf[:n]); err != nil {
					t.Fatal(err)
				}
			}
			if !strings.HasPrefix(got, want.text) || time.Since(start) != want.after {
				t.Errorf("%q after %v, want %q", got, time.Since(start), want.text)
			}
		}
		answer.Finish(ClientGone)
	})
}

func TestRescue_is_not_for_every_call(t *testing.T) {
	aside := asking(question)
	aside.Background = true
	other := asking(question)
	other.Target = "/completions"
	upload := asking("")
	upload.Stream, upload.Length = strings.NewReader(question), int64(len(question))
	encoded := func(n int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		events(begun(4))(n, w, r)
	}
	announced := func(n int, w http.ResponseWriter, r *http.Request) { // the rest of another would break the framing
		w.Header().Set("Content-Length", strconv.Itoa(len(begun(4))))
		events(begun(4))(n, w, r)
	}
	for name, c := range map[string]struct {
		request *Request
		first   func(int, http.ResponseWriter, *http.Request)
		change  func(o *Options)
	}{
		"off":            {asking(question), events(begun(4)), func(o *Options) { o.Resume = false }},
		"no retries":     {asking(question), events(begun(4)), func(o *Options) { o.Retry.Attempts = 0 }},
		"one candidate":  {asking(question), events(begun(4)), func(o *Options) { o.Routes = nil }},
		"background":     {aside, events(begun(4)), func(*Options) {}},
		"another target": {other, events(begun(4)), func(*Options) {}},
		"an upload":      {upload, events(begun(4)), func(*Options) {}},
		"encoded":        {asking(question), encoded, func(*Options) {}},
		"a known length": {asking(question), announced, func(*Options) {}},
	} {
		up, second := newFake(t, c.first), newFake(t, counting.whole)
		o := rescueOptions(up.URL, second.URL)
		c.change(&o)
		p := newPool(t, o)
		if _, body, answer := p.call(t, c.request); body != begun(4) || answer.rescue != nil || len(second.seen()) != 0 {
			t.Errorf("%s: %q, %d calls", name, body, len(second.seen()))
		}
	}
}

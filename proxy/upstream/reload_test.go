package upstream

import (
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"mnemo/internal/bubble"
)

func (p *Pool) mustReload(t *testing.T, o Options) *Pool {
	t.Helper()
	next, err := p.Reload(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(next.Close)
	return next
}

func TestReload_takes_over_what_stays(t *testing.T) {
	up := newFake(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Bad") != "" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	o := Options{
		Upstreams: []Upstream{{Name: "a", URL: up.URL, Headers: map[string]string{"X-Team": "red"}, Keys: []Key{{Label: "x", Value: "X"}, {Label: "y", Value: "Y"}}}},
		Breaker:   Breaker{Consecutive: 2},
	}
	p := newPool(t, o)
	bad := chat("bad")
	bad.Header.Set("X-Bad", "1")
	p.call(t, bad)
	p.call(t, bad)
	p.call(t, chat("good"))
	ring := p.upstreams[0].keys
	ring.cool(ring.keys[0], time.Hour, time.Now())
	before := p.Status()[0]

	o.Upstreams = []Upstream{{Name: "b", URL: up.URL}, {Name: "a", URL: up.URL, Headers: map[string]string{"X-Team": "red"}, Keys: []Key{{Label: "x", Value: "X"}, {Label: "z", Value: "Z"}}}}
	o.Routes = []Route{{Model: "*", To: []Candidate{{"a", ""}}}}
	next := p.mustReload(t, o)
	after := next.Status()[1]
	if next.upstreams[1] != p.upstreams[0] {
		t.Error("an upstream with the same settings began anew")
	}
	if after.FirstByteP50 != before.FirstByteP50 || len(after.Breakers) != 3 || after.Breakers[1].State != "open" {
		t.Errorf("status = %+v", after)
	}
	if k := after.Keys; len(k) != 2 || k[0].State != KeyCooling || k[1].Label != "z" || k[1].State != KeyOK {
		t.Errorf("keys = %+v", k)
	}
	if e := next.mustFail(t, chat("bad")); e.Code != CodeUnavailable {
		t.Errorf("error %+v", e)
	}
	if _, _, answer := next.call(t, chat("good")); answer.Key != "z" || answer.Upstream != "a" {
		t.Errorf("answer of %s with key %s", answer.Upstream, answer.Key)
	}
}

// leaves calls f with every settable value below v that holds no others.
func leaves(path string, v reflect.Value, f func(path string, v reflect.Value)) {
	if v.Kind() != reflect.Struct || v.Type() == reflect.TypeFor[time.Time]() {
		f(path, v)
		return
	}
	for i := range v.NumField() {
		leaves(path+"."+v.Type().Field(i).Name, v.Field(i), f)
	}
}

// other is a value of a type that is not its zero value.
func other(t *testing.T, of reflect.Type) reflect.Value {
	v := reflect.New(of).Elem()
	if of == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Unix(7, 0)))
		return v
	}
	switch of.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Float64:
		v.SetFloat(7)
	case reflect.String:
		v.SetString("other")
	case reflect.Uint8:
		v.SetUint(7)
	case reflect.Map:
		v.Set(reflect.MakeMap(of))
		v.SetMapIndex(other(t, of.Key()), other(t, of.Elem()))
	case reflect.Slice:
		v.Set(reflect.Append(v, other(t, of.Elem())))
	case reflect.Pointer:
		v.Set(reflect.New(of.Elem()))
	case reflect.Func:
		v.Set(reflect.MakeFunc(of, func([]reflect.Value) []reflect.Value {
			return []reflect.Value{other(t, of.Out(0)), reflect.Zero(of.Out(1))}
		}))
	case reflect.Struct:
		leaves("", v, func(_ string, field reflect.Value) { field.Set(other(t, field.Type())) })
	default:
		t.Fatalf("there is no other value of a %s yet", of)
	}
	return v
}

func TestReload_begins_anew_with_any_other_setting_of_an_upstream(t *testing.T) {
	plain := func() Options { return Options{Upstreams: one("http://a")} }
	p := newPool(t, plain())
	same := func(o *Options) bool { return o.settings(0).among(p.upstreams, len(o.Upstreams[0].Keys) > 0) != nil }
	if o := plain(); !same(&o) {
		t.Fatal("the same settings are taken for others")
	}
	var paths []string
	leaves("", reflect.ValueOf(&plain().Upstreams[0]).Elem(), func(path string, _ reflect.Value) { paths = append(paths, path) })
	for _, changed := range paths {
		o := plain()
		leaves("", reflect.ValueOf(&o.Upstreams[0]).Elem(), func(path string, v reflect.Value) {
			if path == changed {
				v.Set(other(t, v.Type()))
			}
		})
		if same(&o) {
			t.Errorf("another %s is overlooked", changed)
		}
	}
	for name, change := range map[string]func(*Options){
		"breaker": func(o *Options) { o.Breaker.Consecutive = 1 },
		"open":    func(o *Options) { o.OpenMax = time.Hour },
		"ratio":   func(o *Options) { o.Retry.Ratio = 0.1 },
	} {
		o := plain()
		if change(&o); same(&o) {
			t.Errorf("another %s is overlooked", name)
		}
	}
}

func TestReload_takes_the_headers_that_it_was_given(t *testing.T) {
	headers := map[string]string{"X-Team": "red"}
	o := Options{Upstreams: []Upstream{{Name: "a", URL: "http://a", Headers: headers}}}
	p := newPool(t, o)
	headers["X-Team"] = "blue"
	if next := p.mustReload(t, o); next.upstreams[0] == p.upstreams[0] {
		t.Error("a map that was changed is taken for the same")
	}
}

func TestReload_changes_nothing_if_there_is_a_mistake(t *testing.T) {
	up := newFake(t, status(200))
	o := Options{Upstreams: []Upstream{{Name: "a", URL: up.URL, Keys: []Key{{Label: "x", Value: "X"}}}}}
	p := newPool(t, o)
	keys := []Key{{Label: "y", Value: "s3cret"}}
	for want, bad := range map[string]Options{
		"at least one":    {},
		"used twice":      {Upstreams: []Upstream{{Name: "a", URL: up.URL, Keys: append(keys, keys...)}}},
		"must begin with": {Upstreams: []Upstream{{Name: "a", URL: up.URL, Keys: keys}, {Name: "b", URL: "b"}}},
		"no upstream":     {Upstreams: []Upstream{{Name: "a", URL: up.URL, Keys: keys}}, Routes: []Route{{Model: "*", To: []Candidate{{"c", ""}}}}},
	} {
		next, err := p.Reload(bad)
		if next != nil || err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", want, err)
		}
		if _, _, answer := p.call(t, chat("m")); answer.Key != "x" || p.upstreams[0].retired.Load() {
			t.Errorf("%s: changed nevertheless", want)
		}
	}
}

func TestReload_lets_a_key_rest_at_an_upstream_that_begins_anew(t *testing.T) {
	now := time.Now()
	keys := []Key{{Label: "x", Value: "X"}, {Label: "y", Value: "Y"}, {Label: "z", Value: "Z"}, {Label: "w", Value: "W"}}
	o := Options{Upstreams: []Upstream{{Name: "a", URL: "http://a", Keys: keys}}}
	p := newPool(t, o)
	ring := p.upstreams[0].keys
	for _, k := range ring.keys[:3] {
		ring.cool(k, 3*time.Hour, now)
	}
	ring.refuse(ring.keys[3], 401, "m", true, now)
	o.Upstreams = []Upstream{{Name: "a", URL: "http://b", Keys: []Key{keys[0], {Label: "y", Value: "new"}, {Label: "other", Value: "Z"}, keys[3]}}}
	next := p.mustReload(t, o)
	if next.upstreams[0] == p.upstreams[0] || !p.upstreams[0].retired.Load() {
		t.Error("another URL is the same upstream")
	}
	var states []string
	for _, k := range next.Status()[0].Keys {
		states = append(states, k.State)
	}
	if got := strings.Join(states, " "); got != "cooling ok ok ok" {
		t.Errorf("keys are %s; only one stayed and rests", got)
	}
}

func TestReload_never_mixes_keys_of_the_pool_with_those_of_clients(t *testing.T) {
	up := newFake(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 1 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	pooled := Options{Upstreams: []Upstream{{Name: "a", URL: up.URL, Keys: []Key{{Label: "x", Value: "X"}}}}}
	p := newPool(t, pooled)
	next := p.mustReload(t, Options{Upstreams: []Upstream{{Name: "a", URL: up.URL}}})
	p.call(t, chat("m"))
	next.call(t, chat("m"))
	p.call(t, chat("m"))
	for i, want := range []string{"Bearer X", "Bearer client", "Bearer X"} {
		if got := up.seen()[i].header.Get("Authorization"); got != want {
			t.Errorf("call %d went up with %s", i, got)
		}
	}
	if err := next.SetKeys("a", pooled.Upstreams[0].Keys); err != nil {
		t.Fatal(err)
	}
	if again := next.mustReload(t, Options{Upstreams: []Upstream{{Name: "a", URL: up.URL}}}); again.upstreams[0] == next.upstreams[0] {
		t.Error("an upstream that got keys is the same without them")
	}
}

func TestReload_lets_those_who_wait_go_on(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		o := Options{Upstreams: []Upstream{{Name: "a", URL: "http://a", MaxInFlight: 1}}}
		p := newPool(t, o)
		inMemory(t, p, func(_ int, _ http.ResponseWriter, _ *http.Request) { time.Sleep(time.Second) })
		var callers sync.WaitGroup
		call := func(p *Pool) {
			callers.Go(func() {
				if code, _, _ := p.call(t, chat("m")); code != 200 {
					t.Errorf("answer %d", code)
				}
			})
		}
		call(p)
		call(p)
		time.Sleep(time.Millisecond)
		next := p.mustReload(t, o)
		call(next)
		time.Sleep(time.Millisecond)
		if s := next.Status()[0]; s.InFlight != 1 || s.Queued != 2 {
			t.Errorf("status = %+v", s)
		}
		callers.Wait()
	})
}

package manage

import (
	"net/http"
	"reflect"
	"testing"
)

func TestUpstreams_are_listed(t *testing.T) {
	want := []Upstream{{
		Name: "openai", InFlight: 3, Queued: 1, ErrorRate: 0.25, P50: 120.5, P95: 900,
		Breakers: []BreakerState{{Model: "gpt-4o", State: "open", OpenFor: 7.5, Calls: 20, ErrorRate: 0.5}},
		Keys:     []UpstreamKey{{Label: "a", State: "cooling", UnusedFor: 30, InFlight: 2, Overdue: true}},
	}, {Name: "local", Breakers: []BreakerState{}, Keys: []UpstreamKey{}}}
	r := newRig(t, func(o *Options) { o.Upstreams = func() []Upstream { return want } })
	var list UpstreamList
	r.want(http.StatusOK, http.MethodGet, "/api/upstreams", "", &list)
	if !reflect.DeepEqual(list.Upstreams, want) {
		t.Errorf("%+v", list)
	}
	newRig(t, nil).want(http.StatusOK, http.MethodGet, "/api/upstreams", "", &list)
	if len(list.Upstreams) != 0 {
		t.Errorf("%+v", list)
	}
}

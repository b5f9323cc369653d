package upstream

import "testing"

func TestPool_offers_stream_options_only_if_every_candidate_takes_them(t *testing.T) {
	p := newPool(t, Options{
		Upstreams: []Upstream{{Name: "a", URL: "http://a"}, {Name: "b", URL: "http://b", NoStreamOptions: true}},
		Routes: []Route{
			{Model: "both", To: []Candidate{{"a", ""}, {"b", ""}}},
			{Model: "only-b", To: []Candidate{{"b", ""}}},
		},
	})
	for model, want := range map[string]bool{"both": false, "only-b": false, "other": true} {
		if got := p.StreamOptions(model); got != want {
			t.Errorf("model %s: %v, want %v", model, got, want)
		}
	}
}

func TestPool_replays_reasoning_only_if_every_candidate_takes_it(t *testing.T) {
	p := newPool(t, Options{
		Upstreams: []Upstream{{Name: "a", URL: "http://a", ReplayReasoning: true}, {Name: "b", URL: "http://b"}},
		Routes: []Route{
			{Model: "both", To: []Candidate{{"a", ""}, {"b", ""}}},
			{Model: "cheaper", To: []Candidate{{"a", ""}}, Degrade: []Candidate{{"b", ""}}},
			{Model: "only-b", To: []Candidate{{"b", ""}}},
		},
	})
	for model, want := range map[string]bool{"both": false, "cheaper": false, "only-b": false, "other": true} {
		if got := p.ReplayReasoning(model); got != want {
			t.Errorf("model %s: %v, want %v", model, got, want)
		}
	}
}

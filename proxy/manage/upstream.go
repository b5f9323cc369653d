package manage

import "net/http"

// An Upstream is the state of a model API behind mnemo.
type Upstream struct {
	Name      string         `json:"name"`
	InFlight  int            `json:"in_flight"`         // calls that it is answering
	Queued    int            `json:"queued"`            // calls that wait for a place
	ErrorRate float64        `json:"error_rate"`        // of the calls in the breakers' windows
	P50       float64        `json:"first_byte_p50_ms"` // of the last good answers
	P95       float64        `json:"first_byte_p95_ms"`
	Breakers  []BreakerState `json:"breakers"` // by model
	Keys      []UpstreamKey  `json:"keys"`     // of the pool; none: the clients' own keys go up
}

// A BreakerState is that of an upstream's breaker for a model.
type BreakerState struct {
	Model     string  `json:"model"`      // "" for calls without one, * for the many
	State     string  `json:"state"`      // closed, half-open or open
	OpenFor   float64 `json:"open_for_s"` // until it is probed
	Calls     int     `json:"calls"`      // in the window
	ErrorRate float64 `json:"error_rate"`
}

// An UpstreamKey is the state of a key, which is never shown itself.
type UpstreamKey struct {
	Label     string  `json:"label"`
	State     string  `json:"state"`        // ok, cooling or out
	UnusedFor float64 `json:"unused_for_s"` // until it is used again
	InFlight  int     `json:"in_flight"`
	Overdue   bool    `json:"overdue"` // it is due to be replaced
}

// An UpstreamList is all upstreams.
type UpstreamList struct {
	Upstreams []Upstream `json:"upstreams"` // in the order of the configuration
}

// Private

func (a *api) upstreams(r *request) error {
	list := UpstreamList{Upstreams: []Upstream{}}
	if a.Upstreams != nil {
		list.Upstreams = append(list.Upstreams, a.Upstreams()...)
	}
	return r.answer(http.StatusOK, list)
}

package proxy

import (
	"time"

	"mnemo/proxy/manage"
)

// Private

// listUpstreams is what the management API shows.
func (s *Server) listUpstreams() []manage.Upstream {
	var list []manage.Upstream
	for _, status := range s.now().Pool.Status() {
		u := manage.Upstream{
			Name: status.Upstream, InFlight: status.InFlight, Queued: status.Queued, ErrorRate: status.ErrorRate,
			P50: inMilliseconds(status.FirstByteP50), P95: inMilliseconds(status.FirstByteP95),
			Breakers: []manage.BreakerState{}, Keys: []manage.UpstreamKey{},
		}
		for _, b := range status.Breakers {
			if b.Model == "*" && b.Calls == 0 {
				continue // it is always there
			}
			u.Breakers = append(u.Breakers, manage.BreakerState{
				Model: b.Model, State: b.State, OpenFor: b.Wait.Round(time.Millisecond).Seconds(), Calls: b.Calls, ErrorRate: b.ErrorRate,
			})
		}
		for _, k := range status.Keys {
			u.Keys = append(u.Keys, manage.UpstreamKey{
				Label: k.Label, State: k.State, UnusedFor: k.Cooldown.Round(time.Millisecond).Seconds(), InFlight: k.InFlight, Overdue: k.Overdue,
			})
		}
		list = append(list, u)
	}
	return list
}

func inMilliseconds(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond)
}

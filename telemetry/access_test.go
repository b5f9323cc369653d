package telemetry

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestAccess_writes_one_line_per_request(t *testing.T) {
	tel, written := start(t, Options{LogFormat: LogJSON})
	tel.Access(t.Context(), served())
	var got map[string]any
	if err := json.Unmarshal([]byte(written()), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "time")
	want := map[string]any{
		"level": "INFO", "msg": "request", "method": "POST", "route": "/v1/chat/completions", "status": 200.0,
		"duration_us": 2e6, "bytes_in": 512.0, "bytes_out": 4096.0, "request_id": "req-1", "model": "gpt-4o",
		"upstream": "openai", "key": "a", "attempts": 2.0, "input_tokens": 1000.0, "output_tokens": 200.0,
		"cached_tokens": 900.0, "usage": "measured", "memory": "ok", "memory_turns": 7.0, "memory_tokens": 900.0,
		"memory_dropped": 3.0, "session": sessionHash("customer-4711"),
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestAccess_leaves_out_what_does_not_apply(t *testing.T) {
	tel, written := start(t, Options{LogFormat: LogJSON})
	tel.Access(t.Context(), &Request{Method: http.MethodGet, Route: "/healthz", Status: 200})
	var got map[string]any
	if err := json.Unmarshal([]byte(written()), &got); err != nil {
		t.Fatal(err)
	}
	keys := slices.Sorted(maps.Keys(got))
	want := []string{"bytes_in", "bytes_out", "duration_us", "level", "method", "msg", "route", "status", "time"}
	if !slices.Equal(keys, want) {
		t.Errorf("got %v", keys)
	}
}

func TestAccess_bounds_what_a_client_chose(t *testing.T) {
	tel, written := start(t, Options{})
	r := served()
	r.Method = strings.Repeat("BREW", 1000)
	r.RequestID = strings.Repeat("r", 100_000)
	r.Model = "two\nlines" + strings.Repeat("m", 100_000)
	r.Session = strings.Repeat("s", 256)
	tel.Access(t.Context(), r)
	got := written()
	if len(got) > 1000 || strings.Count(got, "\n") != 1 || !strings.Contains(got, "method=_OTHER") {
		t.Errorf("%d bytes: %.300s", len(got), got)
	}
}

func TestAccess_counts_by_route_and_class(t *testing.T) {
	tel, _ := start(t, Options{})
	for _, status := range []int{200, 201, 404, StatusClientLeft, 503, 101, 302, 0, 999} {
		tel.Access(t.Context(), &Request{Route: "/v1/*", Status: status})
	}
	families := scrape(t, tel)
	for class, want := range map[string]float64{
		"1xx": 1, "2xx": 2, "3xx": 1, "4xx": 1, "499": 1, "5xx": 1, other: 2,
	} {
		m := one(t, families, "mnemo_http_requests_total", "http_route", "/v1/*", "mnemo_http_status_class", class)
		if got := m.GetCounter().GetValue(); got != want {
			t.Errorf("%s: %v", class, got)
		}
	}
}

func TestAccess_stays_bounded_when_a_route_is_not(t *testing.T) {
	tel, _ := start(t, Options{})
	for i := range 10_000 {
		tel.Access(t.Context(), &Request{Route: fmt.Sprint("/", i), Status: 200})
	}
	if got := len(scrape(t, tel)["mnemo_http_requests_total"].GetMetric()); got != maxSeries+1 {
		t.Errorf("%d series", got)
	}
}

func TestInFlight_counts_what_is_being_served(t *testing.T) {
	tel, _ := start(t, Options{})
	tel.InFlight(1)
	tel.InFlight(1)
	tel.InFlight(-1)
	if got := one(t, scrape(t, tel), "mnemo_http_requests_in_flight").GetGauge().GetValue(); got != 1 {
		t.Errorf("%v in flight", got)
	}
}

func TestTelemetry_names_no_session_but_in_spans(t *testing.T) {
	const session = "alice@example.org"
	tel, written := start(t, Options{})
	recordSpans(t, tel)
	call, request := answered(), served()
	call.Session, request.Session = session, session
	ctx, span := tel.StartCall(t.Context(), call.RequestModel, Origin{})
	tel.EndChat(span, call)
	tel.Access(ctx, request)
	metrics, lines := scrapeText(t, tel), written()
	if strings.Contains(metrics, session) || strings.Contains(metrics, sessionHash(session)) {
		t.Error("a metric names the session")
	}
	if strings.Contains(lines, session) || !strings.Contains(lines, "session="+sessionHash(session)) {
		t.Errorf("got %s", lines)
	}
}

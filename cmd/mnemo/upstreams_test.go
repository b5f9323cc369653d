package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"mnemo/proxy/manage"
)

func TestUpstreams_are_a_line_for_each_model_and_each_key(t *testing.T) {
	var out strings.Builder
	err := writeUpstreams(&out, []manage.Upstream{
		{Name: "openai", InFlight: 3, Queued: 1, P50: 120.4, P95: 900,
			Breakers: []manage.BreakerState{{Model: "gpt-4o", State: "open", OpenFor: 7.9, Calls: 20, ErrorRate: 0.5}, {State: "closed"}},
			Keys:     []manage.UpstreamKey{{Label: "a", State: "cooling", UnusedFor: 90, InFlight: 2}, {Label: "b", State: "ok", Overdue: true}}},
		{Name: "lo\x1bcal"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"UPSTREAM MODEL BREAKER CALLS ERRORS FIRST BYTE p50 / p95 IN FLIGHT QUEUED",
		"openai gpt-4o open for 7s 20 50 % 120 ms / 900 ms 3 1",
		"openai - closed 0 0 % 120 ms / 900 ms 3 1",
		printable("lo\x1bcal") + " - closed 0 - 0 ms / 0 ms 0 0",
		"",
		"UPSTREAM KEY STATE IN FLIGHT",
		"openai a cooling for 1m30s 2",
		"openai b ok, to be replaced 0",
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	if !slices.Equal(got, want) {
		t.Errorf("it says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("a name reaches the terminal with its escape")
	}
}

func TestUpstreams_of_a_running_server_are_shown_without_their_keys(t *testing.T) {
	up := newFakeModel(t)
	m := serve(t, setup{environ: []string{"MNEMO_UPSTREAM_KEYS=sk-pool-5ecret"}, args: []string{"--upstream", up.url, "--auth", "none"}})
	m.says(t, turn{session: "s", text: "My name is Ada."}, heard("My name is Ada."))
	for _, flags := range [][]string{nil, {"--json"}} {
		var out, failed strings.Builder
		code := run(t.Context(), append([]string{"upstreams", "--server", m.url}, flags...), nil, strings.NewReader(""), &out, &failed)
		if code != exitOK || !strings.Contains(out.String(), "key-1") || !strings.Contains(out.String(), "closed") || strings.Contains(out.String(), "5ecret") {
			t.Errorf("%v: exit %d\n%s%s", flags, code, out.String(), failed.String())
		}
	}
	m.page(t, "/api/upstreams", http.StatusOK)
}

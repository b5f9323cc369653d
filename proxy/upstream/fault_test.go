package upstream

import "testing"

func TestFault_is_the_code_else_the_type(t *testing.T) {
	for body, want := range map[string]struct {
		fault         fault
		unpaid, final bool
	}{
		`{"error":{"type":"insufficient_quota","code":"insufficient_quota"}}`:         {"insufficient_quota", true, false},
		`{"error":{"type":"insufficient_quota","code":429}}`:                          {"insufficient_quota", true, false},
		`{"error":{"type":"tokens","code":"rate_limit_exceeded"}}`:                    {"rate_limit_exceeded", false, false},
		`{"error":{"type":"invalid_request_error","code":"context_length_exceeded"}}`: {"context_length_exceeded", false, true},
		`{"error":{"type":"invalid_request_error","code":null}}`:                      {"invalid_request_error", false, true},
		`{"error":{"code":"content_filter"}}`:                                         {"content_filter", false, true},
		`{"error":"overloaded"}`:                                                      {"", false, false},
		`{"error":null}`:                                                              {"", false, false},
		`<html>`:                                                                      {"", false, false},
		``:                                                                            {"", false, false},
	} {
		if got := faultOf([]byte(body)); got != want.fault || got.unpaid() != want.unpaid || got.final() != want.final {
			t.Errorf("%s: %q, unpaid %v, final %v", body, got, got.unpaid(), got.final())
		}
	}
}

package budget

import (
	"testing"
	"time"
)

// The value is openssl's: printf '1700000000.{"id":"1"}' | openssl dgst -sha256 -hmac key
func TestSign_is_the_HMAC_of_time_and_body(t *testing.T) {
	want := "t=1700000000,v1=9e040cb90cefc5a04ab9a9848a74e2ff0489b4d8837b38d54555cb67e4f8e76e"
	if got := Sign([]byte("key"), time.Unix(1_700_000_000, 999), []byte(`{"id":"1"}`)); got != want {
		t.Errorf("%s", got)
	}
}

func TestWorthRetrying_is_what_may_pass(t *testing.T) {
	for status, want := range map[int]bool{
		300: false, 307: false, 400: false, 401: false, 404: false, 410: false, 413: false,
		408: true, 425: true, 429: true, 500: true, 502: true, 503: true, 599: true,
	} {
		if worthRetrying(status) != want {
			t.Errorf("%d: %v", status, !want)
		}
	}
}

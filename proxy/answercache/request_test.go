package answercache

import "testing"

func TestCacheable(t *testing.T) {
	for _, c := range []struct {
		body         string
		plain, asked bool
	}{
		{`{"temperature":0}`, true, true},
		{`{"temperature":0.0}`, true, true},
		{`{"temperature":-0}`, true, true},
		{`{"temperature":0.000e7}`, true, true},
		{`{"temperature":0E+2}`, true, true},
		{`{"temperature":1e-999}`, false, true},
		{`{"temperature":0.01}`, false, true},
		{`{"temperature":1}`, false, true},
		{`{"temperature":null}`, false, true},
		{`{"temperature":"0"}`, false, true},
		{`{"temperature":false}`, false, true},
		{`{}`, false, true},
		{`{"temperature":0,"n":3,"stream":true,"store":false,"seed":1}`, true, true},
		{`{"temperature":0,"store":null,"audio":null,"modalities":["text"],"web_search_options":null}`, true, true},
		{`{"temperature":0,"store":true}`, false, false},
		{`{"temperature":0,"audio":{"voice":"alloy","format":"wav"}}`, false, false},
		{`{"modalities":["text","audio"],"temperature":0}`, false, false},
		{`{"temperature":0,"web_search_options":{}}`, false, true},
	} {
		if got := Cacheable(c.body, false); got != c.plain {
			t.Errorf("%s: %t, want %t", c.body, got, c.plain)
		}
		if got := Cacheable(c.body, true); got != c.asked {
			t.Errorf("%s, asked for: %t, want %t", c.body, got, c.asked)
		}
	}
}

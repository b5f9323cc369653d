package upstream

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
)

func logTo(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

func TestKey_never_prints_its_value(t *testing.T) {
	o := Options{Upstreams: []Upstream{{Name: "a", URL: "http://a", Keys: []Key{{Label: "label", Value: "s3cret", Weight: 1}}}}}
	asJSON, err := json.Marshal(o.Upstreams)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	logTo(&log).Info("x", "key", o.Upstreams[0].Keys[0], "all", o.Upstreams)
	for _, s := range []string{fmt.Sprint(o), fmt.Sprintf("%+v", o), fmt.Sprintf("%#v", o), fmt.Sprintf("%x", o.Upstreams[0].Keys), string(asJSON), log.String()} {
		if strings.Contains(s, "s3cret") || strings.Contains(s, fmt.Sprintf("%x", "s3cret")) || !strings.Contains(s, "label") {
			t.Errorf("printed as %s", s)
		}
	}
}

func TestNew_reports_every_mistake_and_no_secret(t *testing.T) {
	for want, o := range map[string]Options{
		"at least one":          {},
		"used twice":            {Upstreams: []Upstream{{Name: "a", URL: "http://a"}, {Name: "a", URL: "http://a"}}},
		"empty":                 {Upstreams: []Upstream{{URL: "http://a"}}},
		`label "x"`:             {Upstreams: []Upstream{{Name: "a", URL: "http://a", Keys: []Key{{Label: "x", Value: "1", Weight: 1}, {Label: "x", Value: "2", Weight: 1}}}}},
		"cannot stand":          {Upstreams: []Upstream{{Name: "a", URL: "http://a", Keys: []Key{{Label: "x", Value: "s3cret\n", Weight: 1}}}}},
		"negative":              {Upstreams: []Upstream{{Name: "a", URL: "http://a", Keys: []Key{{Label: "x", Value: "s3cret", Weight: -1}}}}},
		"cannot be sent":        {Upstreams: []Upstream{{Name: "a", URL: "http://a", Headers: map[string]string{"a b": "s3cret"}}}},
		"must begin with":       {Upstreams: []Upstream{{Name: "a", URL: "a.example/v1"}}},
		"must not hold a user":  {Upstreams: []Upstream{{Name: "a", URL: "http://u:s3cret@a"}}},
		"must not hold a query": {Upstreams: []Upstream{{Name: "a", URL: "http://a?key=s3cret"}}},
		"cannot be read":        {Upstreams: []Upstream{{Name: "a", URL: "http://s3cret\x7f"}}},
		`no upstream "b"`:       {Upstreams: one("http://a"), Routes: []Route{{Model: "*", To: []Candidate{{"b", ""}}}}},
		"no key policy":         {Upstreams: []Upstream{{Name: "a", URL: "http://a", KeyPolicy: "best"}}},
		"a candidate":           {Upstreams: one("http://a"), Routes: []Route{{Model: "*"}}},
	} {
		_, err := New(o)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("error = %v, want one with %q", err, want)
		}
	}
}

func TestTimeouts_default_to_what_hits_nobody_and_can_be_switched_off(t *testing.T) {
	got := Timeouts{Headers: -1, Total: 7}.withDefaults()
	want := Timeouts{Connect: DefaultConnect, Headers: 0, StreamIdle: DefaultStreamIdle, Total: 7}
	if got != want {
		t.Errorf("timeouts = %+v, want %+v", got, want)
	}
}

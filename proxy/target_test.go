package proxy

import "testing"

func TestParseTarget_keeps_the_bytes_behind_v1(t *testing.T) {
	for uri, want := range map[string]target{
		"/v1/models":                        {rest: "/models"},
		"/v1/":                              {rest: "/"},
		"/v1/models?":                       {rest: "/models?"},
		"/v1/a%2Fb%20c+d;e//f/../g/?x=1;y&": {rest: "/a%2Fb%20c+d;e//f/../g/?x=1;y&"},
		"http://host:80/v1/models?x":        {rest: "/models?x"},
		"/s/abc/v1/chat/completions":        {rest: "/chat/completions", session: "abc", inPath: true},
		"/s/a%2Fb+c%zz/v1/chat/completions": {rest: "/chat/completions", session: "a/b+c%zz", inPath: true},
		"/s//v1/models":                     {rest: "/models", session: "", inPath: true},
		"/s/%20/v1/models":                  {rest: "/models", session: " ", inPath: true},
		"/v1//chat/completions":             {rest: "//chat/completions"},
	} {
		got, ok := parseTarget(uri)
		if !ok || got != want {
			t.Errorf("parseTarget(%q) = %+v, %v; want %+v", uri, got, ok, want)
		}
	}
}

func TestParseTarget_leaves_everything_else_to_the_router(t *testing.T) {
	for _, uri := range []string{"/", "/v1", "/v2/models", "/healthz", "/s/abc", "/s/abc/v2/x", "/s/abc/v1", "*", "", "/V1/models", "http://host", "/s/" + string(make([]byte, 800)) + "/v1/x"} {
		if got, ok := parseTarget(uri); ok {
			t.Errorf("parseTarget(%q) = %+v, want none", uri, got)
		}
	}
}

func TestTarget_path_has_no_query(t *testing.T) {
	for rest, want := range map[string]string{
		"/chat/completions":              "/chat/completions",
		"/chat/completions?api-version=": "/chat/completions",
		"/x?":                            "/x",
	} {
		if got := (&target{rest: rest}).path(); got != want {
			t.Errorf("path of %q = %q, want %q", rest, got, want)
		}
	}
}

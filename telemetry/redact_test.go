package telemetry

import (
	"regexp"
	"strings"
	"testing"
)

// The credentials are put together here, so that nobody who looks for leaked ones
// finds any.
func TestRedact_takes_out_what_looks_like_a_secret(t *testing.T) {
	const letters = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0"
	for name, secret := range map[string]string{
		"OpenAI":            "sk-" + "proj-" + letters,
		"Anthropic":         "sk-" + "ant-api03-" + letters + "-AA",
		"Stripe":            "sk_" + "live_" + letters,
		"xAI":               "xai-" + letters,
		"Groq":              "gsk_" + letters,
		"Hugging Face":      "hf_" + letters,
		"Google":            "AIza" + letters[:35],
		"AWS":               "AKIA" + "IOSFODNN7EXAMPLE",
		"GitHub":            "ghp_" + letters,
		"GitHub, new":       "github_pat_" + letters,
		"GitLab":            "glpat-" + letters[:20],
		"Slack":             "xoxb-" + "123456789012-" + letters,
		"JWT":               "eyJ" + letters + ".eyJ" + letters + "." + letters,
		"bearer":            "Bearer " + letters[:12],
		"basic":             "Basic " + "dXNlcjpwYXNzd29yZDE=",
		"password of a URL": "://user:hunter2@",
		"private key":       "-----BEGIN RSA PRIVATE KEY-----\nMIIE" + letters + "\n-----END RSA PRIVATE KEY-----",
		"cut private key":   "-----BEGIN PRIVATE KEY-----\nMIIE" + letters,
		"email":             "jane.doe+x@mail.example.com",
	} {
		for _, around := range [][2]string{{"", ""}, {"key=", " "}, {`{"k":"`, `"}`}, {"(", ")"}, {"\n", "\n"}} {
			text := around[0] + secret + around[1]
			if name == "cut private key" {
				text = around[0] + secret
			}
			if got := redact(text, nil); strings.Contains(got, letters[:8]) || strings.Contains(got, "hunter2") || strings.Contains(got, "jane") ||
				strings.Contains(got, "IOSF") || strings.Contains(got, "dXNl") || !strings.Contains(got, redacted) || !strings.HasPrefix(got, around[0]) {
				t.Errorf("%s: %q became %q", name, text, got)
			}
		}
	}
}

func TestRedact_leaves_ordinary_text_alone(t *testing.T) {
	for _, text := range []string{
		"", "The quick brown fox.", "a risk-management-framework-overview", "task-oriented-dialogue-systems-2024",
		"bearer certificates are old", "Basic implementation-details", "see https://example.com/a?b=c:d", "at 5 @ the office", "a@b",
		"sk-short", "mask-sk", "x = y@z", "ASIA and AKIA", "Überlandstraße 5", "-----BEGIN CERTIFICATE-----",
	} {
		if got := redact(text, nil); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestRedact_takes_out_what_the_operator_names(t *testing.T) {
	ours := []*regexp.Regexp{regexp.MustCompile(`\bC-\d{6}\b`), regexp.MustCompile(`(?i)project\s+\w+`)}
	if got := redact("customer C-123456 of Project Orion", ours); got != "customer [redacted] of [redacted]" {
		t.Errorf("got %q", got)
	}
}

func FuzzToken_leaves_the_rest(f *testing.F) {
	f.Add("a sk-0123456789abcdefghij b sk-0123456789abcdefghij")
	f.Fuzz(func(t *testing.T, text string) {
		for _, k := range tokens {
			got := k.redact(text)
			// What is between two tokens is there still, in its order.
			at := 0
			for _, kept := range strings.Split(got, redacted) {
				i := strings.Index(text[at:], kept)
				if i < 0 && !strings.Contains(text, redacted) {
					t.Fatalf("%q became %q", text, got)
				}
				at += max(i, 0)
			}
		}
	})
}

func BenchmarkRedact(b *testing.B) {
	text := strings.Repeat("The quick brown fox jumps over the lazy dog; more text follows here: see https://example.com/x?y=1. ", 1000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		redact(text, nil)
	}
}

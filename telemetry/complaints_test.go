package telemetry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"mnemo/internal/bubble"
)

func TestComplaints_are_few(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		c := &complaints{logger: slog.New(slog.NewTextHandler(&out, nil))}
		c.Handle(nil)
		for range 1000 {
			c.Handle(errors.New("connection refused"))
		}
		if got := strings.Count(out.String(), "\n"); got != 1 || !strings.Contains(out.String(), "connection refused") {
			t.Errorf("got %s", out.String())
		}
		out.Reset()
		time.Sleep(complaintInterval) // of the bubble's clock
		c.Handle(errors.New("connection refused"))
		if !strings.Contains(out.String(), "suppressed=999") {
			t.Errorf("got %s", out.String())
		}
	})
}

func TestComplaints_pass_on_no_setting(t *testing.T) {
	var out bytes.Buffer
	c := &complaints{logger: slog.New(slog.NewTextHandler(&out, nil))}
	log := logr.New(sink{c}).WithName("otlp").WithValues("input", "secret")
	log.Info("debugging")
	log.Error(errors.New("bad value: secret"), "parse headers", "input", "secret")
	if got := out.String(); strings.Contains(got, "secret") || !strings.Contains(got, "parse headers") ||
		strings.Contains(got, "debugging") {
		t.Errorf("got %s", got)
	}
}

func TestDescribe_leaves_out_what_may_hold_a_secret(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{&url.Error{Op: "Post", URL: "http://user:secret@c/v1", Err: errors.New("connection refused")}, "connection refused"},
		{fmt.Errorf("failed to send to http://c/v1?key=secret: 401 Unauthorized (body: your key is secret)"),
			"failed to send to the endpoint 401 Unauthorized"},
		{errors.New("rpc error: code = Unauthenticated desc = bad key secret"), "rpc error: code = Unauthenticated"},
		{context.DeadlineExceeded, "context deadline exceeded"},
	} {
		if got := describe(test.err); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
	if got := describe(errors.New(strings.Repeat("x", 10_000))); len(got) > maxLabel {
		t.Errorf("%d bytes", len(got))
	}
}

func TestExportError_is_still_what_it_was(t *testing.T) {
	err := exportFailed("export", fmt.Errorf("http://secret: %w", context.Canceled))
	if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
	if exportFailed("export", nil) != nil {
		t.Error("no failure is no error")
	}
}

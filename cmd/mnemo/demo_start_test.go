package main

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
)

func TestDemo_finds_a_free_port_if_nobody_chose_one(t *testing.T) {
	// If this fails, another program has the port, which is as good.
	if l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", demoListen); err == nil {
		defer l.Close()
	}
	code, out, errs := start(t, nil, "demo", "--once")
	if code != exitOK || errs != "" || !strings.HasPrefix(out, demoListen+" is taken, so the demo uses a free port") || strings.Contains(out, demoListen+"/v1") {
		t.Errorf("exits with %d, says %q and %q", code, out, errs)
	}
}

func TestDemo_fails_if_it_cannot_start(t *testing.T) {
	temporary := temporaryDir(t)
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, address := range []string{l.Addr().String(), "nonsense"} {
		code, out, errs := start(t, nil, "demo", "--once", "--listen", address)
		if code != exitFailed || out != "" || !strings.Contains(errs, address) && !strings.Contains(errs, "--listen") {
			t.Errorf("%s: exits with %d, says %q and %q", address, code, out, errs)
		}
	}
	wantEmpty(t, temporary)
	t.Setenv("TMPDIR", filepath.Join(temporary, "absent"))
	if code, _, errs := start(t, nil, "demo", "--once", "--listen", "127.0.0.1:0"); code != exitFailed || !strings.Contains(errs, "absent") {
		t.Errorf("without a place for the store: exits with %d, says %q", code, errs)
	}
}

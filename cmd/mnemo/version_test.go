package main

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersion_prints_one_line_with_the_version_of_Go(t *testing.T) {
	code, out, errs := start(t, nil, "version")
	if code != exitOK || errs != "" || !strings.HasPrefix(out, "mnemo "+version()+", commit ") || !strings.HasSuffix(out, ", "+runtime.Version()+"\n") {
		t.Errorf("exits with %d, says %q and %q", code, out, errs)
	}
}

func TestVersion_prefers_the_release_to_the_build_information(t *testing.T) {
	build := &debug.BuildInfo{
		GoVersion: "go1.26.0",
		Main:      debug.Module{Version: "v0.1.0"},
		Settings:  []debug.BuildSetting{{Key: "vcs.revision", Value: "abc123"}, {Key: "vcs.modified", Value: "true"}},
	}
	for release, want := range map[string]string{
		"":       "mnemo v0.1.0, commit abc123 with changes, go1.26.0",
		"v1.2.3": "mnemo v1.2.3, commit abc123 with changes, go1.26.0",
	} {
		if got := describeBuild(build, release); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestVersion_does_without_build_information(t *testing.T) {
	if got := describeBuild(&debug.BuildInfo{}, ""); got != "mnemo (devel), commit unknown, unknown Go" {
		t.Errorf("got %q", got)
	}
}

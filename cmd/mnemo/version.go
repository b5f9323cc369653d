package main

import (
	"cmp"
	"fmt"
	"runtime/debug"
)

// release is set by the linker: -ldflags "-X main.release=v1.2.3". Empty: the
// version is that of the build information.
var release string

// versionCmd prints what was built, from what, with what.
type versionCmd struct{}

// Run prints one line.
func (versionCmd) Run(p *process) error {
	_, err := fmt.Fprintln(p.stdout, describeBuild(buildInfo(), release))
	return err
}

// Private

// version is the version of the program: a release, or (devel).
func version() string { return versionOf(buildInfo(), release) }

// buildInfo is what the compiler noted; empty, not nil, if it noted nothing.
func buildInfo() *debug.BuildInfo {
	if build, ok := debug.ReadBuildInfo(); ok {
		return build
	}
	return &debug.BuildInfo{}
}

func versionOf(build *debug.BuildInfo, release string) string {
	return cmp.Or(release, build.Main.Version, "(devel)")
}

func describeBuild(build *debug.BuildInfo, release string) string {
	commit, changed := "unknown", ""
	for _, s := range build.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = " with changes"
		}
	}
	return fmt.Sprintf("mnemo %s, commit %s%s, %s", versionOf(build, release), commit, changed, cmp.Or(build.GoVersion, "unknown Go"))
}

package telemetry

import (
	"cmp"
	"errors"
	"fmt"
)

// Values of Options.Semconv.
const (
	SemconvV141   Semconv = "v1.41"  // the default: the last version that the core conventions had
	SemconvLatest Semconv = "latest" // what their own repository has made of it
	SemconvBoth   Semconv = "both"   // attributes and metrics of both, for moving from one to the other
)

// ErrSemconv is returned for an unknown Options.Semconv.
var ErrSemconv = errors.New("unknown version of the conventions")

// A Semconv says which names of OpenTelemetry's GenAI conventions are used.
type Semconv string

// Private

func (s Semconv) check() (Semconv, error) {
	switch s = cmp.Or(s, SemconvV141); s {
	case SemconvV141, SemconvLatest, SemconvBoth:
		return s, nil
	}
	return "", fmt.Errorf("%w %q: want %s, %s or %s", ErrSemconv, string(s), SemconvV141, SemconvLatest, SemconvBoth)
}

// v141 reports whether the names of v1.41 are used.
func (s Semconv) v141() bool { return s != SemconvLatest }

// latest reports whether the names that came later are used.
func (s Semconv) latest() bool { return s != SemconvV141 }

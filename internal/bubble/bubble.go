// Package bubble runs tests in time of their own.
package bubble

import (
	"runtime"
	"testing"
	"testing/synctest"
)

// Test is [synctest.Test] on one processor.
//
// In Go 1.26 all timers of a bubble share one context of the race detector. One that is set to fire
// at once is run by the goroutine that sets it; two of those at a time corrupt the context, and the
// process dies in the detector. One processor runs them one after the other. The detector compares
// clocks, not moments, and finds as much on one.
func Test(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	synctest.Test(t, test)
}

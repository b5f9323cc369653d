package bubble

import (
	"runtime"
	"sync"
	"testing"
	"time"
)

// Without the one processor this dies under the race detector nearly always.
func TestTest_survives_timers_that_fire_at_once(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	for range 5 {
		Test(t, func(*testing.T) {
			var wg sync.WaitGroup
			for range 64 {
				wg.Go(func() {
					timer := time.NewTimer(time.Hour)
					for range 100 {
						time.Sleep(time.Second)
						timer.Reset(0)
						<-timer.C
					}
				})
			}
			wg.Wait()
		})
	}
	if after := runtime.GOMAXPROCS(0); after != before {
		t.Errorf("GOMAXPROCS is %d, was %d", after, before)
	}
}

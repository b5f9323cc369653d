package summarize

import (
	"testing"

	"mnemo/memory"
)

func BenchmarkClaim(b *testing.B) {
	var all []memory.Message
	for range 4 {
		for _, s := range samples {
			all = append(all, s.messages()...)
		}
	}
	c := claimOf(samples[0].good[0], samples[0].good[0], all)
	b.ReportMetric(float64(c.replaced), "tokens")
	for b.Loop() {
		_ = c.forgetful()
	}
}

package pricing

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestCost_is_exact(t *testing.T) {
	for _, c := range []struct {
		model string
		usage Usage
		nano  int64
	}{
		{"gpt-4o", Usage{Input: 1000, Output: 100}, 2_500_000 + 1_000_000},
		{"gpt-4o", Usage{Input: 1000, CachedInput: 1000}, 1_250_000},
		{"gpt-4o-mini", Usage{Input: 1}, 150},
		{"gpt-4o-mini", Usage{Input: 1, CachedInput: 1}, 75},
		{"gpt-4.1-nano", Usage{Input: 10, CachedInput: 4, Output: 1}, 6*100 + 4*25 + 400},
		{"gpt-5", Usage{Input: 272_000, CachedInput: 270_000, Output: 1}, 2000*1250 + 270_000*125 + 10_000},
		{"gpt-5-nano", Usage{Input: 3, CachedInput: 3}, 15},
		{"gpt-5.6", Usage{Input: 10, CachedInput: 5, CacheWrite: 4}, 1*5000 + 5*500 + 4*6250},
		{"claude-opus-4-7", Usage{Input: 100, CacheWrite: 100, Output: 10}, 100*6250 + 10*25_000},
		{"claude-sonnet-4-5", Usage{Input: 200_000}, 200_000 * 3000},
		{"claude-sonnet-4-5", Usage{Input: 200_001, CachedInput: 1, Output: 1}, 200_000*6000 + 600 + 22_500},
		{"gemini-2.5-pro", Usage{Input: 200_001}, 200_001 * 2500},
		{"deepseek-v4-pro", Usage{Input: 2, CachedInput: 2}, 7},           // 7.25
		{"deepseek-v4-pro", Usage{Input: 4, CachedInput: 4}, 15},          // 14.5
		{"command-r7b-12-2024", Usage{Input: 1}, 38},                      // 37.5
		{"command-r7b-12-2024", Usage{Input: 2, Output: 1}, 225},          // 75 + 150
		{"groq/openai/gpt-oss-20b", Usage{Input: 3, CachedInput: 3}, 113}, // 112.5
		{"qwen3-max", Usage{Input: 32_000, Output: 1}, 32_000*1200 + 6000},
		{"qwen3-max", Usage{Input: 128_001}, 128_001 * 3000},
		{"o1-pro", Usage{Input: 1, Output: 1}, 150_000 + 600_000},
		{"ft:gpt-4o-mini-2024-07-18:acme::abc", Usage{Input: 1, Output: 1}, 300 + 1200},
		{"grok-4", Usage{}, 0},
	} {
		p, ok := Default().Price(c.model)
		if got := p.Cost(c.usage); !ok || got != c.nano {
			t.Errorf("%s %+v: got %d, want %d nano-dollars", c.model, c.usage, got, c.nano)
		}
	}
}

func TestCost_is_additive_but_for_rounding(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, p := range Default().All() {
		for range 50 {
			a, b := usage(random, 5_000), usage(random, 5_000) // together below every tier
			whole := p.Cost(Usage{a.Input + b.Input, a.CachedInput + b.CachedInput, a.CacheWrite + b.CacheWrite, a.Output + b.Output})
			if parts := p.Cost(a) + p.Cost(b); whole < parts-1 || whole > parts+1 {
				t.Fatalf("%s: %+v and %+v cost %d apart and %d together", p.Model, a, b, parts, whole)
			}
		}
	}
}

func TestCost_never_falls_when_tokens_are_added(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, p := range Default().All() {
		for range 50 {
			u := usage(random, 600_000)
			cost := p.Cost(u)
			for _, more := range []Usage{
				{u.Input + 1 + random.IntN(100_000), u.CachedInput, u.CacheWrite, u.Output},
				{u.Input, u.CachedInput, u.CacheWrite, u.Output + 1},
				{u.Input, max(u.CachedInput-1, 0), u.CacheWrite, u.Output},
			} {
				if p.Cost(more) < cost {
					t.Fatalf("%s: %+v costs %d, %+v costs %d", p.Model, u, cost, more, p.Cost(more))
				}
			}
		}
	}
}

func TestCost_of_impossible_usage_stays_in_bounds(t *testing.T) {
	dear := Price{Rates: Rates{MaxRate, MaxRate, MaxRate, MaxRate}}
	most := dear.Cost(Usage{Input: MaxTokens, Output: MaxTokens})
	for _, c := range []struct {
		usage Usage
		nano  int64
	}{
		{Usage{math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt}, most},
		{Usage{math.MinInt, math.MinInt, math.MinInt, math.MinInt}, 0},
		{Usage{Input: 1, CachedInput: 5, CacheWrite: 5}, int64(MaxRate) / picoPerNano},
	} {
		if got := dear.Cost(c.usage); got != c.nano || got < 0 {
			t.Errorf("%+v: got %d, want %d", c.usage, got, c.nano)
		}
	}
	if want := int64(2*MaxTokens) * int64(MaxRate/picoPerNano); most != want {
		t.Errorf("the dearest call costs %d, want %d", most, want)
	}
}

func TestRate_is_written_in_dollars_for_a_million(t *testing.T) {
	for rate, want := range map[Rate]string{0: "0.00", 2_500_000: "2.50", 75_000: "0.075", 37_500: "0.0375", 3_625: "0.003625", 600_000_000: "600.00"} {
		if got := rate.String(); got != want {
			t.Errorf("%d: got %s, want %s", rate, got, want)
		}
	}
}

func usage(random *rand.Rand, most int) Usage {
	u := Usage{Input: random.IntN(most), Output: random.IntN(most)}
	u.CachedInput = random.IntN(u.Input + 1)
	u.CacheWrite = random.IntN(u.Input - u.CachedInput + 1)
	return u
}

func BenchmarkPrice(b *testing.B) {
	table := Default()
	b.ReportAllocs()
	for b.Loop() {
		p, _ := table.Price("openai/gpt-4o-2024-11-20")
		p.Cost(Usage{Input: 1000, CachedInput: 500, Output: 100})
	}
}

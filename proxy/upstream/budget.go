package upstream

import "sync"

const (
	firstTokens = 10  // retries that a fresh upstream is good for
	maxTokens   = 100 // what quiet times can save up
)

// Private

// A retryBudget bounds how much retries add to an upstream's load, whatever
// fails: every call that reaches it pays in, every retry there draws one.
type retryBudget struct {
	ratio  float64 // what a call pays in; negative: there is no bound
	mu     sync.Mutex
	tokens float64
}

func newRetryBudget(ratio float64) *retryBudget {
	return &retryBudget{ratio: ratio, tokens: firstTokens}
}

func (b *retryBudget) deposit() {
	b.mu.Lock()
	b.tokens = min(b.tokens+b.ratio, maxTokens)
	b.mu.Unlock()
}

func (b *retryBudget) affords() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ratio < 0 || b.tokens >= 1
}

// withdraw reports whether one more retry is allowed.
func (b *retryBudget) withdraw() bool {
	if b.ratio < 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

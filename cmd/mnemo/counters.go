package main

import (
	"sync"

	"mnemo/memory"
	"mnemo/memory/tokens"
)

// Private

// counters holds one memory.Counter for each tokenizer.
type counters struct{ byEncoding sync.Map }

func (c *counters) of(model string) *memory.Counter {
	e := tokens.For(model)
	if counter, ok := c.byEncoding.Load(e); ok {
		return counter.(*memory.Counter)
	}
	counter, _ := c.byEncoding.LoadOrStore(e, &memory.Counter{Message: e.CountMessage, Fixed: e.CountTools})
	return counter.(*memory.Counter)
}

package redisboard

import (
	"context"
	_ "embed"
	"time"

	"github.com/redis/go-redis/v9"
)

const retryAfter = time.Second

// Private

//go:embed read.lua
var readLua string

var read = redis.NewScript(readLua)

// hearAll ends when the subscription is closed. A subscription that begins, perhaps
// again, may have missed something.
func (b *Board) hearAll() {
	heard := b.subscription.ChannelWithSubscriptions()
	var retry <-chan time.Time
	for {
		select {
		case m, open := <-heard:
			switch m := m.(type) {
			case *redis.Message:
				b.hear(m.Payload)
			case *redis.Subscription:
				b.reread()
			}
			if !open {
				return
			}
		case <-b.again:
			if retry = nil; !b.readAll() {
				retry = time.After(retryAfter)
			}
		case <-retry:
			b.reread()
		}
	}
}

func (b *Board) reread() {
	select {
	case b.again <- struct{}{}:
	default:
	}
}

// readAll tells those who listen what others found before.
func (b *Board) readAll() bool {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	found, err := read.Run(ctx, b.client, []string{b.key}, maxOpen).Slice()
	if b.ctx.Err() != nil {
		return true
	}
	if err != nil {
		b.complain(err)
		return false
	}
	for i := 0; i+1 < len(found); i += 2 {
		left, _ := found[i].(int64)
		text, _ := found[i+1].(string)
		if n, ok := decode(text, b.self); ok && left > 0 {
			n.Open = left
			b.pass(&n)
		}
	}
	b.recovered()
	return true
}

func (b *Board) hear(text string) {
	if n, ok := decode(text, b.self); ok {
		b.pass(&n)
	}
}

func (b *Board) pass(n *news) {
	b.mu.Lock()
	listeners := make([]func(string, string, time.Duration), 0, len(b.listeners))
	for _, f := range b.listeners {
		listeners = append(listeners, f)
	}
	b.mu.Unlock()
	for _, f := range listeners {
		f(n.Upstream, n.Model, n.duration())
	}
}

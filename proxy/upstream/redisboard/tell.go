package redisboard

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	maxWaiting    = 256 // findings that wait to be told
	complainEvery = time.Minute
)

// Private

//go:embed tell.lua
var tellLua string

var tell = redis.NewScript(tellLua)

func (b *Board) enqueue(f finding) {
	if b.ctx.Err() != nil {
		return
	}
	select {
	case b.waiting <- f:
	default:
		b.drop(fmt.Errorf("%d findings wait", maxWaiting))
	}
}

func (b *Board) tellAll() {
	for {
		select {
		case <-b.ctx.Done():
			return
		case f := <-b.waiting:
			if err := b.tell(&f); err != nil && b.ctx.Err() == nil {
				b.drop(err)
			}
		}
	}
}

func (b *Board) tell(f *finding) error {
	left, ok := f.left()
	if !ok {
		return nil
	}
	text, err := json.Marshal(news{From: b.self, Upstream: f.upstream, Model: f.model, Open: left})
	if err != nil || len(text) > maxNews {
		return fmt.Errorf("a finding of %d bytes", len(text))
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return tell.Run(ctx, b.client, []string{b.key}, f.field(), text, left, maxOpen, b.channel).Err()
}

func (b *Board) drop(err error) {
	b.dropped.Add(1)
	b.complain(err)
}

// complain warns at most once in a while.
func (b *Board) complain(err error) {
	b.mu.Lock()
	now := time.Now()
	early := now.Before(b.quiet)
	if !early {
		b.quiet, b.lost = now.Add(complainEvery), true
	}
	b.mu.Unlock()
	if !early {
		b.log.Warn("breakers are not shared with other replicas", "error", err, "dropped", b.Dropped())
	}
}

// recovered tells that what was complained of is over.
func (b *Board) recovered() {
	b.mu.Lock()
	lost := b.lost
	b.lost = false
	b.mu.Unlock()
	if lost {
		b.log.Info("breakers are shared with other replicas again", "dropped", b.Dropped())
	}
}

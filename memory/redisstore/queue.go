package redisstore

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"

	"mnemo/internal/redisclient"
)

const (
	// senders is the number of batches under way at once. With one, a long reply
	// keeps all others waiting; more than two made batches smaller and saved nothing.
	senders = 2

	// The bounds of a batch, and of the calls that wait for one.
	batchCalls = 128
	batchBytes = 1 << 20
	queueCalls = 1024
)

// Private

// A queue runs scripts in Redis. Calls that come while others are under way go
// together, in one write and one read, which at 32 callers halves the processor
// time of both ends. In a cluster a batch would take as long as the slowest node,
// so there each call goes by itself.
type queue struct {
	client  *redisclient.Client
	calls   chan *call // nil in a cluster
	senders sync.WaitGroup
}

// A call is one run of a script.
type call struct {
	ctx    context.Context
	script script
	keys   []string
	args   []any
	cmd    *redis.Cmd
	done   chan struct{} // closed when cmd has its result
}

func newCall(ctx context.Context, s script, keys []string, args ...any) *call {
	return &call{ctx: ctx, script: s, keys: keys, args: args}
}

func newQueue(client *redisclient.Client) *queue {
	q := &queue{client: client}
	if client.Cluster {
		return q
	}
	q.calls = make(chan *call, queueCalls)
	for range senders {
		q.senders.Go(q.send)
	}
	return q
}

// do runs a script. When ctx ends, do returns, but a call that was sent is not
// called back.
func (q *queue) do(ctx context.Context, s script, keys []string, args ...any) (any, error) {
	c := newCall(ctx, s, keys, args...)
	if q.calls == nil {
		q.exec(ctx, []*call{c})
		return c.cmd.Result()
	}
	c.done = make(chan struct{})
	select {
	case q.calls <- c:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case <-c.done:
		return c.cmd.Result()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// close waits for what is queued. No do may be running or follow.
func (q *queue) close() {
	if q.calls != nil {
		close(q.calls)
	}
	q.senders.Wait()
}

func (q *queue) send() {
	for first := range q.calls {
		batch := q.collect(first)
		ctx, cancel := context.WithTimeout(context.Background(), q.client.Bound)
		q.exec(ctx, batch)
		cancel()
		for _, c := range batch {
			close(c.done)
		}
	}
}

// collect takes what waits now; it does not wait for more.
func (q *queue) collect(first *call) []*call {
	batch, bytes := []*call{first}, first.size()
	for len(batch) < batchCalls && bytes < batchBytes {
		select {
		case c, ok := <-q.calls:
			if !ok {
				return batch
			}
			batch, bytes = append(batch, c), bytes+c.size()
		default:
			return batch
		}
	}
	return batch
}

// exec runs a batch and leaves each call its result. A Redis that has not seen a
// script, because it is new or was restarted, did not run it: it gets the text.
func (q *queue) exec(ctx context.Context, batch []*call) {
	var sent []*call
	for _, c := range batch {
		if err := c.ctx.Err(); err != nil { // nobody waits for it any more
			c.cmd = redis.NewCmd(ctx)
			c.cmd.SetErr(err)
			continue
		}
		c.cmd = c.eval("evalsha", c.script.hash)
		sent = append(sent, c)
	}
	q.process(ctx, sent)
	var unseen []*call
	for _, c := range sent {
		if redis.HasErrorPrefix(c.cmd.Err(), "NOSCRIPT") {
			c.cmd = c.eval("eval", c.script.text)
			unseen = append(unseen, c)
		}
	}
	q.process(ctx, unseen)
}

// process leaves an error of the whole in every command, so its own are dropped.
func (q *queue) process(ctx context.Context, calls []*call) {
	switch len(calls) {
	case 0:
	case 1:
		_ = q.client.Process(ctx, calls[0].cmd)
	default:
		pipe := q.client.Pipeline()
		for _, c := range calls {
			_ = pipe.Process(ctx, c.cmd)
		}
		_, _ = pipe.Exec(ctx)
	}
}

func (c *call) eval(name, script string) *redis.Cmd {
	args := append(make([]any, 0, 3+len(c.keys)+len(c.args)), name, script, len(c.keys))
	for _, key := range c.keys {
		args = append(args, key)
	}
	return redis.NewCmd(c.ctx, append(args, c.args...)...)
}

func (c *call) size() (n int) {
	for _, arg := range c.args {
		switch arg := arg.(type) {
		case string:
			n += len(arg)
		case []byte:
			n += len(arg)
		}
	}
	return n
}

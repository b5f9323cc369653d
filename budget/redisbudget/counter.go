// Package redisbudget adds up in Redis (6.2 or newer) what replicas spend.
//
// A sum is a hash at <prefix>:{budget}:<account>, in which each replica writes its own part alone: a
// grow-only counter (Shapiro et al., 2011, "Conflict-free Replicated Data Types"). What a replica tells
// is the whole of its part, so a write that is lost or repeated, an outage, and a Redis that lost its
// data leave no error once the replicas have written again. Redis forgets a sum some hours after its
// window.
//
// All sums share one hash slot, because a call is decided on in one step over all its budgets: in a
// cluster they are on one node.
package redisbudget

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"mnemo/budget"
)

const (
	// DefaultPrefix begins every key unless Options say otherwise.
	DefaultPrefix = "mnemo"

	// afterlife is how long a sum is kept after its window, for calls that settle late.
	afterlife = 2 * time.Hour
)

// Options of a Counter.
type Options struct {
	// Client leads to Redis; it is not closed. It should have ContextTimeoutEnabled and short
	// timeouts: while it waits for a Redis that is away, nothing is told to it.
	Client redis.UniversalClient
	Prefix string // of every key, so that several installations can share a Redis; "": DefaultPrefix
}

// A Counter is a budget.Counter.
type Counter struct {
	client redis.UniversalClient
	prefix string
}

var _ budget.Counter = (*Counter)(nil)

// New returns a Counter; it does not connect.
func New(opts Options) *Counter {
	return &Counter{client: opts.Client, prefix: cmp.Or(opts.Prefix, DefaultPrefix) + ":{budget}:"}
}

// Exchange implements budget.Counter.
func (c *Counter) Exchange(ctx context.Context, claims []budget.Claim) ([]budget.Answer, error) {
	if len(claims) == 0 {
		if err := c.client.Ping(ctx).Err(); err != nil {
			return nil, fmt.Errorf("reach redis: %w", err)
		}
		return nil, nil
	}
	answers := make([]budget.Answer, len(claims))
	for i, cmd := range c.run(ctx, claims) {
		reply, err := cmd.Int64Slice()
		if err != nil {
			return nil, fmt.Errorf("exchange sums with redis: %w", err)
		}
		if answers[i], err = answer(claims[i], reply); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// Private

//go:embed exchange.lua
var text string

var (
	script = redis.NewScript(text)

	errReply = errors.New("exchange sums with redis: the reply has another length than the question")
)

// run sends all claims in one pipeline, which keeps their order. A Redis that has not seen the script,
// because it is new or was restarted, did not run it: it gets the text.
func (c *Counter) run(ctx context.Context, claims []budget.Claim) []*redis.Cmd {
	cmds := c.pipe(ctx, claims, script.EvalSha)
	var unseen []budget.Claim
	for i, cmd := range cmds {
		if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
			unseen = append(unseen, claims[i])
		}
	}
	if len(unseen) == 0 {
		return cmds
	}
	again := c.pipe(ctx, unseen, script.Eval)
	for i, cmd := range cmds {
		if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
			cmds[i], again = again[0], again[1:]
		}
	}
	return cmds
}

type eval func(ctx context.Context, to redis.Scripter, keys []string, args ...any) *redis.Cmd

func (c *Counter) pipe(ctx context.Context, claims []budget.Claim, run eval) []*redis.Cmd {
	cmds := make([]*redis.Cmd, len(claims))
	pipe := c.client.Pipeline()
	for i, claim := range claims {
		keys, args := c.question(claim)
		cmds[i] = run(ctx, pipe, keys, args...)
	}
	_, _ = pipe.Exec(ctx) // an error of the whole is left in every command
	return cmds
}

// question is a claim as the script takes it.
func (c *Counter) question(claim budget.Claim) (keys []string, args []any) {
	keys = make([]string, 0, len(claim.Entries))
	args = make([]any, 0, 9*len(claim.Entries))
	for _, e := range claim.Entries {
		keys = append(keys, c.prefix+e.Account)
		args = append(args, e.Writer, e.Spent, e.Reserved, e.Lease.Milliseconds(), e.Until.Add(afterlife).UnixMilli(),
			e.Estimate, e.Limit, e.Leave, len(e.Marks))
		for _, mark := range e.Marks {
			args = append(args, mark)
		}
	}
	return keys, args
}

func answer(claim budget.Claim, reply []int64) (a budget.Answer, err error) {
	next := func() int64 {
		if len(reply) == 0 {
			err = errReply
			return 0
		}
		n := reply[0]
		reply = reply[1:]
		return n
	}
	a.Admitted = next() == 1
	a.Others = make([]budget.Others, len(claim.Entries))
	for i, e := range claim.Entries {
		o := budget.Others{Spent: next(), Reserved: next()}
		for range e.Marks {
			o.Mine = append(o.Mine, next() == 1)
		}
		a.Others[i] = o
	}
	if len(reply) > 0 {
		err = errReply
	}
	return a, err
}

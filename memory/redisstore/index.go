package redisstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	"mnemo/memory"
)

const (
	// Of pruneOdds sessions that begin, at one some entries of the tenant's index
	// are looked at, pruned on average: pruned/pruneOdds for each.
	pruneOdds = 8
	pruned    = 32
)

// Private

// index is the key of a tenant's index: its sessions' ids by their last activity.
func (s *Store) index(tenant string) string {
	sum := sha256.Sum256([]byte(tenant))
	return s.prefix + ":sessions:{" + hex.EncodeToString(sum[:]) + "}"
}

// tenants is the key of the set of tenants that have an index.
func (s *Store) tenants() string { return s.prefix + ":tenants" }

// keys is what a script needs to write a session and list it: all of it where all
// is on one node.
func (s *Store) keys(key memory.Key, more ...string) []string {
	keys := append(make([]string, 0, 4), s.key(key))
	keys = append(keys, more...)
	if s.client.Cluster {
		return keys
	}
	return append(keys, s.index(key.Tenant), s.tenants())
}

// write runs a script that writes a session and lists it. In a cluster the index is
// written beside it, in the same round trip; an error of the index is not the turn's.
func (s *Store) write(ctx context.Context, key memory.Key, updated time.Time, script script, keys []string, args ...any) (any, error) {
	if !s.client.Cluster {
		return s.queue.do(ctx, script, keys, args...)
	}
	c := newCall(ctx, script, keys, args...)
	s.queue.exec(ctx, append(s.listing(ctx, key, updated.UnixMilli()), c))
	return c.cmd.Result()
}

// listing is what lists a session in a cluster.
func (s *Store) listing(ctx context.Context, key memory.Key, updated int64) []*call {
	return []*call{
		newCall(ctx, enlist, []string{s.index(key.Tenant)}, s.ttl, "ZADD", updated, key.Session),
		newCall(ctx, enlist, []string{s.tenants()}, s.ttl, "SADD", key.Tenant),
	}
}

// relist makes the index of a cluster say what there is of sessions. An index
// cannot be written together with the session, so this follows whatever may have
// come between the two: the end of a life and its beginning.
func (s *Store) relist(ctx context.Context, keys ...memory.Key) {
	if !s.client.Cluster {
		return
	}
	s.relistGone(ctx, s.relistLive(ctx, keys))
}

// relistLive lists the sessions that there are, and returns the others.
func (s *Store) relistLive(ctx context.Context, keys []memory.Key) (gone []memory.Key) {
	updated := make([]*redis.StringCmd, len(keys))
	_, _ = s.client.Pipelined(ctx, func(p redis.Pipeliner) error { // each command has its own error
		for i, key := range keys {
			updated[i] = p.HGet(ctx, s.key(key), "updated")
		}
		return nil
	})
	var calls []*call
	for i, key := range keys {
		if at, err := updated[i].Int64(); err == nil {
			calls = append(calls, s.listing(ctx, key, at)...)
		} else if err == redis.Nil { //nolint:errorlint // as go-redis returns it
			gone = append(gone, key)
		}
	}
	s.queue.exec(ctx, calls)
	return gone
}

// relistGone takes sessions off the index, but for those that began meanwhile.
func (s *Store) relistGone(ctx context.Context, gone []memory.Key) {
	if len(gone) == 0 {
		return
	}
	_, _ = s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, key := range gone {
			p.ZRem(ctx, s.index(key.Tenant), key.Session)
		}
		return nil
	})
	s.relistLive(ctx, gone)
}

// prune looks at some of what is listed of a tenant and takes off what expired, so
// that an index that nobody reads does not grow for ever.
func (s *Store) prune(ctx context.Context, tenant string) {
	if s.ttl <= 0 || rand.IntN(pruneOdds) != 0 {
		return
	}
	some, _ := s.client.ZRandMember(ctx, s.index(tenant), pruned).Result() // another session's beginning will do as well
	keys := make([]memory.Key, len(some))
	for i, session := range some {
		keys[i] = memory.Key{Tenant: tenant, Session: session}
	}
	s.unlist(ctx, keys)
}

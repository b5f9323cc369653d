package redisstore

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"mnemo/memory"
)

// Info implements memory.Store.
func (s *Store) Info(ctx context.Context, key memory.Key) (memory.Info, error) {
	if err := s.enter(ctx, key); err != nil {
		return memory.Info{}, err
	}
	defer s.mu.RUnlock()
	infos, err := s.describe(ctx, []memory.Key{key}, "system", "persona", "summaries", "summary")
	if err != nil {
		return memory.Info{}, s.failed("describe session", err)
	}
	if infos[0] == nil {
		return memory.Info{}, memory.ErrNotFound
	}
	return *infos[0], nil
}

// Private

// The fields that describe a session: numbers, then texts. More may follow.
var infoFields = []string{"seq", "messages", "groups", "tokens", "bytes", "dead", "created", "updated", "spent", "title"}

const (
	infoSpent = 8 + iota
	infoTitle
	infoSystem
	infoPersona
	infoSummaries
	infoSummary
)

// describe reads sessions in one round trip; one that is not there is nil.
func (s *Store) describe(ctx context.Context, keys []memory.Key, more ...string) ([]*memory.Info, error) {
	names := append(append([]string(nil), infoFields...), more...)
	fields := make([]*redis.SliceCmd, len(keys))
	left := make([]*redis.DurationCmd, len(keys))
	now := time.Now()
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range keys {
			at := s.key(key)
			fields[i], left[i] = p.HMGet(ctx, at, names...), p.PTTL(ctx, at)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	infos := make([]*memory.Info, len(keys))
	for i, key := range keys {
		if infos[i], err = decodeInfo(key, fields[i].Val(), now, left[i].Val()); err != nil {
			return nil, err
		}
	}
	return infos, nil
}

func decodeInfo(key memory.Key, fields []any, now time.Time, left time.Duration) (*memory.Info, error) {
	if fields[0] == nil || left == gone {
		return nil, nil //nolint:nilnil // there is no session
	}
	info := &memory.Info{Key: key}
	var dead, created, updated, summaries int64
	err := numbers(fields, &info.Seq, &info.Totals.Messages, &info.Totals.Groups, &info.Totals.Tokens, &info.Totals.Bytes,
		&dead, &created, &updated)
	if err != nil {
		return nil, err
	}
	info.Totals.Turns = info.Seq - dead
	info.Created, info.Updated = time.UnixMilli(created), time.UnixMilli(updated)
	if left >= 0 {
		info.Expires = time.UnixMilli(now.Add(left).UnixMilli())
	}
	if info.Spent, err = decodeSpent(fields[infoSpent]); err != nil {
		return nil, err
	}
	info.Title, _ = fields[infoTitle].(string)
	if len(fields) <= infoSummary {
		return info, nil
	}
	info.System, _ = fields[infoSystem].(string)
	info.Persona, _ = fields[infoPersona].(string)
	if summaries, err = number(fields[infoSummaries]); err == nil {
		info.Summary, err = decodeSummary(summaries, fields[infoSummary])
	}
	return info, err
}

// gone is what Redis says of the time that a key without a value has left.
const gone = time.Duration(-2)

const spentFormat = "%d %d %d %d %d"

func encodeSpent(s *memory.Spent) string {
	return fmt.Sprintf(spentFormat, s.Input, s.CachedInput, s.Output, s.Cost, s.Unpriced)
}

func decodeSpent(field any) (s memory.Spent, err error) {
	if text, ok := field.(string); ok {
		_, err = fmt.Sscanf(text, spentFormat, &s.Input, &s.CachedInput, &s.Output, &s.Cost, &s.Unpriced)
	}
	return s, err
}

package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"mnemo/memory"
)

const (
	// importBytes is about how much of a session is written at once.
	importBytes = 1 << 20
	// importPause is how long a session that is half written is kept.
	importPause = time.Minute
)

// Import implements memory.Store. A session over the limit is refused with
// memory.ErrSessionFull. It is written beside its place, in parts, and then put there
// in one step; parts of one that was not finished are gone after a minute.
func (s *Store) Import(ctx context.Context, key memory.Key, snap *memory.Snapshot) error {
	if err := s.enter(ctx, key); err != nil {
		return err
	}
	defer s.mu.RUnlock()
	if snap.Totals.Bytes > s.limit {
		return fmt.Errorf("import session of %d bytes: %w", snap.Totals.Bytes, memory.ErrSessionFull)
	}
	switch n, err := s.client.Exists(ctx, s.key(key)).Result(); {
	case err != nil:
		return s.failed("import session", err)
	case n > 0:
		return memory.ErrExists
	}
	beside := s.key(key) + ":import:" + rand.Text()
	life := newLife()
	if err := s.writeParts(ctx, beside, sessionFields(key, life, snap)); err != nil {
		return s.failed("import session", err)
	}
	reply, err := s.write(ctx, key, snap.Updated, install, s.keys(key, beside),
		life, s.ttl, snap.Updated.UnixMilli(), key.Tenant, key.Session)
	if err != nil {
		return s.failed("import session", err)
	}
	s.relist(ctx, key)
	switch reply {
	case any(yes):
		return nil
	case any(int64(0)):
		return memory.ErrExists
	}
	return s.failed("import session", errSlow)
}

// Private

var errSlow = errors.New("writing it took too long")

// writeParts writes a hash that is gone if nothing follows.
func (s *Store) writeParts(ctx context.Context, key string, fields iter.Seq2[string, any]) error {
	var part []any
	size := 0
	write := func() error {
		_, err := s.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.HSet(ctx, key, part...)
			p.PExpire(ctx, key, importPause)
			return nil
		})
		part, size = nil, 0
		return err
	}
	for field, value := range fields {
		part = append(part, field, value)
		size += len(field)
		switch value := value.(type) {
		case string:
			size += len(value)
		case []byte:
			size += len(value)
		}
		if size >= importBytes {
			if err := write(); err != nil {
				return err
			}
		}
	}
	if len(part) == 0 {
		return nil
	}
	return write()
}

// sessionFields is all of a session.
func sessionFields(key memory.Key, life int64, snap *memory.Snapshot) iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		for _, f := range headOf(key, life, snap) {
			if !yield(f.name, f.value) {
				return
			}
		}
		newest := map[memory.Link]int64{}
		for i := range snap.Turns {
			for _, f := range turnFields(&snap.Turns[i], newest) {
				if !yield(f.name, f.value) {
					return
				}
			}
		}
		for link, seq := range newest {
			if !yield("l:"+linkText(link), seq) {
				return
			}
		}
	}
}

type field struct {
	name  string
	value any
}

func headOf(key memory.Key, life int64, snap *memory.Snapshot) []field {
	seq := int64(len(snap.Turns))
	fields := []field{
		{"epoch", life}, {"tenant", key.Tenant}, {"session", key.Session},
		{"seq", seq}, {"dead", seq - snap.Totals.Turns}, {"branch", snap.Branch},
		{"messages", snap.Totals.Messages}, {"groups", snap.Totals.Groups}, {"tokens", snap.Totals.Tokens}, {"bytes", snap.Totals.Bytes},
		{"created", snap.Created.UnixMilli()}, {"updated", snap.Updated.UnixMilli()}, {"spent", encodeSpent(&snap.Spent)},
	}
	if snap.Title != "" {
		fields = append(fields, field{"title", snap.Title})
	}
	if snap.System != "" {
		fields = append(fields, field{"system", snap.System}, field{"instructed", 1})
	}
	if snap.Persona != "" {
		fields = append(fields, field{"persona", snap.Persona}, field{"named", 1})
	}
	if snap.Summary != nil {
		fields = append(fields, field{"summary", memory.EncodeSummary(snap.Summary)}, field{"up_to", snap.Summary.UpTo}, field{"summaries", 1})
	}
	return fields
}

// turnFields is all of a turn but for the newest turn with each of its links, which
// is kept in newest.
func turnFields(t *memory.Turn, newest map[memory.Link]int64) []field {
	var added memory.Totals
	added.Add(t)
	fields := []field{{strconv.FormatInt(t.Seq, 10), encode(t, added)}}
	if t.Supersedes.First > 0 {
		fields = append(fields, field{fmt.Sprint("s:", t.Seq), t.Supersedes.First})
	}
	if t.SupersededBy > 0 {
		return append(fields, field{fmt.Sprint("x:", t.Seq), t.SupersededBy})
	}
	for _, link := range t.Links() {
		if older := newest[link]; older > 0 && older != t.Seq {
			fields = append(fields, field{fmt.Sprint("l:", linkText(link), ":", t.Seq), older})
		}
		newest[link] = t.Seq
	}
	return fields
}

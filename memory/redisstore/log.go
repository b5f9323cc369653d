package redisstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"mnemo/memory"
)

// Load implements memory.Store. It is one round trip, and reads only what is not
// cached.
func (s *Store) Load(ctx context.Context, key memory.Key, need memory.Need) (memory.Session, error) {
	if err := s.enter(ctx, key); err != nil {
		return memory.Session{}, err
	}
	defer s.mu.RUnlock()
	tail := s.cache.Tail(key, need)
	at := &tail.Session.Revision
	numbers := packed(at.Life, at.Branch, at.Summary, tail.Session.Seq, tail.First(),
		tail.Held.Turns, tail.Held.Messages, tail.Held.Groups, tail.Held.Tokens,
		int64(need.Messages), int64(need.Groups), int64(need.Tokens))
	var enough []byte
	if tail.Covers(need) {
		enough = packed(at.Life, at.Branch, at.Summary, tail.Session.Seq)
	}
	reply, err := s.queue.do(ctx, load, []string{s.key(key)}, enough, numbers)
	if errors.Is(err, redis.Nil) {
		s.cache.Drop(key)
		return memory.Session{}, nil
	}
	if err != nil {
		return memory.Session{}, s.failed("load session", err)
	}
	if reply == any(current) {
		return tail.Session, nil
	}
	head, turns, err := decode(reply, tail)
	if err != nil {
		return memory.Session{}, s.failed("load session", err)
	}
	return s.cache.Extend(key, tail, head, turns), nil
}

// Append implements memory.Store. It is one round trip, and two in the rare case
// that a session has no title yet though it has turns. If the connection breaks the
// turn may be sent twice, but it is stored once.
func (s *Store) Append(ctx context.Context, key memory.Key, t memory.Turn) (int64, error) {
	if err := s.enter(ctx, key); err != nil {
		return 0, err
	}
	defer s.mu.RUnlock()
	if span := t.Supersedes; span.First < 1 || span.Last < span.First {
		t.Supersedes = memory.Span{}
	}
	w := s.writing(key, &t)
	for {
		reply, err := s.write(ctx, key, t.At, add, w.keys, w.args(&t)...)
		switch {
		case err != nil:
			return 0, s.failed("append turn", err)
		case reply == any(spanless): // the session was deleted since they were seen
			t.Supersedes = memory.Span{}
		case reply == any(untitled):
			w.title = title(&t)
		case reply == any(full):
			s.relist(ctx, key)
			return 0, fmt.Errorf("append turn of %d bytes: %w", w.added.Bytes, memory.ErrSessionFull)
		default:
			return s.appended(ctx, w, &t, reply)
		}
	}
}

// Turns implements memory.Store.
func (s *Store) Turns(ctx context.Context, key memory.Key, before int64, limit int) ([]memory.Turn, error) {
	if err := s.enter(ctx, key); err != nil {
		return nil, err
	}
	defer s.mu.RUnlock()
	reply, err := s.queue.do(ctx, turns, []string{s.key(key)}, before, limit)
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, s.failed("read turns", err)
	}
	page, err := decodePage(reply)
	if err != nil {
		return nil, s.failed("read turns", err)
	}
	return page, nil
}

// Find implements memory.Store. Turns that were written before there were links
// are not found.
func (s *Store) Find(ctx context.Context, key memory.Key, links []memory.Link) (int64, error) {
	if err := s.enter(ctx, key); err != nil {
		return 0, err
	}
	defer s.mu.RUnlock()
	reply, err := s.queue.do(ctx, find, []string{s.key(key)}, linksText(links))
	if err != nil {
		return 0, s.failed("find turn", err)
	}
	return number(reply)
}

// Private

// Replies of append that say why it did nothing.
const (
	full     = int64(0)
	spanless = int64(1) // turns that it supersedes are not there
	untitled = int64(2) // the session needs the turn's title
)

// A writing is what append is told of a turn, but for what may change when it is
// told again.
type writing struct {
	s     *Store
	key   memory.Key
	keys  []string
	token int64
	life  int64
	added memory.Totals
	title string // "=" and the title, or "" if the session is believed to have one
	id    string
}

func (s *Store) writing(key memory.Key, t *memory.Turn) *writing {
	w := &writing{s: s, key: key, keys: s.keys(key), token: token(t), life: newLife()}
	w.added.Add(t)
	if tail := s.cache.Tail(key, memory.Need{}); tail.Session.Seq == 0 { // a title is dear to make
		w.title = title(t)
	}
	if t.Redelivered && t.ID != "" {
		w.id = idText(t.ID)
	}
	return w
}

func (w *writing) args(t *memory.Turn) []any {
	var spent memory.Spent
	spent.Add(&t.Usage)
	return []any{
		packed(
			w.token, w.life, w.added.Messages, w.added.Groups, w.added.Tokens, w.added.Bytes, t.At.UnixMilli(),
			w.s.limit, w.s.ttl, t.Supersedes.First, t.Supersedes.Last,
			spent.Input, spent.CachedInput, spent.Output, spent.Cost, spent.Unpriced),
		encode(t, w.added), t.System, t.Persona, w.title, linksText(t.Links()), w.id, w.key.Tenant, w.key.Session,
	}
}

// appended reads a reply of append to a turn that is stored, now or before, and
// caches it.
func (s *Store) appended(ctx context.Context, w *writing, t *memory.Turn, reply any) (int64, error) {
	fields, _ := reply.([]any)
	if len(fields) != 2 && len(fields) != 3 {
		return 0, s.failed("append turn", unknown(reply))
	}
	var head memory.Head
	into := []*int64{&head.Revision.Life, &head.Seq, &head.Revision.Branch}
	if err := numbers(fields, into[:len(fields)]...); err != nil {
		return 0, s.failed("append turn", err)
	}
	begun := head.Revision.Life == w.life
	if begun || len(fields) == 2 {
		s.relist(ctx, w.key)
	}
	switch {
	case len(fields) == 2: // it was there before, and others may have followed
		return head.Seq, nil
	case begun:
		s.prune(ctx, w.key.Tenant)
	default:
		had := s.cache.Tail(w.key, memory.Need{}).Session
		if had.Revision.Life != head.Revision.Life || had.Seq != head.Seq-1 {
			return head.Seq, nil // what is before it is not cached
		}
		head.Totals = had.Totals
	}
	head.Totals.Add(t)
	s.cache.Append(w.key, head, t)
	return head.Seq, nil
}

func title(t *memory.Turn) string { return "=" + t.Title() }

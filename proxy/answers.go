package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"mnemo/memory"
	"mnemo/proxy/answercache"
	"mnemo/proxy/apierror"
	"mnemo/proxy/upstream"
	"mnemo/telemetry"
)

// What X-Cache says of an answer.
const (
	cacheHit   = "hit"
	cacheStale = "stale" // older than the route wants, because no upstream answered
)

// keepTimeout bounds how long an answer is brought to the cache, after its client has
// it.
const keepTimeout = 2 * time.Second

// A CacheRule says how the answers to calls of a model are kept.
type CacheRule struct {
	Model        string        // pattern, * stands for any characters; the first rule that matches holds
	TTL          time.Duration // how long an answer is given again; 0: none is kept
	MaxEntries   int
	StaleIfError time.Duration // how much longer it is kept for when no upstream answers
}

// A lookup is a call whose answer may come from the cache, or go there.
type lookup struct {
	rule   *CacheRule
	key    answercache.Key
	tag    answercache.Tag
	stream bool // the client wants events
	usage  bool // … and the usage among them
	stale  answercache.Answer
	old    bool // stale is there
}

// A keeping is an answer on its way to the cache.
type keeping struct {
	*lookup
	cache answercache.Cache
	store memory.Store
	of    memory.Key // the session; zero: there is none
	body  []byte
}

// Private

// askChat is ask for a chat completion, which the cache may answer and budgets may
// refuse.
func (x *exchange) askChat(r *upstream.Request, stream bool, size answerSize) error {
	if x.lookUp(r, stream); x.cache == nil {
		return x.askWithin(r, size)
	}
	ctx, cancel := context.WithTimeout(x.ctx, x.set.Memory.LoadTimeout)
	answer, age, found := x.set.Cache.Get(ctx, x.cache.key)
	cancel()
	if found && age < x.cache.rule.TTL {
		x.replay(answer, cacheHit, age)
		return nil
	}
	x.cache.stale, x.cache.old = answer, found
	r.Header.Del("Accept-Encoding") // what is kept is read
	err := x.askWithin(r, size)
	if x.cache.old && x.unanswered(err) {
		x.setFault(err)
		x.release(upstream.Completed)
		x.replay(x.cache.stale, cacheStale, age)
		return nil
	}
	x.s.Telemetry.CacheLookup(telemetry.CacheMiss)
	if err == nil && x.answer.StatusCode == http.StatusOK && !x.answer.Degraded && x.answer.Header.Get("Content-Encoding") == "" {
		x.source.keep = true
	}
	return err
}

// unanswered reports whether no upstream answered. A budget that is used up is another
// matter.
func (x *exchange) unanswered(err error) bool {
	var up *upstream.Error
	if err == nil {
		return x.answer.StatusCode >= http.StatusInternalServerError
	}
	return errors.As(err, &up) && x.ctx.Err() == nil
}

// lookUp finds out whether the cache is asked at all.
func (x *exchange) lookUp(r *upstream.Request, stream bool) {
	wish := x.header.own[headerCache]
	if x.set.Cache == nil || x.caller.tenant == "" || wish == "off" {
		return
	}
	rule := x.set.cacheRule(r.Model)
	if rule == nil || !answercache.Cacheable(r.Body, wish == "on") {
		return
	}
	key, ok := answercache.KeyOf(x.caller.tenant, r.Body)
	if !ok {
		return
	}
	x.cache = &lookup{rule: rule, key: key, stream: stream, usage: asksUsage(r.Body)}
	if x.session != "" {
		x.cache.tag = answercache.TagOf(x.caller.tenant, x.session)
	}
}

func (s *settings) cacheRule(model string) *CacheRule {
	for i := range s.CacheRules {
		if rule := &s.CacheRules[i]; upstream.Matches(rule.Model, model) {
			if rule.TTL <= 0 {
				return nil
			}
			return rule
		}
	}
	return nil
}

// readCacheWish checks X-Cache.
func (x *exchange) readCacheWish() error {
	value, given := x.header.own[headerCache]
	if !given {
		return nil
	}
	value = strings.ToLower(value)
	if value != "on" && value != "off" {
		return apierror.BadRequest("invalid_header", headerCache, "%s is on or off", headerCache)
	}
	x.header.own[headerCache] = value
	return nil
}

// replay answers from the cache as an upstream would.
func (x *exchange) replay(answer answercache.Answer, how string, age time.Duration) {
	kind, body := "application/json", []byte(nil)
	if x.cache.stream {
		kind, body = "text/event-stream; charset=utf-8", answer.Stream(x.cache.usage)
	} else {
		body = answer.JSON()
	}
	x.cache = nil // it is not kept once more
	x.call.Cached, x.call.ErrorType = true, ""
	x.s.Telemetry.CacheLookup(how)
	x.take(&upstream.Answer{Response: &http.Response{
		StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Content-Type": {kind}, headerCache: {how}, "Age": {strconv.FormatInt(int64(age/time.Second), 10)},
		},
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}})
}

// keeping is what the cache gets of a complete answer; nil: nothing.
func (x *exchange) keeping() *keeping {
	if x.cache == nil || !x.source.whole() || x.outcome != upstream.Completed {
		return nil
	}
	k := &keeping{lookup: x.cache, cache: x.set.Cache, store: x.s.Store, body: x.source.kept}
	if x.session != "" {
		k.of = memory.Key{Tenant: x.caller.tenant, Session: x.session}
	}
	return k
}

// put brings the answer to the cache, if it is worth it.
func (k *keeping) put() {
	answer, ok := answercache.FromJSON(ownString(k.body))
	if k.stream {
		answer, ok = answercache.FromStream(k.body)
	}
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), keepTimeout)
	defer cancel()
	defer k.dropIfDeleted(ctx)
	k.cache.Put(ctx, k.key, answer, answercache.Terms{
		Keep: k.rule.TTL + k.rule.StaleIfError, Route: k.rule.Model, MaxEntries: k.rule.MaxEntries, Tag: k.tag,
	})
}

// dropIfDeleted takes the answer back if its session was deleted before it was put: who
// deletes one finds in the cache what was put before.
func (k *keeping) dropIfDeleted(ctx context.Context) {
	if k.of == (memory.Key{}) {
		return
	}
	if _, err := k.store.Info(ctx, k.of); errors.Is(err, memory.ErrNotFound) {
		_ = k.cache.Drop(ctx, k.tag) // what cannot be reached has nothing
	}
}

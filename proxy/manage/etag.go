package manage

import (
	"context"
	"fmt"
	"strings"

	"mnemo/memory"
)

// Private

// A state is what an ETag stands for: the last turn and all that is not a turn.
type state struct {
	seq      int64
	revision memory.Revision
}

// stateOf asks the store.
func (a *api) stateOf(ctx context.Context, key memory.Key) (state, error) {
	session, err := a.Store.Load(ctx, key, memory.Need{})
	return state{session.Seq, session.Revision}, storeError(err)
}

// tag is the state as an ETag (RFC 9110, section 8.8.3).
func (s state) tag() string {
	return fmt.Sprintf(`"%d-%d.%d.%d"`, s.seq, s.revision.Life, s.revision.Branch, s.revision.Summary)
}

// matches reports whether an If-Match names the state. Weak tags never match
// (RFC 9110, section 13.1.1).
func (s state) matches(condition string) bool {
	for tag := range strings.SplitSeq(condition, ",") {
		if tag = strings.TrimSpace(tag); tag == "*" || tag == s.tag() {
			return true
		}
	}
	return false
}

// describe returns what the store says of a session, with its ETag. If the session
// changes in between, the tag is of before.
func (a *api) describe(ctx context.Context, key memory.Key) (memory.Info, state, error) {
	at, err := a.stateOf(ctx, key)
	if err != nil {
		return memory.Info{}, at, err
	}
	info, err := a.Store.Info(ctx, key)
	return info, at, storeError(err)
}

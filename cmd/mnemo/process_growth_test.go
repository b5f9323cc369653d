package main

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mnemo/memory"
)

// A long session costs no more than a short one.
func TestMnemo_sends_and_reads_no_more_of_a_longer_session(t *testing.T) {
	const (
		budget       = 2000 // tokens
		seedTokens   = 20   // of each message
		held         = budget / (2 * seedTokens)
		short, long  = 10, 10_000
		bytesPerTurn = 300 // at most, in a prompt
	)
	eachBackend(t, func(t *testing.T, b backend) {
		store := b.look(t)
		seed(t, store, "short", short, seedTokens)
		seed(t, store, "long", long, seedTokens)
		up := newFakeModel(t)
		o := b.setup(up)
		o.args = append(o.args, "--budget", strconv.Itoa(budget))
		m := serve(t, o)
		for _, c := range []struct {
			session             string
			stored, least, most int
		}{{"short", short, short, short}, {"long", long, held / 2, held}} {
			a := m.says(t, turn{session: c.session, text: "Go on."}, heard("Go on."))
			turns, tokens, dropped := number(t, a, "X-Memory-Turns"), number(t, a, "X-Memory-Tokens"), number(t, a, "X-Memory-Dropped")
			if turns < c.least || turns > c.most || tokens > budget || turns+dropped != c.stored {
				t.Errorf("of the %s session %d turns with %d tokens are sent, %d are not", c.session, turns, tokens, dropped)
			}
			if sent := up.last(); sent.messages() != 2*turns+1 || len(sent.body) > (turns+1)*bytesPerTurn {
				t.Errorf("of the %s session %d messages, %d bytes go upstream", c.session, sent.messages(), len(sent.body))
			}
		}
		one := &memory.Incoming{Messages: make([]memory.Message, 1)}
		fresh := b.look(t) // nothing is cached
		loaded, err := fresh.Load(t.Context(), sessionKey("long"), memory.Policy{Budget: budget}.Need(one))
		if err != nil || loaded.Seq != long+1 || len(loaded.Turns) > held+2 {
			t.Errorf("%d of %d turns are read, %v", len(loaded.Turns), loaded.Seq, err)
		}
	})
}

// seed stores turns whose messages have so many tokens.
func seed(t *testing.T, store memory.Store, session string, turns, tokens int) {
	t.Helper()
	const writers = 64 // share their transactions
	var writing sync.WaitGroup
	var next atomic.Int64
	for range min(writers, turns) {
		writing.Go(func() {
			for i := next.Add(1); i <= int64(turns); i = next.Add(1) {
				one := memory.Turn{At: time.Now(), Model: "gpt-4o"}
				for _, role := range []string{memory.RoleUser, memory.RoleAssistant} {
					m, err := memory.ParseMessage(fmt.Sprintf(`{"role":%q,"content":"%d. %s"}`, role, i, strings.Repeat("word ", tokens-5)))
					if err != nil {
						t.Error(err)
						return
					}
					m.Tokens = tokens
					one.Messages = append(one.Messages, m)
				}
				if _, err := store.Append(t.Context(), sessionKey(session), one); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writing.Wait()
}

// number is a header field of an answer.
func number(t *testing.T, a answer, name string) int {
	t.Helper()
	n, err := strconv.Atoi(a.header.Get(name))
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return n
}

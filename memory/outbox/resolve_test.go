package outbox

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"mnemo/memory"
	"mnemo/memory/sqlitestore"
)

// blind is a turn whose request brought the texts, a question first, when the log
// could not be read; the last one is the reply.
func blind(t *testing.T, texts ...string) memory.Turn {
	t.Helper()
	turn := memory.Turn{Model: "gpt-4o", Unresolved: true}
	for i, text := range texts {
		role := []string{"user", "assistant"}[i%2]
		m, err := memory.ParseMessage(`{"role":"` + role + `","content":"` + text + `"}`)
		if err != nil {
			t.Fatal(err)
		}
		turn.Messages = append(turn.Messages, m)
	}
	return turn
}

// wantSaid checks what a session's live turns say.
func wantSaid(t *testing.T, s memory.Store, want string) {
	t.Helper()
	turns, err := s.Turns(t.Context(), key, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for i := range turns {
		if turns[i].SupersededBy != 0 {
			continue
		}
		if turns[i].Unresolved {
			t.Errorf("turn %d was stored unresolved", turns[i].Seq)
		}
		for _, m := range turns[i].Messages {
			said = append(said, gjson.Get(m.Raw, "content").String())
		}
	}
	if got := strings.Join(said, " "); got != want {
		t.Errorf("the session says %q, want %q", got, want)
	}
}

func TestOutbox_takes_out_of_a_blind_turn_what_the_log_holds(t *testing.T) {
	spools := map[string]Options{"in memory": {}, "in files": {MaxTurns: 1, SpoolDir: t.TempDir()}}
	for name, opts := range spools {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			store, err := sqlitestore.Open(t.Context(), sqlitestore.Options{Path: filepath.Join(t.TempDir(), "m.db"), Relaxed: true})
			if err != nil {
				t.Fatal(err)
			}
			behind := &flaky{Store: store}
			opts.Store = behind
			o, err := Open(opts)
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			first := blind(t, "u1", "a1")
			first.Unresolved = false
			if _, err := o.Append(t.Context(), key, first); err != nil {
				t.Fatal(err)
			}
			behind.down.Store(true)
			for _, texts := range []string{
				"u1 a1 u2 a2",       // the whole history and a question
				"u3 a3",             // a question alone
				"u1 a1 u2 a2 u3 a4", // the last answer once more
				"u1 a1 u2 a2 u5 a5", // an edit
			} {
				if _, err := o.Append(t.Context(), key, blind(t, strings.Fields(texts)...)); !errors.Is(err, memory.ErrQueued) {
					t.Fatalf("%s: %v", texts, err)
				}
			}
			behind.down.Store(false)
			eventually(t, func() bool { s := o.Status(); return !s.Down && s.Queued+s.Spooled == 0 })
			wantSaid(t, store, "u1 a1 u2 a2 u5 a5")
			if _, err := o.Append(t.Context(), key, blind(t, "u5", "a5", "u6", "a6")); err != nil { // the load failed, the append does not
				t.Fatal(err)
			}
			wantSaid(t, store, "u1 a1 u2 a2 u5 a5 u6 a6")
		})
	}
}

func TestOutbox_stores_a_blind_turn_once_when_its_outcome_is_unknown(t *testing.T) {
	store, err := sqlitestore.Open(t.Context(), sqlitestore.Options{Path: filepath.Join(t.TempDir(), "m.db"), Relaxed: true})
	if err != nil {
		t.Fatal(err)
	}
	behind := &flaky{Store: store}
	o, err := Open(Options{Store: behind})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	for i, texts := range []string{"u1 a1", "u1 a1 u2 a2", "u1 a1 u2 a2 u3 a3"} {
		faults := 1
		behind.onAppends(func(memory.Key, *memory.Turn) fault {
			if faults--; faults == 0 {
				return after
			}
			return none
		})
		if _, err := o.Append(t.Context(), key, blind(t, strings.Fields(texts)...)); !errors.Is(err, memory.ErrQueued) {
			t.Fatalf("append %d: %v", i, err)
		}
		eventually(t, func() bool { s := o.Status(); return !s.Down && s.Queued == 0 })
		wantSaid(t, store, texts)
		if turns, err := store.Turns(t.Context(), key, 0, 100); err != nil || len(turns) != i+1 {
			t.Fatalf("%d turns, %v, want %d", len(turns), err, i+1)
		}
	}
}

// eventually waits for what a real store's outbox does in the background.
func eventually(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !done(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("it does not come to an end")
		}
	}
}

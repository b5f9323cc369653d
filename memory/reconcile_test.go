package memory

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// A ledger is a log in memory that keeps to what a Store promises.
type ledger struct {
	turns   []Turn // all
	summary *Summary
	reads   int // turns read
	finds   int
}

func (l *ledger) Find(_ context.Context, _ Key, links []Link) (int64, error) {
	l.finds++
	for _, link := range links {
		for i := len(l.turns) - 1; i >= 0; i-- {
			if l.turns[i].SupersededBy == 0 && slices.Contains(l.turns[i].Links(), link) {
				return l.turns[i].Seq, nil
			}
		}
	}
	return 0, nil
}

func (l *ledger) Turns(_ context.Context, _ Key, before int64, limit int) ([]Turn, error) {
	end := min(int(before)-1, len(l.turns))
	page := slices.Clone(l.turns[max(0, end-limit):end])
	l.reads += len(page)
	return page, nil
}

func (l *ledger) append(t Turn) {
	t.Seq = int64(len(l.turns) + 1)
	for i := range l.turns {
		if l.turns[i].SupersededBy == 0 && t.Replaces(&l.turns[i]) {
			l.turns[i].SupersededBy = t.Seq
		}
	}
	l.turns = append(l.turns, t)
	if l.summary != nil && t.Supersedes.First > 0 && t.Supersedes.First <= l.summary.UpTo {
		l.summary = nil
	}
}

func (l *ledger) live() (turns []Turn) {
	for i := range l.turns {
		if l.turns[i].SupersededBy == 0 {
			turns = append(turns, l.turns[i])
		}
	}
	return turns
}

func (l *ledger) load(need Need) *Session {
	s := &Session{Seq: int64(len(l.turns)), Turns: l.live()}
	for i := range s.Turns {
		s.Totals.Add(&s.Turns[i])
	}
	s.Summary = l.summary
	return loaded(s, need)
}

// said is the live conversation, oldest message first.
func (l *ledger) said() (messages []Message) {
	for _, t := range l.live() {
		messages = append(messages, t.Messages...)
	}
	return messages
}

// serve does what a chat call does: it reconciles, composes and appends the turn
// with the reply. It returns what is sent upstream.
func (l *ledger) serve(t testing.TB, in *Incoming, reply Message, p Policy) (Branch, []Message) {
	t.Helper()
	need := p.Need(in)
	b, err := Reconcile(t.Context(), l, Key{}, l.load(need), in, need)
	if err != nil {
		t.Fatal(err)
	}
	prompt := b.Compose(in, p, nil)
	l.append(Turn{Messages: slices.Concat(b.Kept, prompt.New, []Message{reply}), Supersedes: b.Supersedes})
	all := sent(&prompt)
	if why := illegal(all); why != "" {
		t.Errorf("%+v: for %q %q is sent: %s", p, words(in.Messages), words(all), why)
	}
	if prompt.Fold != (Position{}) && len(l.turns)%3 > 0 {
		s := &Session{Turns: l.live()}
		fold(s, prompt.Fold, 5)
		l.summary = s.Summary
	}
	return b, all
}

func ledgerOf(t testing.TB, scripts ...string) *ledger {
	t.Helper()
	l := &ledger{}
	for _, words := range scripts {
		l.append(Turn{Messages: script(t, words)})
	}
	return l
}

func TestReconcile_finds_where_each_kind_of_client_goes_on(t *testing.T) {
	three := []string{"u1 a1", "u2 a2", "u3 a3"}
	tests := []struct {
		name, asks string
		retry      bool
		log        []string
		sent       string // upstream
		live       string // afterwards, with the reply a9
		superseded int    // turns
	}{
		{name: "one new message", log: three, asks: "u4", sent: "u1 a1 u2 a2 u3 a3 u4", live: "u1 a1 u2 a2 u3 a3 u4 a9"},
		{name: "the first call", asks: "u1", sent: "u1", live: "u1 a9"},
		{name: "a whole history in the first call", asks: "u1 a1 u2", sent: "u1 a1 u2", live: "u1 a1 u2 a9"},
		{name: "the whole history again", log: three, asks: "u1 a1 u2 a2 u3 a3 u4", sent: "u1 a1 u2 a2 u3 a3 u4", live: "u1 a1 u2 a2 u3 a3 u4 a9"},
		{name: "a window that begins with a question", log: three, asks: "u3 a3 u4", sent: "u1 a1 u2 a2 u3 a3 u4", live: "u1 a1 u2 a2 u3 a3 u4 a9"},
		{name: "a window that begins with an answer", log: three, asks: "a3 u4", sent: "u1 a1 u2 a2 u3 a3 u4", live: "u1 a1 u2 a2 u3 a3 u4 a9"},
		{name: "the same question on purpose", log: three, asks: "u3", sent: "u1 a1 u2 a2 u3 a3 u3", live: "u1 a1 u2 a2 u3 a3 u3 a9"},
		{name: "the same call again by the SDK", log: three, asks: "u3", retry: true, sent: "u1 a1 u2 a2 u3", live: "u1 a1 u2 a2 u3 a9", superseded: 1},
		{name: "another question though the SDK retries", log: three, asks: "u4", retry: true, sent: "u1 a1 u2 a2 u3 a3 u4", live: "u1 a1 u2 a2 u3 a3 u4 a9"},
		{name: "the whole history again by the SDK", log: three, asks: "u1 a1 u2 a2 u3", retry: true, sent: "u1 a1 u2 a2 u3", live: "u1 a1 u2 a2 u3 a9", superseded: 1},
		{name: "an edit of the last question", log: three, asks: "u1 a1 u2 a2 u7", sent: "u1 a1 u2 a2 u7", live: "u1 a1 u2 a2 u7 a9", superseded: 1},
		{name: "an edit of an earlier question", log: three, asks: "u1 a1 u7", sent: "u1 a1 u7", live: "u1 a1 u7 a9", superseded: 2},
		{name: "an edit within a window", log: three, asks: "a2 u7", sent: "u1 a1 u2 a2 u7", live: "u1 a1 u2 a2 u7 a9", superseded: 1},
		{name: "an edit of an answer", log: three, asks: "u1 a1 u2 a7 u7", sent: "u1 a1 u2 a7 u7", live: "u1 a1 u2 a7 u7 a9", superseded: 2},
		{name: "the last answer anew", log: three, asks: "u1 a1 u2 a2 u3", sent: "u1 a1 u2 a2 u3", live: "u1 a1 u2 a2 u3 a9", superseded: 1},
		{name: "an earlier answer anew", log: three, asks: "u1 a1 u2", sent: "u1 a1 u2", live: "u1 a1 u2 a9", superseded: 2},
		{name: "the last answer anew in a window", log: three, asks: "a2 u3", sent: "u1 a1 u2 a2 u3", live: "u1 a1 u2 a2 u3 a9", superseded: 1},
		{name: "answers of another conversation", log: three, asks: "u8 a8 u4", sent: "u1 a1 u2 a2 u3 a3 u8 a8 u4", live: "u1 a1 u2 a2 u3 a3 u8 a8 u4 a9"},
		{name: "results alone", log: []string{"u1 c:x"}, asks: "t:x", sent: "u1 c:x t:x", live: "u1 c:x t:x a9"},
		{name: "results with their calls", log: []string{"u1 c:x"}, asks: "c:x t:x", sent: "u1 c:x t:x", live: "u1 c:x t:x a9"},
		{name: "results with all before them", log: []string{"u1 c:x"}, asks: "u1 c:x t:x", sent: "u1 c:x t:x", live: "u1 c:x t:x a9"},
		{name: "results again", log: []string{"u1 c:x", "t:x a2"}, asks: "t:x", sent: "u1 c:x t:x", live: "u1 c:x t:x a9", superseded: 1},
		{name: "results again with their calls", log: []string{"u1 c:x", "t:x a2"}, asks: "c:x t:x", sent: "u1 c:x t:x", live: "u1 c:x t:x a9", superseded: 1},
		{name: "results of the second calls by an id used twice", log: []string{"u1 c:x", "t:x a1", "u2 c:x"}, asks: "t:x", sent: "u1 c:x t:x a1 u2 c:x t:x", live: "u1 c:x t:x a1 u2 c:x t:x a9"},
		{name: "an edit inside a turn of many messages", log: []string{"u1 a1 u2 a2 u3 a3"}, asks: "u1 a1 u2 a2 u7", sent: "u1 a1 u2 a2 u7", live: "u1 a1 u2 a2 u7 a9", superseded: 1},
		{name: "nothing new", log: three, asks: "u3 a3", sent: "u1 a1 u2 a2 u3 a3", live: "u1 a1 u2 a2 u3 a3 a9"},
	}
	for _, test := range tests {
		t.Run(strings.ReplaceAll(test.name, " ", "_"), func(t *testing.T) {
			l := ledgerOf(t, test.log...)
			before := len(l.turns)
			in := asking(t, test.asks)
			in.Retry = test.retry
			_, sent := l.serve(t, in, script(t, "a9")[0], Policy{})
			if got := words(sent); got != test.sent {
				t.Errorf("sent %q, want %q", got, test.sent)
			}
			if got := words(l.said()); got != test.live {
				t.Errorf("the conversation is %q, want %q", got, test.live)
			}
			if got := before + 1 - len(l.live()); got != test.superseded {
				t.Errorf("%d turns superseded, want %d", got, test.superseded)
			}
		})
	}
}

func TestReconcile_reads_no_more_of_a_long_log_than_the_request_reaches(t *testing.T) {
	l := &ledger{}
	for i := range 5000 {
		l.append(Turn{Messages: script(t, fmt.Sprintf("u%d a%d", i, i))})
	}
	p := Policy{Budget: 100}
	for asks, want := range map[string][2]int{ // turns read and lookups
		"u9999":                     {0, 0},
		"u4998 a4998 u4999 a4999 u": {0, 0},
		"u4997 a4997 u4998 a4998 u": {32, 0}, // what composing needs before the edit
		"a4998 u":                   {32, 0},
		"u70000 a70000 u":           {0, 1},
		"a70000 u":                  {32, 0},
		"u4900 a4900 u":             {224, 1}, // pages of 32, 64 and 128
	} {
		l.reads, l.finds = 0, 0
		in := asking(t, asks)
		need := p.Need(in)
		if _, err := Reconcile(t.Context(), l, Key{}, l.load(need), in, need); err != nil {
			t.Fatal(err)
		}
		if l.reads > want[0] || l.finds != want[1] {
			t.Errorf("%q: %d turns read with %d lookups, want at most %d with %d", asks, l.reads, l.finds, want[0], want[1])
		}
	}
}

func TestReconcile_continues_an_edited_log_as_if_it_had_never_been_longer(t *testing.T) {
	for _, p := range []Policy{{Budget: 150}, {Budget: 150, OneOff: true}, {Strategy: Window, Window: 3}, {}} {
		long, short := &ledger{}, &ledger{}
		for i := range 60 {
			turn := Turn{Messages: script(t, fmt.Sprintf("u%d a%d", i, i))}
			long.append(turn)
			if i < 40 {
				short.append(turn)
			}
		}
		_, got := long.serve(t, asking(t, "u38 a38 u39 a39 u99"), script(t, "a99")[0], p)
		_, want := short.serve(t, asking(t, "u38 a38 u39 a39 u99"), script(t, "a99")[0], p)
		if words(got) != words(want) {
			t.Errorf("%+v: sent %q, want %q", p, words(got), words(want))
		}
		if words(long.said()) != words(short.said()) {
			t.Errorf("%+v: said %q, want %q", p, words(long.said()), words(short.said()))
		}
	}
}

func TestReconcile_drops_a_summary_that_covers_what_is_superseded(t *testing.T) {
	l := ledgerOf(t, "u1 a1", "u2 a2", "u3 a3", "u4 a4")
	s := l.load(Need{Tokens: 1000})
	s.Summary = &Summary{UpTo: 2, Text: "record"}
	for asks, kept := range map[string]bool{"u3 a3 u7": true, "u2 a2 u7": true, "u1 a1 u7": false} {
		b, err := Reconcile(t.Context(), l, Key{}, s, asking(t, asks), Need{})
		if err != nil {
			t.Fatal(err)
		}
		if got := b.Session.Summary != nil; got != kept {
			t.Errorf("%q: the summary is kept: %v, want %v", asks, got, kept)
		}
	}
}

// TestReconcile_keeps_one_live_copy_of_each_turn plays random clients against a
// session, and compares the log with what the clients' user saw.
func TestReconcile_keeps_one_live_copy_of_each_turn(t *testing.T) {
	t.Parallel()
	histories := 100_000
	if raceEnabled {
		histories = 5_000
	}
	for seed := range uint64(histories) {
		play(t, seed)
		if t.Failed() {
			t.Fatalf("history %d", seed)
		}
	}
}

// A player is a user at clients of all kinds, on one session.
type player struct {
	*rand.Rand
	t     testing.TB
	log   ledger
	truth []Message // the conversation as the user sees it
	turns []int     // where in the truth each request's new messages began
	next  int
	past  []string // what was done, for the report
	// summarises says that all calls ask for it.
	summarises bool
}

func play(t testing.TB, seed uint64) {
	g := &player{Rand: rand.New(rand.NewPCG(seed, 7)), t: t, summarises: seed%3 == 0}
	for range 4 + g.IntN(12) {
		g.step()
		if got, want := words(g.log.said()), words(g.truth); got != want {
			t.Errorf("after %s\nthe log says   %s\nthe user saw   %s", strings.Join(g.past, ", "), got, want)
			return
		}
	}
}

// step makes one request of a random kind. known is what of the truth the request
// continues; the rest of it is superseded.
func (g *player) step() {
	known := len(g.truth)
	var fresh []Message
	retry := false
	pending := known > 0 && len(g.truth[known-1].Calls) > 0
	kind := g.IntN(10)
	switch {
	case known == 0:
		fresh = g.first()
	case pending:
		fresh = g.results(g.truth[known-1])
	case kind < 6: // a new message
		fresh = []Message{g.word("u")}
		if g.IntN(8) == 0 { // the same question again, on purpose
			fresh = []Message{g.question()}
		}
	case kind == 6: // a retry of the same call
		known, retry = g.turns[len(g.turns)-1], true
		fresh = slices.Clone(g.truth[known : len(g.truth)-1])
	case kind == 7: // an answer anew
		known = g.answer()
	default: // an edit
		if known = g.answer(); known > 0 && g.truth[known-1].Role == RoleUser {
			known--
		}
		fresh = []Message{g.word("u")}
	}
	request, how := g.request(known, fresh, retry)
	if request == nil {
		return
	}
	g.past = append(g.past, fmt.Sprintf("%s %q", how, words(request)))
	reply := g.reply()
	policies := []Policy{{}, {Budget: 40}, {Budget: 90, OneOff: true}, {Strategy: Window, Window: 1}, {Strategy: Summarize, Budget: 70}}
	policy := policies[max(0, g.IntN(7)-2)]
	if g.summarises {
		policy = Policy{Strategy: Summarize, Budget: 40 + 10*g.IntN(5), OneOff: g.IntN(8) == 0}
	}
	b, _ := g.log.serve(g.t, &Incoming{Messages: request, Retry: retry}, reply, policy)
	if got := words(append(slices.Clone(b.Kept), request[b.Overlap:]...)); b.Supersedes == (Span{}) && got != words(fresh) {
		g.t.Errorf("%s: the new messages are %q, want %q", g.past[len(g.past)-1], got, words(fresh))
	}
	g.truth = append(slices.Concat(g.truth[:known], fresh), reply)
	for len(g.turns) > 0 && g.turns[len(g.turns)-1] >= known {
		g.turns = g.turns[:len(g.turns)-1]
	}
	g.turns = append(g.turns, known)
}

// request writes the messages that a client sends: nothing of what it knows, all of
// it, or its end.
func (g *player) request(known int, fresh []Message, retry bool) (request []Message, how string) {
	sinceEnd := known < len(g.truth)
	least := 0 // of the known messages, so that an edit is known as one
	if sinceEnd && !retry {
		least = g.needed(known)
		if least < 0 {
			return nil, ""
		}
	}
	switch n := g.IntN(3); {
	case n == 0 && least == 0 && len(fresh) > 0:
		return g.varied(fresh), "new alone"
	case n == 1 && (!retry || g.needed(known) >= 0):
		return g.varied(slices.Concat(g.truth[:known], fresh)), "all"
	case known > 0 && least < known && !retry:
		from := known - max(least, 1) - g.IntN(known-max(least, 1)+1)
		return g.varied(slices.Concat(g.truth[from:known], fresh)), "window"
	case len(fresh) > 0 && (retry || !sinceEnd):
		return g.varied(fresh), "new alone"
	}
	return g.varied(slices.Concat(g.truth[:known], fresh)), "all"
}

// needed is how many messages before a place a request must bring to hold an
// answer; below 0 if there is none.
func (g *player) needed(known int) int {
	for i := known - 1; i >= 0; i-- {
		if g.truth[i].Role == RoleAssistant {
			return known - i
		}
	}
	return -1
}

func (g *player) first() []Message {
	if g.IntN(4) > 0 {
		return []Message{g.word("u")}
	}
	var imported []Message
	for range 1 + g.IntN(3) {
		imported = append(imported, g.word("u"), g.word("a"))
	}
	return append(imported, g.word("u"))
}

// answer is where an answer of the truth stands.
func (g *player) answer() int {
	var at []int
	for i := range g.truth {
		if g.truth[i].Role == RoleAssistant {
			at = append(at, i)
		}
	}
	return at[g.IntN(len(at))]
}

func (g *player) question() Message {
	var asked []Message
	for i := range g.truth {
		if g.truth[i].Role == RoleUser {
			asked = append(asked, g.truth[i])
		}
	}
	return asked[g.IntN(len(asked))]
}

func (g *player) results(calls Message) (results []Message) {
	for _, id := range calls.Calls {
		results = append(results, script(g.t, "t:"+id)[0])
	}
	return results
}

func (g *player) reply() Message {
	if g.IntN(5) > 0 {
		return g.word("a")
	}
	g.next++
	if g.IntN(2) == 0 {
		return script(g.t, fmt.Sprintf("c:x%d,y%d", g.next, g.next))[0]
	}
	return script(g.t, fmt.Sprintf("c:x%d", g.next))[0]
}

func (g *player) word(kind string) Message {
	g.next++
	return script(g.t, fmt.Sprint(kind, g.next))[0]
}

// varied writes some of the messages in another way that means the same.
func (g *player) varied(messages []Message) []Message {
	messages = slices.Clone(messages)
	for i := range messages {
		if m := &messages[i]; m.Role == RoleUser && g.IntN(4) == 0 {
			_, text, _ := strings.Cut(m.Raw, `"content":"`)
			text, _, _ = strings.Cut(text, `"`)
			same, err := ParseMessage(fmt.Sprintf(`{"content":[{"type":"text","text":%q}],"role":"user"}`, text))
			if err != nil || same.Hash != m.Hash {
				g.t.Fatalf("%s is not the same as %s", same.Raw, m.Raw)
			}
			same.Tokens = m.Tokens
			m.Hash = same.Hash
		}
	}
	return messages
}

func (l *ledger) Load(_ context.Context, _ Key, need Need) (Session, error) {
	return *l.load(need), nil
}

func TestResolve_knows_a_call_that_was_sent_again(t *testing.T) {
	for asks, want := range map[string]string{
		"u2":       "u1 a1 u2 a9",       // the first attempt is in the log
		"u1 a1 u2": "u1 a1 u2 a9",       // … and the client resends
		"u3":       "u1 a1 u2 a2 u3 a9", // it is not
	} {
		l := ledgerOf(t, "u1 a1", "u2 a2")
		turn, err := Resolve(t.Context(), l, Key{}, Turn{Messages: script(t, asks+" a9"), Unresolved: true, Repeated: true})
		if err != nil || turn.Unresolved || turn.Repeated {
			t.Fatal(turn, err)
		}
		l.append(turn)
		if got := words(l.said()); got != want {
			t.Errorf("%q: the conversation is %q, want %q", asks, got, want)
		}
	}
}

func TestResolve_takes_out_of_a_turn_what_the_log_holds(t *testing.T) {
	for asks, want := range map[string]string{
		"u4":                   "u1 a1 u2 a2 u3 a3 u4 a9",
		"u1 a1 u2 a2 u3 a3 u4": "u1 a1 u2 a2 u3 a3 u4 a9",
		"u3 a3 u4":             "u1 a1 u2 a2 u3 a3 u4 a9",
		"u1 a1 u2":             "u1 a1 u2 a9",
		"u1 a1 u7":             "u1 a1 u7 a9",
		"u3 a3 u4 a4 u5":       "u1 a1 u2 a2 u3 a3 u4 a4 u5 a9",
	} {
		l := ledgerOf(t, "u1 a1", "u2 a2", "u3 a3")
		turn := Turn{Messages: script(t, asks+" a9"), Unresolved: true}
		turn, err := Resolve(t.Context(), l, Key{}, turn)
		if err != nil || turn.Unresolved {
			t.Fatal(turn, err)
		}
		l.append(turn)
		if got := words(l.said()); got != want {
			t.Errorf("%q: the conversation is %q, want %q", asks, got, want)
		}
	}
	resolved := Turn{Messages: script(t, "u1 a1"), Supersedes: Span{1, 1}}
	if got, err := Resolve(t.Context(), nil, Key{}, resolved); err != nil || got.Supersedes != resolved.Supersedes || len(got.Messages) != 2 {
		t.Errorf("a resolved turn became %+v, %v", got, err)
	}
}

func TestReconcile_takes_a_repeated_call_for_the_last_turns_only_shortly_after_it(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	for ago, superseded := range map[time.Duration]int{time.Second: 1, RetryWindow: 1, RetryWindow + time.Millisecond: 0} {
		l := &ledger{}
		l.append(Turn{Messages: script(t, "u1 a1"), At: now.Add(-ago)})
		in := asking(t, "u1")
		in.Retry, in.At = true, now
		l.serve(t, in, script(t, "a9")[0], Policy{})
		if got := len(l.turns) - len(l.live()); got != superseded {
			t.Errorf("%v after the answer: %d turns superseded, want %d", ago, got, superseded)
		}
	}
}

func TestReconcile_knows_the_part_of_an_answer_that_a_client_saw(t *testing.T) {
	for asks, want := range map[string]string{
		"u1 a7 u2": "u1 a7 u2 a9",       // less of it than is stored
		"u1 a1 u2": "u1 a1 u2 a9",       // as much
		"u2":       "u1 a1 u2 a9",       // nothing is resent
		"u1 a7":    "u1 a7 a9",          // to be continued
		"u8 a7 u2": "u1 a1 u8 a7 u2 a9", // another conversation
	} {
		l := &ledger{}
		l.append(Turn{Messages: script(t, "u1 a1"), Partial: true})
		l.serve(t, asking(t, asks), script(t, "a9")[0], Policy{})
		if got := words(l.said()); got != want {
			t.Errorf("%q: the conversation is %q, want %q", asks, got, want)
		}
	}
}

package main

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mnemo/memory"
	"mnemo/memory/storetest/redisserver"
	"mnemo/memory/transcript"
)

const (
	killSessions = 50
	killTurns    = 40 // of each
	kills        = 7
	// retryPause is how long a client waits before it calls again.
	retryPause = 200 * time.Millisecond
)

// Two processes serve sessions with summaries; one after the other is killed and
// started again, and clients do what SDKs do. Nothing that a client saw is missing,
// nothing is there twice, and each summary is of what it says.
func TestMnemo_keeps_logs_whole_and_summaries_exact_while_it_is_killed(t *testing.T) {
	b, tally := redisBackend(redisserver.Start(t)), &tally{t: t, writing: map[string]bool{}}
	up := newScribe(t, tally.answer)
	o := up.setup(b, 700, 150, "")
	f := &fleet{ended: make(chan struct{}, killSessions*killTurns)}
	for i := range f.processes {
		f.processes[i].Store(serve(t, o))
	}
	var talking sync.WaitGroup
	clients := make([]*killClient, killSessions)
	for s := range clients {
		clients[s] = &killClient{t: t, number: s, fleet: f}
		talking.Go(func() { clients[s].talk(t.Context()) })
	}
	for k := range kills {
		f.await(t, killSessions*killTurns/(kills+1))
		victim := &f.processes[k%len(f.processes)]
		victim.Load().kill()
		victim.Store(serve(t, o))
	}
	talking.Wait()
	store, again, summaries := b.look(t), 0, 0
	for _, c := range clients {
		superseded, summary := c.check(t, store)
		again += superseded
		if summary {
			summaries++
		}
	}
	if f.retries.Load() == 0 || summaries < killSessions/2 {
		t.Errorf("%d calls were repeated, %d sessions have a summary", f.retries.Load(), summaries)
	}
	t.Logf("%d calls repeated, %d of them answered before; %d summaries written, %d sessions have one", f.retries.Load(), again, tally.written.Load(), summaries)
}

// A fleet is the processes that serve now.
type fleet struct {
	processes [2]atomic.Pointer[mnemo]
	ended     chan struct{} // takes one for each turn that is done
	retries   atomic.Int64
}

// await waits until so many more turns are done.
func (f *fleet) await(t *testing.T, turns int) {
	t.Helper()
	end := time.After(3 * patience)
	for n := range turns {
		select {
		case <-f.ended:
		case <-end:
			t.Fatalf("only %d of %d turns are done in time", n, turns)
		}
	}
}

// A killClient has one session, through any process.
type killClient struct {
	t       *testing.T
	number  int
	fleet   *fleet
	retried map[int]bool // the questions that were asked again
}

// talk asks all questions, one after the other.
func (c *killClient) talk(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 6*patience)
	defer cancel()
	c.retried = map[int]bool{}
	for i := range killTurns {
		if !c.ask(ctx, i+1) {
			return
		}
		c.fleet.ended <- struct{}{}
	}
}

// ask asks until there is an answer. Only a connection that breaks is a reason to
// ask again.
func (c *killClient) ask(ctx context.Context, number int) bool {
	for attempt := 0; ; attempt++ {
		question := c.question(number)
		m := c.fleet.processes[(c.number+number+attempt)%len(c.fleet.processes)].Load()
		a, err := m.call(ctx, c.session(), message("user", question), number%2 == 0, attempt)
		if err == nil && a.status == http.StatusOK && a.text == heard(question) && a.header.Get("X-Memory-Status") == "ok" {
			return true
		}
		if err == nil || ctx.Err() != nil {
			c.t.Errorf("%q is answered with %d %s, %v, memory %s", question, a.status, a.body, err, a.header.Get("X-Memory-Status"))
			return false
		}
		c.retried[number] = true
		c.fleet.retries.Add(1)
		select {
		case <-time.After(retryPause):
		case <-ctx.Done():
		}
	}
}

func (c *killClient) session() string { return fmt.Sprintf("session-%d", c.number) }

func (c *killClient) question(number int) string {
	return fmt.Sprintf("Question %d of session %d, %s", number, c.number, strings.Repeat("which is about the tea and the bread, ", 3))
}

// check looks at the session as it is stored: its turns in order, each once, and
// its summary. It returns how many turns were superseded.
func (c *killClient) check(t *testing.T, store memory.Store) (superseded int, summary bool) {
	t.Helper()
	info, err := store.Info(t.Context(), sessionKey(c.session()))
	if err != nil {
		t.Fatal(err)
	}
	snapshot := memory.Snapshot{Summary: info.Summary}
	var marks []int64
	for stored, err := range transcript.Pages(t.Context(), store, info.Key, info.Seq) {
		if err != nil {
			t.Fatal(err)
		}
		snapshot.Turns = append(snapshot.Turns, *stored)
		marks = append(marks, stored.SupersededBy)
	}
	if err := snapshot.Settle(); err != nil || snapshot.Totals != info.Totals || snapshot.Spent != info.Spent {
		t.Errorf("%s has %+v and %+v, its turns %+v and %+v, %v", c.session(), info.Totals, info.Spent, snapshot.Totals, snapshot.Spent, err)
	}
	live, covered := 0, 0
	for i := range snapshot.Turns {
		one := &snapshot.Turns[i]
		if marks[i] != one.SupersededBy {
			t.Errorf("turn %d of %s is superseded by %d, stored is %d", one.Seq, c.session(), one.SupersededBy, marks[i])
		}
		if question := wholeQuestion(t, one); question != c.question(live+1) {
			t.Fatalf("after %d questions, %s goes on with %q", live, c.session(), question)
		}
		if one.SupersededBy != 0 {
			superseded++
			if !c.retried[live+1] {
				t.Errorf("%s lost the answer to question %d, which was asked once", c.session(), live+1)
			}
			continue
		}
		live++
		if info.Summary != nil && one.Seq <= info.Summary.UpTo {
			covered++
		}
	}
	if live != killTurns {
		t.Errorf("%s has %d turns, want %d", c.session(), live, killTurns)
	}
	if info.Summary != nil && (info.Summary.Text != tallied(covered, c.number) || info.Summary.Left != 0) {
		t.Errorf("%s has the summary %+v of %d turns", c.session(), info.Summary, covered)
	}
	return superseded, info.Summary != nil
}

var (
	asked = regexp.MustCompile(`(?m)^user: Question (\d+) of session (\d+)`)
	told  = regexp.MustCompile(`Questions 1 to (\d+) of session (\d+)`)
)

// A tally writes summaries that count the questions, and sees that none is left out
// and none comes twice.
type tally struct {
	t       *testing.T
	written atomic.Int64

	mu      sync.Mutex
	writing map[string]bool // by session
}

func (y *tally) answer(w http.ResponseWriter, _ *http.Request, shown string) {
	last, session := 0, ""
	if before := told.FindStringSubmatch(shown); before != nil {
		last, session = atoi(before[1]), before[2]
	}
	for _, question := range asked.FindAllStringSubmatch(shown, -1) {
		if session == "" {
			session = question[2]
		}
		if question[2] != session || atoi(question[1]) != last+1 {
			y.t.Errorf("after %d questions of session %s comes %q in %s", last, session, question[0], shown)
		}
		last++
	}
	if !y.begin(session) {
		y.t.Errorf("two summaries of session %s are written at once", session)
	}
	defer y.end(session)
	y.written.Add(1)
	writeSummary(w, tallied(last, atoi(session)))
}

func (y *tally) begin(session string) bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	busy := y.writing[session]
	y.writing[session] = true
	return !busy
}

func (y *tally) end(session string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	delete(y.writing, session)
}

func tallied(questions, session int) string {
	return fmt.Sprintf("Questions 1 to %d of session %d were asked and answered.", questions, session)
}

func atoi(digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil {
		return -1
	}
	return n
}

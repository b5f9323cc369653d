package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/tidwall/gjson"
)

// A plan is one call: what its client asks, what its upstreams do, and when somebody
// leaves.
type plan struct {
	kind    string
	key     string      // of the client
	session string      // "": none
	header  http.Header // beside what every call has
	body    string
	stream  bool
	full    []reply // what a model that is not disturbed says
	answer  func(upstream string, number int, body string) script

	// A client that leaves does so when it has seen so many events and so many bytes more;
	// if there are to be none, when the upstream has its request.
	leaves        bool
	events, bytes int

	arrive sync.Once
	came   chan struct{} // closed when the upstream has a request that it will not answer
	mu     sync.Mutex
	seen   int           // events that the client has seen
	saw    chan struct{} // closed when it has seen more
}

// A script is what an upstream does with one request.
type script struct {
	status  int
	silent  bool // it answers nothing
	choices []reply
	tells   bool // what it took, if it is asked
	stopsAt int  // the piece of a stream, or the tenth of a text, that does not come; -1: none
	leaves  bool // … because it waits for the client to leave; else it cuts
	paced   bool // each piece comes when the client has seen the one before
	body    string
}

// A reply is what a choice says, and whom it calls.
type reply struct{ content, arguments string }

// A piece is a delta of one choice.
type piece struct {
	reply
	choice int
	delta  string
}

// A gathering is the pieces of one choice that were delivered.
type gathering struct {
	reply
	called bool
}

var planNothing = plan{answer: func(_ string, _ int, body string) script {
	return script{status: http.StatusOK, choices: []reply{{content: "I am here to say nothing of importance."}}, tells: true, stopsAt: -1, body: body}
}, came: make(chan struct{})}

// shares are how many of a hundred calls are of a kind.
var shares = []struct {
	kind  string
	share int
}{
	{"plain", 14}, {"stream", 18}, {"tools", 10}, {"choices", 11}, {"left early", 6}, {"left", 15}, {"cut", 8},
	{"cut whole", 4}, {"retried", 6}, {"hedged", 2}, {"rescued", 5}, {"lost", 1},
}

// newPlan draws the n-th call.
func newPlan(r *rand.Rand, n int, key string) *plan {
	at, kind := n%100, ""
	for _, s := range shares {
		if at -= s.share; at < 0 {
			kind = s.kind
			break
		}
	}
	p := &plan{kind: kind, key: key, came: make(chan struct{}), saw: make(chan struct{}), full: []reply{{content: prose(r, 40+r.IntN(160))}}}
	p.stream = !slices.Contains([]string{"plain", "cut whole"}, kind) && (r.IntN(3) > 0 || slices.Contains([]string{"stream", "left", "cut", "hedged", "rescued", "lost"}, kind))
	if r.IntN(2) == 0 {
		p.session = key + "-" + fmt.Sprint(r.IntN(2))
	}
	model, extra := []string{"gpt-4o", "gpt-4o", "mute"}[r.IntN(3)], ""
	switch kind {
	case "tools":
		p.full[0] = reply{content: []string{"", prose(r, 20)}[r.IntN(2)], arguments: `{"about":"` + prose(r, 30) + `"}`}
		extra = `,"tools":[{"type":"function","function":{"name":"look_up","description":"` + prose(r, 20) + `","parameters":{"type":"object"}}}]`
	case "choices":
		for range 1 + r.IntN(3) {
			p.full = append(p.full, reply{content: prose(r, 40+r.IntN(80))})
		}
		extra = fmt.Sprintf(`,"n":%d`, len(p.full))
	case "left", "left early":
		p.leaves = true
		if r.IntN(4) == 0 && kind == "left" {
			p.full = append(p.full, reply{content: prose(r, 60)})
			extra = `,"n":2`
		}
	case "hedged":
		model = "hedge"
	case "rescued":
		model = []string{"rescue-afresh", "rescue-prefill", "rescue-mute"}[r.IntN(3)]
	case "lost":
		model = "lost"
	}
	if p.stream && r.IntN(4) > 0 {
		extra += `,"stream_options":{"include_usage":true}`
	}
	p.body = fmt.Sprintf(`{"model":%q,"stream":%t,"messages":[%s]%s}`, model, p.stream, message("user", prose(r, 60+r.IntN(200))), extra)
	p.behave(r)
	return p
}

// behave says what the upstreams do.
func (p *plan) behave(r *rand.Rand) {
	stop, fails := 1+r.IntN(max(1, len(script{choices: p.full}.pieces())-1)), 1+r.IntN(2)
	if p.events = stop; p.kind == "left early" {
		p.events = 0
	}
	p.bytes = 1 + r.IntN(40)
	tenth, always := 1+r.IntN(9), r.IntN(3) == 0
	p.answer = func(upstream string, number int, body string) script {
		s := script{status: http.StatusOK, choices: p.full, tells: upstream != "mute", stopsAt: -1, body: body}
		switch {
		case p.kind == "left early", p.kind == "hedged" && upstream == "slow":
			s.silent = true
		case p.kind == "left":
			s.paced = true
		case p.kind == "cut", (p.kind == "rescued" || p.kind == "lost") && upstream == "brittle":
			s.paced, s.stopsAt = true, stop
		case p.kind == "cut whole" && (number == 1 || always):
			s.stopsAt = tenth
		case p.kind == "retried" && number <= fails, p.kind == "lost":
			s.status = http.StatusInternalServerError
		case upstream == "second":
			said := gjson.Get(body, "messages.@reverse.0")
			if said.Get("role").String() == "assistant" {
				s.choices = []reply{{content: strings.TrimPrefix(p.full[0].content, said.Get("content").String())}}
			}
		}
		return s
	}
}

// arrived tells the client that the upstream has its request.
func (p *plan) arrived() { p.arrive.Do(func() { close(p.came) }) }

// sees tells the upstream how many events the client has seen.
func (p *plan) sees(events int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = events
	close(p.saw)
	p.saw = make(chan struct{})
}

// sawAll waits until the client has seen the first event and so many pieces. The first
// may be held until there is a piece.
func (p *plan) sawAll(r *http.Request, pieces int) bool {
	for {
		p.mu.Lock()
		seen, saw := p.seen, p.saw
		p.mu.Unlock()
		if pieces == 0 || seen > pieces {
			return true
		}
		select {
		case <-saw:
		case <-r.Context().Done():
			return false
		}
	}
}

// pieces are the deltas of all choices, in turn.
func (s script) pieces() (all []piece) {
	var lists [][]piece
	for i, c := range s.choices {
		var list []piece
		for text := range slices.Chunk(strings.SplitAfter(c.content, " "), 6) {
			if said := strings.Join(text, ""); said != "" {
				list = append(list, piece{reply{content: said}, i, `{"content":` + quoted(said) + `}`})
			}
		}
		if c.arguments != "" {
			list = append(list, piece{reply{}, i, `{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"look_up","arguments":""}}]}`})
			for part := range slices.Chunk([]byte(c.arguments), 40) {
				list = append(list, piece{reply{arguments: string(part)}, i, `{"tool_calls":[{"index":0,"function":{"arguments":` + quoted(string(part)) + `}}]}`})
			}
		}
		lists = append(lists, list)
	}
	for at, more := 0, true; more; at++ {
		more = false
		for _, list := range lists {
			if at < len(list) {
				all, more = append(all, list[at]), true
			}
		}
	}
	return all
}

func (g *gathering) add(p piece) {
	g.content, g.arguments = g.content+p.content, g.arguments+p.arguments
	g.called = g.called || strings.Contains(p.delta, "tool_calls")
}

func (g *gathering) message() string {
	if !g.called {
		return message("assistant", g.content)
	}
	return g.calls()
}

func (c reply) message() string {
	if c.arguments == "" {
		return message("assistant", c.content)
	}
	return c.calls()
}

func (c reply) calls() string {
	return fmt.Sprintf(`{"role":"assistant","content":%s,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"look_up","arguments":%s}}]}`,
		quoted(c.content), quoted(c.arguments))
}

// prose is so many words.
func prose(r *rand.Rand, n int) string {
	words := strings.Fields("the a river stone of quiet light carries under every old bridge and some people wonder whether rain will return before winter because nobody counted how many lanterns they had left Zürich 1742 naïve übergroß antidisestablishment")
	text := make([]string, n)
	for i := range text {
		text[i] = words[r.IntN(len(words))]
	}
	return strings.Join(text, " ") + "."
}

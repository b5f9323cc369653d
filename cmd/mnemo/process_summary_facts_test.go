package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"mnemo/memory/tokens"
)

const (
	factBudget  = 3000 // tokens
	factSummary = 800
)

// What is said once at a session's beginning is in every later prompt, and so it is
// after a kill: word for word, or in the record, or, while a summary is being made,
// among what was trimmed just now.
func TestMnemo_loses_no_fact_to_summaries(t *testing.T) {
	const filler, leastRolls = 300, 5
	facts := plantedFacts()
	e := &extractor{t: t, facts: facts}
	up := newScribe(t, e.answer)
	o := up.setup(sqliteBackend(t), factBudget, factSummary, "")
	m := serve(t, o)
	d, rng := &dialogue{session: "s"}, rand.New(rand.NewPCG(3, 40))
	states := map[string]int{}
	for g := range len(facts) + filler {
		d.instruct(g)
		made := len(m.log.all(`"reason":"done"`))
		text, found := remarkAbout(g, facts, rng)
		for _, c := range d.remarks(t, m, up, text, found, g%3 == 0) {
			states[c.state]++
			e.wantFacts(t, &c, made, g)
			if c.state == "pending" && rng.IntN(2) == 0 {
				m.log.waitAll(t, `"reason":"done"`, made+1)
			}
		}
	}
	m.log.waitAll(t, `"reason":"done"`, leastRolls)
	for _, line := range m.log.all(`"msg":"summary"`) {
		if !strings.Contains(line, `"reason":"done"`) {
			t.Error(line)
		}
	}
	if states["none"] == 0 || states["used"] == 0 || states["pending"] == 0 {
		t.Errorf("the summaries were %v", states)
	}
	t.Logf("%d summaries; calls by state: %v", len(m.log.all(`"reason":"done"`)), states)
	m.kill()
	again := serve(t, o)
	for made := 0; ; made++ {
		c := d.remarks(t, again, up, "What was that? remark "+codeOf(len(d.groups))+".", "", false)[0]
		e.wantFacts(t, &c, made, len(d.groups)-1)
		if c.state != "pending" {
			for _, fact := range facts {
				if !strings.Contains(c.record, fact) {
					t.Errorf("%q is not in the record at the end", fact)
				}
			}
			return
		}
		again.log.waitAll(t, `"reason":"done"`, made+1)
	}
}

// Where calls wait for summaries, nothing is ever missing.
func TestMnemo_puts_a_summary_into_the_call_that_waits_for_it(t *testing.T) {
	const filler, leastRolls = 60, 3
	facts := plantedFacts()[:20]
	e := &extractor{t: t, facts: facts}
	up := newScribe(t, e.answer)
	m := serve(t, up.setup(sqliteBackend(t), factBudget/2, factSummary, ", inline: true"))
	d, rng, rolls, record := &dialogue{session: "s"}, rand.New(rand.NewPCG(5, 40)), 0, ""
	for g := range len(facts) + filler {
		d.instruct(g)
		made := e.made()
		text, found := remarkAbout(g, facts, rng)
		for _, c := range d.remarks(t, m, up, text, found, g%2 == 0) {
			e.wantFacts(t, &c, made, g)
			if c.state == "pending" {
				t.Errorf("a call did not wait for its summary: %s", c.body)
			}
			if c.record != record {
				rolls++
			}
			record = c.record
		}
	}
	if rolls < leastRolls || rolls != e.made() {
		t.Errorf("%d summaries were written, calls got %d", e.made(), rolls)
	}
}

// A call that waits does so no longer than summaries may take, and gets what it
// would get without.
func TestMnemo_answers_though_the_summary_it_waits_for_fails(t *testing.T) {
	ends := map[string]summarizing{
		"an error": func(w http.ResponseWriter, _ *http.Request, _ string) { w.WriteHeader(http.StatusBadRequest) },
		"silence":  func(_ http.ResponseWriter, r *http.Request, _ string) { <-r.Context().Done() },
		"nothing":  func(w http.ResponseWriter, _ *http.Request, _ string) { writeSummary(w, "") },
	}
	for name, end := range ends {
		up := newScribe(t, end)
		m := serve(t, up.setup(sqliteBackend(t), 400, 100, ", inline: true, timeout: 300ms"))
		d, rng, trimmed := &dialogue{session: strings.ReplaceAll(name, " ", "-")}, rand.New(rand.NewPCG(6, 40)), 0
		for g := range 20 {
			text, _ := remarkAbout(g, nil, rng)
			if c := d.remarks(t, m, up, text, "", false)[0]; c.state == "pending" && c.first > 0 && c.record == "" {
				trimmed++
			}
		}
		if trimmed == 0 {
			t.Errorf("with %s no prompt was trimmed", name)
		}
	}
}

// An extractor writes summaries of nothing but the facts that it is shown, and
// says up to where.
type extractor struct {
	t     *testing.T
	facts []string

	mu      sync.Mutex
	written []string
}

func (e *extractor) answer(w http.ResponseWriter, _ *http.Request, shown string) {
	text := ""
	for _, fact := range e.facts {
		if strings.Contains(shown, fact) {
			text += fact + "\n"
		}
	}
	text += "Up to remark " + codeIn(shown) + "."
	if n := tokens.For("gpt-4o").Count(text); n > factSummary {
		e.t.Errorf("a summary has %d tokens", n)
	}
	e.mu.Lock()
	e.written = append(e.written, text)
	e.mu.Unlock()
	writeSummary(w, text)
}

func (e *extractor) made() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.written)
}

// wantFacts checks a prompt that was composed when so many summaries at least were
// in force, in a group.
func (e *extractor) wantFacts(t *testing.T, c *composed, made, group int) {
	t.Helper()
	e.mu.Lock()
	at := slices.Index(e.written, c.record)
	e.mu.Unlock()
	if c.record != "" && at < 0 || at < made-1 {
		t.Errorf("after %d summaries, the prompt has summary %d: %s", made, at, c.record)
	}
	next := groupOf(codeIn(c.record)) + 1
	want := "used"
	switch {
	case c.first > next:
		want = "pending"
	case c.record == "":
		want = "none"
	}
	if c.first < next || c.state != want {
		t.Errorf("the record ends before group %d, %d is the first that is sent, and the summary is called %s", next, c.first, c.state)
	}
	for g, fact := range e.facts[:min(group, len(e.facts))] {
		trimmed := g >= next && g < c.first
		if !trimmed && !strings.Contains(c.body, fact) {
			t.Fatalf("%q, said in group %d, is lost in %s", fact, g, c.body)
		}
	}
}

// instruct changes the instructions that calls come with, now and then.
func (d *dialogue) instruct(group int) {
	switch group % 40 {
	case 0:
		d.system = message("system", "You are brief.")
	case 15:
		d.system = `{"role":"system","content":[{"type":"text","text":"You are kind."}]}`
	case 30:
		d.system = "" // the session's latest
	}
}

// remarkAbout is what a group is about, one fact each, as long as there are any. Of
// each seventh the tool knows more than the user.
func remarkAbout(group int, facts []string, rng *rand.Rand) (text, found string) {
	words := strings.Fields("we might as well talk about clouds and rivers for a while until somebody comes and brings us tea or bread")
	rng.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
	said := strings.Join(words, " ") + "."
	if group < len(facts) {
		said = facts[group] + " Then " + said
	}
	if group%7 == 3 {
		return fmt.Sprintf("%s, remark %s.", lookUp, codeOf(group)), said
	}
	return fmt.Sprintf("This is remark %s. %s", codeOf(group), said), ""
}

// plantedFacts are names, order numbers, dates, amounts and preferences.
func plantedFacts() (facts []string) {
	people := []string{"Ada Winter", "Bela Kovacs", "Chidi Obi", "Dora Lund", "Emil Haas", "Fay Zhou", "Goro Ito", "Hana Petrov"}
	cities := []string{"Lisbon", "Oslo", "Dakar", "Lima", "Osaka", "Perth", "Turin", "Quito"}
	foods := []string{"rye", "figs", "leeks", "miso", "plums", "okra", "dates", "kale"}
	for i := range people {
		facts = append(facts,
			fmt.Sprintf("%s runs the office in %s.", people[i], cities[i]),
			fmt.Sprintf("The order to %s has number ORD-%d.", cities[i], 4401+37*i),
			fmt.Sprintf("The audit in %s is on 2025-%02d-%02d.", cities[i], i+2, 3*i+5),
			fmt.Sprintf("The invoice from %s is over $%d.%02d.", cities[i], 1250+311*i, 11*i+9),
			fmt.Sprintf("%s would rather have %s than %s.", people[i], foods[i], foods[(i+1)%len(foods)]),
		)
	}
	return facts
}

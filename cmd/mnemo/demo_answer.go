package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/tidwall/gjson"

	"mnemo/memory"
)

// Subjects of facts that have forms of their own beside "my … is …".
const (
	demoName = "name"
	demoHome = "(home)" // no word, so that nobody can state it as "my (home) is …"
	demoNote = "(note)"
)

const (
	demoValueLimit = 200 // characters of a fact
	demoEchoLimit  = 80  // characters of an echo
)

var (
	// demoClause matches where a sentence ends or a new clause begins.
	demoClause = regexp.MustCompile(`(?i)([.!?;\n])(?:\s+|$)|,? (?:and|but|so) (i|my|call|what|who|where|when|which|how|remember|please|do|tell)\b`)

	// demoAsks matches clauses that ask, with or without a question mark.
	demoAsks = regexp.MustCompile(`(?i)\?$|^(?:(?:so|and|but|please|now|ok|hi|hello|hey),? )*(?:what|who|which|when|where|how|do|does|did|can|could|would|tell|say|repeat|is|are)\b|\b(?:what|who|which|when|where)(?:'s| is| are| was)? my\b`)

	demoTold = []struct {
		subject string // "": the first group
		pattern *regexp.Regexp
	}{
		{demoNote, regexp.MustCompile(`(?i)\bremember(?: that|:) (.+)`)},
		{"", regexp.MustCompile(`(?i)\bmy (\p{L}[\p{L}'\- ]{0,60}?) (is|are) ([^,]+)`)},
		{demoName, regexp.MustCompile(`(?i)\b(?:call me|my name's|i am called|i'm called) ([^,]+)`)},
		{demoHome, regexp.MustCompile(`(?i)\bi (?:live|am living) in ([^,]+)`)},
	}

	demoAsked = []struct {
		subject string
		pattern *regexp.Regexp
	}{
		{demoNote, regexp.MustCompile(`(?i)\bwhat (?:did i (?:ask|tell) you to remember|do you remember|should you remember)`)},
		{"", regexp.MustCompile(`(?i)\b(?:what|who|which|when|where|how)(?:'s| is| are| was| were) my (\p{L}[\p{L}'\- ]*)`)},
		{"", regexp.MustCompile(`(?i)\b(?:what|who|which|where) my (\p{L}[\p{L}'\- ]*?) (?:is|are)\b`)},
		{"", regexp.MustCompile(`(?i)\b(?:know|remember|recall|tell me|say|repeat) my (\p{L}[\p{L}'\- ]*)`)},
		{demoName, regexp.MustCompile(`(?i)\b(?:who am i|what am i called)\b`)},
		{demoHome, regexp.MustCompile(`(?i)\b(?:where (?:do )?i live|(?:city|town|country|place) (?:do )?i live)\b`)},
	}
)

// A demoFact is what somebody said of himself.
type demoFact struct{ verb, value string }

// Private

// answer replies to the request, the nth.
func (r *demoRequest) answer(n int64) *demoReply {
	reply := &demoReply{Role: memory.RoleAssistant}
	if calls := r.toolCalls(n); calls != nil {
		reply.ToolCalls = calls
		return reply
	}
	text := r.say()
	reply.Content = &text
	return reply
}

func (r *demoRequest) say() string {
	last := r.last()
	if last.Role == memory.RoleTool {
		return r.sayResults()
	}
	if asked := questions(string(last.Content)); last.Role == memory.RoleUser && len(asked) > 0 {
		facts := r.facts()
		answers := make([]string, len(asked))
		for i, subject := range asked {
			answers[i] = r.sayFact(facts, subject)
		}
		return strings.Join(answers, " ")
	}
	if last.Content == "" {
		return fmt.Sprintf("I received %s. The last one has no text.", r.census())
	}
	return fmt.Sprintf("I received %s. The last one says: %q", r.census(), shorten(string(last.Content), demoEchoLimit))
}

// facts are the things told in the messages, the latest of each, by subject.
func (r *demoRequest) facts() map[string]demoFact {
	facts := map[string]demoFact{}
	for _, m := range r.said {
		if m.Role == memory.RoleAssistant || m.Role == memory.RoleTool {
			continue
		}
		for _, clause := range clauses(string(m.Content)) {
			readFacts(clause, facts)
		}
	}
	return facts
}

func readFacts(clause string, facts map[string]demoFact) {
	if demoAsks.MatchString(clause) {
		return
	}
	for _, t := range demoTold {
		found := t.pattern.FindStringSubmatch(clause)
		switch {
		case found == nil:
		case t.subject != "":
			facts[t.subject] = demoFact{value: factValue(found[1])}
		default:
			facts[canonical(found[1])] = demoFact{verb: found[2], value: factValue(found[3])}
		}
	}
}

// questions are the subjects that a text asks about, in order.
func questions(text string) (subjects []string) {
	for _, clause := range clauses(text) {
		if !demoAsks.MatchString(clause) {
			continue
		}
		for _, a := range demoAsked {
			if found := a.pattern.FindStringSubmatch(clause); found != nil {
				subject := a.subject
				if subject == "" {
					subject = strings.TrimSpace(found[1])
				}
				subjects = append(subjects, subject)
				break
			}
		}
	}
	return subjects
}

// sayFact answers a question about a subject. Words after it, as in "my name
// again", are left aside.
func (r *demoRequest) sayFact(facts map[string]demoFact, subject string) string {
	for words := strings.Fields(subject); len(words) > 0; words = words[:len(words)-1] {
		known := strings.Join(words, " ")
		fact, ok := facts[canonical(known)]
		switch {
		case !ok:
		case subject == demoHome:
			return fmt.Sprintf("You live in %s.", fact.value)
		case subject == demoNote:
			return fmt.Sprintf("You asked me to remember: %q", fact.value)
		case fact.verb == "are":
			return fmt.Sprintf("Your %s are %s.", known, fact.value)
		default:
			return fmt.Sprintf("Your %s is %s.", known, fact.value)
		}
	}
	why := "this is the only message that I received."
	if n := len(r.said); n > 1 {
		why = fmt.Sprintf("nothing in the %d messages that I received says it.", n)
	}
	switch subject {
	case demoHome:
		return "I do not know where you live: " + why
	case demoNote:
		return "I do not know what to remember: " + why
	}
	return fmt.Sprintf("I do not know your %s: %s", subject, why)
}

// sayResults answers from the tool results at the end of the messages.
func (r *demoRequest) sayResults() string {
	calls, question := map[string]demoCall{}, ""
	for _, m := range r.said {
		for _, call := range m.ToolCalls {
			calls[call.ID] = call
		}
		if m.Role == memory.RoleUser {
			question = string(m.Content)
		}
	}
	begin := len(r.said)
	for begin > 0 && r.said[begin-1].Role == memory.RoleTool {
		begin--
	}
	var says []string
	for _, m := range r.said[begin:] {
		call := calls[m.ToolCallID].Function
		var values []string
		gjson.Parse(call.Arguments).ForEach(func(_, value gjson.Result) bool {
			values = append(values, value.String())
			return true
		})
		says = append(says, fmt.Sprintf("%s(%s) says: %s.", call.Name, strings.Join(values, ", "), shorten(string(m.Content), demoValueLimit)))
	}
	if question != "" {
		says = append(says, fmt.Sprintf("You had asked: %q", shorten(question, demoEchoLimit)))
	}
	return strings.Join(says, " ")
}

// census counts the messages, in all and by role.
func (r *demoRequest) census() string {
	var roles []string
	for _, role := range demoRoles {
		n := 0
		for _, m := range r.said {
			if m.Role == role {
				n++
			}
		}
		if n > 0 {
			roles = append(roles, fmt.Sprintf("%d %s", n, role))
		}
	}
	return fmt.Sprintf("%s (%s)", plural(len(r.said), "message"), strings.Join(roles, ", "))
}

// clauses cuts a text into clauses, each with the mark that ends it.
func clauses(text string) []string {
	text = strings.ReplaceAll(text, "’", "'")
	text = demoClause.ReplaceAllString(text, "$1\n$2")
	var found []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			found = append(found, line)
		}
	}
	return found
}

// canonical makes different spellings of a subject the same.
func canonical(subject string) string {
	subject = strings.Join(strings.Fields(strings.ToLower(subject)), " ")
	return strings.NewReplacer("favorite", "favourite", "color", "colour").Replace(subject)
}

func factValue(text string) string {
	return shorten(strings.Trim(text, ` .!;:"“”`), demoValueLimit)
}

// shorten cuts a text to a number of characters, on one line.
func shorten(text string, limit int) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return text
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

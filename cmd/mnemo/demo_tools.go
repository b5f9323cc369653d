package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"mnemo/memory"
)

var (
	demoWord   = regexp.MustCompile(`\p{Lu}*[\p{Ll}\p{Nd}]+|\p{Lu}+`)
	demoNumber = regexp.MustCompile(`-?\d+(?:\.\d+)?`)
	demoQuoted = regexp.MustCompile(`["“]([^"”]+)["”]`)
	// demoPlace and demoThing match what stands after a preposition: names first,
	// then any word.
	demoPlace = regexp.MustCompile(`\b(?:in|at|for|of|from|to|about|near|between|and) (\p{Lu}[^\s,?.!;]*(?: \p{Lu}[^\s,?.!;]*)*)`)
	demoThing = regexp.MustCompile(`(?i)\b(?:in|at|for|of|from|to|about|near) (?:the |an? )?([^\s,?.!;]+)`)

	// demoVerbs are words of a tool's name that do not say what it is about.
	demoVerbs = []string{"get", "fetch", "find", "look", "lookup", "up", "search", "read", "list", "show", "current", "the", "a", "by", "for", "of", "in"}
)

// Private

// toolCalls is the call that answers the question best, nil if none of the tools
// fits or may be called.
func (r *demoRequest) toolCalls(n int64) []demoCall {
	last, choice := r.last(), gjson.ParseBytes(r.ToolChoice)
	if last.Role != memory.RoleUser || choice.String() == "none" {
		return nil
	}
	question := string(last.Content)
	words := nameWords(question)
	wanted := choice.Get("function.name").String()
	forced := wanted != "" || choice.String() == "required"
	var best gjson.Result
	most := 0
	for _, tool := range gjson.GetBytes(r.Tools, "#.function").Array() {
		name := tool.Get("name").String()
		score := 0
		for _, word := range nameWords(name) {
			if !slices.Contains(demoVerbs, word) && slices.Contains(words, word) {
				score++
			}
		}
		if forced && (wanted == "" || wanted == name) {
			score++
		}
		if (wanted == "" || wanted == name) && score > most {
			best, most = tool, score
		}
	}
	if most == 0 {
		return nil
	}
	return []demoCall{{
		ID: fmt.Sprintf("call_demo_%d", n), Type: "function",
		Function: demoFunction{Name: best.Get("name").String(), Arguments: arguments(best.Get("parameters"), question)},
	}}
}

// nameWords are the words of a text or of a name like get_weather or getWeather,
// in lower case.
func nameWords(text string) []string {
	words := demoWord.FindAllString(text, -1)
	for i := range words {
		words[i] = strings.ToLower(words[i])
	}
	return words
}

// arguments takes a tool's arguments out of the question: those it requires, or
// all if it requires none.
func arguments(schema gjson.Result, question string) string {
	names := schema.Get("required").Array()
	if len(names) == 0 {
		names = schema.Get("properties.@keys").Array()
	}
	properties := schema.Get("properties").Map()
	p := &demoPicker{question: question, things: thingsIn(question), numbers: demoNumber.FindAllString(question, -1)}
	members := make([]string, len(names))
	for i, name := range names {
		value, _ := json.Marshal(p.pick(properties[name.String()]))
		members[i] = name.Raw + ": " + string(value)
	}
	return "{" + strings.Join(members, ", ") + "}"
}

// A demoPicker picks arguments from a question, each thing and number once.
type demoPicker struct {
	question        string
	things, numbers []string
}

// pick returns the value of the next parameter, which a JSON schema describes.
func (p *demoPicker) pick(property gjson.Result) any {
	if options := property.Get("enum").Array(); len(options) > 0 {
		lower := strings.ToLower(p.question)
		for _, option := range options {
			if strings.Contains(lower, strings.ToLower(option.String())) {
				return option.Value()
			}
		}
		return options[0].Value()
	}
	switch property.Get("type").String() {
	case "number", "integer":
		if len(p.numbers) == 0 {
			return 0
		}
		number := json.Number(p.numbers[0])
		p.numbers = p.numbers[1:]
		return number
	case "boolean":
		return true
	case "array":
		return append([]string{}, p.things...)
	case "object":
		return struct{}{}
	}
	if len(p.things) == 0 {
		return shorten(p.question, demoValueLimit)
	}
	thing := p.things[0]
	p.things = p.things[1:]
	return thing
}

// thingsIn are the parts of a question that look like arguments: what is quoted,
// else the names after prepositions, else the words after them.
func thingsIn(question string) []string {
	for _, pattern := range []*regexp.Regexp{demoQuoted, demoPlace, demoThing} {
		var things []string
		for _, found := range pattern.FindAllStringSubmatch(question, -1) {
			things = append(things, shorten(found[1], demoValueLimit))
		}
		if things != nil {
			return things
		}
	}
	return nil
}

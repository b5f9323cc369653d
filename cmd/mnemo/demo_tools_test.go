package main

import (
	"fmt"
	"testing"

	"mnemo/memory"
)

const (
	weatherTool = `{"type":"function","function":{"name":"get_weather","parameters":{"type":"object",
		"properties":{"city":{"type":"string"},"unit":{"type":"string","enum":["celsius","fahrenheit"]}},"required":["city"]}}}`
	trainsTool = `{"type":"function","function":{"name":"findTrains","parameters":{"type":"object",
		"properties":{"from":{"type":"string"},"to":{"type":"string"},"people":{"type":"integer"},"class":{"enum":["first","second"]},"direct":{"type":"boolean"}}}}}`
	clockTool = `{"type":"function","function":{"name":"clock"}}`
	notesTool = `{"type":"function","function":{"name":"notes","parameters":{"type":"object",
		"properties":{"words":{"type":"array"},"more":{"type":"object"},"weight":{"type":"number"},"text":{"type":"string"}}}}}`
)

func TestDemoModel_calls_the_tool_that_fits(t *testing.T) {
	for _, c := range []struct{ question, choice, call string }{
		{"What is the weather in Oslo?", `"auto"`, `get_weather({"city": "Oslo"})`},
		{"Weather in New York please", `null`, `get_weather({"city": "New York"})`},
		{"weather in oslo", `"auto"`, `get_weather({"city": "oslo"})`},
		{`The weather for "Saint-Denis" of course`, `"auto"`, `get_weather({"city": "Saint-Denis"})`},
		{"How is the weather?", `"auto"`, `get_weather({"city": "How is the weather?"})`},
		{"Are there trains from Bern to Milan for 3 people, second class?", `"auto"`,
			`findTrains({"from": "Bern", "to": "Milan", "people": 3, "class": "second", "direct": true})`},
		{"Show trains", `"auto"`, `findTrains({"from": "Show trains", "to": "Show trains", "people": 0, "class": "first", "direct": true})`},
		{"Take notes about milk, 2.5 litres", `"auto"`, `notes({"words": ["milk"], "more": {}, "weight": 2.5, "text": "milk"})`},
		{"What does the clock say?", `"auto"`, `clock({})`},
		{"Tell me a joke", `"auto"`, ""},
		{"What is the weather in Oslo?", `"none"`, ""},
		{"Is it raining in Oslo, weather girl?", `"required"`, `get_weather({"city": "Oslo"})`},
		{"Tell me a joke", `"required"`, `clock({})`},
		{"What is the weather in Oslo?", `{"type":"function","function":{"name":"clock"}}`, `clock({})`},
	} {
		got := ""
		for _, call := range withTools(t, c.question, c.choice).toolCalls(7) {
			got += fmt.Sprintf("%s(%s)", call.Function.Name, call.Function.Arguments)
			if call.ID != "call_demo_7" || call.Type != "function" {
				t.Errorf("%+v", call)
			}
		}
		if got != c.call {
			t.Errorf("%s, %s: %s", c.question, c.choice, got)
		}
	}
}

func TestDemoModel_calls_no_tool_that_it_was_not_given(t *testing.T) {
	if calls := request(t, message(memory.RoleUser, "What is the weather in Oslo?")).toolCalls(1); calls != nil {
		t.Error(calls)
	}
	_, bad := parseDemoRequest([]byte(`{"model":"m","messages":[{"role":"user","content":""}],"tools":[` + clockTool + `],
		"tool_choice":{"type":"function","function":{"name":"hammer"}}}`))
	if bad == nil || bad.Param != "tool_choice" {
		t.Errorf("%+v", bad)
	}
}

func withTools(t *testing.T, question, choice string) *demoRequest {
	t.Helper()
	r, bad := parseDemoRequest(fmt.Appendf(nil, `{"model":"m","messages":[%s],"tools":[%s,%s,%s,%s],"tool_choice":%s}`,
		message(memory.RoleUser, question), clockTool, weatherTool, trainsTool, notesTool, choice))
	if bad != nil {
		t.Fatal(bad.Message)
	}
	return r
}

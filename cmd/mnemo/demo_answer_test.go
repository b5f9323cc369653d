package main

import (
	"encoding/json"
	"strings"
	"testing"

	"mnemo/memory"
)

func TestDemoModel_knows_what_its_messages_say(t *testing.T) {
	for _, c := range []struct {
		told   []string
		asked  string
		answer string
	}{
		{[]string{"My name is Ada and I live in Paris."}, "What is my name?", "Your name is Ada."},
		{[]string{"My name is Ada and I live in Paris."}, "Where do I live?", "You live in Paris."},
		{[]string{"My name is Ada, and my dog's name is Rex."}, "what's my dog's name", "Your dog's name is Rex."},
		{[]string{"my favourite colour is green"}, "What is my favourite colour?", "Your favourite colour is green."},
		{[]string{"My favorite color is green!"}, "What is my favourite colour?", "Your favourite colour is green."},
		{[]string{"My favourite colours are red and green."}, "What are my favourite colours?", "Your favourite colours are red and green."},
		{[]string{"Hi! Please call me Grace."}, "Who am I?", "Your name is Grace."},
		{[]string{"My name's Ada"}, "Do you know my name?", "Your name is Ada."},
		{[]string{"My name is Ada"}, "Can you tell me what my name is?", "Your name is Ada."},
		{[]string{"My name is Ada"}, "Hello, what’s my name again?", "Your name is Ada."},
		{[]string{"My name is Ada"}, "I forgot, what is my name", "Your name is Ada."},
		{[]string{"My name is Ada.", "Call me Bob, please."}, "Tell me my name.", "Your name is Bob."},
		{[]string{"My name is Ada and I live in Paris"}, "What is my name and where do I live?", "Your name is Ada. You live in Paris."},
		{[]string{"Remember that the key is under the mat."}, "What did I ask you to remember?", `You asked me to remember: "the key is under the mat"`},
		{[]string{"Remember my name is Ada."}, "Say my name", "Your name is Ada."},
		{nil, "My name is Ada. What is my name?", "Your name is Ada."},
	} {
		if got := answerTo(t, append(c.told, c.asked)...); got != c.answer {
			t.Errorf("%q, %q: %s", c.told, c.asked, got)
		}
	}
}

func TestDemoModel_says_that_it_does_not_know(t *testing.T) {
	for asked, answer := range map[string]string{
		"What is my name?":                "I do not know your name: ",
		"Where do I live?":                "I do not know where you live: ",
		"What is my favourite colour?":    "I do not know your favourite colour: ",
		"What did I ask you to remember?": "I do not know what to remember: ",
	} {
		if got := answerTo(t, asked); got != answer+"this is the only message that I received." {
			t.Errorf("%q: %s", asked, got)
		}
		if got := answerTo(t, "Hello.", "Is my name Ada?", asked); got != answer+"nothing in the 3 messages that I received says it." {
			t.Errorf("%q: %s", asked, got)
		}
	}
}

func TestDemoModel_believes_users_and_instructions_only(t *testing.T) {
	for role, answer := range map[string]string{
		memory.RoleUser:      "Your name is Ada.",
		memory.RoleSystem:    "Your name is Ada.",
		memory.RoleDeveloper: "Your name is Ada.",
		memory.RoleAssistant: "I do not know your name: nothing in the 2 messages that I received says it.",
	} {
		r := request(t, message(role, "My name is Ada."), message(memory.RoleUser, "What is my name?"))
		if got := *r.answer(1).Content; got != answer {
			t.Errorf("%s: %s", role, got)
		}
	}
}

func TestDemoModel_says_what_it_received(t *testing.T) {
	long := strings.Repeat("long ", 40)
	for _, c := range []struct{ role, content, answer string }{
		{memory.RoleUser, `"Hello\n there"`, `I received 3 messages (1 system, 2 user). The last one says: "Hello there"`},
		{memory.RoleUser, `"` + long + `"`, `I received 3 messages (1 system, 2 user). The last one says: "` + long[:demoEchoLimit] + `…"`},
		{memory.RoleUser, `[{"type":"text","text":"See"},{"type":"image_url","image_url":{"url":"data:"}},{"type":"text","text":"this"}]`, `I received 3 messages (1 system, 2 user). The last one says: "See this"`},
		{memory.RoleUser, `[{"type":"image_url","image_url":{"url":"data:"}}]`, `I received 3 messages (1 system, 2 user). The last one has no text.`},
		{memory.RoleAssistant, `"What is my name?"`, `I received 3 messages (1 system, 1 user, 1 assistant). The last one says: "What is my name?"`},
		{memory.RoleAssistant, `null`, `I received 3 messages (1 system, 1 user, 1 assistant). The last one has no text.`},
	} {
		last := `{"role":"` + c.role + `","content":` + c.content + `}`
		r := request(t, message(memory.RoleSystem, "Be kind."), message(memory.RoleUser, "Hi"), last)
		if got := *r.answer(1).Content; got != c.answer {
			t.Errorf("%s: %s", c.content, got)
		}
	}
}

func TestDemoModel_answers_from_tool_results(t *testing.T) {
	r := request(t, message(memory.RoleUser, "What is the weather in Oslo and in Rome?"),
		`{"role":"assistant","content":null,"tool_calls":[
			{"id":"a","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Oslo\",\"days\":2}"}},
			{"id":"b","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Rome\"}"}}]}`,
		`{"role":"tool","tool_call_id":"a","content":"7 °C"}`, `{"role":"tool","tool_call_id":"b","content":"21 °C"}`)
	want := `get_weather(Oslo, 2) says: 7 °C. get_weather(Rome) says: 21 °C. You had asked: "What is the weather in Oslo and in Rome?"`
	if got := *r.answer(1).Content; got != want {
		t.Error(got)
	}
}

func answerTo(t *testing.T, users ...string) string {
	t.Helper()
	var messages []string
	for _, text := range users {
		messages = append(messages, message(memory.RoleUser, text))
	}
	return *request(t, messages...).answer(1).Content
}

func message(role, text string) string {
	raw, _ := json.Marshal(map[string]string{"role": role, "content": text})
	return string(raw)
}

func request(t *testing.T, messages ...string) *demoRequest {
	t.Helper()
	r, bad := parseDemoRequest([]byte(`{"model":"m","messages":[` + strings.Join(messages, ",") + `]}`))
	if bad != nil {
		t.Fatal(bad.Message)
	}
	return r
}

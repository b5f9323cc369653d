package main

import (
	"fmt"
	"testing"
)

// clientModule is what the programs of these tests have in common: two ways to
// talk, and a tool.
const clientModule = `
import OpenAI from "openai";

export const client = new OpenAI({
  baseURL: process.env.MNEMO_URL,
  defaultHeaders: { "X-Session-ID": process.env.SESSION },
});
export const model = "gpt-4o";

export async function create(messages) {
  const completion = await client.chat.completions.create({ model, messages });
  return completion.choices[0].message;
}

export async function stream(messages) {
  return await client.chat.completions.stream({ model, messages }).finalMessage();
}

export const tools = [{
  type: "function",
  function: { name: "look_up", parameters: { type: "object", properties: {} }, function: () => "Found: 42", parse: JSON.parse },
}];
`

// Programs as people write them, and what the log holds when they have ended.
var clientPrograms = []struct {
	name, text string
	said       string // what they print
	live       []string
	superseded []string // with the live ones, all that is stored
}{{
	name: "one resends everything, as Vercel's useChat does, one sends a message, as LangChain does",
	text: `
const shown = []; // on the page, by both
async function useChat(text, ask) {
  const { content } = await ask([...shown, { role: "user", content: text }]);
  const parts = (text) => [{ type: "text", text }];
  shown.push({ role: "user", content: parts(text) }, { role: "assistant", content: parts(content) });
  return content;
}
async function invoke(text, ask) {
  const reply = await ask([{ role: "user", content: text }]);
  shown.push({ role: "user", content: text }, reply);
  return reply.content;
}
await useChat("My name is Ada.", stream);
await invoke("I like tea.", create);
await useChat("I live in Paris.", create);
await invoke("I like tea.", stream);
await invoke("I like tea.", stream);
await useChat("Go on.", stream);
console.log(await invoke("What is my name?", create));
console.log(await useChat("What is my name?", create));
`,
	said: "Your name is Ada.\nYour name is Ada.\n",
	live: []string{
		"1 user: My name is Ada. / assistant: You said: My name is Ada.",
		"2 user: I like tea. / assistant: You said: I like tea.",
		"3 user: I live in Paris. / assistant: You said: I live in Paris.",
		"4 user: I like tea. / assistant: You said: I like tea.",
		"5 user: I like tea. / assistant: You said: I like tea.",
		"6 user: Go on. / assistant: You said: Go on.",
		"7 user: What is my name? / assistant: Your name is Ada.",
		"8 user: What is my name? / assistant: Your name is Ada.",
	},
}, {
	name: "one resends a window, as LangChain's buffer memory does",
	text: `
const buffer = [];
for (const text of ["My name is Ada.", "Two.", "Three.", "What is my name?"]) {
  const reply = await create([...buffer.slice(-2), { role: "user", content: text }]);
  buffer.push({ role: "user", content: text }, reply);
}
console.log(buffer.at(-1).content);
`,
	said: "Your name is Ada.\n",
	live: []string{
		"1 user: My name is Ada. / assistant: You said: My name is Ada.",
		"2 user: Two. / assistant: You said: Two.",
		"3 user: Three. / assistant: You said: Three.",
		"4 user: What is my name? / assistant: Your name is Ada.",
	},
}, {
	name: "an earlier message is edited",
	text: `
const shown = [];
async function send(text) {
  shown.push({ role: "user", content: text });
  shown.push(await stream(shown));
}
await send("One.");
await send("My name is Bob.");
await send("Three.");
shown.length = 2; // the second message is edited
await send("My name is Ada.");
await send("What is my name?");
console.log(shown.at(-1).content);
`,
	said: "Your name is Ada.\n",
	live: []string{
		"1 user: One. / assistant: You said: One.",
		"4 user: My name is Ada. / assistant: You said: My name is Ada.",
		"5 user: What is my name? / assistant: Your name is Ada.",
	},
	superseded: []string{
		"2 user: My name is Bob. / assistant: You said: My name is Bob. by 4",
		"3 user: Three. / assistant: You said: Three. by 4",
	},
}, {
	name: "the last answer is asked for again, twice",
	text: `
const shown = [];
for (const text of ["My name is Ada.", "Two.", "Two."]) {
  shown.push({ role: "user", content: text });
  shown.push(await create(shown));
}
for (let again = 0; again < 2; again++) {
  shown.pop();
  shown.push(await stream(shown));
}
console.log((await create([{ role: "user", content: "What is my name?" }])).content);
`,
	said: "Your name is Ada.\n",
	live: []string{
		"1 user: My name is Ada. / assistant: You said: My name is Ada.",
		"2 user: Two. / assistant: You said: Two.",
		"5 user: Two. / assistant: You said: Two.",
		"6 user: What is my name? / assistant: Your name is Ada.",
	},
	superseded: []string{
		"3 user: Two. / assistant: You said: Two. by 4",
		"4 user: Two. / assistant: You said: Two. by 5",
	},
}, {
	name: "the SDK runs the tools and resends everything",
	text: `
const messages = [{ role: "user", content: "Look it up: remark qaa" }];
const runner = client.chat.completions.runTools({ model, messages, tools });
console.log(await runner.finalContent());
const more = [...runner.messages, { role: "user", content: "Look it up: remark qab" }];
const second = client.chat.completions.runTools({ model, messages: more, tools, stream: true });
console.log(await second.finalContent());
`,
	said: "You said: Found: 42\nYou said: Found: 42\n",
	live: []string{
		"1 user: Look it up: remark qaa / assistant: calls call_qaa",
		"2 tool: Found: 42 / assistant: You said: Found: 42",
		"3 user: Look it up: remark qab / assistant: calls call_qab",
		"4 tool: Found: 42 / assistant: You said: Found: 42",
	},
}, {
	name: "a loop resends the call with its result, and once more",
	text: `
const call = await create([{ role: "user", content: "Look it up: remark qaa" }]);
const result = { role: "tool", tool_call_id: call.tool_calls[0].id, content: "Found: 42" };
console.log((await create([call, result])).content);
console.log((await stream([call, result])).content);
`,
	said: "You said: Found: 42\nYou said: Found: 42\n",
	live: []string{
		"1 user: Look it up: remark qaa / assistant: calls call_qaa",
		"3 tool: Found: 42 / assistant: You said: Found: 42",
	},
	superseded: []string{
		"2 tool: Found: 42 / assistant: You said: Found: 42 by 3",
	},
}}

func TestSDK_of_JavaScript_leaves_one_live_copy_of_each_turn(t *testing.T) {
	j := newJavaScript(t)
	t.Run("however it is used", func(t *testing.T) { testPrograms(t, j) })
	t.Run("of calls that it repeats", func(t *testing.T) { testRepeats(t, j) })
}

func testPrograms(t *testing.T, j *javaScript) {
	m := serve(t, sqliteBackend(t).setup(&newScribe(t, nil).fakeModel))
	for i, p := range clientPrograms {
		t.Run(p.name, func(t *testing.T) {
			session := fmt.Sprintf("js-%d", i)
			if said := j.run(t, m.url, session, p.text); said != p.said {
				t.Errorf("it prints %s, want %s", said, p.said)
			}
			wantTurns(t, m, session, p.live, p.superseded)
		})
	}
}

// testRepeats loses answers that mnemo has given in full; the SDK asks again by itself.
func testRepeats(t *testing.T, j *javaScript) {
	m := serve(t, sqliteBackend(t).setup(newFakeModel(t)))
	lossy := newLossy(t, m)
	for i, p := range []struct{ name, text string }{
		{"one message a call", `
for (const text of ["My name is Ada.", "Two."]) await create([{ role: "user", content: text }]);
console.log((await stream([{ role: "user", content: "What is my name?" }])).content);
`},
		{"everything with each call", `
const shown = [];
for (const text of ["My name is Ada.", "Two.", "What is my name?"]) {
  shown.push({ role: "user", content: text });
  shown.push(await stream(shown));
}
console.log(shown.at(-1).content);
`},
	} {
		t.Run(p.name, func(t *testing.T) {
			session := fmt.Sprintf("retry-%d", i)
			before := lossy.lost.Load()
			if said := j.run(t, lossy.url, session, p.text); said != "Your name is Ada.\n" {
				t.Errorf("it prints %s", said)
			}
			if lost := lossy.lost.Load() - before; lost != 3 {
				t.Errorf("%d answers were lost, want 3", lost)
			}
			wantTurns(t, m, session, []string{
				"2 user: My name is Ada. / assistant: You said: My name is Ada.",
				"4 user: Two. / assistant: You said: Two.",
				"6 user: What is my name? / assistant: Your name is Ada.",
			}, []string{
				"1 user: My name is Ada. / assistant: You said: My name is Ada. by 2",
				"3 user: Two. / assistant: You said: Two. by 4",
				"5 user: What is my name? / assistant: Your name is Ada. by 6",
			})
		})
	}
}

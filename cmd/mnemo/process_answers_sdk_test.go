package main

import (
	"fmt"
	"strings"
	"testing"
)

// What each way gives is compared with what the upstream gave the other way.
const replayProgram = `
const talks = [
  ["text", [{ role: "user", content: "My name is Ada." }]],
  ["a call", [{ role: "user", content: "Look it up: remark qaa" }]],
  ["after a call", [{ role: "user", content: "Look it up: remark qaa" },
    { role: "assistant", content: null, tool_calls: [{ id: "call_qaa", type: "function", function: { name: "look_up", arguments: "{}" } }] },
    { role: "tool", tool_call_id: "call_qaa", content: "Found: 42" }]],
];
const definitions = [{ type: "function", function: { name: "look_up", parameters: { type: "object", properties: {} } } }];
const sorted = (v) => Object.fromEntries(Object.entries(v).filter(([name, v]) => v !== null && !name.startsWith("parsed")).sort());
const bare = (value) => JSON.stringify(value, (name, v) => v !== null && typeof v === "object" && !Array.isArray(v) ? sorted(v) : v);
let calls = 0;
async function ask(way, request) {
  client._options.defaultHeaders = { "X-Session-ID": SESSION };
  if (way === "whole") {
    const { data, response } = await client.chat.completions.create(request).withResponse();
    return [data, response.headers.get("x-cache")];
  }
  const events = client.chat.completions.stream({ ...request, stream_options: { include_usage: true } });
  const data = await events.finalChatCompletion();
  return [data, "?"];
}
for (const [from, to] of [["whole", "stream"], ["stream", "whole"]]) {
  for (const [name, messages] of talks) {
    const request = { model, messages, temperature: 0, seed: from === "whole" ? 1 : 2, tools: definitions };
    const [first] = await ask(from, request);
    let again, how;
    for (let i = 0; i < 200; i++) {
      [again, how] = await ask("whole", request);
      if (how === "hit") break;
      await new Promise((done) => setTimeout(done, 20));
    }
    if (to === "stream") [again] = await ask("stream", request);
    const [a, b] = [bare(first.choices), bare(again.choices)];
    console.log(how, from, name, first.id === again.id && first.usage.total_tokens === again.usage.total_tokens, a === b ? "equal" : a + " <> " + b);
  }
}
`

func TestAnswers_replayed_are_for_the_JavaScript_SDK_what_the_upstream_said(t *testing.T) {
	j := newJavaScript(t)
	for _, session := range []bool{false, true} {
		t.Run(fmt.Sprintf("session %v", session), func(t *testing.T) {
			up := newScribe(t, nil)
			m := serve(t, setup{file: cachedFile(up.url, "ttl: 1h", "")})
			header := "null"
			if session { // each call in one of its own
				header = `"s-" + calls++`
			}
			program := strings.Replace(replayProgram, "SESSION", header, 1)
			var want strings.Builder
			for _, from := range []string{"whole", "stream"} {
				for _, name := range []string{"text", "a call", "after a call"} {
					fmt.Fprintf(&want, "hit %s %s true equal\n", from, name)
				}
			}
			if got := j.run(t, m.url, "s", program); got != want.String() {
				t.Errorf("it prints\n%s", got)
			}
		})
	}
}

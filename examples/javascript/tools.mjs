// A tool call across two calls: the second sends the tool's result and nothing else.

import { randomUUID } from "node:crypto";
import OpenAI from "openai";

const client = new OpenAI({
  baseURL: process.env.MNEMO_URL ?? "http://127.0.0.1:8080/v1",
  apiKey: process.env.OPENAI_API_KEY ?? "demo",
  defaultHeaders: { "X-Session-ID": `example-${randomUUID()}` },
});

const tools = [
  {
    type: "function",
    function: {
      name: "get_weather",
      description: "The weather in a city right now.",
      parameters: {
        type: "object",
        properties: { city: { type: "string" } },
        required: ["city"],
      },
    },
  },
];

const weather = new Map([["Oslo", "7 degrees Celsius, light rain"]]);
const getWeather = ({ city }) => weather.get(city) ?? "unknown";

async function send(messages) {
  const completion = await client.chat.completions.create({ model: "gpt-5.4-mini", messages, tools });
  return completion.choices[0].message;
}

const reply = await send([{ role: "user", content: "What is the weather in Oslo?" }]);
const calls = reply.tool_calls ?? [];
if (calls.length === 0) {
  console.error("the model called no tool");
  process.exit(1);
}

const results = calls.map((call) => {
  console.log(`call: ${call.function.name}(${call.function.arguments})`);
  const content = getWeather(JSON.parse(call.function.arguments));
  return { role: "tool", tool_call_id: call.id, content };
});

// The question and the call are in the session: only the results are new.
const answer = (await send(results)).content ?? "";
console.log(answer);
if (!answer.includes("Oslo")) {
  console.error("the answer does not name the city that was asked about: there was no memory");
  process.exitCode = 1;
}

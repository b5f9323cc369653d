// A streamed chat that remembers: two calls, each with the newest message only.

import { randomUUID } from "node:crypto";
import OpenAI from "openai";

const client = new OpenAI({
  baseURL: process.env.MNEMO_URL ?? "http://127.0.0.1:8080/v1",
  apiKey: process.env.OPENAI_API_KEY ?? "demo",
  defaultHeaders: { "X-Session-ID": `example-${randomUUID()}` },
});

async function ask(content) {
  const stream = await client.chat.completions.create({
    model: "gpt-5.4-mini",
    messages: [{ role: "user", content }],
    stream: true,
  });
  let answer = "";
  for await (const chunk of stream) {
    const piece = chunk.choices[0]?.delta?.content ?? "";
    process.stdout.write(piece);
    answer += piece;
  }
  process.stdout.write("\n");
  return answer;
}

await ask("My name is Ada and I live in Paris.");
const answer = await ask("What is my name?");
if (!answer.includes("Ada")) {
  console.error("the second answer does not know the name: there was no memory");
  process.exitCode = 1;
}

// Prints, one on a line, what the official SDK makes of each answer at BASE_URL: first as JSON,
// then put together from its stream.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: "none", maxRetries: 0 });
for (const model of JSON.parse(process.env.MODELS)) {
  const params = { model, messages: [{ role: "user", content: "Hello." }] };
  const whole = await client.chat.completions.create(params);
  const stream = client.chat.completions.stream({ ...params, stream_options: { include_usage: true } });
  const streamed = await stream.finalChatCompletion();
  console.log(JSON.stringify({ model, whole, streamed }));
}

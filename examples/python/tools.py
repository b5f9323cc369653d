"""A tool call across two calls: the second sends the tool's result and nothing else."""

import json
import os
import sys
import uuid

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("MNEMO_URL", "http://127.0.0.1:8080/v1"),
    api_key=os.environ.get("OPENAI_API_KEY", "demo"),
    default_headers={"X-Session-ID": f"example-{uuid.uuid4()}"},
)

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather in a city right now.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
]


def get_weather(city: str) -> str:
    return {"Oslo": "7 degrees Celsius, light rain"}.get(city, "unknown")


def send(messages):
    completion = client.chat.completions.create(model="gpt-5.4-mini", messages=messages, tools=TOOLS)
    return completion.choices[0].message


calls = send([{"role": "user", "content": "What is the weather in Oslo?"}]).tool_calls or []
if not calls:
    sys.exit("the model called no tool")

results = []
for call in calls:
    print(f"call: {call.function.name}({call.function.arguments})")
    result = get_weather(**json.loads(call.function.arguments))
    results.append({"role": "tool", "tool_call_id": call.id, "content": result})

# The question and the call are in the session: only the results are new.
answer = send(results).content or ""
print(answer)
if "Oslo" not in answer:
    sys.exit("the answer does not name the city that was asked about: there was no memory")

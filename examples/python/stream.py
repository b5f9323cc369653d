"""A streamed chat that remembers: two calls, each with the newest message only."""

import os
import sys
import uuid

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("MNEMO_URL", "http://127.0.0.1:8080/v1"),
    api_key=os.environ.get("OPENAI_API_KEY", "demo"),
    default_headers={"X-Session-ID": f"example-{uuid.uuid4()}"},
)


def ask(text: str) -> str:
    stream = client.chat.completions.create(
        model="gpt-5.4-mini",
        messages=[{"role": "user", "content": text}],
        stream=True,
    )
    answer = ""
    for chunk in stream:
        if chunk.choices:
            piece = chunk.choices[0].delta.content or ""
            print(piece, end="", flush=True)
            answer += piece
    print()
    return answer


ask("My name is Ada and I live in Paris.")
if "Ada" not in ask("What is my name?"):
    sys.exit("the second answer does not know the name: there was no memory")

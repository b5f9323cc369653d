#!/bin/sh
# A tool call across two calls: the second sends the tool's result and nothing else.
set -eu

url=${MNEMO_URL:-http://127.0.0.1:8080/v1}
session=example-$(date +%s)-$$

send() {
  curl -sS --fail-with-body "$url/chat/completions" \
    -H "Authorization: Bearer ${OPENAI_API_KEY:-demo}" \
    -H 'Content-Type: application/json' \
    -H "X-Session-ID: $session" \
    -d @- <<BODY
{
  "model": "gpt-5.4-mini",
  "messages": [$1],
  "tools": [{"type": "function", "function": {
    "name": "get_weather",
    "description": "The weather in a city right now.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
  }}]
}
BODY
}

reply=$(send '{"role": "user", "content": "What is the weather in Oslo?"}')
echo "$reply"
call=$(echo "$reply" | sed -n 's/.*"id": *"\(call_[^"]*\)".*/\1/p')
if [ -z "$call" ]; then
  echo 'the model called no tool' >&2
  exit 1
fi

# The question and the call are in the session: only the result is new.
answer=$(send "{\"role\": \"tool\", \"tool_call_id\": \"$call\", \"content\": \"7 degrees Celsius, light rain\"}")
echo "$answer"
case $answer in
  *Oslo*) ;;
  *) echo 'the answer does not name the city that was asked about: there was no memory' >&2; exit 1 ;;
esac

#!/bin/sh
# A streamed chat that remembers: two calls, each with the newest message only.
# What arrives is printed as it is: one event for each piece of the answer.
set -eu

url=${MNEMO_URL:-http://127.0.0.1:8080/v1}
session=example-$(date +%s)-$$
events=$(mktemp)
trap 'rm -f "$events"' EXIT

ask() {
  curl -sSN --fail-with-body "$url/chat/completions" \
    -H "Authorization: Bearer ${OPENAI_API_KEY:-demo}" \
    -H 'Content-Type: application/json' \
    -H "X-Session-ID: $session" \
    -d "{\"model\": \"gpt-5.4-mini\", \"stream\": true, \"messages\": [{\"role\": \"user\", \"content\": \"$1\"}]}" |
    tee "$events"
  grep -q '^data: \[DONE\]' "$events"
}

ask 'My name is Ada and I live in Paris.'
ask 'What is my name?'
answer=$(sed -n 's/.*"content": *"\([^"]*\)".*/\1/p' "$events" | tr -d '\n')
echo "$answer"
case $answer in
  *Ada*) ;;
  *) echo 'the second answer does not know the name: there was no memory' >&2; exit 1 ;;
esac

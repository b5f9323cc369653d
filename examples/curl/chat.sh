#!/bin/sh
# A chat that remembers: two calls, each with the newest message only.
set -eu

url=${MNEMO_URL:-http://127.0.0.1:8080/v1}
session=example-$(date +%s)-$$

ask() {
  curl -sS --fail-with-body "$url/chat/completions" \
    -H "Authorization: Bearer ${OPENAI_API_KEY:-demo}" \
    -H 'Content-Type: application/json' \
    -H "X-Session-ID: $session" \
    -d "{\"model\": \"gpt-5.4-mini\", \"messages\": [{\"role\": \"user\", \"content\": \"$1\"}]}"
}

ask 'My name is Ada and I live in Paris.'
answer=$(ask 'What is my name?')
echo "$answer"
case $answer in
  *Ada*) ;;
  *) echo 'the second answer does not know the name: there was no memory' >&2; exit 1 ;;
esac

#!/usr/bin/env bash
# Runs OpenAI's client for JavaScript against a server of a model, and compares what it gets with the raw answers:
# eng/openai-clients.sh http://localhost:5000 [API_KEY]
# Needs node 20 or later and npm; the package goes into a temporary folder.
set -euo pipefail

if (($# < 1)); then
  sed -n 2,4p "$0" >&2
  exit 2
fi

eng=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$eng/openai-clients.mjs" "$work"
npm install --prefix "$work" --no-audit --no-fund --ignore-scripts --no-save --silent openai@6.49.0
node "$work/openai-clients.mjs" "$@"

#!/usr/bin/env bash
# Installs leap from the folder of its package into a temporary one, runs each verb on real files, and serves to OpenAI's clients and a browser:
# eng/tool-check.sh artifacts/package
# Needs node and npm for OpenAI's client for JavaScript, and Chromium for the page (eng/install-browser.sh).
set -euo pipefail
(($# == 1)) || { sed -n 2,5p "$0" >&2 && exit 2; }

package=$(realpath "$1")
root=$(realpath "$(dirname "$0")/..")
work=$(mktemp -d)
server=
silo=
finish() {
  for process in $server $silo; do kill "$process" 2>/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT

fail() { echo "tool-check: $1" >&2 && exit 1; }
say() { echo "== $*"; }
# Runs a command that must fail with a code and one sentence.
refuse() {
  local code=$1 rc=0
  shift
  "$@" >/dev/null 2>"$work/refusal" || rc=$?
  ((rc == code)) || fail "'$*' ended with $rc, not $code: $(cat "$work/refusal")"
  (($(wc -l <"$work/refusal") == 1)) || fail "'$*' said more than a sentence: $(cat "$work/refusal")"
}

version=$(basename "$package"/Leap.Tool.*.nupkg .nupkg)
say "dotnet tool install Leap.Tool ${version#Leap.Tool.}"
dotnet tool install Leap.Tool --tool-path "$work/tool" --version "${version#Leap.Tool.}" --source "$package" --verbosity quiet
leap=$work/tool/leap
cd "$work"

cat "$root"/docs/*.md "$root"/README.md | grep . >texts.txt
head -n 200 texts.txt | gzip >some.txt.gz
say "texts: $(wc -l <texts.txt) lines, $(wc -c <texts.txt) bytes"
"$leap" backend
time "$leap" train texts.txt -o model.zip --time 30s --license MIT
"$leap" info model.zip
"$leap" score model.zip some.txt.gz --to csv -o some.csv
"$leap" score model.zip some.csv --prefix B --column text -o some.jsonl
"$leap" score model.zip some.jsonl --prefix C -o some.parquet
"$leap" score model.zip some.parquet --prefix D --column text -o some.tsv
[[ $(wc -l <some.jsonl) == 200 ]] || fail "200 rows went in, $(wc -l <some.jsonl) came out"
head -n 50 texts.txt | "$leap" score model.zip - --top 3

say "7 shards, one of them killed and done again, are one run's output"
"$leap" score model.zip texts.txt --json -o whole.jsonl
"$leap" score model.zip texts.txt --json -o part.jsonl --shard 3/7 & victim=$!
sleep 1
kill -9 "$victim" 2>/dev/null || true
wait "$victim" 2>/dev/null || true
for i in 1 2 3 4 5 6 7; do "$leap" score model.zip texts.txt --json -o part.jsonl --shard "$i/7"; done 2>/dev/null
cat part-*.jsonl | cmp - whole.jsonl || fail "the shards differ from one run"

"$leap" generate model.zip "The model" --tokens 60 --temperature 0.7 --seed 1
"$leap" explain model.zip "The model reads a banana from left to right."
"$leap" explain model.zip "The model reads a banana." -o focus.html
grep -q "<html" focus.html || fail "focus.html is no page"
"$leap" evaluate model.zip some.txt.gz
"$leap" convert model.zip -o folder --weights int8
"$leap" convert folder -o again.zip
refuse 2 "$leap" score
refuse 2 "$leap" train texts.txt -o x.zip --epochs many
refuse 1 "$leap" score nothing.zip texts.txt
refuse 1 "$leap" generate texts.txt "The"

say "leap silo, and two workers of one run"
"$leap" silo --port 11987 --gateway 30987 --json >silo 2>silo.log & silo=$!
for _ in {1..100}; do [[ -s silo ]] && break || sleep 0.2; done
[[ -s silo ]] || fail "the silo did not start: $(cat silo.log)"
"$leap" train some.txt.gz -o first.zip --cluster localhost:30987 --run texts --steps 40 --json >/dev/null & worker=$!
"$leap" train some.txt.gz -o second.zip --cluster localhost:30987 --run texts --steps 40
wait "$worker" || fail "a worker ended with $?"
for name in first second; do "$leap" convert "$name.zip" -o "$name"; done
cmp first/model.safetensors second/model.safetensors || fail "two workers have two networks"
kill -TERM "$silo"
wait "$silo" || fail "the silo ended with $?"
silo=

say "leap serve"
"$leap" serve model.zip --port 0 --json >address 2>server.log & server=$!
for _ in {1..100}; do [[ -s address ]] && break || sleep 0.2; done
url=$(sed -n 's/.*"url":"\([^"]*\)".*/\1/p' address)
[[ $url ]] || fail "the server did not start: $(cat server.log)"
dotnet run "$root/eng/ServerClients.cs" -- "$url" "$work/page.png"
if command -v npm >/dev/null; then
  "$root/eng/openai-clients.sh" "$url"
else
  fail "npm is not installed, and with it OpenAI's client for JavaScript is tried"
fi
kill -TERM "$server"
wait "$server" || fail "the server ended with $?"
server=
echo "tool-check: every verb did what it should"

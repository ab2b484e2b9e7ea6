#!/usr/bin/env bash
# Compares the tokenizer of a saved folder with what Hugging Face's packages, those in JavaScript and the one in Rust that Python uses too,
# make of its tokenizer.json:
# eng/check-tokenizer-json.sh FOLDER TEXT_FILE...
# Each line of the files is a text; many odd ones come on top. Needs node and npm; the packages go into artifacts/.
set -euo pipefail

if (($# < 1)); then
  sed -n 2,5p "$0" >&2
  exit 2
fi

eng=$(cd "$(dirname "$0")" && pwd)
work=$eng/../artifacts/tokenizer-json
mkdir -p "$work"
cp "$eng/check-tokenizer-json.mjs" "$work"
npm install --prefix "$work" --no-audit --no-fund --ignore-scripts --no-save --silent \
  @huggingface/tokenizers@0.2.0 @huggingface/transformers@4.3.2 tokenizers@0.23.2
dotnet run "$eng/TokenizerIds.cs" -- "$@" >"$work/lines.json"
node "$work/check-tokenizer-json.mjs" "$1" "$work/lines.json"

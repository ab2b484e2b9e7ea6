#!/usr/bin/env bash
# Writes the pictures of the pages to artifacts/screenshots or the folder given as argument: the HTML page and what notebooks show, light and dark; the terminal under
# `leap train` and `leap explain`; the page of `leap serve`. Those three are docs/tool-train.png, docs/tool-explain.png and docs/serving.png.
# Needs a browser (eng/install-browser.sh), node with npm, `script` of util-linux, and a built solution (build.sh build). Trains the quick start's model where
# artifacts/native has none.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source eng/verbs.sh
source eng/native.sh
LEAP_SCREENSHOTS=$(realpath -m "${1:-artifacts/screenshots}")
export LEAP_SCREENSHOTS
mkdir -p "$LEAP_SCREENSHOTS"

readonly columns=100
leap=$PWD/src/Leap.Tool/bin/Release/net10.0/Leap.Tool
chromium=${LEAP_CHROMIUM:-$(command -v chromium || command -v google-chrome)}
work=$(mktemp -d)
server=
finish() {
  if [[ $server ]]; then kill "$server" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap finish EXIT

# Runs a command of leap in a terminal, and keeps what it writes: record NAME COMMAND
record() { (cd "$work" && TERM=xterm-256color COLORTERM=truecolor script --quiet --return --command "stty cols $columns rows 60; $2" "$1.log" >/dev/null); }

# Photographs it: picture NAME COMMAND [PART]
picture() {
  local size
  size=$(node "$work/terminal-page.mjs" "$work/$1.log" "$columns" "$2" "$work/$1.html" "${3:-1}")
  "$chromium" --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size="$size" --screenshot="$LEAP_SCREENSHOTS/$1.png" "file://$work/$1.html" 2>/dev/null
}

# A palette makes them a third as large.
shrink() {
  (cd "$work" && node --input-type=module --eval '
    import { readFileSync, writeFileSync } from "node:fs";
    import sharp from "sharp";
    for (const path of process.argv.slice(1))
      writeFileSync(path, await sharp(readFileSync(path)).png({ palette: true, colours: 128, dither: 0, effort: 10 }).toBuffer());' "$@")
}

cp eng/terminal-page.mjs "$work"
npm install --prefix "$work" --no-audit --no-fund --ignore-scripts --no-save --silent @xterm/headless@6.0.0 @xterm/addon-serialize@0.14.0 sharp@0.35.5
mkdir "$work/bin"
ln -s "$leap" "$work/bin/leap"
export PATH=$work/bin:$PATH
cat README.md docs/*.md | grep . >"$work/pages.txt"
mkdir -p artifacts/native
cp "$(quick_start_model artifacts/native)" "$work/dotnet.zip"

command='leap train pages.txt -o pages.zip --time 60s'
record tool-train "$command"
# While it runs: the bar is gone at the end.
picture tool-train "$command" 0.5
command='leap explain dotnet.zip "Returns the number of elements. Returns the number of bananas."'
record tool-explain "$command"
picture tool-explain "$command"

leap serve "$work/dotnet.zip" --port 0 --json >"$work/address" 2>"$work/server.log" &
server=$!
for _ in {1..100}; do [[ -s $work/address ]] && break || sleep 0.2; done
url=$(sed -n 's/.*"url":"\([^"]*\)".*/\1/p' "$work/address")
[[ $url ]] || { cat "$work/server.log" >&2 && exit 1; }
dotnet run eng/ServerClients.cs -- "$url" "$LEAP_SCREENSHOTS/serving.png"
shrink "$LEAP_SCREENSHOTS"/{tool-train,tool-explain,serving}.png

dotnet run --configuration Release --no-build --project test/Microsoft.ML.Leap.Tests -- --filter "TestCategory=Screenshots"
ls "$LEAP_SCREENSHOTS"

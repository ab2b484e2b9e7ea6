#!/usr/bin/env bash
# Publishes samples/Browser into artifacts/browser/site with a small model, drives it in Chromium, and prints its figures; fails where a goal is
# missed. Trains the model, in four minutes, where artifacts/browser/model.zip is absent. Needs a browser: eng/install-browser.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=artifacts/browser
check=(dotnet run --configuration Release --no-build --project eng/BrowserCheck --)
dotnet build eng/BrowserCheck --configuration Release --verbosity quiet
[[ -f $work/model.zip ]] || "${check[@]}" train "$work/model.zip"
rm -rf "$work/site" "$work/publish"
dotnet publish samples/Browser --configuration Release --output "$work/publish" --verbosity quiet
mv "$work/publish/wwwroot" "$work/site"
rm -r "$work/publish"
cp "$work/model.zip" "$work/site"
"${check[@]}" check "$work/model.zip" "$work/site"

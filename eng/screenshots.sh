#!/usr/bin/env bash
# Writes screenshots of the HTML page and of what notebooks show, light and dark, to artifacts/screenshots or the folder given as argument.
# Needs a browser (eng/install-browser.sh) and a built solution (build.sh build).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
LEAP_SCREENSHOTS=$(realpath -m "${1:-artifacts/screenshots}")
export LEAP_SCREENSHOTS
mkdir -p "$LEAP_SCREENSHOTS"
dotnet run --configuration Release --no-build --project test/Microsoft.ML.Leap.Tests -- --filter "TestCategory=Screenshots"
ls "$LEAP_SCREENSHOTS"

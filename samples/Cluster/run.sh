#!/usr/bin/env bash
# Trains one model with two workers: samples/Cluster/run.sh TEXT-FILE FOLDER. The file has a text per line; the folder gets the model twice, and the logs.
set -euo pipefail
(($# == 2)) || { echo "usage: run.sh TEXT-FILE FOLDER" >&2 && exit 2; }
here=$(dirname "${BASH_SOURCE[0]}")
program="$here/bin/Release/net10.0/Cluster.dll"
mkdir -p "$2"
dotnet build "$here" --configuration Release --verbosity quiet --nologo
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
dotnet "$program" silo >"$2/silo.log" 2>&1 &
dotnet "$program" worker "$1" "$2/second.zip" >"$2/second.log" 2>&1 &
second=$!
dotnet "$program" worker "$1" "$2/first.zip" | tee "$2/first.log"
wait "$second"
ls -l "$2"/*.zip

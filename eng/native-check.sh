#!/usr/bin/env bash
# Publishes samples/NativeScore ahead of time for Linux x64, and compares it with its goals: no warning, at most 20 MB, at most 60 ms from the
# start to the end of a process that scores one line, the scores of the library. Then the same scores on arm64, emulated: eng/arm64-check.sh.
#
# usage: eng/native-check.sh [MODEL]    without a MODEL it trains the quick start's, about 3 minutes, and keeps it in artifacts/native
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source eng/verbs.sh
source eng/native.sh

readonly most_bytes=20000000 most_milliseconds=60 most_difference=1e-5 runs=20

[[ $(uname -s)-$(uname -m) == Linux-x86_64 ]] || { echo "This check is for Linux on x64." >&2; exit 1; }
command -v clang >/dev/null || command -v gcc >/dev/null || install_packages "a linker" clang zlib1g-dev
folder=artifacts/native
mkdir -p "$folder"
model=${1:-$(quick_start_model "$folder")}

dotnet publish samples/NativeScore --runtime linux-x64 --output "$folder/x64" --verbosity quiet
dotnet publish samples/NativeScore --output "$folder/portable" --verbosity quiet -p:PublishAot=false -p:UseAppHost=false
write_documents "$folder"
missed=0

bytes=$(stat -c %s "$folder/x64/NativeScore")
report "size" "$(awk "BEGIN { printf \"%.1f MB\", $bytes / 1e6 }")" "$(awk "BEGIN { print ($bytes <= $most_bytes) }")" "at most 20 MB"

# Of the whole process, from the fork in the shell to its end; the files are in memory after the first.
milliseconds=$(for ((run = 0; run <= runs; run++)); do
  start=$EPOCHREALTIME
  "$folder/x64/NativeScore" "$model" "$folder/one.txt" >/dev/null
  end=$EPOCHREALTIME
  ((run == 0)) || echo $((${end/[.,]/} - ${start/[.,]/}))
done | sort -n | awk '{ time[NR] = $1 } END { printf "%.1f", (time[int((NR + 1) / 2)] + time[int(NR / 2) + 1]) / 2000 }')
report "start to score, median of $runs" "$milliseconds ms" "$(awk "BEGIN { print ($milliseconds <= $most_milliseconds) }")" "at most $most_milliseconds ms"

dotnet "$folder/portable/NativeScore.dll" "$model" "$folder/many.txt" >"$folder/expected.tsv"
"$folder/x64/NativeScore" "$model" "$folder/many.txt" >"$folder/x64.tsv"
report_difference "ahead of time" "$folder/expected.tsv" "$folder/x64.tsv"

eng/arm64-check.sh "$model" || missed=1
exit $missed

#!/usr/bin/env bash
# Fuzzes one reader of files with afl++, guided by what the library's code does: eng/fuzz.sh TARGET SECONDS. Without arguments, names the targets.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly project=test/Microsoft.ML.Leap.Fuzz
readonly built=$project/bin/Release/net10.0
readonly tool_version=2.3.0
readonly work=$PWD/artifacts/fuzz

# What is followed: the library, the sample's server, and the tokenizers beneath. The rest of .NET is not.
readonly followed=(Microsoft.ML.Leap.Inference Microsoft.ML.Leap Microsoft.ML.Leap.AspNetCore Microsoft.ML.Tokenizers)

require_afl() {
  if command -v afl-fuzz >/dev/null; then return; fi
  if ! command -v apt-get >/dev/null || ((EUID != 0)); then
    echo "afl-fuzz is not installed: install afl++ (Debian and Ubuntu: apt-get install afl++, as root)." >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update </dev/null
  apt-get -qq install -y --no-install-recommends afl++ </dev/null
}

# Copies of the library's assemblies are instrumented, never those of the build, to which other folders may be linked.
prepare() {
  dotnet build "$project" --configuration Release --verbosity quiet
  if [[ ! -x $work/tools/sharpfuzz ]]; then
    dotnet tool install SharpFuzz.CommandLine --version "$tool_version" --tool-path "$work/tools" >/dev/null
  fi
  rm -rf "$work/bin"
  mkdir -p "$work/bin"
  cp --recursive --symbolic-link "$PWD/$built/." "$work/bin/"
  # The program finds its files where it lies itself.
  cp --remove-destination "$built"/Microsoft.ML.Leap.Fuzz{,.dll,.runtimeconfig.json,.deps.json} "$work/bin/"
  local name
  for name in "${followed[@]}"; do
    cp --remove-destination "$built/$name.dll" "$work/bin/$name.dll"
    "$work/tools/sharpfuzz" "$work/bin/$name.dll"
  done
}

statistic() { sed -n "s/^$1 *: //p" "$output/default/fuzzer_stats"; }

report() {
  echo "$target: $(statistic run_time) s, $(statistic execs_done) executions, $(statistic edges_found) edges, $(statistic corpus_count) paths," \
    "$(statistic saved_crashes) crashes, $(statistic saved_hangs) hangs"
  find "$output"/default/{crashes,hangs} -type f -name 'id*'
}

if (($# != 2)); then
  dotnet run --configuration Release --project "$project" -- list
  echo "usage: eng/fuzz.sh TARGET SECONDS" >&2
  exit 2
fi

readonly target=$1 seconds=$2
readonly output=$work/$target
require_afl
prepare

# One processor, so that no thread reads ahead and coverage repeats; a limit, so that to ask for all memory is a crash.
export DOTNET_PROCESSOR_COUNT=1 OMP_NUM_THREADS=1 DOTNET_gcServer=0 DOTNET_GCHeapHardLimit=0x40000000
export AFL_SKIP_BIN_CHECK=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_SKIP_CPUFREQ=1 AFL_NO_AFFINITY=1 AFL_NO_UI=1 AFL_DISABLE_TRIM=1 AFL_FORKSRV_INIT_TMOUT=60000
if [[ -d /dev/shm ]]; then export TMPDIR=/dev/shm; fi
rm -rf "$output"
mkdir -p "$output"
if ! afl-fuzz -x "$project/dictionary.txt" -i "$project/seeds/$target" -o "$output" -V "$seconds" -t 10000 -m none -- \
  "$work/bin/Microsoft.ML.Leap.Fuzz" afl "$target" >"$output/log" 2>&1; then
  tail -20 "$output/log" >&2
  exit 1
fi
report

# The verbs of build.sh; sourced in the repository's root.

export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 TESTINGPLATFORM_TELEMETRY_OPTOUT=1
# By the environment, because `dotnet format` has no option for it.
export Configuration=Release

require_sdk() {
  if ! command -v dotnet >/dev/null; then
    echo "The .NET 10 SDK is not installed: https://dotnet.microsoft.com/download/dotnet/10.0" >&2
    exit 1
  fi
  # dotnet itself compares with global.json.
  if ! dotnet --version >/dev/null; then
    echo "Install the .NET SDK that global.json names: https://dotnet.microsoft.com/download/dotnet/10.0" >&2
    exit 1
  fi
}

verb_build() {
  dotnet restore Leap.sln --verbosity quiet
  dotnet build Leap.sln --configuration Release --no-restore --verbosity quiet
}

verb_test() {
  local results=artifacts/test-results status=0
  verb_build
  # After the build, which makes an assembly that the analyzers read.
  dotnet format Leap.sln --no-restore --verify-no-changes
  verb_pack --no-build
  rm -rf "$results"
  dotnet test --solution Leap.sln --configuration Release --no-build --no-progress --report-trx --results-directory "$PWD/$results" \
    || status=$?
  summarize_tests "$results" || status=1
  return "$status"
}

# Adds up the counters of all reports into the last line; fails when no test ran.
summarize_tests() {
  local reports=("$1"/*.trx) total passed skipped failed
  total=$(sum_counter total "${reports[@]}")
  passed=$(sum_counter passed "${reports[@]}")
  skipped=$(sum_counter notExecuted "${reports[@]}")
  failed=$((total - passed - skipped))
  local line="$passed passed, $failed failed"
  if ((skipped)); then line+=", $skipped skipped"; fi
  echo "$line"
  ((passed > 0 && failed == 0))
}

sum_counter() {
  local name=$1
  shift
  { grep -ho '<Counters [^>]*' "$@" 2>/dev/null || true; } \
    | sed -n "s/.* $name=\"\([0-9]*\)\".*/\1/p" | awk '{ sum += $1 } END { print sum + 0 }'
}

verb_quickstart() { dotnet run --configuration Release --project samples/QuickStart -- "$@"; }

verb_bench() { dotnet run --configuration Release --project benchmarks/Microsoft.ML.Leap.Benchmarks -- "$@"; }

# Writes the notebooks of samples/NotebookSamples from their programs, and runs them for their outputs.
verb_notebooks() { dotnet run --configuration Release --project eng/Notebooks -- "$@"; }

# What a machine with a GPU, and without .NET and a network, needs: docs/gpu.md.
verb_gpu-kit() {
  local kit=artifacts/gpu-kit kilobytes
  rm -rf "$kit"
  dotnet publish benchmarks/Microsoft.ML.Leap.Benchmarks --configuration Release --runtime linux-x64 --self-contained --output "$kit" \
    --verbosity quiet -p:TorchBackend=none
  # What the build brings along, and no verb of the kit loads: disassemblers and tracing for BenchmarkDotNet, a tool of the build, symbols.
  rm -r "$kit"/libcapstone.so "$kit"/amd64 "$kit"/OpenAccess* "$kit"/*.dbg "$kit"/*.xml
  mkdir "$kit/fixtures"
  cp test/Microsoft.ML.Leap.Tests/Fixtures/*.safetensors test/Microsoft.ML.Leap.Tests/Fixtures/*.json "$kit/fixtures"
  cat README.md CHANGELOG.md docs/*.md >"$kit/text.txt"
  cp eng/gpu-check.sh "$kit"
  kilobytes=$(du -sk "$kit" | cut -f 1)
  echo "$kit holds $((kilobytes / 1024)) MB."
  ((kilobytes < 60 * 1024)) || { echo "It is to be carried, and must stay below 60 MB." >&2 && return 1; }
}

verb_format() { dotnet format Leap.sln; }

packages=(Microsoft.ML.Leap.Inference Microsoft.ML.Leap Microsoft.ML.Leap.Extensions.AI Microsoft.ML.Leap.AspNetCore Microsoft.ML.Leap.Orleans)

# With --no-build it packs what verb_build made.
verb_pack() {
  local package assemblies=()
  [[ ${1:-} == --no-build ]] || verb_build
  for package in "${packages[@]}"; do assemblies+=("src/$package/bin/Release/net10.0/$package.dll"); done
  dotnet run eng/TrimDocumentation.cs -- "${assemblies[@]}"
  rm -rf artifacts/package
  for package in "${packages[@]}" Leap.Tool; do
    dotnet pack "src/$package" --configuration Release --no-build --output artifacts/package --verbosity quiet
  done
  dotnet run eng/CheckPackage.cs -- artifacts/package
}

# Trains a small model where there is none, publishes the sample, and drives it in Chromium.
verb_browser-check() { eng/browser-check.sh; }

# Installs the tool from its package, and uses every verb of it from outside.
verb_tool-check() {
  verb_pack
  eng/tool-check.sh artifacts/package
}

# Compiles a sample ahead of time, and holds it to its goals.
verb_native-check() { eng/native-check.sh; }

# Runs the tests of training on a cluster, none of them left out.
verb_cluster-check() { eng/cluster-check.sh; }

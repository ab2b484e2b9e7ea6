#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source eng/verbs.sh

usage() {
  cat >&2 <<'TEXT'
usage: ./build.sh VERB

  build              compile everything, warnings being errors
  test               build, check formatting and package, run all tests; ends with "N passed, N failed"
  quickstart [FILE]  train, score, generate, save and reload: samples/QuickStart
  bench VERB ...     run one of the benchmarks
  notebooks [NAME]   write the notebooks of samples/NotebookSamples from their programs, and run them for their outputs
  gpu-kit            put what a machine with a GPU and without .NET needs into artifacts/gpu-kit (docs/gpu.md)
  pack               put the NuGet packages into artifacts/ and check what is in them
  tool-check         install leap from its package, run each of its verbs, and serve to OpenAI's clients and a browser (docs/tool.md)
  native-check       compile samples/NativeScore ahead of time, and hold its size, start and scores to their goals (docs/native.md)
  browser-check      publish samples/Browser, and hold it to its goals in headless Chromium (docs/browser.md)
  cluster-check      run the tests of training on a cluster with Redis, which it installs where it can (docs/scale-out.md)
  format             format the sources

Everything is built as Release. TorchBackend=cuda ./build.sh VERB builds for NVIDIA GPUs (docs/gpu.md).
TEXT
  exit 2
}

(($#)) || usage
verb=$1
shift
case $verb in
  build | test | pack | gpu-kit | tool-check | native-check | browser-check | cluster-check | format) (($# == 0)) || usage ;;
  quickstart | bench | notebooks) ;;
  *) usage ;;
esac

require_sdk
"verb_$verb" "$@" </dev/null

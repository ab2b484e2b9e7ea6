#!/usr/bin/env bash
# Checks this library on a machine that has a GPU and PyTorch, and neither .NET nor a network: `./build.sh gpu-kit` puts this script and all it
# needs into one folder. docs/gpu.md says what it does.
set -uo pipefail
kit=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=$kit/Microsoft.ML.Leap.Benchmarks

usage() {
  cat >&2 <<'TEXT'
usage: gpu-check.sh [--device cpu|cuda|cuda:N] [--libtorch DIR] [--torchsharp-source DIR] [--json FILE] [CHECK...]

  --device              where to compute; by default cuda
  --libtorch            the folder of libtorch_cpu.so; by default that of the PyTorch that python3 imports
  --torchsharp-source   TorchSharp's sources (tag v0.107.0), to compile its native library where the kit's does not load; needs CMake and a C++ compiler
  --json                where to write the results; by default gpu-check.json
  CHECK                 the checks to run; by default all (Microsoft.ML.Leap.Benchmarks gpu --help lists them)
TEXT
  exit 2
}

device=cuda libtorch= source= json=gpu-check.json checks=()
while (($#)); do
  case $1 in
    --device | --libtorch | --torchsharp-source | --json)
      (($# > 1)) || usage
      case $1 in
        --device) device=$2 ;;
        --libtorch) libtorch=$2 ;;
        --torchsharp-source) source=$2 ;;
        --json) json=$2 ;;
      esac
      shift 2
      ;;
    -*) usage ;;
    *) checks+=("$1") && shift ;;
  esac
done

fail() {
  echo "gpu-check.sh: $1" >&2
  exit 1
}

find_libtorch() {
  command -v python3 >/dev/null || fail "there is no python3 to ask for PyTorch; name the folder of libtorch_cpu.so by --libtorch."
  libtorch=$(python3 -c 'import os, torch; print(os.path.join(os.path.dirname(torch.__file__), "lib"))') \
    || fail "python3 cannot import torch; name the folder of libtorch_cpu.so by --libtorch."
}

# With LD_BIND_NOW=1 a library that lacks symbols fails here and not in the midst of a check.
loads() { env "$@" "$program" gpu --only library --device cpu; }

compile_torchsharp() {
  local build cmake_folder
  command -v cmake >/dev/null || fail "there is no cmake to compile TorchSharp's native library with."
  [[ -f $source/src/Native/CMakeLists.txt ]] || fail "$source has no src/Native/CMakeLists.txt; --torchsharp-source is the root of TorchSharp's repository."
  cmake_folder=$libtorch/../share/cmake/Torch
  [[ -f $cmake_folder/TorchConfig.cmake ]] || fail "$cmake_folder has no TorchConfig.cmake; to compile, libtorch must come with its headers, as PyTorch does."
  build=$(mktemp -d)
  # -w, because TorchSharp's project takes warnings, those of PyTorch's headers too, as errors.
  cmake -S "$source/src/Native" -B "$build" -DCMAKE_BUILD_TYPE=Release -DLIBTORCH_PATH="$cmake_folder" -DCMAKE_CXX_FLAGS=-w -DCMAKE_C_FLAGS=-w \
    && cmake --build "$build" --parallel "$(nproc)" \
    || fail "TorchSharp's native library does not compile against this libtorch; the messages are above, and the files in $build."
  native=$build/LibTorchSharp
}

[[ -n $libtorch ]] || find_libtorch
[[ -f $libtorch/libtorch_cpu.so ]] || fail "$libtorch has no libtorch_cpu.so."
version=$(cat "$libtorch/../version.py" "$libtorch/../build-version" 2>/dev/null | sed -n "s/^__version__ = '\(.*\)'/\1/p; /^[0-9]/p" | head -n 1)
native=$kit/torchsharp
export LD_LIBRARY_PATH=$libtorch:$native${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

origin="as the NuGet package brings it"
if ! loads LD_BIND_NOW=1; then
  echo "TorchSharp's native library does not load whole against $libtorch as it is." >&2
  if [[ -n $source ]]; then
    compile_torchsharp
    LD_LIBRARY_PATH=$libtorch:$native:$LD_LIBRARY_PATH
    origin="compiled here from $source"
    loads LD_BIND_NOW=1 || fail "TorchSharp's native library was compiled, and does not load either."
  else
    loads LD_BIND_NOW= || fail "give TorchSharp's sources by --torchsharp-source to compile it here."
    echo "It loads with symbols missing: checks that need one of them will end in the midst. --torchsharp-source compiles it here." >&2
    origin="as the NuGet package brings it, with symbols missing"
  fi
fi

about=(--about "libtorch ${version:-of unknown version} in $libtorch; TorchSharp's native library $origin")
if command -v nvidia-smi >/dev/null; then
  while IFS= read -r line; do about+=(--about "$line"); done < <(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader)
fi
((${#checks[@]})) && about+=(--only "${checks[@]}")
exec "$program" gpu --device "$device" --json "$json" "${about[@]}"

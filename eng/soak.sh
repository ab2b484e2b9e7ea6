#!/usr/bin/env bash
# Runs the library for long, and treats it badly: 16 threads of every public operation beside one that collects garbage; 30 kills of a
# process that trains and of one that saves; a full disk. Fails where a result differs, a file is half-written or the memory grows.
#
# usage: eng/soak.sh MINUTES
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
(($# == 1)) || { echo "usage: eng/soak.sh MINUTES" >&2; exit 2; }

readonly project=test/Microsoft.ML.Leap.Soak
readonly program=$project/bin/Release/net10.0/Microsoft.ML.Leap.Soak
dotnet build "$project" --configuration Release --verbosity quiet
"$program" crowd "$1"
"$program" kills 30

if ((EUID != 0)); then
  echo "a full disk: skipped, since only root may mount a small one"
  exit
fi
disk=$(mktemp -d)
trap 'umount "$disk"; rmdir "$disk"' EXIT
mount -t tmpfs -o size=8m tmpfs "$disk"
"$program" full-disk "$disk"

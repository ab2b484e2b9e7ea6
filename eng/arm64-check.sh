#!/usr/bin/env bash
# Runs samples/NativeScore for Linux arm64 on an x64 machine, emulated by QEMU: compiled ahead of time, and as a program that needs the .NET
# runtime. Both must give the scores of x64. Says nothing about speed. Needs Debian or Ubuntu; as root it installs what is missing.
#
# usage: eng/arm64-check.sh [MODEL]    without a MODEL it takes the quick start's in artifacts/native, or trains it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source eng/verbs.sh
source eng/native.sh

readonly most_difference=1e-5
folder=artifacts/native
mkdir -p "$folder"
model=${1:-$(quick_start_model "$folder")}

command -v qemu-aarch64-static >/dev/null || install_packages "emulator" qemu-user-static
{ command -v aarch64-linux-gnu-gcc && [[ -e /usr/aarch64-linux-gnu/lib/libc.so ]]; } >/dev/null \
  || install_packages "compiler and C library for arm64" gcc-aarch64-linux-gnu libc6-dev-arm64-cross
{ command -v clang && command -v ld.lld; } >/dev/null || install_packages "linker for arm64" clang lld
command -v debootstrap >/dev/null || install_packages "debootstrap" debootstrap

# What programs find under /: the libraries of .NET's requirements, of Debian 12 for arm64.
system=$folder/arm64-system
if [[ ! -e $system/complete ]]; then
  download=$(mktemp -d)
  trap 'rm -rf "$download"' EXIT
  debootstrap --download-only --arch=arm64 --variant=minbase --include=libssl3,libstdc++6,zlib1g bookworm "$download" \
    ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$folder/debootstrap.log"
  mkdir -p "$system"
  for package in libc6 libgcc-s1 libstdc++6 libssl3 zlib1g; do
    dpkg --extract "$download/var/cache/apt/archives/$package"_*.deb "$system"
  done
  touch "$system/complete"
fi

emulate() { DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 qemu-aarch64-static -L "$system" "$@"; }

missed=0
write_documents "$folder"
dotnet publish samples/NativeScore --output "$folder/portable" --verbosity quiet -p:PublishAot=false -p:UseAppHost=false
dotnet "$folder/portable/NativeScore.dll" "$model" "$folder/many.txt" >"$folder/expected.tsv"

dotnet publish samples/NativeScore --runtime linux-arm64 --output "$folder/arm64" --verbosity quiet \
  -p:CppCompilerAndLinker=clang -p:LinkerFlavor=lld -p:ObjCopyName=aarch64-linux-gnu-objcopy
emulate "$folder/arm64/NativeScore" "$model" "$folder/many.txt" >"$folder/arm64.tsv"
report_difference "arm64, emulated, ahead of time" "$folder/expected.tsv" "$folder/arm64.tsv"

# The runtime as it is installed on such a machine, from the package that self-contained programs are made of.
dotnet restore samples/NativeScore --runtime linux-arm64 --verbosity quiet -p:PublishAot=false -p:SelfContained=true
version=$(dotnet msbuild samples/NativeScore -getProperty:BundledNETCoreAppPackageVersion)
package=$(dotnet nuget locals global-packages --list | sed 's/^[^:]*: //')/microsoft.netcore.app.runtime.linux-arm64/$version/runtimes/linux-arm64
runtime=$PWD/$folder/arm64-dotnet
rm -rf "$runtime"
mkdir -p "$runtime/host/fxr/$version" "$runtime/shared/Microsoft.NETCore.App/$version"
cp "$package"/lib/net*/* "$package"/native/* "$runtime/shared/Microsoft.NETCore.App/$version"
cp "$package/native/libhostfxr.so" "$runtime/host/fxr/$version"
dotnet publish samples/NativeScore --runtime linux-arm64 --self-contained false --output "$folder/arm64-portable" --verbosity quiet -p:PublishAot=false
DOTNET_ROOT=$runtime emulate "$folder/arm64-portable/NativeScore" "$model" "$folder/many.txt" >"$folder/arm64-portable.tsv"
report_difference "arm64, emulated, by the .NET runtime $version" "$folder/expected.tsv" "$folder/arm64-portable.tsv"
exit $missed

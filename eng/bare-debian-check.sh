#!/usr/bin/env bash
# Shows that `leap score` needs nothing but .NET's runtime: makes a minimal Debian 12 by debootstrap with what the runtime asks for, copies the
# runtime of this machine and leap, installed from its package, into it, and scores a text there as an ordinary user. Fails where a library of
# torch is loaded, or where the scores differ from those of this machine. Needs Linux x64, root, debootstrap and the .NET SDK.
#
# usage: eng/bare-debian-check.sh PACKAGES MODEL    PACKAGES is what ./build.sh pack made, MODEL a saved model
set -euo pipefail
(($# == 2)) || { sed -n 2,7p "$0" >&2; exit 2; }
packages=$(realpath "$1")
model=$(realpath "$2")
cd "$(dirname "${BASH_SOURCE[0]}")/.."

((EUID == 0)) || { echo "Run this as root: it makes a file system and enters it." >&2; exit 1; }
for tool in debootstrap dotnet unshare; do
  command -v "$tool" >/dev/null || { echo "$tool is not installed." >&2; exit 1; }
done

folder=$(mktemp -d)
root=$folder/root
# What is mounted below is mounted in a namespace of its own, and gone with the last process in it.
trap 'rm -rf --one-file-system "$folder"' EXIT

version=$(basename "$packages"/Leap.Tool.*.nupkg .nupkg)
version=${version#Leap.Tool.}
dotnet tool install Leap.Tool --tool-path "$folder/leap" --version "$version" --source "$packages" --verbosity quiet
head -q -n 10 README.md docs/*.md >"$folder/texts.txt"
"$folder/leap/leap" score "$model" "$folder/texts.txt" --json >"$folder/expected.jsonl"

debootstrap --variant=minbase --include=libicu72,libssl3,libstdc++6,zlib1g bookworm "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$folder/debootstrap.log" \
  || { tail -n 5 "$folder/debootstrap.log" >&2; exit 1; }
dotnet_root=$(dirname "$(readlink -f "$(command -v dotnet)")")
mkdir "$root/usr/share/dotnet"
cp -r "$dotnet_root/dotnet" "$dotnet_root/host" "$dotnet_root/shared" "$root/usr/share/dotnet"
cp -r "$folder/leap" "$root/opt/leap"
cp "$model" "$root/opt/model.zip"
cp "$folder/texts.txt" "$root/opt/texts.txt"
chroot "$root" useradd --create-home user

# LD_DEBUG lists every library that is loaded.
# shellcheck disable=SC2016
unshare --mount --pid --fork --kill-child bash -c '
  mount -t proc proc "$1/proc"
  mount --rbind /dev "$1/dev"
  chroot --userspec=user "$1" /usr/bin/env -i HOME=/home/user PATH=/opt/leap:/usr/bin:/bin DOTNET_ROOT=/usr/share/dotnet \
    LD_DEBUG=files LD_DEBUG_OUTPUT=/tmp/loaded leap score /opt/model.zip /opt/texts.txt --json' \
  bare "$root" >"$folder/got.jsonl"

loaded=$(cat "$root"/tmp/loaded.* | sed -n 's/.*calling init: //p' | sort -u)
echo "Debian $(cat "$root/etc/debian_version"), libstdc++6 $(chroot "$root" dpkg-query --show --showformat='${Version}' libstdc++6), $(wc -l <"$folder/got.jsonl") rows, $(wc -l <<<"$loaded") libraries loaded"
[[ $loaded == *libcoreclr.so* ]] || { echo "The list of loaded libraries lacks the runtime's own:" "$loaded" >&2; exit 1; }
if grep -i torch <<<"$loaded" >&2; then
  echo "A library of torch was loaded." >&2
  exit 1
fi
cmp "$folder/expected.jsonl" "$folder/got.jsonl" || { echo "The scores differ from those of this machine." >&2; exit 1; }
echo "leap $version scores there as here, without torch."

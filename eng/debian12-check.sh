#!/usr/bin/env bash
# Shows that training works on Debian 12 as it is: makes a minimal Debian 12 by debootstrap, and runs ./build.sh quickstart there as an
# ordinary user, from a clean clone of the last commit. Needs Linux x64, root, debootstrap, git, and the .NET SDK of this machine, which
# the new system sees read-only. Takes about ten minutes and 4 GB.
#
# usage: eng/debian12-check.sh [FOLDER]    FOLDER is made, kept and used again; without it a temporary one is made and deleted
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

((EUID == 0)) || { echo "Run this as root: it makes a file system and enters it." >&2; exit 1; }
for tool in debootstrap git dotnet; do
  command -v "$tool" >/dev/null || { echo "$tool is not installed." >&2; exit 1; }
done

folder=${1:-$(mktemp -d)}
root=$folder/root
dotnet_root=$(dirname "$(readlink -f "$(command -v dotnet)")")
mounts=(proc dev usr/share/dotnet)

clean_up() {
  local mount
  for mount in "${mounts[@]}"; do
    if mountpoint -q "$root/$mount"; then umount -R "$root/$mount"; fi
  done
  # Never across a mount that could not be undone.
  if [[ -z ${given:-} ]]; then rm -rf --one-file-system "$folder"; fi
}
given=${1:-}
trap clean_up EXIT

# ICU is what the .NET runtime needs beside the base system.
[[ -e $root/etc/debian_version ]] || debootstrap --variant=minbase --include=ca-certificates,libicu72 bookworm "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >&2
cp /etc/resolv.conf "$root/etc/resolv.conf"
# Authorities that this machine trusts beside the usual ones.
cp -r /usr/local/share/ca-certificates "$root/usr/local/share/"
mkdir -p "$root/usr/share/dotnet"
mountpoint -q "$root/proc" || mount -t proc proc "$root/proc"
mountpoint -q "$root/dev" || mount --rbind --make-rslave /dev "$root/dev"
mountpoint -q "$root/usr/share/dotnet" || mount --bind -o ro "$dotnet_root" "$root/usr/share/dotnet"
chroot "$root" /usr/sbin/update-ca-certificates >/dev/null 2>&1
chroot "$root" /bin/bash -c 'id user >/dev/null 2>&1 || useradd --create-home user'

rm -rf "$root/home/user/leap"
git clone --quiet "$PWD" "$root/home/user/leap"
chroot "$root" chown -R user:user /home/user

echo "Debian $(cat "$root/etc/debian_version"), libstdc++6 $(chroot "$root" dpkg-query --show --showformat='${Version}' libstdc++6), user $(chroot --userspec=user "$root" id -un)"
before=$(chroot "$root" dpkg-query --show | sha256sum)
# No server stays behind that would keep the mounts busy.
chroot --userspec=user "$root" /usr/bin/env -i HOME=/home/user PATH=/usr/share/dotnet:/usr/bin:/bin TMPDIR=/tmp \
  MSBUILDDISABLENODEREUSE=1 UseSharedCompilation=false \
  /bin/bash -c 'cd ~/leap && ./build.sh quickstart'
after=$(chroot "$root" dpkg-query --show | sha256sum)
[[ $before == "$after" ]] || { echo "The system's packages changed." >&2; exit 1; }
echo "No system package was touched; the copy of the library: $(cd "$root/home/user/.cache" && find . -name '*.so')"

# TorchSharp's native library needs a C++ standard library of GCC 13.2 or later. Sourced by build.sh, which calls
# require_native_library; run by itself (as root, on Debian 12) it installs one.

needed_symbol=GLIBCXX_3.4.32

require_native_library() {
  [[ $(uname -s) == Linux ]] || return 0
  if [[ $(uname -m) != x86_64 ]]; then
    echo "On Linux, TorchSharp has a native library for x86_64 only; this machine is $(uname -m)." >&2
    exit 1
  fi
  local library
  library=$(find_libstdcxx)
  has_needed_symbol "$library" && return 0
  echo "${library:-libstdc++.so.6 (none found)} lacks $needed_symbol, which TorchSharp's native library needs." >&2
  if ! is_debian_12; then
    echo "Use a system that has libstdc++ of GCC 13.2 or later: Ubuntu 24.04, Debian 13, Fedora 39 or newer." >&2
    exit 1
  fi
  if ((EUID != 0)); then
    echo "Run this command once: sudo bash $PWD/eng/native-library.sh" >&2
    exit 1
  fi
  install_libstdcxx
}

# The file that programs load: LIBSTDCXX, or in LD_LIBRARY_PATH, or the system's.
find_libstdcxx() {
  if [[ -n ${LIBSTDCXX:-} ]]; then
    echo "$LIBSTDCXX"
    return
  fi
  local folder folders
  IFS=: read -ra folders <<<"${LD_LIBRARY_PATH:-}"
  for folder in "${folders[@]}"; do
    if [[ -e $folder/libstdc++.so.6 ]]; then
      echo "$folder/libstdc++.so.6"
      return
    fi
  done
  PATH=$PATH:/sbin:/usr/sbin ldconfig -p | awk '$1 == "libstdc++.so.6" && /x86-64/ && !found { print $NF; found = 1 }'
}

has_needed_symbol() { [[ -e $1 ]] && grep -qaF "$needed_symbol" "$1"; }

is_debian_12() (
  . "${OS_RELEASE:-/etc/os-release}" && [[ ${ID:-} == debian && ${VERSION_ID:-} == 12 ]]
)

# The Debian mirror that this machine's own sources name, in either format of source lists under a folder like /etc/apt.
find_debian_mirror() (
  shopt -s nullglob
  # Lines "URIs: http://..." of *.sources, "deb [options] http://..." of the lists.
  awk '
    /^(URIs:|deb[ \t])/ {
      for (i = 2; i <= NF; i++)
        if ($i ~ /^[a-z+]+:.*\/debian\/?$/ && !mirror) mirror = $i
    }
    END { print mirror ? mirror : "http://deb.debian.org/debian" }
  ' "$1"/sources.list.d/*.sources "$1"/sources.lis[t] "$1"/sources.list.d/*.list </dev/null
)

install_libstdcxx() (
  set -euo pipefail
  mirror=$(find_debian_mirror /etc/apt)
  echo "Installing libstdc++6 of Debian 13 (trixie) from $mirror. It brings libc6 2.41 and base-files, by which the" >&2
  echo "system calls itself Debian 13, and upgrades what must match them; the package sources stay as they are." >&2
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  chmod 755 "$folder"
  mkdir -p "$folder/lists/partial" "$folder/parts"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$folder/trixie.list"
  options=(
    -o "Dir::Etc::sourcelist=$folder/trixie.list" -o "Dir::Etc::sourceparts=$folder/parts" -o "Dir::State::lists=$folder/lists"
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o Acquire::Retries=3
  )
  export DEBIAN_FRONTEND=noninteractive
  apt-get "${options[@]}" -qq update </dev/null >&2
  apt-get "${options[@]}" -qq install -y --no-install-recommends libstdc++6 </dev/null >&2
)

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  if ! is_debian_12 || ((EUID != 0)); then
    echo "This installs libstdc++6 of Debian 13 on Debian 12, and must run as root." >&2
    exit 1
  fi
  install_libstdcxx
fi

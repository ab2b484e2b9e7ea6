#!/usr/bin/env bash
# Installs Chromium on Debian or Ubuntu, as root: the browser tests of the HTML page need one, and are skipped without.
set -euo pipefail
if ! command -v apt-get >/dev/null || ((EUID != 0)); then
  echo "This needs apt-get and root. Elsewhere install Chromium or Chrome, and set LEAP_CHROMIUM to its path." >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update </dev/null
apt-get -qq install -y --no-install-recommends chromium </dev/null

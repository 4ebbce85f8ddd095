#!/usr/bin/env bash
# Makes sure that the Swift toolchain and the system libraries are there; says what it installs.
set -euo pipefail

if ! command -v swift >/dev/null; then
  cat >&2 <<'TEXT'
error: no Swift toolchain found.
  ckpt needs Swift 6.2 or newer. Install it from https://www.swift.org/install/linux/
  and make sure that `swift --version` answers.
TEXT
  exit 2
fi

packages=(libhdf5-dev libzip-dev zlib1g-dev libssl-dev libsnappy-dev libyaml-dev libpng-dev libsentencepiece-dev pkg-config)
missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
  echo "error: missing: ${missing[*]} (Debian's names); install them with your package manager" >&2
  exit 2
fi
sudo=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "error: as root: apt-get install ${missing[*]}" >&2; exit 2; }
  sudo=(sudo)
fi
echo "Installing system libraries with apt-get: ${missing[*]}"
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null

#!/bin/sh
# Installs the Debian packages that are missing, and only those: when nothing is missing no network is used.
#   scripts/deps.sh GROUP...     GROUP is a file of scripts/packages/ without its .txt (build, page, lint, smoke, bench)
set -eu

cd "$(dirname "$0")/.."

# $1: a package list. Prints its names, one a line.
listed() {
  sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$1"
}

# $1: a package name. True when it is installed (a removed package that left its configuration behind is not).
installed() {
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

[ $# -gt 0 ] || set -- build

wanted=
for group in "$@"; do
  list="scripts/packages/$group.txt"
  [ -f "$list" ] || { echo "deps: there is no package list $list" >&2; exit 2; }
  wanted="$wanted $(listed "$list" | tr '\n' ' ')"
done

if ! command -v dpkg-query >/dev/null 2>&1; then
  echo "deps: this is not Debian. Install what stands for these packages of Debian 12:$wanted" >&2
  exit 1
fi

missing=
for package in $wanted; do
  installed "$package" || missing="$missing $package"
done

if [ -z "$missing" ]; then
  echo "==> deps: every package of '$*' is installed"
  exit 0
fi
echo "==> deps: missing:$missing"

# The one command, for whoever has to run it by hand.
command="apt-get update && apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" -eq 0 ]; then
  as_root=
elif command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
  as_root=sudo
else
  echo "deps: packages are missing, and this is neither root nor sudo. Run this as root, then start again:" >&2
  echo "  $command" >&2
  exit 1
fi

# An index that is partly stale or partly unreachable may still know every package: the installation decides.
$as_root apt-get update -q || echo "deps: apt-get update failed; trying with the package index as it is" >&2
# shellcheck disable=SC2086 # a list of names, each a word
if ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing </dev/null; then
  echo "deps: apt-get could not install:$missing" >&2
  exit 1
fi
for package in $missing; do
  installed "$package" || { echo "deps: $package is still not installed" >&2; exit 1; }
done
echo "==> deps: installed$missing"

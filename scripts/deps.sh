#!/bin/sh
# Installs the Debian packages that are missing, and only those. When none is missing, the network is not used.
#   scripts/deps.sh GROUP...     GROUP is a file of scripts/packages/ without its .txt (arm64, build, page, shells, metrics, proxy, database, lint, smoke, dist, bench, examples)
set -eu

cd "$(dirname "$0")/.."

# Prints the names in the package list $1, one per line.
listed() {
  sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$1"
}

# True when the package $1 is installed. A removed package that left its configuration behind is not.
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
  echo "deps: this is not Debian. Install the equivalents of these packages of Debian 12:$wanted" >&2
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

# The command is printed for users who have to run it by hand.
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

# A failed update does not stop the script: an index that is partly stale or unreachable may still list every package.
$as_root apt-get update -q || echo "deps: apt-get update failed; trying with the package index as it is" >&2
# shellcheck disable=SC2086 # the variable is a list of names to be split
if ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing </dev/null; then
  echo "deps: apt-get could not install:$missing" >&2
  exit 1
fi
for package in $missing; do
  installed "$package" || { echo "deps: $package is still not installed" >&2; exit 1; }
done
echo "==> deps: installed$missing"

#!/bin/sh
# Makes the Python environment .build/venv unless it exists, and prints the path of its python.
#   scripts/venv.sh [DIR]        make it in DIR instead
# The scripts need one because Debian's pip refuses to install outside of an environment (PEP 668).
set -eu

venv=${1:-$(cd "$(dirname "$0")/.." && pwd)/.build/venv}

# An environment whose creation was interrupted has no working pip and is made again. The check needs no network.
if ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
  rm -rf "$venv"
  mkdir -p "$(dirname "$venv")"
  if ! python3 -m venv "$venv" >&2; then
    rm -rf "$venv"
    echo "venv: 'python3 -m venv' failed; on Debian it needs the package python3-venv (scripts/deps.sh build)" >&2
    exit 1
  fi
fi
echo "$venv/bin/python"

#!/bin/sh
# Makes the Python environment .build/venv when it is not there, and prints the path of its python.
# Debian's pip refuses to install outside of one (PEP 668).
set -eu

cd "$(dirname "$0")/.."
venv=.build/venv

# A half-made environment has no working pip: it is made anew. Both checks are quick and offline.
if ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
  rm -rf "$venv"
  mkdir -p .build
  if ! python3 -m venv "$venv" >&2; then
    rm -rf "$venv"
    echo "venv: 'python3 -m venv' failed; on Debian it needs the package python3-venv (scripts/deps.sh build)" >&2
    exit 1
  fi
fi
echo "$PWD/$venv/bin/python"

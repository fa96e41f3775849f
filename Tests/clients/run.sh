#!/bin/sh
# Runs the client tests against a built server: Tests/clients/run.sh BINARY [pytest arguments]
# The Python packages go to .build/venv and are installed only when requirements.txt has changed.
set -eu

if [ "$#" -lt 1 ]; then
  echo "usage: $0 BINARY [pytest arguments]" >&2
  exit 2
fi
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
binary=$(CDPATH='' cd -- "$(dirname -- "$1")" && pwd)/$(basename -- "$1")
shift
if [ ! -x "$binary" ]; then
  echo "$binary is not there: build it first (make build)" >&2
  exit 2
fi

venv=$root/.build/venv
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
  echo "installing the test clients into .build/venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
  cp "$here/requirements.txt" "$venv/requirements.txt"
fi

cd "$here"
NEARFAR_TEST_BINARY=$binary exec "$venv/bin/python" -m pytest -p no:cacheprovider "$@"

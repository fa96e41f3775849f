#!/bin/sh
# Runs the tests of collections that stay in a database with pgvector: Tests/pgvector/run.sh NEARFAR [HTTP-ECHO] [pytest arguments]
# The last line is "N passed, M failed". The server and the Python packages are installed to .build/pgvector-venv, and only when
# requirements.txt has changed.
set -eu

if [ "$#" -lt 1 ]; then
  echo "usage: $0 NEARFAR [HTTP-ECHO] [pytest arguments]" >&2
  exit 2
fi
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
binary=$(CDPATH='' cd -- "$(dirname -- "$1")" && pwd)/$(basename -- "$1")
shift
# Every runner is given the paths of both programs, but this one does not need the second.
case "${1:-}" in */http-echo) shift ;; esac
if [ ! -x "$binary" ]; then
  echo "$binary does not exist: build it first (make build)" >&2
  exit 2
fi

venv=$root/.build/pgvector-venv
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
  echo "installing PostgreSQL with pgvector into .build/pgvector-venv"
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: --requirement "$here/requirements.txt"
  cp "$here/requirements.txt" "$venv/requirements.txt"
fi

results=$root/.build/pgvector-results.xml
rm -f "$results"
status=0
(
  cd "$here"
  NEARFAR_TEST_BINARY=$binary "$venv/bin/python" -m pytest -p no:cacheprovider --junit-xml "$results" "$@"
) || status=$?
python3 "$root/scripts/count-tests.py" "$results" || status=1
exit "$status"

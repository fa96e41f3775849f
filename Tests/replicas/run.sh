#!/bin/sh
# Runs replicas of a built server on one PostgreSQL database, while both are killed, stalled and cut off:
#   Tests/replicas/run.sh NEARFAR [HTTP-ECHO] [pytest arguments]
# The last line is "N passed, M failed". The Python packages are those of Tests/clients, in the same .build/venv. It needs PostgreSQL,
# pgbouncer and HAProxy (scripts/deps.sh database proxy). chaos.py alone runs as long as wanted.
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

venv=$root/.build/venv
requirements=$root/Tests/clients/requirements.txt
if ! cmp -s "$requirements" "$venv/requirements.txt"; then
  echo "installing the test clients into .build/venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
  cp "$requirements" "$venv/requirements.txt"
fi

results=$root/.build/replica-results.xml
rm -f "$results"
status=0
(
  cd "$here"
  NEARFAR_TEST_BINARY=$binary "$venv/bin/python" -m pytest -p no:cacheprovider --junit-xml "$results" "$@"
) || status=$?
python3 "$root/scripts/count-tests.py" "$results" || status=1
exit "$status"

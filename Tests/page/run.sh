#!/bin/sh
# Tests the page at /playground in a headless Chromium: Tests/page/run.sh NEARFAR [HTTP-ECHO] [pytest arguments]
# The last line is "N passed, M failed". The packages in scripts/packages/page.txt must be installed. The Python packages are installed to
# .build/page-venv, and only when requirements.txt has changed. Screenshots are saved in .build/screenshots.
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
for program in chromium chromedriver; do
  if ! command -v "$program" >/dev/null 2>&1; then
    echo "$program is not installed: scripts/deps.sh page installs it" >&2
    exit 2
  fi
done

venv=$root/.build/page-venv
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
  echo "installing the browser driver's packages into .build/page-venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
  cp "$here/requirements.txt" "$venv/requirements.txt"
fi

results=$root/.build/page-results.xml
rm -f "$results"
status=0
(
  cd "$here"
  NEARFAR_TEST_BINARY=$binary "$venv/bin/python" -m pytest -p no:cacheprovider --junit-xml "$results" "$@"
) || status=$?
python3 "$root/scripts/count-tests.py" "$results" || status=1
exit "$status"

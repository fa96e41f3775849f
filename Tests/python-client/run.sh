#!/bin/sh
# Runs the tests of clients/python against a built server: Tests/python-client/run.sh NEARFAR [HTTP-ECHO] [pytest arguments]
# The last line is "N passed, M failed". The Python packages are installed to .build/python-client-venv, and only when the requirements
# have changed. The client itself is built and installed on every run, as a user would do it, without a network.
#
# PyTorch's usual wheel for Linux comes with gigabytes of CUDA, which is too much for a run of tests. Therefore pip is asked for the CPU
# build only, which it finds where a folder or an index with such builds is configured. Otherwise nearfar.torch is tested with a stand-in
# (clients/python/tests/stand_in), and the comparisons with PyTorch itself and the training examples are skipped; the first lines of the
# output say so. A PyTorch that was installed into the environment by hand is used as well. The training examples also need Debian's
# packages of scripts/packages/examples.txt.
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

venv=$root/.build/python-client-venv
pip() { "$venv/bin/python" -m pip --quiet --disable-pip-version-check --no-input "$@"; }
wanted=$(cat "$here/requirements.txt" "$here/torch-requirements.txt")
if [ "$(cat "$venv/installed.txt" 2>/dev/null)" != "$wanted" ]; then
  echo "installing the packages for the tests into .build/python-client-venv"
  rm -rf "$venv"
  python3 -m venv "$venv"
  pip install --requirement "$here/requirements.txt"
  pip install --only-binary :all: --requirement "$here/torch-requirements.txt" 2>/dev/null || true
  printf '%s\n' "$wanted" >"$venv/installed.txt"
fi
pip install --no-index --no-deps --no-build-isolation --force-reinstall "$root/clients/python"
if ! "$venv/bin/python" -c 'import torch; print("testing with PyTorch", torch.__version__)' 2>/dev/null; then
  echo "testing with a stand-in for PyTorch, because pip found no CPU build of it"
fi

results=$root/.build/python-client-results.xml
rm -f "$results"
status=0
(
  cd "$root/clients/python"
  NEARFAR_TEST_BINARY=$binary PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" -m pytest -p no:cacheprovider --junit-xml "$results" "$@"
) || status=$?
python3 "$root/scripts/count-tests.py" "$results" || status=1
exit "$status"

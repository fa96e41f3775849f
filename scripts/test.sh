#!/usr/bin/env bash
# Runs every test: the import check and its own test, the Swift tests, then each Tests/*/run.sh.
# The last line is "N passed, M failed", the sum of what each runner counted; a skipped test counts as failed.
#
# A Tests/*/run.sh is given the paths of nearfar and http-echo. It ends with a line "N passed, M failed", and with exit status 0 only
# when M is 0.
set -euo pipefail
cd "$(dirname "$0")/.."

passed=0
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Adds the last counts in $log, which holds the output of the runner $1. $2: the runner's exit status.
count() {
  local line ok bad
  line=$(grep -oE '[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1 || true)
  if [ -z "$line" ]; then
    echo "test: $1 printed no count" >&2
    failed=$((failed + 1))
    return
  fi
  read -r ok _ bad _ <<<"$line"
  # A runner that failed without counting a failure, for instance because it crashed, counts as one failure.
  if [ "$2" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
  passed=$((passed + ok))
  failed=$((failed + bad))
}

# Runs a command that prints counts. $1: its name; the rest: the command, whose output is shown as it comes.
run() {
  local name=$1 status=0
  shift
  echo "==> test: $name"
  "$@" </dev/null 2>&1 | tee "$log" || status=$?
  count "$name" "$status"
}

# Runs a command that counts as one check. $1: its name; the rest: the command.
check() {
  local name=$1
  shift
  echo "==> test: $name"
  if "$@" </dev/null; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}

# Runs the Swift tests whose names match $1, or all of them.
swift_tests() {
  local status=0 results=.build/test-results.xml
  rm -f .build/test-results*.xml
  # --skip-build uses what the line below built; `swift test` alone would compile everything again with other flags.
  swift test -c release --skip-build --xunit-output "$results" ${1:+--filter "$1"} || status=$?
  python3 scripts/count-tests.py .build/test-results*.xml || status=1
  return "$status"
}

run "the import check finds the faults it should" python3 scripts/check-imports.py --self-test
check "imports are those of Package.swift" python3 scripts/check-imports.py

echo "==> test: swift build -c release --build-tests"
if swift build -c release --build-tests; then
  run "swift test -c release" swift_tests
  # oneDNN has other kernels for older processors, which sum up in another order and multiply bytes in another way.
  for isa in SSE41 AVX2 AVX512_CORE; do
    ONEDNN_MAX_CPU_ISA=$isa run "swift test, products limited to $isa" swift_tests \
      'ProductTests|EdgeTests|ContrastiveTests.DiagnosticsTests|CertificateTests|CellScanTests'
  done
  bin=$(swift build -c release --show-bin-path)
  for runner in Tests/*/run.sh; do
    if [ -e "$runner" ]; then
      run "$runner" "$runner" "$bin/nearfar" "$bin/http-echo"
    fi
  done
else
  echo "test: the build failed" >&2
  failed=$((failed + 1))
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

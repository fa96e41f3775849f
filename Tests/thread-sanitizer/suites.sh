#!/usr/bin/env bash
# Runs the tests of the targets that share memory between threads under ThreadSanitizer: the event loop, the service, the store with its
# records, the index and the encoder.
#
#     Tests/thread-sanitizer/suites.sh [FILTER]     a regular expression for swift test --filter
#
# ThreadSanitizer understands Dispatch, whose calls it intercepts, but not Swift's Mutex, which is built without it, so that what a Mutex
# protects would look like races. Therefore each target that uses one gets overlay/Mutex.swift in a copy of the sources. The last line is
# "N passed, M failed".
#
# Of the index only the tests of concurrency are run: the others use one thread after another, and take an hour here.
set -euo pipefail
cd "$(dirname "$0")/../.."

filter=${1:-HTTPServerTests|ServiceTests|VectorStoreTests|SQLiteRecordsTests|VectorIndexTests.ConcurrencyTests}
root=$PWD
copy=.build/sanitize/thread
mkdir -p "$copy"
rm -rf "$copy/Sources" "$copy/Tests" "$copy/Benchmarks"
cp -rp Package.swift Sources Tests Benchmarks "$copy/"
cp openapi.yaml "$copy/"
for target in "$copy"/Sources/* "$copy"/Tests/*; do
  if [ -n "$(find "$target" -name '*.swift' -exec grep -lw Mutex {} + | head -n 1)" ]; then
    cp -p Tests/thread-sanitizer/overlay/Mutex.swift "$target/"
  fi
done

export NEARFAR_MODEL=${NEARFAR_MODEL:-$root/models/all-MiniLM-L6-v2}
export SWIFT_BACKTRACE=enable=no
export TSAN_OPTIONS="halt_on_error=0 exitcode=66 history_size=4 suppressions=$root/Tests/thread-sanitizer/suppressions.txt"
echo "==> thread-sanitizer: swift build --build-tests --sanitize=thread"
swift build -c release --build-tests --package-path "$copy" --sanitize=thread
results=$root/.build/sanitize/thread.xml
rm -f "${results%.xml}"*.xml
status=0
log=$root/.build/sanitize/thread.log
echo "==> thread-sanitizer: swift test --filter $filter"
swift test -c release --skip-build --package-path "$copy" --sanitize=thread --filter "$filter" --xunit-output "$results" 2>&1 |
  tee "$log" || status=$?
line=$(python3 scripts/count-tests.py "${results%.xml}"*.xml | tail -n 1) || true
read -r passed _ failed _ <<<"${line:-0 passed, 1 failed}"
races=$(grep -c "WARNING: ThreadSanitizer" "$log" || true)
failed=$((failed + races))
if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

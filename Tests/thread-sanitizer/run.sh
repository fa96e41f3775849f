#!/usr/bin/env bash
# Runs the index under ThreadSanitizer: readers search at full speed while a writer inserts, replaces and removes.
#
#     Tests/thread-sanitizer/run.sh
#
# ThreadSanitizer understands the locks and threads of the C library. Swift's Mutex and Dispatch are built without it, so that accesses
# they synchronise would look like races. Therefore they are replaced by the C library's in a copy of the sources (overlay/). Exits with 1
# when a race is found.
set -euo pipefail
cd "$(dirname "$0")/../.."
scratch=.build/thread-sanitizer
mkdir -p "$scratch/Sources"
rm -rf "$scratch/Sources"
mkdir -p "$scratch/Sources/race"
cp -r Sources/CKernels Sources/CLinux Sources/COneDNN Sources/COpenSSL Sources/Platform Sources/SimilarityCore Sources/VectorIndex "$scratch/Sources/"
cp Tests/thread-sanitizer/overlay/Package.swift "$scratch/"
cp Tests/thread-sanitizer/overlay/Mutex.swift "$scratch/Sources/VectorIndex/"
cp Tests/thread-sanitizer/overlay/ParallelLoop.swift Tests/thread-sanitizer/overlay/Threads.swift "$scratch/Sources/SimilarityCore/"
cp Tests/thread-sanitizer/race.swift "$scratch/Sources/race/main.swift"
swift build --package-path "$scratch" -c release --sanitize=thread
export TSAN_OPTIONS="halt_on_error=0 exitcode=1 history_size=4"
race="$scratch/.build/release/race"
passed=0
failed=0

# Counts a command as passed or failed. $1: what it checks; the rest: the command.
check() {
  local name=$1
  shift
  if "$@"; then
    passed=$((passed + 1))
    echo "ok: $name"
  else
    failed=$((failed + 1))
    echo "FAILED: $name"
  fi
}

finds_a_race_on_purpose() {
  ! "$race" planted >"$scratch/planted.txt" 2>&1 && grep -q "WARNING: ThreadSanitizer" "$scratch/planted.txt"
}

check "a deliberate race is found" finds_a_race_on_purpose
for metric in cosine euclidean; do
  check "no race under $metric" "$race" "$metric" 10
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

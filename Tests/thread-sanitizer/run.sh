#!/usr/bin/env bash
# The index under ThreadSanitizer: readers at full speed while a writer inserts, replaces and removes.
#
#     Tests/thread-sanitizer/run.sh [SECONDS]
#
# ThreadSanitizer follows the locks and threads of the C library. Swift's Mutex and Dispatch are built without it, so that all that
# they order would look like races; a copy of the sources gets the C library's in their place (overlay/). Ends with 1 at a race.
set -euo pipefail
cd "$(dirname "$0")/../.."
scratch=.build/thread-sanitizer
mkdir -p "$scratch/Sources"
rm -rf "$scratch/Sources"
mkdir -p "$scratch/Sources/race"
cp -r Sources/CKernels Sources/COneDNN Sources/SimilarityCore Sources/VectorIndex "$scratch/Sources/"
cp Tests/thread-sanitizer/overlay/Package.swift "$scratch/"
cp Tests/thread-sanitizer/overlay/Mutex.swift "$scratch/Sources/VectorIndex/"
cp Tests/thread-sanitizer/overlay/ParallelLoop.swift Tests/thread-sanitizer/overlay/Threads.swift "$scratch/Sources/SimilarityCore/"
cp Tests/thread-sanitizer/race.swift "$scratch/Sources/race/main.swift"
swift build --package-path "$scratch" -c release --sanitize=thread 2>&1 | grep -E "error|warning|Build" || true
export TSAN_OPTIONS="halt_on_error=0 exitcode=1 history_size=4"
if "$scratch/.build/release/race" planted >"$scratch/planted.txt" 2>&1; then
  echo "a race on purpose was not found" >&2
  exit 1
fi
"$scratch/.build/release/race" "${1:-20}"

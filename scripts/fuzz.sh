#!/usr/bin/env bash
# Fuzzes the readers of everything that a client, a file or a server can send (Fuzz/README.md), under AddressSanitizer.
#
#     scripts/fuzz.sh [SECONDS] [TARGET...]     60 seconds for every target, unless stated otherwise
#
# The inputs of Fuzz/corpus and Fuzz/regressions come first, then those that earlier runs found (.build/fuzz/corpus), then new ones. An
# input that ends the process is kept in .build/fuzz/findings. The last line is "N passed, M failed", one for each target.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
shift || true
root=.build/fuzz
findings=$root/findings
mkdir -p "$findings"
python3 Fuzz/seeds.py --check

# The driver links a runtime that has a main of its own, which the package manager's executables have as well. So only the compiler is
# told to prepare the code for fuzzing (-Xfrontend), and the runtime without a main is linked by name.
tools=$(dirname "$(readlink -f "$(command -v swiftc)")")
runtime=$("$tools/clang" -print-resource-dir)/lib/linux/libclang_rt.fuzzer_no_main-$(uname -m).a
echo "==> fuzz: swift build with coverage and AddressSanitizer"
NEARFAR_FUZZ=1 swift build -c release --scratch-path "$root/build" --product Fuzz --sanitize=address \
  -Xswiftc -Xfrontend -Xswiftc -sanitize=fuzzer -Xcc -fsanitize=fuzzer-no-link -Xlinker "$runtime"
program=$root/build/release/Fuzz

# Files that targets write are in memory: there are thousands a second.
base=/dev/shm
[ -w "$base" ] || base=${TMPDIR:-/tmp}
NEARFAR_FUZZ_FOLDER=$(mktemp -d "$base/nearfar-fuzz.XXXXXX")
export NEARFAR_FUZZ_FOLDER
trap 'rm -rf "$NEARFAR_FUZZ_FOLDER"' EXIT
# LeakSanitizer does not see what Swift refers to by a pointer with marks in its upper bits, as in enums with several payloads; growth of
# memory is watched by the limit below. A small quarantine, since memory is among the things that are watched. Swift's own report would replace AddressSanitizer's.
export ASAN_OPTIONS=quarantine_size_mb=4:thread_local_quarantine_size_kb=64:malloc_context_size=8:detect_leaks=0:allocator_may_return_null=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}
export SWIFT_BACKTRACE=enable=no

targets=("$@")
if [ "${#targets[@]}" -eq 0 ]; then mapfile -t targets < <("$program" --list); fi
passed=0
failed=0
for target in "${targets[@]}"; do
  corpus=$root/corpus/$target
  log=$root/$target.log
  mkdir -p "$corpus"
  inputs=("$corpus" "Fuzz/corpus/$target")
  if [ -d "Fuzz/regressions/$target" ]; then inputs+=("Fuzz/regressions/$target"); fi
  status=0
  "$program" "--target=$target" "-max_total_time=$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=256 \
    "-dict=Fuzz/dictionaries/$target.dict" "-artifact_prefix=$findings/$target-" -print_final_stats=1 \
    "${inputs[@]}" >"$log" 2>&1 </dev/null || status=$?
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
  covered=$(sed -n 's/^#[0-9].* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
  edges=$(sed -n 's/^INFO: Loaded .* (\([0-9]*\) inline 8-bit counters.*/\1/p' "$log" | tail -n 1)
  if [ "$status" -eq 0 ]; then
    passed=$((passed + 1))
    result="no finding"
  else
    failed=$((failed + 1))
    result="A FINDING"
  fi
  echo "fuzz: $target: ${executions:-0} executions, ${covered:-0} of ${edges:-0} edges of the whole program covered, $result"
  if [ "$status" -ne 0 ]; then
    grep -aE '^(finding|ERROR|SUMMARY|Fatal)|: runtime error:|==ERROR' "$log" | head -n 5 || true
    sed -n 's/.*Test unit written to \(.*\)/fuzz: the input is in \1/p' "$log"
    echo "fuzz: the log is $log"
  fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

#!/usr/bin/env bash
# Runs the Swift tests under sanitizers.
#
#     scripts/sanitize.sh [address] [undefined] [thread]     all three, unless stated otherwise
#
# * address: AddressSanitizer over all of it: memory that is freed or out of bounds, in Swift's unsafe code, C and C++.
# * undefined: UndefinedBehaviorSanitizer over the C and C++ targets. Swift has its own checks, which are on in every build.
# * thread: ThreadSanitizer over the targets that share memory between threads (Tests/thread-sanitizer/suites.sh).
#
# Each has a build of its own in .build/sanitize. The last line is "N passed, M failed".
set -euo pipefail
cd "$(dirname "$0")/.."

passed=0
failed=0

# Runs the tests of a build and adds its counts. $1: the name; the rest: the command.
count() {
  local name=$1 status=0 results line ok bad
  shift
  results=$PWD/.build/sanitize/$name.xml
  rm -f "${results%.xml}"*.xml
  "$@" --xunit-output "$results" || status=$?
  line=$(python3 scripts/count-tests.py "${results%.xml}"*.xml | tail -n 1) || true
  read -r ok _ bad _ <<<"${line:-0 passed, 1 failed}"
  # A report of a sanitizer ends the process, which is a failure even where every test that ended had passed.
  if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
  passed=$((passed + ok))
  failed=$((failed + bad))
}

# Builds and tests with one sanitizer. $1: its name; the rest: arguments of swift build.
suite() {
  local name=$1
  shift
  local build=(-c release --scratch-path ".build/sanitize/$name" "$@")
  echo "==> sanitize: $name: swift build --build-tests"
  if ! swift build --build-tests "${build[@]}"; then
    echo "sanitize: the build with $name failed" >&2
    failed=$((failed + 1))
    return
  fi
  echo "==> sanitize: $name: swift test"
  count "$name" swift test --skip-build "${build[@]}" "${skipped[@]}"
}

export SWIFT_BACKTRACE=enable=no
sanitizers=("$@")
if [ "${#sanitizers[@]}" -eq 0 ]; then sanitizers=(address undefined thread); fi
for sanitizer in "${sanitizers[@]}"; do
  skipped=()
  case $sanitizer in
    address)
      # Leaks are not looked for: pointers that Swift marks in their upper bits, as in enums with several payloads, are not seen.
      export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:quarantine_size_mb=64
      # FiniteDifferenceTests copy long arrays millions of times without any unsafe code, which takes over a quarter of an hour here;
      # aMillionOfAnythingIsLinear measures time.
      skipped=(--skip "FiniteDifferenceTests|aMillionOfAnythingIsLinear")
      suite address --sanitize=address
      ;;
    undefined)
      export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
      # The driver knows no such sanitizer on Linux, so that the compiler of C and C++ and the linker are told. Types of C++ objects (vptr)
      # would need their run-time information, which oneDNN is built without.
      suite undefined -Xcc -fsanitize=undefined -Xcc -fno-sanitize=vptr,function -Xcc -fno-sanitize-recover=undefined \
        -Xswiftc -Xclang-linker -Xswiftc -fsanitize=undefined
      ;;
    thread)
      status=0
      line=$(Tests/thread-sanitizer/suites.sh | tee /dev/stderr | tail -n 1) || status=$?
      read -r ok _ bad _ <<<"${line:-0 passed, 1 failed}"
      if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
      passed=$((passed + ok))
      failed=$((failed + bad))
      ;;
    *)
      echo "sanitize: $sanitizer is none of address, undefined, thread" >&2
      exit 2
      ;;
  esac
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

#!/usr/bin/env bash
# Compares the C kernels with plain loops in f64, in every variant that this processor runs, and those for the matrix unit with
# emulated_tiles.h in its place wherever there is AVX-512 with bf16. The last line is "N passed, M failed". scripts/arm64.sh does
# the same for arm64.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags=(-O2 -std=gnu17 -Wall -Wextra -Werror -ISources/CKernels/include)
passed=0
failed=0

for source in Sources/CKernels/*.c Tests/kernels/*.c; do
  extra=()
  if [ "$(basename "$source")" = amx.c ] && [ "$(uname -m)" = x86_64 ]; then
    extra=(-include Tests/kernels/emulated_tiles.h)
  fi
  clang "${flags[@]}" "${extra[@]}" -c "$source" -o "$work/$(basename "$source").o"
done
clang "$work"/*.o -lm -o "$work/check"

for variant in baseline neon avx2 avx512 avx512_vnni avx512_bf16 emulated; do
  status=0
  "$work/check" "$variant" | tee "$work/log" || status=${PIPESTATUS[0]}
  # 2: this processor does not run the variant.
  if [ "$status" -eq 2 ]; then continue; fi
  line=$(grep -oE '^[0-9]+ passed, [0-9]+ failed$' "$work/log" | tail -n 1 || true)
  read -r ok _ bad _ <<<"${line:-0 passed, 1 failed}"
  passed=$((passed + ok))
  failed=$((failed + bad))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]

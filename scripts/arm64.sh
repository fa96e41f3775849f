#!/usr/bin/env bash
# Compiles the C kernels for arm64, with all warnings as errors, and compares their results with plain loops in an emulator
# (Tests/kernels). The last line is "N passed, M failed".
#   scripts/arm64.sh             needs the packages of scripts/packages/arm64.txt, and clang, which comes with Swift
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags=(-O2 -std=gnu17 -Wall -Wextra -Werror -ISources/CKernels/include)

echo "==> arm64: kernels for aarch64-linux-gnu"
for source in Sources/CKernels/*.c Tests/kernels/*.c; do
  clang --target=aarch64-linux-gnu "${flags[@]}" -c "$source" -o "$work/$(basename "$source").o"
done
aarch64-linux-gnu-gcc -static "$work"/*.o -lm -o "$work/check"
echo "==> arm64: kernels in the emulator"
qemu-aarch64 "$work/check"

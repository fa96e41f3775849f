#!/bin/sh
# Builds the program as the container has it, Swift's runtime linked in, and lays out what goes into the runtime image beside the
# model. Dockerfile and deploy/smoke-chroot.sh both call this, so that what is tried is what is shipped.
#   scripts/stage.sh FOLDER      FOLDER/usr/local/bin/nearfar, FOLDER/usr/local/libexec/swift-backtrace-static where the toolchain has it
#   NEARFAR_BINARY=PATH          stage this program in place of building one
set -eu

out=$1
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$(dirname "$0")/.."

binary=${NEARFAR_BINARY:-}
if [ -z "$binary" ]; then
  scripts/toolchain.sh
  # A build folder of its own: with other link options in the same one, this build and the usual one would each undo the other.
  set -- -c release --static-swift-stdlib --product nearfar --scratch-path .build/container
  echo "==> stage: swift build $*"
  swift build "$@"
  binary=$(swift build "$@" --show-bin-path)/nearfar
fi
install -D -m 0755 "$binary" "$out/usr/local/bin/nearfar"

# The program that prints the backtrace of a crash: without it a crash in the container says nothing.
if command -v swift >/dev/null 2>&1; then
  toolchain=$(dirname "$(dirname "$(readlink -f "$(command -v swift)")")")
  backtracer=$(find "$toolchain/libexec" -name swift-backtrace-static -type f 2>/dev/null | head -n 1)
  if [ -n "$backtracer" ]; then
    install -D -m 0755 "$backtracer" "$out/usr/local/libexec/swift-backtrace-static"
  else
    echo "stage: this toolchain has no swift-backtrace-static; crashes will print no backtrace" >&2
  fi
fi

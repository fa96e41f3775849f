#!/bin/sh
# Builds the program for the container, and lays out what goes into the runtime image apart from the model. Dockerfile and deploy/smoke-chroot.sh both call this, so that the smoke test runs what is shipped.
#   scripts/stage.sh FOLDER      FOLDER/usr/local/bin/nearfar, FOLDER/usr/local/libexec/swift-backtrace-static where the toolchain has it
#   NEARFAR_BINARY=PATH          stage this program instead of building one
set -eu

out=$1
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$(dirname "$0")/.."

binary=${NEARFAR_BINARY:-}
if [ -z "$binary" ]; then
  scripts/toolchain.sh
  set -- -c release --product nearfar
  echo "==> stage: swift build $*"
  swift build "$@"
  binary=$(swift build "$@" --show-bin-path)/nearfar
fi
install -D -m 0755 "$binary" "$out/usr/local/bin/nearfar"

# This program prints the backtrace of a crash. Without it, a crash in the container leaves no message.
if command -v swift >/dev/null 2>&1; then
  toolchain=$(dirname "$(dirname "$(readlink -f "$(command -v swift)")")")
  backtracer=$(find "$toolchain/libexec" -name swift-backtrace-static -type f 2>/dev/null | head -n 1)
  if [ -n "$backtracer" ]; then
    install -D -m 0755 "$backtracer" "$out/usr/local/libexec/swift-backtrace-static"
  else
    echo "stage: this toolchain has no swift-backtrace-static; crashes will print no backtrace" >&2
  fi
fi

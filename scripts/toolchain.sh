#!/bin/sh
# Exits with a message when the Swift toolchain is missing or too old.
set -eu

needed="Nearfar needs the Swift 6.3 toolchain for Debian 12, with its usr/bin on PATH (see swift.org/install)"

if ! command -v swift >/dev/null 2>&1; then
  echo "toolchain: there is no 'swift' on PATH. $needed." >&2
  exit 1
fi
# The output contains "Swift version 6.3.1 (swift-6.3.1-RELEASE)" or "Apple Swift version …".
printed=$(swift --version 2>&1) || true
version=$(echo "$printed" | sed -n 's/.*Swift version \([0-9][0-9]*\)\.\([0-9][0-9]*\).*/\1 \2/p' | head -n 1)
major=${version%% *}
minor=${version##* }
if [ -z "$version" ]; then
  echo "toolchain: 'swift --version' printed no version, but: $printed" >&2
  echo "toolchain: $needed." >&2
  exit 1
fi
if [ "$major" -lt 6 ] || { [ "$major" -eq 6 ] && [ "$minor" -lt 3 ]; }; then
  echo "toolchain: Swift $major.$minor is too old. $needed." >&2
  exit 1
fi

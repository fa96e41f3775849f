#!/usr/bin/env bash
# Makes the file system of the runtime image with debootstrap, once for a package list, and prints its path. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

suite=bookworm
packages=$(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' deploy/runtime-packages.txt | paste -sd,)
base=.build/chroot/$suite-$(sha256sum <<<"$packages" | cut -c1-12)
if [ ! -e "$base/.complete" ]; then
  # The mirror this machine's own apt uses for the suite.
  mirror=$(apt-get indextargets --format "\$(CREATED_BY) \$(RELEASE) \$(COMPONENT) \$(REPO_URI)" |
    awk -v suite="$suite" '$1 == "Packages" && $2 == suite && $3 == "main" { print $4; exit }')
  if [ -z "$mirror" ]; then
    echo "chroot-base: apt knows no mirror for $suite main" >&2
    exit 1
  fi
  echo "==> chroot-base: debootstrap $suite with $packages" >&2
  rm -rf "$base"
  mkdir -p "$base"
  if ! debootstrap --variant=minbase --include="$packages" "$suite" "$base" "$mirror" >"$base.log" 2>&1; then
    tail -n 20 "$base.log" >&2
    rm -rf "$base"
    echo "chroot-base: debootstrap failed; see $base.log" >&2
    exit 1
  fi
  rm -rf "$base/var/cache/apt/archives"/*.deb
  touch "$base/.complete"
fi
echo "$PWD/$base"

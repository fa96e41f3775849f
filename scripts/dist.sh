#!/usr/bin/env bash
# Makes what is installed on machines without a Swift toolchain, all of it from the program that `make build` built:
# a tarball, a Debian package, a Python wheel and the manual page, in .build/dist/.
set -euo pipefail
cd "$(dirname "$0")/.."

binary=.build/release/nearfar
out=.build/dist
version=$("$binary" version | sed -n 's/^nearfar //p')
# The date of every file in the packages: that of the last change, so that the same sources give the same packages.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}
export SOURCE_DATE_EPOCH

rm -rf "$out"
mkdir -p "$out"
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
echo "==> dist: the tree"
packaging/tree.sh "$binary" "$tree"
cp "$tree/share/man/man1/nearfar.1" "$out/"
for kind in tarball debian wheel; do
  echo "==> dist: packaging/$kind.sh"
  "packaging/$kind.sh" "$tree" "$version" "$out"
done
(cd "$out" && sha256sum -- *.tar.gz *.deb *.whl >SHA256SUMS)
ls -l "$out"

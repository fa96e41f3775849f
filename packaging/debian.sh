#!/usr/bin/env bash
# Makes the Debian package. It depends on Debian 12's packages for every library.
#   packaging/debian.sh TREE VERSION FOLDER      FOLDER/nearfar_VERSION_amd64.deb
set -euo pipefail

tree=$(cd "$1" && pwd)
version=$2
out=$(cd "$3" && pwd)
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
doc=$root/usr/share/doc/nearfar
umask 022
install -d "$root/DEBIAN" "$root/usr/bin" "$doc" "$root/etc/default" "$root/lib/systemd/system" \
  "$root/usr/share/zsh/vendor-completions" "$root/usr/share/nearfar"

install -m 0755 "$tree/bin/nearfar" "$root/usr/bin/nearfar"
patchelf --remove-rpath "$root/usr/bin/nearfar"
toolchain=$(dirname "$(dirname "$(readlink -f "$(command -v swift)")")")

cp -R "$tree/share/man" "$tree/share/bash-completion" "$tree/share/fish" "$root/usr/share/"
gzip --no-name -9 "$root/usr/share/man/man1/nearfar.1"
install -m 0644 "$tree/share/zsh/site-functions/_nearfar" "$root/usr/share/zsh/vendor-completions/"
install -m 0755 scripts/model.sh scripts/venv.sh "$root/usr/share/nearfar/"
install -d "$root/usr/share/nearfar/models"
install -m 0644 scripts/models/*.sha256 scripts/models/*.py "$root/usr/share/nearfar/models/"
install -m 0644 packaging/nearfar.service "$root/lib/systemd/system/"
install -m 0644 packaging/nearfar.default "$root/etc/default/nearfar"

# A Debian package refers to the Apache License in /usr/share/common-licenses. Only the exception of Swift's licence is copied.
{
  cat packaging/debian/copyright
  sed -n '/^## Runtime Library Exception/,$ { s/^ *$/./; s/^/ /; p }' "$toolchain/share/swift/LICENSE.txt"
} >"$doc/copyright"
{
  printf 'nearfar (%s) bookworm; urgency=medium\n\n  * See CHANGELOG.md.\n\n' "$version"
  printf ' -- %s  %s\n' "$(sed -n 's/^Maintainer: //p' packaging/debian/control)" \
    "$(LC_ALL=C date -u -d "@$SOURCE_DATE_EPOCH" '+%a, %d %b %Y %H:%M:%S +0000')"
} | gzip --no-name -9 >"$doc/changelog.gz"
gzip --no-name -9 <CHANGELOG.md >"$doc/CHANGELOG.md.gz"

# dpkg-shlibdeps finds the Debian packages whose libraries are used, and the versions needed. It reads a source package's control file.
mkdir "$work/debian"
printf 'Source: nearfar\n\nPackage: nearfar\nArchitecture: amd64\n' >"$work/debian/control"
depends=$(cd "$work" && dpkg-shlibdeps -O --ignore-missing-info "$root/usr/bin/nearfar" 2>"$work/warnings" | sed -n 's/^shlibs:Depends=//p') || true
[ -n "$depends" ] || { cat "$work/warnings" >&2; exit 1; }
size=$(du -k -s --apparent-size --exclude=DEBIAN "$root" | cut -f1)
sed -e "s/@VERSION@/$version/" -e "s/@SIZE@/$size/" -e "s/@DEPENDS@/$depends/" packaging/debian/control \
  >"$root/DEBIAN/control"
install -m 0755 packaging/debian/postinst packaging/debian/prerm packaging/debian/postrm "$root/DEBIAN/"
echo /etc/default/nearfar >"$root/DEBIAN/conffiles"
(cd "$root" && find usr lib -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"

dpkg-deb --root-owner-group -Zxz --build "$root" "$out/nearfar_${version}_amd64.deb" >/dev/null

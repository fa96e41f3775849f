#!/usr/bin/env bash
# Lays out the tree that the tarball and the wheel contain: a program that needs nothing of the system but glibc.
#   packaging/tree.sh BINARY FOLDER      FOLDER/bin, FOLDER/lib, FOLDER/share, FOLDER/LICENSE
set -euo pipefail

binary=$(realpath "$1")
mkdir -p "$2"
out=$(cd "$2" && pwd)
cd "$(dirname "$0")/.."

# glibc is not taken along: its loader and its libraries have to be of one version, and the loader is the system's.
glibc=$(dpkg -L libc6 | sed 's,.*/,,' | sort -u)
toolchain=$(dirname "$(dirname "$(readlink -f "$(command -v swift)")")")
licences=$out/share/doc/nearfar/licences
install -d "$out/bin" "$out/lib" "$licences"

# Copies a program or library without what only a debugger needs, and lets it find its libraries relative to itself.
#   FROM TO RUNPATH MODE
place() {
  strip --strip-unneeded -o "$2" "$1"
  patchelf --set-rpath "$3" "$2"
  chmod "$4" "$2"
}

# shellcheck disable=SC2016 # $ORIGIN is for the loader, not for the shell
place "$binary" "$out/bin/nearfar" '$ORIGIN/../lib' 0755

listed=$(ldd "$binary")
if grep 'not found' <<<"$listed" >&2; then
  echo "tree: the libraries above are missing on this machine" >&2
  exit 1
fi
while read -r name path; do
  if grep -qxF "$name" <<<"$glibc"; then continue; fi
  # shellcheck disable=SC2016
  place "$path" "$out/lib/$name" '$ORIGIN' 0644
  # A licence text is named after the package. The loader's path may be a link of /lib, while dpkg knows the file in /usr/lib, or the other
  # way round.
  real=$(readlink -f "$path")
  package=$({ dpkg -S "$real" || dpkg -S "${real#/usr}"; } 2>/dev/null | head -n 1 | cut -d: -f1)
  [ -n "$package" ] || { echo "tree: no package owns $path, so that its licence is not known" >&2; exit 1; }
  install -m 0644 "/usr/share/doc/$package/copyright" "$licences/$package"
done < <(awk '$2 == "=>" && $3 ~ /^\// { print $1, $3 }' <<<"$listed")
# The program has Swift's runtime in it.
install -m 0644 "$toolchain/share/swift/LICENSE.txt" "$licences/swift"
# Debian's texts refer to the common licences by their path.
grep -ohE '/usr/share/common-licenses/[A-Za-z]+(-[0-9.]*[0-9])?' "$licences"/* | sort -u | while read -r text; do
  install -m 0644 "$text" "$licences/"
done

share=$out/share
install -d "$share/man/man1" "$share/bash-completion/completions" "$share/zsh/site-functions" \
  "$share/fish/vendor_completions.d" "$share/nearfar"
"$binary" help --man >"$share/man/man1/nearfar.1"
"$binary" completion bash >"$share/bash-completion/completions/nearfar"
"$binary" completion zsh >"$share/zsh/site-functions/_nearfar"
"$binary" completion fish >"$share/fish/vendor_completions.d/nearfar.fish"
install -m 0755 scripts/model.sh scripts/venv.sh "$share/nearfar/"
install -d "$share/nearfar/models"
install -m 0644 scripts/models/*.sha256 scripts/models/*.py "$share/nearfar/models/"
# The unit for those who unpack the tarball as /opt/nearfar, where nothing has made a user or installed the settings.
{
  echo '# For the tarball in /opt/nearfar. It needs the file nearfar.default as /etc/default/nearfar, and a user:'
  echo '#   useradd --system --user-group --home-dir /var/lib/nearfar --shell /usr/sbin/nologin nearfar'
  sed 's,/usr/bin/nearfar,/opt/nearfar/bin/nearfar,' packaging/nearfar.service
} >"$share/nearfar/nearfar.service"
sed 's,/usr/share/nearfar/,/opt/nearfar/share/nearfar/,' packaging/nearfar.default >"$share/nearfar/nearfar.default"
install -m 0644 LICENSE "$out/LICENSE"

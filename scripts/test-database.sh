#!/usr/bin/env bash
# Starts and stops a PostgreSQL server for tests: on a socket in a folder of its own, without TCP, as an unprivileged user.
#
#   scripts/test-database.sh start FOLDER   prints the URL of its database
#   scripts/test-database.sh stop FOLDER    ends it; a test ends its own server by the number in FOLDER/data/postmaster.pid, too
set -euo pipefail

usage() {
  sed -n '2,5s/^# \?//p' "$0" >&2
  exit 2
}

[ $# -eq 2 ] || usage
folder=$2
programs=${NEARFAR_TEST_POSTGRESQL:-$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)}
[ -x "$programs/initdb" ] || { echo "test-database: there is no PostgreSQL in '$programs' (Debian's package postgresql)" >&2; exit 1; }

# PostgreSQL refuses to run as root.
as_user() {
  if [ "$(id -u)" -eq 0 ]; then setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"; else "$@"; fi
}

# The server outlives this script, and whoever waits for an inherited descriptor to be closed would wait for the server.
close_descriptors() {
  local each
  for each in /proc/self/fd/*; do
    each=${each##*/}
    if [ "$each" -gt 2 ] && [ "$each" -ne 255 ]; then eval "exec $each>&-" 2>/dev/null || true; fi
  done
}

case $1 in
  start)
    close_descriptors
    mkdir -p "$folder"
    folder=$(cd "$folder" && pwd)
    if [ "$(id -u)" -eq 0 ]; then chown nobody:nogroup "$folder"; fi
    chmod 755 "$folder"
    cd "$folder"
    if [ ! -d data ]; then
      as_user "$programs/initdb" --pgdata data --username nearfar --auth trust --encoding UTF8 --no-locale --no-sync >initdb.log
      # What a crash of the server must not lose is flushed; the rest saves time.
      printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$folder'" "max_connections = 100" \
        "shared_buffers = 32MB" "max_wal_size = 256MB" >>data/postgresql.conf
    fi
    as_user "$programs/pg_ctl" --pgdata data --log server.log --wait --timeout 60 start >/dev/null
    echo "postgresql://nearfar@/postgres?host=$folder"
    ;;
  stop)
    cd "$folder"
    as_user "$programs/pg_ctl" --pgdata data --mode immediate --wait --timeout 60 stop >/dev/null
    ;;
  *) usage ;;
esac

#!/bin/sh
# Runs three replicas on one PostgreSQL behind HAProxy with deploy/haproxy.cfg, then two without a store, plain and with TLS, and two behind
# nginx with deploy/nginx.conf.template, on loopback. Requests continue while the replicas are stopped, killed and started again in turn.
# The exit status is 0 only if no request failed. With arguments there is one trial, of which smoke_balancer.py --help tells.
#   NEARFAR_BINARY   the program (default .build/release/nearfar, built when it is not there)
#   NEARFAR_MODEL    the model's folder (default models/all-MiniLM-L6-v2)
set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

for program in haproxy nginx openssl; do
  if ! command -v "$program" >/dev/null 2>&1; then
    echo "smoke-balancer: $program is missing: scripts/deps.sh smoke" >&2
    exit 1
  fi
done
model=${NEARFAR_MODEL:-models/all-MiniLM-L6-v2}
if [ ! -f "$model/model.safetensors" ]; then
  echo "smoke-balancer: there is no model in $model: make model" >&2
  exit 1
fi
if [ -n "${NEARFAR_BINARY:-}" ]; then
  binary=$NEARFAR_BINARY
else
  binary=.build/release/nearfar
  [ -x "$binary" ] || swift build -c release
fi

# One trial; the arguments say of what.
trial() {
  echo "==> smoke-balancer: $*"
  python3 deploy/smoke_balancer.py --binary "$binary" --model "$model" "$@"
}
if [ "$#" -gt 0 ]; then
  trial "$@"
else
  # The folder is short, because it holds a socket.
  database=$(mktemp -d /tmp/nfpg.XXXXXX)
  trap 'scripts/test-database.sh stop "$database" || true; rm -rf "$database"' EXIT
  store=$(scripts/test-database.sh start "$database" | tail -n 1)
  trial --store "$store"
  trial --balancer haproxy
  trial --balancer haproxy --tls --seconds 2
  # Each process of nginx leaves a replica out for its fail_timeout of two seconds after a failure, so each wait is longer than that.
  trial --balancer nginx --tls --seconds 4
fi

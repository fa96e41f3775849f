#!/bin/sh
# Runs two replicas behind HAProxy with deploy/haproxy.cfg, on loopback. Requests continue while one replica is stopped and started again,
# and then the other. The exit status is 0 only if no request failed.
#   NEARFAR_BINARY   the program (default .build/release/nearfar, built when it is not there)
#   NEARFAR_MODEL    the model's folder (default models/all-MiniLM-L6-v2)
set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

if ! command -v haproxy >/dev/null 2>&1; then
  echo "smoke-balancer: haproxy is missing: scripts/deps.sh smoke" >&2
  exit 1
fi
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
exec python3 deploy/smoke_balancer.py --binary "$binary" --model "$model" "$@"

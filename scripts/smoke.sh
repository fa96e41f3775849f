#!/usr/bin/env bash
# Runs every trial of the deployment. The last line is "N passed, M failed".
set -euo pipefail
cd "$(dirname "$0")/.."

passed=0
failed=0
for trial in deploy/smoke-balancer.sh deploy/smoke-chroot.sh deploy/smoke-dist.sh; do
  echo "==> smoke: $trial"
  if "$trial" </dev/null; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

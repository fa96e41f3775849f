# shellcheck shell=bash
# Read by the smoke tests that run the program in a tree of its own. They have made the folder $work and the function `die`. Whatever way they
# end, the program is ended, the last of its errors is shown when the test has failed, and the folder is removed.

pid=
end() {
  local status=$?
  if [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; then
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  fi
  if [ "$status" -ne 0 ] && [ -s "$work/errors" ]; then
    echo "--- standard error of the program:" >&2
    tail -n 40 "$work/errors" >&2
  fi
  # Nothing is mounted out here: each mount lives in a mount namespace that ends with its process.
  rm -rf "$work"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Starts a service by the command given, in the background, and waits until it is ready. Leaves its process in $pid and its address in $url.
start_service() {
  local tries
  : >"$work/output"
  : >"$work/errors"
  "$@" >"$work/output" 2>"$work/errors" </dev/null &
  pid=$!
  url=
  for tries in $(seq 600); do
    url=$(sed -n 's/^nearfar ready \(http:[^ ]*\).*/\1/p' "$work/output" | head -n 1)
    [ -z "$url" ] || return 0
    kill -0 "$pid" 2>/dev/null || die "the program ended before it was ready"
    sleep 0.1
  done
  die "no ready line after $((tries / 10)) s"
}

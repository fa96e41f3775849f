#!/bin/sh
# Checks the manifests of deploy/ against the schemas of Kubernetes and of Compose. The arguments, paths of programs, are not used.
# The last line is "N passed, M failed". The checkers are installed to .build/deploy-venv, when requirements.txt has changed.
set -eu
cd "$(dirname "$0")/../.."

venv=.build/deploy-venv
if ! cmp -s Tests/deploy/requirements.txt "$venv/requirements.txt"; then
  echo "installing the checkers of manifests into $venv"
  scripts/venv.sh "$venv" >/dev/null
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement Tests/deploy/requirements.txt
  cp Tests/deploy/requirements.txt "$venv/requirements.txt"
fi

passed=0
failed=0
# Runs a check. $1: its name; the rest: the command, whose output is shown when it fails.
check() {
  name=$1
  shift
  if output=$("$@" 2>&1); then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'FAILED: %s\n%s\n' "$name" "$output"
  fi
}

# kustomization.yaml names every other manifest of its folder, so that none is forgotten by `kubectl apply -k`.
names_all() {
  for manifest in deploy/kubernetes/*.yaml; do
    file=${manifest##*/}
    [ "$file" = kustomization.yaml ] || grep -qx "  - $file" deploy/kubernetes/kustomization.yaml || {
      echo "kustomization.yaml does not name $file"
      return 1
    }
  done
}

for manifest in deploy/kubernetes/*.yaml; do
  # Kustomize's own file is not part of the interface of Kubernetes.
  [ "${manifest##*/}" = kustomization.yaml ] || check "$manifest" "$venv/bin/kubernetes-validate" --strict --quiet "$manifest"
done
check "kustomization.yaml" names_all
check "deploy/compose.yaml" "$venv/bin/check-jsonschema" --builtin-schema vendor.compose-spec deploy/compose.yaml
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

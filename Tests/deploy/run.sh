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

# The kustomization.yaml of a folder names every other manifest of it, as a resource or as a patch, so that none is forgotten by
# `kubectl apply -k`. $1: the folder.
names_all() {
  for manifest in "$1"/*.yaml; do
    file=${manifest##*/}
    [ "$file" = kustomization.yaml ] || grep -qxE "  - (path: )?$file" "$1/kustomization.yaml" || {
      echo "$1/kustomization.yaml does not name $file"
      return 1
    }
  done
}

# Every patch is for a resource of another file: the kind and the name are there. $1: the patch.
has_target() {
  kind=$(sed -n 's/^kind: //p' "$1")
  name=$(sed -n '/^metadata:/,/^[^ ]/s/^  name: //p' "$1")
  grep -lx "kind: $kind" deploy/kubernetes*/*.yaml | grep -vxF "$1" |
    xargs grep -lx "  name: $name" || {
      echo "there is no $kind $name for $1"
      return 1
    }
}

for folder in deploy/kubernetes*; do
  for manifest in "$folder"/*.yaml; do
    case ${manifest##*/} in
      # Kustomize's own file is not part of the interface of Kubernetes, and a patch has only a part of what a manifest needs.
      kustomization.yaml) ;;
      *-patch.yaml) check "$manifest" has_target "$manifest" ;;
      *) check "$manifest" "$venv/bin/kubernetes-validate" --strict --quiet "$manifest" ;;
    esac
  done
  check "$folder/kustomization.yaml" names_all "$folder"
done
check "deploy/compose.yaml" "$venv/bin/check-jsonschema" --builtin-schema vendor.compose-spec deploy/compose.yaml
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

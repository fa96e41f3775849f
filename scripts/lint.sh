#!/usr/bin/env bash
# Checks every source file: Swift with the toolchain's own formatter, shell with shellcheck, Python with its own parser, YAML with
# yamllint. No file is changed.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0

swift_sources=()
for path in Package.swift Sources Tests Benchmarks Fuzz/Sources; do
  if [ -e "$path" ]; then swift_sources+=("$path"); fi
done
echo "==> lint: swift format lint --strict ${swift_sources[*]}"
swift format lint --strict --parallel --recursive "${swift_sources[@]}" || failed=1

# Shell scripts are recognised by their first line, in every folder except for those that are built or fetched.
mapfile -d '' shell_scripts < <(
  find . \( -path ./.build -o -path ./.git -o -path ./models \) -prune -o -type f -size -200k -print0 |
    xargs -0 grep -lZE -m1 '^#!.*(/| )(ba|da)?sh$'
)
echo "==> lint: shellcheck, ${#shell_scripts[@]} scripts"
shellcheck --external-sources --severity=style "${shell_scripts[@]}" || failed=1

mapfile -d '' python_scripts < <(
  find . \( -path ./.build -o -path ./.git -o -path ./models \) -prune -o -name '*.py' -print0
)
echo "==> lint: python syntax, ${#python_scripts[@]} files"
if [ "${#python_scripts[@]}" -gt 0 ]; then
  python3 -c '
import ast, sys
for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as file:
        ast.parse(file.read(), name)
' "${python_scripts[@]}" || failed=1
fi

mapfile -d '' yaml_files < <(
  find . \( -path ./.build -o -path ./.git -o -path ./models \) -prune -o \( -name '*.yaml' -o -name '*.yml' \) -print0
)
echo "==> lint: yamllint, ${#yaml_files[@]} files"
yamllint --strict --config-data '{rules: {key-duplicates: enable, trailing-spaces: enable, indentation: enable}}' \
  "${yaml_files[@]}" || failed=1

if [ "$failed" -ne 0 ]; then
  echo "==> lint: there are findings" >&2
  exit 1
fi
echo "==> lint: no findings"

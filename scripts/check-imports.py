#!/usr/bin/env python3
"""Checks every Swift file's imports against Package.swift, and every target's dependencies against the ranks of the architecture.

The compiler lets a file import a module that is only an indirect dependency of its target. This check allows the direct
dependencies of the file's target and modules of the toolchain, nothing else. Findings are printed as file:line: message.

  check-imports.py [--root DIR]   exit 0 when nothing is found, 1 otherwise
  check-imports.py --self-test    checks faulty packages in a temporary folder; exit 0 when every fault is found
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys

# A target may depend on targets of a lower rank only, never on those of its own or a higher one.
RANKS = {
    "nearfar": 4,
    "http-echo": 4,
    "loss-bench": 4,
    "index-bench": 4,
    "text-bench": 4,
    "Service": 3,
    "SQLiteRecords": 3,
    "PostgresRecords": 3,
    "HTTPServer": 2,
    "VectorStore": 2,
    "Encoder": 2,
    "Training": 3,
    "Contrastive": 1,
    "VectorIndex": 1,
    "HTTP1": 1,
    "Compression": 1,
    "HTTPClient": 1,
    "Tokenization": 1,
    "Safetensors": 1,
    "SimilarityCore": 0,
    "JSON": 0,
    "Platform": -1,
    # C targets hold no logic of the project: any target may depend on them, and they depend on none.
    "CKernels": -2,
    "COneDNN": -2,
    "CSimdjson": -2,
    "CLinux": -2,
    "CAssets": -2,
    "COpenSSL": -2,
    "CZlib": -2,
    "CSQLite": -2,
    "CPQ": -2,
}

FOUNDATION = {
    "Foundation",
    "FoundationEssentials",
    "FoundationInternationalization",
    "FoundationNetworking",
    "FoundationXML",
}
TESTING = {"Testing", "XCTest"}
C_LIBRARIES = {"Glibc", "Musl", "Darwin"}
TOOLCHAIN = {"Swift", "Dispatch", "Synchronization"} | C_LIBRARIES | FOUNDATION | TESTING

# The only target that imports the C library; the others import this target instead.
KNOWS_THE_SYSTEM = "Platform"

# These targets work on bytes and floats; going through Foundation's Data, Date and String would cost more than the work itself.
WITHOUT_FOUNDATION = {
    "HTTP1",
    "HTTPClient",
    "HTTPServer",
    "SimilarityCore",
    "Contrastive",
    "VectorIndex",
    "JSON",
    "Safetensors",
    "Tokenization",
}

# Attributes and access levels, `import`, the kind of a single imported declaration where there is one, and the module.
IMPORT = re.compile(
    r"^\s*(?P<modifiers>(?:(?:@\w+(?:\([^)]*\))?|public|package|internal|fileprivate|private)\s+)*)"
    r"import\s+(?:(?:struct|class|enum|protocol|typealias|func|let|var|actor)\s+)?`?(?P<module>\w+)`?"
)


def code_only(text):
    """The text with comments and string contents replaced by blanks; line numbers stay the same."""
    out = []
    position, end = 0, len(text)
    comment_depth = 0
    # One entry per open string literal: [the delimiter's number signs, whether it is multi-line, the depth of parentheses in an
    # interpolation, or None while in the literal itself].
    strings = []

    def blank(count):
        nonlocal position
        for character in text[position : position + count]:
            out.append("\n" if character == "\n" else " ")
        position += count

    while position < end:
        if comment_depth:
            if text.startswith("/*", position):
                comment_depth += 1
                blank(2)
            elif text.startswith("*/", position):
                comment_depth -= 1
                blank(2)
            else:
                blank(1)
            continue
        if strings and strings[-1][2] is None:
            hashes, multiline, _ = strings[-1]
            closing = ('"""' if multiline else '"') + "#" * hashes
            escape = "\\" + "#" * hashes
            if text.startswith(closing, position):
                strings.pop()
                blank(len(closing))
            elif text.startswith(escape + "(", position):
                strings[-1][2] = 1
                blank(len(escape) + 1)
            elif text.startswith(escape, position):
                blank(len(escape) + 1)
            elif not multiline and text[position] == "\n":
                # It was no string after all but, for instance, a quote in a regex literal: this kind of literal ends with its line.
                strings.pop()
                blank(1)
            else:
                blank(1)
            continue
        if text.startswith("//", position):
            newline = text.find("\n", position)
            blank((end if newline < 0 else newline) - position)
            continue
        if text.startswith("/*", position):
            comment_depth = 1
            blank(2)
            continue
        opening = re.compile(r'(#*)("""|")').match(text, position)
        if opening:
            strings.append([len(opening[1]), opening[2] == '"""', None])
            blank(len(opening[0]))
            continue
        if strings:
            strings[-1][2] += {"(": 1, ")": -1}.get(text[position], 0)
            if strings[-1][2] == 0:
                strings[-1][2] = None
            blank(1)
            continue
        out.append(text[position])
        position += 1
    return "".join(out)


def imports(text):
    """Yields (line number, module, whether it is @testable) for every import in Swift source text."""
    for number, line in enumerate(code_only(text).split("\n"), start=1):
        for statement in line.split(";"):
            match = IMPORT.match(statement)
            if match:
                yield number, match["module"], "@testable" in match["modifiers"]


def described_package(root):
    """The parsed JSON output of `swift package dump-package`."""
    command = ["swift", "package", "--package-path", str(root), "dump-package"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise SystemExit(f"{root}/Package.swift:1: swift package dump-package failed: {run.stderr.strip()}")
    return json.loads(run.stdout)


def dependency_name(dependency):
    """The name of a target dependency, in whichever form the manifest writes it."""
    return next(iter(dependency.values()))[0]


def serves_tests(target):
    """Whether a target is a test target or shared by these. Such targets have no rank and may import a test library."""
    return target["type"] == "test" or (target.get("path") or "").startswith("Tests/")


def manifest_line(manifest, target):
    """The line of Package.swift that names a target, so that an editor can jump from the finding to it."""
    for number, line in enumerate(manifest.split("\n"), start=1):
        is_product = ".executable(" in line or ".library(" in line
        if not is_product and re.search(rf'name:\s*"{re.escape(target)}"', line):
            return number
    return 1


def check_manifest(package, manifest):
    """Yields the findings about the targets' dependencies."""
    names = {target["name"] for target in package["targets"]}
    if package.get("dependencies"):
        yield "Package.swift:1: a package from outside the toolchain is not to be depended on"
    for target in package["targets"]:
        name, line = target["name"], manifest_line(manifest, target["name"])
        is_test = serves_tests(target)
        if not is_test and name not in RANKS:
            yield f"Package.swift:{line}: target {name} has no rank in scripts/check-imports.py"
            continue
        for dependency in map(dependency_name, target["dependencies"]):
            if dependency not in names:
                yield f"Package.swift:{line}: {name} depends on {dependency}, which is no target of this package"
            elif is_test or dependency not in RANKS:
                continue
            elif RANKS[dependency] >= RANKS[name]:
                yield (
                    f"Package.swift:{line}: {name} (rank {RANKS[name]}) depends on {dependency} "
                    f"(rank {RANKS[dependency]}): ranks only look down"
                )


def check_file(target, text, names):
    """Yields (line, message) for every import in a file of the target that is not allowed."""
    allowed = {dependency_name(dependency).replace("-", "_") for dependency in target["dependencies"]}
    is_test = serves_tests(target)
    for line, module, testable in imports(text):
        if testable:
            yield line, f"@testable import {module}: tests are built with optimisation and use the public interface"
        if module in FOUNDATION and target["name"] in WITHOUT_FOUNDATION:
            yield line, f"{target['name']} does without Foundation, but imports {module}"
        elif module in C_LIBRARIES and target["name"] != KNOWS_THE_SYSTEM:
            yield line, f"{target['name']} imports {module}; import {KNOWS_THE_SYSTEM}"
        elif module in TESTING and not is_test:
            yield line, f"{module} is imported outside of a test target"
        elif module in TOOLCHAIN or module in allowed:
            continue
        elif module in names:
            yield line, f"{target['name']} imports {module}, which is not among its dependencies in Package.swift"
        else:
            yield line, f"{target['name']} imports {module}, which is neither a target nor a module of the toolchain"


def findings(root):
    """Returns all findings about the package in a folder, and the number of files that were read."""
    package = described_package(root)
    found = list(check_manifest(package, (root / "Package.swift").read_text(encoding="utf-8")))
    names = {target["name"].replace("-", "_") for target in package["targets"]}
    files = 0
    for target in package["targets"]:
        folder = root / (target.get("path") or ("Tests" if target["type"] == "test" else "Sources") + f"/{target['name']}")
        for file in sorted(folder.rglob("*.swift")):
            files += 1
            for line, message in check_file(target, file.read_text(encoding="utf-8"), names):
                found.append(f"{file.relative_to(root)}:{line}: {message}")
    return found, files


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        # The cases are in a file of their own, which imports this one.
        script = pathlib.Path(__file__).with_name("check-imports-test.py")
        return subprocess.run([sys.executable, str(script)], check=False).returncode
    found, files = findings(options.root)
    for finding in found:
        print(finding)
    print(f"check-imports: {files} files, {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

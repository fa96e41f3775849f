#!/usr/bin/env python3
"""Tests scripts/check-imports.py on packages in a temporary folder: one without faults, and one per fault that it looks for."""

import importlib.util
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
specification = importlib.util.spec_from_file_location("check_imports", HERE / "check-imports.py")
check = importlib.util.module_from_spec(specification)
specification.loader.exec_module(check)

SOUND = {
    "Package.swift": """\
// swift-tools-version: 6.2
import PackageDescription
let package = Package(
  name: "sound",
  products: [.executable(name: "http-echo", targets: ["http-echo"])],
  targets: [
    .executableTarget(name: "http-echo", dependencies: ["HTTPServer"]),
    .target(name: "HTTPServer", dependencies: ["HTTP1", "CLinux"]),
    .target(name: "HTTP1"),
    .target(name: "CLinux"),
    .target(name: "Service", dependencies: [.target(name: "HTTP1")], path: "Elsewhere"),
    .target(name: "TestSupport", dependencies: ["HTTP1"], path: "Tests/TestSupport"),
    .testTarget(name: "HTTP1Tests", dependencies: ["HTTP1"]),
  ]
)
""",
    "Sources/http-echo/main.swift": "import Foundation\nimport HTTPServer\n",
    "Sources/HTTPServer/a.swift": (
        "import CLinux; import HTTP1\n"
        "// import Foundation\n/* import Foundation /* nested */\nimport Foundation\n*/\n"
        'let text = """\nimport Foundation\n\\(name("import Foundation"))\nimport Foundation\n"""\n'
        '#"import "Foundation"#\n'
    ),
    "Sources/HTTP1/Deep/a.swift": "public import Swift\n@preconcurrency import Dispatch\nimport Synchronization\n",
    "Sources/CLinux/include/CLinux.h": "\n",
    "Sources/CLinux/a.c": "\n",
    "Elsewhere/a.swift": "import struct HTTP1.Request\nimport FoundationEssentials\n",
    "Tests/TestSupport/a.swift": "import Testing\nimport HTTP1\n",
    "Tests/HTTP1Tests/a.swift": "import Testing\nimport Foundation\nimport HTTP1\n",
}

# Each fault is the sound package with one file replaced: (the file, its new text, the beginning of the expected finding).
FAULTS = [
    (
        "Package.swift",
        SOUND["Package.swift"].replace(
            '.target(name: "CLinux"),',
            '.target(name: "CLinux"),\n    .target(name: "VectorStore", dependencies: ["SQLiteRecords"]),\n    .target(name: "SQLiteRecords"),',
        ),
        "Package.swift:11: VectorStore (rank 2) depends on SQLiteRecords (rank 3): ranks only look down",
    ),
    ("Sources/http-echo/main.swift", "\n\nimport HTTP1\n", "Sources/http-echo/main.swift:3: http-echo imports HTTP1, which is not among"),
    ("Sources/HTTP1/Deep/a.swift", "import Foundation\n", "Sources/HTTP1/Deep/a.swift:1: HTTP1 does without Foundation"),
    ("Sources/HTTP1/Deep/a.swift", "import class Foundation.JSONDecoder\n", "Sources/HTTP1/Deep/a.swift:1: HTTP1 does without"),
    ("Sources/HTTPServer/a.swift", "  package import FoundationEssentials\n", "Sources/HTTPServer/a.swift:1: HTTPServer does without"),
    ("Sources/HTTPServer/a.swift", 'let a = "\\("x")"; import NIOCore\n', "Sources/HTTPServer/a.swift:1: HTTPServer imports NIOCore, which is neither"),
    ("Sources/HTTP1/Deep/a.swift", "import Testing\n", "Sources/HTTP1/Deep/a.swift:1: Testing is imported outside of a test"),
    ("Elsewhere/a.swift", "@_exported import HTTPServer\n", "Elsewhere/a.swift:1: Service imports HTTPServer, which is not among"),
    ("Tests/HTTP1Tests/a.swift", "@testable import HTTP1\n", "Tests/HTTP1Tests/a.swift:1: @testable import HTTP1"),
    ("Sources/HTTP1/Deep/a.swift", "#if canImport(Glibc)\n  import Glibc\n#endif\n", "Sources/HTTP1/Deep/a.swift:2: HTTP1 imports Glibc; import Platform"),
    ("Tests/HTTP1Tests/a.swift", "/* */ import CLinux\n", "Tests/HTTP1Tests/a.swift:1: HTTP1Tests imports CLinux, which is not among"),
    (
        "Package.swift",
        SOUND["Package.swift"].replace('.target(name: "HTTP1"),', '.target(name: "HTTP1", dependencies: ["Service"]),').replace(
            '.target(name: "Service", dependencies: [.target(name: "HTTP1")], path', '.target(name: "Service", path'
        ),
        "Package.swift:9: HTTP1 (rank 1) depends on Service (rank 3): ranks only look down",
    ),
    (
        "Package.swift",
        SOUND["Package.swift"].replace('["HTTP1", "CLinux"]),', '["HTTP1", "CLinux"]),\n    .target(name: "Mystery", path: "Mystery"),'),
        "Package.swift:9: target Mystery has no rank",
    ),
    (
        "Package.swift",
        SOUND["Package.swift"].replace('"http-echo", dependencies: ["HTTPServer"]', '"http-echo", dependencies: ["HTTPServer", "http-echo2"]'),
        "Package.swift:7: http-echo depends on http-echo2, which is no target of this package",
    ),
]


def found_in(files):
    """The findings in a package of these files."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        return check.findings(root)[0]


def exit_status(files):
    """The exit status of the program itself on a package of these files."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        command = [sys.executable, str(HERE / "check-imports.py"), "--root", folder]
        return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode


def main():
    passed = failed = 0

    def expect(condition, what):
        nonlocal passed, failed
        if condition:
            passed += 1
        else:
            failed += 1
            print(f"check-imports-test: FAILED: {what}")

    found = found_in(SOUND)
    expect(found == [], f"the sound package has findings: {found}")
    for name, text, wanted in FAULTS:
        found = found_in(SOUND | {name: text})
        expect(len([line for line in found if line.startswith(wanted)]) == 1, f"wanted {wanted!r}, found {found}")
    expect(exit_status(SOUND) == 0, "exit status of the sound package")
    expect(exit_status(SOUND | {FAULTS[0][0]: FAULTS[0][1]}) == 1, "exit status of a package with a fault")
    print(f"check-imports-test: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

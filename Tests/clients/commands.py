"""Runs the program's commands as a user would."""

import subprocess

from process import BINARY, clean_environment


def run(*arguments, stdin: bytes | None = None, environment: dict[str, str] | None = None, timeout: float = 120):
    return subprocess.run(
        [BINARY, *map(str, arguments)],
        input=stdin if stdin is not None else b"",
        capture_output=True,
        timeout=timeout,
        env=clean_environment(environment),
    )

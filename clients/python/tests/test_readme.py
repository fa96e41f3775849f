"""Each example of the README prints what is shown below it. Examples use the names that earlier ones define."""

import doctest
import re
from pathlib import Path

import pytest
from service import Service

README = Path(__file__).resolve().parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def fresh():
    """A service that no other test has written to, and the names that the examples have defined so far."""
    running = Service()
    yield running, {}
    running.stop()


def test_every_example_is_run():
    assert len(BLOCKS) >= 10 and all(block.startswith(">>>") for block in BLOCKS)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_examples(fresh, number):
    service, names = fresh
    # The address that an error proposes is not replaced.
    block = re.sub(r"(?<!write ')http://127\.0\.0\.1:8080\b", service.url, BLOCKS[number])
    test = doctest.DocTestParser().get_doctest(block, names, f"README example {number}", str(README), 0)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    report = []
    assert runner.run(test, out=report.append, clear_globs=False).failed == 0, "".join(report)
    # A doctest runs with a copy of the given names, so the new ones are copied back.
    names.update(test.globs)

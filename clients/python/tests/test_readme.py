"""The README's examples: each >>> gives what is printed below it."""

import doctest
import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"


@pytest.mark.parametrize("number", [0, 1])
def test_examples(service, number):
    block = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)[number]
    assert ">>>" in block
    block = block.replace("http://127.0.0.1:8080", service.url)
    test = doctest.DocTestParser().get_doctest(block, {}, f"README example {number}", str(README), 0)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    report = []
    assert runner.run(test, out=report.append).failed == 0, "".join(report)

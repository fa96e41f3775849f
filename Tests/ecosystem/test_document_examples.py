"""The examples of README and docs/use-it-from.md for the clients that Tests/clients does not install."""

import pytest
import test_readme


def test_every_framework_is_installed():
    assert test_readme.FRAMEWORKS <= {test_readme.EXAMPLES[name][0] for name in test_readme.RUN}


@pytest.mark.parametrize(
    "name", [name for name, (module, _) in test_readme.EXAMPLES.items() if module in test_readme.FRAMEWORKS]
)
def test_an_example_prints_what_its_comments_say(server, name):
    test_readme.test_every_python_example_prints_what_its_comments_say(server, name)

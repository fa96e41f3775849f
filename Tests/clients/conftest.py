"""One server for all tests that do not need one of their own."""

import pytest
from process import Server


@pytest.fixture(scope="session")
def server():
    with Server() as running:
        yield running


@pytest.fixture
def alive(server):
    """After the test the shared server still lives and still computes."""
    yield
    assert server.process.poll() is None, server.errors()[-2000:]
    assert server.get("/livez").status_code == 200
    assert server.ask("/loss", {"queries": [[1, 0]], "keys": [[1, 0]]})["loss"] == 0

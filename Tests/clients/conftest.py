"""One server for all tests that do not need one of their own."""

import zlib

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


@pytest.fixture
def name(server, request):
    """A collection name of this test's own, free before and after."""
    made = f"t.{zlib.crc32(request.node.name.encode()):08x}"
    server.delete(f"/collections/{made}")
    yield made
    server.delete(f"/collections/{made}")

"""The fixtures. One server is shared by all tests that do not need their own."""

import zlib

import families
import pytest
from process import Server


@pytest.fixture(scope="session")
def server():
    with Server("--reranker", families.path("rerank-bert")) as running:
        yield running


@pytest.fixture
def alive(server):
    """Checks after the test that the shared server is running and computes correctly."""
    yield
    assert server.process.poll() is None, server.errors()[-2000:]
    assert server.get("/livez").status_code == 200
    assert server.ask("/loss", {"queries": [[1, 0]], "keys": [[1, 0]]})["loss"] == 0


@pytest.fixture
def name(server, request):
    """A collection name for this test alone; the collection is deleted before and after the test."""
    made = f"t.{zlib.crc32(request.node.name.encode()):08x}"
    server.delete(f"/collections/{made}")
    yield made
    server.delete(f"/collections/{made}")

"""One server for all clients, and what keeps them from anything but that server."""

import os
import pathlib
import socket
import sys

# The running server, and the comparison of vectors, are those of the other clients' tests.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients"))

# Read while the packages are imported: nothing is reported to their makers.
os.environ.update(
    ANONYMIZED_TELEMETRY="False",
    HAYSTACK_TELEMETRY_ENABLED="False",
    HF_HUB_DISABLE_TELEMETRY="1",
    LANGSMITH_TRACING="false",
    LITELLM_LOCAL_MODEL_COST_MAP="True",
    NO_PROXY="127.0.0.1,localhost",
)
for name in [name for name in os.environ if name.lower() in ("http_proxy", "https_proxy", "all_proxy")]:
    del os.environ[name]

import pytest  # noqa: E402
import families  # noqa: E402
from process import Server  # noqa: E402

# Vectors are compared with those of /embed. Among the texts are an empty one's neighbour (a space), other scripts, and one that is
# longer than the model allows.
TEXTS = ["The cat sits on the mat.", "Ünïcödé façade, déjà vu", "東京は日本の首都です", "a\nb", "word " * 400]


@pytest.fixture(scope="session")
def server():
    with Server("--reranker", families.path("rerank-bert")) as running:
        yield running


@pytest.fixture(scope="session")
def vectors(server):
    """The vectors of TEXTS."""
    return server.ask("/embed", {"inputs": TEXTS})


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch):
    """A client that would ask another machine fails at once, by name."""
    resolve = socket.getaddrinfo

    def local(host, *arguments, **options):
        if host not in ("127.0.0.1", "localhost", b"127.0.0.1", b"localhost", None):
            raise OSError(f"a test must not ask for {host}")
        return resolve(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", local)

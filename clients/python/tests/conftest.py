"""The fixtures. All tests share one service. nearfar.torch is tested with PyTorch, or with a stand-in where it is not installed."""

import os
import sys
from pathlib import Path

import httpx
import pytest

# The stand-in implements what nearfar.torch uses, so that its logic is tested on every machine. Tests that compare with PyTorch's
# automatic differentiation, or that train, are collected only where PyTorch is installed.
try:
    import torch
except ImportError:
    sys.path.append(str(Path(__file__).parent / "stand_in"))
    import torch  # noqa: F401

    collect_ignore = ["test_torch_peer.py", "test_example.py", "test_training_examples.py"]

for name in list(os.environ):
    if name.lower().endswith("_proxy"):
        del os.environ[name]
os.environ.pop("NEARFAR_API_KEY", None)

from blocked import KINDS  # noqa: E402
from nearfar import Client  # noqa: E402
from scripted import Script  # noqa: E402
from service import Service  # noqa: E402


@pytest.fixture(scope="session")
def service():
    running = Service()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def client(service):
    with Client(service.url) as connected:
        yield connected


@pytest.fixture(params=KINDS)
def connect(request):
    """Makes clients of one kind, blocking or asynchronous, and closes them after the test."""
    made = []

    def make(*arguments, **options):
        made.append(KINDS[request.param](*arguments, **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def scripted(connect):
    """Makes a client whose requests get the given answers, and the script that records these requests."""

    def make(*answers, info=None, **options):
        script = Script(*answers, info=info)
        return connect("http://service", transport=httpx.MockTransport(script), **options), script

    return make


@pytest.fixture
def waits(monkeypatch):
    """Records the pauses that a client makes, without waiting."""
    made = []

    async def sleep(seconds):
        made.append(seconds)

    monkeypatch.setattr("nearfar.transport.time.sleep", made.append)
    monkeypatch.setattr("nearfar.transport.anyio.sleep", sleep)
    return made

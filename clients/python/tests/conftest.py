"""One service for all tests; nearfar.torch beside the real PyTorch, or beside a stand-in where it is not installed."""

import os
import sys
from pathlib import Path

import pytest

# The stand-in has what nearfar.torch touches, so that its own logic is tested on every machine. What compares with PyTorch's
# automatic differentiation, or trains, is collected only where that is there.
try:
    import torch
except ImportError:
    sys.path.append(str(Path(__file__).parent / "stand_in"))
    import torch  # noqa: F401

    collect_ignore = ["test_torch_peer.py", "test_example.py"]

for name in list(os.environ):
    if name.lower().endswith("_proxy"):
        del os.environ[name]

from nearfar import Client  # noqa: E402
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

"""One database and one service for all tests that do not need their own."""

import json
import pathlib
import re
import sys

import pytest

# The running server is that of the other clients' tests.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients"))
# Proxies have their common part beside those of the replicas' tests; names that are in both folders are those above.
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "replicas"))

from pgvector_server import Database  # noqa: E402
from process import Server  # noqa: E402


@pytest.fixture(scope="session")
def database():
    made = Database()
    yield made
    made.remove()


@pytest.fixture(scope="session")
def server(database):
    with Server("--store", database.url) as running:
        yield running


@pytest.fixture
def pair(server):
    """Makes a collection in the database and one in memory, with names of the same length; they are deleted after the test."""
    made = []

    def make(dimension: int, metric: str = "cosine", storage: str | None = None, on=server, name: str = "t"):
        kept = Pair(on, f"{name}.db", f"{name}.in")
        made.append(kept)
        kept.delete()
        body = {"dim": dimension, "metric": metric}
        answer = on.put(f"/collections/{kept.database}", {**body, "engine": "pgvector", "storage": storage})
        assert answer.status_code == 201, answer.text
        assert on.put(f"/collections/{kept.memory}", body).status_code == 201
        return kept

    yield make
    for kept in made:
        kept.delete()


class Pair:
    """The same collection with both engines, which are asked the same."""

    def __init__(self, server, database: str, memory: str) -> None:
        self.server, self.database, self.memory = server, database, memory

    def delete(self) -> None:
        for name in (self.database, self.memory):
            self.server.delete(f"/collections/{name}")

    def both(self, method: str, path: str, body=None, **options):
        """Sends a request to both; NAME stands for the collection. Returns both answers, in which NAME stands for it, too."""
        answers = []
        for name in (self.database, self.memory):

            def named(value):
                if isinstance(value, dict):
                    return {key: named(each) for key, each in value.items()}
                return name if isinstance(value, str) and value == "NAME" else value

            answer = self.server.request(method, path.replace("NAME", name), json=named(body), **options)
            # How long ago the database was seen is no part of what is asked.
            text = re.sub(r',"stale_seconds":[0-9.]+', "", answer.text)
            answers.append((answer.status_code, text.replace(name, "NAME")))
        return answers

    def same(self, method: str, path: str, body=None, status: int | None = None, **options):
        """Sends a request to both, whose answers have to be the same bytes; returns one of them, parsed."""
        first, second = self.both(method, path, body, **options)
        assert first == second, (method, path, str(body)[:500], first[1][:300], second[1][:300])
        assert status is None or first[0] == status, first
        return json.loads(first[1]) if first[1] else None

"""Errors and retries, tested with scripted answers."""

import pickle
import socket

import httpx
import numpy as np
import pytest
from nearfar import (
    AuthenticationError,
    InvalidError,
    NearfarError,
    SafetensorsError,
    TimedOutError,
    UnexpectedAnswerError,
    UnreachableError,
    __version__,
)
from nearfar.safetensors import encode
from scripted import Script
from service import Service

OK = httpx.Response(200, content=encode({"embeddings": np.ones((1, 2), "f4")}))
LOSS = encode({"loss": np.array(0.5, "f4")}, {"objective": "moco", "rows": "1", "candidates": "1", "dim": "2"})
BUSY = httpx.Response(503, headers={"Retry-After": "3"}, json={"title": "Service Unavailable", "detail": "The queue is full."})


pytestmark = pytest.mark.usefixtures("waits")


def test_a_problem_document(scripted):
    body = {"title": "Unprocessable Content", "status": 422, "detail": "Row 3 of queries is zero.", "param": "queries[3]"}
    client, _ = scripted(httpx.Response(422, json=body, headers={"X-Request-Id": "r-1"}))
    with pytest.raises(NearfarError) as caught:
        client.loss([[1.0]], [[1.0]])
    error = caught.value
    assert (error.status, error.title, error.detail) == (422, "Unprocessable Content", "Row 3 of queries is zero.")
    assert (error.param, error.request_id) == ("queries[3]", "r-1")
    assert str(error) == "422 Unprocessable Content: Row 3 of queries is zero. (queries[3])"
    assert type(error) is InvalidError
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is InvalidError and vars(copy) == vars(error) and str(copy) == str(error)


@pytest.mark.parametrize(
    "answer, text",
    [
        (httpx.Response(502, html="<h1>Bad gateway</h1>"), "502 Bad Gateway: <h1>Bad gateway</h1>"),
        (httpx.Response(500), "500 Internal Server Error"),
        (httpx.Response(400, json={"title": 7, "detail": None, "param": 3}), "400 Bad Request"),
        (httpx.Response(500, content=b"[" * 100_000), "500 Internal Server Error: " + "[" * 200),
    ],
    ids=range(4),
)
def test_failures_that_are_no_problem_documents(scripted, answer, text):
    client, _ = scripted(answer)
    with pytest.raises(NearfarError) as caught:
        client.info()
    assert str(caught.value) == text
    assert caught.value.status == answer.status_code


@pytest.mark.parametrize(
    "call, answer",
    [
        (lambda client: client.embed("a"), httpx.Response(200, json=[[1, 2]])),
        (lambda client: client.embed("a"), httpx.Response(200, content=encode({"other": np.ones(1)}))),
        (lambda client: client.loss([[1.0]]), httpx.Response(200, content=encode({"loss": np.array(1.0)}))),
        (lambda client: client.loss([[1.0]]), httpx.Response(200, content=encode({"loss": np.ones(2)}))),
        (lambda client: client.info(), httpx.Response(200, text="hello")),
        (lambda client: client.info(), httpx.Response(200, text="7")),
        (lambda client: client.info(), httpx.Response(200, content=b"[" * 100_000)),
        (lambda client: client.collection(), httpx.Response(200, json={"name": "default"})),
        (lambda client: client.collections(), httpx.Response(200, json=[])),
        (lambda client: client.queue("a"), httpx.Response(200, json={"status": "ok"})),
        (lambda client: client.neighbors("a"), httpx.Response(200, json={"results": 3})),
        (lambda client: client.point("a"), httpx.Response(200, json=[1])),
        (lambda client: client.upsert(["a"], texts=["t"]), httpx.Response(200, json={"version": 1})),
        (lambda client: list(client.points()), httpx.Response(200, json={"points": [{"vector": [1]}]})),
        (lambda client: client.similarity("a", ["b"]), httpx.Response(200, json=[["x"]])),
        (lambda client: client.export(), httpx.Response(200, content=encode({"vectors": np.ones((1, 1))}))),
    ],
    ids=range(16),
)
def test_another_program_that_answers(scripted, call, answer):
    client, _ = scripted(answer)
    with pytest.raises(UnexpectedAnswerError, match="200 Unreadable answer: http://service/.*is base_url the address"):
        call(client)


def test_busy_is_waited_for_as_long_as_it_says(scripted, waits):
    client, script = scripted(BUSY, BUSY, OK)
    assert client.embed(["a"]).tolist() == [[1, 1]]
    assert waits == [3, 3]
    assert len({request.content for request in script.requests}) == 1


def test_busy_for_good_is_an_error(scripted, waits):
    client, script = scripted(BUSY, BUSY, BUSY, OK)
    with pytest.raises(NearfarError, match="503 Service Unavailable: The queue is full"):
        client.embed(["a"])
    assert len(script.requests) == 3 and waits == [3, 3]


@pytest.mark.parametrize("after", [None, "31", "99999999999999999999", "-1", "+1", "1.5", "Wed, 21 Oct 2026 07:28:00 GMT", "²"])
def test_busy_that_is_not_waited_for(scripted, waits, after):
    headers = {} if after is None else {"Retry-After": after.encode()}
    client, script = scripted(httpx.Response(503, headers=headers), OK)
    with pytest.raises(NearfarError):
        client.embed(["a"])
    assert len(script.requests) == 1 and waits == []


def test_only_503_is_repeated(scripted, waits):
    client, script = scripted(httpx.Response(429, headers={"Retry-After": "1"}), OK)
    with pytest.raises(NearfarError, match="429"):
        client.embed(["a"])
    assert len(script.requests) == 1 and waits == []


# Writes that no idempotency key protects. The others are in test_versions.py.
WRITES = {
    "create_collection": lambda client: client.create_collection("a", 1),
    "delete_collection": lambda client: client.delete_collection("a"),
    "create_queue": lambda client: client.create_queue("a", 1, 1),
    "delete_queue": lambda client: client.delete_queue("a"),
}


@pytest.mark.parametrize("call", WRITES.values(), ids=WRITES.keys())
@pytest.mark.parametrize("failure", [BUSY, httpx.ReadError("broke"), httpx.RemoteProtocolError("closed")], ids=range(3))
def test_what_changes_something_is_sent_once(scripted, call, failure, waits):
    client, script = scripted(failure, OK)
    with pytest.raises(NearfarError):
        call(client)
    assert len(script.requests) == 1 and waits == []


@pytest.mark.parametrize("call", WRITES.values(), ids=WRITES.keys())
def test_a_refused_connection_is_tried_again_for_every_call(scripted, call, waits):
    client, script = scripted(*[httpx.ConnectError("refused")] * 3)
    with pytest.raises(UnreachableError, match="refused"):
        call(client)
    assert len(script.requests) == 3 and waits == [0.1, 0.2]


@pytest.mark.parametrize(
    "failure", [BUSY, httpx.ReadError("broke"), httpx.WriteError("broke"), httpx.RemoteProtocolError("gone")]
)
@pytest.mark.parametrize(
    "options", [{"idempotency_key": "k"}, {"queue": {"name": "q", "update": False}}], ids=["keyed", "reads"]
)
def test_a_loss_that_may_be_repeated(scripted, options, failure):
    client, script = scripted(failure, httpx.Response(200, content=LOSS))
    assert client.loss([[1.0, 2.0]], [[1.0, 2.0]], **{"queue": "q", **options}).loss == 0.5
    first, second = script.requests
    assert first.content == second.content and first.headers.get("Idempotency-Key") == options.get("idempotency_key")
    assert second.headers.get("Idempotency-Key") == options.get("idempotency_key")


def test_a_timeout_is_not_repeated(scripted, waits):
    client, script = scripted(httpx.ReadTimeout("slow"))
    with pytest.raises(UnreachableError, match=r"Timeout: POST http://service/embed: slow; Client\(timeout=…\) is 60.0") as caught:
        client.embed(["a"])
    assert caught.value.status is None and isinstance(caught.value.__cause__, httpx.ReadTimeout)
    assert type(caught.value) is TimedOutError
    assert len(script.requests) == 1 and waits == []


def test_no_retries(scripted, connect, waits):
    for failure in (BUSY, httpx.ConnectError("refused")):
        client, script = scripted(failure, retries=0)
        with pytest.raises(NearfarError):
            client.embed(["a"])
        assert len(script.requests) == 1 and waits == []
    with pytest.raises(ValueError):
        connect(retries=-1)


def test_nobody_listens(connect, waits):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    client = connect(f"http://127.0.0.1:{port}")
    with pytest.raises(UnreachableError) as caught:
        client.info()
    assert f"start the service with `nearfar serve --port {port}`, or pass its address as base_url" in str(caught.value)
    assert waits == [0.1, 0.2]
    assert client.ready() is False


def test_ready(scripted):
    for answer, expected in [(httpx.Response(200, json={"status": "ok"}), True), (BUSY, False)]:
        client, script = scripted(answer)
        assert client.ready() is expected and script.requests[0].url.path == "/readyz"
    client, _ = scripted(httpx.Response(401, json={"title": "Unauthorized"}))
    with pytest.raises(NearfarError):
        client.ready()


def test_the_key_and_a_base_with_a_path(connect):
    script = Script(httpx.Response(200, json={}))
    connect("http://service/near/far/", api_key="secret", transport=httpx.MockTransport(script)).info()
    request = script.requests[0]
    assert request.url.path == "/near/far/info"
    assert request.headers["Authorization"] == "Bearer secret"
    assert request.headers["User-Agent"] == f"nearfar-python/{__version__}"


@pytest.mark.parametrize("given, variable, sent", [(None, "from-the-environment", "Bearer from-the-environment"), ("own", "from-the-environment", "Bearer own"), ("", "from-the-environment", None), (None, "", None), (None, None, None)])
def test_the_key_of_the_environment(connect, monkeypatch, given, variable, sent):
    monkeypatch.delenv("NEARFAR_API_KEY", raising=False)
    if variable is not None:
        monkeypatch.setenv("NEARFAR_API_KEY", variable)
    script = Script(httpx.Response(200, json={}))
    connect("http://service", api_key=given, transport=httpx.MockTransport(script)).info()
    assert script.requests[0].headers.get("Authorization") == sent


@pytest.mark.parametrize("key", ["secret\n", "two words", "schlüssel"])
def test_a_key_that_no_field_can_carry(connect, key):
    with pytest.raises(ValueError, match="visible ASCII") as caught:
        connect("http://service", api_key=key)
    assert key not in str(caught.value)


def test_a_service_with_keys(connect, tmp_path):
    file = tmp_path / "keys"
    file.write_text("reader:read-0123456789abcdef read\n")
    file.chmod(0o600)
    service = Service("--api-key-file", str(file))
    try:
        with pytest.raises(AuthenticationError, match="an API key is required"):
            connect(service.url).embed("a cat")
        client = connect(service.url, api_key="read-0123456789abcdef")
        assert client.embed("a cat").shape == (384,)
        with pytest.raises(AuthenticationError, match="403 Forbidden: the API key 'reader' lacks the right 'write'"):
            client.create_collection("c", dim=2)
    finally:
        service.stop()


def test_the_error_of_the_codec_is_a_value_error():
    assert issubclass(SafetensorsError, ValueError)

"""Errors and retries, against answers made up here."""

import pickle
import socket

import httpx
import numpy as np
import pytest
from nearfar import Client, NearfarError, SafetensorsError, UnreachableError
from nearfar.safetensors import encode

OK = httpx.Response(200, content=encode({"embeddings": np.ones((1, 2), "f4")}))
LOSS = encode({"loss": np.array(0.5, "f4")}, {"objective": "moco", "rows": "1", "candidates": "1", "dim": "2"})
BUSY = httpx.Response(503, headers={"Retry-After": "3"}, json={"title": "Service Unavailable", "detail": "The queue is full."})


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """The pauses that the client makes, without making them."""
    made = []
    monkeypatch.setattr("nearfar.transport.time.sleep", made.append)
    return made


class Script:
    """Answers with one after another of the responses and exceptions that it is given."""

    def __init__(self, *answers):
        self.answers, self.requests = list(answers), []

    def __call__(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


def scripted(*answers, **options):
    script = Script(*answers)
    return Client("http://service", transport=httpx.MockTransport(script), **options), script


def test_a_problem_document():
    body = {"title": "Unprocessable Content", "status": 422, "detail": "Row 3 of queries is zero.", "param": "queries[3]"}
    client, _ = scripted(httpx.Response(422, json=body, headers={"X-Request-Id": "r-1"}))
    with pytest.raises(NearfarError) as caught:
        client.loss([[1.0]], [[1.0]])
    error = caught.value
    assert (error.status, error.title, error.detail) == (422, "Unprocessable Content", "Row 3 of queries is zero.")
    assert (error.param, error.request_id) == ("queries[3]", "r-1")
    assert str(error) == "422 Unprocessable Content: Row 3 of queries is zero. (queries[3])"
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is NearfarError and vars(copy) == vars(error) and str(copy) == str(error)


@pytest.mark.parametrize(
    "answer, text",
    [
        (httpx.Response(502, html="<h1>Bad gateway</h1>"), "502 Bad Gateway: <h1>Bad gateway</h1>"),
        (httpx.Response(500), "500 Internal Server Error"),
        (httpx.Response(404, json=["no", "problem"]), '404 Not Found: ["no","problem"]'),
        (httpx.Response(400, json={"title": 7, "detail": None, "param": 3}), "400 Bad Request"),
        (httpx.Response(302, headers={"Location": "/else"}), "302 Found"),
        (httpx.Response(404, content=b"[" * 100_000), "404 Not Found: " + "[" * 200),
    ],
    ids=range(6),
)
def test_failures_that_are_no_problem_documents(answer, text):
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
    ],
    ids=range(7),
)
def test_another_program_that_answers(call, answer):
    client, _ = scripted(answer)
    with pytest.raises(NearfarError, match="200 Unreadable answer: http://service/"):
        call(client)


def test_busy_is_waited_for_as_long_as_it_says(waits):
    client, script = scripted(BUSY, BUSY, OK)
    assert client.embed(["a"]).tolist() == [[1, 1]]
    assert waits == [3, 3]
    assert len({request.content for request in script.requests}) == 1


def test_busy_for_good_is_an_error(waits):
    client, script = scripted(BUSY, BUSY, BUSY, OK)
    with pytest.raises(NearfarError, match="503 Service Unavailable: The queue is full"):
        client.embed(["a"])
    assert len(script.requests) == 3 and waits == [3, 3]


@pytest.mark.parametrize("after", [None, "31", "99999999999999999999", "-1", "+1", "1.5", "Wed, 21 Oct 2026 07:28:00 GMT", "²"])
def test_busy_that_is_not_waited_for(waits, after):
    headers = {} if after is None else {"Retry-After": after.encode()}
    client, script = scripted(httpx.Response(503, headers=headers), OK)
    with pytest.raises(NearfarError):
        client.embed(["a"])
    assert len(script.requests) == 1 and waits == []


def test_only_503_is_repeated(waits):
    client, script = scripted(httpx.Response(429, headers={"Retry-After": "1"}), OK)
    with pytest.raises(NearfarError, match="429"):
        client.embed(["a"])
    assert len(script.requests) == 1 and waits == []


WRITES = {
    "loss that appends": lambda client: client.loss([[1.0]], [[1.0]], queue="q"),
    "loss that appends, spelt out": lambda client: client.loss([[1.0]], [[1.0]], queue={"name": "q"}),
    "upsert": lambda client: client.upsert(["a"], [[1.0]]),
    "delete_points": lambda client: client.delete_points(["a"]),
    "create_collection": lambda client: client.create_collection("a", 1),
    "delete_collection": lambda client: client.delete_collection("a"),
    "create_queue": lambda client: client.create_queue("a", 1, 1),
    "delete_queue": lambda client: client.delete_queue("a"),
}


@pytest.mark.parametrize("call", WRITES.values(), ids=WRITES.keys())
@pytest.mark.parametrize("failure", [BUSY, httpx.ReadError("broke"), httpx.RemoteProtocolError("closed")], ids=range(3))
def test_what_changes_something_is_sent_once(call, failure, waits):
    client, script = scripted(failure, OK)
    with pytest.raises(NearfarError):
        call(client)
    assert len(script.requests) == 1 and waits == []


@pytest.mark.parametrize("call", WRITES.values(), ids=WRITES.keys())
def test_a_refused_connection_is_tried_again_for_every_call(call, waits):
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
def test_a_loss_that_may_be_repeated(options, failure):
    client, script = scripted(failure, httpx.Response(200, content=LOSS))
    assert client.loss([[1.0, 2.0]], [[1.0, 2.0]], **{"queue": "q", **options}).loss == 0.5
    first, second = script.requests
    assert first.content == second.content and first.headers.get("Idempotency-Key") == options.get("idempotency_key")
    assert second.headers.get("Idempotency-Key") == options.get("idempotency_key")


def test_a_timeout_is_not_repeated(waits):
    client, script = scripted(httpx.ReadTimeout("slow"))
    with pytest.raises(UnreachableError, match="Timeout: POST http://service/embed: slow") as caught:
        client.embed(["a"])
    assert caught.value.status is None and isinstance(caught.value.__cause__, httpx.ReadTimeout)
    assert len(script.requests) == 1 and waits == []


def test_no_retries(waits):
    for failure in (BUSY, httpx.ConnectError("refused")):
        client, script = scripted(failure, retries=0)
        with pytest.raises(NearfarError):
            client.embed(["a"])
        assert len(script.requests) == 1 and waits == []
    with pytest.raises(ValueError):
        Client(retries=-1)


def test_nobody_listens(waits):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with Client(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(UnreachableError):
            client.info()
        assert waits == [0.1, 0.2]
        assert client.ready() is False


def test_ready():
    for answer, expected in [(httpx.Response(200, json={"status": "ok"}), True), (BUSY, False)]:
        client, script = scripted(answer)
        assert client.ready() is expected and script.requests[0].url.path == "/readyz"
    client, _ = scripted(httpx.Response(401, json={"title": "Unauthorized"}))
    with pytest.raises(NearfarError):
        client.ready()


def test_the_key_and_a_base_with_a_path():
    script = Script(httpx.Response(200, json={}))
    transport = httpx.MockTransport(script)
    with Client("http://service/near/far/", api_key="secret", transport=transport) as client:
        client.info()
    request = script.requests[0]
    assert request.url.path == "/near/far/info"
    assert request.headers["Authorization"] == "Bearer secret"
    assert request.headers["User-Agent"].startswith("nearfar-python/")


def test_the_error_of_the_codec_is_a_value_error():
    assert issubclass(SafetensorsError, ValueError)

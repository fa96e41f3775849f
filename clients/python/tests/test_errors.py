"""The texts of errors say what happened and what to change."""

import socket

import httpx
import pytest
from nearfar import (
    AuthenticationError,
    BadRequestError,
    ConflictError,
    InvalidError,
    NearfarError,
    NotFoundError,
    TooLargeError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
)

pytestmark = pytest.mark.usefixtures("waits")


@pytest.mark.parametrize("path", ["/v1", "/nearfar", "/v1/"])
def test_a_path_too_many(connect, service, path):
    client = connect(service.url + path)
    for call in (lambda: client.embed("a"), lambda: client.embed(["a", "b"]), client.info, client.collections, lambda: client.point("a")):
        with pytest.raises(UnexpectedAnswerError) as caught:
            call()
        error = caught.value
        # /v1/embed is a route of Cohere's, which gives JSON alone.
        is_foreign = "/v1/embed is" in error.detail
        assert error.status == (406 if is_foreign else 404) and error.request_id
        given = (service.url + path).rstrip("/")
        assert f"base_url is {given}, where the address of a Nearfar service is expected, perhaps {service.url} (" in error.detail
        assert is_foreign or "there is no route" in error.detail
        assert f"{given}/" in error.detail


@pytest.mark.parametrize("answer", [httpx.Response(404, html="<h1>Nothing here</h1>"), httpx.Response(404, json=["no"]), httpx.Response(405)])
def test_another_program(scripted, answer):
    client, _ = scripted(answer)
    with pytest.raises(UnexpectedAnswerError) as caught:
        client.embed("a")
    assert "POST http://service/embed is not served; base_url is http://service, where the address of a Nearfar service" in str(caught.value)


def test_a_redirect(scripted):
    client, _ = scripted(httpx.Response(308, headers={"Location": "https://service/embed"}))
    with pytest.raises(UnexpectedAnswerError, match="is redirected to https://service/embed; pass as base_url, now http://service"):
        client.embed("a")


def test_a_missing_thing_is_not_a_wrong_address(connect, service):
    client = connect(service.url)
    for call, param in (
        (lambda: client.collection("none"), "collection"),
        (lambda: client.queue("none"), "queue"),
        (lambda: client.point("none"), "id"),
        (lambda: client.neighbors("a", collection="none"), "collection"),
        (lambda: client.loss([[1.0]], [[1.0]], objective="moco", queue="none"), "queue"),
        (lambda: client.delete_queue("none"), "queue"),
    ):
        with pytest.raises(NotFoundError) as caught:
            call()
        assert caught.value.param == param and "base_url" not in str(caught.value)


@pytest.mark.parametrize(
    "status, kind",
    [
        (400, BadRequestError), (401, AuthenticationError), (403, AuthenticationError), (409, ConflictError),
        (413, TooLargeError), (422, InvalidError), (503, UnavailableError), (500, NearfarError), (507, NearfarError),
    ],
)  # fmt: skip
def test_a_class_for_each_status(scripted, status, kind):
    client, _ = scripted(httpx.Response(status, json={"title": "T", "detail": "what is wrong", "param": "p"}))
    with pytest.raises(NearfarError) as caught:
        client.info()
    assert type(caught.value) is kind and caught.value.status == status and "what is wrong" in str(caught.value)


def test_classes_of_the_service(connect, service):
    client = connect(service.url)
    with pytest.raises(InvalidError) as caught:
        client.loss([[1, 0], [0, 0]], [[1, 0], [0, 1]])
    assert caught.value.param == "queries[1]" and "queries[1]" in str(caught.value)
    with pytest.raises(ConflictError):
        client.create_collection("default", 3)
    with pytest.raises(TooLargeError, match="1000000"):
        client.embed("x" * 1_000_001)


def test_errors_in_the_shape_of_openai(scripted):
    error = {"message": "input must not be empty", "type": "invalid_request_error", "param": "input", "code": None}
    client, _ = scripted(httpx.Response(400, json={"error": error}))
    with pytest.raises(BadRequestError) as caught:
        client.info()
    assert (caught.value.detail, caught.value.param) == ("input must not be empty", "input")


def test_a_key_that_is_missing(scripted):
    client, _ = scripted(httpx.Response(401, json={"title": "Unauthorized", "detail": "a key is needed"}))
    with pytest.raises(AuthenticationError, match=r"401 Unauthorized: a key is needed; pass the service's key as Client\(api_key=…\)"):
        client.info()


def test_a_proxy_that_takes_less(scripted):
    client, _ = scripted(httpx.Response(413, html="<h1>413</h1>"))
    with pytest.raises(TooLargeError, match="a proxy in front of the service refuses the [0-9]+ bytes of the request"):
        client.embed("a")


def test_a_host_that_is_not_known(connect, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(UnreachableError, match="the host 'no-such-host' of base_url is not known"):
        connect("http://no-such-host:8080").info()


def test_tls_where_the_service_speaks_none(connect, service):
    with pytest.raises(UnreachableError, match="write base_url with http://"):
        connect(service.url.replace("http:", "https:")).info()


@pytest.mark.parametrize(
    "base_url, text",
    [
        ("127.0.0.1:8080", "write 'http://127.0.0.1:8080'"),
        ("localhost", "write 'http://localhost'"),
        ("", "write 'http://127.0.0.1:8080'"),
        ("ftp://host/", "does not begin with http:// or https:// and a host"),
        ("http://", "and a host"),
        ("http://host/?a=b", "has a query"),
        ("http://host:port", "is not a URL"),
        (None, "is not a URL"),
    ],
)
def test_what_is_no_address(connect, base_url, text):
    with pytest.raises(ValueError) as caught:
        connect(base_url)
    assert text in str(caught.value) and "base_url" in str(caught.value)


def test_a_collection_of_an_older_service(scripted):
    older = {"name": "c", "dim": 2, "metric": "dot", "count": 3, "version": 4, "model": None}
    client, _ = scripted(
        httpx.Response(200, json=older), httpx.Response(200, json={"collections": [{**older, "new": 1, "recall_target": 0.9}]})
    )
    found = client.collection("c")
    assert (found.name, found.dim, found.metric, found.count, found.version) == ("c", 2, "dot", 3, 4)
    assert found.recall_target is None
    assert client.collections()[0].recall_target == 0.9

"""Failures at the level of HTTP: methods, paths, types, encodings, sizes, malformed bytes, clients that disconnect."""

import json
import socket
import zlib

import pytest
import requests
from problems import problem

pytestmark = pytest.mark.usefixtures("alive")
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "path, allowed",
    [
        ("/embed", {"POST"}),
        ("/loss", {"POST"}),
        ("/neighbors", {"POST"}),
        ("/tokenize", {"POST"}),
        ("/similarity", {"POST"}),
        ("/livez", {"GET", "HEAD"}),
        ("/metrics", {"GET", "HEAD"}),
        ("/", {"GET", "HEAD", "POST"}),
        ("/collections", {"GET", "HEAD"}),
        ("/collections/default", {"GET", "HEAD", "PUT", "DELETE"}),
        ("/collections/default/points", {"GET", "HEAD", "PUT", "PATCH"}),
        ("/collections/default/points/delete", {"POST"}),
    ],
)
def test_a_wrong_method_is_405_with_allow(server, path, allowed):
    # Each path does not allow at least one of these methods.
    method = next(each for each in ("PATCH", "DELETE") if each not in allowed)
    response = server.request(method, path, data=b"")
    problem(response, 405)
    found = {method.strip() for method in response.headers["Allow"].split(",")}
    assert found - {"OPTIONS", "HEAD"} == allowed - {"HEAD"}


@pytest.mark.parametrize("path", ["/embed", "/loss", "/neighbors", "/tokenize", "/similarity"])
def test_head_of_a_route_without_get(server, path):
    response = server.request("HEAD", path)
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]
    assert response.content == b""


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz", "/info", "/openapi.yaml", "/collections/default"])
def test_head_is_get_without_the_body(server, path):
    got, head = server.get(path), server.request("HEAD", path)
    assert head.status_code == got.status_code == 200
    assert head.content == b""
    assert head.headers["Content-Type"] == got.headers["Content-Type"]
    assert head.headers["Content-Length"] == got.headers["Content-Length"]


@pytest.mark.parametrize("path, method", [("/embed", "POST"), ("/livez", "GET"), ("/collections/default", "PUT")])
def test_options_tells_the_methods(server, path, method):
    response = server.request("OPTIONS", path)
    assert response.status_code in (200, 204, 405)
    assert method in response.headers["Allow"]


def test_options_of_the_whole_server(server):
    """HAProxy sends this health check with `option httpchk OPTIONS *`."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(4096), b"")).decode()
    assert answer.startswith("HTTP/1.1 204 ")
    assert "\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n" in answer


@pytest.mark.parametrize("path", ["/nothing", "/embed/", "/embed/more", "/collections/default/points/a/b", "/..%2f.."])
def test_an_unknown_path_is_404(server, path):
    problem(server.post(path, {"inputs": "a"}), 404)


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/octet-stream",
        "application/jsonp",
        "multipart/form-data",
        "application/x-tensors",
        "text/json",
        "x",
    ],
)
@pytest.mark.parametrize("path", ["/embed", "/loss"])
def test_a_wrong_content_type_is_415(server, path, kind):
    response = server.request("POST", path, data=b'{"inputs": "a"}', headers={"Content-Type": kind})
    problem(response, 415)
    assert "application/json" in response.headers["Accept-Post"]


def test_deflate_is_refused(server):
    body = zlib.compress(b'{"inputs": "a"}')
    response = server.request("POST", "/embed", data=body, headers={**JSON, "Content-Encoding": "deflate"})
    found = problem(response, 415)
    assert "encoding" in (found["detail"] + (found.get("param") or "")).lower()


def test_identity_is_no_encoding(server):
    response = server.request(
        "POST", "/embed", data=b'{"inputs": "a"}', headers={**JSON, "Content-Encoding": "identity"}
    )
    assert response.status_code == 200


@pytest.mark.parametrize("accept", ["application/x-tensors", "text/html", "application/json;q=0", "*;q=0"])
def test_what_cannot_be_given_is_406(server, accept):
    problem(server.post("/embed", {"inputs": "a"}, headers={"Accept": accept}), 406)


def test_safetensors_where_there_are_none(server):
    binary = "application/x-safetensors"
    problem(server.post("/similarity", {"inputs": {}}, headers={"Accept": binary}), 406)
    response = server.request("POST", "/embed", data=b"", headers={"Content-Type": binary})
    problem(response, 415)
    assert response.headers["Accept-Post"] == "application/json"
    response = server.request("POST", "/loss", data=b"", headers={"Content-Type": "text/plain"})
    assert response.headers["Accept-Post"] == "application/json, application/x-safetensors"


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "*",
        "",
        "text/html, *;q=0.1",
        "application/*",
        "application/json",
        "text/html, application/json;q=0.1",
        "text/html, */*;q=0.1",
    ],
)
def test_what_can_be_given(server, accept):
    assert server.post("/embed", {"inputs": "a"}, headers={"Accept": accept}).status_code == 200


def test_a_body_over_the_limit_is_refused_before_it_is_sent(server):
    head = (
        b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 134217729\r\nExpect: 100-continue\r\n\r\n"
    )
    answer = server.raw(head)
    assert answer.startswith(b"HTTP/1.1 413 ")
    top, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in top
    found = json.loads(body)
    assert found["status"] == 413
    assert "134217728" in found["detail"].replace(",", "") or "128 MiB" in found["detail"]


def test_a_length_beyond_any_integer(server):
    head = b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999999\r\n\r\n"
    answer = server.raw(head)
    assert answer.split(b" ")[1] in (b"400", b"413")
    assert b"problem+json" in answer


def test_too_many_inputs(server):
    response = server.post("/embed", {"inputs": ["a"] * 100_001})
    found = problem(response, 413, "inputs")
    assert "100000" in found["detail"].replace(",", "")


def test_an_input_that_is_too_long(server):
    response = server.post("/embed", {"inputs": ["a", "b" * 1_000_001]})
    found = problem(response, 413, "inputs[1]")
    assert "1000000" in found["detail"].replace(",", "")


def test_characters_are_counted_and_not_bytes(server):
    # The text has 3 MB of UTF-8, but only a million characters.
    assert server.post("/embed", {"inputs": "日" * 1_000_000}).status_code == 200


def test_a_dimension_over_the_limit(server):
    problem(server.post("/loss", {"queries": [[1] * 8193], "keys": [[1] * 8193]}), 422, "queries")


@pytest.mark.parametrize("garbage", [b"GARBAGE\r\n\r\n", b"GET\x00 / HTTP/1.1\r\n\r\n", b"{}\r\n\r\n"])
def test_bytes_that_are_no_http(server, garbage):
    answer = server.raw(garbage)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"problem+json" in answer


def test_a_client_that_speaks_tls(server):
    # Such a client would not understand an answer in plain text. The fixture checks that the server is still running.
    server.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", until_closed=True)


@pytest.mark.parametrize("name", ["", "x" * 20_000])
def test_a_head_over_the_limit_is_431(server, name):
    fields = b"".join(b"X-Field-%d: y\r\n" % index for index in range(150)) if not name else f"X: {name}\r\n".encode()
    answer = server.raw(b"GET /livez HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"problem+json" in answer


def test_a_client_that_goes_away(server):

    body = json.dumps({"inputs": [f"{number} " + "cat " * 200 for number in range(16)]}).encode()
    for _ in range(8):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(
                b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body) + body
            )
    assert server.post("/embed", {"inputs": "a"}).status_code == 200


def test_every_failure_keeps_the_connection_usable(server):
    with requests.Session() as session:
        session.trust_env = False
        for _ in range(20):
            assert session.post(server.url + "/embed", json={"inputs": []}, timeout=30).status_code == 422
            assert session.post(server.url + "/embed", data=b"{", headers=JSON, timeout=30).status_code == 400
            assert session.get(server.url + "/nothing", timeout=30).status_code == 404
            assert session.post(server.url + "/embed", json={"inputs": "a"}, timeout=30).status_code == 200

"""Web pages of other origins: --cors-origin lets them use the service, and without it they cannot even send what changes something."""

import json
import socket

import pytest
from problems import problem
from process import Server, run_to_the_end
from test_api_keys import ALL, bearer, write_keys

PAGE = "https://page.example"
OTHER = "https://other.example"
BODY = {"queries": [[1, 0]], "keys": [[1, 0]]}
EXPOSED = {"link", "retry-after", "server-timing", "traceparent", "www-authenticate", "x-nearfar-version", "x-request-id"}


def names(text):
    return {name.strip().lower() for name in (text or "").split(",") if name.strip()}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "keys"
    write_keys(path, f"a:{ALL}\n")
    flags = ["--api-key-file", str(path), "--cors-origin", PAGE, "--cors-origin", "http://localhost:3000", "--max-body-bytes", "1000"]
    with Server(*flags) as running:
        yield running


def readable(response, origin=PAGE):
    """Checks that a page of the origin can read the answer."""
    assert response.headers.get("Access-Control-Allow-Origin") == origin
    assert names(response.headers["Access-Control-Expose-Headers"]) == EXPOSED
    assert "Access-Control-Allow-Credentials" not in response.headers
    return response


def ask(server, path, method, origin, fields=""):
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    if fields:
        asked["Access-Control-Request-Headers"] = fields
    return server.request("OPTIONS", path, headers=asked)


def test_a_preflight_tells_what_the_path_takes(shared):
    response = ask(shared, "/loss", "POST", PAGE, "authorization,content-type,idempotency-key,x-api-key,x-evil,x-request-timeout-ms")
    assert (response.status_code, response.content) == (204, b"")
    assert readable(response).headers["Access-Control-Allow-Methods"] == response.headers["Allow"] == "POST, OPTIONS"
    expected = {"authorization", "content-type", "idempotency-key", "x-api-key", "x-request-timeout-ms"}
    assert names(response.headers["Access-Control-Allow-Headers"]) == expected
    assert response.headers["Access-Control-Max-Age"] == "7200"
    assert "origin" in names(response.headers["Vary"])
    response = ask(shared, "/collections/c", "DELETE", "http://LOCALHOST:3000")
    assert names(response.headers["Access-Control-Allow-Methods"]) >= {"delete", "put", "get"}
    assert "Access-Control-Allow-Headers" not in response.headers
    # Plain OPTIONS is as ever.
    assert "Access-Control-Allow-Methods" not in shared.request("OPTIONS", "/loss").headers


@pytest.mark.parametrize("origin", [OTHER, "http://page.example", PAGE + ":8443", PAGE + ".evil.example", "null", "", "https://", PAGE + "/", "page.example"])
def test_a_page_of_another_origin_is_let_in_nowhere(shared, origin):
    response = ask(shared, "/loss", "POST", origin, "authorization")
    assert response.status_code == 204
    assert not [name for name in response.headers if name.lower().startswith("access-control")]
    response = shared.get("/livez", headers={"Origin": origin})
    assert response.status_code == 200 and "Access-Control-Allow-Origin" not in response.headers
    assert "origin" in names(response.headers["Vary"])
    response = shared.post("/loss", BODY, headers={"Origin": origin, **bearer(ALL)})
    assert "--cors-origin" in problem(response, 403)["detail"]


def test_answers_and_errors_can_be_read(shared):
    page = {"Origin": PAGE}
    key = {**page, **bearer(ALL)}
    assert readable(shared.post("/loss", BODY, headers=key)).json()["loss"] == 0
    assert readable(shared.get("/livez", headers={"Origin": PAGE + ":443"}), PAGE + ":443").status_code == 200
    assert readable(shared.post("/loss", BODY, headers=page)).status_code == 401
    assert readable(shared.get("/none", headers=key)).status_code == 404
    assert readable(shared.request("PUT", "/loss", headers=key)).status_code == 405
    assert readable(shared.post("/loss", {"queries": 1}, headers=key)).status_code == 422
    assert readable(shared.post("/loss", {"queries": [[0] * 1000]}, headers=key)).status_code == 413
    chunked = shared.request("POST", "/loss", data=iter([b"x" * 2000]), headers=key)
    assert readable(chunked).status_code == 413
    page = shared.get("/openapi.yaml", headers={**page, "Accept-Encoding": "gzip"})
    assert names(readable(page).headers["Vary"]) == {"accept-encoding", "origin"}


def test_any_page_is_let_in_where_that_is_asked_for(tmp_path):
    with Server("--max-connections", "1", environment={"NEARFAR_CORS_ORIGIN": "*"}) as server:
        for origin in (PAGE, "null", "http://127.0.0.1:1"):
            assert readable(server.post("/loss", BODY, headers={"Origin": origin}), "*").status_code == 200
        assert ask(server, "/embed", "POST", OTHER, "content-type").headers["Access-Control-Allow-Headers"] == "Content-Type"
        assert readable(server.post("/loss", BODY, headers={"Sec-Fetch-Site": "cross-site"}), "*").status_code == 200
        assert "origin" not in names(server.get("/livez").headers.get("Vary"))
        # A connection beyond the limit, whose request is not read.
        answer = server.raw(b"GET /livez HTTP/1.1\r\nHost: h\r\nOrigin: https://x\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 503 ") and b"Access-Control-Allow-Origin: *\r\n" in answer


def test_the_environment_has_several_with_commas():
    with Server(environment={"NEARFAR_CORS_ORIGIN": f"{OTHER}, {PAGE}"}) as server:
        for origin in (PAGE, OTHER):
            assert readable(server.post("/loss", BODY, headers={"Origin": origin}), origin).status_code == 200


# What a browser on the operator's machine sends, and whether it may.
SENT = [
    ({}, True),
    ({"Origin": "SELF"}, True),
    ({"Origin": "SELF", "Sec-Fetch-Site": "same-origin"}, True),
    ({"Origin": PAGE, "Sec-Fetch-Site": "same-origin"}, True),
    ({"Sec-Fetch-Site": "none"}, True),
    ({"Origin": PAGE}, False),
    ({"Origin": "null"}, False),
    ({"Origin": PAGE, "Sec-Fetch-Site": "cross-site"}, False),
    ({"Origin": "SELF", "Sec-Fetch-Site": "same-site"}, False),
    ({"Origin": "http://127.0.0.1"}, False),
    ({"Origin": "http://127.0.0.1:1"}, False),
    ({"Sec-Fetch-Site": "cross-site"}, False),
    ({"Origin": "x" * 5000}, False),
]


@pytest.mark.parametrize("fields, may", SENT)
@pytest.mark.parametrize("method, path", [("POST", "/loss"), ("PUT", "/collections/cors"), ("DELETE", "/collections/cors"), ("PATCH", "/collections/cors/points"), ("POST", "/v1/embeddings"), ("POST", "/none")])
def test_a_foreign_page_changes_nothing(server, method, path, fields, may):
    fields = {name: server.url if value == "SELF" else value for name, value in fields.items()}
    response = server.request(method, path, data=json.dumps({"dim": 2}), headers=fields)
    if may:
        assert response.status_code != 403
    else:
        assert response.status_code == 403 and "--cors-origin" in response.text
        if fields.get("Origin") == PAGE:
            assert f"--cors-origin {PAGE} lets it" in response.text
    assert not [name for name in response.headers if name.lower().startswith("access-control")]
    assert "Vary" not in response.headers


def test_a_page_may_always_send_what_a_link_does(server):
    foreign = {"Origin": PAGE, "Sec-Fetch-Site": "cross-site"}
    assert server.get("/playground", headers=foreign).status_code == 200
    assert server.request("HEAD", "/", headers=foreign).status_code == 200
    assert server.request("OPTIONS", "/loss", headers=foreign).status_code == 204


@pytest.mark.parametrize(
    "host, origin, may",
    [
        ("nearfar.example", "https://nearfar.example", True),
        ("Nearfar.example:443", "https://nearfar.example", True),
        ("nearfar.example:80", "http://nearfar.example", True),
        ("nearfar.example:8080", "https://nearfar.example:8080", True),
        ("nearfar.example:80", "https://nearfar.example", False),
        ("[::1]:8080", "http://[::1]:8080", True),
        ("[::1]", "http://[::1]", True),
        ("[::1]:8080", "http://[::2]:8080", False),
        ("nearfar.example", "nearfar.example", False),
        ("nearfar.example", "https://x@nearfar.example", False),
    ],
)
def test_the_page_of_a_service_behind_a_proxy_is_its_own(server, host, origin, may):
    head = f"POST /loss HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nContent-Length: 2\r\n\r\n{{}}"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head.encode())
        assert connection.recv(65536).split()[1] == (b"422" if may else b"403")


@pytest.mark.parametrize("value", ["", "page.example", "https://page.example/", "https://a.example,", "null", "https://", "https://a.example:0", "https://a.example:65536", "https://a b", "**", "https://*.example"])
def test_what_is_no_origin_is_an_error_that_says_so(value):
    code, printed = run_to_the_end("serve", f"--cors-origin={value}")
    assert code == 2 and "--cors-origin must be an origin of web pages" in printed

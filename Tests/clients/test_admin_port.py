"""--admin-port: what operators ask has a listener of its own, which ends last."""

import http.client
import json
import re
import socket
import subprocess

import pytest
import requests
from certificates import Authority
from problems import problem
from process import BINARY, MODEL, Server, clean_environment, run_to_the_end, wait_until

PROBES = ("/livez", "/readyz", "/health", "/ping")


def admin_url(server):
    line = re.search(r"/metrics and /info are served on the admin port, (https?://127\.0\.0\.1:\d+)", server.errors())
    return line[1]


@pytest.fixture(scope="module")
def split():
    with Server("--admin-port", "0", "--loops", "2") as running:
        yield running


@pytest.fixture
def admin(split):
    with requests.Session() as session:
        session.trust_env = False
        url = admin_url(split)
        yield lambda path, **options: session.request(options.pop("method", "GET"), url + path, timeout=30, **options)


def test_the_admin_port_has_reports_and_probes_and_nothing_else(split, admin):
    for path in PROBES:
        assert admin(path).status_code == 200
    info = admin("/info").json()
    assert info["model"]["dim"] == 384
    page = admin("/metrics")
    assert page.status_code == 200 and "nearfar_build_info" in page.text
    assert 'http_server_request_duration_seconds_count{http_request_method="GET",http_route="/info",http_response_status_code="200"} 1\n' in page.text
    for method, path in (("GET", "/"), ("POST", "/embed"), ("GET", "/collections"), ("GET", "/openapi.yaml"), ("GET", "/x")):
        detail = problem(admin(path, method=method), 404)["detail"]
        assert "admin port" in detail and "/metrics" in detail and path in detail
    allowed = admin("/metrics", method="OPTIONS")
    assert (allowed.status_code, allowed.headers["Allow"]) == (204, "GET, HEAD, OPTIONS")
    assert admin("/metrics", method="POST", data=b"").status_code == 405


def test_the_main_port_has_everything_but_the_reports(split):
    for path in PROBES:
        assert split.get(path).status_code == 200
    for path in ("/metrics", "/info"):
        assert "--admin-port" in problem(split.get(path), 404)["detail"]
    assert "admin" not in problem(split.get("/metricsx"), 404)["detail"]
    assert len(split.ask("/embed", {"inputs": "a"})[0]) == 384


def test_health_keeps_working(split):
    done = subprocess.run(
        [BINARY, "health"], capture_output=True, timeout=30, env=clean_environment({"NEARFAR_PORT": str(split.port)})
    )
    assert (done.returncode, done.stdout) == (0, b"ready\n")


def test_texts_are_indexed_although_info_is_elsewhere(split, tmp_path):
    lines = tmp_path / "lines.jsonl"
    lines.write_text("".join(json.dumps({"id": f"{n}", "text": f"text {n}"}) + "\n" for n in range(5)))
    command = [BINARY, "index", "--url", split.url, "--collection", "admin.texts", "--input", str(lines), "--text-field", "text"]
    done = subprocess.run(command, capture_output=True, timeout=60, env=clean_environment())
    assert done.returncode == 0, done.stderr
    found = split.get("/collections/admin.texts").json()
    assert (found["dim"], found["count"]) == (384, 5)


def test_without_it_everything_is_on_one_port(server):
    for path in (*PROBES, "/metrics", "/info"):
        assert server.get(path).status_code == 200


def test_it_speaks_tls_as_the_main_port_does(tmp_path):
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server")
    with Server("--admin-port", "0", "--tls-cert", str(certificate), "--tls-key", str(key)) as server:
        server.session.verify = str(authority.file)
        url = admin_url(server)
        assert url.startswith("https://")
        assert server.session.get(url + "/metrics", timeout=30).status_code == 200
        plain = server.session.get(url.replace("https", "http") + "/metrics", timeout=30)
        assert plain.status_code == 400


def test_it_is_served_until_the_end():
    server = Server("--admin-port", "0")
    host, port = admin_url(server).removeprefix("http://").split(":")

    def once(path):
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        connection.request("GET", path)
        response = connection.getresponse()
        answer = (response.status, response.read().decode())
        connection.close()
        return answer

    body = b'{"inputs": "a"}'
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as waiting:
        head = b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        waiting.sendall(head % len(body) + body[:1])
        assert server.get("/livez").status_code == 200
        server.session.close()
        kept = http.client.HTTPConnection(host, int(port), timeout=30)
        kept.request("GET", "/readyz")
        assert kept.getresponse().read() == b'{"status":"ready"}'
        server.terminate()
        assert wait_until(lambda: once("/readyz")[0] == 503)
        assert once("/livez")[0] == 200
        # It does not drain yet: connections are kept.
        kept.request("GET", "/metrics")
        response = kept.getresponse()
        assert (response.status, response.getheader("Connection")) == (200, None)
        assert "http_server_request_duration_seconds" in response.read().decode()
        waiting.sendall(body[1:])
        assert waiting.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert server.wait(20) == 0
    assert kept.sock.recv(1) == b""


@pytest.mark.parametrize("value, cause", [("8080", "--admin-port"), ("x", "--admin-port"), ("65536", "--admin-port")])
def test_a_port_that_cannot_be_used_stops_the_start(value, cause):
    code, printed = run_to_the_end("serve", "--port", "8080", "--model", MODEL, "--admin-port", value)
    assert code == 2 and cause in printed


def test_a_port_that_is_taken_stops_the_start(server):
    code, printed = run_to_the_end("serve", "--port", "0", "--model", MODEL, "--admin-port", str(server.port))
    assert code == 1 and "--admin-port" in printed and "nearfar ready" not in printed

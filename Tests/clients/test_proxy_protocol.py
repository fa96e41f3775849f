"""--proxy-protocol: HAProxy in front, in both versions, plain and over TLS, and clients that do not speak it."""

import contextlib
import shutil
import socket
import subprocess
import ssl
import struct

import pytest
import requests
from certificates import Authority
from process import Server, run_to_the_end, wait_until

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
LINE = b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n"
GET = b"GET /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module", params=["http", "https"])
def proxied(request, authority):
    """A server behind proxies, and the TLS context of its clients; None for plain HTTP."""
    files = []
    if request.param == "https":
        chain, key = authority.issue("server")
        files = ["--tls-cert", str(chain), "--tls-key", str(key)]
    with Server("--proxy-protocol", *files) as running:
        yield running, authority.trusting() if files else None


def speak(proxied, header, request=GET):
    """What a client that sends the header is answered."""
    running, context = proxied
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as raw:
        raw.sendall(header)
        connection = context.wrap_socket(raw, server_hostname="localhost") if context else raw
        with connection:
            connection.sendall(request)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
            return answer


def rejected(proxied):
    """Connections that were closed for their header."""
    text = speak(proxied, LOCAL, GET.replace(b"/livez", b"/metrics")).decode()
    [line] = [line for line in text.splitlines() if line.startswith('nearfar_connections_rejected_total{reason="proxy_header"}')]
    return int(line.split()[1])


def binary(block, command=0x21, family=0x11):
    return SIGNATURE + bytes([command, family]) + struct.pack(">H", len(block)) + block


ADDRESSES = bytes([192, 0, 2, 7, 10, 0, 0, 1]) + struct.pack(">HH", 56324, 443)


@pytest.mark.parametrize(
    "header",
    [
        LINE,
        b"PROXY UNKNOWN\r\n",
        b"PROXY TCP6 2001:db8::1 ::1 4000 80\r\n",
        LOCAL,
        binary(ADDRESSES),
        binary(ADDRESSES + b"\x02\0\x09localhost\x04\0\x01\0"),
        binary(bytes(216), family=0x31),
    ],
)
def test_a_header_comes_before_everything(proxied, header):
    assert speak(proxied, header).startswith(b"HTTP/1.1 200 ")


def test_what_does_not_begin_with_a_header_is_closed_and_counted(proxied):
    before = rejected(proxied)
    running, context = proxied
    for number, bytes_ in enumerate([GET, LINE.replace(b"\r\n", b"\n"), binary(ADDRESSES[:11]), b"\x16\x03\x01\x02\x00\x01"], 1):
        with socket.create_connection(("127.0.0.1", running.port), timeout=30) as raw:
            raw.sendall(bytes_ + GET)
            with contextlib.suppress(ConnectionResetError):
                assert raw.recv(100) == b""
        assert wait_until(lambda: rejected(proxied) == before + number)
    if context:
        with pytest.raises((ssl.SSLError, ConnectionResetError)), socket.create_connection(("127.0.0.1", running.port)) as raw:
            context.wrap_socket(raw, server_hostname="localhost")
        assert rejected(proxied) == before + 5


def test_the_header_may_come_with_the_request_or_long_before(proxied):
    running, context = proxied
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as raw:
        for part in (LINE[:1], LINE[1:20], LINE[20:-1], LINE[-1:]):
            raw.sendall(part)
            assert running.process.poll() is None
        if context is None:
            raw.sendall(GET)
            assert raw.recv(100).startswith(b"HTTP/1.1 200 ")


@contextlib.contextmanager
def haproxy(folder, port, options):
    """HAProxy before the server; yields its URL."""
    program = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert program, "haproxy is not installed"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen = free.getsockname()[1]
    file = folder / "haproxy.cfg"
    file.write_text(
        f"""
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen front
  bind 127.0.0.1:{listen}
  option httpchk GET /readyz
  server one 127.0.0.1:{port} check inter 200ms {options}
"""
    )
    process = subprocess.Popen([program, "-db", "-f", str(file)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{listen}"

        def answers():
            with contextlib.suppress(requests.ConnectionError):
                return requests.get(url + "/livez", timeout=5).status_code == 200

        assert wait_until(answers, pause=0.1)
        yield url
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize("options", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"])
def test_haproxy_in_front(proxied, tmp_path, options):
    running, context = proxied
    before = rejected(proxied)
    if context:
        options += " check-ssl ssl verify none"
    with haproxy(tmp_path, running.port, f"{options} check-send-proxy") as url, requests.Session() as session:
        for _ in range(20):
            answer = session.post(url + "/loss", json={"queries": [[1, 0]], "keys": [[1, 0]]}, timeout=30)
            assert (answer.status_code, answer.json()["loss"]) == (200, 0)
        # Its checks have come through, too.
        assert session.get(url + "/readyz", timeout=5).status_code == 200
    assert rejected(proxied) == before


def test_health_speaks_it_where_the_service_does():
    with Server("--proxy-protocol") as running:
        port = {"NEARFAR_PORT": str(running.port)}
        assert run_to_the_end("health", environment={**port, "NEARFAR_PROXY_PROTOCOL": "true"}) == (0, "ready\n")
        code, text = run_to_the_end("health", environment=port)
        assert code == 1, text

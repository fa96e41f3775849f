"""Limits for each client and key: --max-connections-per-client, --max-requests-per-client, --max-requests-per-key, and --trusted-proxy,
which says who is one client."""

import contextlib
import re
import socket
import struct

import pytest
from process import Server, run_to_the_end, wait_until

BODY = b'{"queries": [[1, 0]], "keys": [[1, 0]]}'


def read(connection):
    """The status, head and body of the next answer; None at the end of the connection."""
    answer = b""
    while True:
        head, found, body = answer.partition(b"\r\n\r\n")
        length = re.search(rb"(?im)^content-length: *(\d+)", head)
        if found and (head.startswith(b"HTTP/1.1 100") or (length and len(body) >= int(length[1]))):
            return int(head.split()[1]), head.decode(), body
        piece = connection.recv(65536)
        if not piece:
            return None
        answer += piece


def head(fields="", path="/loss", length=len(BODY)):
    return f"POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n{fields}\r\n".encode()


class Client:
    """A connection of its own."""

    def __init__(self, server, preface=b""):
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        self.socket.sendall(preface)

    def send(self, data):
        self.socket.sendall(data)
        return read(self.socket)

    def ask(self, fields="", path="/loss"):
        return self.send(head(fields, path) + BODY)

    def begin(self, fields=""):
        """Sends a head and leaves the request in flight."""
        assert self.send(head(fields + "Expect: 100-continue\r\n"))[0] == 100

    def finish(self):
        return self.send(BODY)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def refused(answer):
    """Checks that the answer is a 429 as clients expect it."""
    status, fields, body = answer
    assert status == 429, fields
    assert re.search(r"(?im)^retry-after: *[1-9]", fields), fields
    assert b'"title":"Too Many Requests"' in body
    return True


def rejected(server, reason):
    text = server.get("/metrics").text
    return int(re.search(rf'nearfar_connections_rejected_total{{reason="{reason}"}} (\d+)', text)[1])


def proxy(address, family=4):
    if family == 4:
        return f"PROXY TCP4 {address} 10.0.0.1 1000 80\r\n".encode()
    block = socket.inet_pton(socket.AF_INET6, address) * 2 + struct.pack(">HH", 1000, 80)
    return b"\r\n\r\n\0\r\nQUIT\n\x21\x21" + struct.pack(">H", len(block)) + block


def test_a_client_has_so_many_connections_and_no_more():
    with Server("--max-connections-per-client", "3") as server:
        # One of the three is that by which the metrics are read.
        server.get("/livez")
        with Client(server) as first, Client(server) as second:
            assert first.ask()[0] == second.ask()[0] == 200
            for _ in range(3):
                with Client(server) as surplus:
                    answer = surplus.ask()
                    assert refused(answer)
                    assert "Connection: close" in answer[1]
                    assert surplus.socket.recv(100) == b""
            assert rejected(server, "client") == 3
            assert first.ask()[0] == 200
        assert wait_until(lambda: again(server))
        assert rejected(server, "room") == 0


def again(server):
    with Client(server) as client:
        answer = client.ask()
        return answer is not None and answer[0] == 200


def test_many_refused_connections_keep_nobody_else_out():
    with Server("--max-connections-per-client", "2", "--proxy-protocol", "--max-connections", "100") as server:
        greedy = [Client(server, proxy("192.0.2.1")) for _ in range(400)]
        with Client(server, proxy("192.0.2.2")) as other:
            assert other.ask()[0] == 200
        for client in greedy:
            client.socket.close()


def test_the_proxy_header_says_who_is_one_client():
    with Server("--max-connections-per-client", "1", "--proxy-protocol") as server, contextlib.ExitStack() as open_:
        def status(preface):
            return open_.enter_context(Client(server, preface)).ask()[0]

        assert status(proxy("192.0.2.1")) == 200
        assert status(proxy("192.0.2.2")) == 200
        assert status(proxy("192.0.2.1")) == 429
        # An IPv6 network of 64 bits is one client.
        assert status(proxy("2001:db8:0:1::1", 6)) == 200
        assert status(proxy("2001:db8:0:1:ffff::2", 6)) == 429
        assert status(proxy("2001:db8:0:2::1", 6)) == 200
        # The mapped form is the IPv4 address.
        assert status(proxy("::ffff:192.0.2.2", 6)) == 429
        # A client without an address is not limited.
        nameless = b"\r\n\r\n\0\r\nQUIT\n\x21\x31\x00\xd8" + bytes(216)
        assert status(nameless) == status(nameless) == 200


@pytest.fixture(scope="module")
def limited():
    with Server("--max-requests-per-client", "2", "--trusted-proxy", "10.0.0.0/8", "--trusted-proxy", "127.0.0.1") as running:
        yield running


@pytest.mark.parametrize("one, other", [("X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 192.0.2.2"), ("Forwarded: for=192.0.2.1", "Forwarded: for=192.0.2.2")])
def test_a_client_has_so_many_requests_in_flight_and_no_more(limited, one, other):
    one, other = one + ", 10.9.9.9\r\n" if "X-" in one else one + ", for=10.9.9.9\r\n", other + "\r\n"
    with Client(limited) as first, Client(limited) as second, Client(limited) as third:
        first.begin(one)
        second.begin(one)
        # The connection stays usable, for this client and for others behind the same proxy.
        assert refused(third.ask(one))
        assert third.ask(other)[0] == 200
        assert refused(third.ask(one))
        assert third.ask(one, "/livez")[0] == 405
        for path in ["/livez", "/metrics"]:
            assert third.send(f"GET {path} HTTP/1.1\r\nHost: h\r\n{one}\r\n".encode())[0] == 200
        assert first.finish()[0] == 200
        assert third.ask(one)[0] == 200
        assert second.finish()[0] == 200


def test_a_client_that_goes_away_has_nothing_in_flight(limited):
    fields = "X-Forwarded-For: 192.0.2.9\r\n"
    for _ in range(3):
        with Client(limited) as first, Client(limited) as second:
            first.begin(fields)
            second.begin(fields)
            with Client(limited) as third:
                assert refused(third.ask(fields))
        with Client(limited) as client:
            assert wait_until(lambda: client.ask(fields)[0] == 200)


def test_what_others_than_trusted_proxies_say_does_not_count():
    with Server("--max-requests-per-client", "1", environment={"NEARFAR_TRUSTED_PROXY": "10.0.0.0/8,::1"}) as server:
        with Client(server) as first, Client(server) as second:
            first.begin("X-Forwarded-For: 192.0.2.1\r\n")
            assert refused(second.ask("X-Forwarded-For: 192.0.2.2\r\n"))
            assert first.finish()[0] == 200


def test_a_network_that_is_none_is_an_error_that_says_so():
    for flags in (["--trusted-proxy", "10.0.0.1/8"], ["--trusted-proxy", "10.0.0.0/8", "--trusted-proxy", "host"], ["--trusted-proxy="]):
        code, text = run_to_the_end("serve", *flags)
        assert code == 2 and "--trusted-proxy" in text, text


def test_an_api_key_has_so_many_requests_in_flight_and_no_more(tmp_path):
    keys = {"old": "old-0123456789abcdef", "new": "new-0123456789abcdef", "other": "other-0123456789abcdef"}
    path = tmp_path / "keys"
    path.write_text(f"shop:{keys['old']}\nshop:{keys['new']} read\nloader:{keys['other']}\n")
    old, new, other = (f"X-Api-Key: {key}\r\n" for key in keys.values())
    with Server("--api-key-file", str(path), "--max-requests-per-key", "2") as server:
        with Client(server) as first, Client(server) as second, Client(server) as third:
            first.begin(old)
            second.begin(new)
            # Both keys of a name are one; keys of other names have their own limit, from the same address.
            for fields in [old, new]:
                answer = third.ask(fields)
                assert refused(answer)
                assert b"the API key 'shop' has 2 requests in flight" in answer[2]
            assert third.ask(other)[0] == 200
            assert third.ask()[0] == 401
            assert third.send(f"GET /livez HTTP/1.1\r\nHost: h\r\n{old}\r\n".encode())[0] == 200
            _, _, metrics = third.send(f"GET /metrics HTTP/1.1\r\nHost: h\r\n{old}\r\n".encode())
            assert b'nearfar_requests_rejected_total{reason="key"} 2\n' in metrics
            assert b'nearfar_requests_rejected_total{reason="client"} 0\n' in metrics
            assert first.finish()[0] == 200
            assert third.ask(old)[0] == 200
            assert second.finish()[0] == 200


def test_a_refused_request_takes_no_place_of_its_client(tmp_path):
    path = tmp_path / "keys"
    path.write_text("one:one-0123456789abcdef\ntwo:two-0123456789abcdef\n")
    one, two = "X-Api-Key: one-0123456789abcdef\r\n", "X-Api-Key: two-0123456789abcdef\r\n"
    with Server("--api-key-file", str(path), "--max-requests-per-key", "1", "--max-requests-per-client", "2") as server:
        with Client(server) as first, Client(server) as second, Client(server) as third:
            first.begin(one)
            for _ in range(3):
                assert refused(second.ask(one))
            second.begin(two)
            answer = third.ask(two)
            assert refused(answer) and b"this client has 2 requests in flight" in answer[2]
            assert first.finish()[0] == second.finish()[0] == 200


def test_a_limit_of_keys_needs_keys():
    code, text = run_to_the_end("serve", "--port", "0", "--max-requests-per-key", "2")
    assert code == 2 and "--max-requests-per-key needs --api-key-file" in text, text

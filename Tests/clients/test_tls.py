"""HTTPS: versions, certificates, resumption, reloading, and what a client that does not speak TLS is told."""

import concurrent.futures
import contextlib
import http.client
import os
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest
import requests
from certificates import Authority
from process import Server, run_to_the_end, wait_until


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def secure(authority):
    chain, key = authority.issue("server")
    with Server("--tls-cert", str(chain), "--tls-key", str(key)) as running:
        running.session.verify = str(authority.file)
        yield running


def connect(server, context, **options):
    raw = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    return context.wrap_socket(raw, server_hostname="localhost", **options)


def get(connection, path="/livez"):
    """The status line of the answer to a GET that ends the connection's use."""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    answer = b""
    while not answer.endswith(b"}"):
        piece = connection.recv(65536)
        if not piece:
            break
        answer += piece
    return answer.split(b"\r\n")[0].decode()


def serial(server, context):
    """The serial number of the certificate that a new connection is shown."""
    with connect(server, context) as connection:
        return connection.getpeercert()["serialNumber"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_requests_are_answered_over_each_version(secure, authority, version):
    context = authority.trusting(minimum_version=version, maximum_version=version)
    with connect(secure, context) as connection:
        assert connection.version() == version.name.replace("_", ".")
        assert connection.selected_alpn_protocol() == "http/1.1"
        for _ in range(3):
            assert get(connection) == "HTTP/1.1 200 OK"


def test_requests_speaks_to_it(secure):
    assert secure.url.startswith("https://")
    assert secure.get("/readyz").status_code == 200
    rows = secure.ask("/embed", {"inputs": ["a cat", "a dog"], "dimensions": 4})
    assert [len(row) for row in rows] == [4, 4]


def test_large_bodies_pass_both_ways_unchanged(secure, server):
    rows = [[float((n * 7 + d * 3) % 11 - 5) for d in range(256)] for n in range(600)]
    body = {"queries": rows, "keys": rows[::-1], "return": ["loss", "per_row", "gradients"]}
    assert secure.ask("/loss", body) == server.ask("/loss", body)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_1_1_is_refused(secure, authority):
    context = authority.trusting()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match="(?i)version"):
        connect(secure, context)


def test_a_client_without_http_1_1_in_its_alpn_is_refused(secure, authority):
    context = authority.trusting()
    context.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        connect(secure, context)

    context = ssl.create_default_context(cafile=str(authority.file))
    with connect(secure, context) as connection:
        assert connection.selected_alpn_protocol() is None
        assert get(connection) == "HTTP/1.1 200 OK"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed(secure, authority, version):
    context = authority.trusting(minimum_version=version, maximum_version=version)
    with connect(secure, context) as connection:
        assert not connection.session_reused
        # TLS 1.3 sends its ticket behind the handshake.
        assert get(connection) == "HTTP/1.1 200 OK"
        session = connection.session
    with connect(secure, context, session=session) as connection:
        assert connection.session_reused
        assert get(connection) == "HTTP/1.1 200 OK"


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
def test_plain_http_is_told_to_use_https(secure, method):
    connection = http.client.HTTPConnection("127.0.0.1", secure.port, timeout=30)
    connection.request(method, "/embed", b"x" * 100_000 if method == "POST" else None)
    response = connection.getresponse()
    assert response.status == 400
    assert response.getheader("Connection") == "close"
    assert "https://" in response.read().decode()
    connection.close()


def test_tls_on_a_plain_port_is_closed(server, authority):
    with pytest.raises((ssl.SSLError, OSError)):
        connect(server, authority.trusting())
    assert server.get("/livez").status_code == 200


def test_an_end_without_close_notify_is_an_end(secure, authority):
    for sent in [b"", b"GET /livez HTTP/1.1\r\n", b"POST /embed HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc"]:
        connection = connect(secure, authority.trusting())
        connection.sendall(sent)
        # The socket ends, and TLS has said nothing about it.
        raw = socket.socket(fileno=connection.detach())
        raw.shutdown(socket.SHUT_WR)
        raw.settimeout(10)
        while raw.recv(65536):
            pass
        raw.close()
    assert secure.get("/livez").status_code == 200


def test_a_request_that_comes_with_the_end_is_answered(secure, authority):
    """The client has ended its side, and TLS has said nothing about it, before the server reads the request."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = authority.trusting().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", secure.port), timeout=20) as raw:
        while True:
            try:
                session.do_handshake()
                break
            except ssl.SSLWantReadError:
                raw.sendall(outgoing.read())
                incoming.write(raw.recv(65536))
        session.write(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        # What is corked leaves with the end, in one segment.
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        raw.sendall(outgoing.read())
        raw.shutdown(socket.SHUT_WR)
        while piece := raw.recv(65536):
            incoming.write(piece)
    assert session.read(65536).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("is_cut_off", [False, True])
def test_a_client_does_not_take_the_part_of_an_answer_for_the_whole(authority, is_cut_off):
    """The answer ends with the connection, and only close_notify tells that nothing of it is missing."""
    chain, key = authority.issue("service")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    with socket.create_server(("127.0.0.1", 0)) as listener, concurrent.futures.ThreadPoolExecutor() as threads:

        def serve():
            raw, _ = listener.accept()
            connection = context.wrap_socket(raw, server_side=True)
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nready")
            if is_cut_off:
                raw = socket.socket(fileno=connection.detach())
                raw.shutdown(socket.SHUT_WR)
                raw.close()
            else:
                # The client need not say anything at its end.
                with contextlib.suppress(OSError):
                    connection.unwrap()
                connection.close()

        served = threads.submit(serve)
        url = f"https://localhost:{listener.getsockname()[1]}"
        code, printed = run_to_the_end("health", "--url", url, "--ca-file", str(authority.file))
        served.result(timeout=30)
    assert (code, printed) == (0, "ready\n") if not is_cut_off else code == 1, printed


def test_what_is_no_handshake_ends_the_connection(secure):
    for sent in [
        b"\x00" * 1000,
        b"\x16\x03\x01" + struct.pack(">H", 0xFFFF) + b"\x00" * 65535,  # a record longer than any may be
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
        b"\x15\x03\x01\x00\x02\x02\x00",
        b"\x80\x2e\x01\x00\x02" + b"\x00" * 100,  # SSL 2
    ]:
        with socket.create_connection(("127.0.0.1", secure.port), timeout=20) as raw:
            try:
                raw.sendall(sent)
                while raw.recv(65536):
                    pass
            except ConnectionError:
                pass
    assert secure.get("/livez").status_code == 200


def test_a_client_cannot_renegotiate(secure, authority):
    client = subprocess.Popen(
        ["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{secure.port}", "-CAfile", str(authority.file)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    # A line with R alone asks for it, once the handshake is over.
    heard = b""
    while b"Extended master secret" not in heard:
        heard += client.stdout.read1()
    client.stdin.write(b"R\n")
    client.stdin.flush()
    rest, _ = client.communicate(timeout=30)
    assert b"RENEGOTIATING" in rest and b"no renegotiation" in rest
    assert secure.get("/livez").status_code == 200


def test_a_record_that_was_changed_ends_the_connection(secure, authority):
    connection = connect(secure, authority.trusting())
    assert get(connection) == "HTTP/1.1 200 OK"
    raw = socket.socket(fileno=connection.detach())
    raw.sendall(b"\x17\x03\x03\x00\x40" + b"\x2a" * 64)
    raw.settimeout(10)
    try:
        while raw.recv(65536):
            pass
    except ConnectionError:
        pass
    raw.close()
    assert secure.get("/livez").status_code == 200


def test_handshakes_are_counted(secure, authority):
    def count():
        page = secure.get("/metrics").text
        lines = [line for line in page.splitlines() if line.startswith("nearfar_tls_handshakes_total")]
        return {line.split('"')[1]: int(line.split()[-1]) for line in lines}

    before = count()
    with connect(secure, authority.trusting()) as connection:
        get(connection)
    with pytest.raises(ssl.SSLError):
        connect(secure, ssl.create_default_context())
    assert wait_until(lambda: count()["failed"] > before["failed"])
    assert count()["full"] > before["full"]
    expiry = [line for line in secure.get("/metrics").text.splitlines() if "certificate_expiry" in line][-1]
    assert float(expiry.split()[-1]) > time.time()


def test_client_certificates_are_required(authority, tmp_path):
    chain, key = authority.issue("asking")
    clients = Authority(tmp_path, "clients")
    good, good_key = clients.issue("good", "client.test", common_name="a good client")
    other, other_key = Authority(tmp_path, "others").issue("other", "client.test")
    with Server(
        "--tls-cert", str(chain), "--tls-key", str(key), "--tls-client-ca", str(clients.file)
    ) as running:
        for files, works in [((good, good_key), True), ((other, other_key), False), (None, False)]:
            context = authority.trusting()
            if files:
                context.load_cert_chain(*map(str, files))
            try:
                with connect(running, context) as connection:
                    # With TLS 1.3 a client learns of the refusal only behind its handshake.
                    found = get(connection) == "HTTP/1.1 200 OK"
            except (ssl.SSLError, ConnectionError):
                found = False
            assert found == works, files


def test_client_certificates_may_be_optional(authority, tmp_path):
    chain, key = authority.issue("offering")
    clients = Authority(tmp_path, "clients")
    with Server(
        *("--tls-cert", str(chain), "--tls-key", str(key), "--tls-client-ca", str(clients.file)),
        *("--tls-client-auth", "optional"),
    ) as running:
        with connect(running, authority.trusting()) as connection:
            assert get(connection) == "HTTP/1.1 200 OK"
        wrong = authority.trusting()
        wrong.load_cert_chain(*map(str, Authority(tmp_path, "others").issue("other", "client.test")))
        with pytest.raises((ssl.SSLError, ConnectionError)):
            with connect(running, wrong) as connection:
                assert get(connection) != "HTTP/1.1 200 OK"
                raise ConnectionError("answered nothing")


def test_no_request_fails_in_a_hundred_reloads(authority, tmp_path):
    pairs = [authority.issue(name) for name in ("left", "right")]
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"

    def replace(number):
        for source, target in zip(pairs[number % 2], (chain, key)):
            (tmp_path / "next").write_bytes(source.read_bytes())
            os.replace(tmp_path / "next", target)

    replace(0)
    with Server("--tls-cert", str(chain), "--tls-key", str(key)) as running, concurrent.futures.ThreadPoolExecutor(4) as threads:
        over = threading.Event()

        def ask(number):
            """Requests on a kept connection, or each on a new one."""
            context, count, failed = authority.trusting(), 0, []
            kept = connect(running, context) if number % 2 == 0 else None
            while not over.is_set():
                try:
                    if kept:
                        line = get(kept)
                    else:
                        with connect(running, context) as once:
                            line = get(once)
                    if line != "HTTP/1.1 200 OK":
                        failed.append(line)
                except OSError as error:
                    failed.append(repr(error))
                count += 1
            if kept:
                kept.close()
            return count, failed

        asked = [threads.submit(ask, number) for number in range(4)]
        try:
            for number in range(1, 101):
                replace(number)
                running.process.send_signal(signal.SIGHUP)
                # Between the two files the pair does not match, and then the old one stays: so this one is waited for.
                assert wait_until(lambda: running.errors().count("is used from now on") >= number, 30), running.errors()[-1000:]
        finally:
            over.set()
        results = [each.result() for each in asked]
    assert [failed for _, failed in results] == [[], [], [], []]
    assert all(count > 50 for count, _ in results), results


@pytest.mark.parametrize("asked", [True, False], ids=["by SIGHUP", "by itself"])
def test_a_new_certificate_is_used_without_dropping_a_connection(authority, tmp_path, asked):
    chain, key = authority.issue("first")
    # As Kubernetes does it: a link is replaced, not the files.
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for folder, name in [("a", "first"), ("b", "second")]:
        chain, key = authority.issue(name)
        chain.rename(tmp_path / folder / "tls.crt")
        key.rename(tmp_path / folder / "tls.key")
    data = tmp_path / "data"
    data.symlink_to("a")
    context = authority.trusting()
    with Server("--tls-cert", str(data / "tls.crt"), "--tls-key", str(data / "tls.key")) as running:
        old = serial(running, context)
        with connect(running, context) as kept:
            assert get(kept) == "HTTP/1.1 200 OK"
            session = kept.session
            (tmp_path / "next").symlink_to("b")
            os.replace(tmp_path / "next", data)
            if asked:
                running.process.send_signal(signal.SIGHUP)
            assert wait_until(lambda: serial(running, context) != old, seconds=20, pause=0.2)
            assert get(kept) == "HTTP/1.1 200 OK"
        with connect(running, context, session=session) as resumed:
            assert resumed.session_reused
        new = serial(running, context)

        # A broken one is not used, and is reported once, and to those who ask.
        (tmp_path / "b" / "tls.crt").write_text("-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----\n")
        assert wait_until(lambda: "stays as it was" in running.errors(), seconds=20)
        time.sleep(3)
        assert serial(running, context) == new
        assert running.errors().count("stays as it was") == 1
        running.process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: running.errors().count("stays as it was") == 2, seconds=20)
        assert str(data / "tls.crt") in running.errors()


def test_a_start_with_files_that_cannot_be_used_says_why(authority, tmp_path):
    chain, key = authority.issue("one")
    _, other = authority.issue("two")
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----\n")
    for flags, status, words in [
        (["--tls-cert", str(chain)], 2, "--tls-cert and --tls-key go together"),
        (["--tls-key", str(key)], 2, "--tls-cert and --tls-key go together"),
        (["--tls-client-ca", str(chain)], 2, "--tls-client-ca needs --tls-cert"),
        (["--tls-cert", str(tmp_path / "none"), "--tls-key", str(key)], 1, "No such file"),
        (["--tls-cert", str(empty), "--tls-key", str(key)], 1, "holds no certificate"),
        (["--tls-cert", str(broken), "--tls-key", str(key)], 1, "cannot be used"),
        (["--tls-cert", str(chain), "--tls-key", str(empty)], 1, "holds no private key"),
        (["--tls-cert", str(chain), "--tls-key", str(other)], 1, "not the certificate's"),
        (["--tls-cert", str(chain), "--tls-key", str(key), "--tls-client-ca", str(empty)], 1, "no certificate"),
    ]:
        code, printed = run_to_the_end("serve", "--port", "0", *flags)
        assert code == status and words in printed, (flags, printed)


def test_commands_reach_it(secure, authority, tmp_path):
    other = Authority(tmp_path, "other")
    code, printed = run_to_the_end("health", "--url", secure.url, "--ca-file", str(authority.file))
    assert (code, printed) == (0, "ready\n")
    code, printed = run_to_the_end("health", "--url", secure.url, "--ca-file", str(other.file))
    assert code == 1 and "certificate" in printed
    code, printed = run_to_the_end("health", "--url", secure.url)
    assert code == 1 and "certificate" in printed
    assert run_to_the_end("health", "--url", secure.url, "--insecure") == (0, "ready\n")
    code, printed = run_to_the_end("health", "--url", secure.url, "--ca-file", str(tmp_path / "none"))
    assert code == 2 and "No such file" in printed

    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"id": "a", "text": "a cat"}\n{"id": "b", "text": "a dog"}\n')
    trust = ("--url", secure.url, "--ca-file", str(authority.file))
    code, printed = run_to_the_end("index", "--input", str(lines), "--collection", "tls", "--text-field", "text", *trust)
    assert code == 0, printed
    out = tmp_path / "tls.safetensors"
    code, printed = run_to_the_end("export", "--collection", "tls", "--output", str(out), *trust)
    assert code == 0, printed
    code, printed = run_to_the_end("import", "--input", str(out), "--collection", "copy", *trust)
    assert code == 0, printed
    assert secure.get("/collections/copy").json()["count"] == 2


def test_a_certificate_for_another_host_is_refused(authority):
    chain, key = authority.issue("elsewhere", "elsewhere.test")
    with Server("--tls-cert", str(chain), "--tls-key", str(key)) as running:
        code, printed = run_to_the_end("health", "--url", running.url, "--ca-file", str(authority.file))
        assert code == 1 and "mismatch" in printed.lower()
        # In the container itself the name does not matter.
        environment = {"NEARFAR_PORT": str(running.port), "NEARFAR_TLS_CERT": str(chain)}
        assert run_to_the_end("health", environment=environment) == (0, "ready\n")
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(f"{running.url}/livez", verify=str(authority.file), timeout=10)

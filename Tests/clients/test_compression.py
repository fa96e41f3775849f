"""gzip, in request bodies and in answers, against the running service."""

import gzip
import json
import random
import re
import subprocess
import time
import zlib

import numpy
import pytest
from problems import problem
from process import Server

JSON = {"Content-Type": "application/json"}
GZIP = {**JSON, "Content-Encoding": "gzip"}
ASK = {"Accept-Encoding": "gzip"}
PLAIN = {"Accept-Encoding": "identity"}
TEXTS = [f"This is sentence number {number} of a list." for number in range(40)]


def raw(server, method: str, path: str, headers: dict, body: bytes | None = None):
    """The response and its body as it was on the wire."""
    response = server.request(method, path, data=body, headers=headers, stream=True)
    return response, response.raw.read(decode_content=False)


def inflated(response, wire: bytes) -> bytes:
    """The body of an answer that must be gzip: one member, with nothing behind it."""
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.headers["Vary"] == "Accept-Encoding"
    assert int(response.headers["Content-Length"]) == len(wire)
    reader = zlib.decompressobj(31)
    content = reader.decompress(wire) + reader.flush()
    assert reader.eof and reader.unused_data == b""
    return content


def plain(response) -> bool:
    return "Content-Encoding" not in response.headers


@pytest.fixture(scope="module")
def points(server):
    """A collection of 1,000 points with metadata."""
    name = "compression"
    server.delete(f"/collections/{name}")
    assert server.put(f"/collections/{name}", {"dim": 4, "metric": "cosine"}).status_code == 201
    batch = [
        {"id": f"p{i:04}", "vector": [1.0, i, 0.5, 2], "text": f"Text {i}.", "metadata": {"lang": "en", "n": i}}
        for i in range(1000)
    ]
    assert server.put(f"/collections/{name}/points", {"points": batch}).status_code == 200
    yield f"/collections/{name}"
    server.delete(f"/collections/{name}")


# Answers


@pytest.mark.parametrize(
    ("accept", "coded"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("x-gzip", True),
        ("GZip", True),
        ("*", True),
        ("identity", False),
        ("br", False),
        ("deflate", False),
        ("gzip, deflate, br, zstd", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("gzip;q=0.001", True),
        ("gzip ; q=0.5", True),
        ("gzip;Q=0.5", True),
        ("*;q=0", False),
        ("*;q=0, gzip", True),
        ("identity, *;q=0", False),
        ("gzip, identity", True),
        ("gzip;q=0.5, identity", False),
        ("gzip;q=0.5, identity;q=0.5", True),
        ("gzip;q=0.8, identity;q=0.5", True),
        ("identity;q=0.5, *;q=0.8", True),
        ("gzip;q=0.5, *;q=1", False),
        ("identity;q=0, gzip", True),
        # What is not a weight counts as 0.
        ("gzip;q=2", False),
        ("gzip;q=-1", False),
        ("gzip;q=nan", False),
        ("gzip;q=", False),
        ("gzip;q=0x1", False),
        ("gzipped", False),
        (",,;,gzip", True),
    ],
)
@pytest.mark.parametrize("path", ["/metrics", "/openapi.yaml"])
def test_the_coding_by_accept_encoding(server, path, accept, coded):
    # One path is answered by a work queue, and the other by the event loop.
    field = "" if accept is None else f"Accept-Encoding: {accept}\r\n"
    answer = server.raw(f"GET {path} HTTP/1.1\r\nHost: a\r\n{field}Connection: close\r\n\r\n".encode(), True)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nVary: Accept-Encoding" in head
    assert (b"\r\nContent-Encoding: gzip" in head) == coded
    assert body[:2] == (b"\x1f\x8b" if coded else body[:2]) and (coded or body[:2] != b"\x1f\x8b")


def test_several_lines_are_one_list(server):
    request = b"GET /metrics HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br\r\nAccept-Encoding: gzip;q=0.5\r\n\r\n"
    assert b"\r\nContent-Encoding: gzip\r\n" in server.raw(request)


@pytest.mark.parametrize(
    "path", ["/", "/openapi.yaml", "/playground", "/playground/rows.js", "/playground/playground.css"]
)
def test_pages(server, path):
    before, content = raw(server, "GET", path, PLAIN)
    assert len(content) >= 1024
    assert plain(before) and before.headers["Vary"] == "Accept-Encoding"
    after, wire = raw(server, "GET", path, ASK)
    assert inflated(after, wire) == content
    assert len(wire) < 0.6 * len(content)
    assert after.headers["Content-Type"] == before.headers["Content-Type"]
    for headers, length in [(PLAIN, len(content)), (ASK, len(wire))]:
        head, nothing = raw(server, "HEAD", path, headers)
        assert (int(head.headers["Content-Length"]), nothing) == (length, b"")
        assert ("Content-Encoding" in head.headers) == (headers is ASK)


def test_every_file_of_the_playground(server):
    page = server.get("/playground").text
    parts = set(re.findall(r'(?:src|href)="/playground/([\w.-]+)"', page))
    assert parts == {"start.js", "playground.js", "playground.css"}
    for part in parts:
        path = f"/playground/{part}"
        content = raw(server, "GET", path, PLAIN)[1]
        response, wire = raw(server, "GET", path, ASK)
        assert (inflated(response, wire) if len(content) >= 1024 else wire) == content


def test_lists_of_points(server, points):
    path = f"{points}/points?limit=1000"
    before, content = raw(server, "GET", path, PLAIN)
    after, wire = raw(server, "GET", path, ASK)
    assert inflated(after, wire) == content
    assert len(wire) < len(content) / 5
    assert [p["id"] for p in json.loads(content)["points"]] == [f"p{i:04}" for i in range(1000)]
    assert re.search(r"compress;dur=\d", after.headers["Server-Timing"])
    assert "compress" not in before.headers["Server-Timing"]
    head, nothing = raw(server, "HEAD", path, ASK)
    assert nothing == b""
    assert (head.headers["Content-Encoding"], head.headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert int(head.headers["Content-Length"]) == len(wire)


def test_an_answer_of_the_store(server, points):
    # It comes from the thread that writes, which has others to serve.
    body = {"points": [{"id": f"missing-{i}", "metadata": {}} for i in range(500)]}
    before = server.request("PATCH", f"{points}/points", json=body, headers=PLAIN)
    response, wire = raw(server, "PATCH", f"{points}/points", {**JSON, **ASK}, json.dumps(body).encode())
    found = json.loads(inflated(response, wire))
    assert found["missing"] == before.json()["missing"] == [f"missing-{i}" for i in range(500)]


def test_curl_reads_it(server, points):
    url = f"{server.url}{points}/points?limit=1000"
    asked = subprocess.run(["curl", "-sS", "--compressed", "-w", "%{size_download}", url], capture_output=True, check=True)
    bare = subprocess.run(["curl", "-sS", url], capture_output=True, check=True)
    assert bare.stdout == asked.stdout[: len(bare.stdout)]
    assert int(asked.stdout[len(bare.stdout) :]) < len(bare.stdout) / 5


def test_from_1_kib_on(server):
    sizes = set()
    for count in range(1, 60):
        body = json.dumps({"inputs": "a " * count}).encode()
        before, content = raw(server, "POST", "/tokenize", {**JSON, **PLAIN}, body)
        after, wire = raw(server, "POST", "/tokenize", {**JSON, **ASK}, body)
        large = len(content) >= 1024
        sizes.add(large)
        assert ("Vary" in before.headers, "Vary" in after.headers) == (large, large)
        assert plain(before) and plain(after) != large
        assert (inflated(after, wire) if large else wire) == content
    assert sizes == {True, False}


def test_problems_are_compressed_as_well(server):
    body = json.dumps({"queries": [[1]], "keys": [[1]], "unknown" * 400: 1}).encode()
    before, content = raw(server, "POST", "/loss", {**JSON, **PLAIN}, body)
    after, wire = raw(server, "POST", "/loss", {**JSON, **ASK}, body)
    assert before.status_code == after.status_code == 422
    assert after.headers["Content-Type"] == "application/problem+json"
    assert inflated(after, wire) == content


@pytest.mark.parametrize(
    ("path", "body", "accept"),
    [
        ("/embed", {"inputs": TEXTS}, "application/x-safetensors"),
        ("/embed", {"inputs": TEXTS}, "application/json"),
        ("/embed", {"inputs": TEXTS, "encoding_format": "base64"}, "application/json"),
        ("/v1/embeddings", {"input": TEXTS, "encoding_format": "base64"}, "application/json"),
        ("/v1/embeddings", {"input": TEXTS}, "application/json"),
        ("/loss", {"queries": TEXTS[:8], "keys": TEXTS[8:16], "return": ["loss", "gradients"]}, "application/json"),
    ],
)
def test_vectors_are_not_compressed(server, path, body, accept):
    response, wire = raw(server, "POST", path, {**JSON, **ASK, "Accept": accept}, json.dumps(body).encode())
    assert response.status_code == 200, wire[:500]
    assert len(wire) > 1024
    assert plain(response)
    assert "Vary" not in response.headers


def test_exports_are_not_compressed(server, points):
    response, wire = raw(server, "GET", f"{points}/export", ASK)
    assert plain(response) and "Vary" not in response.headers and len(wire) > 1024


def test_what_the_loop_answers_from_memory_is_not_compressed(server):
    response, wire = raw(server, "GET", "/info", ASK)
    assert plain(response) and "Vary" not in response.headers
    assert json.loads(wire)["name"] == "nearfar"


def test_off():
    with Server("--compression", "off") as server:
        for path in ["/metrics", "/openapi.yaml", "/", "/playground"]:
            response, wire = raw(server, "GET", path, ASK)
            assert plain(response) and "Vary" not in response.headers and len(wire) > 1024
        # Requests are another matter.
        assert server.request("POST", "/embed", data=gzip.compress(b'{"inputs":"a"}'), headers=GZIP).status_code == 200


def test_all_by_the_variable():
    body = json.dumps({"inputs": TEXTS}).encode()
    with Server(environment={"NEARFAR_COMPRESSION": "all"}) as server:
        before, content = raw(server, "POST", "/embed", {**JSON, **PLAIN}, body)
        assert plain(before) and before.headers["Vary"] == "Accept-Encoding"
        after, wire = raw(server, "POST", "/embed", {**JSON, **ASK}, body)
        assert inflated(after, wire) == content
        assert numpy.array(json.loads(content)).shape == (40, 384)
        coded = json.dumps({"inputs": TEXTS, "encoding_format": "base64"}).encode()
        response, _ = raw(server, "POST", "/embed", {**JSON, **ASK}, coded)
        assert plain(response) and "Vary" not in response.headers


def test_kept_answers_are_coded_for_each_client(server, points):
    body = json.dumps({"points": [{"id": f"none-{i}", "metadata": {}} for i in range(300)]}).encode()
    key = {"Idempotency-Key": f"compression-{time.time_ns()}"}
    answers = []
    for accept in [ASK, PLAIN, ASK, {"Accept-Encoding": "gzip;q=0"}]:
        response, wire = raw(server, "PATCH", f"{points}/points", {**JSON, **key, **accept}, body)
        assert response.status_code == 200
        assert plain(response) == (accept is not ASK)
        assert response.headers["Vary"] == "Accept-Encoding"
        answers.append(inflated(response, wire) if accept is ASK else wire)
    # The version shows that it ran once.
    assert len(set(answers)) == 1


# Requests


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP", "gzip "])
def test_a_compressed_request_is_answered_as_the_plain_one(server, coding):
    body = json.dumps({"inputs": TEXTS}).encode()
    wanted = server.request("POST", "/embed", data=body, headers=JSON)
    found = server.request("POST", "/embed", data=gzip.compress(body), headers={**JSON, "Content-Encoding": coding})
    assert (found.status_code, found.content) == (200, wanted.content)


def test_identity_is_no_coding(server):
    for coding in ["identity", "Identity", ""]:
        headers = {**JSON, "Content-Encoding": coding}
        assert server.request("POST", "/embed", data=b'{"inputs":"a"}', headers=headers).status_code == 200


def test_routes_with_bodies(server, name):
    def send(method, path, body):
        return server.request(method, path, data=gzip.compress(json.dumps(body).encode()), headers=GZIP)

    assert send("PUT", f"/collections/{name}", {"dim": 2}).status_code == 201
    assert send("PUT", f"/collections/{name}/points", {"points": [{"id": "a", "vector": [1, 0]}]}).status_code == 200
    assert send("PATCH", f"/collections/{name}/points", {"points": [{"id": "a", "metadata": {"x": 1}}]}).json()["updated"] == 1
    assert send("POST", f"/collections/{name}/points/count", {}).json()["count"] == 1
    assert send("POST", "/neighbors", {"collection": name, "vectors": [[1, 0]], "k": 1}).status_code == 200
    assert send("POST", f"/collections/{name}/points/delete", {"ids": ["a"]}).json()["deleted"] == 1
    assert send("POST", "/loss", {"queries": [[1, 0]], "keys": [[1, 0]]}).json()["loss"] == 0
    assert send("POST", "/v1/embeddings", {"input": "a"}).status_code == 200
    assert send("POST", "/tokenize", {"inputs": "a"}).status_code == 200
    assert send("POST", "/", {"inputs": "a"}).status_code == 200


def test_a_compressed_safetensors_body(server, name):
    header = json.dumps(
        {
            "queries": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
            "keys": {"dtype": "F32", "shape": [2, 2], "data_offsets": [16, 32]},
        }
    ).encode()
    rows = numpy.eye(2, dtype="<f4").tobytes()
    body = len(header).to_bytes(8, "little") + header + rows + rows
    headers = {"Content-Type": "application/x-safetensors"}
    wanted = server.request("POST", "/loss", data=body, headers=headers)
    found = server.request("POST", "/loss", data=gzip.compress(body), headers={**headers, "Content-Encoding": "gzip"})
    assert wanted.status_code == 200
    assert (found.status_code, found.content) == (200, wanted.content)


def test_several_members_in_chunks(server):
    body = b'{"inputs": ["a", "b"]}'
    members = [gzip.compress(body[at : at + 5]) for at in range(0, len(body), 5)]
    response = server.request("POST", "/embed", data=iter(members), headers=GZIP)
    assert response.status_code == 200 and len(response.json()) == 2


@pytest.mark.parametrize(
    "coding", ["deflate", "br", "zstd", "compress", "gzip, gzip", "gzip, identity", "br, gzip", "gzip;q=1", "gzip2"]
)
def test_other_codings_are_415(server, coding):
    response = server.request("POST", "/embed", data=b"x", headers={**JSON, "Content-Encoding": coding})
    assert coding in problem(response, 415)["detail"]
    assert response.headers["Accept-Encoding"] == "gzip"
    twice = f"POST /loss HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Encoding: {coding}\r\n".encode()
    answer = server.raw(twice + b"Content-Length: 0\r\nConnection: close\r\n\r\n", True)
    assert answer.startswith(b"HTTP/1.1 415 ") and b"\r\nAccept-Encoding: gzip\r\n" in answer


def test_another_coding_is_refused_before_the_body_is_read(server):
    head = b"POST /embed HTTP/1.1\r\nHost: a\r\nContent-Encoding: br\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n"
    assert server.raw(head).startswith(b"HTTP/1.1 415 ")


def test_damaged_bodies_are_400(server, alive):
    whole = gzip.compress(json.dumps({"inputs": TEXTS}).encode())
    wrong = bytearray(whole)
    wrong[-5] ^= 1
    for body in [b"", b"{}", b'{"inputs":"a"}', whole[:-1], whole[: len(whole) // 2], bytes(wrong), whole + b"rest"]:
        detail = problem(server.request("POST", "/embed", data=body, headers=GZIP), 400)["detail"]
        assert "gzip" in detail
    shape = server.request("POST", "/v1/embeddings", data=whole[:-1], headers=GZIP)
    assert shape.status_code == 400 and "gzip" in shape.json()["error"]["message"]
    # What is in it is judged as ever.
    assert "JSON" in problem(server.request("POST", "/embed", data=gzip.compress(b"{"), headers=GZIP), 400)["detail"]


def test_keys_of_compressed_requests(server, name):
    body = json.dumps({"points": [{"id": "a", "vector": [1, 0]}]}).encode()
    server.put(f"/collections/{name}", {"dim": 2})
    path, key = f"/collections/{name}/points", {"Idempotency-Key": f"gz-{time.time_ns()}"}
    coded = gzip.compress(body, mtime=0)
    first = server.request("PUT", path, data=coded, headers={**GZIP, **key})
    assert first.status_code == 200
    assert server.request("PUT", path, data=coded, headers={**GZIP, **key}).content == first.content
    # As it was sent: another coding is another request, and so are other bytes.
    problem(server.request("PUT", path, data=body, headers={**JSON, **key}), 422)
    problem(server.request("PUT", path, data=gzip.compress(body, 1, mtime=7), headers={**GZIP, **key}), 422)


# Bombs

LIMIT = 32 << 20


@pytest.fixture(scope="module")
def small():
    with Server("--max-body-bytes", str(LIMIT)) as server:
        assert server.request("POST", "/embed", data=gzip.compress(b'{"inputs":"a"}'), headers=GZIP).status_code == 200
        yield server


def kilobytes(server, field: str) -> int:
    with open(f"/proc/{server.process.pid}/status") as status:
        return int(re.search(rf"{field}:\s+(\d+) kB", status.read())[1])


def zeros(count: int, level: int = 9) -> bytes:
    """A bomb; made in pieces, so that this process need not hold it."""
    writer = zlib.compressobj(level, zlib.DEFLATED, 31)
    piece = bytes(1 << 20)
    return b"".join(writer.compress(piece) for _ in range(count >> 20)) + writer.flush()


def sparse(count: int) -> bytes:
    """Content of a ratio that is still allowed: a random byte among 100 zeros."""
    generator = random.Random(1)
    writer = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = b"".join(bytes([generator.randrange(256)]) + bytes(100) for _ in range(10_000))
    out = b""
    for _ in range(count // len(piece) + 1):
        out += writer.compress(piece[generator.randrange(5000) :])
    return out + writer.flush()


@pytest.mark.parametrize(
    ("bomb", "detail"),
    [
        (lambda: zeros(1 << 30), "200 times"),
        (lambda: zeros(8 << 20) * 200, "200 times"),
        (lambda: sparse(4 * LIMIT), str(LIMIT)),
        (lambda: gzip.compress(random.Random(2).randbytes(LIMIT - (1 << 20)), 1) + zeros(64 << 20), str(LIMIT)),
    ],
    ids=["zeros", "members of zeros", "as dense as is allowed", "behind noise"],
)
def test_a_bomb_is_413_and_costs_no_memory(small, bomb, detail):
    body = bomb()
    assert len(body) <= LIMIT
    with open(f"/proc/{small.process.pid}/clear_refs", "w") as reset:
        reset.write("5")
    before = kilobytes(small, "VmRSS")
    for path in ["/embed", "/loss"]:
        start = time.monotonic()
        response = small.request("POST", path, data=body, headers=GZIP)
        took = time.monotonic() - start
        assert detail in problem(response, 413)["detail"]
        assert took < 5
    # What was sent, and what it became up to the limit.
    assert kilobytes(small, "VmHWM") - before < (2 * LIMIT + (16 << 20)) >> 10
    assert small.get("/livez").status_code == 200


def test_bombs_at_once(small):
    body = zeros(1 << 30)
    with open(f"/proc/{small.process.pid}/clear_refs", "w") as reset:
        reset.write("5")
    before = kilobytes(small, "VmRSS")
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code} ", "-H", "Content-Encoding: gzip"]
    command += ["-H", "Content-Type: application/json", "--data-binary", "@-", *[f"{small.url}/embed"]]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(16)]
    assert [each.communicate(body)[0] for each in running] == [b"413 "] * 16
    # Each work queue inflates one at a time; the bodies wait as they were sent, 1 MiB each.
    assert kilobytes(small, "VmHWM") - before < (2 * LIMIT + (16 << 20)) >> 10


def test_the_limit_counts_content(small):
    fitting = json.dumps({"inputs": "a", "pad": ""}).encode()
    for extra, status in [(LIMIT - len(fitting), 200), (LIMIT - len(fitting) + 1, 413)]:
        # Hexadecimal digits at random, of which gzip makes half.
        noise = random.Random(4).choices("0123456789abcdef", k=extra)
        body = json.dumps({"inputs": "a", "pad": "".join(noise)}).encode()
        assert len(body) == len(fitting) + extra
        response = small.request("POST", "/embed", data=gzip.compress(body, 1), headers=GZIP)
        assert response.status_code == status
        if status == 413:
            assert str(LIMIT) in response.json()["detail"]

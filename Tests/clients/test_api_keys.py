"""--api-key-file: who may do what, the answers to those who may not, rotation, and the counters of each key."""

import concurrent.futures
import json
import re
import signal
import socket
import subprocess
import threading

import openai
import pytest
import requests
from problems import problem
from process import BINARY, MODEL, Server, clean_environment, run_to_the_end, wait_until

ALL = "all-0123456789abcdef"
READ = "read-0123456789abcdef"
READ_AGAIN = "read-fedcba9876543210"
WRITE = "write-0123456789abcdef"
ADMIN = "admin-0123456789abcdef"
FILE = f"""# Keys of the tests.

{ALL}
reader:{READ} read   # a comment behind it
reader:{READ_AGAIN} read
\twriter:{WRITE}\twrite
operator:{ADMIN} admin\r
both:both-0123456789abcdef read, write
"""
BODY = {"queries": [[1, 0]], "keys": [[1, 0]]}


def write_keys(path, text):
    """Replaces the file as a careful operator does: at once, and readable by its owner alone."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.chmod(0o600)
    new.rename(path)


@pytest.fixture(scope="module")
def key_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "keys"
    write_keys(path, FILE)
    return path


@pytest.fixture(scope="module")
def guarded(key_file):
    with Server("--api-key-file", str(key_file)) as running:
        yield running
        shown = running.errors() + "".join(running.lines)
        assert not re.search(f"{ALL}|{READ}|{WRITE}|{ADMIN}", shown), "a key is in the log"


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def counted(server, name, label):
    text = server.get("/metrics", headers=bearer(ADMIN)).text
    return int(re.search(rf'^nearfar_api_key_{name}_total{{{re.escape(label)}}} (\d+)$', text, re.MULTILINE)[1])


@pytest.mark.parametrize("headers", [bearer(READ), {"authorization": f"bEARER  {READ}"}, {"X-Api-Key": READ}, {"X-Api-Key": READ, "Authorization": "Basic eDp5"}, bearer(READ_AGAIN)])
def test_a_key_is_taken_from_either_field(guarded, headers):
    assert guarded.post("/loss", BODY, headers=headers).json()["loss"] == 0


OPEN = ["/livez", "/readyz", "/health", "/ping", "/", "/playground", "/playground/playground.js", "/openapi.yaml"]


@pytest.mark.parametrize("path", OPEN)
def test_probes_and_pages_are_open(guarded, path):
    assert guarded.get(path).status_code == 200
    assert guarded.request("HEAD", path).status_code == 200
    assert guarded.request("OPTIONS", path).status_code == 204


@pytest.mark.parametrize("method, path", [("POST", "/loss"), ("POST", "/"), ("GET", "/info"), ("GET", "/metrics"), ("HEAD", "/info"), ("DELETE", "/collections/default"), ("GET", "/no/such/route"), ("PUT", "/embed"), ("PATCH", "/loss"), ("POST", "/collections/x/points/delete"), ("OPTIONS", "/no/such/route")])
def test_nothing_else_is_answered_or_told_without_a_key(guarded, method, path):
    for headers, error in (({}, False), ({"Authorization": "Basic eDp5"}, False), ({"Authorization": "Bearer"}, False), ({"X-Api-Key": ""}, False), (bearer(READ[:-1]), True), (bearer(READ + "0"), True), ({"X-Api-Key": "é".encode()}, True), (bearer(f"{READ}, {READ}"), True)):
        response = guarded.request(method, path, headers=headers)
        assert response.status_code == 401
        challenge = 'Bearer realm="nearfar"' + (', error="invalid_token"' if error else "")
        assert response.headers["WWW-Authenticate"] == challenge
        assert "Allow" not in response.headers
        if method != "HEAD":
            assert READ not in problem(response, 401)["detail"]


def test_the_body_of_a_request_without_a_key_is_not_waited_for(guarded):
    head = b"POST /loss HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n"
    answer = guarded.raw(head + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 401 ") and b"100" not in answer[:20]
    with socket.create_connection(("127.0.0.1", guarded.port), timeout=30) as connection:
        connection.sendall(head + f"X-Api-Key: {READ}\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")


# Method, path, body, the right that it takes (None: any).
RIGHTS = [
    ("POST", "/embed", {"inputs": "a"}, "read"),
    ("POST", "/", {"inputs": "a"}, "read"),
    ("POST", "/similarity", {"inputs": {"source_sentence": "a", "sentences": ["b"]}}, "read"),
    ("POST", "/tokenize", {"inputs": "a"}, "read"),
    ("POST", "/loss", BODY, "read"),
    ("POST", "/loss", {**BODY, "objective": "moco", "queue": {"name": "q", "update": False}}, "read"),
    ("POST", "/loss", {**BODY, "objective": "moco", "queue": "q"}, "both"),
    ("GET", "/queues", None, "read"),
    ("GET", "/queues/q", None, "read"),
    ("PUT", "/queues/q", {"capacity": 4, "dim": 2}, "write"),
    ("GET", "/collections", None, "read"),
    ("GET", "/collections/c", None, "read"),
    ("PUT", "/collections/c", {"dim": 2}, "write"),
    ("POST", "/neighbors", {"collection": "c", "vectors": [[1, 0]]}, "read"),
    ("PUT", "/collections/c/points", {"points": [{"id": "a", "vector": [1, 0]}]}, "write"),
    ("PATCH", "/collections/c/points", {"points": [{"id": "a", "metadata": {}}]}, "write"),
    ("POST", "/collections/c/points/list", {}, "read"),
    ("POST", "/collections/c/points/count", {}, "read"),
    ("GET", "/collections/c/points", None, "read"),
    ("GET", "/collections/c/points/a", None, "read"),
    ("GET", "/collections/c/export", None, "read"),
    ("POST", "/collections/c/points/delete", {"ids": ["b"]}, "write"),
    ("DELETE", "/collections/other", None, "write"),
    ("DELETE", "/queues/other", None, "write"),
    ("GET", "/v1/models", None, "read"),
    ("GET", "/v1/models/all-MiniLM-L6-v2", None, "read"),
    ("POST", "/v1/embeddings", {"input": "a"}, "read"),
    ("POST", "/embeddings", {"input": "a"}, "read"),
    ("POST", "/api/embed", {"input": "a"}, "read"),
    ("POST", "/api/embeddings", {"prompt": "a"}, "read"),
    ("POST", "/api/show", {"model": "a"}, "read"),
    ("GET", "/api/tags", None, "read"),
    ("GET", "/api/ps", None, "read"),
    ("GET", "/api/version", None, None),
    ("POST", "/v2/embed", {"texts": ["a"]}, "read"),
    ("POST", "/v1/embed", {"texts": ["a"]}, "read"),
    ("GET", "/metrics", None, "admin"),
    ("GET", "/info", None, None),
]


@pytest.mark.parametrize("method, path, body, right", RIGHTS)
def test_each_route_asks_for_its_right(guarded, method, path, body, right):
    guarded.put("/collections/c", {"dim": 2}, headers=bearer(ALL))
    guarded.put("/collections/c/points", {"points": [{"id": "a", "vector": [1, 0]}]}, headers=bearer(ALL))
    guarded.put("/queues/q", {"capacity": 4, "dim": 2}, headers=bearer(ALL))
    sufficient = {"read": {"read"}, "write": {"write"}, "admin": {"admin"}, "both": set(), None: {"read", "write", "admin"}}[right]
    for key, of, name in ((READ, "read", "reader"), (WRITE, "write", "writer"), (ADMIN, "admin", "operator")):
        response = guarded.request(method, path, json=body, headers=bearer(key))
        if of in sufficient:
            assert response.status_code in (200, 201, 204, 404), response.text
            continue
        assert response.status_code == 403
        missing = "write" if right == "both" and of == "read" else "read" if right == "both" else right
        assert response.headers["WWW-Authenticate"] == f'Bearer realm="nearfar", error="insufficient_scope", scope="{missing}"'
        assert f"'{name}'" in response.text and f"'{missing}'" in response.text
    for key in (ALL, "both-0123456789abcdef") if right != "admin" else (ALL,):
        assert guarded.request(method, path, json=body, headers=bearer(key)).status_code in (200, 201, 204, 404)


def test_a_key_learns_what_routes_there_are(guarded):
    assert problem(guarded.get("/no/such/route", headers=bearer(ADMIN)), 404)
    response = guarded.request("PUT", "/embed", headers=bearer(ADMIN))
    assert (response.status_code, response.headers["Allow"]) == (405, "POST, OPTIONS")


def test_openai_clients_get_their_own_errors(guarded):
    def client(key):
        return openai.OpenAI(base_url=guarded.url + "/v1", api_key=key, max_retries=0)

    made = client(READ).embeddings.create(model="m", input="a cat")
    assert len(made.data[0].embedding) == 384
    with pytest.raises(openai.AuthenticationError) as caught:
        client("sk-wrong").embeddings.create(model="m", input="a cat")
    assert (caught.value.code, caught.value.type, caught.value.param) == ("invalid_api_key", "invalid_request_error", None)
    with pytest.raises(openai.PermissionDeniedError, match="lacks the right 'read'"):
        client(ADMIN).embeddings.create(model="m", input="a cat")
    assert client(READ).models.list().data[0].id == "all-MiniLM-L6-v2"


def test_curl_has_what_it_takes(guarded):
    def status(*arguments):
        command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *arguments, guarded.url + "/collections"]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout

    assert status() == "401"
    assert status("--oauth2-bearer", READ) == "200"
    assert status("-H", f"X-Api-Key: {READ}") == "200"
    assert status("-u", f"reader:{READ}") == "401"


def test_no_key_gets_an_answer_that_another_asked_for(guarded):
    guarded.put("/collections/once", {"dim": 2}, headers=bearer(ALL))
    points = {"points": [{"id": "a", "vector": [1, 0]}]}

    def version(key, headers={}):
        return guarded.put("/collections/once/points", points, headers={**bearer(key), "Idempotency-Key": "k", **headers}).json()["version"]

    first = version(ALL)
    assert version(ALL) == first
    second = version(WRITE)
    assert second > first
    assert (version(ALL), version(WRITE)) == (first, second)
    # Another key of the same name and rights is the same client.
    body = {**BODY, "temperature": 0.5}
    once = {"Idempotency-Key": "loss"}
    assert guarded.post("/loss", body, headers={**bearer(READ), **once}).status_code == 200
    assert problem(guarded.post("/loss", BODY, headers={**bearer(READ_AGAIN), **once}), 422, "Idempotency-Key")
    assert guarded.post("/loss", BODY, headers={**bearer(ALL), **once}).status_code == 200


def test_a_refusal_is_not_kept_under_an_idempotency_key(tmp_path):
    path = tmp_path / "keys"
    write_keys(path, f"a:{READ} read\nall:{ALL}\n")
    with Server("--api-key-file", str(path)) as server:
        server.put("/queues/q", {"capacity": 4, "dim": 2}, headers=bearer(ALL))
        body = {**BODY, "objective": "moco", "queue": "q"}
        headers = {**bearer(READ), "Idempotency-Key": "k"}
        for _ in range(2):
            assert problem(server.post("/loss", body, headers=headers), 403)
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda _: server.post("/loss", body, headers=headers).status_code, range(32)))
        assert set(answers) == {403}
        assert server.get("/queues/q", headers=bearer(ALL)).json()["count"] == 0
        write_keys(path, f"a:{READ} read,write\nall:{ALL}\n")
        assert wait_until(lambda: server.post("/loss", body, headers=headers).status_code == 200)
        assert server.get("/queues/q", headers=bearer(ALL)).json()["count"] == 1


def test_keys_are_counted_by_name(key_file):
    with Server("--api-key-file", str(key_file)) as server:
        text = server.get("/metrics", headers=bearer(ADMIN)).text
        for name in ("key3", "reader", "writer", "operator", "both", "none", "invalid"):
            for status in ("2xx", "4xx", "5xx"):
                assert f'nearfar_api_key_requests_total{{key="{name}",status="{status}"}} 0\n' in text
        assert 'nearfar_api_key_tokens_total{key="reader"} 0\n' in text
        tokens = server.post("/v1/embeddings", {"input": ["a cat", "b"]}, headers=bearer(READ)).json()["usage"]["total_tokens"]
        assert tokens == 7
        server.post("/v1/embeddings", {"input": "a cat"}, headers=bearer(READ_AGAIN))
        server.post("/v1/embeddings", {"input": "a cat"}, headers=bearer(WRITE))
        server.get("/livez")
        server.post("/loss", BODY)
        server.post("/loss", BODY, headers=bearer("?"))
        assert counted(server, "requests", 'key="reader",status="2xx"') == 2
        assert counted(server, "requests", 'key="writer",status="4xx"') == 1
        assert counted(server, "requests", 'key="none",status="2xx"') == 1
        assert counted(server, "requests", 'key="none",status="4xx"') == 1
        assert counted(server, "requests", 'key="invalid",status="4xx"') == 1
        assert counted(server, "tokens", 'key="reader"') == 11
        assert counted(server, "tokens", 'key="writer"') == 0


def test_without_keys_nothing_is_asked_and_nothing_counted(server):
    assert server.get("/info", headers=bearer("anything")).status_code == 200
    assert "api_key" not in server.get("/metrics").text


def test_keys_are_rotated_without_a_failed_request(tmp_path):
    path = tmp_path / "keys"
    write_keys(path, f"a:{ALL}\n")
    with Server("--api-key-file", str(path)) as server:

        def status(key):
            return server.get("/info", headers=bearer(key)).status_code

        write_keys(path, f"a:{ALL}\nb:{READ} read\n")
        server.process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: status(READ) == 200, pause=0.001)
        assert status(ALL) == 200
        assert wait_until(lambda: "the file of API keys has changed and is used from now on" in server.errors())
        # By itself, without the signal.
        write_keys(path, f"b:{READ} read\n")
        assert wait_until(lambda: status(ALL) == 401)
        assert status(READ) == 200
        # A broken file keeps the old keys, and this is said once, and to those who ask.
        write_keys(path, f"b:{READ} read\nc:{ALL} rwx\n")
        assert wait_until(lambda: "the file of API keys stays as it was" in server.errors())
        assert (status(READ), status(ALL)) == (200, 401)
        path.unlink()
        assert wait_until(lambda: "cannot be read" in server.errors())
        for _ in range(3):
            server.process.send_signal(signal.SIGHUP)
            assert status(READ) == 200
        assert wait_until(lambda: server.errors().count("cannot be read") >= 2)
        write_keys(path, f"c:{ALL}\n")
        assert wait_until(lambda: status(ALL) == 200)
        assert status(READ) == 401
        assert server.errors().count("cannot be read") <= 4
        assert "no file has changed" not in server.errors()
        assert server.errors().count("keys:2: only read, write and admin") == 1
        text = server.get("/metrics", headers=bearer(ALL)).text
        assert 'key="c"' in text and 'key="b"' not in text
        assert ALL not in server.errors() and READ not in server.errors()


def test_a_secret_of_kubernetes_is_used_when_it_changes(tmp_path):
    """Kubernetes replaces a symbolic link to a folder, two levels above the file that the service reads."""

    def replace(number, text):
        folder = tmp_path / f"..{number}"
        folder.mkdir()
        (folder / "keys").write_text(text)
        link = tmp_path / "..data_tmp"
        link.symlink_to(folder.name)
        link.rename(tmp_path / "..data")

    replace(1, f"a:{ALL}\n")
    (tmp_path / "keys").symlink_to("..data/keys")
    with Server("--api-key-file", str(tmp_path / "keys")) as server:
        assert server.get("/info", headers=bearer(ALL)).status_code == 200
        replace(2, f"a:{READ}\n")
        assert wait_until(lambda: server.get("/info", headers=bearer(READ)).status_code == 200)
        assert server.get("/info", headers=bearer(ALL)).status_code == 401


def test_no_request_fails_while_the_file_is_replaced(tmp_path):
    path = tmp_path / "keys"
    write_keys(path, f"a:{ALL}\n")
    with Server("--api-key-file", str(path)) as server, concurrent.futures.ThreadPoolExecutor(4) as threads:
        over = threading.Event()

        def ask(_):
            session = requests.Session()
            session.trust_env = False
            statuses = []
            while not over.is_set():
                statuses.append(session.post(server.url + "/loss", json=BODY, headers=bearer(ALL), timeout=30).status_code)
            return statuses

        asked = [threads.submit(ask, number) for number in range(4)]
        try:
            for number in range(50):
                broken = number % 3 == 2
                write_keys(path, "broken line\n" if broken else f"other{number}:{READ}\na:{ALL}\n")
                server.process.send_signal(signal.SIGHUP)
                # The next replacement waits until this one has been noticed.
                heard = "stays as it was" if broken else "is used from now on"
                expected = len([each for each in range(number + 1) if (each % 3 == 2) == broken])
                assert wait_until(lambda: server.errors().count(heard) >= expected, 30), server.errors()[-1000:]
        finally:
            over.set()
        statuses = [status for each in asked for status in each.result()]
    assert len(statuses) > 50 and set(statuses) == {200}


def test_an_open_file_and_a_short_key_are_warned_about(tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"{ALL}\nshort:abc\n")
    path.chmod(0o644)
    with Server("--api-key-file", str(path)) as server:
        log = server.errors()
        assert f"warning {path} can be read by every user" in log
        assert f"warning {path}:2: a key of fewer than 16 characters" in log
        assert server.get("/info", headers=bearer("abc")).status_code == 200
    path.write_text(f"{ALL}\n")
    path.chmod(0o440)
    with Server(environment={"NEARFAR_API_KEY_FILE": str(path)}) as server:
        assert "can be read" not in server.errors()
        assert server.get("/info").status_code == 401


@pytest.mark.parametrize(
    "text, cause",
    [
        (b"", " has no keys"),
        (b"# nothing\n\n \t\n", " has no keys"),
        (b"good-0123456789abcdef\nname:\n", ":2: there is no key behind the colon"),
        (b"name: key-0123456789abcdef\n", ":1: there is no key behind the colon"),
        (b":key-0123456789abcdef\n", ":1: the name before the colon"),
        (b"na/me:key-0123456789abcdef\n", ":1: the name before the colon"),
        (b"none:key-0123456789abcdef\n", ":1: the names none and invalid"),
        (b"key-0123456789abcdef\nkey1:other-0123456789\n", ":2: the name key1 is that of a key without a name"),
        (b"a:key-0123456789abcdef root\n", ":1: only read, write and admin may follow"),
        (b"a key-0123456789abcdef\n", ":1: only read, write and admin may follow"),
        (b"a:key-0123456789abcdef ,\n", ":1: only read, write and admin may follow"),
        (b"a:key-0123456789abcdef\nb:key-0123456789abcdef\n", ":2: line 1 has the same key"),
        ("a:schlüssel-0123456789abcdef\n".encode(), ":1: a key has to have"),
        (b"a:key-0123456789abcdef\x00\n", ":1: a key has to have"),
        (b"a:" + b"0123456789abcdef" * 65 + b"\n", ":1: a key has to have"),
        (b"".join(b"k%d:key-0123456789-%d\n" % (n, n) for n in range(1001)), ":1001: a file has at most 1000 keys"),
    ],
)
def test_a_faulty_file_stops_the_start_and_no_key_is_printed(tmp_path, text, cause):
    path = tmp_path / "keys"
    path.write_bytes(text)
    code, printed = run_to_the_end("serve", "--port", "0", "--model", MODEL, "--api-key-file", str(path))
    assert code == 1
    assert f"cannot start: --api-key-file: {path}{cause}" in printed
    assert "0123456789" not in printed.replace(str(path), "")


def test_a_missing_file_stops_the_start(tmp_path):
    code, printed = run_to_the_end("serve", "--port", "0", "--model", MODEL, "--api-key-file", str(tmp_path / "none"))
    assert code == 1 and "--api-key-file" in printed and "No such file" in printed


def test_the_admin_port_asks_for_keys_as_well(key_file):
    with Server("--api-key-file", str(key_file), "--admin-port", "0") as server:
        url = re.search(r"admin port, (http://\S+)", server.errors())[1]

        def status(path, key=None):
            return server.session.get(url + path, headers=bearer(key) if key else {}, timeout=30).status_code

        assert [status("/livez"), status("/readyz"), status("/metrics"), status("/info")] == [200, 200, 401, 401]
        assert [status("/metrics", READ), status("/info", READ), status("/metrics", ADMIN)] == [403, 200, 200]
        assert json.loads(server.get("/info", headers=bearer(READ)).text)["status"] == 404


def command(*arguments, **environment):
    """Runs a command and returns its exit status and what it printed, which must not have a key."""
    done = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=60, env=clean_environment(environment))
    printed = done.stdout + done.stderr
    assert not re.search(f"{ALL}|{READ}|{WRITE}|{ADMIN}", printed)
    return done.returncode, printed


def test_the_commands_show_a_key(guarded, key_file, tmp_path):
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"id": "a", "text": "a cat"}\n{"id": "b", "text": "a kitten"}\n')
    index = ["index", "--url", guarded.url, "--collection", "commands", "--input", str(lines), "--text-field", "text"]
    code, printed = command(*index)
    assert code == 1 and "401" in printed and "an API key is required" in printed
    code, printed = command(*index, NEARFAR_API_KEY=READ)
    assert code == 1 and "403" in printed and "'write'" in printed
    # The first key of the file, here without a name; its rights are for the service alone.
    assert command(*index, "--api-key-file", str(key_file), NEARFAR_API_KEY=READ)[0] == 0
    own = tmp_path / "own"
    own.write_text(f"# mine\nreader:{READ}\n")
    output = tmp_path / "out.safetensors"
    export = ["export", "--url", guarded.url, "--collection", "commands", "--output", str(output)]
    assert command(*export, "--api-key-file", str(own)) == (0, command(*export, NEARFAR_API_KEY=READ)[1])
    load = ["import", "--url", guarded.url, "--collection", "loaded", "--input", str(output)]
    assert command(*load)[0] == 1
    assert command(*load, NEARFAR_API_KEY=ALL)[0] == 0
    assert guarded.get("/collections/loaded", headers=bearer(READ)).json()["count"] == 2
    # The service's own variable is not theirs: health needs no key.
    assert command("health", "--url", guarded.url, NEARFAR_API_KEY_FILE="/none") == (0, "ready\n")
    assert command("health", "--url", guarded.url, NEARFAR_API_KEY="wrong") == (0, "ready\n")


@pytest.mark.parametrize(
    "text, cause",
    [(None, "keys cannot be read: No such file"), ("", "keys has no keys"), (f"a: {ALL}\n", "keys:1: there is no key behind the colon")],
)
def test_a_command_without_its_key_is_a_wrong_call(tmp_path, text, cause):
    path = tmp_path / "keys"
    if text is not None:
        path.write_text(text)
    code, printed = command("health", "--api-key-file", str(path))
    assert code == 2 and f"--api-key-file: {tmp_path}/{cause}" in printed


@pytest.mark.parametrize("value", ["", "two words", "line\n", "schlüssel"])
def test_a_variable_that_is_no_key_is_a_wrong_call(value):
    code, printed = command("health", NEARFAR_API_KEY=value)
    assert code == 2 and "NEARFAR_API_KEY must be an API key" in printed

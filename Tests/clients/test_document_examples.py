"""The examples of openapi.yaml other than errors: requests succeed, and answers are what the service sends."""

import json
import re
import socket

import pytest
import requests
import yaml
from database import DatabaseServer
from process import ROOT, Server, wait_until

DOCUMENT = yaml.safe_load((ROOT / "openapi.yaml").read_text())
METHODS = ["get", "put", "post", "patch", "delete"]
POINTS = [
    {"id": "a", "vector": [0.1, 0.9], "metadata": {"lang": "en"}},
    {"id": "b", "vector": [0.7, 0.3]},
]
# Members that differ between machines and between starts, of which only the type is compared.
VARIES = {
    "created", "threads", "kernels", "onednn", "tokenization_workers", "collections", "usable_cores", "max_memory_in_flight",
    "modified_at", "total_duration", "epoch",
}
# An id that the service made for a request varies, too; those of points and models do not.
MADE_ID = re.compile("[0-9a-f]{16}")
# Members that vary between machines, and are null where there is no limit.
LIMITED = {"quota_cores", "limit_bytes"}


def resolved(node):
    """The node that a `$ref` refers to, or the node itself."""
    while "$ref" in node:
        found = DOCUMENT
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        node = found
    return node


def examples(node):
    """Yields the name and the value of each example of a media type, parameter or header."""
    if "example" in node:
        yield "example", node["example"]
    for name, each in node.get("examples", {}).items():
        yield name, each["value"]


def operations():
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in item:
                yield method, path, item[method]


def bodies():
    for method, path, operation in operations():
        for media, content in operation.get("requestBody", {}).get("content", {}).items():
            for name, value in examples(content):
                yield pytest.param(method, path, media, value, id=f"{method} {path} {name}")


def answers():
    """Yields the examples of answers in operations; test_examples.py covers those of shared responses."""
    for method, path, operation in operations():
        for status, response in operation["responses"].items():
            if "$ref" in response:
                continue
            for content in response.get("content", {}).values():
                for name, value in examples({**resolved(content.get("schema", {})), **content}):
                    yield pytest.param(method, path, int(status), value, id=f"{method} {path} {status} {name}")


@pytest.fixture(scope="module")
def service():
    with Server("--data", ":memory:") as running:
        yield running


@pytest.fixture(scope="module")
def replica():
    """A service that shares its collections with others."""
    with DatabaseServer() as database, Server("--store", database.url) as running:
        yield running


# The route that only such a service has an answer for.
SHARED = {"/collections/{name}/digest"}
# The routes whose examples were made with the reranker of the shared server.
RERANKER = {"/rerank", "/v1/rerank", "/v2/rerank", "/predict"}


@pytest.fixture
def story(request, service):
    """Makes the state that the examples assume: the collection `notes` with the points a and b, and the queue `moments`."""
    path = request.node.callspec.params.get("path") if getattr(request.node, "callspec", None) else None
    if path in RERANKER:
        return request.getfixturevalue("server")
    if path in SHARED:
        service = request.getfixturevalue("replica")
    for path in ["/collections/notes", "/queues/moments"]:
        service.delete(path)
    assert service.put("/collections/notes", {"dim": 2}).status_code == 201
    assert service.put("/collections/notes/points", {"points": POINTS}).status_code == 200
    assert service.put("/queues/moments", {"capacity": 65536, "dim": 128}).status_code == 201
    return service


def address(path, body=None):
    """The path with the parameters that the examples use."""
    texts = isinstance(body, dict) and any("text" in point for point in body.get("points", []))
    values = {"name": "moments" if path.startswith("/queues") else "default" if texts else "notes", "id": "a"}
    for parameter in DOCUMENT["paths"][path].get("parameters", []):
        parameter = resolved(parameter)
        if "example" in parameter:
            values[parameter["name"]] = parameter["example"]
    return re.sub(r"\{(\w+)\}", lambda match: values[match[1]], path)


def send(service, method, path, body=None, headers=None):
    return service.request(method.upper(), address(path, body), json=body, headers=headers or {})


def matches(example, answer, key=None):
    """Whether an answer is like the example, in which lists of numbers may be shortened."""
    if key in VARIES or key == "id" and MADE_ID.fullmatch(str(example)):
        return type(example) is type(answer)
    if key in LIMITED:
        return answer is None or isinstance(answer, (int, float))
    if isinstance(example, dict):
        return (
            isinstance(answer, dict)
            and example.keys() == answer.keys()
            and all(matches(value, answer[name], name) for name, value in example.items())
        )
    if isinstance(example, list):
        if not isinstance(answer, list) or len(example) > len(answer):
            return False
        numbers = bool(example) and all(isinstance(value, float) for value in example)
        if len(example) != len(answer) and not numbers:
            return False
        return all(matches(*pair) for pair in zip(example, answer))
    if isinstance(example, float) or isinstance(answer, float):
        return answer == pytest.approx(example, rel=1e-4, abs=1e-6)
    return type(example) is type(answer) and example == answer


@pytest.mark.parametrize(("method", "path", "media", "value"), bodies())
def test_a_request(story, method, path, media, value):
    assert media == "application/json"
    response = send(story, method, path, value)
    documented = DOCUMENT["paths"][path][method]["responses"]
    assert response.status_code in (200, 201), response.text[:1000]
    assert str(response.status_code) in documented


@pytest.mark.parametrize(("method", "path", "status", "value"), answers())
def test_an_answer(story, method, path, status, value):
    content = DOCUMENT["paths"][path][method].get("requestBody", {}).get("content", {})
    # The answer belongs to the request example called `vectors` where there is one, otherwise to the first.
    sent = dict(examples(content.get("application/json", {})))
    body = sent.get("vectors", next(iter(sent.values()), None))
    if status == 201:
        story.delete(address(path))
    response = send(story, method, path, body)
    assert response.status_code == status, response.text[:1000]
    assert matches(value, response.json()), response.text[:2000]


@pytest.mark.parametrize("value", DOCUMENT["components"]["schemas"]["Filter"]["examples"], ids=json.dumps)
def test_a_filter(story, value):
    response = story.post("/collections/notes/points/count", {"filter": value})
    assert response.status_code == 200, response.text


def test_header_examples(story):
    headers = {name: header.get("example") for name, header in DOCUMENT["components"]["headers"].items()}
    answer = story.post("/embed", {"inputs": "a"}, headers={"X-Request-Id": headers["X-Request-Id"]})
    assert answer.headers["X-Request-Id"] == headers["X-Request-Id"]
    form = re.compile(r"[a-z]+;dur=\d+\.\d{3}(, [a-z]+;dur=\d+\.\d{3})*")
    assert form.fullmatch(headers["Server-Timing"])
    assert form.fullmatch(answer.headers["Server-Timing"])
    stages = [re.findall("[a-z]+(?=;)", text) for text in (headers["Server-Timing"], answer.headers["Server-Timing"])]
    assert stages[0] == stages[1]
    token = re.compile(r"notes:\d+:\d+")
    assert token.fullmatch(headers["X-Nearfar-Version"])
    assert token.fullmatch(story.get("/collections/notes").headers["X-Nearfar-Version"])
    assert story.get("/embed").headers["Allow"] == headers["Allow"]
    refused = story.request("POST", "/loss", data=b"a", headers={"Content-Type": "text/plain"})
    assert refused.headers["Accept-Post"] == headers["Accept-Post"]
    link = DOCUMENT["paths"]["/collections/{name}/export"]["get"]["responses"]["200"]["headers"]["Link"]["example"]
    part = story.get("/collections/notes/export?part=1")
    shape = re.compile(r'<\?after=[^&>]+&part=\d+&snapshot=\d+-\d+>; rel="next"')
    assert shape.fullmatch(link)
    assert shape.fullmatch(part.headers["Link"])


@pytest.mark.parametrize(("path", "name"), [("/v1/models/{model}", "model"), ("/playground/{file}", "file")])
def test_path_examples(story, path, name):
    assert [each["name"] for each in DOCUMENT["paths"][path]["parameters"] if "example" in each] == [name]
    assert story.get(address(path)).status_code == 200


# The places whose examples are tested here or in test_examples.py. Examples of error fields are part of the examples of errors.
PLACES = [
    r"paths/[^ ]* (get|put|post|patch|delete) requestBody content application/json",
    r"paths/[^ ]* (get|put|post|patch|delete) responses \d+ content application/json",
    r"paths/collections/{name}/export get responses 200 headers Link",
    r"paths/(v1/models/{model}|playground/{file}) parameters 0",
    r"components responses \w+ content application/(problem\+)?json",
    r"components headers [\w-]+",
    r"components schemas (Filter|Info)",
    r"components schemas OpenAIErrorBody properties error properties (type|param)",
    r"components schemas Info properties (model_dtype|model_type properties embedding properties pooling)",
]


def places(node, at=""):
    if isinstance(node, list):
        for index, each in enumerate(node):
            yield from places(each, f"{at} {index}")
    elif isinstance(node, dict):
        # Members of an example do not count, and neither do properties that are called `example`.
        if ("example" in node or "examples" in node) and not at.endswith(" properties"):
            yield at.strip()
        for key, value in node.items():
            if key not in ("example", "examples"):
                yield from places(value, at + (key if key.startswith("/") else f" {key}"))


def test_no_example_is_left_out():
    unknown = [at for at in places(DOCUMENT) if not any(re.fullmatch(place, at) for place in PLACES)]
    assert unknown == []
    values = {"type": "invalid_request_error", "param": "input"}
    error = DOCUMENT["components"]["responses"]["OpenAIInvalid"]["content"]["application/json"]["example"]["error"]
    assert {name: error[name] for name in values} == values


def test_503_is_stated_where_a_draining_service_answers_it():
    body = b'{"inputs": "a"}'
    head = "POST /embed HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
    with Server() as own, socket.create_connection(("127.0.0.1", own.port), timeout=30) as waiting:

        def ask(method, path):
            return requests.request(method, own.url + path, headers={"Content-Type": "application/json"}, timeout=30)

        # The listener stays open while the server waits for the body of this request.
        waiting.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        assert waiting.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        own.terminate()
        assert wait_until(lambda: ask("GET", "/readyz").status_code == 503)
        answered = {(method, path): ask(method, address(path)) for method, path, _ in operations()}
        waiting.sendall(body)
        while waiting.recv(65_536):
            pass
    assert {key for key, response in answered.items() if response.status_code == 503} == {
        (method, path) for method, path, operation in operations() if "503" in operation["responses"]
    }
    refusals = [response for response in answered.values() if response.status_code == 503]
    assert {response.headers["Retry-After"] for response in refusals} == {"1"}
    assert DOCUMENT["components"]["headers"]["Retry-After"]["example"] == 1

"""Probes, descriptions, and the headers of every response."""

import json
import os
import re

import pytest
import yaml
from openapi_spec_validator import validate
from process import ROOT, Server, run_to_the_end
from prometheus_client.parser import text_string_to_metric_families

SPECIFICATION = ROOT / "openapi.yaml"
METRIC = re.compile(r"(queue|tokenize|encode|score|search|compress|total);dur=\d+\.\d{3}")


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/health", "/ping"])
def test_probes(server, path):
    assert server.get(path).status_code == 200


def test_info(server):
    info = server.get("/info").json()
    assert info["name"] == "nearfar"
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", info["version"])
    model = info["model"]
    assert (model["name"], model["dim"], model["max_seq_length"]) == ("all-MiniLM-L6-v2", 384, 256)
    assert re.fullmatch(r"[0-9a-f]{16,64}", model["fingerprint"])
    assert info["precision"] == "f32"
    assert info["threads"] >= 1
    assert info["cpu"]
    assert (
        info["limits"].items()
        >= {
            "max_body_bytes": 134217728,
            "max_inputs": 100000,
            "max_input_chars": 1000000,
            "max_dim": 8192,
            "max_k": 10000,
            "max_json_depth": 32,
            "max_head_bytes": 16384,
            "max_fields": 100,
        }.items()
    )


def test_info_has_the_fields_of_text_embeddings_inference(server):
    """Clients of text-embeddings-inference read these fields before their first call."""
    info = server.get("/info").json()
    expected = {
        "model_id": "all-MiniLM-L6-v2",
        "model_sha": None,
        "model_dtype": "float32",
        "served_model_name": "all-MiniLM-L6-v2",
        "model_type": {"embedding": {"pooling": "mean"}},
        "max_input_length": 256,
        "max_batch_requests": None,
        "max_client_batch_size": 100000,
        "auto_truncate": True,
        "tokenization_workers": info["threads"],
        "version": info["version"],
        "sha": None,
        "docker_label": None,
    }
    assert {name: info[name] for name in expected} == expected
    assert info["max_concurrent_requests"] == 1024
    with Server("--max-connections", "77") as own:
        assert own.get("/info").json()["max_concurrent_requests"] == 77
    assert info["max_batch_tokens"] >= info["max_input_length"]


def samples(server):
    response = server.get("/metrics")
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = list(text_string_to_metric_families(response.text))
    assert len({family.name for family in families}) == len(families)
    for family in families:
        assert family.name.startswith(("http_server_", "nearfar_", "process_")), family.name
        assert family.type != "unknown" and family.documentation, family.name
    return families


def test_metrics_are_prometheus_text(server):
    assert {family.type for family in samples(server)} >= {"counter", "gauge", "histogram"}


def test_histograms_are_cumulative(server):
    server.ask("/embed", {"inputs": "a"})
    for family in samples(server):
        if family.type != "histogram":
            continue
        series = {}
        for sample in family.samples:
            labels = tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))
            kind = sample.name[len(family.name) :]
            series.setdefault(labels, {}).setdefault(kind, []).append((sample.labels.get("le"), sample.value))
        for parts in series.values():
            buckets = sorted((float(bound), value) for bound, value in parts["_bucket"])
            assert buckets[-1][0] == float("inf")
            assert [value for _, value in buckets] == sorted(value for _, value in buckets)
            assert parts["_count"][0][1] == buckets[-1][1]


def test_the_usual_process_metrics(server):
    found = {family.name: family.samples[0].value for family in samples(server) if family.name.startswith("process_")}
    pid = server.process.pid
    assert set(found) == {
        "process_start_time_seconds",
        "process_cpu_seconds",
        "process_virtual_memory_bytes",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_threads",
    }
    assert abs(found["process_open_fds"] - len(os.listdir(f"/proc/{pid}/fd"))) <= 2
    with open(f"/proc/{pid}/limits") as limits:
        most = next(line.split()[3] for line in limits if line.startswith("Max open files"))
    assert found["process_max_fds"] == int(most)
    assert found["process_virtual_memory_bytes"] >= found["process_resident_memory_bytes"] > 50e6


def test_requests_that_never_became_calls_took_no_time(server):
    server.get("/nothing-of-that-name")
    server.get("/embed")
    family = next(family for family in samples(server) if family.name == "http_server_request_duration_seconds")
    found = {
        (s.labels.get("http_route"), s.labels["http_response_status_code"]): s.value
        for s in family.samples
        if s.name.endswith("_sum") and s.labels["http_request_method"] == "GET"
    }
    assert found[None, "404"] == 0 and found["/embed", "405"] == 0


def test_requests_are_counted(server):
    def total():
        return sum(
            sample.value
            for family in samples(server)
            if family.name == "http_server_request_duration_seconds"
            for sample in family.samples
            if sample.name.endswith("_count")
        )

    before = total()
    for _ in range(7):
        server.get("/livez")
    assert total() >= before + 7


def test_the_specification_is_served_as_it_is(server):
    response = server.get("/openapi.yaml")
    assert response.content == SPECIFICATION.read_bytes()
    assert "yaml" in response.headers["Content-Type"]
    validate(yaml.safe_load(response.content))


def routes():
    for path, item in yaml.safe_load(SPECIFICATION.read_text())["paths"].items():
        for method in ("get", "put", "post", "patch", "delete"):
            if method in item:
                yield method.upper(), path, item[method]


def alike(example, answer, place):
    """Checks that the answer has the members of the example, with values of the same types."""
    if isinstance(example, dict):
        assert isinstance(answer, dict) and set(example) <= set(answer), f"{place}: {sorted(example)} and {answer}"
        for key in example:
            alike(example[key], answer[key], f"{place}.{key}")
    elif isinstance(example, list) and example:
        assert isinstance(answer, list) and answer, f"{place}: {answer}"
        alike(example[0], answer[0], f"{place}[0]")
    elif isinstance(example, bool) or isinstance(answer, bool):
        assert type(example) is type(answer), f"{place}: {example} and {answer}"
    elif isinstance(example, (int, float)):
        assert isinstance(answer, (int, float)), f"{place}: {example} and {answer}"
    elif example is not None:
        assert answer is None or isinstance(answer, type(example)), f"{place}: {example} and {answer}"


@pytest.mark.parametrize(
    "method, path, operation", list(routes()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_route_of_the_specification_answers(server, method, path, operation):
    name = "route-test"
    server.delete(f"/collections/{name}")
    server.delete(f"/queues/{name}")
    if operation["operationId"] != "createQueue":
        assert server.put(f"/queues/{name}", {"capacity": 8, "dim": 2}).status_code == 201
    if operation["operationId"] != "createCollection":
        assert server.put(f"/collections/{name}", {"dim": 2, "metric": "cosine"}).status_code == 201
        points = [{"id": "a", "vector": [1, 0], "metadata": {"lang": "en"}}, {"id": "b", "vector": [0, 1]}]
        assert server.put(f"/collections/{name}/points", {"points": points}).status_code == 200
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    bodies = [content["example"]] if "example" in content else []
    bodies += [example["value"] for example in content.get("examples", {}).values()]
    for body in bodies or [None]:
        url = path.replace("{name}", name).replace("{id}", "a").replace("{file}", "playground.js")
        url = url.replace("{model}", "all-MiniLM-L6-v2")
        if operation["operationId"] == "neighbors":
            body = {**body, "collection": name} if "inputs" not in body else body
        if operation["operationId"] == "upsertPoints" and "text" in body["points"][0]:
            url = path.replace("{name}", "default")
        response = server.request(method, url, json=body)
        if operation["operationId"] == "getDigest":
            # Only replicas that share a database have one; test_document_examples.py asks such a replica.
            assert response.status_code == 409
            continue
        # The examples are valid requests: each must succeed with a status and a type that the route documents.
        assert 200 <= response.status_code < 300, f"{body}: {response.status_code} {response.text[:500]}"
        stated = operation["responses"][str(response.status_code)]
        if "content" in stated:
            assert response.headers["Content-Type"].split(";")[0] in stated["content"]
            example = stated["content"].get("application/json", {}).get("example")
            if example is not None and body == (bodies or [None])[0]:
                alike(example, response.json(), "")
    server.delete(f"/collections/{name}")
    server.delete(f"/queues/{name}")
    server.post("/collections/default/points/delete", {"ids": ["n1"]})


def test_the_page(server):
    response = server.get("/")
    assert response.headers["Content-Type"].lower() == "text/html; charset=utf-8"
    assert response.content == (ROOT / "Sources" / "CAssets" / "index.html").read_bytes()
    for link in re.findall(r'href="(/[^"]*)"', response.text):
        assert server.get(link).status_code == 200
    assert "<script" not in response.text
    assert not re.search(r'(?:src|href)="(?:https?:)?//', response.text)


REQUESTS = [
    ("GET", "/livez", None),
    ("GET", "/", None),
    ("GET", "/openapi.yaml", None),
    ("GET", "/metrics", None),
    ("GET", "/nothing", None),
    ("PATCH", "/embed", None),
    ("POST", "/embed", {"inputs": "a"}),
    ("POST", "/embed", {"inputs": 5}),
    ("POST", "/v1/embeddings", {}),
    ("POST", "/loss", {"queries": [[1]], "keys": [[1]]}),
    ("HEAD", "/livez", None),
]


@pytest.mark.parametrize("method, path, body", REQUESTS)
def test_every_response_has_an_id_and_timing(server, method, path, body):
    first, second = (server.request(method, path, json=body) for _ in range(2))
    for response in (first, second):
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", response.headers["X-Request-Id"])
        metrics = [part.strip() for part in response.headers["Server-Timing"].split(",")]
        assert all(METRIC.fullmatch(metric) for metric in metrics), metrics
        names = [metric.split(";")[0] for metric in metrics]
        assert "total" in names and len(set(names)) == len(names)
    assert first.headers["X-Request-Id"] != second.headers["X-Request-Id"]


def test_timing_names_the_parts(server):
    def parts(path, body):
        header = server.post(path, body).headers["Server-Timing"]
        return {part.split(";")[0].strip(): float(part.split("dur=")[1]) for part in header.split(",")}

    embed = parts("/embed", {"inputs": "a"})
    assert {"tokenize", "encode", "total"} <= set(embed)
    assert embed["encode"] > 0
    assert embed["total"] >= max(embed.values()) - 0.002
    assert {"score", "total"} <= set(parts("/loss", {"queries": [[1]], "keys": [[1]]}))
    assert {"search", "total"} <= set(parts("/neighbors", {"vectors": [[1] * 384]}))


@pytest.mark.parametrize("method, path, body", REQUESTS)
def test_the_clients_id_is_echoed(server, method, path, body):
    mine = "Trace_1.2-3" * 11
    response = server.request(method, path, json=body, headers={"X-Request-Id": mine})
    assert response.headers["X-Request-Id"] == mine


@pytest.mark.parametrize("bad", ["two words", "semi;colon", "x" * 129, "caf\u00e9".encode("latin-1"), ""])
def test_an_id_of_another_form_is_replaced(server, bad):
    found = server.get("/livez", headers={"X-Request-Id": bad}).headers["X-Request-Id"]
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", found)
    assert found.encode() != (bad if isinstance(bad, bytes) else bad.encode())


def test_keep_alive_and_pipelining(server):
    answer = server.raw(
        b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
        b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        until_closed=True,
    )
    assert [line.split(b" ")[1] for line in answer.split(b"HTTP/1.1")[1:]] == [b"200", b"404", b"200"]


def test_a_chunked_body(server):
    body = json.dumps({"inputs": "Hello, world!"}).encode()
    pieces = (body[place : place + 5] for place in range(0, len(body), 5))
    response = server.request("POST", "/embed", data=pieces, headers={"Content-Type": "application/json"})
    assert response.content == server.post("/embed", {"inputs": "Hello, world!"}).content


def test_the_health_command(server):
    assert run_to_the_end("health", "--url", server.url)[0] == 0
    # Nothing listens on port 9 (discard) of the loopback interface.
    code, printed = run_to_the_end("health", "--url", "http://127.0.0.1:9")
    assert code != 0
    assert printed.strip()

"""What Prometheus makes of the metrics: its own tools find nothing to complain of, the alerts hold, and every query of the dashboard and
of the alerts has an answer."""

import json
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
import requests
import yaml
from process import ROOT, Server, wait_until
from prometheus_client.parser import text_string_to_metric_families

DEPLOY = ROOT / "deploy"
# Families whose samples are those of collections, queues and graphs, which there need not be.
DYNAMIC = re.compile("nearfar_collection_(expected_recall|ef|recall_.*)|nearfar_queue_.*")


def promtool(*arguments, text: str | None = None) -> subprocess.CompletedProcess:
    return subprocess.run(["promtool", *map(str, arguments)], input=text, capture_output=True, text=True, timeout=60)


def families(text):
    return {family.name: family for family in text_string_to_metric_families(text)}


@pytest.fixture(scope="module")
def fresh():
    """A server of this module's own, and its first page of metrics."""
    with Server() as running:
        yield running, running.get("/metrics").text


def used(server):
    """Something of everything that is counted."""
    server.post("/embed", {"inputs": ["one", "two"]})
    server.post("/embed", {"inputs": 7})
    server.get("/nowhere")
    server.post("/loss", {"queries": [[1, 0]], "keys": [[1, 0]]})
    server.put("/collections/default/points", {"points": [{"id": "a", "text": "a text"}]})
    server.post("/neighbors", {"texts": ["a text"], "k": 1})
    server.raw(b"BROKEN\r\n\r\n", until_closed=True)


def test_promtool_has_no_complaint(fresh):
    server, first = fresh
    used(server)
    for text in (first, server.get("/metrics").text):
        done = promtool("check", "metrics", text=text)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_no_series_stands_twice(fresh):
    server, _ = fresh
    used(server)
    names = [line.rpartition(" ")[0] for line in server.get("/metrics").text.splitlines() if line[0] != "#"]
    assert len(names) == len(set(names))


def test_every_family_is_there_from_the_first_scrape(fresh):
    server, first = fresh
    used(server)
    at_first, later = families(first), families(server.get("/metrics").text)
    assert at_first.keys() == later.keys()
    assert not [name for name, family in at_first.items() if not family.samples and not DYNAMIC.fullmatch(name)]

    def values(family, label):
        return {sample.labels[label] for sample in at_first[family].samples}

    assert values("nearfar_requests_rejected", "reason") == {"overload", "draining", "client", "key", "deadline", "too_large"}
    assert values("nearfar_timeouts", "kind") == {
        "request", "idle", "head", "body", "write", "handshake", "proxy_header"
    }
    assert values("nearfar_connections", "state") == {"handshake", "idle", "reading", "handling", "writing", "closing"}
    assert values("nearfar_tls_handshakes", "result") == {"full", "resumed", "failed"}
    assert values("nearfar_lane_wait_seconds", "lane") == {"short", "long", "wide"}
    counts = [s for s in at_first["http_server_request_duration_seconds"].samples if s.name.endswith("_count")]
    assert {"/embed", "/loss", "/livez", "/metrics"} <= {sample.labels.get("http_route") for sample in counts}
    assert {sample.labels["http_response_status_code"] for sample in counts} == {"200"}
    bounds = {s.labels["le"] for s in at_first["http_server_request_duration_seconds"].samples if "le" in s.labels}
    assert sorted(map(float, bounds)) == [
        0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, float("inf")
    ]  # fmt: skip


def test_a_client_makes_no_labels(fresh):
    server, _ = fresh

    def series():
        return {line.rpartition(" ")[0] for line in server.get("/metrics").text.splitlines()}

    server.get("/nowhere")
    server.request("BREW", "/livez")
    server.request("BREW", "/nowhere")
    server.get("/collections/x")
    before = series()
    for number in range(20):
        server.get(f"/nowhere/{number}")
        server.request(f"BREW{number}", "/livez")
        server.get(f"/collections/x{number}")
    assert series() == before


def test_what_was_refused_is_counted_by_reason():
    with Server("--max-body-bytes", "1000", "--max-requests-per-client", "1", "--request-timeout", "0.001") as server:
        assert server.post("/embed", {"inputs": ["x" * 2000]}).status_code == 413
        assert server.post("/embed", {"inputs": ["x " * 300] * 1}).status_code in (503, 504)
        # Asking for the metrics has the same time, unless it states its own.
        text = server.get("/metrics", headers={"X-Request-Timeout-Ms": "60000"}).text
        counts = {s.labels["reason"]: s.value for s in families(text)["nearfar_requests_rejected"].samples}
        assert counts["too_large"] == 1 and counts["client"] == 0
        assert counts["deadline"] + counts["overload"] == 1


def test_times_that_ran_out_are_counted_by_kind():
    with Server("--idle-timeout", "0.2") as server:

        def count(kind):
            samples = families(server.get("/metrics").text)["nearfar_timeouts"].samples
            return next(sample.value for sample in samples if sample.labels["kind"] == kind)

        before = count("idle")
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
            assert client.recv(1) == b""
        assert wait_until(lambda: count("idle") >= before + 1)
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
            client.sendall(b"POST /embed HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
            assert b" 408 " in client.recv(1000)
        assert wait_until(lambda: count("body") == 1)
        assert (count("head"), count("write"), count("request")) == (0, 0, 0)


def test_connections_are_counted_by_state(fresh):
    server, _ = fresh

    def states():
        samples = families(server.get("/metrics").text)["nearfar_connections"].samples
        return {sample.labels["state"]: sample.value for sample in samples}

    before = states()
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(3)]
    reading = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(2)]
    for connection in reading:
        connection.sendall(b"GET /livez HT")
    assert wait_until(lambda: states()["idle"] == before["idle"] + 3)
    assert wait_until(lambda: states()["reading"] == before["reading"] + 2)
    # The one that asks.
    assert states()["handling"] == 1
    for connection in idle + reading:
        connection.close()
    assert wait_until(lambda: states() == before)


def test_the_rules_and_the_configuration():
    for arguments in [
        ("check", "rules", "alerts.yaml"), ("test", "rules", "alerts_test.yaml"), ("check", "config", "prometheus.yaml")
    ]:
        done = subprocess.run(
            ["promtool", *arguments], cwd=DEPLOY / "prometheus", capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Prometheus:
    """A real Prometheus that scrapes a server every second."""

    def __init__(self, folder: Path, target: int) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        configuration = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())
        configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        configuration["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{target}"]
        shutil.copy(DEPLOY / "prometheus" / "alerts.yaml", folder)
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder}/prometheus.yaml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address={self.url.removeprefix('http://')}",
            ],
            stdout=self.log,
            stderr=self.log,
        )

    def get(self, path: str, **parameters):
        answer = requests.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=30).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str):
        return self.get("query", query=expression)["result"]

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/-/ready", timeout=1).status_code == 200
        except requests.ConnectionError:
            return False

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory, fresh):
    server, _ = fresh
    running = Prometheus(tmp_path_factory.mktemp("prometheus"), server.port)
    try:
        assert wait_until(running.is_ready, 60, 0.2)
        scraped = 'count_over_time(up{job="nearfar"}[1h])'
        assert wait_until(lambda: [s for s in running.query(scraped) if int(s["value"][1]) >= 2], 60, 0.2)
        used(server)
        time.sleep(3)
        yield running
    finally:
        running.stop()


def dashboard():
    return json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())


def queries():
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            yield pytest.param(target["expr"], id=f"{panel['title']}-{target['refId']}")


def test_a_scrape_succeeds(prometheus, fresh):
    [target] = prometheus.get("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    [up] = prometheus.query("up")
    assert up["value"][1] == "1"
    # OpenTelemetry's names, asked for as its dashboards do.
    found = prometheus.query('http_server_request_duration_seconds_count{http_route="/embed",http_response_status_code="422"}')
    assert [series["value"][1] for series in found] == ["1"] or len(found) == 1


@pytest.mark.parametrize("expression", queries())
def test_every_query_of_the_dashboard_returns_a_series(prometheus, expression):
    for variable, value in {"$__rate_interval": "1h", "$job": "nearfar", "$instance": ".*"}.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression
    assert prometheus.query(expression)


def test_the_series_of_the_alerts_are_those_of_a_service(prometheus):
    """An alert whose metric has another name would never fire."""
    known = set(prometheus.get("label/__name__/values"))
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())["groups"][0]["rules"]
    names = {name for rule in rules for name in re.findall(r"\b(?:http_server|nearfar|process)_\w+|\bup\b", rule["expr"])}
    # Only a service with TLS has a certificate.
    assert names - known == {"nearfar_tls_certificate_expiry_timestamp_seconds"}
    loaded = prometheus.get("rules")["groups"][0]["rules"]
    assert len(loaded) == len(rules) and {rule["health"] for rule in loaded} == {"ok"}
    assert not prometheus.get("alerts")["alerts"]


def test_the_dashboard_is_whole():
    board = dashboard()
    assert board["title"] == "Nearfar" and board["uid"] == "nearfar" and board["schemaVersion"] >= 36
    assert {variable["name"] for variable in board["templating"]["list"]} == {"datasource", "job", "instance"}
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert place["x"] + place["w"] <= 24 and not places & cells
        places |= cells
        if panel["type"] != "row":
            assert panel["targets"] and panel["datasource"]["uid"] == "${datasource}"

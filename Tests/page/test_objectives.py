"""For all nine objectives and their options, the loss computed in the browser is that of the service."""

import numpy as np
import pytest
from process import wait_until
from selenium.webdriver.support.select import Select

TEXTS = 7
OPTIONS = {
    "infonce": {"temperature", "negatives", "positives", "in_batch_negatives", "queue"},
    "symmetric": {"temperature"},
    "nt_xent": {"temperature"},
    "dcl": {"temperature", "negatives", "positives", "in_batch_negatives", "queue"},
    "supcon": {"temperature", "labels"},
    "sigmoid": {"temperature", "bias"},
    "simsiam": set(),
    "byol": set(),
    "moco": {"temperature", "negatives", "positives", "queue"},
}


def choose(page, objective):
    Select(page.id("objective")).select_by_value(objective)
    page.settle()


def change(page, name, value):
    """Changes a field as a user does, who types and then leaves it."""
    page.run(
        """const field = document.getElementById(arguments[0]);
           if (field.type === 'checkbox') field.checked = arguments[1]; else field.value = arguments[1];
           field.dispatchEvent(new Event('input', {bubbles: true})); field.dispatchEvent(new Event('change', {bubbles: true}));""",
        name, value)  # fmt: skip
    page.settle()


def assert_agreement(page, expected):
    assert page.value("loss-service") == pytest.approx(expected, abs=1e-5)
    assert page.value("loss-browser") == pytest.approx(expected, rel=1e-5, abs=1e-4)
    assert page.value("loss-difference") < 1e-3


def test_the_page_offers_what_the_service_has(page, server):
    offered = page.run("return Array.from(document.getElementById('objective').options, option => option.value)")
    assert offered == list(OPTIONS)
    document = server.get("/openapi.yaml").text
    assert f"enum: [{', '.join(offered)}, null]" in document


@pytest.mark.parametrize("objective", OPTIONS)
def test_the_controls_are_those_of_the_objective(page, objective):
    choose(page, objective)
    script = "return Array.from(document.querySelectorAll('[data-option]'), one => [one.dataset.option, one.hidden])"
    assert {name for name, hidden in page.run(script) if not hidden} == OPTIONS[objective]


@pytest.mark.parametrize("objective", [name for name in OPTIONS if name != "moco"])
def test_each_objective(page, server, objective):
    choose(page, objective)
    body = {"objective": objective, "queries": page.lines("queries"), "keys": page.lines("keys"), "return": ["loss", "per_row", "diagnostics"]}
    if objective == "supcon":
        body["labels"] = [1, 2, 3, 4, 5, 1, 6]
    answer = server.ask("/loss", body)
    assert_agreement(page, answer["loss"])
    per_row = page.run("return Array.from(document.querySelectorAll('#rows tr td:nth-child(2) data'), one => Number(one.value))")
    assert per_row == pytest.approx(answer["per_row"], abs=2e-4)
    assert len(per_row) == (2 * TEXTS if objective in ("nt_xent", "supcon") else TEXTS)
    shown = page.run("""return Object.fromEntries(Array.from(document.querySelectorAll('#diagnostics [data-name]'),
      fact => [fact.dataset.name, Number(fact.querySelector('data').value)]))""")
    suspects = answer["diagnostics"].pop("likely_false_negatives", None)
    for name, value in shown.items():
        if name == "likely_false_negatives":
            assert objective != "supcon" and value == len(suspects or [0])
        else:
            assert value == pytest.approx(answer["diagnostics"][name], abs=1e-4), name
    assert page.visible("softmax") == (objective not in ("simsiam", "byol"))
    assert not page.complaints()


def test_the_map_of_nt_xent_and_of_sigmoid(page, server):
    q, k = (np.asarray(server.ask("/embed", {"inputs": page.lines(side)}), "f8") for side in ("queries", "keys"))
    choose(page, "nt_xent")
    both = np.concatenate([q, k])
    weights = np.exp(both @ both.T / 0.07)
    np.fill_diagonal(weights, 0)
    weights /= weights.sum(1, keepdims=True)
    assert np.abs(page.matrix("softmax") - weights[:TEXTS, TEXTS:]).max() < 1e-4
    choose(page, "sigmoid")
    # The temperature is that of SigLIP, because no other was chosen.
    assert page.id("tau").get_attribute("value") == "0.1"
    assert np.abs(page.matrix("softmax") - 1 / (1 + np.exp(10 - q @ k.T / 0.1))).max() < 1e-4
    assert page.run("return document.querySelector('#softmax caption').textContent") == "Probability of each pair at τ = 0.1"
    choose(page, "infonce")
    assert page.id("tau").get_attribute("value") == "0.07"
    page.set_temperature(0.2)
    choose(page, "sigmoid")
    assert page.id("tau").get_attribute("value") == "0.2"


@pytest.mark.parametrize("objective", ["infonce", "dcl"])
def test_further_negatives_and_none_in_the_batch(page, server, objective):
    choose(page, objective)
    page.open("more-options")
    negatives = ["The moon is full.", "犬が吠える。"]
    page.write("negatives", "\n".join(negatives))
    page.score()
    body = {"objective": objective, "queries": page.lines("queries"), "keys": page.lines("keys"), "negatives": negatives}
    assert_agreement(page, server.ask("/loss", body)["loss"])
    change(page, "in_batch_negatives", False)
    assert_agreement(page, server.ask("/loss", {**body, "in_batch_negatives": False})["loss"])


def test_negatives_of_one_objective_are_not_sent_to_another(page, server):
    page.open("more-options")
    page.write("negatives", "The moon is full.")
    page.score()
    page.id("negatives").clear()
    choose(page, "symmetric")
    body = {"objective": "symmetric", "queries": page.lines("queries"), "keys": page.lines("keys")}
    assert_agreement(page, server.ask("/loss", body)["loss"])
    choose(page, "infonce")
    page.write("negatives", "The moon is full.")
    choose(page, "byol")
    assert_agreement(page, server.ask("/loss", {**body, "objective": "byol"})["loss"])
    choose(page, "dcl")
    assert_agreement(page, server.ask("/loss", {**body, "objective": "dcl", "negatives": ["The moon is full."]})["loss"])


def test_dcl_without_any_negative_is_refused(page):
    choose(page, "dcl")
    page.open("more-options")
    change(page, "in_batch_negatives", False)
    assert "negatives" in page.text("negatives-error") and page.visible("negatives-error")
    assert page.text("loss-browser") == "not computed here"


def test_the_key_of_each_query(page, server):
    page.open("more-options")
    change(page, "positives", "7 6 5, 4, 3 2 1")
    body = {"queries": page.lines("queries"), "keys": page.lines("keys"), "positives": [6, 5, 4, 3, 2, 1, 0]}
    assert_agreement(page, server.ask("/loss", body)["loss"])
    marked = page.run("""return Array.from(document.querySelectorAll('#similarities [data-note="positive"]'),
      cell => [Number(cell.dataset.row), Number(cell.dataset.column)])""")
    assert marked == [[row, 6 - row] for row in range(TEXTS)]
    change(page, "positives", "1 2")
    assert page.text("positives-error") == "There must be one key for each query: 7, not 2."
    change(page, "positives", "1 2 3 4 5 6 8")
    assert page.text("positives-error") == "8 is not the number of a key: they are 1 to 7."
    change(page, "positives", "1 2 3 4 5 6 x")
    assert page.text("positives-error") == "“x” is not a whole number."
    change(page, "positives", "")
    assert not page.visible("positives-error")


@pytest.mark.parametrize("objective", ["infonce", "sigmoid", "byol", "supcon"])
def test_rows_as_they_are(page, server, objective):
    page.score(["1 2", "-0.5 1", "0 0"], ["0.5 1", "1 1", "2 0"])
    choose(page, objective)
    if objective == "supcon":
        change(page, "labels", "3 3 4")
    page.open("more-options")
    change(page, "normalize", False)
    body = {
        "objective": objective, "normalize": False, "queries": [[1, 2], [-0.5, 1], [0, 0]], "keys": [[0.5, 1], [1, 1], [2, 0]],
        **({"labels": [3, 3, 4]} if objective == "supcon" else {}),
    }  # fmt: skip
    expected = server.ask("/loss", body)["loss"]
    assert page.value("loss-service") == pytest.approx(expected, abs=1e-4)
    assert page.value("loss-browser") == pytest.approx(expected, rel=1e-5, abs=1e-4)
    assert page.id("similarities").accessible_name == "Dot product"


def test_labels(page, server):
    choose(page, "supcon")
    change(page, "labels", "１、1 2 2 3 3 3")
    body = {"objective": "supcon", "queries": page.lines("queries"), "keys": page.lines("keys"), "labels": [1, 1, 2, 2, 3, 3, 3]}
    assert_agreement(page, server.ask("/loss", body)["loss"])
    change(page, "labels", "1 2 3")
    assert page.text("labels-error") == "There must be one label for each query: 7, not 3."
    change(page, "labels", "1 1 1 1 1 1 猫")
    assert page.text("labels-error") == "“猫” is not a whole number."


def test_one_view_of_supcon(page, server):
    choose(page, "supcon")
    page.write("labels", "1 1 2 2 3 3 3")
    page.id("keys").clear()
    page.score()
    body = {"objective": "supcon", "queries": page.lines("queries"), "labels": [1, 1, 2, 2, 3, 3, 3]}
    assert_agreement(page, server.ask("/loss", body)["loss"])
    assert page.matrix("similarities").shape == (7, 7)
    notes = page.run("return Array.from(document.querySelectorAll('#similarities tbody tr:first-child td'), cell => cell.dataset.note ?? '')")
    assert notes == ["itself", "same label", "", "", "", "", ""]
    change(page, "labels", "1 2 3 4 5 6 7")
    assert "no row has a partner" in page.text("labels-error")


def test_the_bias(page, server):
    choose(page, "sigmoid")
    change(page, "bias", "-2.5")
    body = {"objective": "sigmoid", "queries": page.lines("queries"), "keys": page.lines("keys"), "temperature": 0.1, "bias": -2.5}
    assert_agreement(page, server.ask("/loss", body)["loss"])
    change(page, "bias", "")
    assert page.text("bias-error") == "The bias is a number; SigLIP begins with −10."


def queue(server, name):
    return server.get(f"/queues/{name}").json()


def test_moco_with_a_queue_of_its_own(page, server):
    choose(page, "moco")
    assert page.text("queue-error") == "moco needs a queue of negatives: choose or make one."
    assert page.visible("queue-name")
    page.write("queue-name", "列")
    page.id("make-queue").click()
    assert "A name has 1 to 128" in page.text("queue-error")
    page.write("queue-name", "page-moco")
    page.write("queue-capacity", "10")
    page.id("make-queue").click()
    assert wait_until(lambda: page.id("queue").get_attribute("value") == "page-moco")
    page.settle()
    assert queue(server, "page-moco") == {"name": "page-moco", "capacity": 10, "dim": 384, "count": 0, "appended": 0}
    # The queue is empty, so the positive is the only candidate and the loss is 0. Nothing is appended unless requested.
    assert page.value("loss-service") == 0
    assert page.text("loss-browser") == "not computed here"
    page.score()
    assert queue(server, "page-moco")["count"] == 0
    page.id("queue-update").click()
    page.score()
    assert queue(server, "page-moco")["appended"] == TEXTS
    assert wait_until(lambda: "7 of 10 rows" in page.text("queue"))
    # A change of temperature reads the queue and appends nothing.
    page.set_temperature(0.1)
    body = {"objective": "moco", "queries": page.lines("queries"), "keys": page.lines("keys"), "temperature": 0.1,
            "queue": {"name": "page-moco", "update": False}}  # fmt: skip
    expected = server.ask("/loss", body)["loss"]
    assert expected > 0 and page.value("loss-service") == pytest.approx(expected, abs=1e-5)
    assert queue(server, "page-moco")["appended"] == TEXTS


def test_japanese_texts_are_scored(page, server):
    queries, keys = ["猫が好きです", "今日は雨が降っています"], ["ネコはかわいい", "天気が悪い"]
    page.score(queries, keys)
    assert page.value("loss-service") == pytest.approx(server.ask("/loss", {"queries": queries, "keys": keys})["loss"], abs=1e-6)
    page.run("""document.querySelector('#similarities [data-row="0"][data-column="1"]').focus()""")
    assert "猫が好きです" in page.text("readout") and "天気が悪い" in page.text("readout")

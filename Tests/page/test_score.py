"""Compares the values that the page shows with those of numpy and of the service."""

import numpy as np
import pytest
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select


def embedded(server, texts):
    return np.asarray(server.ask("/embed", {"inputs": texts}), "f8")


def cross_entropies(matrix, temperature):
    logits = matrix / temperature
    logits -= logits.max(1, keepdims=True)
    return np.log(np.exp(logits).sum(1)) - np.diag(logits)


def served_loss(server, page, temperature):
    body = {"queries": page.lines("queries"), "keys": page.lines("keys"), "temperature": temperature}
    return server.ask("/loss", body)["loss"]


def similarities(server, page):
    return embedded(server, page.lines("queries")) @ embedded(server, page.lines("keys")).T


def test_the_first_view_is_scored(page, server):
    expected = similarities(server, page)
    assert expected.shape == (7, 7)
    assert np.abs(page.matrix("similarities") - expected).max() < 1e-6
    assert page.value("loss-browser") == pytest.approx(cross_entropies(expected, 0.07).mean(), abs=1e-5)
    assert page.value("loss-service") == pytest.approx(served_loss(server, page, 0.07), abs=1e-6)
    assert page.value("loss-difference") < 1e-4
    assert not page.complaints()


def test_the_near_duplicate_is_marked(page, server):
    script = """return Array.from(document.querySelectorAll('#similarities [data-note="likely false negative"]'),
      cell => [Number(cell.dataset.row), Number(cell.dataset.column)])"""
    matrix = similarities(server, page)
    expected = [[i, j] for i, j in np.argwhere(matrix > np.diag(matrix)[:, None]).tolist() if i != j]
    assert page.run(script) == expected == [[0, 5]]
    assert "q1 × k6" in page.text("diagnostics")


@pytest.mark.parametrize("temperature", [0.005, 0.02, 0.3, 1])
def test_softmax_and_loss_follow_the_temperature(page, server, temperature):
    page.set_temperature(temperature)
    matrix = similarities(server, page)
    found = page.matrix("softmax")
    assert np.abs(found.sum(1) - 1).max() < 1e-12
    weights = np.exp((matrix - matrix.max(1, keepdims=True)) / temperature)
    assert np.abs(found - weights / weights.sum(1, keepdims=True)).max() < 1e-4
    assert page.value("loss-browser") == pytest.approx(served_loss(server, page, temperature), abs=1e-4)
    assert page.value("loss-browser") == pytest.approx(page.value("loss-service"), abs=1e-4)


def test_the_slider_moves_the_softmax_at_once(page):
    before = page.matrix("softmax")
    # A single script reads the values, so that no answer of the service can have arrived in between.
    script = """const slider = document.getElementById('tau-slider');
      slider.value = '900'; slider.dispatchEvent(new Event('input'));
      return [document.getElementById('tau').value, document.querySelector('#softmax tbody data').value,
        document.getElementById('loss-service').textContent]"""
    temperature, first, service = page.run(script)
    assert float(temperature) == pytest.approx(0.005 * 200**0.9, rel=1e-2)
    assert float(first) != before[0, 0]
    assert service == "…"
    page.settle()
    assert page.value("loss-service") == pytest.approx(page.value("loss-browser"), abs=1e-4)


def test_the_slider_by_keyboard(page):
    page.slide(Keys.END, 1)
    assert float(page.id("tau").get_attribute("value")) == 1
    page.slide(Keys.HOME, 1)
    assert float(page.id("tau").get_attribute("value")) == 0.005
    page.slide(Keys.ARROW_RIGHT, 5)
    assert page.id("tau-slider").get_attribute("aria-valuetext") == page.id("tau").get_attribute("value")
    assert 0.005 < float(page.id("tau").get_attribute("value")) < 0.006


def test_diagnostics(page, server):
    matrix = similarities(server, page)
    probabilities = np.exp(matrix / 0.07) / np.exp(matrix / 0.07).sum(1, keepdims=True)
    positives = np.diag(matrix)
    off = ~np.eye(7, dtype=bool)
    ranks = 1 + ((matrix >= positives[:, None]) & off).sum(1)
    entropy = -(probabilities * np.log(probabilities)).sum(1).mean()
    expected = {
        "accuracy_top1": (ranks == 1).mean(),
        "mean_reciprocal_rank": (1 / ranks).mean(),
        "mutual_information_bound": np.log(7) - cross_entropies(matrix, 0.07).mean(),
        "softmax_entropy": entropy,
        "perplexity": np.exp(entropy),
        "alignment": (2 - 2 * positives).mean(),
        "positive_similarity": positives.mean(),
        "negative_similarity": matrix[off].mean(),
        "hardest_negative_similarity": np.where(off, matrix, -2).max(1).mean(),
        "likely_false_negatives": 1,
    }
    script = """return Object.fromEntries(Array.from(document.querySelectorAll('#diagnostics [data-name]'),
      fact => [fact.dataset.name, Number(fact.querySelector('data').value)]))"""
    assert page.run(script) == pytest.approx(expected, abs=1e-5)
    per_row = page.run("return Array.from(document.querySelectorAll('#rows tr td:nth-child(2) data'), one => Number(one.value))")
    assert per_row == pytest.approx(cross_entropies(matrix, 0.07), abs=1e-5)


def test_the_symmetric_objective(page, server):
    Select(page.id("objective")).select_by_value("symmetric")
    page.settle()
    matrix = similarities(server, page)
    expected = (cross_entropies(matrix, 0.07) + cross_entropies(matrix.T, 0.07)).mean() / 2
    assert page.value("loss-browser") == pytest.approx(expected, abs=1e-5)
    body = {"objective": "symmetric", "queries": page.lines("queries"), "keys": page.lines("keys")}
    answer = server.post("/loss", body)
    # A server without this objective refuses it, and the page shows that next to the objective.
    if answer.status_code == 200:
        assert page.value("loss-service") == pytest.approx(answer.json()["loss"], abs=1e-5)
        assert not page.visible("objective-error")
    else:
        assert page.text("loss-service") == "refused"
        assert answer.json()["detail"] in page.text("objective-error")


def test_rows_of_numbers_and_further_keys(page, server):
    page.score(["1, 0, 0", "[0 2 0]"], ["3 1 0", "0 1 -1", "-1 0 0.5"])
    q, k = np.array([[1, 0, 0], [0, 2, 0]], "f8"), np.array([[3, 1, 0], [0, 1, -1], [-1, 0, 0.5]], "f8")
    expected = (q / np.linalg.norm(q, axis=1)[:, None]) @ (k / np.linalg.norm(k, axis=1)[:, None]).T
    assert np.abs(page.matrix("similarities") - expected).max() < 1e-12
    body = {"queries": q.tolist(), "keys": k.tolist(), "positives": [0, 1]}
    assert page.value("loss-service") == pytest.approx(server.ask("/loss", body)["loss"], abs=1e-6)
    assert page.value("loss-browser") == pytest.approx(page.value("loss-service"), abs=1e-5)
    assert page.text("keys-hint") == "3 rows of 3 numbers"


def test_one_pair(page):
    page.score(["alone"], ["by itself"])
    assert page.value("loss-browser") == page.value("loss-service") == 0
    assert page.matrix("softmax").tolist() == [[1]]


def test_a_large_batch_shows_a_part_and_counts_the_whole(page, server):
    rows = np.random.default_rng(5).normal(size=(60, 4)).round(3)
    lines = [" ".join(map(str, row)) for row in rows.tolist()]
    page.run("for (const [id, text] of Object.entries(arguments[0])) document.getElementById(id).value = text",
             {"queries": "\n".join(lines), "keys": "\n".join(lines[::-1])})  # fmt: skip
    page.score()
    assert page.matrix("similarities").shape == (40, 40)
    assert "40 × 40 of 60 × 60" in page.text("map-notice")
    expected = server.ask("/loss", {"queries": rows.tolist(), "keys": rows[::-1].tolist()})["loss"]
    assert page.value("loss-browser") == pytest.approx(expected, abs=1e-4)

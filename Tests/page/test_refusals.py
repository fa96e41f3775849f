"""A refusal of the service is shown next to the field at fault, and names the row."""

import pytest


def test_a_zero_row(page):
    page.score(["1 0", "0 0", "", "0 1"], ["1 0", "0 1", "1 1"])
    assert "queries[1], line 2" in page.text("queries-error")
    assert "zero" in page.text("queries-error")
    assert page.visible("queries-error") and not page.visible("score-results")
    assert page.id("queries").get_attribute("aria-invalid") == "true"
    # After the input is corrected, the results are shown again and the message is gone.
    page.score(["1 0", "2 1", "", "0 1"])
    assert page.visible("score-results") and not page.visible("queries-error")
    assert page.id("queries").get_attribute("aria-invalid") is None


def test_blank_lines_count_as_lines_not_rows(page):
    page.score(["1 0", "0 1"], ["", "1 0", "", "0 0"])
    assert "keys[1], line 4" in page.text("keys-error")


@pytest.mark.parametrize(
    "queries, keys, place, words",
    [
        (["1 0", "1 0 0"], ["1 0", "0 1"], "queries-error", "queries[1], line 2"),
        (["1 0", "0 1"], ["1 0"], "keys-error", "required"),
        ([""], ["a"], "queries-error", "empty"),
        (["1 0"], ["a text"], "keys-error", "384"),
        (["1e39 1"], ["1 1"], "queries-error", "queries[0], line 1"),
    ],
)
def test_other_refusals(page, queries, keys, place, words):
    page.score(queries, keys)
    assert words in page.text(place)
    assert page.visible(place)


def test_a_temperature_out_of_range(page):
    before = page.value("loss-browser")
    page.write("tau", "7")
    assert "0.005 to 1" in page.text("tau-error")
    assert page.id("tau").get_attribute("aria-invalid") == "true"
    assert page.value("loss-browser") == before
    page.set_temperature(0.07)
    assert not page.visible("tau-error")

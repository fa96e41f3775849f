"""Collections on the page: adding points, finding them, and refusals."""

import pytest
from process import wait_until
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select


def found(page):
    assert wait_until(lambda: page.text("search-status") not in ("", "Searching …") or page.visible("search-error"))
    return [item.text for item in page.driver.find_elements(By.CSS_SELECTOR, "#neighbors li")]


def choose(page, name):
    assert wait_until(lambda: page.id("collection").find_elements(By.CSS_SELECTOR, f"[value='{name}']"))
    Select(page.id("collection")).select_by_value(name)


def add(page, lines):
    page.write("points", "\n".join(lines))
    page.driver.find_element(By.CSS_SELECTOR, "#add-form button").click()
    assert wait_until(lambda: page.text("add-status") not in ("", "Adding …") or page.visible("add-error"))


def test_an_added_point_is_found(open_page, server):
    assert server.put("/collections/birds", {"dim": 384, "metric": "cosine"}).status_code == 201
    page = open_page()
    choose(page, "birds")
    add(page, ["Swifts sleep while they fly.", "Bread rises in a warm kitchen.", "Swifts sleep while they fly."])
    assert "Stored 2 points in birds" in page.text("add-status")
    assert server.get("/collections/birds").json()["count"] == 2
    page.write("query", "birds asleep in the air" + Keys.ENTER)
    first, second = found(page)
    assert "Swifts sleep while they fly." in first and "Bread" in second
    answer = server.ask("/neighbors", {"collection": "birds", "inputs": "birds asleep in the air"})["results"][0]
    shown = page.run("return Array.from(document.querySelectorAll('#neighbors data'), one => Number(one.value))")
    assert shown == [one["score"] for one in answer]
    bars = page.run("return Array.from(document.querySelectorAll('#neighbors .bar'), bar => bar.style.getPropertyValue('--share'))")
    assert [float(bar.strip("%")) for bar in bars] == [round(max(score, 0) * 100, 2) for score in shown]
    # Adding the same line again does not add a point.
    add(page, ["Swifts sleep while they fly."])
    assert server.get("/collections/birds").json()["count"] == 2
    assert not page.complaints()


def test_metadata_is_shown_as_text(open_page, server):
    assert server.put("/collections/notes", {"dim": 384, "metric": "cosine"}).status_code == 201
    note = {"id": "n", "text": "<b>not markup</b>", "metadata": {"lang": "en"}}
    assert server.put("/collections/notes/points", {"points": [note]}).status_code == 200
    page = open_page()
    choose(page, "notes")
    page.write("query", "markup" + Keys.ENTER)
    (only,) = found(page)
    assert "<b>not markup</b>" in only and '{"lang":"en"}' in only


def test_how_many(open_page, server):
    assert server.put("/collections/many", {"dim": 384, "metric": "cosine"}).status_code == 201
    page = open_page()
    choose(page, "many")
    add(page, [f"line {index}" for index in range(9)])
    page.write("count", "4")
    page.write("query", "a line" + Keys.ENTER)
    assert len(found(page)) == 4


def test_an_empty_collection_says_so(open_page, server):
    assert server.put("/collections/empty", {"dim": 384, "metric": "cosine"}).status_code == 201
    page = open_page()
    choose(page, "empty")
    page.write("query", "anything" + Keys.ENTER)
    assert found(page) == []
    assert "no points yet" in page.text("search-status")


def test_refusals_are_shown_in_place(open_page, server):
    assert server.put("/collections/tiny", {"dim": 2, "metric": "cosine"}).status_code == 201
    page = open_page()
    choose(page, "tiny")
    add(page, ["does not fit"])
    assert page.visible("add-error") and "384" in page.text("add-error")
    page.write("query", "does not fit" + Keys.ENTER)
    assert found(page) == []
    assert page.visible("search-error")
    page.write("count", "0")
    page.id("query").send_keys(Keys.ENTER)
    assert wait_until(lambda: "k" in page.text("search-error") and page.id("count").get_attribute("aria-invalid"))


def make(page, name, dim=None, metric="cosine"):
    page.open("new-collection")
    page.write("collection-name", name)
    if dim is not None:
        page.write("collection-dim", str(dim))
    Select(page.id("collection-metric")).select_by_value(metric)
    page.run("document.getElementById('make-status').textContent = ''")
    page.id("make-collection").click()
    assert wait_until(lambda: page.text("make-status") != "" or page.visible("make-error"))


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_a_collection_is_made_filled_and_searched(page, server, metric):
    assert wait_until(lambda: page.id("collection-dim").get_attribute("value") == "384")
    make(page, f"made-{metric}", 3, metric)
    assert page.text("make-status") == f"made-{metric} is there and chosen."
    made = server.get(f"/collections/made-{metric}").json()
    assert (made["dim"], made["metric"], made["count"]) == (3, metric, 0)
    assert page.id("collection").get_attribute("value") == f"made-{metric}"
    # Rows of numbers are vectors, for points as well as for queries.
    add(page, ["1 0 0", "[0, 2, 0]", "0, 0, 3"])
    assert f"Stored 3 points in made-{metric}" in page.text("add-status")
    page.write("query", "0 1 0.5" + Keys.ENTER)
    assert len(found(page)) == 3
    expected = server.ask("/neighbors", {"collection": f"made-{metric}", "vectors": [[0, 1, 0.5]], "k": 5})["results"][0]
    shown = page.run("return Array.from(document.querySelectorAll('#neighbors data'), one => Number(one.value))")
    assert shown == [one["score"] for one in expected]
    assert page.run("return document.querySelector('#neighbors li code').textContent") == expected[0]["id"]
    assert not page.complaints()


def test_a_collection_of_texts_has_the_dimensions_of_the_model(page, server):
    assert wait_until(lambda: page.id("collection-dim").get_attribute("value") == "384")
    make(page, "made-texts")
    add(page, ["吾輩は猫である。", "名前はまだ無い。", "Der Zug nach Wien fährt um zehn."])
    assert "Stored 3 points in made-texts" in page.text("add-status")
    stored = server.get("/collections/made-texts/points").json()["points"]
    assert {point["text"] for point in stored} == {"吾輩は猫である。", "名前はまだ無い。", "Der Zug nach Wien fährt um zehn."}
    page.write("query", "猫である" + Keys.ENTER)
    first, *_ = found(page)
    best = server.ask("/neighbors", {"collection": "made-texts", "inputs": "猫である", "k": 1, "include": ["text"]})["results"][0][0]
    assert best["text"] in first


@pytest.mark.parametrize(
    "name, dim, words",
    [
        ("", 3, "A name has 1 to 128 of the characters"),
        ("猫", 3, "A name has 1 to 128 of the characters"),
        ("a b", 3, "A name has 1 to 128 of the characters"),
        ("x" * 129, 3, "A name has 1 to 128 of the characters"),
        ("good", "", "Dimensions are a whole number."),
        ("good", "2.5", "Dimensions are a whole number."),
        ("good", 0, "The service refuses the collection"),
        ("good", 9000, "8192"),
        ("default", 3, "The service refuses the collection"),
    ],
)
def test_a_collection_that_cannot_be_made(page, server, name, dim, words):
    assert wait_until(lambda: page.id("collection-dim").get_attribute("value") == "384")
    before = server.get("/collections").json()
    make(page, name, dim)
    assert words in page.text("make-error") and page.visible("make-error")
    after = server.get("/collections").json()
    assert [one["name"] for one in after["collections"]] == [one["name"] for one in before["collections"]]


def test_points_and_queries_that_are_no_rows(page, server):
    make(page, "made-ragged", 2)
    add(page, ["1 0", "0 1 2", "1 1"])
    assert page.text("add-error") == "Line 2: It has 3 numbers, but line 1 has 2."
    assert server.get("/collections/made-ragged").json()["count"] == 0
    page.write("query", "[1, 2, x]" + Keys.ENTER)
    assert wait_until(lambda: page.visible("search-error"))
    assert page.text("search-error") == "“x” is not a number."
    assert page.id("query").get_attribute("aria-invalid") == "true"

"""Collections on the page: adding points, finding them, and what is refused."""

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
    assert "2 points are in birds" in page.text("add-status")
    assert server.get("/collections/birds").json()["count"] == 2
    page.write("query", "birds asleep in the air" + Keys.ENTER)
    first, second = found(page)
    assert "Swifts sleep while they fly." in first and "Bread" in second
    answer = server.ask("/neighbors", {"collection": "birds", "inputs": "birds asleep in the air"})["results"][0]
    shown = page.run("return Array.from(document.querySelectorAll('#neighbors data'), one => Number(one.value))")
    assert shown == [one["score"] for one in answer]
    bars = page.run("return Array.from(document.querySelectorAll('#neighbors .bar'), bar => bar.style.getPropertyValue('--share'))")
    assert [float(bar.strip("%")) for bar in bars] == [round(max(score, 0) * 100, 2) for score in shown]
    # The same line again is the same point.
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

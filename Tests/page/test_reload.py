"""The page shows scores and collections however often it is loaded, and when requests are lost."""

import re
import time

import pytest
from browser import Page
from flaky import FlakyWay
from process import ROOT, wait_until

PARTS = sorted(path.name for path in (ROOT / "Sources" / "CAssets" / "playground").iterdir() if path.name != "index.html")


def collections(page):
    return page.run("return Array.from(document.querySelectorAll('#collection option'), option => option.value)")


def assert_whole(page, seconds: float = 10):
    """Checks that the page shows the scores of the browser and the service, and the list of collections."""

    def is_whole():
        return page.text("score-status").startswith("At τ = 0.07") and "default" in collections(page)

    assert wait_until(is_whole, seconds), (page.text("score-status"), collections(page), page.complaints())
    assert page.value("loss-service") == pytest.approx(page.value("loss-browser"), abs=1e-4)


def test_fifty_reloads_are_each_scored(page):
    for count in range(50):
        if count % 2 == 1:
            # The next load interrupts this one, each time at another moment.
            page.driver.execute_script("location.reload()")
            time.sleep(count / 400)
        page.driver.refresh()
        assert_whole(page)
        assert not page.visible("collection-error") and not page.visible("score-error")


def flaky_page(driver, way):
    driver.get_log("browser")
    driver.get("about:blank")
    return Page(driver, way)


@pytest.mark.parametrize("path", [f"/playground/{name}" for name in PARTS])
def test_a_part_that_is_lost_is_fetched_again(driver, server, path):
    # Two connections are lost, because Chromium itself repeats a request after some resets.
    with FlakyWay(server, {path}, times=2) as way:
        page = flaky_page(driver, way)
        assert_whole(page)
        assert way.seen[path] >= 2


@pytest.mark.parametrize("path", ["/embed", "/loss", "/collections", "/queues"])
@pytest.mark.parametrize("status", [None, 503])
def test_a_request_that_is_lost_is_sent_again(driver, server, path, status):
    with FlakyWay(server, {path}, times=2, status=status) as way:
        page = flaky_page(driver, way)
        assert_whole(page)
        assert wait_until(lambda: way.seen[path] >= 3)
        assert not page.visible("collection-error") and not page.visible("score-error")


def test_a_page_without_its_scripts_says_so(driver, server):
    with FlakyWay(server, {"/playground/rows.js"}, times=1000) as way:
        page = Page.__new__(Page)
        page.driver = driver
        driver.get(way.url + "/playground")
        # While Chromium reloads the page, the element may be missing.
        found = "return document.getElementById('score-status')?.textContent ?? ''"
        assert wait_until(lambda: "Reload it to try again" in driver.execute_script(found), 15)
        assert way.seen["/playground"] == 4


def test_a_temperature_that_is_none_is_not_kept(page):
    page.write("tau", "7")
    assert page.visible("tau-error")
    page.driver.refresh()
    assert_whole(page)


def test_every_part_is_named_by_the_page():
    folder = ROOT / "Sources" / "CAssets" / "playground"
    named = set()
    for path in folder.iterdir():
        named |= {match.split("/")[-1] for match in re.findall(r'"(?:\./|/playground/)([\w.-]+\.(?:js|css))"', path.read_text())}
    assert named == set(PARTS)

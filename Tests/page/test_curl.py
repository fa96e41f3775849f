"""The commands of "Copy as curl" are run in a shell, and their answers are those that the page shows."""

import json
import subprocess

import pytest
from process import wait_until
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

AWKWARD = ["it's “quoted” $HOME `date` \\n", "猫が好きです", "a \\ and a ' and a \" and 🦄"]


def command(page, name):
    page.id(f"{name}-curl").click()
    assert wait_until(lambda: page.text(f"{name}-copied") != "")
    return page.id(f"{name}-command").get_attribute("value")


def answer(text):
    done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, timeout=30, check=True)
    return json.loads(done.stdout)


def test_a_scored_batch(page, server):
    page.score(AWKWARD, AWKWARD[::-1])
    Select(page.id("objective")).select_by_value("symmetric")
    page.set_temperature(0.2)
    found = command(page, "score")
    assert found.startswith(f"curl -s '{server.url}/loss' -H 'Content-Type: application/json' -d '")
    given = answer(found)
    assert given["objective"] == "symmetric"
    assert given["loss"] == pytest.approx(page.value("loss-service"), abs=1e-6)
    assert given["loss"] == server.ask("/loss", {"objective": "symmetric", "queries": AWKWARD, "keys": AWKWARD[::-1], "temperature": 0.2})["loss"]


@pytest.mark.parametrize("objective", ["infonce", "symmetric", "nt_xent", "dcl", "supcon", "sigmoid", "simsiam", "byol", "moco"])
def test_every_objective(page, server, objective):
    assert server.put("/queues/curl", {"capacity": 4, "dim": 384}).status_code in (200, 201)
    page.driver.refresh()
    page.settle()
    Select(page.id("objective")).select_by_value(objective)
    if objective == "moco":
        assert wait_until(lambda: "curl" in page.text("queue"))
        Select(page.id("queue")).select_by_value("curl")
    page.settle()
    assert wait_until(lambda: page.text("loss-service") not in ("…", "not asked"))
    given = answer(command(page, "score"))
    assert given["objective"] == objective
    assert given["loss"] == pytest.approx(page.value("loss-service"), abs=1e-5)


def test_a_fault_is_shown_instead(page):
    page.write("queries", "1 0\n1 0 0")
    page.id("score-curl").click()
    assert "queries[1], line 2: It has 3 numbers, but line 1 has 2." in page.text("queries-error")
    assert not page.visible("score-command")


def test_a_collection_its_points_and_a_search(page, server):
    page.open("new-collection")
    page.write("collection-name", "by-curl")
    made = answer(command(page, "make"))
    assert (made["name"], made["dim"], made["metric"], made["count"]) == ("by-curl", 384, "cosine", 0)
    page.driver.refresh()
    page.settle()
    assert wait_until(lambda: "by-curl" in page.text("collection"))
    Select(page.id("collection")).select_by_value("by-curl")
    page.write("points", "\n".join(AWKWARD[:2]))
    assert answer(command(page, "add"))["upserted"] == 2
    assert {point["text"] for point in server.get("/collections/by-curl/points").json()["points"]} == {line.strip() for line in AWKWARD[:2]}
    page.write("query", "ネコ" + Keys.ENTER)
    assert wait_until(lambda: "2 neighbours" in page.text("search-status"))
    given = answer(command(page, "find"))
    shown = page.run("return Array.from(document.querySelectorAll('#neighbors data'), one => Number(one.value))")
    assert [one["score"] for one in given["results"][0]] == shown
    assert given["collection"] == "by-curl"


def test_it_is_in_the_clipboard(page, server):
    page.command("Browser.grantPermissions", origin=server.url, permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    found = command(page, "find")
    assert page.text("find-copied") == "Copied."
    script = "const done = arguments[0]; navigator.clipboard.readText().then(done, error => done(String(error)))"
    assert page.driver.execute_async_script(script) == found


def test_without_a_clipboard_it_can_be_copied_by_hand(page):
    page.run("Object.defineProperty(navigator, 'clipboard', {value: undefined}); document.execCommand = () => false")
    found = command(page, "find")
    assert page.text("find-copied") == "Selected: copy it with Ctrl and C."
    assert page.run("return document.activeElement.id") == "find-command"
    assert page.run("return getSelection().toString()") in (found, "")
    assert page.run("const at = document.activeElement; return [at.selectionStart, at.selectionEnd]") == [0, len(found)]

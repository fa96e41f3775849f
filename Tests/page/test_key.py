"""The page of a service that asks for an API key."""

import json
import subprocess

import browser
import pytest
from process import Server, wait_until
from test_access import UNLABELLED

KEY = "page-0123456789abcdef"
READER = "read-0123456789abcdef"


@pytest.fixture
def guarded(driver, tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"page:{KEY}\nreader:{READER} read\n")
    file.chmod(0o600)
    with Server("--api-key-file", str(file)) as server:
        driver.get_log("browser")
        yield browser.Page(driver, server)


def use(page, key):
    page.write("api-key", key)
    page.driver.find_element("css selector", "#key-form button[type=submit]").click()
    page.settle()


def test_the_page_asks_for_a_key_and_keeps_it_for_the_tab(guarded):
    page = guarded
    assert wait_until(lambda: page.visible("key-form"))
    assert page.text("key-error") == "This service asks for an API key."
    assert "an API key is required" in page.text("score-error") or "an API key is required" in page.text("score-status")
    assert not page.visible("forget-key")
    assert page.run(UNLABELLED) == []
    page.write("queries", "a cat\na dog")
    page.write("keys", "a kitten\na puppy")

    use(page, "wrong-0123456789abcdef")
    assert wait_until(lambda: page.visible("key-form") and page.text("key-error") == "The service does not know this key.")
    page.write("api-key", "with ümlaut")
    page.driver.find_element("css selector", "#key-form button[type=submit]").click()
    assert "ASCII" in page.text("key-error")

    use(page, KEY)
    assert wait_until(lambda: page.visible("score-results"))
    assert page.visible("forget-key") and not page.visible("key-error")
    assert page.id("api-key").get_attribute("value") == ""
    assert page.value("loss-service") >= 0
    assert wait_until(lambda: "default: 0 points" in page.text("collection"))
    page.driver.find_element("css selector", "#add-form button").click()
    assert wait_until(lambda: "4" in page.text("add-status"))

    # It is in the storage of the tab alone, and in no address, cookie or command.
    assert page.run("return [localStorage.length, document.cookie, location.href]") == [0, "", page.server.url + "/playground"]
    assert page.run("return Object.values(sessionStorage)") == [KEY]
    page.id("score-curl").click()
    assert wait_until(lambda: page.text("score-copied") != "")
    command = page.id("score-command").get_attribute("value")
    assert KEY not in command
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=30, check=True, env={"NEARFAR_API_KEY": KEY, "PATH": "/usr/bin:/bin"})
    assert json.loads(done.stdout)["loss"] == pytest.approx(page.value("loss-service"), abs=1e-6)

    page.id("forget-key").click()
    page.settle()
    assert wait_until(lambda: page.text("key-error") == "This service asks for an API key.")
    assert page.run("return Object.values(sessionStorage)") == []


def test_a_key_without_a_right_is_told_what_it_lacks(guarded):
    page = guarded
    use(page, READER)
    assert wait_until(lambda: page.visible("score-results"))
    assert wait_until(lambda: "default: 0 points" in page.text("collection"))
    page.driver.find_element("css selector", "#add-form button").click()
    assert wait_until(lambda: "lacks the right 'write'" in page.text("add-error"))


def test_without_keys_the_form_does_not_show(page):
    assert not page.visible("key-form")


def test_a_page_of_another_origin_reaches_nothing(driver, server):
    """A real browser, and a page that another service on this machine has served."""
    with Server() as other, Server("--cors-origin", other.url) as open_to_other:
        driver.get(other.url + "/")
        post = """const [url, done] = [arguments[0], arguments[1]];
          const body = '{"capacity": 4, "dim": 2}';
          fetch(url, {method: 'POST', mode: 'no-cors', body: new Blob([body])}).then(() => done('sent'), error => done(String(error)))"""
        assert driver.execute_async_script(post, server.url + "/embed") == "sent"
        text = server.get("/metrics").text
        assert 'status="403"' in text or 'status_code="403"' in text
        put = """const done = arguments[1];
          fetch(arguments[0] + '/queues/foreign', {method: 'PUT', body: '{"capacity": 4, "dim": 2}',
            headers: {'Content-Type': 'application/json', 'Idempotency-Key': 'k', 'Authorization': 'Bearer x'}})
            .then(async answer => done([answer.status, answer.headers.get('X-Request-Id') !== null, (await answer.json()).name]),
                  error => done(String(error)))"""
        assert "TypeError" in driver.execute_async_script(put, server.url)
        assert server.get("/queues/foreign").status_code == 404
        assert driver.execute_async_script(put, open_to_other.url) == [201, True, "foreign"]

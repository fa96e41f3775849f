"""The fixtures: one server and one browser for all tests. Each test opens the page again."""

import browser
import pytest
from process import Server


@pytest.fixture(scope="session")
def server():
    with Server() as running:
        yield running


@pytest.fixture(scope="session")
def driver():
    running = browser.start()
    yield running
    running.quit()


@pytest.fixture
def open_page(driver, server):
    """Opens the page: open_page(width=1200, scheme="light")."""
    driver.get_log("browser")
    return lambda **options: browser.Page(driver, server, **options)


@pytest.fixture
def page(open_page):
    return open_page()

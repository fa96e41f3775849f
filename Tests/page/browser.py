"""A headless Chromium that shows the playground, with the actions and queries that the tests need."""

import os
import shutil

import numpy as np
from process import ROOT, wait_until
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

SCREENSHOTS = ROOT / ".build" / "screenshots"
FLAGS = [
    "--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--no-proxy-server", "--force-color-profile=srgb", "--lang=en-GB",
]  # fmt: skip


def start() -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in FLAGS:
        options.add_argument(flag)
    if os.geteuid() == 0:
        # Chromium's sandbox refuses to start for root.
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service(executable_path=shutil.which("chromedriver")))


class Page:
    """The playground of one server, freshly opened."""

    def __init__(self, driver: webdriver.Chrome, server, width: int = 1200, scheme: str = "light") -> None:
        self.driver = driver
        self.server = server
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.resize(width)
        driver.get(server.url + "/playground")
        self.settle()

    def command(self, name: str, **parameters):
        return self.driver.execute_cdp_cmd(name, parameters)

    def resize(self, width: int, height: int = 900) -> None:
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def run(self, script: str, *arguments):
        return self.driver.execute_script(script, *arguments)

    def id(self, name: str):
        return self.driver.find_element(By.ID, name)

    def text(self, name: str) -> str:
        return self.run("return document.getElementById(arguments[0]).textContent", name)

    def value(self, name: str) -> float:
        """The number in an element, with all its digits."""
        return float(self.run("return document.getElementById(arguments[0]).querySelector('data').value", name))

    def settle(self) -> None:
        """Waits until the page shows the service's answer: its loss, or a refusal."""
        shown = "return document.getElementById('score-status').textContent"
        assert wait_until(lambda: self.run(shown) not in ("Scoring …", "Loading …")), self.run(shown)
        rested = "return document.getElementById('score-results').hidden || document.getElementById('loss-service').textContent !== '…'"
        assert wait_until(lambda: self.run(rested))

    def open(self, name: str) -> None:
        """Opens a collapsible section of the page."""
        self.run("document.getElementById(arguments[0]).open = true", name)

    def write(self, name: str, text: str) -> None:
        field = self.id(name)
        field.clear()
        field.send_keys(text)

    def score(self, queries: list[str] | None = None, keys: list[str] | None = None) -> None:
        for name, lines in (("queries", queries), ("keys", keys)):
            if lines is not None:
                self.write(name, "\n".join(lines))
        self.driver.find_element(By.CSS_SELECTOR, "#score-form button").click()
        self.settle()

    def lines(self, name: str) -> list[str]:
        return self.id(name).get_attribute("value").splitlines()

    def matrix(self, table: str) -> np.ndarray:
        """The values behind the cells of a heat map."""
        script = """return Array.from(document.querySelectorAll(`#${arguments[0]} tbody tr`),
          row => Array.from(row.querySelectorAll('td data'), cell => Number(cell.value)))"""
        return np.array(self.run(script, table))

    def set_temperature(self, value: float) -> None:
        self.write("tau", str(value))
        self.settle()

    def slide(self, key: str, times: int) -> None:
        self.id("tau-slider").send_keys(*[key] * times)

    def focused(self, attribute: str):
        return self.run("return document.activeElement.getAttribute(arguments[0])", attribute)

    def press(self, *keys: str) -> None:
        self.driver.switch_to.active_element.send_keys(*keys)

    def press_with_control(self, key: str) -> None:
        self.driver.switch_to.active_element.send_keys(Keys.CONTROL, key)

    def visible(self, name: str) -> bool:
        return self.id(name).is_displayed()

    def screenshot(self, name: str) -> None:
        """Saves a picture of the whole page, not only of what the window shows."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        width, height = self.run("return [innerWidth, document.documentElement.scrollHeight]")
        self.resize(width, height)
        self.driver.save_screenshot(str(SCREENSHOTS / f"{name}.png"))
        self.resize(width)

    def complaints(self) -> list[str]:
        """What the browser wrote to its console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

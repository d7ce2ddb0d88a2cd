"""A real headless Chromium that opens a page from disk and tells what the page did."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE_SECONDS = 60  # a wait ends at once on success; a busy machine may take long

FLAGS = (
    "--headless",
    "--no-sandbox",  # needed by root, as in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
)


class Page:
    """A page in a browser."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, path: Path) -> None:
        """Open a file as a double click does."""
        self.complaints(), self.requests()  # forget those of the page before
        self.driver.get(path.resolve().as_uri())
        # On a busy machine `get` was seen to return while the page was still read.
        self.wait("return document.readyState === 'complete'")

    def draw(self) -> None:
        """Wait until all charts are drawn, also those far below, without scrolling."""
        script = "Draw.done().then(arguments[arguments.length - 1])"
        self.driver.set_script_timeout(PATIENCE_SECONDS)
        self.driver.execute_async_script(script)

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a function body in the page."""
        return self.driver.execute_script(script, *arguments)

    def wait(self, script: str) -> None:
        """Wait until a function body returns true."""
        self._wait_until(lambda _: self.run(script))

    def _wait_until(self, condition: Callable[[Any], Any]) -> None:
        from selenium.webdriver.support.wait import WebDriverWait  # noqa: PLC0415  may be missing

        WebDriverWait(self.driver, PATIENCE_SECONDS, poll_frequency=0.05).until(condition)

    def text(self, selector: str) -> str:
        """What a person reads there."""
        return self.run("return document.querySelector(arguments[0]).innerText", selector)

    def count(self, selector: str) -> int:
        """How many elements there are."""
        return self.run("return document.querySelectorAll(arguments[0]).length", selector)

    def click(self, selector: str) -> None:
        """Click the first element."""
        self.run("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", selector)
        self.driver.find_element("css selector", selector).click()

    def hover(self, selector: str, until: str) -> None:
        """Move the pointer over the first element until a function body returns true."""
        from selenium.webdriver import ActionChains  # noqa: PLC0415  may be missing

        self.run("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", selector)
        offsets = itertools.cycle((0, 2))

        def moved(driver: Any) -> bool:
            element = driver.find_element("css selector", selector)
            ActionChains(driver).move_to_element_with_offset(element, next(offsets), 0).perform()
            return bool(self.run(until))

        self._wait_until(moved)

    def write(self, selector: str, text: str) -> None:
        """Replace what is in a field, key by key."""
        field = self.driver.find_element("css selector", selector)
        field.clear()
        field.send_keys(text)

    def complaints(self) -> list[str]:
        """All that the console shows since last asked: errors, warnings, breaches of the policy."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """All that was asked for since last asked, over the network or from disk."""
        events = [json.loads(e["message"])["message"] for e in self.driver.get_log("performance")]
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def emulate(self, *, width: int, scheme: str) -> None:
        """Be a screen of this width in a system that prefers `light` or `dark`."""
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


@contextmanager
def chromium(profile: Path) -> Iterator[Page]:
    """Start a browser with an empty profile; skip, naming what to install, where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium: extra [test]")
    from selenium.webdriver.chrome.service import Service  # noqa: PLC0415  may be missing

    browser, driver = _found("chromium", "google-chrome"), _found("chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(driver, env=_environment()))
    try:
        yield Page(started)
    finally:
        started.quit()


def _found(*names: str) -> str:
    for name in names:
        if path := shutil.which(name):
            return path
    pytest.skip(f"needs {names[0]}: apt-get install chromium chromium-driver")


def _environment() -> dict[str, str]:
    """Chromium must not go through a proxy to reach its driver."""
    return {**os.environ, "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}

"""A headless Chromium for tests of pages, and what they ask of it."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("selenium", reason="selenium is not installed")
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException

BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
DRIVER = shutil.which("chromedriver")
needs_chromium = pytest.mark.skipif(not (BROWSER and DRIVER), reason="there is no Chromium with its driver here")
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage", "--window-size=1280,1000")  # fmt: skip


@contextlib.contextmanager
def started(profile: Path) -> Iterator[webdriver.Chrome]:
    """The browser, with a profile of its own."""
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in (*QUIET, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def scheme(browser, name: str) -> None:
    """What the system says of light and dark."""
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": name}]}
    )


def all_of(browser, selector: str) -> list:
    return browser.find_elements("css selector", selector)


def one(browser, selector: str):
    return browser.find_element("css selector", selector)


def wait(condition) -> None:
    """Until a click has had its effect, which comes a moment later and may replace what is looked at."""
    for _ in range(500):
        with contextlib.suppress(StaleElementReferenceException):
            if condition():
                return
        time.sleep(0.02)
    raise AssertionError("it never happened")

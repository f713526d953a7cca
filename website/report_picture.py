"""Takes the picture of a report that the home page shows: `python website/report_picture.py everyday-report.html`.

It needs Chromium with its driver, and selenium. The report is that of the quick start (`curate report everyday`).
"""

from __future__ import annotations

import base64
import shutil
import sys
from pathlib import Path

_PICTURE = Path(__file__).resolve().parents[1] / "docs" / "assets" / "report.png"
_WIDTH = 860


def take(report: Path) -> None:
    """Writes the funnel of a report, chart and table, as a picture."""
    from selenium import webdriver

    # Named, so that selenium looks for neither on the network.
    driver, browser_path = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or browser_path is None:
        sys.exit("there is no chromium with its chromedriver here")
    options = webdriver.ChromeOptions()
    options.binary_location = browser_path
    for argument in ("--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={_WIDTH},2000"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        browser.get(report.resolve().as_uri())
        box = "return document.querySelector(arguments[0]).getBoundingClientRect().toJSON()"
        top = browser.execute_script(box, "#funnel")["top"]
        height = browser.execute_script(box, "table.funnel")["bottom"] - top + 12
        clip = {"x": 0, "y": top, "width": _WIDTH, "height": height, "scale": 1}
        shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True})
    finally:
        browser.quit()
    _PICTURE.write_bytes(base64.b64decode(shot["data"]))


if __name__ == "__main__":
    take(Path(sys.argv[1]))

"""The map of `curate view` in a real browser: by keyboard and mouse, in the dark, on a phone."""

from __future__ import annotations

import pytest
from chromium import all_of, needs_chromium, one, scheme, started, wait
from map_bench import SAID, make_store
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys
from view_bench import serving

from outputs.view import View

pytestmark = needs_chromium
COLOURS = """
const c = document.getElementById("map"), count = {};
const copy = new OffscreenCanvas(c.width, c.height).getContext("2d", {willReadFrequently: true});
copy.drawImage(c, 0, 0);
const d = copy.getImageData(0, 0, c.width, c.height).data;
for (let i = 0; i < d.length; i += 4)
  if (d[i + 3] > 150) { const k = [d[i], d[i + 1], d[i + 2]].join(); count[k] = (count[k] || 0) + 1; }
return Object.entries(count).sort((a, b) => b[1] - a[1]).map(([k]) => k);
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with started(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    with serving(View(make_store(tmp_path_factory.mktemp("map")), "talk")) as one:
        yield one


@pytest.fixture
def on_map(browser, mapped):
    """The browser on a map whose points are drawn; afterwards no line in its console."""
    browser.get("about:blank")
    scheme(browser, "light")
    browser.get_log("browser")
    browser.get(f"http://{mapped.host}{mapped.start}")
    browser.get(f"http://{mapped.host}{mapped.base}/map")
    wait(lambda: all_of(browser, "#map[data-ready]"))
    yield browser
    assert "curate view" in browser.title
    assert browser.get_log("browser") == []


def drawn(browser) -> list[str]:
    """The colours on the canvas, the commonest first."""
    return browser.execute_script(COLOURS)


def test_a_point_shows_its_translations_and_leads_to_its_row(on_map):
    canvas = one(on_map, "#map")
    for _ in range(8):  # the point nearest to the middle, until it is one with translations
        canvas.send_keys(Keys.ARROW_RIGHT)
        if len(shown := all_of(on_map, "#near .text")) == 5:
            break
    assert one(on_map, "#near").is_displayed() and {text.get_attribute("lang") for text in shown} == {
        "en",
        "de",
        "ar",
        "th",
        "zh",
    }
    arabic = one(on_map, "#near .text[lang=ar]")
    assert arabic.get_attribute("dir") == "auto" and arabic.text in {
        ask for said in SAID["ar"] for n in range(9) for ask in [f"{said[0]} ({n})"]
    }
    assert one(on_map, "#said").text == all_of(on_map, "#near p")[0].text  # a screen reader says it
    canvas.send_keys(Keys.ENTER)
    wait(lambda: "/row/" in on_map.current_url and all_of(on_map, "article.row"))


def test_a_region_is_selected_with_the_mouse_and_its_rows_shown(on_map):
    canvas = one(on_map, "#map")
    one(on_map, "#select").click()
    on_map.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    size = canvas.size
    half = size["height"] // 2 + 20  # all of it: it is a square in the middle
    ActionChains(on_map).move_to_element_with_offset(
        canvas, -half, -size["height"] // 2 + 2
    ).click_and_hold().move_by_offset(2 * half, size["height"] - 4).release().perform()
    wait(lambda: all_of(on_map, "#said a"))
    kept, dropped = all_of(on_map, "#said a")
    assert (kept.text, dropped.text) == ("61 kept rows", "1 dropped rows")
    kept.click()
    wait(lambda: all_of(on_map, "#rows > details"))
    wait(lambda: one(on_map, "#said").text == "1–50 of 61")
    assert "region=" in on_map.current_url


def test_the_map_is_coloured_by_what_one_chooses_in_light_and_dark(on_map):
    colours = one(on_map, "[name=colours]")
    assert [button.text for button in all_of(on_map, "#legend button")][:2] == ["German 13", "English 13"]
    light = drawn(on_map)
    colours.send_keys("kept")
    wait(lambda: len(all_of(on_map, "#legend button")) == 2)
    assert [button.text for button in all_of(on_map, "#legend button")] == ["kept 61", "dropped by similarity 1"]
    wait(lambda: drawn(on_map) != light)
    before = drawn(on_map)[0]
    scheme(on_map, "dark")
    wait(lambda: drawn(on_map) and drawn(on_map)[0] != before)
    all_of(on_map, "#legend button")[0].click()
    assert all_of(on_map, "#legend [aria-pressed=false]")


def test_a_map_fits_a_phone(on_map):
    on_map.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    )
    try:
        assert on_map.execute_script("return document.documentElement.scrollWidth <= innerWidth")
        assert 0 < one(on_map, "#map").size["width"] <= 390
    finally:
        on_map.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

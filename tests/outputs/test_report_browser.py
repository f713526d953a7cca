"""The report in a real browser, from a file: it opens at once and quietly, and a person finds what happened to a
row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from chromium import all_of, needs_chromium, one, scheme, started, wait
from report_bench import SAID, shared_store

from curate.engine.store.store import Store
from outputs.report import report

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with started(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return shared_store(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def file(store, tmp_path_factory) -> Path:
    path = tmp_path_factory.getbasetemp() / "a report #1.html"  # as test_report.py makes it
    return path if path.exists() else report(store, "sea", path, sample=100).path


@pytest.fixture
def opened(browser, file):
    browser.get("about:blank")
    scheme(browser, "light")
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(file.as_uri())
    yield browser
    assert browser.title == "sea · curate report"  # no row has run
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


def choose(browser, name: str, value: str) -> None:
    browser.execute_script(
        "const e = document.getElementById(arguments[0]); e.value = arguments[1]; e.dispatchEvent(new Event(e.tagName "
        "=== 'INPUT' ? 'input' : 'change'));",
        name,
        value,
    )


def test_it_asks_for_nothing_but_itself(opened, file):
    asked = [
        message["params"]["request"]["url"]
        for entry in opened.get_log("performance")
        if (message := json.loads(entry["message"])["message"])["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]


def test_three_clicks_tell_why_a_chinese_row_was_dropped(opened):
    one(opened, "a[href='#rows?state=dropped&language=zh&step=shape']").click()
    wait(lambda: len(all_of(opened, "#dropped-rows details.row")) == 1)
    row = one(opened, "#dropped-rows details.row")
    row.find_element("css selector", "summary").click()
    wait(lambda: all_of(opened, "#dropped-rows .why"))
    told = one(opened, "#dropped-rows .why").text
    assert "Dropped by shape for max_chars" in told
    assert "above the threshold 600 for Chinese" in told
    assert SAID["zh"][1] in row.text
    assert not one(opened, "#kept-rows").is_displayed()


def test_filters_and_search_find_rows(opened):
    choose(opened, "filter-language", "th")
    kept = all_of(opened, "#kept-rows details.row")
    assert len(kept) == 6
    assert all(SAID["th"][0] in row.text for row in kept)
    assert one(opened, "#kept-status").text == "6 of 6"
    choose(opened, "filter-text", "(3)")
    assert len(all_of(opened, "#kept-rows details.row")) == 1
    one(opened, "#filter-clear").click()
    choose(opened, "filter-step", "duplicates")
    assert len(all_of(opened, "#dropped-rows details.row")) == 2
    reasons = [
        option.get_attribute("value")
        for option in all_of(opened, "#filter-reason option")
        if not option.get_attribute("hidden")
    ]
    assert reasons == ["", "duplicate"]
    choose(opened, "filter-text", "</SCRIPT>")
    assert all_of(opened, "#dropped-rows details.row") == []
    choose(opened, "filter-text", "abcdef0123456789")
    assert "--rows abcdef0123456789" in one(opened, "#no-rows").text


def test_a_row_is_found_by_its_id_and_unfolds_what_it_was_dropped_for(opened):
    choose(opened, "filter-step", "duplicates")
    dropped = one(opened, "#dropped-rows details.row").get_attribute("data-id")
    one(opened, "#filter-clear").click()
    choose(opened, "filter-text", dropped)
    row = one(opened, "#dropped-rows details.row")
    row.find_element("css selector", "summary").click()
    wait(lambda: all_of(opened, "#dropped-rows .relative"))
    assert "Duplicate of" in one(opened, "#dropped-rows .why").text
    assert "white and alone above the grey water" in one(opened, "#dropped-rows .relative").text
    link = one(opened, "#dropped-rows .why a")
    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", link)
    link.click()
    wait(lambda: one(opened, "#chosen").is_displayed())
    assert "no step dropped it" in one(opened, "#chosen-row .why").text
    assert opened.switch_to.active_element.get_attribute("id") == "chosen-title"


def test_texts_run_in_their_own_direction(opened):
    for language in ("ar", "he", "fa", "ur", "zh", "ja", "th"):
        choose(opened, "filter-language", language)
        one(opened, "#kept-rows summary").click()
        wait(lambda: all_of(opened, "#kept-rows .turn .text"))
        text = one(opened, "#kept-rows .turn .text")
        assert text.get_attribute("lang") == language
        assert text.value_of_css_property("direction") == ("rtl" if language in ("ar", "he", "fa", "ur") else "ltr")


def test_unseen_signs_are_seen(opened):
    choose(opened, "filter-text", "left open")
    signs = [sign.text for sign in all_of(opened, "#kept-rows .sign")]
    assert signs[:3] == ["U+202E", "U+202C", "U+2067"]
    assert "\u202e" not in one(opened, "#kept-rows").get_attribute("textContent")


def test_dark_and_light_follow_the_reader_and_his_choice(opened):
    def colours() -> tuple[str, str]:
        body = one(opened, "body")
        return body.value_of_css_property("background-color"), body.value_of_css_property("color")

    light = colours()
    assert light[0] in ("rgb(255, 255, 255)", "rgba(255, 255, 255, 1)")
    scheme(opened, "dark")
    dark = colours()
    assert dark != light
    button = one(opened, "#theme")
    button.click()
    assert button.text == "Colours: light"
    assert colours() == light
    scheme(opened, "light")
    button.click()
    assert colours() == dark
    opened.refresh()
    assert colours() == dark  # it was remembered
    one(opened, "#theme").click()
    assert colours() == light


def test_charts_take_the_colours_of_the_page_and_the_chosen_language(opened):
    opened.execute_script("document.querySelectorAll('details.score').forEach((one) => { one.open = true; })")
    seen = [part for part in all_of(opened, ".of-language") if part.is_displayed()]
    assert seen
    assert {part.get_attribute("data-language") for part in seen} == {"*"}
    choose(opened, "chart-language", "ar")
    assert {part.get_attribute("data-language") for part in all_of(opened, ".of-language") if part.is_displayed()} == {
        "ar"
    }
    rect = one(opened, ".of-language[data-language='ar'] svg rect.kept")
    kept = opened.execute_script("return getComputedStyle(document.documentElement).getPropertyValue('--kept')")
    assert rect.value_of_css_property("fill") == _rgb(kept)
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                           {"width": 380, "height": 800, "deviceScaleFactor": 1, "mobile": True})  # fmt: skip
    try:  # letters keep their size on a phone
        sizes = {text.value_of_css_property("font-size") for text in all_of(opened, ".axis span, .levels .name")}
        assert min(float(size.removesuffix("px")) for size in sizes) >= 12
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def _rgb(written: str) -> str:
    digits = written.strip().lstrip("#")
    return f"rgb({', '.join(str(int(digits[at : at + 2], 16)) for at in (0, 2, 4))})"


def test_it_is_walked_through_with_the_keyboard(opened):
    from selenium.webdriver.common.keys import Keys

    body = one(opened, "body")
    body.send_keys(Keys.TAB)
    assert opened.switch_to.active_element.get_attribute("class") == "skip"
    assert opened.switch_to.active_element.value_of_css_property("outline-style") == "solid"
    choose(opened, "filter-language", "zh")
    summary = one(opened, "#kept-rows summary")
    opened.execute_script("arguments[0].focus()", summary)
    opened.switch_to.active_element.send_keys(Keys.ENTER)
    wait(lambda: all_of(opened, "#kept-rows .why"))
    boxes = all_of(opened, "#filters select, #filters input")
    assert all(opened.execute_script("return arguments[0].labels.length", box) == 1 for box in boxes)


def test_a_link_to_filters_or_a_row_opens_there(browser, file, opened):
    browser.get("about:blank")
    browser.get(f"{file.as_uri()}#rows?language=ja&state=kept")
    wait(lambda: len(all_of(browser, "#kept-rows details.row")) == 6)
    row = one(browser, "#kept-rows details.row").get_attribute("data-id")
    browser.get("about:blank")
    browser.get(f"{file.as_uri()}#row={row}")
    wait(lambda: one(browser, "#chosen").is_displayed())
    assert SAID["ja"][0] in one(browser, "#chosen-row").text


def test_a_link_to_a_row_that_is_not_there_says_so(browser, file, opened):
    for wrong in ("0" * 32, "%E0%A4%A", "<b>"):
        browser.get("about:blank")
        browser.get(f"{file.as_uri()}#row={wrong}")
        wait(lambda: one(browser, "#chosen").is_displayed())
        assert "is not part of this report" in one(browser, "#chosen-row").text


def test_a_narrow_screen_needs_no_scrolling_sideways(opened):
    opened.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 400, "height": 900, "deviceScaleFactor": 1, "mobile": True}
    )
    try:
        opened.refresh()
        opened.execute_script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        wait(lambda: all_of(opened, "#kept-rows .why"))
        assert opened.execute_script("return document.documentElement.scrollWidth") <= 400
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_without_a_script_the_figures_are_all_there(browser, file, opened):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(file.as_uri())
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
        assert "needs JavaScript" in one(browser, "noscript").get_attribute("textContent")
        assert len(all_of(browser, "#kept-rows > details.row")) > 25  # all rows of the sample
        assert not one(browser, "#filters").is_displayed()
        assert one(browser, "table.funnel").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})

"""`curate view` in a real browser: with the keyboard, in the dark, on a phone, from right to left; quietly, and asking
nobody else."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from chromium import all_of, needs_chromium, one, scheme, started, wait
from report_bench import SAID
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys
from view_bench import make_store, serving

from curate.preferences.review.labels_file import Label, read_labels
from outputs.view import View

pytestmark = needs_chromium


def labelled(file: Path) -> list[Label]:
    """The labels that were written so far."""
    return read_labels([file]) if file.exists() else []


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with started(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def labels(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("labels") / "labels.jsonl"


@pytest.fixture(scope="module")
def client(tmp_path_factory, labels):
    folder = tmp_path_factory.mktemp("view") / "sea"
    store = make_store(folder)
    with serving(View(store, "sea", catalog=folder / "catalog.yaml", labels=labels, annotator="mary")) as one:
        one.catalog = folder / "catalog.yaml"
        yield one


@pytest.fixture
def opened(browser, client):
    """The browser on the overview, with the token spent; afterwards no line in its console, no request elsewhere."""
    browser.get("about:blank")
    scheme(browser, "light")
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(f"http://{client.host}{client.start}")
    assert "token" not in browser.current_url
    yield browser
    assert "curate view" in browser.title  # no row has run
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]
    assert {urlsplit(url).netloc for url in asked if not url.startswith(("data:", "about:"))} <= {client.host}


def visit(browser, address: str) -> None:
    browser.get(address)
    wait(lambda: all_of(browser, "html.scripted"))  # before it the keys are not known


def go(browser, client, path: str) -> None:
    visit(browser, f"http://{client.host}{client.base}{path}")


def press(browser, *keys: str) -> None:
    for key in keys:
        ActionChains(browser).send_keys(key).perform()


def focused(browser) -> str | None:
    """The id of the row that has the focus."""
    return browser.execute_script("return document.activeElement.closest('.row')?.dataset.id ?? null")


def marks(browser) -> list[str]:
    """The labels that the list of rows shows."""
    return browser.execute_script(
        "return [...document.querySelectorAll('#rows .labelled')].map((one) => one.textContent)"
    )


def test_a_number_of_the_funnel_leads_to_the_rows_that_were_dropped(opened):
    one(opened, "a[href*='state=dropped'][href*='language=zh']").click()  # a bar
    wait(lambda: all_of(opened, "#rows > details"))
    [row] = all_of(opened, "#rows > details")
    row.find_element("css selector", "a.to-row").click()
    wait(lambda: all_of(opened, "#rows .why"))
    assert "shape.response_chars is 3, below the threshold 20 for Chinese" in one(opened, "#rows .why").text


def test_choosing_a_language_shows_its_rows_at_once_and_texts_run_in_their_direction(opened, client):
    go(opened, client, "/rows")
    for language in ("ar", "ur", "th", "zh"):
        opened.execute_script(
            "const e = document.querySelector('[name=language]'); e.value = arguments[0]; "
            "e.dispatchEvent(new Event('change', {bubbles: true}));",
            language,
        )
        wait(
            lambda language=language: f"language={language}" in opened.current_url and all_of(opened, "#rows > details")
        )
        assert "state=" not in opened.current_url and "text=" not in opened.current_url
        one(opened, "#rows summary .state").click()
        wait(lambda: all_of(opened, "#rows .texts .turn .text"))
        text = all_of(opened, "#rows .texts .turn.of-assistant .text")[0]
        assert text.text == SAID[language][1]
        assert text.value_of_css_property("direction") == ("rtl" if language in ("ar", "ur") else "ltr")


def test_rows_are_labelled_with_the_keyboard(opened, client, labels):
    go(opened, client, "/rows?language=th")
    first, second = (row.get_attribute("data-id") for row in all_of(opened, "#rows > details"))
    press(opened, "j")
    assert focused(opened) == first
    press(opened, "1")
    wait(lambda: labels.exists())
    press(opened, "j")
    assert focused(opened) == second
    press(opened, "2")
    wait(lambda: len(labelled(labels)) == 2)
    assert {one.id: one.verdict for one in labelled(labels)} == {first: "good", second: "bad"}
    wait(lambda: marks(opened) == ["good", "bad"])
    press(opened, "n")
    press(opened, *"ไม่ใช่ 1", Keys.ENTER)
    wait(lambda: any(one.comment == "ไม่ใช่ 1" for one in labelled(labels)))
    assert {one.id: one.verdict for one in labelled(labels)} == {first: "good", second: "bad"}
    press(opened, Keys.ESCAPE, "z")
    wait(lambda: not any(one.comment for one in labelled(labels)))
    press(opened, "z")
    wait(lambda: len(labelled(labels)) == 1)
    wait(lambda: marks(opened) == ["good"])
    go(opened, client, "/rows?language=th")
    assert marks(opened) == ["good"]
    press(opened, "j", "z", "z")
    wait(lambda: labelled(labels) == [])


def select(browser, selector: str, start: int, end: int) -> None:
    """Selects UTF-16 units of the text in an element, across the elements within it."""
    browser.execute_script(
        """const walk = document.createTreeWalker(document.querySelector(arguments[0]), NodeFilter.SHOW_TEXT);
        const range = document.createRange();
        for (let at = 0; walk.nextNode();) {
            const next = at + walk.currentNode.length;
            if (at <= arguments[1] && arguments[1] < next) range.setStart(walk.currentNode, arguments[1] - at);
            if (at < arguments[2] && arguments[2] <= next) range.setEnd(walk.currentNode, arguments[2] - at);
            at = next;
        }
        getSelection().removeAllRanges(); getSelection().addRange(range);""",
        selector, start, end,
    )  # fmt: skip


def test_an_error_is_the_selected_text(opened, client, labels):
    go(opened, client, "/rows?language=ar")
    press(opened, "j", Keys.ENTER)
    wait(lambda: all_of(opened, "#rows .texts .of-assistant .text"))
    press(opened, "e")
    wait(lambda: "Select characters of one text" in one(opened, "form.labels [role=status]").text)
    answer = "#rows .texts .of-assistant .text"
    for start, end, note in ((5, 9, "no"), (7, 14, "")):  # the second begins within the mark of the first
        select(opened, answer, start, end)
        press(opened, "e", *note, Keys.ENTER)
        wait(lambda end=end: any(span.end == end for label in labelled(labels) for span in label.errors))
        wait(lambda end=end: any(f":{end}" in one.text for one in all_of(opened, ".errors code")))
        marked = SAID["ar"][1][5:end]
        wait(lambda marked=marked: "".join(mark.text for mark in all_of(opened, f"{answer} mark")) == marked)
    wait(lambda: len(all_of(opened, ".errors li")) == 2 and all_of(opened, "mark.error"))
    [label] = [label for label in labelled(labels) if label.errors]
    assert [(one.text, one.start, one.end, one.note) for one in label.errors] == [
        ("messages[1]", 5, 9, "no"),
        ("messages[1]", 7, 14, ""),
    ]
    assert "".join(mark.text for mark in all_of(opened, f"{answer} mark")) == SAID["ar"][1][5:14]
    assert label.verdict is None
    for button in range(2):
        wait(lambda button=button: len(all_of(opened, ".errors button")) == 2 - button)
        one(opened, ".errors button").click()
    wait(lambda: not any(label.errors for label in labelled(labels)) and not all_of(opened, "mark.error"))


def test_signs_for_invisible_characters_count_as_one(opened, client, labels):
    go(opened, client, "/rows?text=gnp")
    press(opened, "j", Keys.ENTER)
    wait(lambda: all_of(opened, "#rows .texts .of-user .sign"))
    shown = one(opened, "#rows .texts .of-user .text").text
    at = shown.index("gnp")
    assert at == len("U+202E")
    select(opened, "#rows .texts .of-user .text", at, at + 3)
    press(opened, "e", Keys.ENTER)
    wait(lambda: any(label.errors for label in labelled(labels)))
    assert [(span.start, span.end) for label in labelled(labels) for span in label.errors] == [(1, 4)]
    press(opened, Keys.ESCAPE, "z")
    wait(lambda: not any(label.errors for label in labelled(labels)))


def test_of_labels_given_quickly_the_last_stays(opened, client, labels):
    go(opened, client, "/rows?language=he")
    press(opened, "j", "1")
    wait(lambda: all_of(opened, "#rows form.labels"))
    for keys in ("123", "231", "312"):
        ActionChains(opened).send_keys(*keys).perform()
        last = {"1": "good", "2": "bad", "3": "unsure"}[keys[-1]]
        wait(lambda last=last: marks(opened) == [last] and last in {one.verdict for one in labelled(labels)})
    go(opened, client, "/rows?language=he&label=none")
    assert len(all_of(opened, "#rows > details")) == 1  # of two rows in Hebrew


def test_back_leads_to_the_filter_that_was_there(opened, client):
    go(opened, client, "/rows?language=ar")
    go(opened, client, "/rows?language=th")
    opened.back()
    wait(lambda: "language=ar" in opened.current_url and all_of(opened, "#rows > details"))
    assert one(opened, "[name=language]").get_attribute("value") == "ar"
    assert all_of(opened, "#rows span[lang=ar]")


def test_pairs_have_their_own_labels(opened, client, labels):
    visit(opened, f"http://{client.host}/pairs/rows?language=en")
    press(opened, "j", "2")
    wait(lambda: any(one.choice == "rejected" for one in labelled(labels)))
    wait(lambda: all_of(opened, ".labels [aria-pressed=true]"))
    assert one(opened, ".labels [aria-pressed=true]").text.startswith("Rejected is better")
    sides = [side.rect for side in all_of(opened, ".sides .side")]
    assert sides[0]["y"] == sides[1]["y"] and sides[0]["x"] < sides[1]["x"]


def test_keys_are_letters_where_one_writes(opened, client, labels):
    before = labels.read_bytes() if labels.exists() else b""
    go(opened, client, "/rows")
    press(opened, "/")
    assert opened.switch_to.active_element.get_attribute("name") == "text"
    press(opened, *"jk12ez")
    assert opened.switch_to.active_element.get_attribute("value") == "jk12ez"
    assert (labels.read_bytes() if labels.exists() else b"") == before


def test_a_threshold_moves_with_the_slider_and_the_change_is_shown(opened, client):
    go(opened, client, "/thresholds?threshold=shape.min_response_chars")
    assert "0 added, 0 removed" in one(opened, "#moved .moves").text
    opened.execute_script(
        "const s = document.getElementById('slide'); "
        "for (const v of [30, 50, 60]) { s.value = v; s.dispatchEvent(new Event('input')); }"
    )
    wait(lambda: "at 60: 0 added, 11 removed" in one(opened, "#moved .moves").text)
    assert one(opened, "#value").get_attribute("value") == "60"
    wait(lambda: "value=60" in opened.current_url)
    press_on = one(opened, "#slide")
    press_on.send_keys(Keys.ARROW_RIGHT)
    wait(lambda: "at 60:" not in one(opened, "#moved .moves").text)
    assert one(opened, "svg.columns").get_attribute("aria-label").startswith("shape.response_chars in all languages")
    one(opened, "#moved a.button").click()
    wait(lambda: all_of(opened, "pre.diff"))
    assert "-          min_response_chars: 20  # a short answer" in one(opened, "pre.diff").text
    one(opened, "main form button").click()
    wait(lambda: "is written" in one(opened, "main").text)
    assert "min_response_chars: 20 " not in client.catalog.read_text(encoding="utf-8")


def test_every_control_has_a_name_and_tab_reaches_the_content_first(opened, client):
    for path in ("/rows?state=dropped", "/thresholds"):
        go(opened, client, path)
        for row in all_of(opened, "#rows > details")[:1]:
            row.find_element("css selector", ".state").click()
            wait(lambda: all_of(opened, "form.labels"))
        tree = opened.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        named = {
            "button",
            "link",
            "textbox",
            "searchbox",
            "combobox",
            "slider",
            "spinbutton",
            "image",
            "form",
            "search",
        }
        for node in tree:
            if node.get("role", {}).get("value") in named and not node.get("ignored"):
                assert node.get("name", {}).get("value", "").strip(), node
        go(opened, client, path)
        one(opened, "body").send_keys(Keys.TAB)
        assert opened.switch_to.active_element.get_attribute("class") == "skip"
        assert opened.switch_to.active_element.value_of_css_property("outline-style") == "solid"


def test_dark_and_light_follow_the_system_and_the_button(opened, client):
    go(opened, client, "/rows")

    def paper() -> str:
        return one(opened, "body").value_of_css_property("background-color")

    light = paper()
    scheme(opened, "dark")
    dark = paper()
    assert dark != light
    one(opened, "#theme").click()
    assert paper() == light
    go(opened, client, "/thresholds")
    assert paper() == light  # it was remembered
    one(opened, "#theme").click()
    one(opened, "#theme").click()
    assert paper() == dark


@pytest.mark.parametrize("path", ["", "/rows?state=dropped", "/rows?text=gnp", "/thresholds?value=40"])
def test_a_phone_needs_no_scrolling_sideways(opened, client, path):
    opened.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 380, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    )
    try:
        go(opened, client, path)
        opened.execute_script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        wait(lambda: all(row.find_elements("css selector", ".why") for row in all_of(opened, "#rows > details")))
        opened.execute_script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert opened.execute_script("return document.documentElement.scrollWidth") <= 380
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_without_a_script_rows_are_read_and_labelled(opened, client, labels):
    opened.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        opened.get(f"http://{client.host}{client.base}/rows?language=ja")
        one(opened, "#rows a.to-row").click()
        one(opened, "form.labels button[value=unsure]").click()
        wait(lambda: all_of(opened, "form.labels [aria-pressed=true]"))
        assert one(opened, "form.labels [aria-pressed=true]").get_attribute("value") == "unsure"
        assert any(one.verdict == "unsure" for one in labelled(labels))
    finally:
        opened.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})

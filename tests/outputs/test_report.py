"""The report as a document: complete, self-contained, well-formed, and nothing in it that a row put there."""

from __future__ import annotations

import base64
import hashlib
import html
import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from report_bench import EXAM, OVERRIDE, SAID, SCRIPT, make_kinds, shared_store
from typer.testing import CliRunner

from curate.cli.report import app
from curate.engine.store.store import Store
from curate.errors import ExportError, StoreError
from curate.records.markup import direction, joined, tag, text
from outputs.report import report
from outputs.report.charts import bars, columns
from outputs.report.messages import messages
from outputs.report.page import embedded
from outputs.report.thresholds import ProbedRow, limits

VOID = {"br", "col", "hr", "img", "input", "link", "meta"}


class Reader(HTMLParser):
    """Elements with their attributes and paths, texts by element; complains where an end has no beginning."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.wrong: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        if len({name for name, _ in attrs}) != len(attrs):
            self.wrong.append(f"twice the same attribute: {tag} {attrs}")
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return shared_store(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def made(store, tmp_path_factory):
    return report(store, "sea", tmp_path_factory.getbasetemp() / "a report #1.html", sample=100)


@pytest.fixture(scope="module")
def page(made) -> str:
    return made.path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def read(page) -> Reader:
    return Reader(page)


@pytest.fixture(scope="module")
def data(page) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])


def rows_of(page: str) -> list[tuple[str, str]]:
    """Each row's HTML and language."""
    boxes = re.split(r'(?=<details class="row")', page.split('id="kept-rows"')[1])[1:]
    return [(box, re.search(r'data-language="([^"]*)"', box)[1]) for box in boxes]


def id_of(row: str) -> str:
    return re.search(r'data-id="([0-9a-f]{32})"', row)[1]


def test_every_element_is_closed_and_every_id_is_there_once(read):
    assert read.wrong == []
    assert read.open == []
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in read.elements:
        if (named := attributes.get("aria-labelledby")) is not None:
            assert named in ids


def test_nothing_is_loaded_from_elsewhere(read, page):
    for name, attributes in read.elements:
        assert "src" not in attributes
        assert not any(key.startswith("on") for key in attributes)
        if "href" in attributes:
            assert attributes["href"].startswith("#"), (name, attributes)
    assert not read.named("link")
    assert not read.named("img")
    assert "@import" not in page
    assert not re.search(
        r"url\((?!#)",
        re.search(r"<style>(.*?)</style>", page, re.S)[1] + "".join(re.findall(r"<svg.*?</svg>", page, re.S)),
    )


def test_the_policy_lets_in_just_this_script(read, page):
    [policy] = [one["content"] for one in read.named("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    scripts = re.findall(r"<script>(.*?)</script>", page, re.S)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; ")
    assert f"script-src 'sha256-{digest}'" in policy
    assert "eval(" not in scripts[0]
    assert "innerHTML" not in scripts[0]


def test_hostile_rows_are_text_and_nothing_else(read, page):
    assert len(read.named("script")) == 2
    assert page.count("<script") == 2
    assert "onerror" in page  # the row is there …
    assert 'onerror="' not in page  # … and is no markup
    for sign in "\u2028\u2029\u202e\u2067\x07\ufeff":
        assert sign not in page
    assert text(SCRIPT) in page and text(OVERRIDE) in page  # whole: what is unseen is written out
    assert text("one\u2028two\u2029three\x07four\ufefffive") in page


def test_there_are_landmarks_headings_and_captions(read):
    names = [name for name, _ in read.elements]
    for landmark in ("header", "nav", "main", "footer"):
        assert names.count(landmark) == 1
    assert names.count("h1") == 1
    levels = [int(name[1]) for name in names if re.fullmatch(r"h[1-6]", name)]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert names.count("caption") == names.count("table")
    assert all(one.get("scope") in ("row", "col") for one in read.named("th"))
    assert all("aria-labelledby" in one for one in read.named("section"))
    for attributes in read.named("svg"):
        assert attributes["role"] == "img"
        assert attributes["aria-label"]
    assert read.named("html")[0]["lang"] == "en"


def test_texts_say_their_language_and_direction(page):
    seen = {}
    for row, language in rows_of(page):
        for spoken, way in re.findall(r'<div class="text"[^>]* lang="([^"]+)" dir="([^"]+)">', row):
            if language in SAID and spoken == language and html.escape(SAID[language][0][:5]) in row:
                seen.setdefault(language, set()).add((spoken, way))
    assert seen == {tag: {(tag, "rtl" if tag in ("ar", "he", "ur", "fa") else "ltr")} for tag in SAID}


@pytest.mark.parametrize(
    ("said", "language", "way"),
    [
        ("مرحبا", "ar", "rtl"),
        ("def f(): # مرحبا", "ar", "rtl"),
        ("def f()", "ar", "ltr"),
        ("123", "he", "rtl"),
        ("", "fa", "rtl"),
        ("שלום", "en", "rtl"),
        ("hello שלום there", "en", "ltr"),
        ("你好", "zh", "ltr"),
        ("سلام", "az-Arab", "rtl"),
        ("سلام", "not a tag", "rtl"),
    ],
)
def test_direction_is_that_of_the_language_unless_letters_say_otherwise(said, language, way):
    assert direction(said, language) == way


def test_the_funnel_tells_the_same_as_the_manifest(store, read, data):
    manifest = store.manifest("sea", store.resolve("sea"))
    kept = sum(count for _, step, _, count in data["counts"] if not step)
    dropped = {(step, language): 0 for _, step, _, _ in data["counts"] for language in SAID}
    for language, step, _, count in data["counts"]:
        if step:
            dropped[step, language] += count
    assert kept == manifest["rows"]
    for one in manifest["funnel"]["steps"]:
        for language, reasons in one["languages"].items():
            gone = sum(count for reason, count in reasons.items() if reason != "kept")
            assert dropped.get((one["step"], language), 0) == gone
    links = [one["href"] for one in read.named("a")]
    assert "#rows?state=dropped&language=zh&step=shape" in links


def test_dropped_rows_carry_the_threshold_that_dropped_them(page):
    [long] = [row for row, language in rows_of(page) if 'data-step="shape"' in row and language == "zh"]
    assert "above the threshold 600 for Chinese" in long
    assert "max_chars: dropped above 600" in long


def test_duplicates_contamination_judges_and_cost_are_told(page, read):
    plain = " ".join(text for _, text in read.texts)
    assert "3 rows: " in plain
    assert "3 rows are in 1 cluster of two or more" in plain
    assert re.search(r"<mark>[^<]*meets the mail boat[^<]*</mark>", page)
    assert EXAM.split(";")[1].strip()[:20] in plain
    assert "disabled in these languages" in plain
    assert "0.31 – 0.53" in plain
    assert "150 (140–170)" in plain
    assert "160" in plain
    assert "CC0-1.0" in plain


def test_the_same_version_gives_the_same_page(store, made, tmp_path):
    again = report(store, "sea", tmp_path / "again.html", sample=100)
    assert again.path.read_bytes() == made.path.read_bytes()


def test_a_small_sample_is_even_and_says_how_much_it_shows(store, tmp_path):
    few = report(store, "sea", tmp_path / "few.html", sample=8)
    assert (few.kept, few.dropped) == (8, 8)
    page = few.path.read_text()
    assert "A sample of 8 of " in page
    assert {language for row, language in rows_of(page) if 'data-step=""' in row} == set(SAID)


def test_rows_that_are_asked_for_are_in_it(store, page, tmp_path):
    wanted = next(id_of(row) for row, language in rows_of(page) if language == "th" and 'data-step=""' in row)
    none = report(store, "sea", tmp_path / "none.html", sample=0, rows=[wanted[:12]])
    assert wanted in {id_of(row) for row, _ in rows_of(none.path.read_text())}
    with pytest.raises(ExportError, match="has no row ffffffff"):
        report(store, "sea", tmp_path / "x.html", rows=["ffffffff"])
    with pytest.raises(ExportError, match="is not a row id"):
        report(store, "sea", tmp_path / "x.html", rows=["'; DROP"])


def test_charts_have_the_numbers_of_the_tables_and_the_colours_of_the_page(page):
    drawn = re.findall(r"<svg.*?</svg>", page, re.S)
    assert len(drawn) > 10
    assert not re.search(r"(?:fill|stroke)[:=]", "".join(drawn))
    [levels] = re.findall(r'<div class="levels".*?</figure>', page, re.S)
    widths = [float(one) for one in re.findall(r"width:([\d.]+)%", levels)]
    totals = [int(one) for one in re.findall(r'<span class="number">(\d+)</span></div>', levels)]
    assert totals == [65, 56, 54, 53] and sum(widths) == pytest.approx(100 * sum(totals) / 65, abs=0.1)


def test_columns_are_as_high_as_their_rows_and_few_are_seen():
    edges = np.array([0.0, 0.5, 1.0])
    drawn = columns(
        edges, np.array([[1000, 1, 0], [500, 0, 0]]), [(0.25, "present"), (0.75, "moved"), (2, "moved")], "x"
    )
    rects = [dict(re.findall(r'(\w+)="([^"]*)"', one)) for one in re.findall(r"<rect [^>]*>", drawn)]
    heights = [float(one["height"]) for one in rects]
    assert heights[0] == pytest.approx(100 * 1000 / 1001, abs=0.01) and heights[2] == pytest.approx(49.95, abs=0.01)
    assert heights[1] == 1.5 and rects[1]["class"] == "dropped"  # one row beside a thousand
    assert re.findall(r'<line class="(\w+)" x1="([\d.]+)"', drawn) == [("present", "150.00"), ("moved", "450.00")]
    assert "1,001 rows" in drawn and "right:25.00%" in drawn
    assert "<a" not in bars(["read"], [("en", [0])], [["#rows"]], "nothing")  # and no division by zero


def test_warnings_of_one_form_are_one_and_what_concerns_languages_comes_first():
    names = {"sw": "Swahili", "yo": "Yoruba", "is": "Icelandic", "en": "English"}
    said = {
        "warnings": [
            "respond: 3 answers were cut off",
            *(f"retrieve: e5 does not know {one}; rows in it get nothing" for one in ("sw", "yo", "is")),
            "this is slow",
            "read news: 1 of 32 rows of news cannot be read; they are in the dataset's quarantined table",
            "read web.x: 2 of 9 rows of web.x cannot be read; they are in the dataset's quarantined table",
        ],
        "alarms": ["shape drops 40 % of Yoruba <b>", "shape drops 12 % of Swahili <b>"],
        "languages": {"sw": 7, "yo": 9, "en": 100},
    }
    made = messages(said, {"similarity": {"sw": 7, "en": 3}}, names)
    told = [re.sub(r"<[^>]*>", "", one) for one in re.findall(r'<li class="\w+">(.*?)(?=<li class=|$)', made)]
    assert [one[:44] for one in told] == [
        "Alarm: shape drops 40 % of Yoruba &lt;b&gt;a",
        "Warning: retrieve: e5 does not know sw; rows",
        "Not assessed: similarity could assess no row",
        "Not assessed: similarity could not assess so",
        "Warning: respond: 3 answers were cut off",
        "Warning: this is slow",
        "Warning: read news: 1 of 32 rows of news can",
    ]
    assert "and 1 more of this form" in told[0] and "and 2 more of this form" in told[1]
    assert "Swahili (7): 7 rows, which are kept" in told[2] and "and 1 more of this form" in told[6]
    assert messages({"languages": {}}, {}, {}) == "<p>The build reported no warnings.</p>"


def test_examples_near_the_top_are_of_many_languages(page):
    top = page[page.index('id="examples"') : page.index('id="funnel"')]
    kept, dropped = top.split("<h3>Dropped</h3>")
    assert len(set(re.findall(r'class="text" lang="(\w+)"', kept))) == 8
    assert len(re.findall(r'href="#row=[0-9a-f]{32}"', dropped)) == 8 and "shape: max_chars" in dropped


def test_what_cannot_be_written_is_said(store, tmp_path):
    with pytest.raises(ExportError, match="is a folder"):
        report(store, "sea", tmp_path)
    with pytest.raises(StoreError, match="no dataset 'se'"):
        report(store, "se", tmp_path / "x.html")
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="cannot be written"):
        report(store, "sea", tmp_path / "file" / "x.html")


def test_the_command_writes_the_file_and_says_what_is_in_it(store, page, tmp_path):
    to = tmp_path / "sub" / "page.html"
    wanted = id_of(rows_of(page)[0][0])
    done = CliRunner().invoke(
        app, ["sea@latest", "--to", str(to), "--store", str(store.root), "--sample", "9", "--rows", wanted]
    )
    assert done.exit_code == 0, done.output
    assert "with 9 kept and 9 dropped rows to look at" in done.output
    assert wanted in to.read_text()
    wrong = CliRunner().invoke(app, ["sea", "--store", str(store.root), "--to", str(to), "--rows", "xyz"])
    assert wrong.exit_code == 1
    assert "'xyz' is not a row id" in wrong.output


@pytest.fixture(scope="module")
def kinds(tmp_path_factory) -> Store:
    return make_kinds(tmp_path_factory.mktemp("kinds") / "store")


def test_preferences_pairs_and_documents_have_a_report_too(kinds, tmp_path):
    for name, said in (("pairs", "the same in English"), ("texts", "a running text"), ("likes", "a better answer")):
        made = report(kinds, name, tmp_path / f"{name}.html")
        page = made.path.read_text()
        assert Reader(page).wrong == []
        assert any(said in row for row, _ in rows_of(page))
    pair = rows_of((tmp_path / "pairs.html").read_text())[0][0]
    sides = re.findall(r'class="role">(\w+)</div><div class="text"[^>]* lang="(\w+)" dir="(\w+)"', pair)
    assert sides == [("source", "en", "ltr"), ("target", "ar", "rtl")]


def test_a_version_without_rows_has_a_report(kinds, tmp_path):
    made = report(kinds, "nothing", tmp_path / "empty.html")
    assert (made.kept, made.dropped) == (0, 2)
    assert Reader(made.path.read_text()).wrong == []


# ---------------------------------------------------------------------------------------------------------------- parts
def test_markup_escapes_all_but_markup():
    assert tag("p", "<b>", title='"><script>') == '<p title="&quot;&gt;&lt;script&gt;">&lt;b&gt;</p>'
    assert joined(["a", tag("br")], None, 3) == "a<br>3"
    assert text("a\u202eb") == 'a<span class="sign" title="U+202E RIGHT-TO-LEFT OVERRIDE">U+202E</span>b'
    with pytest.raises(ValueError, match="not an attribute"):
        tag("p", **{"x onload": "1"})


def test_data_cannot_leave_its_element():
    given = {"a": ["</script>", "<!--", "\u2028", "&", "\ud7ff"]}
    assert not set("<>&\u2028") & set(embedded(given))
    assert json.loads(embedded(given)) == given


def test_thresholds_are_those_of_the_rules():
    from curate.rows import Kind
    from curate.steps import Registry

    step = {
        "label": "tongue",
        "step": "language",
        "version": Registry.installed().get("step", "language").version,
        "models": {},
        "params": {"min": {"default": 0.3, "zh": 0.2}, "min_script": 0.25, "sure": 0.5},
    }
    rows = [ProbedRow(tag, {"tongue": 0.9, "tongue.other": 0.05, "tongue.script": 1.0}, {}) for tag in ("en", "zh")]
    rows += [
        ProbedRow(tag, {"tongue": 0.1, "tongue.other": 0.8, "tongue.script": 1.0}, {}, "tongue", "language")
        for tag in ("en", "zh")
    ]
    ranges = {"tongue": (0.0, 1.0), "tongue.other": (0.0, 0.9), "tongue.script": (0.5, 1.0)}
    found = {
        (one.score, one.language, one.side, one.value, one.alone)
        for one in limits([step], rows, ranges, [Kind.SFT], Registry.installed())
    }
    assert found == {
        ("tongue", "en", "below", 0.3, False),
        ("tongue", "zh", "below", 0.2, False),
        ("tongue.other", "en", "above", 0.5, False),
        ("tongue.other", "zh", "above", 0.5, False),
        ("tongue.script", "en", "below", 0.25, True),
        ("tongue.script", "zh", "below", 0.25, True),
    }


def test_a_step_that_is_not_installed_has_no_thresholds():
    from curate.rows import Kind
    from curate.steps import Registry

    step = {"label": "x", "step": "gone-plugin", "version": 1, "params": {"min": 1}, "models": {}}
    assert limits([step], [ProbedRow("en", {"x": 1.0}, {})], {"x": (0.0, 1.0)}, [Kind.SFT], Registry.installed()) == []


def test_the_file_is_found_where_it_was_asked_for(made):
    assert made.bytes == Path(made.path).stat().st_size

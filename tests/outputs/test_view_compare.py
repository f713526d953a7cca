"""Two versions beside each other, with the words marked that changed; a score by language and source."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from statistics import median

import pytest
from report_bench import SAID
from view_bench import CANARY, make_store, serving

import curate
from curate.engine.store.store import Store
from curate.rows import Kind
from outputs.view import View
from outputs.view.compare import changed_texts
from outputs.view.reading import Filter, Reader


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """``sea`` in two versions: a Chinese answer has another word, a short row came, a Japanese one went."""
    path = tmp_path_factory.mktemp("compare") / "sea"
    make_store(path)
    rows = [json.loads(line) for line in (path / "others.jsonl").read_text().splitlines()]
    chinese = next(row for row in rows if (row["item"], row["lang"]) == ("q0", "zh"))
    chinese["answer"] = chinese["answer"].replace("岩石", "山石")
    rows = [row for row in rows if (row["item"], row["lang"]) != ("q1", "ja")]
    (path / "others.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    catalog = (path / "catalog.yaml").read_text()
    (path / "catalog.yaml").write_text(catalog.replace("min_response_chars: 20", "min_response_chars: 5"))
    curate.build(path / "catalog.yaml", "sea")
    return path


@pytest.fixture(scope="module")
def client(folder, tmp_path_factory):
    with serving(View(Store(folder / ".curate"), "sea", labels=tmp_path_factory.mktemp("l") / "l.jsonl")) as one:
        yield one


def test_rows_that_came_went_and_changed_are_shown_with_who_is_responsible(client):
    text = client.get("/compare")
    assert "18 → 18 rows: 1 added, 1 removed, 1 changed." in text
    assert "shape.min_response_chars: 20 → 5" in text
    came, went, changed = (text.index(f"Rows that {word}") for word in ("came", "went", "changed"))
    assert "It is salt." in text[came:went] and "no longer dropped by shape (min_response_chars)" in text[came:went]
    assert SAID["ja"][1] in text[went:changed]
    assert "<del>岩</del>" in text[changed:] and "<ins>山</ins>" in text[changed:]
    assert text[changed:].count('lang="zh" dir="ltr"') == 4


def test_another_version_can_be_chosen(client, folder):
    store = Store(folder / ".curate")
    [other] = [one for one in store.versions("sea") if one != store.resolve("sea")]
    assert client.get(f"/compare?with={other}") == client.get("/compare")
    back = client.ask(f"/sea@{other}/compare")[2]
    assert "1 added, 1 removed, 1 changed" in back and "<ins>岩</ins>" in back
    status, _, said = client.ask(client.base + "/compare?with=nothing")
    assert status == 400 and "names no version" in said
    assert "the only version" in client.ask("/pairs/compare")[2]


def test_changed_texts_are_escaped():
    row = {"kind": Kind.DOCUMENT, "language": "en", "text": f"a {CANARY}"}
    text = changed_texts(row, {**row, "text": f"b {CANARY}"})
    assert "<script" not in text and "<img" not in text
    assert "<del>a</del>" in text and "<ins>b</ins>" in text


def test_a_score_by_language_and_source(client, folder):
    text = client.get("/scores?score=shape.response_chars")
    reader = Reader(Store(folder / ".curate"))
    rows = reader.version("sea").page(Filter(language="th"), 1)
    reader.close()
    chars = [one["value"] for row in rows for one in row["scores"] if one["name"] == "shape.response_chars"]
    line = re.search(r'<th scope="row">Thai</th>(.*?)</tr>', text)[1]
    assert f">{median(chars):.0f}</a>" in line and f"<small> {len(rows)} </small>" in line
    assert "rows?language=th&amp;source=others" in line
    assert "Kept rows without" not in text
    status, _, said = client.ask(client.base + "/scores?score=nothing")
    assert status == 400 and "has the score" in said
    assert "have no scores" in client.ask("/pairs/scores")[2]


def test_the_columns_of_a_score_lead_to_their_rows(client, folder):
    """Every row that has the score is in one column, and behind each link are as many kept rows as it says."""
    reader = Reader(Store(folder / ".curate"))
    counts = reader.version("sea").counts
    reader.close()
    for language, source in (("", ""), ("th", ""), ("", "english"), ("th", "english")):
        query = f"&language={language}&source={source}"
        rows = sum(one[4] for one in counts if language in ("", one[0]) and source in ("", one[1]))
        text = client.get(f"/scores?score=shape.response_chars{query}")
        if not rows:
            assert "No rows of english in Thai have the score" in text
            continue
        body = text[text.index("The same as a table") :]
        lines = re.findall(
            r'<th scope="row"><a href="([^"]*)">[^<]*</a></th>' + r'<td class="number">(\d+)</td>' * 3,
            body,
        )
        assert sum(int(one) for _, *counts in lines for one in counts) == rows
        for address, kept, *dropped in lines:
            listed = client.ask(html.unescape(address))[2]
            told = int(kept) or sum(map(int, dropped))
            assert len(re.findall(r'data-id="[0-9a-f]{32}"', listed)) == told, address
        areas = re.findall(r'<a href="([^"]*)" tabindex="-1"><rect class="area"', text)
        assert areas == [address for address, *_ in lines]

"""The funnel: what it counts, and when it raises an alarm."""

from __future__ import annotations

import io

import pytest
import yaml

import curate
from curate.engine.funnel import Funnel, render
from curate.engine.progress import PlainProgress


def funnel(**rates: tuple[int, int]) -> Funnel:
    found = Funnel(read={language: seen for language, (seen, _) in rates.items()})
    found.add_step(
        "language",
        [
            {"funnel": {language: {"kept": seen - dropped, "wrong": dropped}}}
            for language, (seen, dropped) in rates.items()
        ],
    )
    found.kept = {language: seen - dropped for language, (seen, dropped) in rates.items()}
    return found


@pytest.mark.parametrize(
    ("rates", "named"),
    [
        ({"en": (100, 2), "de": (100, 3), "th": (100, 60)}, ["th"]),
        ({"en": (100, 2), "de": (100, 3), "th": (100, 8)}, []),
        ({"en": (100, 40), "de": (100, 45), "th": (100, 60)}, []),
        ({"en": (100, 2), "de": (100, 3), "th": (12, 12)}, []),
        ({"th": (100, 100)}, []),
        ({"en": (1000, 0), "sw": (40, 40)}, ["sw"]),
    ],
)
def test_an_alarm_names_the_language_that_fares_unlike_the_others(rates, named):
    alarms = funnel(**rates).alarms(3.0)
    assert [alarm.split(" of ")[1].split()[0] for alarm in alarms] == named
    assert all("mostly for 'wrong'" in alarm for alarm in alarms)


def test_the_table_and_the_json_tell_the_same():
    one = funnel(en=(1000, 10), th=(50, 5))
    header, rows = render(one)
    assert header == ["language", "read", "language", "kept", "share"]
    assert rows == [["en", "1,000", "−10", "990", "99%"], ["th", "50", "−5", "45", "90%"]]
    assert Funnel.from_json(one.to_json()) == one
    assert one.dropped("th") == {"language: wrong": 5}


def test_rows_that_were_not_assessed_are_in_the_table_and_the_json():
    one = funnel(en=(1000, 10), th=(50, 0))
    one.add_step(
        "similarity",
        [
            {"funnel": {"en": {"kept": 990}}, "unassessed": {"en": 5}},
            {"funnel": {"th": {"kept": 50}}, "unassessed": {"th": 50}},
        ],
    )
    assert [row[3] for row in render(one)[1]] == ["· (5 not assessed)", "· (50 not assessed)"]
    assert one.never_assessed("similarity") == {"th": 50} and one.never_assessed("language") == {}
    assert Funnel.from_json(one.to_json()) == one


def test_plain_progress_tells_rate_and_time_left():
    stream = io.StringIO()
    progress = PlainProgress(stream, every=0.0)
    progress.begin("data/language", 1000)
    progress.advance("data/language", 250)
    progress.end("data/language")
    first, last = stream.getvalue().splitlines()
    assert first.startswith("data/language: 250 of 1,000 rows, ") and first.endswith(" left")
    assert last.startswith("data/language: 250 rows in ")


def test_kinds_that_do_not_fit_are_told_with_their_place(tmp_path, registry):
    (tmp_path / "a.jsonl").write_text('{"text": "some running text"}\n')
    (tmp_path / "b.jsonl").write_text('{"prompt": "a question", "response": "an answer"}\n')
    catalog = {
        "version": 1,
        "sources": {
            "texts": {"use": "jsonl", "path": "a.jsonl", "language": "en", "license": "cc0-1.0", "kind": "document"},
            "chats": {"use": "jsonl", "path": "b.jsonl", "language": "en", "license": "cc0-1.0", "kind": "sft"},
        },
        "datasets": {
            "mixed": {"from": ["texts", "chats"]},
            "odd": {"from": "texts", "steps": [{"shape": {}}, {"duplicates": {"fields": ["respons"]}}]},
        },
    }
    (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(catalog))
    with pytest.raises(curate.CatalogError, match=r"mixes rows of several kinds \(texts: document, chats: sft\)"):
        curate.plan(tmp_path / "catalog.yaml", "mixed", registry=registry)
    with pytest.raises(curate.CatalogError, match=r"catalog.yaml:\d+: duplicates: .*respons"):
        curate.plan(tmp_path / "catalog.yaml", "odd", registry=registry)
    with pytest.raises(curate.BuildError, match="no dataset is called 'mixd'; did you mean 'mixed'"):
        curate.build(tmp_path / "catalog.yaml", "mixd", registry=registry)

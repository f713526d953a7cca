"""Representation: rows by language, source and models after each step, and how many are in the language asked for."""

from __future__ import annotations

import json

import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import curate
from curate.engine.representation import KEY, Representation, percent, representation_of, summary
from curate.engine.store.integrity import seal
from curate.engine.store.store import Store
from curate.errors import StoreError

ANSWERS = {
    "de": "Am Abend gehen wir gemeinsam durch den Wald nach Hause und kochen eine Suppe.",
    "ar": "في المساء نعود معا إلى البيت عبر الغابة ونطبخ حساء من الخضار الطازجة.",
    "th": "ตอนเย็นเราเดินกลับบ้านด้วยกันผ่านป่าแล้วต้มซุปผักกินกัน",
    "hi": "शाम को हम सब साथ में जंगल के रास्ते घर लौटते हैं और सब्ज़ी का सूप बनाते हैं।",
    "zh": "傍晚我们一起穿过树林走回家,然后用新鲜的蔬菜煮一锅汤。",
    "en": "In the evening we walk home together through the forest and cook a soup.",
}
# (language asked for, language of the answer, rows); `4` is too short for any language, `` is dropped by `shape`.
ASKED = [("de", "de", 5), ("de", "en", 2), ("de", "4", 1), ("ar", "ar", 4), ("ar", "", 1), ("th", "th", 3),
         ("hi", "en", 1), ("hi", "hi", 1), ("und", "de", 2)]  # fmt: skip


@pytest.fixture
def build(tmp_path, registry):
    def write(name: str, asked) -> None:
        rows = [
            {"q": f"? {name} {place} {n}", "a": f"{ANSWERS.get(found, found)}{' ' + str(n) if found else ''}", "to": to}
            for place, (to, found, count) in enumerate(asked)
            for n in range(count)
        ]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in rows))

    def run(datasets: dict, asked=ASKED, more=(("zh", "zh", 2),)) -> list:
        write("people", asked)
        write("others", more)
        source = {"use": "jsonl", "language": "{to}", "license": "CC0-1.0", "kind": "sft"}
        source["columns"] = {"prompt": "q", "response": "a"}
        catalog = {
            "version": 1,
            "models": {"lid": {"use": "fasttext"}},
            "sources": {name: {**source, "path": f"{name}.jsonl"} for name in ("people", "others")},
            "datasets": {
                name: {"from": ["people", "others"], "splits": {"train": 0.7, "test": 0.3}, **one}
                for name, one in datasets.items()
            },
            "run": {"workers": 1},
        }
        (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(catalog))
        return curate.build(curate.load_catalog(tmp_path / "catalog.yaml", registry=registry))

    return run


def table(built, *columns: str, where: str = "true") -> list[tuple]:
    figures = "sum(rows)::INT, sum(adherent)::INT, sum(not_assessed)::INT"
    names = ", ".join(columns)
    sql = f"SELECT {names}, {figures} FROM curate.representation WHERE dataset = '{built.dataset}' AND {where}"
    return curate.query(f"{sql} GROUP BY ALL ORDER BY ALL", store=built.path.parents[2]).rows()


SHAPE = {"shape": {"max_loop": 8}}
LANGUAGE = {"language": {"model": "lid", "fields": ["response"]}}


def test_adherence_is_counted_before_and_after_each_step_by_language_and_source(build):
    (built,) = build({"filtered": {"steps": [SHAPE, LANGUAGE]}})
    assert table(built, "step", "language", where="position != 1") == [
        ("language", "ar", 4, 4, 0),
        ("language", "de", 6, 5, 1),
        ("language", "hi", 1, 1, 0),
        ("language", "th", 3, 3, 0),
        ("language", "und", 2, 0, 2),
        ("language", "zh", 2, 2, 0),
        # The empty answer was dropped before it could be assessed, and nobody asked for `und`.
        ("read", "ar", 5, 4, 1),
        ("read", "de", 8, 5, 1),
        ("read", "hi", 2, 1, 0),
        ("read", "th", 3, 3, 0),
        ("read", "und", 2, 0, 2),
        ("read", "zh", 2, 2, 0),
    ]
    assert table(built, "source", where="step = 'read'") == [("others", 2, 2, 0), ("people", 20, 13, 4)]
    assert table(built, "script", "region", where="language = 'hi' AND position = 0") == [("Deva", "IN", 2, 1, 0)]
    # The same in Python, with CLDR's figures.
    found = curate.dataset(built).representation
    assert found.filter(step="read")["rows"].sum() == 22
    speakers = dict(found.select("language", "speakers").iter_rows())
    assert speakers["und"] is None and 3e8 < speakers["hi"] < 1e9 and 4e7 < speakers["th"] < 1e8


def test_show_card_and_report_say_it_shortly(build, tmp_path):
    (built,) = build({"filtered": {"steps": [SHAPE, LANGUAGE]}})
    found = representation_of(curate.dataset(built).manifest)
    assert summary(found) == [
        "represented: 5 languages, 5 scripts, 5 regions, 2 sources",
        "kept of the rows read: 81.8%, but hi 50.0%, de 75.0%",
        "in the language asked for: 83.3% of 18 rows read (4 more not assessed), "
        "100.0% of 15 kept (3 more not assessed)",
    ]
    store = built.path.parents[2]
    card = curate.card("filtered", store=store).partition("## Representation")[2].partition("\n## ")[0]
    lines = [line.replace("\\", "") for line in card.splitlines() if line.startswith("| ")]
    assert lines[2].startswith("| hi | Deva | IN |") and lines[2].endswith(
        "| 2 | 1 | 9.1% → 5.6% | 50.0% → 100.0% | 0 |"
    )
    assert "| **all** |  |  |  | 22 | 18 | 100.0% → 100.0% | 83.3% → 100.0% | 3 |" in lines
    page = curate.report("filtered", tmp_path / "r.html", store=store).path.read_text()
    section = page.partition('id="representation"')[2].partition("</section>")[0]
    assert "9.1% → 5.6%" in section and "Hindi" in section


def test_without_a_step_that_identifies_languages_nothing_is_assessed_and_the_step_is_named(build):
    (built,) = build({"plain": {"steps": [SHAPE]}})
    assert {(rows, adherent, lacking) for *_, rows, adherent, lacking in table(built, "step")} == {
        (22, 0, 22), (21, 0, 21)
    }  # fmt: skip
    assert summary(representation_of(curate.dataset(built).manifest))[-1] == (
        "in the language asked for: not assessed: no step identified the languages of these rows; 'language' does "
        "(with 'min: null, min_script: null' it drops none)"
    )
    card = curate.card("plain", store=built.path.parents[2])
    assert "In the language asked for: not assessed: no step" in card and "→ –" not in card


def test_a_row_that_detect_language_relabels_was_asked_for_in_its_old_label(build):
    steps = [{"detect_language": {"model": "lid"}}, {"keep": {"language": ["de", "en"]}}]
    (built,) = build({"labelled": {"steps": steps}}, asked=[*ASKED, ("no", "de", 1)])
    # Before it nothing was assessed, and what was labelled und was asked for in no language.
    assert table(built, "step", where="step = 'read'") == [("read", 23, 0, 23)]
    assert table(built, "asked_language", "language", where="step = 'detect_language'") == [
        ("ar", "ar", 4, 4, 0),
        ("ar", "und", 1, 0, 1),
        ("de", "de", 5, 5, 0),
        ("de", "en", 2, 0, 0),
        ("de", "und", 1, 0, 1),
        ("hi", "en", 1, 0, 0),
        ("hi", "hi", 1, 1, 0),
        ("nb", "de", 1, 0, 0),
        ("th", "th", 3, 3, 0),
        ("und", "de", 2, 0, 2),
        ("zh", "zh", 2, 2, 0),
    ]
    assert table(built, "asked_language", where="step = 'keep'") == [
        ("de", 7, 5, 0), ("hi", 1, 0, 0), ("nb", 1, 0, 0), ("und", 2, 0, 2)
    ]  # fmt: skip
    found = representation_of(curate.dataset(built).manifest)
    assert found is not None and found.taken == "made by detect_language"
    # Of a language: the rows that were asked for in it, whatever they are labelled now.
    (hindi,) = [one for one in found.groups("language") if one.name == "hi"]
    assert (hindi.before.rows, hindi.before.asked, hindi.before.adherent, hindi.kept.rows, hindi.kept.asked) == (
        1, 2, 1, 0, 1
    )  # fmt: skip


def test_what_an_earlier_dataset_measured_is_used_and_a_row_made_from_it_is_not_assessed(build):
    reply = {"compose": {"kind": "sft", "into": {"prompt": "{prompt}", "response": "{response} !"}}}
    measured, built, made = build(
        {
            "measured": {"steps": [{"language": {**LANGUAGE["language"], "min": None, "min_script": None}}]},
            "later": {"from": "measured", "steps": [{"keep": {"language": ["de", "zh"]}}]},
            "made": {"from": "measured", "steps": [reply]},
        }
    )
    assert measured.rows == 22 and table(built, "step") == [("keep", 10, 7, 1), ("read", 22, 15, 4)]
    assert table(made, "step") == [("compose", 22, 0, 22), ("read", 22, 15, 4)]


def test_a_version_that_was_written_before_reads_and_says_that_it_is_not_recorded(build, tmp_path):
    (built,) = build({"old": {"steps": [LANGUAGE]}})
    store, path = built.path.parents[2], built.path / "manifest.json"
    manifest = dict(Store(store).manifest("old", built.version))
    del manifest["representation"]
    path.chmod(0o644)
    path.write_bytes(seal(manifest))
    said = "not recorded: this version was built by a curate that did not count this"
    assert summary(representation_of(manifest)) == [f"representation: {said}"]
    found = curate.query("SELECT step, rows FROM curate.representation", store=store).rows()
    assert found == [("not recorded", None)]
    assert "Not recorded: this version" in curate.card("old", store=store)
    assert "Not recorded: this version" in curate.report("old", tmp_path / "r.html", store=store).path.read_text()
    with pytest.raises(StoreError, match=said):
        _ = curate.dataset("old", store=store).representation
    # Nothing is built again for it, and what is built from it has no measures of it.
    (later,) = build({"old": {"steps": [LANGUAGE]}, "later": {"from": "old", "steps": []}})[1:]
    assert table(later, "step") == [("read", 19, 0, 19)]


def test_rows_are_those_of_the_funnel_after_each_step_also_through_steps_that_make_rows(house):
    house.catalog["models"]["parrot"] = {"use": "echo"}
    reply = {"reply": {"model": "parrot", "keep_original": True}}
    again = {"reply": {"as": "again", "model": "parrot", "keep_original": True}}
    letters = {"letters": {"model": "ruler", "min": 12}}
    steps = [letters, reply, again, {"most": {"count": 70}}]
    house.catalog["datasets"] = {
        "duo": {"from": ["english", "swahili"], "steps": steps},
        "few": {"from": "english", "steps": [letters, reply], "target": {"rows": 30}},
    }
    for built in house.build():
        found = representation_of(house.store.manifest(built.dataset, built.version))
        assert found is not None and found.steps == ["read", *(label for label, _ in built.funnel.steps)]
        counted = pl.DataFrame(list(found.rows())).group_by("position", "language").agg(pl.col("rows").sum())
        mine = {(place, language): rows for place, language, rows in counted.rows()}
        theirs = {(0, language): rows for language, rows in built.funnel.read.items()}
        for place, (label, counts) in enumerate(built.funnel.steps, 1):
            rows = built.funnel.made.get(label) or {one: by.get("kept", 0) for one, by in counts.items()}
            theirs |= {(place, language): count for language, count in rows.items() if count}
        assert mine == theirs
    assert house.query(
        "SELECT models, sum(rows)::INT AS rows FROM curate.representation WHERE dataset = 'duo' AND step = 'again' "
        "GROUP BY ALL ORDER BY ALL"
    ).rows() == [("echo@1", 504), (None, 168)]


KEYS = st.tuples(*(st.sampled_from(("sw", "und", "zh-Hant")) for _ in range(2)), st.none(), st.just("s"),
                 st.sampled_from(("", "m")), st.sampled_from((True, False, None)))  # fmt: skip


@given(st.lists(st.tuples(KEYS, st.integers(0, 1), st.integers(1, 9), st.integers(0, 9)), max_size=8))
def test_what_is_added_is_summed_and_reads_back_the_same(pieces):
    found = Representation(["read", "a", "b"], ["a"], ["language"])
    for key, entered, came, left in pieces:
        steps = ["b"] if entered else ["a"]
        found.add(entered, {"steps": steps, "rows": [[*key, [came, min(came, left)]]]})
    assert Representation.from_json(json.loads(json.dumps(found.to_json()))) == found
    whole, asked = found.all(), found.groups("language")
    assert whole.before.rows == sum(came for _, entered, came, _ in pieces if entered) + sum(
        min(came, left) for _, entered, came, left in pieces if not entered
    )
    assert sum(one.before.asked for one in asked) == sum(one.before.rows for one in asked) == whole.before.rows
    assert sum(row["rows"] for row in found.rows() if row["position"] == 2) == whole.kept.rows
    assert all(len(key) == len(KEY) for key in found.counts) and len(summary(found)) <= 3


def test_a_share_is_never_rounded_to_all_or_none():
    assert [percent(one) for one in (0.0, 1e-9, 0.5, 0.99999, 1.0, None)] == [
        "0.0%", "< 0.1%", "50.0%", "> 99.9%", "100.0%", "–"
    ]  # fmt: skip

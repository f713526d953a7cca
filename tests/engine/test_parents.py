"""Whatever a step does, it can see the rows that its rows come from; and a comparison that compared nothing says so."""

from __future__ import annotations

import json

import pytest
from curate_letters.looking import STEPS

import curate


@pytest.fixture
def looking(house):
    for step in STEPS:
        house.registry.add("step", step.tag, step)
    return house


@pytest.mark.parametrize("tag", [step.tag for step in STEPS])
def test_every_kind_of_task_sees_parents_and_the_seed(looking, tag):
    looking.catalog["datasets"]["duo"] |= {
        "from": "swahili",
        "seed": 7,
        "steps": [{tag: {"journal": str(looking.journal)}}],
    }
    looking.build("duo")
    seen: dict[str, int] = {}
    for line in looking.ran():
        if line.startswith(tag):
            where, _, rest = line.removeprefix(f"{tag} ").partition(": ")
            count, _, seed = rest.partition(" seed ")
            seen[where] = seen.get(where, 0) + int(count)
            assert seed == ("0" if where in ("score", "summarize") else "7"), line
    wanted = {
        "look_score": {"sample", "fit", "score"},
        "look_global": {"summarize", "decide"},
        "look_row": {"make"},
        "look_gather": {"gather"},
    }
    # In 'fit' and 'decide' the rows themselves are looked up.
    assert seen == dict.fromkeys(wanted[tag], 90)


@pytest.mark.parametrize("tag", ["look_score", "look_global"])
def test_a_language_of_which_nothing_was_assessed_is_counted_and_warned_of(looking, tag):
    looking.catalog["datasets"]["duo"]["steps"] = [{tag: {}}]
    [duo] = looking.build("duo")
    assert duo.funnel.unassessed == {tag: {"en": 120}}
    assert any("none of the 120 rows in en could be assessed" in warning for warning in duo.warnings)
    assert not any("in sw" in warning for warning in duo.warnings)
    manifest = looking.store.manifest("duo", duo.version)
    assert manifest["funnel"]["unassessed"] == {tag: {"en": 120}}
    from curate.engine.funnel import render

    header, rows = render(duo.funnel)
    assert {row[0]: row[header.index(tag)] for row in rows} == {"en": "· (120 not assessed)", "sw": "·"}


def test_some_that_were_not_assessed_are_counted_without_a_warning(looking):
    looking.write("sw", [f"sw\t{number}\tmaneno {number}" for number in range(115, 125)])
    looking.catalog["datasets"]["duo"] |= {"from": "swahili", "steps": ["look_score"]}
    [duo] = looking.build("duo")
    assert duo.funnel.unassessed == {"look_score": {"sw": 5}}
    assert not any("could be assessed" in warning for warning in duo.warnings)


def test_misaligned_sources_joined_by_translation_of_are_found(tmp_path):
    """The two languages in sources of their own, one of them with a line too many."""
    names = ["Amina", "Baraka", "Chiku", "Dalila", "Eshe", "Faraji", "Goma", "Hodari", "Imara", "Jabali"]
    english = [f"{names[n % 10]} sold {n * 7 + 13} baskets to {names[(n * 3 + 1) % 10]} on day {n}." for n in range(80)]
    swahili = [
        f"{names[n % 10]} aliuza vikapu {n * 7 + 13} kwa {names[(n * 3 + 1) % 10]} siku ya {n}." for n in range(80)
    ]
    swahili.insert(40, "Mstari huu ni wa ziada.")
    for tag, lines in (("en", english), ("sw", swahili)):
        rows = [{"n": n, "text": line} for n, line in enumerate(lines[:80])]
        (tmp_path / f"{tag}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "catalog.yaml").write_text(
        """\
version: 1
sources:
  en: {use: jsonl, path: en.jsonl, language: en, license: CC0-1.0, key: "{n}", kind: document}
  sw: {use: jsonl, path: sw.jsonl, language: sw, license: CC0-1.0, key: "{n}", kind: document, translation_of: en}
datasets:
  both: {from: [en, sw], steps: [misalignment]}
run: {workers: 1}
"""
    )
    [both] = curate.build(tmp_path / "catalog.yaml")
    assert any("rows 41 to 80" in warning and "shifted by -1" in warning for warning in both.warnings), both.warnings
    assert not any("could be assessed" in warning for warning in both.warnings), (
        "originals have nothing to be compared with"
    )
    # Where nothing can be compared, that is said of all.
    catalog = (
        (tmp_path / "catalog.yaml")
        .read_text()
        .replace("kind: document, translation_of", "kind: document, group: other, translation_of")
    )
    (tmp_path / "catalog.yaml").write_text(
        catalog.replace('key: "{n}", kind: document, group', 'key: "x{n}", kind: document, group')
    )
    [both] = curate.build(tmp_path / "catalog.yaml")
    told = "both/misalignment: none of the 160 rows in 2 languages could be assessed: en (80), sw (80)"
    assert [warning for warning in both.warnings if "could be assessed" in warning] == [told]

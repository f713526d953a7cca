from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import PublishError
from outputs.export import open_version
from outputs.license_gate import Share, Verdict, judge, judge_shares, lines, refusal, tally
from outputs.licenses import Book, load_book

sys.path.insert(0, str(Path(__file__).parent))
from shop import Shop

BOOK = load_book()
NAMES = sorted(BOOK.licenses)


def share(
    license: str, rows: int = 1, *, source: str = "s", changed: bool = False, models: tuple[str, ...] = ()
) -> Share:
    return Share(source, license, changed or bool(models), models, rows)


def whole(*names: str) -> str:
    return BOOK.join(BOOK.find(name) for name in names).expression


# ------------------------------------------------------------------------------------------------------------------ the list
def test_every_licence_that_is_referred_to_is_listed() -> None:
    for terms in BOOK.licenses.values():
        for name in (*terms.becomes, *terms.within, *terms.clashes):
            assert name == "*" or name in BOOK.licenses, (terms.id, name)
        assert not (terms.becomes and not terms.share_alike) and not (terms.within and terms.share_alike), terms.id
        assert terms.url.startswith("https://") or terms.id == "WTFPL" or not terms.url
    for _, terms_, _ in BOOK.models:
        assert terms_ is None or terms_ in BOOK.licenses


def test_no_name_means_two_licences() -> None:
    named: dict[str, str] = {}
    for terms in BOOK.licenses.values():
        for name in {BOOK.find(name).id for name in (terms.id, *terms.aliases)}:
            assert name == terms.id
        for name in (terms.id, *terms.aliases):
            assert named.setdefault(name.casefold(), terms.id) == terms.id, name


def test_identifiers_are_those_of_spdx() -> None:
    packaging = pytest.importorskip("packaging.licenses")
    for name in NAMES:
        if name not in ("unknown", "other", "DL-DE-BY-2.0", "C-UDA-1.0"):
            assert packaging.canonicalize_license_expression(name) == name


@pytest.mark.parametrize(("said", "meant"), [("cc-by-4.0", "CC-BY-4.0"), ("CC BY-SA 4.0", "CC-BY-SA-4.0"), ("apache-2.0", "Apache-2.0"), ("gpl-3.0", "GPL-3.0-only"),
                                             ("GPL-2.0+", "GPL-2.0-or-later"), ("cc0", "CC0-1.0"), ("odc_by", "ODC-By-1.0"), ("llama3.1", "LicenseRef-Llama-3.1"),
                                             ("NOASSERTION", "unknown"), ("public domain", "LicenseRef-Public-Domain")])  # fmt: skip
def test_a_licence_is_known_by_all_its_names(said: str, meant: str) -> None:
    assert BOOK.find(said).id == meant and BOOK.known(said)


def test_what_is_not_listed_may_not_be_passed_on() -> None:
    found = BOOK.find("my-own-terms")
    assert found.id == "my-own-terms" and found.redistribute is None and not BOOK.known("my-own-terms")


# ---------------------------------------------------------------------------------------------------------------- expressions
@pytest.mark.parametrize(("text", "ways"), [
    ("MIT", [["MIT"]]),
    ("CC-BY-4.0 AND MIT AND CC-BY-4.0", [["CC-BY-4.0", "MIT"]]),
    ("MIT or (apache-2.0 and cc0-1.0)", [["MIT"], ["Apache-2.0", "CC0-1.0"]]),
    ("MIT AND (GPL-2.0-only OR CC-BY-4.0)", [["MIT", "GPL-2.0-only"], ["MIT", "CC-BY-4.0"]]),
    ("GPL-2.0-only WITH Classpath-exception-2.0", [["GPL-2.0-only"]]),
    ("cc-by-4.0, mit", [["CC-BY-4.0", "MIT"]]),
    ("MIT AND", [["MIT AND"]]),
    ("(MIT", [["(MIT"]]),
    ("see the website © 2020", [["see the website © 2020"]]),
    ("", [["unknown"]]),
])  # fmt: skip
def test_an_expression_gives_the_ways_to_keep_to_it(text: str, ways: list[list[str]]) -> None:
    assert [[terms.id for terms in way] for way in BOOK.alternatives(text)] == ways


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(["MIT", "CC0-1.0", "AND", "OR", "(", ")", "WITH", "x", ","]), max_size=40).map(" ".join)
)
def test_any_text_is_some_licence(text: str) -> None:
    ways = BOOK.alternatives(text)
    assert ways and all(way for way in ways) and len(ways) <= 64


# -------------------------------------------------------------------------------------------------------------------- joining
@pytest.mark.parametrize(("names", "result"), [
    (["CC-BY-4.0", "CC0-1.0"], "CC-BY-4.0"),
    (["CC-BY-3.0", "CC-BY-4.0"], "CC-BY-4.0"),
    (["CC-BY-4.0", "CC-BY-NC-4.0"], "CC-BY-NC-4.0"),
    (["CC-BY-4.0", "Apache-2.0"], "Apache-2.0 AND CC-BY-4.0"),
    (["MIT", "Apache-2.0"], "Apache-2.0"),
    (["CC-BY-SA-3.0", "CC-BY-SA-4.0"], "CC-BY-SA-4.0"),
    (["CC-BY-4.0", "MIT", "CC-BY-SA-4.0"], "CC-BY-SA-4.0"),
    (["CC-BY-SA-4.0", "GPL-3.0-only"], "GPL-3.0-only"),
    (["GPL-2.0-or-later", "Apache-2.0"], "GPL-2.0-or-later"),
    (["GPL-2.0-or-later", "GPL-3.0-only"], "GPL-3.0-only"),
    (["CC-BY-NC-4.0", "CC-BY-NC-SA-4.0"], "CC-BY-NC-SA-4.0"),
    (["CC-BY-ND-4.0", "CC-BY-4.0"], "CC-BY-4.0 AND CC-BY-ND-4.0"),
])  # fmt: skip
def test_licences_that_go_together_have_one_that_covers_all(names: list[str], result: str) -> None:
    for order in itertools.permutations(names):
        joined = BOOK.join(BOOK.find(name) for name in order)
        assert joined.expression == result and not joined.clashes


@pytest.mark.parametrize(("names", "why"), [
    (["CC-BY-SA-3.0", "GPL-3.0-only"], "neither allows the other's"),
    (["CC-BY-SA-4.0", "GPL-2.0-only"], "neither allows the other's"),
    (["CC-BY-SA-4.0", "ODbL-1.0"], "neither allows the other's"),
    (["CC-BY-SA-4.0", "CC-BY-NC-SA-4.0"], "neither allows the other's"),
    (["CC-BY-SA-4.0", "CC-BY-NC-4.0"], "sell the whole"),
    (["CC-BY-SA-4.0", "CC-BY-ND-4.0"], "change the whole"),
    (["GPL-3.0-only", "LicenseRef-OpenAI-Terms"], "further limits"),
    (["GPL-2.0-only", "Apache-2.0"], "exclude one another"),
    (["GPL-3.0-only", "BSD-4-Clause"], "exclude one another"),
])  # fmt: skip
def test_licences_that_clash_are_told_in_pairs(names: list[str], why: str) -> None:
    for order in itertools.permutations([*names, "CC0-1.0"]):
        [clash] = BOOK.join(BOOK.find(name) for name in order).clashes
        assert set(clash.licenses) == set(names) and why in clash.reason


@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5), st.randoms())
def test_joining_depends_on_no_order_and_on_no_repetition(names: list[str], chance: object) -> None:
    parts = [BOOK.find(name) for name in names]
    shuffled = [*parts, parts[0]]
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    joined = BOOK.join(parts)
    assert BOOK.join(shuffled) == joined
    # Nobody may do more with the whole than with each part.
    if joined.result is not None:
        for part in parts:
            assert part.commercial or not joined.result.commercial
            assert part.modifications or not joined.result.modifications
            assert not part.extra or joined.result.extra


@given(
    st.lists(st.sampled_from([name for name in NAMES if BOOK.licenses[name].within != ("*",)]), min_size=1, max_size=4)
)
def test_what_asks_for_nothing_changes_nothing(names: list[str]) -> None:
    with_it, without = (BOOK.join(BOOK.find(name) for name in some) for some in ([*names, "CC0-1.0"], names))
    assert with_it.clashes == without.clashes
    assert with_it.clashes or with_it.expression == without.expression


# -------------------------------------------------------------------------------------------------------------------- the gate
def told(verdict: Verdict) -> list[tuple[str, int]]:
    return [(problem.rule, problem.rows) for problem in verdict.problems]


def test_rows_of_unknown_and_forbidden_licences_are_counted() -> None:
    verdict = judge_shares(
        [
            share("CC-BY-4.0", 10),
            share("unknown", 3, source="web"),
            share("LDC", 2, source="news"),
            share("house rules", 1),
        ],
        BOOK,
    )
    assert (
        told(verdict) == [("unknown", 3), ("unknown", 1), ("forbidden", 2)]
        and verdict.blocked == 6
        and not verdict.free
    )


def test_what_may_not_be_changed_may_be_passed_on_as_it_is() -> None:
    assert judge_shares([share("CC-BY-ND-4.0", 5)], BOOK).free
    assert told(judge_shares([share("CC-BY-ND-4.0", 5), share("CC-BY-ND-4.0", 2, changed=True)], BOOK)) == [
        ("changed", 2)
    ]


def test_a_row_made_of_two_clashing_ones_is_refused_by_itself() -> None:
    verdict = judge_shares([share("CC-BY-SA-3.0 AND GPL-3.0-only", 4), share("MIT", 9)], BOOK)
    assert told(verdict) == [("incompatible", 4)] and "in one row" in lines(verdict)[0]


def test_rows_that_clash_with_each_other_are_refused_together() -> None:
    verdict = judge_shares(
        [share("CC-BY-SA-3.0", 4, source="wiki"), share("gpl-3.0", 2, source="code"), share("MIT", 9)], BOOK
    )
    assert told(verdict) == [("incompatible", 6)]
    assert verdict.problems[0].by_source() == {("wiki", "CC-BY-SA-3.0"): 4, ("code", "gpl-3.0"): 2}


def test_of_licences_to_choose_from_the_one_that_fits_is_taken() -> None:
    assert judge_shares([share("GPL-2.0-only OR MIT"), share("Apache-2.0")], BOOK).joined.expression == "Apache-2.0"
    assert judge_shares([share("unknown OR CC-BY-4.0")], BOOK).joined.expression == "CC-BY-4.0"
    assert (
        judge_shares([share("CC-BY-NC-4.0 OR GPL-3.0-only"), share("CC-BY-SA-4.0")], BOOK).joined.expression
        == "GPL-3.0-only"
    )


def test_terms_of_answers_go_with_the_rows() -> None:
    verdict = judge_shares(
        [share("CC-BY-4.0", 3, models=("gpt-4o-mini@2024",)), share("CC-BY-4.0", 4, models=("Qwen/Qwen3-8B@1",))], BOOK
    )
    assert verdict.free and verdict.joined.expression == "CC-BY-4.0 AND LicenseRef-OpenAI-Terms"
    assert verdict.hub(BOOK)["license"] == "other" and "openai" in str(verdict.hub(BOOK)["license_name"])
    assert any("compete with OpenAI" in note for note in verdict.notes)
    clash = judge_shares([share("CC-BY-SA-4.0", 3, models=("meta-llama/Llama-3.1-8B-Instruct@1",))], BOOK)
    assert told(clash) == [("incompatible", 3)] and "by meta-llama/Llama-3.1-8B-Instruct@1" in "\n".join(lines(clash))


def test_a_model_that_nobody_knows_is_told_but_stops_nothing() -> None:
    verdict = judge_shares([share("MIT", 3, models=("house-model@7",))], BOOK)
    assert verdict.free and any("house-model@7 may be used for is not known (3 rows)" in note for note in verdict.notes)
    assert judge_shares([share("MIT", 3, models=("house-model@7",))], BOOK, {"house-model@7": "none"}).notes == ()
    said = judge_shares([share("MIT", 3, models=("house-model@7",))], BOOK, {"house-model@7": "Gemma"})
    assert said.joined.expression == "LicenseRef-Gemma-Terms AND MIT"


@pytest.mark.parametrize(("model", "terms"), [
    ("gpt-4o@2024-08", "LicenseRef-OpenAI-Terms"), ("openai/gpt-oss-20b", None), ("claude-sonnet-4@1", "LicenseRef-Anthropic-Terms"),
    ("meta-llama/Llama-3.3-70B-Instruct@a", "LicenseRef-Llama-3.3"), ("TinyLlama/TinyLlama-1.1B@x", None), ("google/gemma-3-4b-it@x", "LicenseRef-Gemma-Terms"),
    ("SmolLM2-135M-Instruct.Q4_1@b179", None), ("facebook/nllb-200-distilled-600M@x", "LicenseRef-NLLB-Weights"), ("Helsinki-NLP/opus-mt-en-sw@x", None),
])  # fmt: skip
def test_models_are_known_by_their_names(model: str, terms: str | None) -> None:
    found = BOOK.of_model(model)
    assert found is not None and (found[0].id if found[0] else None) == terms


def test_a_list_of_ones_own_comes_first(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        "licenses:\n  LicenseRef-Acme: {name: Acme, aliases: [house rules], attribution: true}\nmodels:\n  - {match: '^house-', terms: LicenseRef-Acme}\n"
    )
    book: Book = load_book(mine)
    assert judge_shares([share("House  Rules", models=("house-model@1",))], book).joined.expression == "LicenseRef-Acme"
    assert book.find("mit").id == "MIT"
    mine.write_text("licenses: {X: {redistribut: true}}")
    with pytest.raises(PublishError, match=r"mine\.yaml is wrong: licenses\.X\.redistribut"):
        load_book(mine.rename(tmp_path / "again-mine.yaml"))
    with pytest.raises(PublishError, match="cannot be read"):
        load_book(tmp_path / "none.yaml")


def test_a_refusal_says_counts_and_both_ways_out() -> None:
    verdict = judge_shares(
        [share("cc-by-40", 7, source="blog"), share("unknown", 1200, source="web\nx"), share("MIT", 5)], BOOK
    )
    message = str(refusal("talk@v1", verdict, BOOK))
    assert "1,207 of 1,212 rows" in message and "1,200 rows of 'web x' under 'unknown'" in message
    assert "'cc-by-40' is no licence that curate knows; did you mean 'cc-by-4.0'?" in message
    assert "curate forget --source blog --source 'web x'" in message and "--override-license 'REASON'" in message


def test_the_rows_of_a_version_are_counted_by_source_and_licence(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.source("one", "ar", "CC-BY-4.0", times=2)
    shop.source("two", "th", "mit", times=1)
    shop.dataset("both", ["one", "two"], splits={"train": 0.5, "test": 0.5})
    version = open_version(shop.build(), "both")
    shares = tally(version)
    assert [(one.source, one.license, one.changed, one.models, one.rows) for one in shares] == [
        ("one", "CC-BY-4.0", False, (), 6),
        ("two", "mit", False, (), 3),
    ]
    assert version.manifest["licenses"] == {"CC-BY-4.0": 6, "mit": 3}
    verdict = judge(version, BOOK)
    assert verdict.joined.expression == "CC-BY-4.0 AND MIT" and verdict.hub(BOOK) == {"license": ["cc-by-4.0", "mit"]}

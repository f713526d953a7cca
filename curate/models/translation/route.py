"""``route``: a pivot translator: for each language pair, the path through other translators with the best quality or
cost.

English → Portuguese by a neural model and on to Spanish by rules reads better than English → Spanish by rules. Each
edge has a quality, the share of the meaning that is preserved (0 to 1), and a cost. The quality of a path is the
product over its edges, its cost the sum. Measured values are shipped (``qualities.yaml``); the catalog can override
them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import orjson
from pydantic import Field, PrivateAttr, field_validator, model_validator

from curate.catalog.params import LanguageTag, Params, Role, TranslatorName
from curate.catalog.suggestions import nearest
from curate.data_files import DataFile
from curate.errors import ModelError
from curate.models.translation.base import Translated
from curate.models.translation.language_pairs import Pair, match_pair, parse_pair
from curate.rows import languages
from curate.steps import Model
from curate.steps.models import Done, LanguagePairs, Translator

_MOST_SHOWN = 6


class EdgeScore(Params):
    """Quality and cost per pair, and for other pairs; the catalog overrides measured values."""

    quality: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of the meaning that is preserved."""
    cost: Annotated[float, Field(ge=0)] | None = None
    """Milliseconds per sentence on one core, or any other unit used consistently."""


@dataclass(frozen=True)
class TranslationEdge:
    """One edge of a path."""

    model: str
    """Its name in the catalog."""
    source: str
    target: str
    quality: float
    cost: float


Way = tuple[TranslationEdge, ...]


def quality_of(way: Way) -> float:
    """The product of the edges' qualities."""
    product = 1.0
    for hop in way:
        product *= hop.quality
    return product


def cost_of(way: Way) -> float:
    """The sum of the edges' costs."""
    return sum(hop.cost for hop in way)


QUALITIES = DataFile("curate.models.translation", "qualities.yaml")


@cache
def shipped() -> Mapping[str, Any]:
    """``use`` → pair or ``default`` → measured quality and cost."""
    found: Mapping[str, Any] = QUALITIES.yaml()["edges"]
    return found


class Route(Model):
    """A pivot translator, with one path per language pair."""

    use: ClassVar[str] = "route"
    role: ClassVar[Role | None] = Role.TRANSLATOR
    summary: ClassVar[str] = "a chain of translators chosen by quality and cost for each pair"

    through: Annotated[tuple[TranslatorName, ...], Field(min_length=1)]
    """Names of other translators in the catalog."""
    edges: dict[str, dict[str, EdgeScore]] = Field(default_factory=dict)
    """Overrides: model → pair (``en-pt``, ``pt-BR→es``, or ``default``) → ``{quality: 0.9, cost: 20}``."""
    prefer: Literal["quality", "cost"] = "quality"
    """``quality``: the best path, the cheaper of equal ones; ``cost``: the cheapest path, the better of equal ones."""
    max_hops: Annotated[int, Field(ge=1, le=4)] = 3
    """Maximum number of translations in a row."""
    via: tuple[LanguageTag, ...] | None = None
    """Languages that a path may pass through; by default all."""
    min_quality: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Minimum quality of a path; a pair without one is not supported."""

    _models: dict[str, Model] = PrivateAttr(default_factory=dict)

    @field_validator("edges")
    @classmethod
    def _are_pairs(cls, value: dict[str, dict[str, EdgeScore]]) -> dict[str, dict[str, EdgeScore]]:
        for given in value.values():
            for pair in given:
                if pair != "default":
                    parse_pair(pair)
        return value

    @model_validator(mode="after")
    def _known(self) -> Route:
        if len(set(self.through)) < len(self.through):
            raise ValueError("'through' names a model twice")
        for name in self.edges:
            if name not in self.through:
                raise ValueError(
                    f"'edges' is about '{name}', which is not in 'through'{nearest(name, list(self.through))}"
                )
        return self

    # ------------------------------------------------------------------------------------------------------- identity
    def with_models(self, models: Mapping[str, Model]) -> Route:
        """This route with its models resolved; other models in the mapping are ignored.

        Raises:
            ModelError: a model that it names is missing.
        """
        for name in self.through:
            if name not in models:
                raise ModelError(f"no model is called '{name}'{nearest(name, list(models))}")
        bound = self.model_copy()
        bound._models = {name: models[name] for name in self.through}
        return bound

    def _bound(self) -> dict[str, Model]:
        if not self._models:
            raise ModelError(f"the route through {', '.join(self.through)} has not been given its models")
        return self._models

    def makers(self) -> tuple[str, ...]:
        """Empty: rows record the models of the path."""
        return ()

    def made_of(self) -> Mapping[str, Model]:
        """The models on its paths."""
        return self._bound()

    def identity(self, *, decisions: bool = True) -> dict[str, Any]:
        """The parameters without names of models; :meth:`name_and_revision` covers the models themselves."""
        given = super().identity(decisions=decisions)
        return {name: value for name, value in given.items() if name not in ("through", "edges")}

    def name_and_revision(self) -> str:
        """``route@`` and a digest of its models' identities and edges, in order."""
        members = [
            {
                "model": model.model_identity(),
                "edges": {pair: edge.model_dump(exclude_none=True) for pair, edge in self.edges.get(name, {}).items()},
                "measured": shipped().get(model.use, {}),
            }
            for name, model in self._bound().items()
        ]
        digest = hashlib.blake2b(orjson.dumps(members, option=orjson.OPT_SORT_KEYS), digest_size=16)
        return f"route@{digest.hexdigest()}"

    @property
    def exclusive(self) -> bool:
        """Whether one of its models is exclusive."""
        return any(model.exclusive for model in self._models.values())

    def language_pairs(self) -> RoutePairs | None:
        members: dict[str, Translator] = {}
        for name, model in self._bound().items():
            pairs = model.language_pairs()
            if pairs is None:
                return None
            members[name] = _Unloaded(pairs)
        return RoutePairs(Router(self, members, {name: model.use for name, model in self._bound().items()}))

    def load(self, *, cache: Path | None, threads: int) -> Router:
        """Loads the models and the route.

        Raises:
            ModelError: its models were not resolved, one cannot be loaded, or one is no translator.
        """
        translators: dict[str, Translator] = {}
        for name, model in self._bound().items():
            loaded = model.load(cache=cache, threads=threads)
            if not isinstance(loaded, Translator):
                raise ModelError(f"'{name}' (use: {model.use}) does not translate; a route goes through translators")
            translators[name] = loaded
        return Router(self, translators, {name: model.use for name, model in self._bound().items()})


class _Unloaded:
    """A translator of which only the language pairs are known."""

    longest = 0

    def __init__(self, pairs: LanguagePairs) -> None:
        self.pairs = pairs

    def supports(self, source: str, target: str) -> bool:
        return self.pairs.find(source, target) is not None

    def translate(self, sentences: Sequence[str], source: str, target: str, done: Done | None = None) -> list[str]:
        raise ModelError("it has not been loaded")

    def maker(self, source: str, target: str) -> str:
        raise ModelError("it has not been loaded")


class RoutePairs:
    """The :class:`curate.steps.models.LanguagePairs` of a route."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self.sources, self.targets = router.sources, router.targets

    def find(self, source: str, target: str) -> Pair | None:
        return (source, target) if self._router.supports(source, target) else None

    def describe(self) -> str:
        return (
            f"ways from {', '.join(sorted(self.sources)) or 'nothing'} into"
            f" {', '.join(sorted(self.targets)) or 'nothing'}"
        )


class Router:
    """The loaded router, a :class:`curate.steps.models.Translator`."""

    def __init__(self, route: Route, translators: Mapping[str, Translator], uses: Mapping[str, str]) -> None:
        self._route = route
        self._translators = dict(translators)
        self._edges = {name: _edges(route.edges.get(name, {}), shipped().get(uses[name], {})) for name in translators}
        self._chosen: dict[Pair, Way | None] = {}
        self.longest = min(translator.longest for translator in translators.values())

    @cached_property
    def sources(self) -> frozenset[str]:
        """All source languages of its models."""
        return frozenset().union(*(self._side(name, "sources") for name in self._translators))

    @cached_property
    def targets(self) -> frozenset[str]:
        """All target languages of its models."""
        return frozenset().union(*(self._side(name, "targets") for name in self._translators))

    def _side(self, name: str, side: str) -> frozenset[str]:
        translator = self._translators[name]
        # A route in a route has them itself, ours have them in their pairs; of a stranger only what the catalog tells
        # is known.
        known = getattr(getattr(translator, "pairs", translator), side, None)
        return known if known is not None else frozenset(tag for pair in self._edges[name][0] for tag in pair)

    # ----------------------------------------------------------------------------------------------------------- plan
    def _hop(self, name: str, source: str, target: str) -> TranslationEdge | None:
        if not self._translators[name].supports(source, target):
            return None
        known, default = self._edges[name]
        pair = match_pair((source, target), known)
        quality, cost = known[pair] if pair else default
        return TranslationEdge(name, source, target, quality, cost)

    def _ways(self, source: str, target: str, hops: int) -> Iterator[Way]:
        """All paths with exactly this number of hops, without repeated languages."""
        allowed = self.sources & self.targets if self._route.via is None else frozenset(self._route.via)
        between = sorted(tag for tag in allowed if not _same(tag, source) and not _same(tag, target))

        def extend(way: Way, here: str, left: int) -> Iterator[Way]:
            for there in [target] if left == 1 else between:
                if any(_same(there, hop.target) for hop in way):
                    continue
                for name in self._translators:
                    hop = self._hop(name, here, there)
                    if hop is None:
                        continue
                    longer = (*way, hop)
                    if quality_of(longer) < max(self._floor, self._route.min_quality):
                        continue
                    if left == 1:
                        yield longer
                    else:
                        yield from extend(longer, there, left - 1)

        if not _same(source, target):
            yield from extend((), source, hops)

    _floor = 0.0

    def paths(self, source: str, target: str, exactly: int | None = None) -> list[Way]:
        """All paths from one language to the other, best first.

        Args:
            exactly: only paths with this number of hops.
        """
        numbers = range(1, self._route.max_hops + 1) if exactly is None else (exactly,)
        return sorted((way for hops in numbers for way in self._ways(source, target, hops)), key=self._rank)

    def _rank(self, way: Way) -> tuple[Any, ...]:
        quality, cost = -round(quality_of(way), 6), round(cost_of(way), 6)
        first = (quality, cost) if self._route.prefer == "quality" else (cost, quality)
        return (*first, len(way), [(hop.model, hop.target) for hop in way])

    def way(self, source: str, target: str) -> Way | None:
        """The chosen path; None if there is none."""
        try:
            pair = languages.normalize(source), languages.normalize(target)
        except languages.InvalidLanguage:
            return None
        if pair not in self._chosen:
            best: Way | None = None
            for hops in range(1, self._route.max_hops + 1):
                for way in self._ways(*pair, hops):
                    if best is None or self._rank(way) < self._rank(best):
                        best = way
                        if self._route.prefer == "quality":
                            # More hops only lose more: what is already worse need not be followed.
                            self._floor = quality_of(way) - 1e-9
            self._floor = 0.0
            self._chosen[pair] = best
        return self._chosen[pair]

    def explain(self, source: str, target: str) -> str:
        """Describes the chosen path and the alternatives, one per line, with quality and cost."""
        chosen = self.way(source, target)
        if chosen is None:
            return self._refusal(source, target)
        ways = self.paths(languages.normalize(source), languages.normalize(target))
        lines = []
        for way in ways[:_MOST_SHOWN]:
            path = "→".join([way[0].source, *(hop.target for hop in way)])
            by = ", ".join(f"{hop.model} {hop.quality:.2f}" for hop in way)
            mark = "taken" if way == chosen else "     "
            lines.append(f"{mark}  {path}  quality {quality_of(way):.2f}, cost {cost_of(way):g}  ({by})")
        if len(ways) > _MOST_SHOWN:
            lines.append(f"       and {len(ways) - _MOST_SHOWN} more")
        return "\n".join(lines)

    def _refusal(self, source: str, target: str) -> str:
        reached = sorted(tag for tag in self.targets if self.way(source, tag) is not None)
        within = f" in at most {self._route.max_hops} hops" + (
            f" at a quality of {self._route.min_quality:g}" if self._route.min_quality else ""
        )
        into = (
            f"; from {source} it reaches {', '.join(reached[:20])}"
            if reached
            else f"; nothing leads away from {source}"
        )
        return f"no way leads from {source} to {target} through {', '.join(self._translators)}{within}{into}"

    # ----------------------------------------------------------------------------------------------------- translation
    def supports(self, source: str, target: str) -> bool:
        """Whether there is a path from one language to the other."""
        return self.way(source, target) is not None

    def maker(self, source: str, target: str) -> str:
        """``a@1 → b@2``: the models that translate this pair, in order.

        Raises:
            ModelError: there is no path.
        """
        return self._along(source, target).maker(source, target)

    def translate(self, sentences: Sequence[str], source: str, target: str, done: Done | None = None) -> list[str]:
        """The translation of each sentence, in order.

        Raises:
            ModelError: there is no path, or an engine died.
        """
        return [one.text for one in self.translate_checked(sentences, source, target, done)]

    def translate_checked(
        self, sentences: Sequence[str], source: str, target: str, done: Done | None = None
    ) -> list[Translated]:
        """The same, each with what is known to be wrong with it."""
        return self._along(source, target).translate_checked(sentences, source, target, done)

    def _along(self, source: str, target: str) -> PivotTranslator:
        way = self.way(source, target)
        if way is None:
            raise ModelError(self._refusal(source, target))
        return self.along(way)

    def along(self, way: Way) -> PivotTranslator:
        """The translator along one path."""
        return PivotTranslator(way, self._translators)


class PivotTranslator:
    """A translator along one path, hop by hop."""

    def __init__(self, way: Way, translators: Mapping[str, Translator]) -> None:
        self._way = way
        self._hops = [(translators[hop.model], hop.source, hop.target) for hop in way]
        self.longest = min(translator.longest for translator, _, _ in self._hops)

    def supports(self, source: str, target: str) -> bool:
        """Whether this is the path's pair."""
        return (source, target) == (self._way[0].source, self._way[-1].target)

    def maker(self, source: str, target: str) -> str:
        """``a@1 → b@2``."""
        return " → ".join(translator.maker(one, other) for translator, one, other in self._hops)

    def translate(self, sentences: Sequence[str], source: str, target: str, done: Done | None = None) -> list[str]:
        """The translation of each sentence, in order."""
        return [one.text for one in self.translate_checked(sentences, source, target, done)]

    def translate_checked(
        self, sentences: Sequence[str], source: str, target: str, done: Done | None = None
    ) -> list[Translated]:
        """The same, each with what is known to be wrong with it."""
        texts = list(sentences)
        problems: list[list[str]] = [[] for _ in texts]
        for number, (translator, one, other) in enumerate(self._hops, 1):
            # A sentence is done when its last hop is.
            told = done if number == len(self._hops) else None
            checked = getattr(translator, "translate_checked", None)
            found = (
                checked(texts, one, other, told)
                if checked is not None
                else [Translated(text) for text in translator.translate(texts, one, other, told)]
            )
            for place, translated in enumerate(found):
                if translated.problem:
                    problems[place].append(f"{one}→{other}: {translated.problem}")
            texts = [translated.text for translated in found]
        return [Translated(text, "; ".join(wrong)) for text, wrong in zip(texts, problems, strict=True)]


def _same(one: str, other: str) -> bool:
    return languages.base(one) == languages.base(other) and languages.script(one) == languages.script(other)


Known = dict[Pair, tuple[float, float]]


def _edges(given: Mapping[str, EdgeScore], measured: Mapping[str, Any]) -> tuple[Known, tuple[float, float]]:
    """Quality and cost of each pair that something is known of, and of any other pair; what the catalog says comes
    first.
    """
    unknown = shipped()["unknown"]["default"]
    default = {**unknown, **measured.get("default", {})}
    if "default" in given:
        default |= given["default"].model_dump(exclude_none=True)
        # A catalog that speaks for all pairs of a model has the word over what was measured elsewhere.
        measured = {}
    known = {parse_pair(pair): {**default, **values} for pair, values in measured.items() if pair != "default"}
    for pair, edge in given.items():
        if pair != "default":
            key = parse_pair(pair)
            known[key] = {**known.get(key, default), **edge.model_dump(exclude_none=True)}
    return {pair: (one["quality"], one["cost"]) for pair, one in known.items()}, (default["quality"], default["cost"])

"""What can be done in a language: which installed parts cover it, and how well that was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import langcodes

from curate.catalog.params import Role
from curate.data_files import DataFile
from curate.errors import CurateError
from curate.models.langid.language_data import recognised, weights
from curate.models.langid.wheel import WheelIdentifier
from curate.models.translation.language_pairs import Pairs
from curate.models.translation.route import shipped as measured_pairs
from curate.notebook import table
from curate.rows.languages import UNKNOWN, base, letters, normalize
from curate.steps import Model, Registry
from curate.text.segmentation import UNSPACED
from filters.calibration.anchors import shipped_anchors
from filters.quality.language_packs import BLIND, packs_of

PIVOT = "en"
_HEADER = ("part", "name", "covers it", "measured, or what it has")


@dataclass(frozen=True)
class Coverage:
    """What one part is worth in a language."""

    part: str
    """An identifier, encoder, translator, route, word list, quality pack, ``anchors`` or ``words``."""
    name: str
    """In a catalog; of a list its file."""
    covers: bool
    note: str = ""
    """How well it was measured, or what it has."""
    share: float | None = None
    """Of an identifier, the share of texts that it labelled right."""

    @property
    def mark(self) -> str:
        """For a narrow cell: the share in per cent, ``yes``, or ``·`` where it does not cover the language."""
        return "·" if not self.covers else "yes" if self.share is None else f"{self.share:.0%}"


@dataclass(frozen=True)
class InLanguage:
    """What can be done in one language with what is installed."""

    language: str
    coverage: tuple[Coverage, ...]
    missing: tuple[str, ...] = field(default=())
    """Models that could not be asked, and why."""

    @property
    def title(self) -> str:
        return f"{self.language}, {display_name(self.language)}"

    def rows(self) -> list[tuple[str, str, str, str]]:
        """The cells of a table: part, name, whether it covers the language, and how well."""
        return [(one.part, one.name, "yes" if one.covers else "no", one.note) for one in self.coverage]

    def _repr_html_(self) -> str:
        return table(self.title, _HEADER, self.rows(), self.missing)


def display_name(tag: str) -> str:
    """The English name of a language."""
    return str(langcodes.Language.get(tag).display_name("en"))


def languages(*tags: str, registry: Registry | None = None) -> list[InLanguage]:
    """What can be done in languages with what is installed, as the parts themselves say.

    Models whose parameters have no defaults (``seq2seq``, language models …) are left out: what they cover depends on
    the weights.

    Args:
        tags: BCP-47 tags, in any spelling that a catalog takes; all that some part has, unless given.

    Raises:
        InvalidLanguage: a tag names no language.
    """
    wanted = [normalize(tag) for tag in tags]
    parts = _Parts(registry or Registry.installed())
    return [parts.of(tag) for tag in wanted or parts.languages()]


def _download(model: Model) -> str:
    """The repository that a model's weights are fetched from; empty if they come with its package."""
    name = getattr(model, "model", "")
    return name if isinstance(name, str) and "/" in name else ""


class _Parts:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.missing: list[str] = []
        self._identifiers: dict[str, tuple[Model, Callable[[str], bool]]] = {}
        self._encoders: dict[str, Model] = {}
        self._translators: dict[str, Any] = {}
        for name in registry.names("model"):
            part = registry.get("model", name)
            if part.role not in (Role.IDENTIFIER, Role.ENCODER, Role.TRANSLATOR):
                continue
            if any(one.is_required() for one in part.model_fields.values()):
                continue
            try:
                self._add(name, part())
            except (CurateError, ImportError) as error:
                self.missing.append(f"{part.role.value[3:]} '{name}' is not here: {error}")

    def _add(self, name: str, model: Model) -> None:
        if model.role is Role.IDENTIFIER:
            if isinstance(model, WheelIdentifier):
                self._identifiers[name] = model, model.supported().__contains__
            else:
                self._identifiers[name] = model, model.load(cache=None, threads=1).supports
        elif model.role is Role.ENCODER:
            if not _download(model):
                model.name_and_revision()  # says what is missing
            self._encoders[name] = model
        else:
            self._translators[name] = model.language_pairs()

    @cached_property
    def _lists(self) -> dict[DataFile, list[str]]:
        """Lists by language → the steps that read them."""
        found: dict[DataFile, list[str]] = {}
        for name in self._registry.names("step"):
            for file in self._registry.get("step", name).package_data:
                if file.languages():
                    found.setdefault(file, []).append(name)
        return dict(sorted(found.items(), key=lambda one: str(one[0])))

    @cached_property
    def _every_pair(self) -> Pairs:
        return Pairs(pair for pairs in self._translators.values() for pair in pairs)

    @cached_property
    def _packs(self) -> Any:
        return packs_of(())

    @cached_property
    def _anchors(self) -> tuple[str, ...]:
        return shipped_anchors().languages

    def languages(self) -> list[str]:
        """Every language that a part was measured in, or has something of."""
        found = {*weights()["weights"]["languages"], *self._packs.by_language, *self._anchors}
        found |= {tag for pair in self._every_pair for tag in pair}
        found |= {tag for file in self._lists for tag in file.languages()}
        return sorted({normalize(tag) for tag in found} - {UNKNOWN, BLIND})

    def of(self, tag: str) -> InLanguage:
        found = [*self._identified(tag), *self._encoded(tag), *self._translated(tag), *self._listed(tag)]
        return InLanguage(tag, tuple(found), tuple(self.missing))

    def _identified(self, tag: str) -> Iterable[Coverage]:
        for name, (model, supports) in self._identifiers.items():
            share = recognised(model.name_and_revision().partition("@")[0], tag)
            measured = "not measured" if share is None else f"right about {share:.0%} of the texts for the ensemble"
            known = supports(tag)
            yield Coverage(
                "identifier", name, known, measured if name != "ensemble" and (known or share) else "", share
            )

    def _encoded(self, tag: str) -> Iterable[Coverage]:
        there = f"curate calibrate NAME --pairs {PIVOT}-{tag} measures it" if tag in self._anchors else ""
        for name, model in self._encoders.items():
            how = [f"by download of {download}"] if (download := _download(model)) else []
            known = model.knows_language(tag)
            yield Coverage(
                "encoder", name, bool(known), "; ".join([*how, *([there.replace("NAME", name)] if there else [])])
            )
        yield Coverage(
            "anchors", "calibrate", tag in self._anchors, "sentences with known translations" if there else ""
        )

    def _translated(self, tag: str) -> Iterable[Coverage]:
        for name, pairs in self._translators.items():
            ways = [pair for pair in pairs if base(tag) in map(base, pair) and pairs.find(*pair) == pair]
            ways = [pair for pair in ways if pairs.find(tag, pair[1]) == pair or pairs.find(pair[0], tag) == pair]
            scores = measured_pairs().get(name, {})
            told = [
                f"{source}→{target} ({scores[key]['quality']:.2f})"
                if (key := f"{source}-{target}") in scores
                else f"{source}→{target}"
                for source, target in ways
            ]
            yield Coverage("translator", name, bool(ways), ", ".join(told))
        chains = [self._every_pair.chain(PIVOT, tag), self._every_pair.chain(tag, PIVOT)] if tag != PIVOT else []
        through = ["→".join(chain) for chain in chains if len(chain) > 2]
        if through:
            yield Coverage("route", "route", True, ", ".join(through))

    def _listed(self, tag: str) -> Iterable[Coverage]:
        packs = self._packs.of(tag)
        names = ("function_words", "refusals", "assistant", "cutoff", "override", "boilerplate")
        lists = [name.replace("_", " ") for name in names if any(getattr(pack, name) for pack in packs)]
        yield Coverage("quality pack", "quality", bool(packs), ", ".join(lists))
        for file, steps in self._lists.items():
            known = {normalize(one) for one in file.languages()}
            name = file.path.rpartition("/")[2].removesuffix(".yaml").replace("_", " ")
            yield Coverage("word list", name, tag in known, f"read by {', '.join(steps)}")
        joined = bool(set(letters(tag)) & set(UNSPACED) - {"Hangul"})
        yield Coverage(
            "words",
            "segmentation",
            True,
            "written without spaces, told apart by a lexicon" if joined else "between spaces",
        )

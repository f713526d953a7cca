"""``ensemble``: combines several language identifiers, weighted by their measured accuracy.

A script that only one language uses decides alone. Otherwise ``mode: weighted`` combines the identifiers' probabilities
log-linearly (:mod:`curate.models.langid.ensemble_scoring`), and ``mode: agreement`` returns a language only if all
identifiers that know it agree and there are enough of them. If the result is too uncertain, the ensemble abstains or
returns the group of close languages; if the letters are not those of the language, it abstains
(:mod:`curate.models.langid.unknown`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import orjson
from pydantic import Field, PrivateAttr, field_validator, model_validator

from curate.catalog.params import IdentifierName, LanguageTag, Role, Runtime
from curate.catalog.suggestions import nearest
from curate.errors import ModelError
from curate.models.embedding.preprocess import count_scripts, make_fit, strip_tashkeel
from curate.models.langid import language_data as data
from curate.models.langid import triples, unknown
from curate.models.langid.ensemble_scoring import (
    Floats,
    Languages,
    LidFeatures,
    Weights,
    combine,
    find_romanised,
    gather,
    softmax,
    split_words,
    weights_for,
)
from curate.models.langid.labels import ReadTexts
from curate.models.loading.hub import digest_file
from curate.models.loading.supported import Supported
from curate.rows import languages
from curate.steps import Registry
from curate.steps.models import Identified, LanguageIdentifier, Model

Share = Annotated[float, Field(ge=0, le=1)]
_LABELS = 10
_BATCH = 512
_DECIDED = 0.99
_STRANGE = 0.5
"""Probability of an unknown language from which the ensemble abstains."""
_MIXED = 0.2
"""Minimum share of letters in a script other than the main one; from it on the main script does not decide alone."""


class LanguageIdEnsemble(Model):
    """An ensemble of language identifiers."""

    use: ClassVar[str] = "ensemble"
    role: ClassVar[Role | None] = Role.IDENTIFIER
    summary: ClassVar[str] = "several identifiers as one: weighted or agreed, with scripts, groups and abstention"

    members: Annotated[tuple[IdentifierName, ...], Field(min_length=1)] = ("fasttext", "eld", "cld2")
    """Names of other models that identify languages; a name that is not in the catalog means the installed model of
    that name."""
    mode: Literal["weighted", "agreement"] = "weighted"
    """``weighted``: by measured weights; ``agreement``: only if all identifiers that know the language agree."""
    quorum: Annotated[int, Field(ge=1)] = 2
    """Number of identifiers that must return a language for ``agreement``; where fewer know it, all of those, but at
    least one."""
    languages: tuple[LanguageTag, ...] | None = None
    """Restricts the result to these languages. Set it to those of the corpus: then few words are enough. By default
    all."""
    rarity: Annotated[float, Field(ge=0, le=10)] = 2.0
    """Prior penalty, in natural logarithms, on rare languages against common ones; 0 for a corpus where all are
    equally likely. Has no effect on languages in ``languages``."""
    abstain: Share = 0.3
    """Minimum probability of the best language (or group); below it the ensemble abstains."""
    groups: Literal["split", "name"] = "split"
    """``split``: always one language. ``name``: if no member of a close group (Norwegian and Danish, Malay and
    Indonesian, …) reaches ``sure`` but all together do, the result is the group's tag (``gmq``, ``poz``, …)."""
    sure: Share = 0.6
    """Minimum probability of a language within its group (with ``groups: name``)."""
    scripts: bool = True
    """Whether a script that only one language uses decides alone."""
    weights: dict[str, dict[str, Annotated[float, Field(ge=0, le=10)]]] = Field(default_factory=dict)
    """Overrides: identifier → language (or ``default``) → factor on its measured weight; 0 excludes it."""
    calibration: Runtime[Path | None] = None
    """A file of weights instead of the shipped ones, as written by ``benchmarks/language_id.py fit``; identified by
    its content."""
    max_chars: Annotated[int, Field(ge=16)] = 4000
    """Maximum number of characters read from the start of a text."""

    _models: dict[str, Model] = PrivateAttr(default_factory=dict)

    @field_validator("weights")
    @classmethod
    def _are_tags(cls, value: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        return {
            name: {tag if tag == "default" else languages.normalize(tag): factor for tag, factor in given.items()}
            for name, given in value.items()
        }

    @model_validator(mode="after")
    def _known(self) -> LanguageIdEnsemble:
        if len(set(self.members)) < len(self.members):
            raise ValueError("'members' names a model twice")
        if self.languages is not None and not self.languages:
            raise ValueError("'languages' is empty: name some, or leave it out")
        for name in self.weights:
            if name not in self.members:
                raise ValueError(
                    f"'weights' is about '{name}', which is not in 'members'{nearest(name, list(self.members))}"
                )
        return self

    # ------------------------------------------------------------------------------------------------------- identity
    def with_models(self, models: Mapping[str, Model]) -> LanguageIdEnsemble:
        """This ensemble with its members resolved; other models in the mapping are ignored."""
        bound = self.model_copy()
        bound._models = {name: models[name] for name in self.members if name in models}
        return bound

    def _bound(self) -> dict[str, Model]:
        """The members; one that was not resolved is the installed model of that name.

        Raises:
            ModelError: there is none.
        """
        found = dict(self._models)
        for name in self.members:
            if name not in found:
                registry = Registry.installed()
                if name not in registry.names("model"):
                    raise ModelError(f"no model is called '{name}'{nearest(name, registry.names('model'))}")
                found[name] = registry.get("model", name)()
        return {name: found[name] for name in self.members}

    def identity(self, *, decisions: bool = True) -> dict[str, Any]:
        """The parameters without names of models; :meth:`name_and_revision` covers the models themselves."""
        given = super().identity(decisions=decisions)
        return {name: value for name, value in given.items() if name not in ("members", "weights")}

    def name_and_revision(self) -> str:
        """``ensemble@`` and a digest of its members' identities, their weights and the data."""
        digest = hashlib.blake2b(digest_size=16)
        for name, model in self._bound().items():
            digest.update(
                orjson.dumps([model.model_identity(), self.weights.get(name, {})], option=orjson.OPT_SORT_KEYS)
            )
        measured = digest_file(self._file()) if self.calibration is not None else "shipped"
        digest.update(orjson.dumps([data.data_digest(), measured], option=orjson.OPT_SORT_KEYS))
        return f"ensemble@{digest.hexdigest()}"

    def _file(self) -> Path:
        assert self.calibration is not None
        path = self.calibration.expanduser()
        if not path.is_file():
            raise ModelError(f"there is no file of weights {path}; leave 'calibration' out for the shipped ones")
        return path

    @property
    def exclusive(self) -> bool:
        """Whether one of its members is exclusive."""
        return any(model.exclusive for model in self._models.values())

    def load(self, *, cache: Path | None, threads: int) -> LoadedEnsemble:
        """Loads the members and the ensemble.

        Raises:
            ModelError: a member is missing, cannot be loaded, or is no language identifier; or the file of weights is
                invalid.
        """
        members: dict[str, LanguageIdentifier] = {}
        for name, model in self._bound().items():
            loaded = model.load(cache=cache, threads=threads)
            if not isinstance(loaded, LanguageIdentifier):
                raise ModelError(
                    f"'{name}' (use: {model.use}) is no language identifier; an ensemble consists of identifiers"
                )
            members[name] = loaded
        measured = data.weights()
        if self.calibration is not None:
            try:
                measured = orjson.loads(self._file().read_bytes())
            except orjson.JSONDecodeError as error:
                raise ModelError(f"{self._file()} is no file of weights: {error}") from error
            if not isinstance(measured, dict) or not isinstance(measured.get("weights"), dict):
                raise ModelError(f"{self._file()} is no file of weights: it has no 'weights'")
        packages = [model.name_and_revision().partition("@")[0] for model in self._bound().values()]
        return LoadedEnsemble(self, members, packages, measured["weights"])


class LoadedEnsemble:
    """The loaded ensemble, a :class:`curate.steps.models.LanguageIdentifier`."""

    def __init__(
        self,
        vote: LanguageIdEnsemble,
        members: Mapping[str, LanguageIdentifier],
        packages: Sequence[str],
        measured: Mapping[str, Any],
    ) -> None:
        self._vote = vote
        self._names, self._members = list(members), list(members.values())
        self._packages = list(packages)
        self._covers = [data.covered_by(package) for package in packages]
        self._measured = measured
        table = list(measured.get("languages", ()))
        self._known = Languages([*table, *(tag for tag in data.deciding_scripts().values() if tag not in table)])
        self._weights: Weights | None = None
        self._allowed = None if vote.languages is None else Supported(vote.languages)

    # ------------------------------------------------------------------------------------------------------- contract
    def supports(self, language: str) -> bool:
        """Whether it supports the language: a member does, and the ensemble was measured to be right about it or its
        script decides; and it is among the allowed ones.

        An unmeasured member is trusted.
        """
        if self._allowed is not None and language not in self._allowed:
            return False
        return (
            language in self._decided
            or language in self._romanised
            or any(
                member.supports(language)
                for member, package in zip(self._members, self._packages, strict=True)
                if language not in self._weak or package not in self._measured.get("identifiers", {})
            )
        )

    def names(self, language: str) -> bool:
        """Whether it could return the language at all, for an ensemble of ensembles."""
        return any(getattr(member, "names", member.supports)(language) for member in self._members)

    def identify(self, texts: Sequence[str], k: int = 1) -> Identified:
        """The k most likely languages of each text, with calibrated probabilities; empty where it abstains.

        Raises:
            ValueError: ``k`` is less than 1.
        """
        if k < 1:
            raise ValueError(f"k is the number of languages wanted, at least 1, not {k}")
        found = Identified([], [])
        for start in range(0, len(texts), _BATCH):
            batch = [strip_tashkeel(make_fit(text[: self._vote.max_chars])) for text in texts[start : start + _BATCH]]
            for tags, values in self._answers(ReadTexts(batch, self._vote.max_chars), k):
                found.languages.append(tags)
                found.probabilities.append(values)
        return found

    @cached_property
    def _decided(self) -> Supported:
        return Supported(data.deciding_scripts().values() if self._vote.scripts else ())

    @cached_property
    def _weak(self) -> Supported:
        return Supported(data.weak_languages("ensemble+heliport" if "heliport" in self._packages else "ensemble"))

    @cached_property
    def _romanised(self) -> Supported:
        return Supported(data.romanised_words())

    # --------------------------------------------------------------------------------------------------------- answers
    def _answers(self, texts: ReadTexts, k: int) -> list[tuple[list[str], list[float]]]:
        answers: list[tuple[list[str], list[float]]] = [([], []) for _ in texts]
        ask = []
        for row, (text, line, (script, _)) in enumerate(zip(texts, texts.lines, texts.scripts, strict=True)):
            if not line:
                continue
            decided = data.deciding_scripts().get(script) if self._vote.scripts else None
            if decided is not None and (self._allowed is None or decided in self._allowed) and _is_pure(text, script):
                answers[row] = ([decided], [_DECIDED])
            else:
                ask.append(row)
        if not ask:
            return answers
        asked = texts.some(ask)
        said = [member.identify(asked, _LABELS) for member in self._members]
        features = gather(self._known, asked, said, self._covers, asked.scripts)
        if self._allowed is not None:
            features.possible &= np.asarray([tag in self._allowed for tag in self._known.tags], bool)
        letters = triples.find_triples([split_words(text) for text in asked])
        shares = self._weigh(features, letters) if self._vote.mode == "weighted" else self._agree(features)
        strange = self._strange(letters, features, shares)
        for at, row in enumerate(ask):
            answers[row] = self._answer(shares[at], float(strange[at]), asked[at], asked.scripts[at][0], k)
        return answers

    def _strange(self, letters: triples.Found, features: LidFeatures, shares: Floats) -> Floats:
        """The probability of each text to be in a language that no member knows; 0 with ``languages``, which lists
        all that there are."""
        if self._allowed is not None:
            return np.zeros(len(shares), np.float32)
        best, value = shares.argmax(axis=1), shares.max(axis=1)
        labels = [self._known.tags[at] if value[row] else "" for row, at in enumerate(best)]
        said = [[self._known.tags[at] if at >= 0 else "" for at in row] for row in features.best.tolist()]
        return unknown.probabilities(letters, labels, value, said, self._current().has[best])

    def _current(self) -> Weights:
        """The weights, for all languages so far."""
        if self._weights is None or len(self._weights.b) < len(self._known):
            weights = weights_for(self._known, self._packages, self._members, self._measured)
            for at, name in enumerate(self._names):
                given = self._vote.weights.get(name, {})
                if given:
                    factors = np.asarray(
                        [given.get(tag, given.get("default", 1.0)) for tag in self._known.tags], np.float32
                    )
                    weights.v[:, at] = (weights.w[at] + weights.v[:, at]) * factors - weights.w[at]
            if self._vote.languages is None:
                weights.b -= self._vote.rarity * np.asarray(
                    [tag not in data.usual_languages() for tag in self._known.tags], np.float32
                )
            self._weights = weights
        return self._weights

    def _weigh(self, features: LidFeatures, letters: triples.Found) -> Floats:
        scores = combine(features, self._current())
        level, slope = self._temperature()
        # How much the letters of a short text count, and the log-temperature that they add.
        weight, more = self._measured.get("letters", (0.0, 0.0))
        support = triples.shipped().support(letters, self._known.tags, scores)
        heat = np.exp(level + slope * features.length + more * support.any(axis=1)).astype(np.float32)
        return softmax((scores + weight * support) / heat[:, None])

    def _temperature(self) -> tuple[float, float]:
        """Intercept and slope of the log temperature, for these members."""
        known: Mapping[str, Sequence[float]] = self._measured.get("temperature", {})
        found = known.get("+".join(sorted(self._packages))) or known.get("default") or (0.0, 0.0)
        return float(found[0]), float(found[1])

    def _agree(self, features: LidFeatures) -> Floats:
        """The mean probability over all members that know it; zeros where they disagree or too few know it."""
        has = self._current().has[None] | features.named
        asked = ~features.silent[:, None, :] & has
        held = np.where(features.possible[:, :, None] & features.named, features.logs, -np.inf)
        best = held.max(axis=1, keepdims=True)
        votes = asked & np.isfinite(held) & (held >= best - 1e-6)
        knowing, voting = asked.sum(axis=2), votes.sum(axis=2)
        enough = np.minimum(self._vote.quorum, np.maximum(1, has.sum(axis=2)))
        agreed = features.possible & (voting == knowing) & (voting >= enough)
        # A label that means several languages agrees with each of them; the others decide, or it stays open.
        agreed &= agreed.sum(axis=1, keepdims=True) == 1
        means = np.exp(np.where(votes, features.logs, 0.0)).sum(axis=2) - (~votes).sum(axis=2)
        return np.where(agreed, means / np.maximum(voting, 1), 0.0).astype(np.float32)

    def _answer(self, shares: Floats, strange: float, text: str, script: str, k: int) -> tuple[list[str], list[float]]:
        romanised = find_romanised(text) if script == "Latin" and self._vote.scripts else None
        if romanised is not None and (self._allowed is None or romanised[0] in self._allowed):
            # Half of the words telling is as good as certain; no identifier without the label can say anything against
            # it.
            certain = min(0.98, 0.4 + romanised[1])
            shares = shares * (1.0 - certain)
        some = np.flatnonzero(shares)
        order = some[np.argsort(-shares[some], kind="stable")[: k + 1]]
        pairs = [(self._known.tags[at], float(shares[at])) for at in order]
        if romanised is not None and (self._allowed is None or romanised[0] in self._allowed):
            pairs = sorted(
                [(romanised[0], certain), *(pair for pair in pairs if pair[0] != romanised[0])],
                key=lambda pair: -pair[1],
            )
        if pairs and self._vote.groups == "name":
            pairs = self._named_group(pairs, shares)
        if not pairs or pairs[0][1] < self._vote.abstain or (strange >= _STRANGE and romanised is None):
            return [], []
        return [tag for tag, _ in pairs[:k]], [round(min(1.0, value), 6) for _, value in pairs[:k]]

    def _named_group(self, pairs: list[tuple[str, float]], shares: Floats) -> list[tuple[str, float]]:
        best, value = pairs[0]
        group = data.group_of(best)
        if group is None or value >= self._vote.sure:
            return pairs
        whole = sum(float(shares[at]) for at in map(self._known.find, group.members) if at >= 0)
        if whole < max(self._vote.sure, self._vote.abstain):
            return pairs
        return sorted(
            [(group.tag, whole), *(pair for pair in pairs if pair[0] not in group.members)], key=lambda pair: -pair[1]
        )


def _is_pure(text: str, script: str) -> bool:
    """Whether nearly all letters are of one script."""
    if text.isascii():
        return script == "Latin"
    counts, names = count_scripts([text])
    counts[:, 0] = 0
    own = counts[0, names.index(script)]
    if script in ("Hiragana", "Katakana", "Hangul"):
        own = sum(int(counts[0, names.index(name)]) for name in ("Hiragana", "Katakana", "Hangul", "Han"))
    return bool(own >= (1 - _MIXED) * counts[0].sum())

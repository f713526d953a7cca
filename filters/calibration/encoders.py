"""Encoders by language pair: the first of several that knows both languages, with cosines on one scale.

Cosines of different encoders differ, and those of one encoder differ between language pairs. On the common scale
unrelated sentences of the shipped anchors have a mean cosine of .08 and translations one of .78 in each pair, as with
``use-multilingual``. The map is linear, and is made of vectors: they are centred on the mean of both languages,
stretched, and get one more dimension, so that whoever multiplies two of them has the cosine on the common scale. Above
the mean of translations it is squeezed, so that equal texts have 1 (:func:`at_most_one`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from curate.rows import languages
from curate.steps import Context, Encoder, StepError
from filters.calibration.anchors import Anchors, shipped_anchors

Vectors = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
UNRELATED, TRANSLATED = 0.08, 0.78
_LEAST_APART = 0.05
_INSTEAD = ("ar", "de", "hi", "sw", "tr", "zh")
"""The languages whose mean stands for a language without anchors."""
_shipped = cache(shipped_anchors)


class Encoders:
    """The encoders of a step: one as it is, or a list in order of preference, on the common scale."""

    def __init__(self, given: str | tuple[str, ...], context: Context) -> None:
        self.names = (given,) if isinstance(given, str) else given
        self.common = not isinstance(given, str)
        """Whether their cosines are on the common scale."""
        self._loaded: list[Encoder] = [context.model(name) for name in self.names]
        self._found: dict[tuple[str, str], tuple[int, Encoder] | None] = {}

    def __str__(self) -> str:
        return ", ".join(f"'{name}'" for name in self.names)

    @property
    def absolute(self) -> bool:
        """Whether a cosine means the same in every language."""
        return self.common or getattr(self._loaded[0], "absolute", True)

    @property
    def only(self) -> Encoder:
        """The encoder, where one is named by itself."""
        return self._loaded[0]

    def supports(self, language: str) -> bool:
        """Whether one of them knows a language."""
        return any(one.supports(language) for one in self._loaded)

    def find(self, left: str, right: str) -> Encoder | None:
        """The encoder for a language pair; None if none knows both languages.

        Raises:
            StepError: those that know both tell translations from other sentences no better than chance.
        """
        found = self._choose(left, right)
        return found[1] if found is not None else None

    def place(self, left: str, right: str) -> int | None:
        """The place in the list of the encoder for a language pair."""
        found = self._choose(left, right)
        return found[0] if found is not None else None

    def _choose(self, left: str, right: str) -> tuple[int, Encoder] | None:
        pair = left, right
        if pair not in self._found:
            self._found[pair] = None
            known = [place for place, one in enumerate(self._loaded) if one.supports(left) and one.supports(right)]
            for place in known:
                one = _scaled(self._loaded[place], left, right) if self.common else self._loaded[place]
                if one is not None:
                    self._found[pair] = place, one
                    break
            else:
                if known:
                    names = ", ".join(f"'{self.names[place]}'" for place in known)
                    raise StepError(
                        f"{names}: translations in {left}-{right} are no nearer than unrelated sentences; leave the "
                        "model out, or name one before it that knows this pair"
                    )
        return self._found[pair]

    def each(self) -> list[Encoder]:
        """All of them, as they are."""
        return list(self._loaded)

    def unknown(self, left: str, right: str) -> set[str]:
        """What is not supported of a language pair: one of its languages, both, or only the pair."""
        tags = {tag for tag in (left, right) if not self.supports(tag)}
        return tags if tags or self.find(left, right) is not None else {f"{left}-{right}"}

    def groups(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[Encoder, Integers]]:
        """For each encoder, the places of the pairs that are for it; all for the only one, if there is one."""
        if not self.common:
            yield self.only, np.arange(len(pairs))
            return
        places: dict[tuple[str, str], list[int]] = {}
        for place, pair in enumerate(pairs):
            places.setdefault(pair, []).append(place)
        for pair, mine in places.items():
            encoder = self.find(*pair)
            if encoder is not None:
                yield encoder, np.array(mine)


class _Scaled:
    """An encoder for the texts of one language pair, on the common scale."""

    absolute = True

    def __init__(self, encoder: Encoder, mean: Vectors, stretch: float, more: float) -> None:
        self._encoder, self._mean = encoder, mean
        self._stretch, self._more = np.float32(np.sqrt(stretch)), np.float32(np.sqrt(more))
        self.dimensions = encoder.dimensions + 1

    def encode(self, texts: Sequence[str]) -> Vectors:
        return self.scaled(self._encoder.encode(texts))

    def scaled(self, vectors: Vectors) -> Vectors:
        """Vectors of the encoder on the common scale."""
        scaled = np.zeros((len(vectors), self.dimensions), np.float32)
        there = np.flatnonzero(vectors.any(axis=1))
        scaled[there, :-1] = _centred(vectors[there], self._mean) * self._stretch
        scaled[there, -1] = self._more
        return scaled

    def supports(self, language: str) -> bool:
        return self._encoder.supports(language)

    def squeezed(self, cosines: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Cosines above that of translations so that equal texts have 1."""
        most = float(self._stretch**2 + self._more**2)
        above = (cosines - TRANSLATED) * ((1 - TRANSLATED) / max(most - TRANSLATED, 1e-6))
        return np.where(cosines > TRANSLATED, np.minimum(TRANSLATED + above, 1.0), cosines)


def at_most_one(encoder: Encoder, cosines: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The cosines of an encoder that :class:`Encoders` gave, none of them above 1."""
    return encoder.squeezed(cosines) if isinstance(encoder, _Scaled) else cosines


def on_scale(encoder: Encoder, vectors: Vectors) -> Vectors:
    """Vectors that the encoder behind one of :class:`Encoders` made, as this one would have made them."""
    return encoder.scaled(vectors) if isinstance(encoder, _Scaled) else vectors


class _Measured:
    """What is measured of an encoder, once in a process: its vectors of anchors, and its scale for each pair."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.pairs: dict[frozenset[str], Encoder | None] = {}
        self._vectors: dict[str, Vectors] = {}

    def encode(self, texts: Sequence[str]) -> Vectors:
        new = [one for one in dict.fromkeys(texts) if one not in self._vectors]
        if new:
            self._vectors.update(zip(new, self.encoder.encode(new), strict=True))
        return np.stack([self._vectors[one] for one in texts])


_measured: dict[int, _Measured] = {}


def _scaled(encoder: Encoder, left: str, right: str) -> Encoder | None:
    """The encoder on the common scale; None if it tells translations of this pair from others no better than chance."""
    known = _measured.setdefault(id(encoder), _Measured(encoder))  # which holds the encoder, so that its id stays its
    pair = frozenset((left, right))
    if pair not in known.pairs:
        anchors = _shipped()
        one, other = (_anchored(anchors, tag) for tag in sorted((left, right)))
        same = one is not None and one == other
        measured = [
            _measure(known, anchors, a, b)
            for a in ((one,) if one else _INSTEAD)
            for b in ((other,) if other else _INSTEAD)
            if a != b or same
        ]
        mean = np.mean([each[0] for each in measured], axis=0)
        unrelated, translated = np.mean([each[1:] for each in measured], axis=0).tolist()
        # Of the same language on both sides the anchors are the same texts.
        top = 1.0 if same else TRANSLATED
        known.pairs[pair] = None
        if translated - unrelated >= _LEAST_APART:
            stretch = (top - UNRELATED) / (translated - unrelated)
            known.pairs[pair] = _Scaled(encoder, mean, stretch, max(0.0, UNRELATED - stretch * unrelated))
    return known.pairs[pair]


def _anchored(anchors: Anchors, tag: str) -> str | None:
    """The language of the anchors for a language; None if there are none."""
    return next((one for one in (tag, languages.base(tag)) if one in anchors.texts), None)


def _measure(encoder: _Measured, anchors: Anchors, left: str, right: str) -> tuple[Vectors, float, float]:
    """The mean vector of both languages, and around it the mean cosines of unrelated sentences and of translations."""
    texts = anchors.pair(left, right, len(anchors.texts["en"]))
    one, other = encoder.encode(texts[0]), encoder.encode(texts[1])
    mean: Vectors = ((one.mean(axis=0) + other.mean(axis=0)) / 2).astype(np.float32)
    cosines = _centred(one, mean) @ _centred(other, mean).T
    same = np.eye(len(cosines), dtype=bool)
    return mean, float(cosines[~same].mean()), float(cosines[same].mean())


def _centred(vectors: Vectors, mean: Vectors) -> Vectors:
    away = vectors - mean
    norms = np.linalg.norm(away, axis=1, keepdims=True)
    centred: Vectors = np.divide(away, norms, out=np.zeros_like(away), where=norms > 0)
    return centred

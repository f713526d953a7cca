"""Combines the results of language identifiers into one score per language.

The score weighs what each identifier reports by how often it is right, and adds features from letters and words.
The score of language l for a text x of n letters, over the identifiers i that were asked, is log-linear:

b(l) − r·rare(l) + Σ (w(i) + u(i)·t + v(i,l)) · log p(i,l,x) identifiers that have a label for l + Σ c(i) + s(i)·log(1 −
p(i,best,x)) identifiers that have none + Σ (g(i) + h(i)·t) · log P(i says its best label | l) + m · words(l,x) − f ·
letters(l,x), t = log(n / 25), clipped to ±1.5

P is how often the identifier reports that label for texts in l, right or wrong: Asturian, which it may not know, is
reported as Spanish or Portuguese and hardly ever as Catalan. The probabilities are the softmax of the scores over all
languages that some identifier reported and that use the script of the text, divided by a temperature that depends on n
and on the set of identifiers. All parameters were fitted, and the temperatures calibrated, on held-out texts
(``benchmarks/language_id.py fit``); they are data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import regex

from curate.models.embedding.preprocess import count_letters
from curate.models.langid import language_data as data
from curate.models.langid.labels import find_scripts
from curate.rows import languages
from curate.steps.models import Identified, LanguageIdentifier
from curate.text import segmentation as text

Floats = npt.NDArray[np.float32]
FLOOR = float(np.log(1e-4))
"""Log-probability of a language that an identifier knows and did not report."""
SPAN = 1.5
_MOST_WORDS = 300
_MOST_HITS, _MOST_FOREIGN = 4, 2
_WORDS = regex.compile(r"[\p{L}\p{M}'’]+")
_KANA = regex.compile(r"[\p{Hiragana}\p{Katakana}]")
_HAN = "Han"
LEAST_ECHO, UNKNOWN_ECHO = 0.002, 0.02
_SCALARS = ("w", "u", "s", "c", "g", "h")
ROMANISED_HITS, ROMANISED_SHARE = 1.5, 0.2
"""Minimum number and share of distinctive words for a text in Latin letters to be a romanised language."""
ROMANISED_MANY, ROMANISED_LEAST = 2.5, 0.12
"""From this number on the lower share: in finely mixed text most words are of the other language."""


@dataclass
class LidFeatures:
    """Features of B texts for L languages from M identifiers."""

    logs: Floats
    """(B, L, M): log-probabilities, not below :data:`FLOOR`."""
    named: npt.NDArray[np.bool_]
    """(B, L, M): whether the identifier reported the language."""
    rest: Floats
    """(B, M): log of the probability outside the best label."""
    silent: npt.NDArray[np.bool_]
    """(B, M): whether the identifier abstained."""
    best: npt.NDArray[np.int64]
    """(B, M): the language it reported first; -1 if it is none of these."""
    possible: npt.NDArray[np.bool_]
    """(B, L): whether the language uses the script of the text (and, for Chinese, its variant)."""
    words: Floats
    """(B, L): number of distinctive words of the language in the text, at most four."""
    foreign: Floats
    """(B, L): number of distinctive letters that the language lacks, at most two."""
    length: Floats
    """(B,): log(letters / 25), clipped to ±1.5."""


class Languages:
    """The languages in order; more are added as identifiers report them."""

    def __init__(self, tags: Sequence[str]) -> None:
        self.tags: list[str] = []
        self._index: dict[str, int] = {}
        self._scripts: dict[str, npt.NDArray[np.bool_]] = {}
        self._letters: dict[str, npt.NDArray[np.bool_]] = {}
        self._words: dict[str, list[int]] = {}
        self.add(tags)

    def __len__(self) -> int:
        return len(self.tags)

    def add(self, tags: Iterable[str]) -> None:
        for tag in tags:
            if tag not in self._index:
                self._index[tag] = len(self.tags)
                self.tags.append(tag)
        self._scripts.clear()
        self._letters.clear()
        self._words.clear()

    def find(self, tag: str) -> int:
        """Index of a tag; -1 for none, and for unused combinations (``af-Armn``)."""
        found = self._index.get(tag)
        return -1 if found is None else found

    def told_by(self) -> dict[str, list[int]]:
        """Word → the languages that it tells."""
        if not self._words:
            of = {word: [self.find(tag) for tag in tags] for word, tags in data.telling_words().items()}
            self._words = {word: [at for at in places if at >= 0] for word, places in of.items()}
        return self._words

    def written_in(self, script: str) -> npt.NDArray[np.bool_]:
        if script not in self._scripts:
            self._scripts[script] = np.asarray(
                [not script or script in languages.letters(tag) for tag in self.tags], bool
            )
        return self._scripts[script]

    def lacking(self, letter: str) -> npt.NDArray[np.bool_]:
        """Which languages have a known alphabet without this letter; none for a letter that is not distinctive."""
        if letter not in self._letters:
            known = data.alphabets()
            script = _script_of(letter)
            lacks = [
                letter in _telling() and tag in known and letter not in known[tag] and script in languages.letters(tag)
                for tag in self.tags
            ]
            self._letters[letter] = np.asarray(lacks, bool)
        return self._letters[letter]


@lru_cache(maxsize=1)
def _telling() -> frozenset[str]:
    return frozenset().union(*data.alphabets().values())


@lru_cache(maxsize=4096)
def _script_of(letter: str) -> str:
    return find_scripts([letter])[0][0]


@lru_cache(maxsize=65536)
def is_written(tag: str) -> bool:
    """Whether the language is ever written in that script; otherwise the label is wrong."""
    return (
        tag == languages.base(tag)
        or languages.letters(tag) == languages.letters(languages.base(tag))
        or tag in data.other_scripts()
    )


# ------------------------------------------------------------------------------------------------------------ features
def gather(
    known: Languages,
    texts: Sequence[str],
    said: Sequence[Identified],
    covers: Sequence[Mapping[str, tuple[str, ...]]],
    scripts: Sequence[tuple[str, bool]],
) -> LidFeatures:
    """Computes the features of texts: results of the identifiers, letters and words.

    Args:
        said: the results, one per identifier.
        covers: for each identifier, further meanings of its labels.
        scripts: result of :func:`curate.models.langid.labels.find_scripts` for the texts.
    """
    many = len(said)
    rest, silent = np.zeros((len(texts), many), np.float32), np.zeros((len(texts), many), bool)
    best = np.full((len(texts), many), -1, np.int64)
    for member, identified in enumerate(said):
        silent[:, member] = [not tags for tags in identified.languages]
        rest[:, member] = [max(1e-3, 1.0 - values[0]) if values else 0.0 for values in identified.probabilities]
        best[:, member] = [known.find(tags[0]) if tags else -1 for tags in identified.languages]
    meant = [
        {tag: (tag, *more.get(tag, ())) for tag in dict.fromkeys(chain.from_iterable(identified.languages))}
        for identified, more in zip(said, covers, strict=True)
    ]
    known.add(
        name
        for names in chain.from_iterable(one.values() for one in meant)
        for name in names
        if known.find(name) < 0 and is_written(name) and name != languages.UNKNOWN
    )
    shape = (len(texts), len(known), many)
    slots: list[int] = []
    probabilities: list[float] = []
    for member, (identified, names) in enumerate(zip(said, meant, strict=True)):
        places = {tag: [at * many for name in of if (at := known.find(name)) >= 0] for tag, of in names.items()}
        start = member
        for tags, values in zip(identified.languages, identified.probabilities, strict=True):
            for tag, value in zip(tags, values, strict=True):
                for place in places[tag]:
                    slots.append(start + place)
                    probabilities.append(value)
            start += len(known) * many
    logs, named = np.zeros(shape, np.float32), np.zeros(shape, bool)
    filled = np.asarray(slots, np.int64)
    np.add.at(logs.ravel(), filled, np.asarray(probabilities, np.float32))
    named.ravel()[filled] = True
    some = np.clip(logs.ravel()[filled], np.exp(FLOOR), 1.0)
    logs.fill(np.log(np.float32(np.exp(FLOOR))))
    logs.ravel()[filled] = np.log(some, dtype=np.float32)
    possible = np.zeros(shape[:2], bool)
    words, foreign = np.zeros(shape[:2], np.float32), np.zeros(shape[:2], np.float32)
    for row, (one, (script, _)) in enumerate(zip(texts, scripts, strict=True)):
        possible[row] = known.written_in(script)
        if script == _HAN:
            _tell_chinese(known, one, logs[row], named[row], possible[row])
        for at, count in _count_words(known, one if script == _HAN else split_words(one)).items():
            words[row, at] = count
        if not one.isascii():
            for letter in _telling().intersection(one.lower()):
                foreign[row] += known.lacking(letter)
    length = count_letters(texts).astype(np.float32)
    length *= [3 if script == _HAN else 1 for script, _ in scripts]
    length = np.clip(np.log(np.maximum(length, 1.0) / 25), -SPAN, SPAN).astype(np.float32)
    np.minimum(words, _MOST_HITS, out=words)
    np.minimum(foreign, _MOST_FOREIGN, out=foreign)
    return LidFeatures(logs, named, np.log(np.maximum(rest, 1e-3)), silent, best, possible, words, foreign, length)


def _tell_chinese(
    known: Languages, one: str, logs: Floats, named: npt.NDArray[np.bool_], possible: npt.NDArray[np.bool_]
) -> None:
    """Japanese if there is kana; otherwise simplified or traditional Chinese by characters specific to one of them."""
    ja, plain, traditional = known.find("ja"), known.find("zh"), known.find("zh-Hant")
    if _KANA.search(one):
        if ja >= 0:
            possible[:] = False
            possible[ja] = True
            named[ja] = True
        return
    if plain < 0 or traditional < 0:
        return
    points = np.frombuffer(one.encode("utf-32-le", "surrogatepass"), np.uint32)
    simplified, other = (int(side[points].sum()) for side in text.chinese_variants())
    wrong = traditional if simplified >= other else plain
    logs[plain] = logs[traditional] = np.maximum(logs[plain], logs[traditional])
    named[plain] = named[traditional] = named[plain] | named[traditional]
    possible[wrong] = False


def _count_words(known: Languages, units: Sequence[str]) -> Counter[int]:
    """How many of the first words (characters, in Han) tell each language."""
    counts: Counter[int] = Counter()
    for places in filter(None, map(known.told_by().get, set(units[:_MOST_WORDS]))):
        counts.update(places)
    return counts


@lru_cache(maxsize=512)
def split_words(one: str) -> list[str]:
    """The words of a text in small letters, without digits and punctuation."""
    return _WORDS.findall(one.lower())


def find_romanised(one: str) -> tuple[str, float] | None:
    """The romanised language with enough distinctive words in a text of Latin letters, and their share."""
    words = split_words(one)[:_MOST_WORDS]
    best: tuple[str, float] | None = None
    for tag, (sure, maybe) in data.romanised_words().items():
        if sure.isdisjoint(words):
            continue
        hits = _count_romanised(words, sure, maybe)
        share = hits / len(words)
        enough = share >= (ROMANISED_LEAST if hits >= ROMANISED_MANY else ROMANISED_SHARE)
        if hits >= ROMANISED_HITS and enough and (best is None or share > best[1]):
            best = tag, share
    return best


def _count_romanised(words: Sequence[str], sure: frozenset[str], maybe: frozenset[str]) -> float:
    """The number of distinctive words; one that another language may have counts half, or whole beside a sure one."""
    certain = [False, *(word in sure for word in words), False]
    return sum(
        1.0 if certain[at] else (1.0 if certain[at - 1] or certain[at + 1] else 0.5) if word in maybe else 0.0
        for at, word in enumerate(words, 1)
    )


# -------------------------------------------------------------------------------------------------------------- scores
@dataclass
class Weights:
    """The parameters of the score, for M identifiers and L languages."""

    w: Floats
    u: Floats
    s: Floats
    c: Floats
    v: Floats
    """(L, M)"""
    b: Floats
    """(L,)"""
    g: Floats
    h: Floats
    echoes: Floats
    """(M, L, L): log P(the identifier reports the first | the text is in the second)."""
    m: float
    f: float
    has: npt.NDArray[np.bool_]
    """(L, M): whether the identifier has a label for the language."""


def hear(features: LidFeatures, echoes: Floats) -> Floats:
    """(B, L, M): likelihood of each identifier's report given a text in each language; 0 where unknown."""
    members = np.arange(features.best.shape[1])
    heard: Floats = np.moveaxis(echoes[members, np.maximum(features.best, 0)], 1, 2).copy()
    heard[np.broadcast_to((features.best < 0)[:, None, :], heard.shape)] = 0.0
    return heard


def combine(features: LidFeatures, weights: Weights, heard: Floats | None = None) -> Floats:
    """The score of each language for each text, (B, L); -inf where it is impossible."""
    # Over an axis of three, any() takes ten times as long.
    named = reduce(np.logical_or, np.moveaxis(features.named, 2, 0))
    rows, tags = np.nonzero(named & features.possible)
    length = features.length[rows, None]
    factor = weights.w + weights.u * length + weights.v[tags]
    outside = weights.c + weights.s * features.rest[rows]
    known = weights.has[tags] | features.named[rows, tags]
    said = np.where(known, features.logs[rows, tags] * factor, outside)
    if heard is None:
        best = features.best[rows]
        echo = weights.echoes[np.arange(best.shape[1]), np.maximum(best, 0), tags[:, None]]
        echo[best < 0] = 0.0
    else:
        echo = heard[rows, tags]
    said = said + (weights.g + weights.h * length) * echo
    said[features.silent[rows]] = 0.0
    some = said.sum(axis=1) + weights.b[tags] + weights.m * features.words[rows, tags]
    scores = np.full(features.possible.shape, -np.inf, np.float32)
    scores[rows, tags] = some - weights.f * features.foreign[rows, tags]
    return scores


def softmax(scores: Floats) -> Floats:
    """Softmax over each row; zeros for a row without possible languages."""
    best = scores.max(axis=1, keepdims=True, initial=np.finfo(np.float32).min)
    raised = np.exp(scores - best)  # of -inf: 0
    total = raised.sum(axis=1, keepdims=True)
    shares: Floats = np.divide(raised, total, out=np.zeros_like(raised), where=total > 0)
    return shares


def weights_for(
    known: Languages, names: Sequence[str], members: Sequence[LanguageIdentifier], measured: Mapping[str, Any]
) -> Weights:
    """The measured weights of these identifiers (``lid.176``, ``eldc``, …); an unmeasured one is taken at face
    value."""
    each = measured.get("identifiers", {})
    usual = dict.fromkeys(_SCALARS, 0.0) | {"w": 1.0, "s": 0.1, "c": -1.0} | measured.get("usual", {})
    columns = {
        key: np.asarray([each[name].get(key, 0.0) if name in each else usual[key] for name in names], np.float32)
        for key in _SCALARS
    }
    v = np.zeros((len(known), len(names)), np.float32)
    has = np.zeros(v.shape, bool)
    echoes = np.zeros((len(names), len(known), len(known)), np.float32)
    for at, (name, member) in enumerate(zip(names, members, strict=True)):
        more = {other for tags in data.covered_by(name).values() for other in tags}
        has_label = getattr(member, "names", member.supports)
        own = each.get(name, {}).get("v", {})
        for row, tag in enumerate(known.tags):
            has[row, at] = tag in more or has_label(tag)
            v[row, at] = own.get(tag, 0.0)
        if name in each:
            echoes[at] = echoes_of(known, each[name].get("says", {}))
        else:
            columns["g"][at] = columns["h"][at] = 0.0
    prior = measured.get("b", {})
    b = np.asarray([prior.get(tag, measured.get("unmeasured", 0.0)) for tag in known.tags], np.float32)
    m, f = float(measured.get("m", 1.0)), float(measured.get("f", 1.0))
    return Weights(**columns, v=v, b=b, echoes=echoes, m=m, f=f, has=has)


def echoes_of(known: Languages, says: Mapping[str, Mapping[str, float]]) -> Floats:
    """Logarithms out of shares: language → label → share of its texts; what is not there gets :data:`LEAST_ECHO`.

    A language of which nothing is known is taken to be called anything alike.
    """
    found = np.full((len(known), len(known)), np.log(LEAST_ECHO), np.float32)
    for column, tag in enumerate(known.tags):
        if tag not in says:
            found[:, column] = np.log(UNKNOWN_ECHO)
            continue
        for label, share in says[tag].items():
            row = known.find(label)
            if row >= 0:
                found[row, column] = np.log(max(share, LEAST_ECHO))
    return found

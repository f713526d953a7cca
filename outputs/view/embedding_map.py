"""The map of a version: its rows as points in a plane, near each other if an encoder says that their texts mean alike.

No model runs: the vectors are those that steps of the build left in the store's cache. A map has the rows of some
items, those with the smallest digests: a random sample that is the same every time, with all translations of each.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import regex

from curate.models.cache.embeddings import Kept, kept_vectors
from curate.rows import Kind, main_fields, schema
from curate.rows.fields import answer_field, field_text
from curate.text.words import RUN, WORD, Fold, fold_of, is_run, spans
from curate.vectors.layout import Layout, laid_out
from outputs.view.reading import ReadVersion
from outputs.view.server import NotFound

SAMPLE = 20_000
"""Rows looked at; half as many pairs, which have a point for each side."""
_CUT = 2_000
"""The steps that compare texts cut them to this length, unless they say otherwise."""
_READ, _READ_RUNS = 400, 120
"""Characters of a text that are read for keywords: of words, of scripts without spaces."""
_KEYWORDS, _TYPICAL = 8, 3
_HAN = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}]")
_CLUSTER = regex.compile(r"\X")
_BOX = regex.compile(r"(?:[01](?:\.\d+)?|\.\d+)(?:,(?:[01](?:\.\d+)?|\.\d+)){3}")
Ids = frozenset[str]


@dataclass(frozen=True)
class Point:
    """A row, or one side of a pair."""

    id: str
    language: str
    source: str
    step: str
    """That dropped it; empty if it was kept."""
    item: str
    text: str

    @property
    def row(self) -> tuple[str, bool]:
        """What tells its row apart: a row may be kept and its like dropped as a duplicate."""
        return self.id, bool(self.step)


@dataclass(frozen=True)
class Cluster:
    """Points near each other."""

    number: int
    points: int
    languages: list[tuple[str, int]]
    dropped: int
    keywords: list[tuple[str, str]]
    """Words that its texts have and others of their language have not, with the language."""
    typical: list[Point]
    centre: tuple[float, float]


class EmbeddingMap:
    """The map of a version.

    Args:
        sample: how many rows are looked at.
    """

    def __init__(self, read: ReadVersion, sample: int = SAMPLE) -> None:
        manifest = read.version.manifest
        self.rows: int = manifest["rows"] + manifest["rejected"]
        sides = 2 if read.version.kind is Kind.PARALLEL else 1
        points, texts, self.drawn = _sampled(read, sample // sides)
        self.looked_at = len({point.row for point in points})
        """Different rows among those drawn."""
        cuts = _cuts(manifest["recipe"]["steps"])
        wanted = [[text[:cut] for cut in cuts] for several in texts for text in several if text.strip()]
        distinct = list(dict.fromkeys(one for several in wanted for one in several))
        kept = kept_vectors(read.reader.store.root / "cache", distinct) if distinct else None
        self.model = kept.model if kept is not None else ""
        vectors, there = _of_points(texts, cuts, distinct, kept)
        self.points: list[Point] = [point for point, has in zip(points, there, strict=True) if has]
        self.shown = len({point.row for point in self.points})
        self.layout: Layout | None = laid_out(vectors[there], typical=_TYPICAL) if self.points else None

    @cached_property
    def clusters(self) -> list[Cluster]:
        """The largest first."""
        if self.layout is None:
            return []
        of, places = self.layout.clusters, self.layout.points
        words = _keywords(self.points, of)
        found = []
        for number, typical in enumerate(self.layout.typical):
            mine = np.flatnonzero(of == number)
            languages = Counter(self.points[one].language for one in mine.tolist()).most_common()
            dropped = sum(bool(self.points[one].step) for one in mine.tolist())
            x, y = np.median(places[mine], axis=0).tolist()
            some = [self.points[one] for one in typical.tolist()]
            found.append(Cluster(number, len(mine), languages, dropped, words[number], some, (x, y)))
        return found

    def inside(self, region: str, state: str) -> Ids:
        """The rows of a cluster (``3``, from 1), or in a rectangle (``0.1,0.2,0.5,0.6``: left, top, right, bottom).

        Args:
            state: ``kept`` or ``dropped``; of equal rows one may be kept and another one dropped.

        Raises:
            NotFound: it is neither.
        """
        if self.layout is None:
            raise NotFound("region: this version has no map")
        if region.isascii() and region.isdecimal() and 0 < int(region) <= len(self.layout.typical):
            within = self.layout.clusters == int(region) - 1
        elif _BOX.fullmatch(region):
            left, top, right, bottom = map(float, region.split(","))
            x, y = self.layout.points.T
            within = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
        else:
            known = f"1 to {len(self.layout.typical)}"
            raise NotFound(f"region: '{region[:40]}' is neither a cluster ({known}) nor a rectangle (0.1,0.2,0.5,0.6)")
        mine = (self.points[one] for one in np.flatnonzero(within).tolist())
        return frozenset(one.id for one in mine if bool(one.step) == (state == "dropped"))


def map_of(read: ReadVersion) -> EmbeddingMap:
    """The map of a version, from memory if it was asked for not long ago."""
    found: EmbeddingMap = read.reader.remembered(("map", read.name), lambda: EmbeddingMap(read))
    return found


def _sampled(read: ReadVersion, most: int) -> tuple[list[Point], list[list[str]], int]:
    """The points of some rows, the texts of each whose vectors make its own, and the number of rows."""
    parts = [
        f"SELECT id, md5(group_id) AS h, {place} AS place FROM {read.table(state)}"
        for place, state in enumerate(("kept", "dropped"))
    ]
    chosen = read.ask(f"SELECT id, place FROM ({' UNION ALL '.join(parts)}) ORDER BY h, id, place LIMIT {most}")
    points: list[Point] = []
    texts: list[list[str]] = []
    for place, state in enumerate(("kept", "dropped")):
        ids = chosen.filter(chosen["place"] == place)["id"].to_list()
        rows = list(read.rows(ids, state, without=("scores", "attributes")).values())
        for kind in dict.fromkeys(row["kind"] for row in rows):
            for point, several in _points(kind, [row for row in rows if row["kind"] is kind]):
                points.append(point)
                texts.append(several)
    return points, texts, chosen.height


def _points(kind: Kind, rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Point, list[str]]]:
    table = pa.table(
        {
            column.name: [
                row.get(column.name) or [] if column.name in ("scores", "attributes") else row.get(column.name)
                for row in rows
            ]
            for column in schema(kind)
        },
        schema=schema(kind),
    )
    fields = {name: field_text(kind, table, name).to_list() for name in main_fields(kind)}
    if kind is Kind.PREFERENCE:
        fields.pop("rejected")
    for place, row in enumerate(rows):
        about = (row["lineage"]["source"], row.get("step") or "", row["group_id"])
        if kind is Kind.PARALLEL:
            for name, language in (("source", row["source_language"]), ("target", row["language"])):
                text = fields[name][place]
                yield Point(row["id"], language, *about, text), [text]
        else:
            several = [texts[place] for texts in fields.values()]
            shown = next((text for text in several if text.strip()), fields[answer_field(kind)][place])
            yield Point(row["id"], row["language"], *about, shown), several


def _cuts(steps: Sequence[Mapping[str, Any]]) -> list[int]:
    """The lengths to which steps may have cut the texts that they encoded, and the whole text."""
    given = [step.get("params", {}).get("max_chars") for step in steps]
    return list(dict.fromkeys([_CUT, *(one for one in given if isinstance(one, int)), 1 << 40]))


def _of_points(
    texts: Sequence[Sequence[str]], cuts: Sequence[int], distinct: Sequence[str], kept: Kept | None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """A unit-length vector for each point, and whether it has one: the mean over its texts.

    A step may have encoded only some fields, such as the prompt. Those count that most points with vectors have, so
    that all points say something about the same.
    """
    if kept is None:
        return np.zeros((len(texts), 1), np.float32), np.zeros(len(texts), bool)
    where = {text: place for place, text in enumerate(distinct) if kept.found[place]}
    fields = max(map(len, texts))
    places = np.full((len(texts), fields), -1)
    blank = np.ones((len(texts), fields), bool)
    for row, several in enumerate(texts):
        for column, text in enumerate(several):
            blank[row, column] = not text.strip()
            places[row, column] = next((where[text[:cut]] for cut in cuts if text[:cut] in where), -1)
    has = (places >= 0) & ~blank
    usual = has.sum(axis=0) * 2 >= has.sum(axis=0).max()
    there = np.asarray((has | blank)[:, usual].all(axis=1) & has[:, usual].any(axis=1))
    vectors = np.zeros((len(texts), kept.vectors.shape[1]), np.float32)
    for column in np.flatnonzero(usual).tolist():
        mine = has[:, column]
        vectors[mine] += kept.vectors[places[mine, column]]
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, 1e-9), there


# ------------------------------------------------------------------------------------------------------------ keywords
def _keywords(points: Sequence[Point], clusters: npt.NDArray[np.int64]) -> list[list[tuple[str, str]]]:
    """For each cluster the words that say most about it: compared only with texts of the same language, so that they
    are not just its commonest words."""
    count = int(clusters.max()) + 1
    texts: Counter[str] = Counter()
    having: dict[str, Counter[str]] = {}
    within: list[dict[str, Counter[str]]] = [{} for _ in range(count)]
    sizes: list[Counter[str]] = [Counter() for _ in range(count)]
    for point, cluster in zip(points, clusters.tolist(), strict=True):
        language = point.language
        words = set(_words(point.text, language))
        texts[language] += 1
        sizes[cluster][language] += 1
        having.setdefault(language, Counter()).update(words)
        within[cluster].setdefault(language, Counter()).update(words)
    found = []
    for cluster in range(count):
        scored = []
        for language, mine in within[cluster].items():
            inside, outside = sizes[cluster][language], texts[language] - sizes[cluster][language]
            for word, here in mine.items():
                if here < 2:
                    continue
                there = having[language][word] - here
                odds = math.log((here + 0.5) / (inside + 1)) - math.log((there + 0.5) / (outside + 1))
                # Of the parts of a word, which are found as often as it, the longest is the word.
                longer = len(word) / 4 if is_run(word) else 1
                if odds > 0:
                    scored.append((here * odds * longer, word, language))
        scored.sort(key=lambda one: (-one[0], one[1], one[2]))
        found.append(_varied(scored))
    return found


def _varied(scored: Sequence[tuple[float, str, str]]) -> list[tuple[str, str]]:
    """The first words, none of which has half of its letters in another; of each language no more than its share."""
    chosen: list[tuple[str, str]] = []
    by_language: Counter[str] = Counter()
    most = max(2, _KEYWORDS // max(1, len({language for _, _, language in scored[:100]})))
    for _, word, language in scored:
        if len(chosen) == _KEYWORDS:
            break
        half = word[: len(word) // 2 + 1], word[-(len(word) // 2 + 1) :]
        if by_language[language] >= most or any(part in other for other, _ in chosen for part in half):
            continue
        chosen.append((word, language))
        by_language[language] += 1
    return chosen


def _words(text: str, language: str) -> Iterator[str]:
    """Words; of scripts without spaces, near the beginning, what may be one."""
    fold: Fold = fold_of(language)
    for start, end, kind in spans(text[:_READ], language):
        if kind == WORD and end - start > 1:
            yield fold(text[start:end])
        elif kind == RUN and start < _READ_RUNS:
            letters = _CLUSTER.findall(text[start : min(end, _READ_RUNS)])
            for size in (2, 3, 4) if _HAN.match(text, start) else (3, 4, 5, 6, 7):
                yield from ("".join(letters[at : at + size]) for at in range(len(letters) - size + 1))

"""Collects the report's data in two passes over a version's files, in batches and with bounded memory.

The first pass counts rows, finds the range of each score and draws the sample; the second fills histograms and finds
rows at the thresholds, in the largest clusters and among those requested.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from curate.rows import Kind
from curate.rows.ids import hash_texts
from curate.steps.outputs import Version
from outputs.report.thresholds import Limit, owner

BINS = 40
CLUSTERS = 12
_BATCH = 16_384
_BORDER = 3
_MEMBERS = 12
_HITS = 60
_HITS_OF_A_KIND = 4
_MOST_SCORES = 60
_STRATA = 64
TRIED = 6
_MOST_TRIED = 3_000
_STRATUM = ["language", "step", "reason"]
_KEY = ["file", "row"]


@dataclass(frozen=True)
class File:
    """A file of rows: of a split, or of dropped rows."""

    path: Path
    kind: Kind
    split: str
    """Empty for dropped rows."""


@dataclass
class Score:
    """The distribution of a score over all rows."""

    name: str
    step: str | None
    rows: int
    low: float
    high: float
    shown: tuple[float, float]
    """The range of the axis: without the outermost half per cent at each end."""
    whole: bool
    """Whether all values are whole numbers."""
    counts: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    """Language (``*``: all) → bins × (kept, dropped by this step, dropped by another step)."""

    @property
    def edges(self) -> np.ndarray[Any, Any]:
        """The bin edges; the outermost bins include all values beyond."""
        low, high = self.shown
        if self.whole and high - low < BINS:
            return np.arange(low - 0.5, high + 1)
        return np.linspace(low, high if high > low else low + 1, BINS + 1)


@dataclass
class Survey:
    """The data of a report."""

    files: list[File]
    sample: pl.DataFrame
    """The sample: file, row, id, language, step, reason (both empty if kept)."""
    tried: pl.DataFrame
    """A few rows of each kind, for probing the steps."""
    strata: dict[tuple[str, str, str], int]
    """(language, step, reason) → rows in the version; step and reason are empty for rows that were kept."""
    sources: dict[tuple[str, str], list[int]]
    """(source, language) → rows kept, rows dropped."""
    scores: dict[str, Score]
    left_out: int
    """How many scores are not shown."""
    clusters: list[dict[str, Any]]
    """The largest: label, id, size, and their rows in ``members``."""
    cluster_sizes: dict[str, dict[int, int]]
    """Label → rows in a cluster → clusters."""
    hits: pl.DataFrame
    """Some contaminated rows: file, row, label."""
    hit_counts: dict[tuple[str, str, str, str], list[int]]
    """(label, benchmark, hit, language) → rows kept, rows dropped."""
    asked: pl.DataFrame
    """The requested rows: file, row, id, key."""
    borders: pl.DataFrame
    """Rows at a threshold: file, row, limit (its index), value, dropped."""


def files_of(version: Version) -> list[File]:
    """All files of rows, kept and dropped."""
    files = [
        File(version.folder / path, version.kind, split)
        for split, about in version.manifest["splits"].items()
        for path in about["files"]
    ]
    for one in version.manifest["files"]:
        if one["path"].startswith("rejected/"):
            files.append(File(version.folder / one["path"], Kind(one["path"].split("/")[1].rsplit("-", 1)[0]), ""))
    return files


def _batches(files: Sequence[File], columns: Sequence[str]) -> Iterator[tuple[int, File, pl.DataFrame]]:
    for number, file in enumerate(files):
        needed = [*columns, *(["step", "reason"] if not file.split else [])]
        start = 0
        with pq.ParquetFile(file.path) as opened:
            for batch in opened.iter_batches(_BATCH, columns=needed):
                frame = pl.DataFrame(pl.from_arrow(batch))
                if file.split:
                    frame = frame.with_columns(pl.lit("").alias("step"), pl.lit("").alias("reason"))
                place = pl.int_range(start, start + frame.height, dtype=pl.Int64, eager=True)
                yield number, file, frame.with_columns(pl.lit(number, pl.Int64).alias("file"), place.alias("row"))
                start += frame.height


def first_pass(version: Version, labels: Sequence[str], *, sample: int, seed: int, rows: Sequence[str]) -> Survey:
    """Counts, ranges, the sample, the largest clusters, some contamination hits, the requested rows.

    Args:
        labels: of the steps.
        sample: how many kept and how many dropped rows to draw.
        rows: ids, or id prefixes, of rows to include in addition.
    """
    files = files_of(version)
    drawn = pl.DataFrame(
        schema={
            "file": pl.Int64,
            "row": pl.Int64,
            "id": pl.String,
            "language": pl.String,
            "step": pl.String,
            "reason": pl.String,
            "h": pl.UInt64,
        }
    )
    strata: dict[tuple[str, str, str], int] = {}
    sources: dict[tuple[str, str], list[int]] = {}
    ranges: dict[str, list[float]] = {}
    seen_clusters = pl.DataFrame(schema={"label": pl.String, "cluster": pl.String, "size": pl.Float64, "h": pl.UInt64})
    sizes: dict[str, dict[int, int]] = {}
    hits = pl.DataFrame(
        schema={
            "file": pl.Int64,
            "row": pl.Int64,
            "label": pl.String,
            "benchmark": pl.String,
            "hit": pl.String,
            "dropped": pl.Boolean,
            "h": pl.UInt64,
        }
    )
    hit_counts: dict[tuple[str, str, str, str], list[int]] = {}
    asked = pl.DataFrame(schema={"file": pl.Int64, "row": pl.Int64, "id": pl.String, "key": pl.String})
    for _, _, frame in _batches(files, ["id", "language", "scores", "attributes", "lineage.source"]):
        frame = frame.with_columns(
            _random_keys(frame["id"], seed), pl.col("lineage").struct.field("source").alias("source")
        )
        _count(frame, strata, sources)
        # If there are very many strata, a few rows of each are enough.
        of_each = max(sample, TRIED) if len(strata) <= _STRATA else max(TRIED, _STRATA * sample // len(strata))
        drawn = _least(pl.concat([drawn, frame.select(drawn.columns)]), _STRATUM, of_each)
        flat = _flat(frame.select("scores"), "scores")
        for name, count, low, high, near, far, whole in (
            flat.group_by("name")
            .agg(
                pl.len(),
                pl.col("value").min().alias("low"),
                pl.col("value").max().alias("high"),
                pl.col("value").quantile(0.005).alias("near"),
                pl.col("value").quantile(0.995).alias("far"),
                (pl.col("value") % 1 == 0).all().alias("whole"),
            )
            .rows()
        ):
            mine = ranges.setdefault(name, [0, low, high, near, far, 1])
            for place, (old, new) in enumerate(zip(mine, (count, low, high, near, far, whole), strict=True)):
                mine[place] = (old + new, min(old, new), max(old, new), min(old, new), max(old, new), old * new)[place]
        given = _flat(frame.select("attributes", *_KEY, "h", "language", "step"), "attributes")
        seen_clusters = _clusters(seen_clusters, frame, given, sizes)
        hits = _hits(hits, given, hit_counts)
        for key in rows:
            some = frame.filter(pl.col("id").str.starts_with(key)).select("file", "row", "id", pl.lit(key).alias("key"))
            asked = pl.concat([asked, some]).head(len(rows) * 50)
    ordered = sorted(ranges, key=lambda name: ((labels.index(step) if (step := owner(name, labels)) else -1), name))
    scores = {}
    for name in ordered[:_MOST_SCORES]:
        count, low, high, near, far, whole = ranges[name]
        scores[name] = Score(name, owner(name, labels), int(count), low, high, (near, far), bool(whole))
    order = {label: at for at, label in enumerate(labels)}
    # In the order of the steps, so that the output is deterministic.
    strata = {key: strata[key] for key in sorted(strata, key=lambda key: (order.get(key[1], len(order)), key))}
    clusters = [
        {
            "label": label,
            "id": cluster,
            "size": int(size),
            "members": pl.DataFrame(schema={"file": pl.Int64, "row": pl.Int64}),
        }
        for label, cluster, size, _ in seen_clusters.sort(["size", "cluster"], descending=[True, False]).rows()
    ]
    return Survey(
        files,
        _shared_out(drawn, sample),
        _least(drawn, _STRATUM, TRIED).head(_MOST_TRIED),
        strata,
        sources,
        scores,
        max(0, len(ordered) - _MOST_SCORES),
        clusters,
        sizes,
        hits.sort(["label", "benchmark", "hit", "h"]),
        hit_counts,
        asked,
        pl.DataFrame(),
    )


def second_pass(survey: Survey, limits: Sequence[Limit], languages: Sequence[str]) -> None:
    """Histograms for all rows and for these languages; rows at the thresholds, rows of the largest clusters."""
    by_score: dict[str, list[tuple[int, Limit]]] = {}
    for number, limit in enumerate(limits):
        if limit.language in languages:
            by_score.setdefault(limit.score, []).append((number, limit))
        score = survey.scores.get(limit.score)
        if score is not None and score.low <= limit.value <= score.high:
            # The axis must include the threshold.
            score.shown = (min(score.shown[0], limit.value), max(score.shown[1], limit.value))
    clusters_by_id = {one["id"]: one for one in survey.clusters}
    borders = pl.DataFrame(
        schema={
            "file": pl.Int64,
            "row": pl.Int64,
            "limit": pl.Int64,
            "value": pl.Float64,
            "dropped": pl.Boolean,
            "away": pl.Float64,
        }
    )
    edges = {name: score.edges for name, score in survey.scores.items()}
    for _, _, frame in _batches(survey.files, ["id", "language", "scores", "attributes"]):
        if clusters_by_id:
            _members(frame, clusters_by_id)
        flat = _flat(frame.select("scores", *_KEY, "language", "step", "reason"), "scores")
        for (name,), part in flat.group_by("name"):
            score = survey.scores.get(str(name))
            if score is None:
                continue
            state = part.select(
                pl.when(pl.col("step") == "")
                .then(0)
                .when(pl.lit(score.step is None) | (pl.col("step") == (score.step or "")))
                .then(1)
                .otherwise(2)
                .alias("state")
            )["state"].to_numpy()
            ends = edges[score.name]
            values = part["value"].to_numpy()
            place = np.clip(np.searchsorted(ends, values, side="right") - 1, 0, len(ends) - 2)
            code = place * 3 + state
            _add(score.counts, "*", code, len(ends) - 1)
            spoken = part["language"].to_numpy()
            for language in languages:
                if (mine := spoken == language).any():
                    _add(score.counts, language, code[mine], len(ends) - 1)
            borders = _borders(borders, part, by_score.get(score.name, []), score)
    survey.borders = borders.sort(["limit", "dropped", "away", *_KEY])


# ---------------------------------------------------------------------------------------------------------------- parts
def _flat(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """A line for each score (or attribute) of each row, as ``name`` and ``value``; without NaN and infinities."""
    flat = frame.filter(pl.col(column).list.len() > 0).explode(column).unnest(column)
    return flat.filter(pl.col("value").is_finite()) if column == "scores" else flat


def _random_keys(ids: pl.Series, seed: int) -> pl.Series:
    """A random number for each row that depends only on its id and the seed."""
    return pl.Series(
        "h",
        np.frombuffer(b"".join(hash_texts((f"report:{seed}:{one}" for one in ids.to_list()), 8)), ">u8").astype(
            np.uint64
        ),
    )


def _least(frame: pl.DataFrame, by: list[str], most: int) -> pl.DataFrame:
    """The rows with the smallest hash of each group: a random sample that does not depend on batches."""
    return frame.sort(["h", *_KEY]).group_by(by, maintain_order=True).head(most).select(frame.columns)


def _count(
    frame: pl.DataFrame, strata: dict[tuple[str, str, str], int], sources: dict[tuple[str, str], list[int]]
) -> None:
    for language, step, reason, count in frame.group_by("language", "step", "reason").len().rows():
        strata[language, step, reason] = strata.get((language, step, reason), 0) + count
    for source, language, gone, count in frame.group_by("source", "language", pl.col("step") != "").len().rows():
        sources.setdefault((source, language), [0, 0])[gone] += count


def _shared_out(drawn: pl.DataFrame, most: int) -> pl.DataFrame:
    """``most`` kept and ``most`` dropped rows: equal numbers for each stratum; what small ones leave goes to the
    others."""
    sizes = {(language, step, reason): count for language, step, reason, count in drawn.group_by(_STRATUM).len().rows()}
    shares: dict[tuple[str, str, str], int] = {}
    for kept in (True, False):
        groups = sorted((key for key in sizes if (key[1] == "") == kept), key=lambda key: (-sizes[key], key))
        share = dict.fromkeys(groups, 0)
        left = most
        while left > 0 and (open_ := [key for key in groups if share[key] < sizes[key]]):
            for key in open_[:left]:
                share[key] += min(sizes[key] - share[key], max(1, left // len(open_)))
            left = most - sum(share.values())
        shares |= share
    table = pl.DataFrame(
        [(*key, share) for key, share in shares.items()],
        schema={"language": pl.String, "step": pl.String, "reason": pl.String, "share": pl.Int64},
        orient="row",
    )
    ordered = drawn.sort(["h", *_KEY]).with_columns(pl.int_range(pl.len()).over(_STRATUM).alias("at"))
    return (
        ordered.join(table, on=_STRATUM).filter(pl.col("at") < pl.col("share")).sort(["h", *_KEY]).select(drawn.columns)
    )


def _clusters(
    seen: pl.DataFrame, frame: pl.DataFrame, given: pl.DataFrame, sizes: dict[str, dict[int, int]]
) -> pl.DataFrame:
    ids = given.filter(pl.col("name").str.ends_with(".cluster_id")).select(
        *_KEY, pl.col("name").str.strip_suffix(".cluster_id").alias("label"), pl.col("value").alias("cluster"), "h"
    )
    if ids.is_empty():
        return seen
    size = _flat(frame.select("scores", *_KEY), "scores").filter(pl.col("name").str.ends_with(".size"))
    size = size.select(*_KEY, pl.col("name").str.strip_suffix(".size").alias("label"), pl.col("value").alias("size"))
    both = ids.join(size, on=[*_KEY, "label"])
    for label, large, count in both.group_by("label", "size").len().rows():
        mine = sizes.setdefault(label, {})
        mine[int(large)] = mine.get(int(large), 0) + count
    whole = pl.concat([seen, both.select(seen.columns)]).unique(["label", "cluster"], keep="first", maintain_order=True)
    return (
        whole.sort(["size", "cluster"], descending=[True, False])
        .group_by("label", maintain_order=True)
        .head(CLUSTERS)
        .select(seen.columns)
    )


def _members(frame: pl.DataFrame, wanted: Mapping[str, dict[str, Any]]) -> None:
    given = _flat(frame.select("attributes", *_KEY), "attributes")
    mine = given.filter(pl.col("name").str.ends_with(".cluster_id") & pl.col("value").is_in(list(wanted)))
    for name, value, file, row in mine.select("name", "value", *_KEY).rows():
        one = wanted[value]
        if name == f"{one['label']}.cluster_id" and one["members"].height < _MEMBERS:
            one["members"] = pl.concat(
                [one["members"], pl.DataFrame({"file": [file], "row": [row]}, schema=one["members"].schema)]
            )


def _hits(hits: pl.DataFrame, given: pl.DataFrame, counts: dict[tuple[str, str, str, str], list[int]]) -> pl.DataFrame:
    found = given.filter(pl.col("name").str.ends_with(".benchmark"))
    if found.is_empty():
        return hits
    kinds = given.filter(pl.col("name").str.ends_with(".hit")).select(
        *_KEY, pl.col("name").str.strip_suffix(".hit").alias("label"), pl.col("value").alias("hit")
    )
    both = found.select(
        *_KEY,
        pl.col("name").str.strip_suffix(".benchmark").alias("label"),
        pl.col("value").alias("benchmark"),
        "language",
        "h",
        "step",
    ).join(kinds, on=[*_KEY, "label"])
    both = both.with_columns((pl.col("step") == pl.col("label")).alias("dropped"))
    for label, benchmark, hit, language, gone, count in (
        both.group_by("label", "benchmark", "hit", "language", "dropped").len().rows()
    ):
        counts.setdefault((label, benchmark, hit, language), [0, 0])[gone] += count
    return _least(
        pl.concat([hits, both.select(hits.columns)]), ["label", "benchmark", "hit", "dropped"], _HITS_OF_A_KIND
    ).head(_HITS * 4)


def _add(counts: dict[str, np.ndarray[Any, Any]], key: str, code: np.ndarray[Any, Any], bins: int) -> None:
    more = np.bincount(code, minlength=bins * 3).reshape(bins, 3)
    counts[key] = counts[key] + more if key in counts else more


def _borders(
    borders: pl.DataFrame, part: pl.DataFrame, limits: Sequence[tuple[int, Limit]], score: Score
) -> pl.DataFrame:
    near = []
    for number, limit in limits:
        # Of dropped rows those that this very rule dropped; of the others those that it let through.
        mine = part.filter(
            (pl.col("language") == limit.language)
            & (
                (pl.col("step") != (score.step or ""))
                | (pl.col("reason") == limit.reason)
                | (pl.lit(limit.reason == score.name.rpartition(".")[2]))
            )
        )
        if mine.is_empty():
            continue
        gone = pl.col("step") == (score.step or "")
        beyond = pl.col("value") < limit.value if limit.side == "below" else pl.col("value") > limit.value
        told = mine.select(
            *_KEY,
            pl.lit(number, pl.Int64).alias("limit"),
            "value",
            gone.alias("dropped"),
            (pl.col("value") - limit.value).abs().alias("away"),
            beyond.alias("beyond"),
        )
        near.append(
            told.filter(~pl.col("dropped") | pl.col("beyond") | (pl.col("away") == 0))
            .drop("beyond")
            .sort(["away", *_KEY])
            .group_by("dropped", maintain_order=True)
            .head(_BORDER)
            .select(borders.columns)
        )
    if not near:
        return borders
    return (
        pl.concat([borders, *near])
        .sort(["away", *_KEY])
        .group_by("limit", "dropped", maintain_order=True)
        .head(_BORDER)
        .select(borders.columns)
    )

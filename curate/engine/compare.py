"""Two versions differ in rows, and for every difference some step or source is responsible: this says which.

A row that is gone was dropped by a step (then it lies among the other version's rejects), or what it was made of was, or its
source no longer has it. A row that is new is the same thing looked at from the other side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from curate.engine.fingerprint import explain, models_in
from curate.engine.store import Store
from curate.errors import StoreError

_COLUMNS = ("id", "language", "scores", "lineage")
_ROWS = {"id": pl.String, "language": pl.String, "source": pl.String, "source_id": pl.String, "parent": pl.String, "maker": pl.String, "place": pl.UInt32}  # fmt: skip
_REJECTS = {"id": pl.String, "step": pl.String, "reason": pl.String}
_CHANGES = {"change": pl.String, "language": pl.String, "source": pl.String, "because": pl.String, "rows": pl.UInt32}
_EXAMPLES = {"change": pl.String, "because": pl.String, "language": pl.String, "id": pl.String}
_SHIFTS = {"score": pl.String, "language": pl.String, "rows": pl.UInt32, "old": pl.Float64, "new": pl.Float64, "shift": pl.Float64}  # fmt: skip
_NAMED = 5


@dataclass(frozen=True)
class Difference:
    """What became of a dataset from one version to another."""

    old: str
    """``name@version``."""
    new: str
    old_rows: int
    new_rows: int
    changes: pl.DataFrame
    """Rows by ``change`` (``added``, ``removed``, ``changed``), ``language``, ``source`` and ``because``, most first."""
    examples: pl.DataFrame
    """Ids of a few rows of each change and reason."""
    shifts: pl.DataFrame
    """Of rows in both: for each score and language the means before and after, where they differ."""
    recipe: list[str]
    """What differs in recipe, models and sources: ``similarity.params.min: 0.7 → 0.75``."""

    @property
    def same(self) -> bool:
        """Whether the rows are the same."""
        return self.changes.is_empty()

    def count(self, change: str) -> int:
        """How many rows were ``added``, ``removed`` or ``changed``."""
        return int(self.changes.filter(pl.col("change") == change)["rows"].sum())


def compare(store: Store, old: tuple[str, str], new: tuple[str, str]) -> Difference:
    """Two versions, each as (dataset, version).

    Raises:
        StoreError: there is no such version.
    """
    sides = [_Side(store, *which) for which in (old, new)]
    gone, fresh = _missing(sides[0].rows, sides[1].rows), _missing(sides[1].rows, sides[0].rows)
    # Of one place in one source, in one language: a row that is gone and one that is new are one row that changed.
    key = ["source", "source_id", "language", "number"]
    gone, fresh = (
        one.with_columns(
            pl.int_range(pl.len(), dtype=pl.UInt32).over("source", "source_id", "language").alias("number")
        )
        for one in (gone, fresh)
    )
    changed = fresh.join(gone.filter(pl.col("source_id") != ""), on=key, how="semi")
    gone = gone.join(changed, on=key, how="anti")
    fresh = fresh.join(changed, on=key, how="anti")
    parts = [
        ("removed", gone, sides[0].why(gone, sides[1], ("dropped by", "not made any more by", "no longer in"))),
        ("added", fresh, sides[1].why(fresh, sides[0], ("no longer dropped by", "made by", "new in"))),
        ("changed", changed, _changed(changed)),
    ]
    told = [
        part.with_columns(pl.lit(change).alias("change"), because) for change, part, because in parts if part.height
    ]
    whole = (
        pl.concat(told, how="diagonal")
        if told
        else pl.DataFrame(schema={**_ROWS, "change": pl.String, "because": pl.String})
    )
    changes = whole.group_by("change", "language", "source", "because").agg(pl.len().alias("rows"))
    examples = (
        whole.sort("place")
        .group_by("change", "because", "language", maintain_order=True)
        .agg(pl.col("id").head(_NAMED))
        .explode("id")
    )
    return Difference(
        f"{old[0]}@{old[1]}", f"{new[0]}@{new[1]}", sides[0].rows.height, sides[1].rows.height,
        changes.select(pl.col(name).cast(dtype) for name, dtype in _CHANGES.items()).sort("rows", "change", "language", "source", "because", descending=[True, *[False] * 4]),
        examples.select(pl.col(name).cast(dtype) for name, dtype in _EXAMPLES.items()).sort("change", "because", "language", "id"),
        _shifts(sides[0], sides[1]), recipe_difference(sides[0].manifest, sides[1].manifest),
    )  # fmt: skip


def _changed(rows: pl.DataFrame) -> pl.Series:
    made = pl.format("made anew by {}", pl.col("maker"))
    read = pl.format("changed in {}", pl.col("source"))
    return rows.select(pl.when(pl.col("maker") == "").then(read).otherwise(made).alias("because"))["because"]


class _Side:
    """One of the two versions."""

    def __init__(self, store: Store, name: str, version: str) -> None:
        self.manifest = store.check_version(name, version, digests=True)
        self.folder = store.dataset(name) / version
        listed = [file["path"] for file in self.manifest["files"]]
        self.data = [self.folder / path for path in listed if path.startswith("data/")]
        self.rows = _rows(self.data)
        self.rejects = _rejects([self.folder / path for path in listed if path.startswith("rejected/")])
        self.sources = {source["name"] for source in self.manifest["sources"]}

    def why(self, rows: pl.DataFrame, other: _Side, words: tuple[str, str, str]) -> pl.Series:
        """Who is responsible that rows of this side are not on the other."""
        dropped, making, inside = words
        found = rows.join(other.rejects, on="id", how="left", maintain_order="left").join(
            other.rejects.rename({"id": "parent", "step": "above", "reason": "above_reason"}),
            on="parent",
            how="left",
            maintain_order="left",
        )
        gone = [name for name in rows["source"].unique().to_list() if name not in other.sources]
        because = (
            pl.when(pl.col("step").is_not_null()).then(pl.format(f"{dropped} {{}} ({{}})", "step", "reason"))
            .when(pl.col("above").is_not_null()).then(pl.format(f"its parent {dropped} {{}} ({{}})", "above", "above_reason"))
            .when(pl.col("source").is_in(gone)).then(pl.format(f"{inside} the dataset: source {{}}", "source"))
            .when(pl.col("maker") != "").then(pl.format(f"{making} {{}}", "maker"))
            .otherwise(pl.format(f"{inside} {{}}", "source"))
        )  # fmt: skip
        return found.select(because.alias("because"))["because"]


def _rows(paths: Sequence[Path]) -> pl.DataFrame:
    """id, language, source, place in it, first parent and last maker of each row; equal rows are numbered."""
    frames = []
    for path in paths:
        frame = pl.DataFrame(pl.from_arrow(pq.read_table(path, columns=["id", "language", "lineage"])))
        lineage = pl.col("lineage").struct
        frames.append(
            frame.select(
                "id",
                "language",
                lineage.field("source").alias("source"),
                lineage.field("source_id").alias("source_id"),
                lineage.field("parents").list.first().fill_null("").alias("parent"),
                lineage.field("makers").list.last().struct.field("step").fill_null("").alias("maker"),
            )
        )
    whole = (
        pl.concat(frames)
        if frames
        else pl.DataFrame(schema={name: dtype for name, dtype in _ROWS.items() if name != "place"})
    )
    return whole.with_columns(
        pl.int_range(pl.len(), dtype=pl.UInt32).over("id").alias("copy"),
        pl.int_range(pl.len(), dtype=pl.UInt32).alias("place"),
    )


def _rejects(paths: Sequence[Path]) -> pl.DataFrame:
    frames = [pl.read_parquet(path, columns=list(_REJECTS)) for path in paths]
    return (
        pl.concat(frames).unique("id", keep="first", maintain_order=True) if frames else pl.DataFrame(schema=_REJECTS)
    )


def _missing(here: pl.DataFrame, there: pl.DataFrame) -> pl.DataFrame:
    return here.join(there, on=["id", "copy"], how="anti", maintain_order="left")


def _shifts(old: _Side, new: _Side) -> pl.DataFrame:
    """How the scores of rows that are in both moved."""
    both = old.rows.join(new.rows, on=["id", "copy"], how="semi")["id"].unique()
    sides = [_scores(one.data, both) for one in (old, new)]
    joined = sides[0].join(sides[1], on=["id", "language", "score"], how="inner", suffix="_new")
    if joined.is_empty():
        return pl.DataFrame(schema=_SHIFTS)
    means = joined.group_by("score", "language").agg(
        pl.len().alias("rows"), pl.col("value").mean().alias("old"), pl.col("value_new").mean().alias("new"),
        (pl.col("value") != pl.col("value_new")).any().alias("moved"),
    )  # fmt: skip
    told = means.filter("moved").with_columns((pl.col("new") - pl.col("old")).alias("shift"))
    return told.select(pl.col(name).cast(dtype) for name, dtype in _SHIFTS.items()).sort("score", "language")


def _scores(paths: Sequence[Path], ids: pl.Series) -> pl.DataFrame:
    frames = [pl.DataFrame(schema={"id": pl.String, "language": pl.String, "score": pl.String, "value": pl.Float64})]
    for path in paths:
        frame = pl.DataFrame(pl.from_arrow(pq.read_table(path, columns=["id", "language", "scores"])))
        some = frame.filter(pl.col("id").is_in(ids.implode())).explode("scores").drop_nulls("scores")
        named = some.select(
            "id",
            "language",
            pl.col("scores").struct.field("name").alias("score"),
            pl.col("scores").struct.field("value").alias("value"),
        )
        frames.append(named)
    return pl.concat(frames).unique(["id", "language", "score"], keep="last")


# ----------------------------------------------------------------------------------------------------------------- recipe
def recipe_difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs in how two manifests' versions were made, one line a difference."""
    return explain(_readable(old), _readable(new))


def _readable(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe by names in place of numbers: a step that was put in shifts none of the others."""
    recipe = manifest["recipe"]
    steps = {
        step["label"]: {
            **step["params"],
            **({"step": step["step"]} if step["step"] != step["label"] else {}),
            **({"version": step["version"]} if step["version"] != 1 else {}),
            **{
                parameter if len(given) == 1 else f"{parameter}.{place}": one
                for parameter, given in models_in(step).items()
                for place, one in enumerate(given, 1)
            },
            **({"data": step["data"]} if "data" in step else {}),
        }
        for step in recipe["steps"]
    }
    sources = {
        source["name"]: {
            "license": source.get("license"),
            "params": source.get("params"),
            "version": source.get("version"),
            "units": {unit["name"]: unit["state"] for unit in source.get("units", ())},
        }
        for source in manifest["sources"]
    }
    rest = {name: value for name, value in recipe.items() if name != "steps"}
    return {
        **rest,
        "order of steps": list(steps),
        **steps,
        "sources": sources,
        "software": manifest["software"]["curate"],
    }


def sides(store: Store, first: str, second: str | None) -> tuple[tuple[str, str], tuple[str, str]]:
    """The two versions that ``curate diff`` is asked for: two by name, or the latest of a dataset and the one before it.

    Raises:
        StoreError: there is no such version, or no version before it.
    """
    name, _, ref = first.partition("@")
    if second is not None:
        other, _, other_ref = second.partition("@")
        return (name, store.resolve(name, ref or "latest")), (other, store.resolve(other, other_ref or "latest"))
    new = store.resolve(name, ref or "latest")
    order = sorted(store.versions(name), key=lambda one: made_at(store, name, one))
    before = order[: order.index(new)] or [one for one in order if one != new]
    if not before:
        raise StoreError(f"'{name}' has no other version than {new}; name two versions")
    return (name, before[-1]), (name, new)


def made_at(store: Store, name: str, version: str) -> tuple[str, int]:
    """When a version was made, to be put in order: two may be made within one second."""
    path = store.dataset(name) / version / "manifest.json"
    return store.manifest(name, version)["created_at"], path.stat().st_mtime_ns

"""Compares two versions: the differing rows, and the step or source responsible for each difference.

A row that is gone was dropped by a step (then it lies among the other version's rejects), or what it was made of
was, or its
source no longer has it. A row that is new is the same thing looked at from the other side.

Of each row only numbers are held (64-bit hashes of ids, codes of words), about 100 bytes, however long its texts are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.engine.store.fingerprint import explain, models_in
from curate.engine.store.store import Store
from curate.errors import StoreError

_KEY = ["source", "origin", "language", "number"]
_REASONS = ["language", "source", "maker", "dropped", "above"]
_DETAILS = {
    "place": pl.UInt32,
    "id": pl.UInt64,
    "language": pl.UInt32,
    "source": pl.UInt32,
    "origin": pl.UInt64,
    "placed": pl.Boolean,
    "parent": pl.UInt64,
    "maker": pl.UInt32,
}
_CHANGES = {"change": pl.String, "language": pl.String, "source": pl.String, "because": pl.String, "rows": pl.UInt32}
_EXAMPLES = {"change": pl.String, "because": pl.String, "language": pl.String, "id": pl.String}
_SHIFTS = {
    "score": pl.String,
    "language": pl.String,
    "rows": pl.UInt32,
    "old": pl.Float64,
    "new": pl.Float64,
    "shift": pl.Float64,
}
_NAMED = 5
_SCORES_BYTES = 64 << 20
"""Of the values of scores that are compared at a time."""
Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Difference:
    """What became of a dataset from one version to another."""

    old: str
    """``name@version``."""
    new: str
    old_rows: int
    new_rows: int
    changes: pl.DataFrame
    """Rows by ``change`` (``added``, ``removed``, ``changed``), ``language``, ``source`` and ``because``, most
    first."""
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
    words = _Words()
    before, after = (_Side(store, *which, words) for which in (old, new))
    # Of one place in one source, in one language: a row that is gone and one that is new are one row that changed.
    gone, fresh = (
        one.details(missing).with_columns(pl.int_range(pl.len(), dtype=pl.UInt32).over(_KEY[:-1]).alias("number"))
        for one, missing in ((before, _missing(before.ids, after.ids)), (after, _missing(after.ids, before.ids)))
    )
    changed = fresh.join(gone.filter("placed"), on=_KEY, how="semi")
    gone = gone.join(changed, on=_KEY, how="anti")
    fresh = fresh.join(changed, on=_KEY, how="anti")
    told = [
        before.tell("removed", gone, after, ("dropped by", "not made any more by", "no longer in")),
        after.tell("added", fresh, before, ("no longer dropped by", "made by", "new in")),
        after.tell("changed", changed, None, ("", "made anew by", "changed in")),
    ]
    changes, examples = (pl.concat(frames) for frames in zip(*told, strict=True))
    return Difference(
        f"{old[0]}@{old[1]}",
        f"{new[0]}@{new[1]}",
        len(before.ids),
        len(after.ids),
        changes.sort("rows", "change", "language", "source", "because", descending=[True, *[False] * 4]),
        examples.sort("change", "because", "language", "id"),
        _shifts(before, after),
        recipe_difference(before.manifest, after.manifest),
    )


class _Words:
    """A number for each of a few words that many rows have."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def numbers(self, words: pl.Series) -> pl.Series:
        known = words.unique().to_list()
        found = [self._numbers.setdefault(word, len(self._numbers)) for word in known]
        return words.replace_strict(known, found, return_dtype=pl.UInt32)

    def words(self, numbers: pl.Expr) -> pl.Expr:
        """The words again; null stays null."""
        return numbers.replace_strict(
            list(self._numbers.values()), list(self._numbers), default=None, return_dtype=pl.String
        )


class _Side:
    """One of the two versions."""

    def __init__(self, store: Store, name: str, version: str, words: _Words) -> None:
        self.manifest = store.check_version(name, version, digests=True)
        self.words = words
        folder = store.dataset(name) / version
        listed = [file["path"] for file in self.manifest["files"]]
        self._data = [folder / path for path in listed if path.startswith("data/")]
        self._rejected = [folder / path for path in listed if path.startswith("rejected/")]
        self._sources = [source["name"] for source in self.manifest["sources"]]
        ids, languages, self._starts = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint32)], [0]
        for path in self._data:
            frame = pl.read_parquet(path, columns=["id", "language"])
            ids.append(frame["id"].hash().to_numpy())
            languages.append(words.numbers(frame["language"]).to_numpy())
            self._starts.append(self._starts[-1] + frame.height)
        self.ids = np.concatenate(ids)
        """A hash of each row's id, in order."""
        self.languages = np.concatenate(languages)
        key = pl.struct(pl.Series("id", self.ids), pl.Series("language", self.languages)).hash()
        self.keys: Hashes = pl.select(key).to_series().to_numpy()
        """A hash of each row's id and language."""

    def _files(self, places: Places | None = None) -> Iterator[tuple[Path, slice, Places]]:
        """Each file that holds some of these places (ascending; all, unless given): which places are its, and which
        of these."""
        for path, (start, end) in zip(self._data, pairwise(self._starts), strict=True):
            wanted = np.arange(start, end) if places is None else places[slice(*np.searchsorted(places, [start, end]))]
            if len(wanted):
                yield path, slice(start, end), wanted

    def details(self, places: Places) -> pl.DataFrame:
        """What tells who is responsible for the rows at these places."""
        frames = [pl.DataFrame(schema=_DETAILS)]
        for path, here, wanted in self._files(places):
            frame = pl.read_parquet(path, columns=["language", "lineage"])[wanted - here.start]
            lineage = frame["lineage"].struct
            origin = lineage.field("source_id")
            makers = lineage.field("makers").list.last().struct.field("step").fill_null("")
            found = {
                "place": wanted,
                "id": self.ids[wanted],
                "language": self.words.numbers(frame["language"]),
                "source": self.words.numbers(lineage.field("source")),
                "origin": origin.hash(),
                "placed": origin != "",
                "parent": lineage.field("parents").list.first().fill_null("").hash(),
                "maker": self.words.numbers(makers),
            }
            frames.append(pl.DataFrame(found, schema_overrides=_DETAILS))
        return pl.concat(frames)

    def rejects(self, name: str) -> pl.DataFrame:
        """A hash of each reject's ``id``, and as ``name`` which step dropped it and why."""
        frames = [pl.DataFrame(schema={"id": pl.UInt64, name: pl.UInt32})]
        for path in self._rejected:
            frame = pl.read_parquet(path, columns=["id", "step", "reason"])
            why = frame.select(pl.format("{} ({})", "step", "reason")).to_series()
            frames.append(pl.DataFrame({"id": frame["id"].hash(), name: self.words.numbers(why)}))
        return pl.concat(frames).unique("id", keep="first")

    def tell(
        self, change: str, rows: pl.DataFrame, other: _Side | None, words: tuple[str, str, str]
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """How many of these rows there are by who is responsible that the other side has not got them, and examples."""
        there = pl.lit(True)
        if other is None:
            none = pl.lit(None, pl.UInt32)
            rows = rows.with_columns(none.alias("dropped"), none.alias("above"))
        else:
            rows = rows.join(other.rejects("dropped"), on="id", how="left")
            rows = rows.join(other.rejects("above"), left_on="parent", right_on="id", how="left")
            there = pl.col("source").is_in(other._sources)
        dropped, making, inside = words
        groups = rows.group_by(_REASONS).agg(pl.len().alias("rows"), pl.col("place").bottom_k(_NAMED))
        told = groups.with_columns(self.words.words(pl.col(_REASONS))).select(
            pl.lit(change).alias("change"),
            "language",
            "source",
            "rows",
            "place",
            pl.when(pl.col("dropped").is_not_null())
            .then(pl.format(f"{dropped} {{}}", "dropped"))
            .when(pl.col("above").is_not_null())
            .then(pl.format(f"its parent {dropped} {{}}", "above"))
            .when(~there)
            .then(pl.format(f"{inside} the dataset: source {{}}", "source"))
            .when(pl.col("maker") != "")
            .then(pl.format(f"{making} {{}}", "maker"))
            .otherwise(pl.format(f"{inside} {{}}", "source"))
            .alias("because"),
        )
        changes = told.group_by("change", "language", "source", "because").agg(pl.col("rows").sum())
        places = told.explode("place").group_by("change", "because", "language").agg(pl.col("place").bottom_k(_NAMED))
        examples = places.explode("place").join(self._named(places["place"].explode()), on="place")
        return (
            changes.select(pl.col(name).cast(dtype) for name, dtype in _CHANGES.items()),
            examples.select(pl.col(name).cast(dtype) for name, dtype in _EXAMPLES.items()),
        )

    def _named(self, places: pl.Series) -> pl.DataFrame:
        """The ids of the rows at these places."""
        found = [pl.DataFrame(schema={"place": pl.UInt32, "id": pl.String})]
        for path, here, wanted in self._files(places.unique().sort().to_numpy().astype(np.int64)):
            ids = pl.read_parquet(path, columns=["id"])["id"]
            found.append(pl.DataFrame({"place": pl.Series(wanted, dtype=pl.UInt32), "id": ids[wanted - here.start]}))
        return pl.concat(found)

    def _scores(self, keys: Hashes) -> Iterator[pl.DataFrame]:
        """File by file, the scores (``name``, ``value``) of the rows with these keys (ascending), each with the
        key's place (``at``)."""
        for path, here, _ in self._files():
            at = np.minimum(np.searchsorted(keys, self.keys[here]), len(keys) - 1)
            lists = pl.read_parquet(path, columns=["scores"])["scores"]
            frame = pl.DataFrame({"at": at, "scores": lists}).filter(pl.Series(keys[at] == self.keys[here]))
            yield frame.explode("scores").drop_nulls("scores").unnest("scores")

    def sums(self, keys: Hashes) -> dict[str, int]:
        """For each score a sum over hashes of the rows' keys and values: equal sums mean equal values, as far as no
        key comes twice."""
        found: dict[str, int] = {}
        for frame in self._scores(keys):
            of_rows = pl.struct("at", "value").hash() // 2**24  # so that the sum over a file does not overflow
            for name, value in frame.group_by("name").agg(of_rows.sum()).iter_rows():
                found[name] = found.get(name, 0) + value
        return found

    def scores(self, keys: Hashes, names: Sequence[str]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """The values of these scores of the rows with these keys, and which there are: shape (names, keys).

        Of rows with one key, and of scores of a row with one name, the last counts.
        """
        values, there = np.zeros((len(names), len(keys))), np.zeros((len(names), len(keys)), bool)
        for frame in self._scores(keys):
            for number, name in enumerate(names):
                named = frame.filter(pl.col("name") == name).unique("at", keep="last")
                values[number, named["at"].to_numpy()] = named["value"].to_numpy()
                there[number, named["at"].to_numpy()] = True
        return values, there


def _missing(here: Hashes, there: Hashes) -> Places:
    """The places of the rows that the other side has not got; of equal rows the first are those that both have."""
    order = np.argsort(here, kind="stable")
    ordered, other = here[order], np.sort(there)
    copy = np.arange(len(here)) - np.searchsorted(ordered, ordered, "left")
    known = np.searchsorted(other, ordered, "right") - np.searchsorted(other, ordered, "left")
    return np.sort(order[copy >= known])


def _shifts(old: _Side, new: _Side) -> pl.DataFrame:
    """How the scores of rows that are in both moved."""
    keys, where, _ = np.intersect1d(old.keys, new.keys, return_indices=True)
    languages = pl.Series("language", old.languages[where])
    frames = [pl.DataFrame(schema={**_SHIFTS, "language": pl.UInt32})]
    sums = [one.sums(keys) for one in (old, new)] if len(keys) else [{}, {}]
    twice = any(len(np.unique(one.keys)) < len(one.keys) for one in (old, new))
    names = sorted(name for name in sums[0].keys() & sums[1] if twice or sums[0][name] != sums[1][name])
    at_once = max(1, _SCORES_BYTES // (18 * max(1, len(keys))))
    for start in range(0, len(names), at_once):
        some = names[start : start + at_once]
        (before, had), (after, have) = old.scores(keys, some), new.scores(keys, some)
        for number, name in enumerate(some):
            values = pl.DataFrame({"language": languages, "old": before[number], "new": after[number]})
            means = (
                values.filter(pl.Series(had[number] & have[number]))
                .group_by("language")
                .agg(
                    pl.lit(name).alias("score"),
                    pl.len().alias("rows"),
                    pl.col("old", "new").mean(),
                    (pl.col("new").mean() - pl.col("old").mean()).alias("shift"),
                    (pl.col("old") != pl.col("new")).any().alias("moved"),
                )
            )
            frames.append(
                means.filter("moved").select(pl.col(column).cast(frames[0].schema[column]) for column in _SHIFTS)
            )
    return pl.concat(frames).with_columns(old.words.words(pl.col("language"))).sort("score", "language")


# -----------------------------------------------------------------------------------------------------------------
# recipe
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
    """The two versions that ``curate diff`` is asked for: two by name, or the latest of a dataset and the one
    before it.

    Raises:
        StoreError: there is no such version, or no version before it.
    """
    name, _, ref = first.partition("@")
    if second is not None:
        other, _, other_ref = second.partition("@")
        return (name, store.resolve(name, ref or "latest")), (other, store.resolve(other, other_ref or "latest"))
    new = store.resolve(name, ref or "latest")
    order = sorted({*store.versions(name), new}, key=lambda one: made_at(store, name, one))
    before = order[: order.index(new)] or [one for one in order if one != new]
    if not before:
        raise StoreError(f"'{name}' has no other version than {new}; name two versions")
    return (name, before[-1]), (name, new)


def made_at(store: Store, name: str, version: str) -> tuple[str, int]:
    """When a version was made, to be put in order: two may be made within one second."""
    path = store.dataset(name) / version / "manifest.json"
    return store.manifest(name, version)["created_at"], path.stat().st_mtime_ns

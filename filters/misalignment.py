"""Finds shifted stretches in line-aligned data: one file has a line too many, and all later targets belong to a
neighbour.

Any single row of such a stretch is simply wrong; over many rows, each target fits the source k rows away, always with
the same k. The fit is measured by lengths, by numbers and names on both sides, and by an encoder if there is one. The
Viterbi algorithm finds the sequence of shifts that explains all rows best (states: the shifts; a change costs
:attr:`Misalignment.change`), as Gale and Church 1993 aligned sentences by lengths alone. Each stretch is reported once,
with its shift and rows.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from curate.catalog.params import Decision, EncoderName
from curate.data_files import DataFile
from curate.rows import Kind, main_fields, unknown_fields
from curate.steps import Context, Encoder, GlobalStep, Rows
from curate.text import segmentation as text
from curate.text.numbers import NUMBER_WORDS, WORTH_A_LOOK, mentions
from filters.similarity.sides import compares_own, sides

Floats = npt.NDArray[np.float32]
_DIMENSIONS = 64
_TOKENS = 24
# Tokens that are the same in every script: numbers, and words in Latin letters that may be names.
_LATIN = r"\b\p{Latin}[\p{Latin}\p{Nd}-]{3,}"
_LEAST_SPREAD, _MOST_SPREAD = 0.15, 0.6
"""Bounds of the standard deviation of the log length ratio of true pairs."""
_MOST = np.float32(4.0)
_LEAST_DISORDER = 0.75
"""Rows count as out of order only if their own sources fit worse than chance by this many nats a row, which free
translations do not."""
_WARNINGS = 20


@dataclass(frozen=True)
class _Range:
    """Consecutive rows with the same shift."""

    first: int
    last: int
    shift: int | None
    """None: no nearby source fits."""
    gain: float
    """How much better each row fits with the shift, in nats."""


class Misalignment(GlobalStep):
    """Finds stretches of rows whose targets belong to sources a constant number of rows away.

    Score ``shift``: 0 where a row's target belongs to its own source, k where it belongs to the source of the row k
    further on (in the order of the source, for each source and language pair separately; null: fewer than ``min_rows``
    rows, or nothing to compare with). Attribute ``state``: ``shifted``, or ``disordered`` in stretches where no nearby
    source fits. A warning reports each stretch. Place it before steps that drop rows: afterwards neighbours are no
    longer neighbours.
    """

    tag: ClassVar[str] = "misalignment"
    assesses: ClassVar[str] = "shift"
    compares: ClassVar[bool] = True
    package_data: ClassVar[tuple[DataFile, ...]] = (NUMBER_WORDS,)
    version: ClassVar[int] = 3
    summary: ClassVar[str] = "Detects rows shifted against their translations or parents by a constant number of lines."

    between: Literal["parents", "sides"] | None = None
    """What is compared: a row with its first parent, or source with target. Default: sides for parallel rows, parents
    for all others."""
    fields: tuple[str, ...] | None = None
    """The fields to compare, together. Default: the main fields of the kind."""
    max_chars: Annotated[int, Field(ge=20)] = 2_000
    """Longer texts are cut to this length."""
    encoder: EncoderName | None = None
    """A sentence encoder, for texts without numbers and names that are all of similar length."""
    max_shift: Decision[Annotated[int, Field(ge=1, le=200)]] = 10
    """The largest shift to search for, in either direction."""
    min_rows: Decision[Annotated[int, Field(ge=5)]] = 20
    """Shorter stretches are not reported."""
    change: Decision[Annotated[float, Field(gt=0)]] = 15.0
    """The cost of a change of shift, in nats: a higher value finds less, with more certainty."""
    action: Decision[Literal["report", "drop"]] = "report"
    """``report`` warns and keeps all rows; ``drop`` also drops the rows of the stretches (``misalignment``)."""

    def check(self, kind: Kind) -> list[str]:
        if self.between == "sides" and kind is not Kind.PARALLEL:
            return [f"between: sides needs parallel rows, and these are {kind} rows; write 'parents'"]
        if compares_own(kind, self.between):
            return [] if self.fields is None else ["fields: does not apply to pairs; remove it"]
        return unknown_fields(kind, self.fields)

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        return {"shift": pa.float64(), "state": pa.string()}

    # -------------------------------------------------------------------------------------------------------- summaries
    def summarize(self, rows: Rows, context: Context) -> pa.Table:
        own = compares_own(rows.kind, self.between)
        origin = pl.Series(
            rows.table["lineage"].combine_chunks().field("source").to_pylist() if len(rows) else [], dtype=pl.String
        )
        columns: dict[str, list[Any]] = {
            name: []
            for name in ("group", "left_size", "right_size", "left_signs", "right_signs", "left_vector", "right_vector")
        }
        encoder: Encoder | None = context.model(self.encoder) if self.encoder is not None else None
        for part in sides(
            rows, own, ("pair",) if own else self.fields or main_fields(rows.kind), self.max_chars, context
        ):
            size = len(part.target_language)
            there = part.source_language.is_not_null().to_list()
            pairs = zip(
                origin.slice(part.start, size).to_list(),
                part.source_language.to_list(),
                part.target_language.to_list(),
                there,
                strict=True,
            )
            columns["group"] += [
                f"{source}\t{one}\t{other}" if compared else None for source, one, other, compared in pairs
            ]
            for side, texts, tags in zip(
                ("left", "right"), _joined(part.texts), (part.source_language, part.target_language), strict=True
            ):
                columns[f"{side}_size"] += (
                    np.log1p(text.letter_weights(texts)["letters"].to_numpy()).astype(np.float32).tolist()
                )
                columns[f"{side}_signs"] += _tokens(texts, tags.to_list())
                if encoder is not None:
                    columns[f"{side}_vector"] += list(_project(encoder.encode(texts.to_list())))
        types = {
            "group": pa.string(),
            "left_size": pa.float32(),
            "right_size": pa.float32(),
            "left_signs": pa.list_(pa.uint32()),
            "right_signs": pa.list_(pa.uint32()),
        }
        if encoder is not None:
            types |= dict.fromkeys(("left_vector", "right_vector"), pa.list_(pa.float16(), _DIMENSIONS))
        return pa.table({name: pa.array(columns[name], kind) for name, kind in types.items()})

    # --------------------------------------------------------------------------------------------------------- decision
    def decide(self, summaries: Sequence[Path], context: Context) -> Iterator[pa.Table]:
        counts = [pq.read_metadata(path).num_rows for path in summaries]
        whole = pa.concat_tables([pq.read_table(path) for path in summaries]) if summaries else None
        shifts = np.full(sum(counts), np.nan)
        lost = np.zeros(len(shifts), bool)
        if whole is not None:
            groups = pl.Series("group", whole["group"].to_pylist(), dtype=pl.String)
            for name in groups.drop_nulls().unique(maintain_order=True).to_list():
                at = np.flatnonzero((groups == name).fill_null(False).to_numpy())
                if len(at) >= self.min_rows:
                    shifts[at], lost[at], ranges = self._path(whole.take(pa.array(at)))
                    self._warn(name, ranges, len(at), context)
        start = 0
        for count in counts:
            part, disordered = shifts[start : start + count], lost[start : start + count]
            start += count
            shifted = (part != 0) & ~np.isnan(part)
            state = [
                "disordered" if one else "shifted" if other else None
                for one, other in zip(disordered.tolist(), shifted.tolist(), strict=True)
            ]
            gone = (shifted | disordered).tolist() if self.action == "drop" else [False] * count
            yield pa.table(
                {
                    "keep": pa.array([not one for one in gone], pa.bool_()),
                    "reason": pa.array(["misalignment" if one else None for one in gone], pa.string()),
                    "shift": pa.array(part, from_pandas=True),
                    "state": pa.array(state, pa.string()),
                }
            )

    def _path(self, table: pa.Table) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], list[_Range]]:
        """The shift of each row of one group, whether no nearby source fits it, and the stretches."""
        fits = _fits(table, min(self.max_shift, table.num_rows - 1))
        reach = (len(fits) - 1) // 2
        # One more state: nothing fits better than chance.
        fits = np.concatenate([fits, np.zeros((1, fits.shape[1]), np.float32)])
        states = _viterbi(fits, np.float32(self.change), reach)
        result = np.zeros(table.num_rows)
        lost = np.zeros(table.num_rows, bool)
        ranges: list[_Range] = []
        edges = np.flatnonzero(np.diff(states)) + 1
        for first, end in zip([0, *edges.tolist()], [*edges.tolist(), len(states)], strict=True):
            shift: int | None = int(states[first]) - reach if states[first] < len(fits) - 1 else None
            gain = float((fits[states[first], first:end] - fits[reach, first:end]).mean())
            if shift == 0 or end - first < self.min_rows or (shift is None and gain < _LEAST_DISORDER):
                continue
            result[first:end] = np.nan if shift is None else shift
            lost[first:end] = shift is None
            ranges.append(_Range(first, end - 1, shift, gain))
        return result, lost, ranges

    def _warn(self, name: str, ranges: Sequence[_Range], rows: int, context: Context) -> None:
        source, one, other = name.split("\t")
        for number, each in enumerate(ranges):
            if number == _WARNINGS:
                context.warn(
                    f"misalignment: '{source}' ({one}→{other}): {len(ranges) - number} more stretches are shifted"
                )
                break
            where = (
                f"misalignment: '{source}' ({one}→{other}): rows {each.first + 1:,} to {each.last + 1:,} of {rows:,}"
            )
            if each.shift is None:
                context.warn(
                    f"{where} are out of order: no target fits a source within {self.max_shift} rows ({each.gain:.1f} "
                    "nats a row against their own); check them, or raise 'max_shift'"
                )
                continue
            context.warn(
                f"{where} are shifted by {each.shift:+d}: the target of a row "
                f"belongs to the source {abs(each.shift)} rows {'further on' if each.shift > 0 else 'before'} "
                f"({each.gain:.1f} nats a row); check for a missing or extra line near row {each.first + 1:,}"
            )


def _joined(texts: Mapping[str, tuple[pl.Series, pl.Series]]) -> tuple[pl.Series, pl.Series]:
    sides_ = []
    for number in (0, 1):
        frame = pl.DataFrame([pair[number].fill_null("").alias(name) for name, pair in texts.items()])
        sides_.append(frame.select(pl.concat_str(pl.all(), separator="\n")).to_series())
    return sides_[0], sides_[1]


def _tokens(texts: pl.Series, tags: Sequence[str | None]) -> list[list[int]]:
    """Tokens that may be the same on both sides: values of numbers, words in Latin letters, as 32-bit digests."""
    words = texts.str.extract_all(_LATIN).to_list()
    numbers = texts.str.contains(WORTH_A_LOOK).to_list()
    digests = []
    for one, tag, latin, look in zip(texts.to_list(), tags, words, numbers, strict=True):
        tokens = {word.casefold() for word in latin}
        if look:
            tokens |= {
                f"{value:g}" if isinstance(value, float) else value
                for mention in mentions(one, tag or "und")
                for value in mention.values
            }
        digests.append(
            sorted(
                int.from_bytes(blake2b(sign.encode(), digest_size=4).digest(), "big")
                for sign in sorted(tokens)[:_TOKENS]
            )
        )
    return digests


def _project(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    """Vectors in few dimensions, by fixed random directions; cosines stay within about 0.1."""
    if vectors.shape[1] <= _DIMENSIONS:
        small = np.zeros((len(vectors), _DIMENSIONS), np.float32)
        small[:, : vectors.shape[1]] = vectors
    else:
        directions = np.random.default_rng(20261121).standard_normal((vectors.shape[1], _DIMENSIONS)).astype(np.float32)
        small = vectors @ directions
    norms = np.linalg.norm(small, axis=1, keepdims=True)
    return np.asarray(np.divide(small, norms, out=np.zeros_like(small), where=norms > 0), np.float16)


def _fits(table: pa.Table, reach: int) -> Floats:
    """How well each row's target fits the source k rows further on, in nats over chance: shape (2 * reach + 1,
    rows)."""
    left, right = (table[f"{side}_size"].to_numpy().astype(np.float32) for side in ("left", "right"))
    rows = len(left)
    fits = np.zeros((2 * reach + 1, rows), np.float32)
    usual = float(np.median(right - left))
    # How far true pairs scatter, from the pairs as they are: most are aligned, and the median ignores the others.
    scatter = float(np.clip(1.5 * np.median(np.abs(right - left - usual)), _LEAST_SPREAD, _MOST_SPREAD))
    spread = max(float(np.std(right)), 0.05)
    chance = ((right - right.mean()) / spread) ** 2 / 2 + np.log(spread)
    vectors = None
    if "left_vector" in table.column_names:
        vectors = [
            np.asarray(table[name].combine_chunks().flatten().to_numpy(), np.float32).reshape(rows, _DIMENSIONS)
            for name in ("left_vector", "right_vector")
        ]
    for shift in range(-reach, reach + 1):
        first, end = max(0, -shift), min(rows, rows - shift)
        here, there = slice(first, end), slice(first + shift, end + shift)
        away = (right[here] - left[there] - usual) / scatter
        fits[shift + reach, here] = np.clip(chance[here] - (away**2 / 2 + np.log(scatter)), -_MOST, _MOST)
        if vectors is not None:
            cosine = np.einsum("ij,ij->i", vectors[0][there], vectors[1][here])
            fits[shift + reach, here] += np.clip((cosine - 0.35) * 8, -_MOST, _MOST)
    signs = [table[f"{side}_signs"].to_pylist() for side in ("left", "right")]
    places: dict[int, list[int]] = {}
    for row, row_tokens in enumerate(signs[0]):
        for sign in row_tokens:
            places.setdefault(sign, []).append(row)
    shared = np.zeros_like(fits)
    for row, row_tokens in enumerate(signs[1]):
        for sign in row_tokens:
            known = places.get(sign)
            if known is None:
                continue
            weight = np.log(rows / len(known)) - 1.0
            if weight > 0:
                for place in known[bisect_left(known, row - reach) : bisect_right(known, row + reach)]:
                    shared[place - row + reach, row] += weight
    fits += np.minimum(shared, 2 * _MOST)
    return fits


def _viterbi(fits: Floats, change: np.float32, middle: int) -> npt.NDArray[np.int64]:
    """The sequence of states with the greatest sum of fits minus the cost of changes."""
    states, rows = fits.shape
    best = np.full(states, -change, np.float32)
    best[middle] = 0
    came = np.empty((rows, states), np.int16)
    itself = np.arange(states, dtype=np.int16)
    columns = np.ascontiguousarray(fits.T)
    for row in range(rows):
        top = int(best.argmax())
        jump = best[top] - change
        stays = best >= jump
        came[row] = np.where(stays, itself, top)
        best = np.where(stays, best, jump) + columns[row]
        best -= best.max()
    path = np.empty(rows, np.int64)
    at = int(best.argmax())
    for row in range(rows - 1, -1, -1):
        path[row] = at
        at = int(came[row, at])
    return path

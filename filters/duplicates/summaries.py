"""Row summaries for deduplication: what the method compares and the ranking needs, independent of thresholds.

Columns of all methods: the digest of the normal forms (``high``, ``low``; null where there is no text), the id as two
numbers, language, source, a digest of the item (``group``), length and scores. ``minhash`` adds the normal forms,
signatures and digests of the numbers and negations; the semantic methods add vectors at half precision instead of
signatures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from curate.rows import main_fields
from curate.rows.ids import finish, hash_texts
from curate.rows.kinds import SCORES
from curate.steps import Context, Encoder, Rows, StepError
from filters.calibration.encoders import Encoders
from filters.duplicates import minhash, mismatch_veto
from filters.duplicates.normalize import Normalization
from filters.duplicates.shingles import Shingles, shingles

_BLOCK = 4096


@dataclass(frozen=True)
class Summarizer:
    """Summarises rows; see :class:`filters.duplicates.step.Duplicates` for the parameters."""

    method: str
    fields: tuple[str, ...] | None
    same: Normalization
    shingle: Mapping[str, int] = field(default_factory=dict)
    num_perm: int = 128
    model: str | tuple[str, ...] = ""
    max_chars: int = 2000
    strict: bool = False

    def summarize(self, rows: Rows, context: Context) -> pa.Table:
        """The summary of a batch, one line a row, in order."""
        names = self.fields or main_fields(rows.kind)
        texts = [rows.text(name, calls=True).fill_null("") for name in names]
        languages = [rows.field_language(name) for name in names]
        clean = [self.same.clean(one, language) for one, language in zip(texts, languages, strict=True)]
        normal = [self.same.finish(one) for one in clean]
        # The form with whitespace is kept for comparing words; near methods never compare whitespace.
        blank = (" ", True) if self.same.whitespace == "collapse" else (r"\s+", False)
        whole = (
            normal
            if self.method == "exact"
            else [one.str.replace_all(blank[0], "", literal=blank[1]) for one in normal]
        )
        columns = {**self._common(rows, texts, whole)}
        if self.method != "exact":
            clean = [one.str.replace_all(r"\s+", " ") for one in clean]
            numbers = [mismatch_veto.numbers(one) for one in clean]
            columns["numbers"] = pa.array(mismatch_veto.digests(numbers))
            columns["number_count"] = pa.array(mismatch_veto.counts(numbers))
            negations = [mismatch_veto.negations(one, language) for one, language in zip(clean, languages, strict=True)]
            columns["negation"] = pa.array(mismatch_veto.digests(negations))
            # Checks of translations read the text as it is.
            kept = texts if self.method == "cross_lingual" else normal
            if self.method == "cross_lingual":
                columns |= {f"spoken_{n}": one.to_arrow().cast(pa.string()) for n, one in enumerate(languages)}
            columns |= {f"text_{number}": one.to_arrow().cast(pa.large_string()) for number, one in enumerate(kept)}
        if self.method == "minhash":
            flat: list[Shingles] = [shingles(one, self.shingle) for one in normal]
            made = minhash.signatures(flat[0].joined(flat[1:]), self.num_perm)
            columns["signature"] = _fixed(made)
        elif self.method != "exact":
            columns["digits"] = pa.array(mismatch_veto.digests([mismatch_veto.digits(one) for one in clean]))
            columns |= self._vectors(texts, languages, normal, context)
        return pa.table(columns)

    def _common(self, rows: Rows, texts: list[pl.Series], normal: list[pl.Series]) -> dict[str, Any]:
        high, low, there = _digests(normal)
        ids = _numbers([bytes.fromhex(one) for one in rows.ids.to_list()], 2)
        groups = rows.table["group_id"].to_pylist()
        lengths = pl.DataFrame([one.str.len_chars().alias(str(n)) for n, one in enumerate(texts)]).sum_horizontal()
        sources = rows.table["lineage"].combine_chunks().field("source") if len(rows) else pa.array([], pa.string())
        return {
            "high": pa.array(high, mask=~there),
            "low": pa.array(low, mask=~there),
            "id_high": pa.array(ids[:, 0]),
            "id_low": pa.array(ids[:, 1]),
            "language": pa.array(rows.language.to_list(), pa.string()),
            "source": sources.cast(pa.string()),
            "group": pa.array(_numbers(hash_texts(groups, 8), 1)[:, 0]),
            "chars": pa.array(lengths.cast(pl.Int64).to_list(), pa.int64()),
            "scores": rows.table["scores"].combine_chunks() if len(rows) else pa.array([], SCORES),
        }

    def _vectors(
        self, texts: list[pl.Series], languages: list[pl.Series], normal: list[pl.Series], context: Context
    ) -> dict[str, Any]:
        encoders = Encoders(self.model, context)
        assessed = np.ones(len(texts[0]), bool)
        missing: Counter[str] = Counter()
        for side in languages:
            known = {tag: encoders.supports(tag) for tag in side.unique().to_list()}
            fine = np.array([known[tag] for tag in side.to_list()], bool)
            missing.update({tag: int((side == tag).sum()) for tag, good in known.items() if not good})
            assessed &= fine
        for tag, count in sorted(missing.items()):
            message = f"duplicates: model {encoders} does not support '{tag}'"
            if self.strict:
                raise StepError(
                    f"{message}: {count} rows not assessed; take another model, or write 'strict: false' to leave them "
                    "unassessed"
                )
            # The same words for every shard, so that they are said once.
            context.warn(f"{message}: its rows are not assessed (attribute 'unassessed': language)")
        # Each language may be known by another encoder, and a row needs one that knows all of its languages.
        rows = list(zip(*languages, strict=True))
        whole = {row: any(all(map(one.supports, row)) for one in encoders.each()) for row in set(rows)}
        assessed &= np.array([whole[row] for row in rows], bool)
        for row in sorted(row for row, good in whole.items() if not good and all(map(encoders.supports, row))):
            message = f"duplicates: none of the models {encoders} knows all of {', '.join(row)}"
            if self.strict:
                raise StepError(f"{message}, the languages of a row; write 'strict: false' to leave it unassessed")
            context.warn(f"{message}: rows in these are not assessed (attribute 'unassessed': language)")
        made = [self._encoded(texts, languages, normal, assessed, encoder) for encoder in encoders.each()]
        return {"assessed": pa.array(assessed), "vector": _fixed(np.concatenate(made, axis=1))}

    def _encoded(
        self,
        texts: list[pl.Series],
        languages: list[pl.Series],
        normal: list[pl.Series],
        assessed: npt.NDArray[np.bool_],
        encoder: Encoder,
    ) -> npt.NDArray[np.float16]:
        """The vectors of one encoder, all fields side by side; zero where it does not know a row's language."""
        known = {tag: encoder.supports(tag) for side in languages for tag in side.unique().to_list()}
        mine = assessed & np.array([all(known[tag] for tag in row) for row in zip(*languages, strict=True)], bool)
        made = np.zeros((len(texts[0]), len(texts) * encoder.dimensions), np.float16)
        for start in range(0, len(made), _BLOCK):
            at = np.flatnonzero(mine[start : start + _BLOCK]) + start
            for number, one in enumerate(texts):
                part = [text[: self.max_chars] for text in one.gather(at).to_list()]
                part = [
                    text if seen else "" for text, seen in zip(part, normal[number].gather(at).to_list(), strict=True)
                ]
                first = number * encoder.dimensions
                made[at, first : first + encoder.dimensions] = encoder.encode(part) if part else 0
        return made


def _fixed(made: npt.NDArray[Any]) -> pa.Array:
    """The rows of an array as bytes, which are written and read several times as fast as lists of numbers."""
    size = made.shape[1] * made.itemsize
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(size), len(made), [None, pa.py_buffer(np.ascontiguousarray(made))]
    )


def _numbers(digests: list[bytes], width: int) -> npt.NDArray[np.uint64]:
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64).reshape(-1, width)


def _digests(normal: list[pl.Series]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64], npt.NDArray[np.bool_]]:
    """A digest of each row's normal forms in two halves, and whether there is any text."""
    digests = []
    there = np.zeros(len(normal[0]), bool)
    begun = blake2b(digest_size=16, person=b"curate-same-2")
    for row, texts in enumerate(zip(*(one.to_list() for one in normal), strict=True)):
        there[row] = any(texts)
        data = [one.encode("utf-8", "surrogatepass") for one in texts]
        digests.append(finish(begun, b"".join([len(one).to_bytes(8, "little") + one for one in data])))
    halves = _numbers(digests, 2)
    return halves[:, 0], halves[:, 1], there

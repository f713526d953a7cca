"""``retrieve``: puts the texts of a pool that are most similar to a row into attributes, for prompts and templates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from curate.catalog.params import EncoderName, RowsName
from curate.catalog.suggestions import nearest
from curate.errors import StepError
from curate.generation.common.derived_rows import all_licenses, with_remarks
from curate.rows import Kind, field_names, main_fields, unknown_fields
from curate.steps import Context, RowBatch, Rows, RowStep
from curate.steps.models import Encoder
from curate.vectors import knn

_MORE = 30
"""Neighbours that are looked at beyond those wanted, since a row does not get its own item."""


class Retrieve(RowStep):
    """Gives each row the ``k`` most similar texts of a pool, by the cosine of their embeddings; never a text of its own
    item, nor its own text.

    Attributes: ``retrieve.1`` (the nearest) …, ``retrieve.answer_1`` … with ``answer``, ``retrieve.ids``. Scores:
    ``retrieve`` (the cosine of the nearest), ``retrieve.1`` …. A row whose language the encoder does not know, one
    without text, and one for which the pool has nothing keep what they had. The pool is held in memory.
    """

    tag: ClassVar[str] = "retrieve"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "the most similar texts of a pool, in the same or other languages, as attributes"

    pool: RowsName
    """The source or dataset whose texts are retrieved."""
    k: Annotated[int, Field(ge=1, le=100)] = 3
    """How many."""
    field: str | None = None
    """What of a row is compared. Default: its prompt, source side or text."""
    pool_field: str | None = None
    """What of a row of the pool is compared, and retrieved. Default: its prompt, source side or text."""
    answer: str | None = None
    """A field of the pool's rows that is retrieved with it, such as ``response``. Default: none."""
    languages: Literal["same", "other", "any"] = "same"
    """The languages of the texts: that of the row, others only, or any."""
    model: EncoderName = "use-multilingual"
    """The encoder."""

    def check(self, kind: Kind) -> list[str]:
        return unknown_fields(kind, [self.field] if self.field else None, "field")

    def languages_after(self, kind: Kind, languages: frozenset[str] | None) -> frozenset[str] | None:
        return languages

    def make(self, rows: Rows, context: Context) -> Iterator[pa.Table | RowBatch]:
        if not len(rows):
            return
        encoder: Encoder = context.model(self.model)
        pool = _Pool.of(self, encoder, context)
        name = self.field or main_fields(rows.kind)[0]
        texts, tags = rows.text(name).to_list(), rows.field_language(name).to_list()
        known = [bool(text.strip()) and encoder.supports(tag) for text, tag in zip(texts, tags, strict=True)]
        for tag in sorted({tag for tag in tags if not encoder.supports(tag)}):
            context.warn(f"retrieve: {self.model} does not know {tag}; rows in it get nothing")
        vectors = encoder.encode([text if may else "" for text, may in zip(texts, known, strict=True)])
        groups = rows.table["group_id"].to_pylist()
        found: list[list[tuple[int, float]]] = [[] for _ in texts]
        for tag in sorted({tag for tag, may in zip(tags, known, strict=True) if may}):
            mine = [place for place, one in enumerate(tags) if one == tag and known[place]]
            for place, near in zip(mine, pool.search(vectors[mine], tag, self, context), strict=True):
                fit = ((one, score) for one, score in near if not pool.is_own(one, texts[place], groups[place]))
                found[place] = [pair for pair, _ in zip(fit, range(self.k), strict=False)]
        if empty := sum(may and not near for near, may in zip(found, known, strict=True)):
            context.warn(f"retrieve: for {empty:,} rows '{self.pool}' has no text in the {self.languages} language")
        licenses = rows.table["lineage"].combine_chunks().field("license").to_pylist()
        yield with_remarks(
            rows,
            step=self.tag,
            model=context.model_name(self.model),
            scores=[
                {"score": near[0][1], **{str(n): score for n, (_, score) in enumerate(near, 1)}} if near else {}
                for near in found
            ],
            attributes=[pool.attributes(near) for near in found],
            more_parents=[[pool.ids[one] for one, _ in near] for near in found],
            licenses=[
                all_licenses(own, *(pool.licenses[one] for one, _ in near))
                for own, near in zip(licenses, found, strict=True)
            ],
        )


@dataclass
class _Pool:
    """The texts that may be retrieved, each once."""

    ids: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    licenses: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    places: dict[str, list[int]] = field(default_factory=dict)
    """Language → places of its texts."""
    vectors: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))

    @classmethod
    def of(cls, step: Retrieve, encoder: Encoder, context: Context) -> _Pool:
        """Reads and encodes a pool.

        Raises:
            StepError: its rows have no such field.
        """
        pool, seen = cls(), set[tuple[str, str]]()
        for rows in context.rows(step.pool):
            for parameter, wanted in (("pool_field", step.pool_field), ("answer", step.answer)):
                if wanted is not None and wanted not in (known := field_names(rows.kind)):
                    raise StepError(
                        f"retrieve: {parameter}: {rows.kind} rows of '{step.pool}' have no field '{wanted}'"
                        f"{nearest(wanted, known)}; they have {', '.join(known)}"
                    )
            name = step.pool_field or main_fields(rows.kind)[0]
            texts, tags = rows.text(name).to_list(), rows.field_language(name).to_list()
            answers = rows.text(step.answer).to_list() if step.answer else [""] * len(rows)
            licenses = rows.table["lineage"].combine_chunks().field("license").to_pylist()
            each = zip(
                rows.ids.to_list(), rows.table["group_id"].to_pylist(), licenses, texts, answers, tags, strict=True
            )
            for row, group, terms, text, answer, tag in each:
                if not text.strip() or (tag, text) in seen or not encoder.supports(tag):
                    continue
                seen.add((tag, text))
                pool.places.setdefault(tag, []).append(len(pool.ids))
                pool.ids.append(row)
                pool.groups.append(group)
                pool.licenses.append(terms)
                pool.texts.append(text)
                pool.answers.append(answer)
        pool.vectors = encoder.encode(pool.texts) if pool.texts else pool.vectors
        return pool

    def search(
        self, vectors: npt.NDArray[np.float32], language: str, step: Retrieve, context: Context
    ) -> Iterator[list[tuple[int, float]]]:
        """For each vector the nearest texts (place, cosine), best first."""
        wanted = [
            place
            for tag, places in self.places.items()
            if step.languages == "any" or (tag == language) == (step.languages == "same")
            for place in places
        ]
        if not wanted:
            yield from ([] for _ in vectors)
            return
        others = np.array(sorted(wanted))
        k = min(len(others), step.k + _MORE)
        found, _ = knn.exact(vectors, self.vectors[others], k, memory=context.memory // 2, threads=context.threads)
        for cosines, places in zip(found.cosines, found.places, strict=True):
            yield [(int(others[one]), float(value)) for one, value in zip(places, cosines, strict=True) if one >= 0]

    def is_own(self, place: int, text: str, group: str) -> bool:
        """Whether a text is that of a row, or of its item."""
        return self.texts[place] == text or bool(group and self.groups[place] == group)

    def attributes(self, near: list[tuple[int, float]]) -> Mapping[str, str]:
        """What a row gets."""
        if not near:
            return {}
        named = {str(n): self.texts[one] for n, (one, _) in enumerate(near, 1)}
        answers = {f"answer_{n}": self.answers[one] for n, (one, _) in enumerate(near, 1) if self.answers[one]}
        return {**named, **answers, "ids": " ".join(self.ids[one] for one, _ in near)}

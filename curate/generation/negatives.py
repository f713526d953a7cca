"""``negatives``: gives each question (or source side) answers of other rows, which are wrong for it.

They go into attributes, for exports that contrast a right answer with wrong ones, or become rows of their own with a
label. Which rows are chosen is decided over all rows at once; the texts of all rows are held in memory meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from random import Random
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from curate.catalog.params import EncoderName, Reference
from curate.catalog.suggestions import nearest
from curate.generation.common.composition import Parts, fill_text, parts_of, placeholders
from curate.generation.common.derived_rows import all_licenses, derive_rows, failed, random_numbers, with_remarks
from curate.generation.common.fields import PREFIXES
from curate.generation.common.forms import placeholder_problems
from curate.generation.common.requests import InvalidResponse
from curate.rows import Kind, required_columns
from curate.steps import Context, DatasetStep, RowBatch, Rows
from curate.steps.models import Encoder
from curate.steps.originals import originals
from curate.vectors import knn

FIELDS = {Kind.SFT: ("prompt", "response"), Kind.PARALLEL: ("source", "target")}
"""Kind → the fields of the question and of its answer."""
_AMONG = ("all", "parent")
_DRAWS = 30
"""How often a random negative is drawn for each that is wanted, before all are looked at."""
_MORE = 30
"""Neighbours that are looked at beyond those wanted, since some are too near."""


class Negatives(DatasetStep):
    """Gives each row ``n`` answers of other rows in the language of its own answer: never of its own item, never the
    same text, and never the answer to the same question (of conversations that may be so, unless ``among`` is ``all``).

    With ``into: attributes`` a row keeps its text and scores, and gets the attributes ``negatives.1`` … and
    ``negatives.ids`` (the rows they are from); with ``choice: nearest`` also the scores ``negatives`` (cosine of
    question and right answer) and ``negatives.1`` … (cosine with each negative). With ``into: rows`` it gets the
    attribute ``negatives.label`` (``true``), and ``n`` rows follow that have its question, another answer and the
    label ``false``. A row for which there are fewer than ``n`` is quarantined, so that labels stay balanced.
    """

    tag: ClassVar[str] = "negatives"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "wrong answers out of other rows: random or hard, as attributes or as labelled rows"
    kinds: ClassVar[frozenset[Kind]] = frozenset(FIELDS)

    n: Annotated[int, Field(ge=1, le=100)] = 1
    """Number of negatives of each row."""
    choice: Literal["random", "nearest"] = "random"
    """``random``, or ``nearest``: those most similar to the question (hard negatives), by the encoder."""
    among: str = "all"
    """The rows that negatives are from: ``all``, those that were made from the same ``parent`` (answers to one prompt,
    words of one sentence),
    or those for which a template, such as ``"{attribute.sentence}"``, gives the same text. Except with ``all``, they
    may be of the row's own item."""
    into: Literal["attributes", "rows"] = "attributes"
    """Where negatives go."""
    model: EncoderName = "use-multilingual"
    """The encoder, for ``choice: nearest``."""
    max_share: Annotated[float, Field(gt=0)] = 0.95
    """With ``choice: nearest``, the largest cosine of a negative with the question, as a share of the right answer's:
    what is nearer may be right too (Moreira et al. 2024, NV-Retriever)."""

    def named(self, kind: Reference) -> dict[str, tuple[str, ...]]:
        """Without the encoder, where none is needed."""
        names = super().named(kind)
        return {**names, "model": ()} if kind is Reference.MODEL and self.choice == "random" else names

    def check(self, kind: Kind) -> list[str]:
        problems = []
        if self.choice == "random" and self.model_fields_set & {"model", "max_share"}:
            problems.append("model, max_share: only for 'choice: nearest'")
        if "{" in self.among or "}" in self.among:
            problems += placeholder_problems("among", self.among, placeholders(kind), PREFIXES)
        elif self.among not in _AMONG:
            problems.append(
                f"among: '{self.among}' is neither all nor parent{nearest(self.among, _AMONG)}; a text that "
                f"rows have in common is a template such as '{{{self.among}}}'"
            )
        return problems

    def languages_after(self, kind: Kind, languages: frozenset[str] | None) -> frozenset[str] | None:
        return languages

    def gather(self, rows: Iterable[Rows], context: Context) -> Iterator[pa.Table | RowBatch]:
        known = _Known(self.among)
        for part in rows:
            known.add(part, context)
        if self.choice == "nearest":
            encoder: Encoder = context.model(self.model)
            chosen, cosines = self._nearest(known, encoder, context)
            maker = context.model_name(self.model)
        else:
            chosen, cosines, maker = self._random(known, context), None, ""
        start = 0
        for part in rows:
            mine = chosen[start : start + len(part)]
            whole = [place for place, one in enumerate(mine) if len(one) == self.n]
            few = [place for place, one in enumerate(mine) if len(one) < self.n]
            scores = [] if cosines is None else [cosines[start + place] for place in whole]
            start += len(part)
            bad = tuple(failed(part, place, self._why(len(mine[place]))) for place in few)
            kept = part.take([len(one) == self.n for one in mine])
            picked = [mine[place] for place in whole]
            if self.into == "attributes":
                table = self._as_attributes(kept, picked, scores, known, maker)
            else:
                table = self._as_rows(kept, picked, scores, known, maker)
            context.advance(0)
            yield RowBatch(table, bad)

    def _why(self, found: int) -> str:
        if not found and self.choice == "random" and self.among == "all":
            return (
                f"none of {self.n} negatives: it has no answer, or no other item has one in its language to another "
                "question"
            )
        near = f", less similar than {self.max_share:g} of the right answer" if self.choice == "nearest" else ""
        where = {"all": "of other items", "parent": "made from the same parent"}.get(
            self.among, f"with the same {self.among}"
        )
        return f"only {found} of {self.n} negatives: no more rows {where} have another answer in its language{near}"

    # -------------------------------------------------------------------------------------------------------- choosing
    def _random(self, known: _Known, context: Context) -> list[list[int]]:
        chosen = []
        for place, number in enumerate(random_numbers(context.seed, known.ids, self.tag)):
            pool, random, mine = known.pool(place), Random(number), list[int]()
            if len(pool) > _DRAWS * self.n:
                draws: Iterable[int] = (random.randrange(len(pool)) for _ in range(_DRAWS * self.n))
                known.take(place, (pool[draw] for draw in draws), self.n, mine)
            if len(mine) < self.n and len(pool) <= _DRAWS * self.n:
                known.take(place, random.sample(pool, len(pool)), self.n, mine)
            elif len(mine) < self.n:
                known.take(place, known.each_text(place, random), self.n, mine)
            chosen.append(mine)
        return chosen

    def _nearest(
        self, known: _Known, encoder: Encoder, context: Context
    ) -> tuple[list[list[int]], list[dict[str, float]]]:
        questions, answers = encoder.encode(known.questions), encoder.encode(known.answers)
        own = np.einsum("ij,ij->i", questions, answers)
        chosen: list[list[int]] = [[] for _ in known.ids]
        scores: list[dict[str, float]] = [{} for _ in known.ids]
        for pool in known.pools():
            # Equal answers once: of a frequent one all copies would be among the nearest.
            first = {known.answers[place]: place for place in reversed(pool)}
            others = np.array(sorted(first.values()))
            k = min(len(others), self.n + _MORE)
            found, _ = knn.exact(
                questions[pool], answers[others], k, memory=context.memory // 2, threads=context.threads
            )
            for place, cosines, near in zip(pool, found.cosines, found.places, strict=True):
                most = self.max_share * float(own[place])
                fit = [
                    int(others[one]) for one, cosine in zip(near, cosines, strict=True) if one >= 0 and cosine <= most
                ]
                known.take(place, fit, self.n, chosen[place])
                with_each = {str(n): _product(questions, answers, place, one) for n, one in enumerate(chosen[place], 1)}
                scores[place] = {"score": float(own[place]), **with_each}
        for language in sorted({tag for tag in known.languages if not encoder.supports(tag)}):
            context.warn(f"negatives: {self.model} does not know {language}; its similarities there mean little")
        return chosen, scores

    # ---------------------------------------------------------------------------------------------------------- writing
    def _as_attributes(
        self, rows: Rows, picked: Sequence[list[int]], scores: list[dict[str, float]], known: _Known, maker: str
    ) -> pa.Table:
        attributes = [
            {**{str(number): known.answers[one] for number, one in enumerate(mine, 1)}, "ids": known.ids_of(mine)}
            for mine in picked
        ]
        return with_remarks(
            rows,
            step=self.tag,
            model=maker,
            scores=scores or [{} for _ in picked],
            attributes=attributes,
            more_parents=[[known.ids[one] for one in mine] for mine in picked],
            licenses=[known.license_of(row, mine) for row, mine in zip(_licenses(rows), picked, strict=True)],
        )

    def _as_rows(
        self, rows: Rows, picked: Sequence[list[int]], scores: list[dict[str, float]], known: _Known, maker: str
    ) -> pa.Table:
        places = [place for place, mine in enumerate(picked) for _ in range(1 + len(mine))]
        others = [one for mine in picked for one in (None, *mine)]
        values: dict[str, list[Any]] = {name: [] for name in required_columns(rows.kind)}
        payloads = rows.table.select(list(values)).to_pylist()
        for place, other in zip(places, others, strict=True):
            row = dict(payloads[place])
            if other is not None and rows.kind is Kind.PARALLEL:
                row["target"] = known.answers[other]
            elif other is not None:
                row["messages"] = _answered(row["messages"], known.answers[other])
            for name in values:
                values[name].append(row[name])
        licenses, languages = _licenses(rows), rows.language.to_list()
        cosines = [value for one in scores for name, value in one.items()] if scores else []
        return derive_rows(
            rows.kind,
            rows,
            places,
            values,
            [languages[place] for place in places],
            step=self.tag,
            model=maker,
            attributes=[{"label": "true" if other is None else "false"} for other in others],
            scores=[{"score": value} for value in cosines] if cosines else None,
            more_parents=[[] if other is None else [known.ids[other]] for other in others],
            licenses=[
                known.license_of(licenses[place], [] if other is None else [other])
                for place, other in zip(places, others, strict=True)
            ],
        )


@dataclass
class _Known:
    """What is held of all rows."""

    among: str
    apart: bool = True
    """Whether an answer to the same question is right too, and no negative."""
    ids: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    common: list[str] = field(default_factory=list)
    """What the rows that may give each other negatives have in common; empty: none may, unless all may."""
    languages: list[str] = field(default_factory=list)
    licenses: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    _pools: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    _texts: dict[tuple[str, str], dict[str, list[int]]] = field(default_factory=dict)

    def add(self, rows: Rows, context: Context) -> None:
        question, answer = FIELDS[rows.kind]
        start = len(self.ids)
        self.apart = rows.kind is Kind.PARALLEL or self.among == "all"
        self.ids += rows.ids.to_list()
        self.groups += rows.table["group_id"].to_pylist()
        if self.among == "parent":
            self.common += [parent or "" for parent in originals(rows, context).to_list()]
        elif self.among == "all":
            self.common += [""] * len(rows)
        else:
            self.common += [_filled(self.among, parts) for parts in parts_of(rows)]
        self.languages += rows.language.to_list()
        self.licenses += _licenses(rows)
        self.questions += rows.text(question).to_list()
        # The last answer of a conversation: an earlier one is part of what is asked.
        self.answers += [turns[-1] if len(turns) else "" for turns in rows.turns(answer).to_list()]
        for place in range(start, len(self.ids)):
            if self.answers[place].strip():
                self._pools.setdefault(self._key(place), []).append(place)

    def _key(self, place: int) -> tuple[str, str]:
        return self.languages[place], self.common[place]

    def pool(self, place: int) -> list[int]:
        """The rows that may give a negative, besides what :meth:`take` leaves out; none if the row has no answer."""
        if not self.answers[place].strip():
            return []
        return [] if self.among != "all" and not self.common[place] else self._pools.get(self._key(place), [])

    def each_text(self, place: int, random: Random) -> Iterator[int]:
        """Of a large pool each text once, in random order, from a row drawn at random: where most answers are equal
        there are few texts, however many rows."""
        key = self._key(place)
        if key not in self._texts:
            self._texts[key] = {}
            for one in self._pools[key]:
                self._texts[key].setdefault(_folded(self.answers[one]), []).append(one)
        texts = list(self._texts[key].values())
        for rows in random.sample(texts, len(texts)):
            others = (rows[random.randrange(len(rows))] for _ in range(_DRAWS))
            fit = (one for one in chain(others, rows) if self.among != "all" or self.groups[one] != self.groups[place])
            yield from islice(fit, 1)

    def pools(self) -> Iterator[list[int]]:
        """All pools."""
        for (_, common), pool in self._pools.items():
            if common or self.among == "all":
                yield pool

    def take(self, place: int, candidates: Iterable[int], n: int, chosen: list[int]) -> None:
        """Adds to ``chosen`` the candidates that are wrong for a row, up to ``n``, each text once."""
        seen = {_folded(self.answers[one]) for one in chosen} | {_folded(self.answers[place])}
        question = _folded(self.questions[place])
        seen.add(question)
        for one in candidates:
            if len(chosen) >= n:
                return
            text = _folded(self.answers[one])
            if text in seen or (self.among == "all" and self.groups[one] == self.groups[place]):
                continue
            if not self.apart or _folded(self.questions[one]) != question:
                chosen.append(one)
                seen.add(text)

    def ids_of(self, places: Iterable[int]) -> str:
        return " ".join(self.ids[place] for place in places)

    def license_of(self, own: str, others: Iterable[int]) -> str:
        return all_licenses(own, *(self.licenses[one] for one in others))


def _filled(template: str, parts: Parts) -> str:
    """What a template gives for a row; nothing if the row lacks a placeholder."""
    try:
        return fill_text(template, parts)
    except InvalidResponse:
        return ""


def _licenses(rows: Rows) -> list[str]:
    licenses: list[str] = rows.table["lineage"].combine_chunks().field("license").to_pylist()
    return licenses


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _answered(turns: Sequence[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    """The messages with another last answer, without what belonged to the old one's text."""
    last = max(place for place, turn in enumerate(turns) if turn["role"] == "assistant")
    return [*turns[:last], {**turns[last], "content": text, "tool_calls": None, "reasoning": None}, *turns[last + 1 :]]


def _product(left: Any, right: Any, place: int, other: int) -> float:
    return float(left[place] @ right[other])

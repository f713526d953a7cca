"""A model that is alone and charges for calls, one made of others, and steps that make rows: with it, from all
rows, from a table."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import PrivateAttr

from curate.catalog import ModelName, RowsName, Runtime
from curate.errors import ModelError
from curate.generation.common.derived_rows import derive_rows, failed, unchanged_rows
from curate.rows import Kind
from curate.steps import Context, DatasetStep, Model, RowBatch, Rows, RowStep
from curate_letters import note


class LoadedEcho:
    def __init__(self, spec: Echo) -> None:
        self.spec = spec
        self.ledger: Any = None

    def set_budget(self, ledger: Any) -> None:
        self.ledger = ledger

    def ask(self, texts: Sequence[str], sample: int) -> list[str]:
        answers = []
        for text in texts:
            number = self.ledger.reserve("echo@1", len(text), self.spec.price) if self.ledger else 0
            note(self.spec.journal, f"ask {os.getpid()} {text}")
            if self.spec.broken:
                raise ModelError("the echo is out")
            if self.ledger:
                self.ledger.settle(number, len(text), 2, self.spec.price)
            answers.append(f"{text} ~{sample}")
        return answers

    def close(self) -> None:
        note(self.spec.journal, f"close {os.getpid()}")


class Echo(Model):
    """Answers what it is asked, for money."""

    use: ClassVar[str] = "echo"
    price: Runtime[float] = 0.5
    journal: Runtime[str | None] = None
    broken: Runtime[bool] = False

    def name_and_revision(self) -> str:
        return "echo@1"

    @property
    def exclusive(self) -> bool:
        return True

    def load(self, *, cache: Path | None, threads: int) -> LoadedEcho:
        return LoadedEcho(self)


class Chain(Model):
    """The sum of what its members count."""

    use: ClassVar[str] = "chain"
    through: tuple[ModelName, ...] = ()
    _members: dict[str, Model] = PrivateAttr(default_factory=dict)

    def with_models(self, models: Mapping[str, Any]) -> Chain:
        bound = self.model_copy()
        bound._members = dict(models)
        return bound

    def name_and_revision(self) -> str:
        return " + ".join(self._members[name].name_and_revision() for name in self.through)

    def model_identity(self) -> dict[str, Any]:
        return {"use": self.use, "through": [self._members[name].model_identity() for name in self.through]}

    def load(self, *, cache: Path | None, threads: int) -> Any:
        loaded = [self._members[name].load(cache=cache, threads=threads) for name in self.through]
        return lambda texts: [sum(counts) for counts in zip(*(one(texts) for one in loaded), strict=True)]


class Reply(RowStep):
    """Adds an answer to each text; cannot answer what holds ``trouble``."""

    tag: ClassVar[str] = "reply"
    batch: ClassVar[int] = 10
    model: ModelName = "echo"
    trouble: str | None = None
    keep_original: bool = False

    def make(self, rows: Rows, context: Context) -> Iterator[pa.Table | RowBatch]:
        texts = rows.text("text").to_list()
        languages = rows.language.to_list()
        places = [
            place
            for place, (text, language) in enumerate(zip(texts, languages, strict=True))
            if context.is_open(language) and not (self.trouble and self.trouble in text)
        ]
        bad = tuple(
            failed(rows, place, "in trouble", text)
            for place, text in enumerate(texts)
            if self.trouble and self.trouble in text
        )
        answers = context.model(self.model).ask([texts[place] for place in places], context.draw)
        context.advance(len(places))
        if self.keep_original:
            yield unchanged_rows(rows)
        yield RowBatch(
            derive_rows(
                Kind.DOCUMENT,
                rows,
                places,
                {"text": answers},
                [languages[place] for place in places],
                step="reply",
                model=context.model_name(self.model),
                scores=[{"score": float(context.seed)} for _ in places],
            ),
            bad,
        )


class Lexicon(DatasetStep):
    """One row a word of all texts, with its count; words seen once fail."""

    tag: ClassVar[str] = "lexicon"

    def gather(self, rows: Iterable[Rows], context: Context) -> Iterator[RowBatch]:
        counts: dict[str, int] = {}
        for batch in rows:
            for text in batch.text("text"):
                for word in text.split():
                    counts[word] = counts.get(word, 0) + 1
        first = next(iter(rows))
        often = sorted(word for word, count in counts.items() if count > 1)
        table = derive_rows(
            Kind.DOCUMENT,
            first,
            [0] * len(often),
            {"text": often},
            ["en"] * len(often),
            step="lexicon",
            group_id=[f"word:{word}" for word in often],
            scores=[{"count": float(counts[word])} for word in often],
        )
        yield RowBatch(table)


class Marked(RowStep):
    """Puts ``*`` before the words that a table of documents has."""

    tag: ClassVar[str] = "marked"
    table: RowsName

    def make(self, rows: Rows, context: Context) -> Iterator[pa.Table]:
        known = {word for batch in context.rows(self.table) for word in batch.text("text").to_list()}
        texts = [" ".join(f"*{word}" if word in known else word for word in text.split()) for text in rows.text("text")]
        yield derive_rows(
            Kind.DOCUMENT, rows, range(len(rows)), {"text": texts}, rows.language.to_list(), step="marked"
        )

"""``self_consistency``: scores answers by how many samples for the same prompt come to the same final answer.

Self-consistency (Wang et al. 2023), here for preference rows: the score ``self_consistency`` of a row is the share of
votes for its final answer, ``pair`` makes the most voted one chosen and the least voted one rejected, and prompts
without a clear winner are dropped. With ``across: group`` the answers in all languages of an item vote together
(cross-lingual consistency): the answers in one language are measured by those in the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, PositiveInt, model_validator

from curate.catalog.params import Decision, PerLanguage, RowsName
from curate.data_files import DataFile
from curate.preferences.pair.candidates import Candidate, candidates, prompt_keys
from curate.preferences.self_consistency.answer_phrases import ANSWERS
from curate.preferences.self_consistency.extract import FinalAnswer, Form, Reader
from curate.preferences.self_consistency.numbers import Percent, Sign
from curate.rows import Kind
from curate.rows.fields import latest_value
from curate.rows.kinds import ATTRIBUTES, SCORES
from curate.steps import Context, GlobalStep, Rows, StepError
from curate.text.numbers import NUMBER_WORDS

Share = Annotated[float, Field(ge=0, le=1)]
_WHOLE = 1 << 30
"""One vote. Votes are counted in integers, so that the order of rows cannot change a sum."""
_NEARLY = 1e-9


class SelfConsistency(GlobalStep):
    """Scores each answer by the share of answers to the same prompt with the same final answer.

    Scores: ``score`` (the share of votes for this row's answer; null if the row has no answer), and for its prompt
    ``agreement`` (the share of the most voted answer), ``margin`` (over the second) and ``votes`` (number of rows with
    an answer); with a reference also ``correct`` (1 or 0). Attribute ``answer``: the final answer in the form in which
    answers are compared.
    """

    tag: ClassVar[str] = "self_consistency"
    package_data: ClassVar[tuple[DataFile, ...]] = (NUMBER_WORDS, ANSWERS)
    version: ClassVar[int] = 2
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.SFT, Kind.UNPAIRED})
    summary: ClassVar[str] = (
        "self-consistency: final answers of several samples vote, within a language or across all languages of an item"
    )

    answer: Form = "number"
    """The form of a final answer. ``number``: in any digits and the language's notation, without units. ``option``: one
    of the prompt's choices, by label or text. ``boxed``: the content of the last ``\\\\boxed{}``. ``text``: a short
    text. ``json``: the value of ``field``."""
    field: Annotated[str, Field(min_length=1)] = "answer"
    """For ``answer: json``: the name of the value, or the path to it (``result.value``)."""
    announced: bool = False
    """Whether only announced answers count (*The answer is*, ``####``, ``\\\\boxed``). By default the last candidate
    counts if none is announced."""
    markers: PerLanguage[tuple[Annotated[str, Field(min_length=1)], ...]] = PerLanguage[tuple[str, ...]]()
    """Texts that announce an answer in your data, by language, instead of the known ones."""
    decimal: PerLanguage[Sign] = PerLanguage[Sign]()
    """The decimal sign, ``.`` or ``,``, by language, instead of the usual one."""
    percent: Percent = "unit"
    """Whether 50 % is 50 (``unit``) or 0.5 (``share``)."""
    digits: Annotated[int, Field(ge=0, le=30)] | None = None
    """Decimals that numbers are rounded to before they are compared; by default they are not rounded."""
    max_chars: PositiveInt = 200
    """Maximum length of a short text answer, in characters."""
    gold_attribute: str | None = None
    """Name of the attribute with the right answer."""
    gold: RowsName | None = None
    """A source or dataset with the right answers, found by item (``group_id``), preferably in the row's language: in
    its attribute ``gold_attribute``, or else as the final answers of its rows."""
    across: Decision[Literal["language", "group"]] = "language"
    """Which answers vote together: those to one prompt in one ``language``, or all of an item (``group_id``), in any
    language."""
    count: Decision[Literal["rows", "languages"]] = "rows"
    """For ``across: group``: whether each row has one vote, or each language has one, shared by its rows."""
    weights: str | None = None
    """Name of a score that weights the votes, such as ``reward`` or ``respond.logprob``. Below 0 or null: no vote."""
    min_votes: Decision[PositiveInt] = 2
    """Minimum number of rows with an answer per prompt."""
    min_agreement: Decision[PerLanguage[Share]] = PerLanguage(0.0)
    """Minimum share of the votes for the most voted answer; rows of other prompts are dropped."""
    min_margin: Decision[PerLanguage[Share]] = PerLanguage(0.0)
    """Minimum lead of the most voted answer over the second."""
    no_answer: Decision[Literal["drop", "keep"]] = "drop"
    """What to do with rows without a final answer. They have no vote either way."""
    losers: Decision[Literal["keep", "drop"]] = "keep"
    """Whether to keep rows whose answer is not the most voted one (for pairs), or to drop them (for training on
    consensus)."""
    wrong: Decision[Literal["keep", "drop"]] = "keep"
    """Whether to keep rows whose answer is not that of the reference."""

    @model_validator(mode="after")
    def _fits_together(self) -> SelfConsistency:
        if self.field != "answer" and self.answer != "json":
            raise ValueError("field: it is the name of a value in JSON and needs 'answer: json'")
        if self.count == "languages" and self.across == "language":
            raise ValueError("count: languages needs several languages that vote together; set 'across: group' too")
        if self.wrong == "drop" and not self._has_gold:
            raise ValueError("wrong: drop needs the right answers; set 'gold_attribute' or 'gold'")
        return self

    @property
    def _has_gold(self) -> bool:
        return self.gold_attribute is not None or self.gold is not None

    @property
    def reads(self) -> tuple[str, ...]:
        own = self.gold_attribute if self.gold is None else None
        return tuple(name for name in (self.weights, own) if name is not None)

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        names = ("score", "agreement", "margin", "votes", *(("correct",) if self._has_gold else ()))
        return {**dict.fromkeys(names, pa.float64()), "answer": pa.string()}

    def _reader(self) -> Reader:
        return Reader(
            self.answer,
            self.field,
            not self.announced,
            self.markers,
            self.decimal,
            self.percent,
            self.digits,
            self.max_chars,
        )

    # ---------------------------------------------------------------------------------------------------------- summary
    def summarize(self, rows: Rows, context: Context) -> pa.Table:
        reader = self._reader()
        answers = [
            reader.find(one.answer, language, _question(one)) if one.answer else None
            for one, language in zip(candidates(rows), rows.language.to_list(), strict=True)
        ]
        return pa.table(
            {
                "prompt": pa.array(prompt_keys(rows), pa.binary(16)),
                "item": pa.array(prompt_keys(rows, across=True), pa.binary(16)),
                "language": pa.array(rows.language.to_list(), pa.string()),
                "answer": pa.array([one.answer if one else None for one in answers], pa.string()),
                "other": pa.array([(one.other or None) if one else None for one in answers], pa.string()),
                "scores": self._named(rows, "scores", SCORES),
                "attributes": self._named(rows, "attributes", ATTRIBUTES),
                # The options in a prompt say what a reference means.
                "asked": pa.array(
                    [_question(one) for one in candidates(rows)] if self.answer == "option" else [None] * len(rows),
                    pa.string(),
                ),
            }
        )

    def _named(self, rows: Rows, name: str, dtype: pa.DataType) -> pa.Array:
        """The row's scores or attributes that the decision reads."""
        if not len(rows):
            return pa.array([], dtype)
        names = self.reads
        return pa.array(
            [
                [one for one in values if one["name"] in names] if names else []
                for values in rows.table[name].to_pylist()
            ],
            dtype,
        )

    # --------------------------------------------------------------------------------------------------------- decision
    def decide(self, summaries: Sequence[Path], context: Context) -> Iterator[pa.Table]:
        sizes = [int(pq.read_metadata(path).num_rows) for path in summaries]
        frame = pl.concat([self._read(path, context) for path in summaries]) if summaries else self._empty()
        self._warn(frame, context)
        voted = self._voted(frame)
        if self._has_gold:
            voted = voted.with_columns(correct=pl.Series(self._correct(voted, context), dtype=pl.Float64))
        decisions = voted.with_columns(reason=self._reason()).select(
            pl.col("reason").is_null().alias("keep"), "reason", *self.columns(Kind.SFT)
        )
        target = pa.schema([("keep", pa.bool_()), ("reason", pa.string()), *self.columns(Kind.SFT).items()])
        start = 0
        for size in sizes:
            yield decisions.slice(start, size).to_arrow().cast(target)
            start += size

    def _empty(self) -> pl.DataFrame:
        return pl.DataFrame(
            schema={
                "group": pl.Binary,
                "item": pl.Binary,
                "language": pl.String,
                "answer": pl.String,
                "other": pl.String,
                "weight": pl.Float64,
                "gold": pl.String,
                "asked": pl.String,
            }
        )

    def _read(self, path: Path, context: Context) -> pl.DataFrame:
        table = pl.read_parquet(path)
        gold = (
            latest_value(table["attributes"], self.gold_attribute).cast(pl.String)
            if self.gold_attribute is not None and self.gold_attribute in self.reads
            else None
        )
        weight = latest_value(table["scores"], self.weights).cast(pl.Float64) if self.weights is not None else None
        return table.select(
            pl.col("item" if self.across == "group" else "prompt").alias("group"),
            "item",
            "language",
            "answer",
            "other",
            pl.lit(1.0).alias("weight") if weight is None else weight.alias("weight"),
            pl.lit(None, pl.String).alias("gold") if gold is None else gold.alias("gold"),
            "asked",
        )

    def _warn(self, frame: pl.DataFrame, context: Context) -> None:
        if not len(frame):
            return
        missing = (
            frame.group_by("language").agg(pl.len(), pl.col("answer").is_null().sum().alias("none")).sort("language")
        )
        for language, rows, none in missing.iter_rows():
            if rows >= 10 and none > rows / 2:
                context.warn(
                    f"self_consistency: {none:,} of {rows:,} rows in {language} have no final answer of the form "
                    f"'{self.answer}'; see 'answer', 'markers' and 'announced'"
                )
        if self.weights is not None and not (frame["weight"].fill_null(0.0) > 0).any():
            raise StepError(
                f"self_consistency: no row has a score '{self.weights}' above 0, so there are no votes; "
                "does the step that gives it come before this one?"
            )
        if self.across == "group" and self.answer == "text" and frame["language"].n_unique() > 1:
            context.warn(
                "self_consistency: texts in several languages are hardly ever equal; 'across: group' is for numbers, "
                "options and formulas"
            )

    def _voted(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Score, agreement, margin and votes of each row, in order; ambiguous answers resolved."""
        frame = _disambiguated(frame).with_columns(
            pl.when(pl.col("answer").is_null())
            .then(0.0)
            .otherwise(pl.col("weight").fill_null(0.0).fill_nan(0.0).clip(0.0, None))
            .alias("weight")
        )
        most = pl.col("weight").max().over("group")
        counted = frame.with_columns(
            pl.when(most > 0)
            .then((pl.col("weight") / most * _WHOLE).round())
            .otherwise(0.0)
            .cast(pl.Int64)
            .alias("vote")
        )
        if self.count == "languages":
            whole = pl.col("vote").sum().over("group", "language")
            shared = (pl.col("vote").cast(pl.Float64) / whole * _WHOLE).round()
            counted = counted.with_columns(pl.when(whole > 0).then(shared).otherwise(0.0).cast(pl.Int64).alias("vote"))
        counted = counted.with_columns(
            pl.col("vote").sum().over("group", "answer").alias("for"),
            pl.col("vote").sum().over("group").alias("all"),
            (pl.col("vote") > 0).sum().over("group").cast(pl.Float64).alias("votes"),
        )
        ranked = (
            counted.filter(pl.col("answer").is_not_null())
            .select("group", "answer", "for")
            .unique()
            .group_by("group")
            .agg(pl.col("for").top_k(2).sort(descending=True))
            .select(
                "group",
                pl.col("for").list.get(0).alias("first"),
                pl.col("for").list.get(1, null_on_oob=True).fill_null(0).alias("second"),
            )
        )
        share = {
            name: pl.when(pl.col("all") > 0).then(pl.col(name) / pl.col("all")) for name in ("for", "first", "second")
        }
        return counted.join(ranked, on="group", how="left", maintain_order="left").with_columns(
            pl.when(pl.col("answer").is_not_null()).then(share["for"]).alias("score"),
            share["first"].alias("agreement"),
            pl.when(pl.col("all") > 0).then((pl.col("first") - pl.col("second")) / pl.col("all")).alias("margin"),
        )

    def drop_rules(self, kind: Kind) -> Mapping[str, pl.Expr]:
        no_answer = pl.col("answer").is_null()
        won = (pl.col("score") == pl.col("agreement")) & (pl.col("margin") > 0)
        rules = {
            "no answer": no_answer if self.no_answer == "drop" else None,
            "too few votes": pl.col("votes") < self.min_votes,
            "low agreement": pl.col("agreement") < self.min_agreement.expr() - _NEARLY,
            "small margin": pl.col("margin") < self.min_margin.expr() - _NEARLY,
            "wrong answer": pl.col("correct") < 0.5 if self.wrong == "drop" else None,
            "not the most voted": ~no_answer & ~won.fill_null(False) if self.losers == "drop" else None,
        }
        return {name: rule for name, rule in rules.items() if rule is not None}

    def _reason(self) -> pl.Expr:
        """The first rule that drops a row; null if none does."""
        reason: pl.Expr = pl.lit(None, dtype=pl.String)
        for name, rule in reversed(list(self.drop_rules(Kind.SFT).items())):
            reason = pl.when(rule.fill_null(False)).then(pl.lit(name)).otherwise(reason)
        return reason

    # -------------------------------------------------------------------------------------------------------- reference
    def _correct(self, voted: pl.DataFrame, context: Context) -> list[float | None]:
        """1.0 if a row's answer, in either reading, is right, 0.0 if not; None without an answer or a reference."""
        reader = self._reader()
        if self.gold is None:
            known: dict[tuple[str, str, str], FinalAnswer | None] = {}
            correct: list[float | None] = []
            for answer, other, gold, language, question in voted.select(
                "answer", "read", "gold", "language", "asked"
            ).iter_rows():
                key = (gold or "", language, question or "")
                if gold is not None and key not in known:
                    known[key] = reader.gold(*key)
                right = known[key] if gold is not None else None
                correct.append(_is_right(answer, other, [right] if right else []))
            if voted.height and not any(known.values()):
                context.warn(
                    f"self_consistency: no row has an attribute '{self.gold_attribute}' with an answer of the form "
                    f"'{self.answer}'; no answer can be checked"
                )
            return correct
        rights = self._rights(context, reader)
        columns = voted.select("item", "language", "answer", "read").iter_rows()
        return [
            _is_right(answer, other, rights.get((item, language)) or rights.get((item, "")) or [])
            for item, language, answer, other in columns
        ]

    def _rights(self, context: Context, reader: Reader) -> dict[tuple[bytes, str], list[FinalAnswer]]:
        """The right answers of an item: by language, and under the empty tag in any language."""
        assert self.gold is not None
        rights: dict[tuple[bytes, str], list[FinalAnswer]] = {}
        for rows in context.rows(self.gold):
            texts, prompts = self._gold_texts(rows)
            for item, language, text, prompt in zip(
                prompt_keys(rows, across=True), rows.language.to_list(), texts, prompts, strict=True
            ):
                read = reader.gold if self.gold_attribute else reader.find
                right = None if text is None else read(text, language, prompt)
                if right is not None:
                    rights.setdefault((item, language), []).append(right)
                    rights.setdefault((item, ""), []).append(right)
        if not rights:
            context.warn(
                f"self_consistency: '{self.gold}' has no answers of the form '{self.answer}'; no answer can be checked"
            )
        return rights

    def _gold_texts(self, rows: Rows) -> tuple[list[str | None], list[str]]:
        if self.gold_attribute is not None:
            attributes = pl.Series(pl.from_arrow(rows.table["attributes"]))
            named: list[str | None] = latest_value(attributes, self.gold_attribute).to_list()
            questions = [_question(one) for one in candidates(rows)] if rows.kind in self.kinds else [""] * len(rows)
            return named, questions
        if rows.kind not in self.kinds:
            raise StepError(
                f"self_consistency: '{self.gold}' has {rows.kind} rows, which have no final answer; set "
                "'gold_attribute' to the attribute with the answer, or use sft rows"
            )
        answers = candidates(rows)
        return [one.answer or None for one in answers], [_question(one) for one in answers]


def _question(one: Candidate) -> str:
    return next((turn["content"] for turn in reversed(one.prompt) if turn["role"] == "user"), "")


def _is_right(answer: str | None, other: str | None, rights: Sequence[FinalAnswer]) -> float | None:
    """Whether an answer is right in one of its readings: being right by a factor of a thousand by chance is
    unlikely."""
    if answer is None or not rights:
        return None
    ours = {answer, other} - {None, ""}
    return float(any(not ours.isdisjoint({one.answer, one.other} - {""}) for one in rights))


def _disambiguated(frame: pl.DataFrame) -> pl.DataFrame:
    """Resolves answers with two readings (1,234): by the majority of the unambiguous answers, else by the language.

    The other reading is left in the column ``read``.
    """
    doubtful = frame.filter(pl.col("other").is_not_null())
    if not len(doubtful):
        return frame.with_columns(pl.lit(None, pl.String).alias("read"))
    sure = (
        frame.filter(pl.col("other").is_null() & pl.col("answer").is_not_null())
        .group_by("group", "answer")
        .agg(pl.len().alias("n"))
    )
    seconded = (
        frame.join(sure, on=["group", "answer"], how="left", maintain_order="left")
        .join(sure.rename({"answer": "other", "n": "m"}), on=["group", "other"], how="left", maintain_order="left")
        .with_columns((pl.col("m").fill_null(0) > pl.col("n").fill_null(0)).alias("turned"))
    )
    return seconded.with_columns(
        pl.when("turned").then("other").otherwise("answer").alias("answer"),
        pl.when("turned").then("answer").otherwise("other").alias("read"),
    ).drop("n", "m", "turned")

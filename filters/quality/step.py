"""A row is fit to train on when its text is text: clean of refusals, machine talk, debris, private data, hidden orders;
each found by itself, each its own score.

What depends on a language comes from packs (:mod:`filters.quality.language_packs`); what does not runs on every row. A
language without a pack is *not assessed*, said once with the number of its rows, and never held against a row. Loops
and long repetitions are counted by ``shape``, the language by ``language``: neither is done again here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import orjson
import polars as pl
import pyarrow as pa
from pydantic import field_validator

from curate.catalog.params import Amount, Decision, LanguageTag, PerLanguage, Runtime, Share
from curate.data_files import DataFile
from curate.pii import detect as private
from curate.pii.detect import PHONES
from curate.rows import Kind, answer_field, main_fields, unknown_fields
from curate.steps import Context, Rows, ScoreStep
from filters.quality import phrases
from filters.quality import text as plain
from filters.quality.language_packs import Packs, lowered, packs_of

Check = Literal[
    "ratios",
    "function_words",
    "refusals",
    "identity",
    "boilerplate",
    "markup",
    "encoding",
    "private",
    "secrets",
    "injection",
    "hidden",
    "lists",
]
CHECKS: tuple[Check, ...] = (
    "ratios",
    "function_words",
    "refusals",
    "identity",
    "boilerplate",
    "markup",
    "encoding",
    "private",
    "secrets",
    "injection",
    "hidden",
    "lists",
)
_RATIOS = ("symbols", "digits", "bullets", "ellipses", "line_repeats", "run")
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "ratios": _RATIOS,
    "function_words": ("function_words",),
    "refusals": ("refusal",),
    "identity": ("assistant", "cutoff", "names"),
    "boilerplate": ("boilerplate",),
    "markup": ("markup",),
    "encoding": ("mojibake",),
    "private": ("private",),
    "secrets": ("secrets",),
    "injection": ("injection", "template"),
    "hidden": ("hidden", "encoded"),
    "lists": ("listed",),
}
_WITH_PACKS = frozenset({"function_words", "refusals", "identity", "boilerplate", "injection"})
_EVERYWHERE = frozenset({"private", "secrets", "injection", "hidden", "lists"})
_MOST_SPANS = 64
_UNSPACED = ("zh", "ja", "yue", "wuu", "th", "lo", "km", "my", "bo", "ko")
Limit = Decision[PerLanguage[Amount]]
Shares = Decision[PerLanguage[Share]]


class Quality(ScoreStep):
    """Drops rows whose text gives itself away; scores are null where nothing could be assessed.

    Scores, of several fields the worst: ``symbols``, ``digits``, ``bullets``, ``ellipses``, ``line_repeats`` (shares, 0
    to 1) and ``run`` (how long one sign runs on); ``function_words`` (1: as many of its language's commonest words as a
    usual text); ``refusal`` and ``assistant`` (1: opens the text, 0.5: further down), ``cutoff`` (1 or 0), ``names``
    (of models and their makers); ``boilerplate``, ``markup``, ``mojibake`` (places); ``private`` and ``secrets``
    (places); ``injection`` (1 or 0), ``template`` (tokens of chat templates), ``hidden`` (places), ``encoded``
    (characters); ``listed`` (hits of your own lists).

    Attributes, where something was found: ``evidence`` (``refusal: i can't help``), ``kinds`` (``email:2 phone:1``),
    ``spans``, the private places as JSON (``[["response", "email", 12, 30]]``: field, kind, first and last code point,
    end not included; never the text itself, 64 at most). ``unassessed``: ``language`` where a check needs a pack and
    the language has none.
    """

    tag: ClassVar[str] = "quality"
    package_data: ClassVar[tuple[DataFile, ...]] = (PHONES,)
    path_fields: ClassVar[frozenset[str]] = frozenset({"packs", "lists"})
    version: ClassVar[int] = 3
    summary: ClassVar[str] = "Refusals, machine talk, debris, private data and secrets, injected orders, per language."

    checks: tuple[Check, ...] = CHECKS
    """What is looked at; a check that is left out costs nothing."""
    fields: dict[Check, tuple[str, ...]] = {}  # noqa: RUF012 (pydantic copies it)
    """Where a check looks: ``{refusals: [response, prompt]}``. Unless given, in the answer; ``private``, ``secrets``,
    ``injection``, ``hidden`` and ``lists`` in all main fields."""
    packs: Runtime[tuple[str, ...]] = ()
    """Files of your own packs; they add to the shipped ones of their languages, or, with ``replaces: true``, take their
    place. They count by content."""
    lists: Runtime[dict[LanguageTag, str]] = {}  # noqa: RUF012
    """Files of words and phrases that you do not want, one a line, by language (``und``: every language). None are
    shipped. They count by content."""
    private_kinds: tuple[str, ...] = private.PRIVATE
    """What counts as private: ``email``, ``phone``, ``iban``, ``card``, ``ip``, ``national_id``."""

    max_symbols: Shares = PerLanguage(0.6)
    """Greatest share of punctuation and symbols. Null, as in all that follow: no limit."""
    max_digits: Shares = PerLanguage[float]()
    """Greatest share of digits."""
    max_bullets: Shares = PerLanguage[float]()
    """Greatest share of lines that are items of a list."""
    max_ellipses: Shares = PerLanguage(0.5)
    """Greatest share of lines that break off with dots."""
    max_line_repeats: Shares = PerLanguage(0.7)
    """Greatest share of lines that stood there before."""
    max_run: Limit = PerLanguage(60.0)
    """How often one letter or sign may stand there without anything between."""
    min_function_words: Limit = PerLanguage[float]()
    """Least share of the language's commonest words, 1 being a usual text. Lists and names have few: 0.2 drops more
    than debris."""
    max_refusal: Shares = PerLanguage(0.5)
    """0.5 drops answers that open with a refusal, 0 also those with one further down."""
    max_assistant: Shares = PerLanguage(0.5)
    """0.5 drops answers that open as a machine's, 0 also those that come to it further down."""
    max_cutoff: Shares = PerLanguage(0.5)
    """0.5 drops answers that speak of the end of their training or that they cannot look things up."""
    max_names: Limit = PerLanguage[float]()
    """How many names of models and their makers may be there; a text about them has many for a reason."""
    max_boilerplate: Limit = PerLanguage(1.0)
    """How much of what stands around texts on web pages (cookie notices, newsletters) may be there; one phrase is often
    what a text is about."""
    max_markup: Limit = PerLanguage(2.0)
    """How many tags and entities may be left."""
    max_mojibake: Limit = PerLanguage(0.0)
    """How many stretches may be decoded in a wrong encoding."""
    private: Decision[Literal["report", "drop"]] = "report"
    """Whether rows with private text go; the step ``redact`` replaces it instead."""
    secrets: Decision[Literal["report", "drop"]] = "drop"
    """Whether rows with keys and passwords go."""
    max_injection: Shares = PerLanguage(0.5)
    """0.5 drops texts that command whoever reads them as a prompt."""
    max_template: Limit = PerLanguage(0.0)
    """How many tokens of chat templates may be there."""
    max_hidden: Limit = PerLanguage(0.0)
    """How many stretches that nobody sees may be there."""
    max_encoded: Limit = PerLanguage(200.0)
    """How long a stretch of Base64 that hides text may be."""
    max_listed: Limit = PerLanguage(0.0)
    """How many places of your own lists may be there."""
    unassessed: Decision[Literal["keep", "drop"]] = "keep"
    """What happens to rows whose language has no pack."""

    @field_validator("private_kinds")
    @classmethod
    def _known(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for kind in given:
            if kind not in private.PRIVATE:
                raise ValueError(f"no private text is called '{kind}'; there are {', '.join(private.PRIVATE)}")
        return given

    # --------------------------------------------------------------------------------------------------------- contract
    def identity(self, *, decisions: bool = True) -> dict[str, Any]:
        """As of :class:`Params`, with what packs and lists say."""
        given = super().identity(decisions=decisions)
        if self._with_packs:
            given["packs"] = self._packs.digest
        if self.lists and "lists" in self.checks:
            given["lists"] = {tag: list(words) for tag, words in self._lists.items()}
        return given

    @property
    def _with_packs(self) -> bool:
        return any(check in _WITH_PACKS for check in self.checks)

    @cached_property
    def _packs(self) -> Packs:
        return packs_of(self.packs)

    @cached_property
    def _lists(self) -> dict[str, tuple[str, ...]]:
        return {tag: phrases.read_list(path) for tag, path in sorted(self.lists.items())}

    def check(self, kind: Kind) -> list[str]:
        wrong = []
        for name, fields in self.fields.items():
            wrong += unknown_fields(kind, fields, f"fields.{name}")
            if name not in self.checks:
                wrong.append(f"fields.{name}: this check is not among 'checks'")
            if not fields:
                wrong.append(f"fields.{name}: names no field; leave the check out instead")
        if not self.checks:
            wrong.append("checks: names none")
        if self.lists and "lists" not in self.checks:
            wrong.append("lists: the check 'lists' is not among 'checks'")
        return wrong

    def _fields(self, check: Check, kind: Kind) -> tuple[str, ...]:
        return self.fields.get(check) or (main_fields(kind) if check in _EVERYWHERE else (answer_field(kind),))

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        names = [name for check in CHECKS if check in self.checks for name in _COLUMNS[check]]
        attributes = ["evidence", "kinds", "spans"] + ["unassessed"] * self._with_packs
        return {**dict.fromkeys(names, pa.float64()), **dict.fromkeys(attributes, pa.string())}

    @property
    def fits(self) -> bool:
        return self._with_packs

    def sample(self, rows: Rows, context: Context) -> pa.Table | None:
        """How many rows each language without a pack has, for one warning over all shards."""
        counts = self._without(rows)
        return pa.table(
            {"language": pa.array(list(counts), pa.string()), "rows": pa.array(list(counts.values()), pa.int64())}
        )

    def fit(self, samples: Sequence[pa.Table], context: Context) -> pa.Table:
        total: Counter[str] = Counter()
        for sample in samples:
            total.update(dict(zip(sample["language"].to_pylist(), sample["rows"].to_pylist(), strict=True)))
        self._warn(total, context)
        # Nothing of this goes into the scores: what other rows there are must not score a row again.
        return pa.table({"nothing": pa.array([], pa.bool_())})

    def _without(self, rows: Rows) -> Counter[str]:
        names = {name for check in self.checks if check in _WITH_PACKS for name in self._fields(check, rows.kind)}
        found: Counter[str] = Counter()
        for name in sorted(names):
            here = Counter(tag for tag in rows.field_language(name).to_list() if not self._packs.of(tag))
            found |= here  # fields of one row are one row
        return Counter(dict(sorted(found.items())))

    @staticmethod
    def _warn(counts: Mapping[str, int], context: Context) -> None:
        for tag, count in sorted(counts.items()):
            context.warn(
                f"quality: there is no pack for '{tag}': phrases and function words are not assessed in {count:,} "
                "rows (give one with 'packs: [file.yaml]')"
            )

    # ------------------------------------------------------------------------------------------------------------ score
    def score(self, rows: Rows, context: Context, fitted: pa.Table | None) -> pl.DataFrame:
        if fitted is None and self._with_packs:
            self._warn(self._without(rows), context)
        work = _Work(self, rows)
        for check in CHECKS:
            if check in self.checks:
                for name in self._fields(check, rows.kind):
                    work.look(check, name)
        types = {
            name: pl.Float64 if dtype == pa.float64() else pl.String for name, dtype in self.columns(rows.kind).items()
        }
        return pl.DataFrame({name: work.column(name, dtype) for name, dtype in types.items()})

    def verdicts(self, kind: Kind) -> Mapping[str, pl.Expr]:
        have = self.columns(kind)
        reasons: dict[str, pl.Expr] = {}
        for name in ("secrets", "private"):
            if name in have and getattr(self, name) == "drop":
                reasons[name] = pl.col(name) > 0
        order = (
            "hidden",
            "encoded",
            "template",
            "injection",
            "refusal",
            "assistant",
            "cutoff",
            "names",
            "boilerplate",
            "mojibake",
            "markup",
            "listed",
            "run",
            "symbols",
            "digits",
            "ellipses",
            "line_repeats",
            "bullets",
        )
        for name in order:
            limit: PerLanguage[float] = getattr(self, f"max_{name}")
            if name in have and limit != PerLanguage[float]():
                reasons[name] = pl.col(name) > limit.expr()
        if "function_words" in have and self.min_function_words != PerLanguage[float]():
            reasons["function_words"] = pl.col("function_words") < self.min_function_words.expr()
        if "unassessed" in have and self.unassessed == "drop":
            reasons["unassessed"] = pl.col("unassessed").is_not_null()
        return reasons


class _Work:
    """The columns of some rows, as they come together from several fields."""

    def __init__(self, step: Quality, rows: Rows) -> None:
        self._step, self._rows, self._count = step, rows, len(rows)
        self._scores: dict[str, np.ndarray[Any, np.dtype[np.float64]]] = {}
        self._evidence: list[list[str]] = [[] for _ in range(self._count)]
        self._kinds: list[Counter[str]] = [Counter() for _ in range(self._count)]
        self._spans: list[list[list[Any]]] = [[] for _ in range(self._count)]
        self._unassessed = np.zeros(self._count, bool)
        self._texts: dict[str, pl.Series] = {}
        self._lowered: dict[str, pl.Series] = {}
        self._found: dict[str, list[list[private.Finding]]] = {}

    def text(self, name: str) -> pl.Series:
        if name not in self._texts:
            self._texts[name] = self._rows.text(name).fill_null("")
        return self._texts[name]

    def low(self, name: str) -> pl.Series:
        if name not in self._lowered:
            self._lowered[name] = lowered(self.text(name))
        return self._lowered[name]

    def look(self, check: Check, name: str) -> None:
        """Makes one check in one field."""
        if not self._count:
            return
        text, packs = self.text(name), self._step._packs
        tags = self._rows.field_language(name).to_list()
        if check == "ratios":
            for column, values in plain.ratios(text).items():
                self._add(column, values)
        elif check == "function_words":
            self._add("function_words", phrases.function_words(self.low(name), tags, packs), least=True)
        elif check == "refusals":
            self._say("refusal", phrases.said(self.low(name), tags, packs, "refusals", anywhere=False))
        elif check == "identity":
            self._say("assistant", phrases.said(self.low(name), tags, packs, "assistant", anywhere=False))
            self._say("cutoff", phrases.said(self.low(name), tags, packs, "cutoff", anywhere=True))
            self._tell("names", *phrases.names(self.low(name), packs))
        elif check == "boilerplate":
            self._say("boilerplate", phrases.said(self.low(name), tags, packs, "boilerplate", counted=True))
        elif check == "markup":
            self._add("markup", plain.markup(text, self._asked(name)))
        elif check == "encoding":
            self._add("mojibake", plain.mojibake(text))
        elif check in ("private", "secrets"):
            self._private(check, name)
        elif check == "injection":
            self._say("injection", phrases.said(self.low(name), tags, packs, "override", anywhere=True))
            self._tell("template", *phrases.template(self.low(name), packs))
        elif check == "hidden":
            self._add("hidden", plain.hidden(text))
            self._add("encoded", plain.encoded(text))
        else:
            self._tell("listed", *phrases.listed(self.low(name), tags, self._step._lists, _UNSPACED))
        if check in _WITH_PACKS:
            without = {tag for tag in set(tags) if not packs.of(tag)}
            self._unassessed |= np.asarray([tag in without for tag in tags], bool)

    def _asked(self, name: str) -> pl.Series | None:
        kind = self._rows.kind
        if kind is Kind.PARALLEL:
            return self.text("source") if name == "target" else None
        return self.text("prompt") if name != "prompt" and "prompt" in main_fields(kind) else None

    def _add(
        self, column: str, values: np.ndarray[Any, np.dtype[np.float64]], *, least: bool = False, total: bool = False
    ) -> None:
        before = self._scores.get(column)
        if before is not None:
            values = np.nansum([before, values], axis=0) if total else (np.fmin if least else np.fmax)(before, values)
        self._scores[column] = values

    def _say(self, column: str, found: phrases.Said) -> None:
        self._tell(column, found.score, found.words)

    def _tell(self, column: str, values: np.ndarray[Any, np.dtype[np.float64]], words: Sequence[str | None]) -> None:
        self._add(column, values)
        for row, word in enumerate(words):
            if word is not None:
                self._evidence[row].append(f"{column}: {' '.join(word.split())[:80]}")

    def _private(self, check: Check, name: str) -> None:
        # Both are found in one walk where both are asked for; what is a secret is not private as well.
        if name not in self._found:
            wanted = (
                *(self._step.private_kinds if "private" in self._step.checks else ()),
                *(private.SECRET if "secrets" in self._step.checks else ()),
            )
            self._found[name] = private.find_all(self.text(name), wanted)
        mine = self._step.private_kinds if check == "private" else private.SECRET
        counts = np.zeros(self._count)
        for row, hits in enumerate(self._found[name]):
            for hit in hits:
                if hit.kind in mine:
                    counts[row] += 1
                    self._kinds[row][hit.kind] += 1
                    self._spans[row].append([name, hit.kind, hit.start, hit.end])
        self._add(check, counts, total=True)

    def column(self, name: str, dtype: type[pl.DataType]) -> pl.Series:
        """A column as the step returns it."""
        if dtype == pl.Float64:
            values = self._scores.get(name, np.zeros(0) if not self._count else np.full(self._count, np.nan))
            return pl.Series(name, np.asarray(values, np.float64), nan_to_null=True).round(4)
        told: list[str | None]
        if name == "evidence":
            told = ["; ".join(one) or None for one in self._evidence]
        elif name == "kinds":
            told = [" ".join(f"{kind}:{count}" for kind, count in sorted(one.items())) or None for one in self._kinds]
        elif name == "spans":
            told = [orjson.dumps(one[:_MOST_SPANS]).decode() if one else None for one in self._spans]
        else:
            told = ["language" if missing else None for missing in self._unassessed.tolist()]
        return pl.Series(name, told, dtype=pl.String)

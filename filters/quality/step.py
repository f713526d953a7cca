"""Text quality: refusals, AI disclosure, boilerplate, markup, encoding errors, private data, secrets, prompt injection.

Each check has a score of its own. Checks that depend on a language use packs (:mod:`filters.quality.language_packs`);
the others run on every row. Rows in a language without a pack are *not assessed* by those checks: one warning gives
their number, and they are kept. Loops and long repetitions are counted by ``shape``, and languages are checked by
``language``; neither is repeated here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal, get_args

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
CHECKS: tuple[Check, ...] = get_args(Check)
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
    """Drops rows with low text quality; scores are null where a check could not assess the row.

    Scores, the worst over several fields: ``symbols``, ``digits``, ``bullets``, ``ellipses``, ``line_repeats`` (shares,
    0 to 1) and ``run`` (longest run of one character); ``function_words`` (1: as many of the language's most frequent
    words as a typical text); ``refusal`` and ``assistant`` (1: at the start of the text, 0.5: further down), ``cutoff``
    (1 or 0), ``names`` (of models and their vendors); ``boilerplate``, ``markup``, ``mojibake`` (occurrences);
    ``private`` and ``secrets`` (occurrences); ``injection`` (1 or 0), ``template`` (tokens of chat templates),
    ``hidden`` (occurrences), ``encoded`` (characters); ``listed`` (matches of your own lists).

    Attributes, where something was found: ``evidence`` (``refusal: i can't help``), ``kinds`` (``email:2 phone:1``),
    ``spans``, the private spans as JSON (``[["response", "email", 12, 30]]``: field, kind, first and last code point,
    end exclusive; never the text itself, at most 64). ``unassessed``: ``language`` where a check needs a pack and the
    language has none.
    """

    tag: ClassVar[str] = "quality"
    package_data: ClassVar[tuple[DataFile, ...]] = (PHONES,)
    path_fields: ClassVar[frozenset[str]] = frozenset({"packs", "lists"})
    version: ClassVar[int] = 4
    summary: ClassVar[str] = (
        "Defects in texts: refusals, AI disclosure, boilerplate, private data, secrets, prompt injection, per language."
    )

    checks: tuple[Check, ...] = CHECKS
    """The checks to run; a check that is not listed costs nothing."""
    fields: dict[Check, tuple[str, ...]] = {}  # noqa: RUF012 (pydantic copies it)
    """The fields of a check: ``{refusals: [response, prompt]}``. Default: the answer; for ``private``, ``secrets``,
    ``injection``, ``hidden`` and ``lists`` all main fields."""
    packs: Runtime[tuple[str, ...]] = ()
    """Files of your own packs. They extend the shipped packs of their languages or, with ``replaces: true``, replace
    them. Their content, not their path, is part of the cache key."""
    lists: Runtime[dict[LanguageTag, str]] = {}  # noqa: RUF012
    """Files of unwanted words and phrases, one a line, by language (``und``: every language). None are shipped. Their
    content, not their path, is part of the cache key."""
    private_kinds: tuple[str, ...] = private.PRIVATE
    """What counts as private data: ``email``, ``phone``, ``iban``, ``card``, ``ip``, ``national_id``."""

    max_symbols: Shares = PerLanguage(0.6)
    """Maximum share of punctuation and symbols. Null, here and below: no limit."""
    max_digits: Shares = PerLanguage[float]()
    """Maximum share of digits."""
    max_bullets: Shares = PerLanguage[float]()
    """Maximum share of lines that are list items."""
    max_ellipses: Shares = PerLanguage(0.5)
    """Maximum share of lines that end with an ellipsis."""
    max_line_repeats: Shares = PerLanguage(0.7)
    """Maximum share of lines that repeat an earlier line."""
    max_run: Limit = PerLanguage(60.0)
    """Maximum run of one letter or symbol."""
    min_function_words: Limit = PerLanguage[float]()
    """Minimum frequency of the language's most frequent words; 1 is a typical text. Lists and names have few: 0.2 drops
    more than garbage."""
    max_refusal: Shares = PerLanguage(0.5)
    """0.5 drops answers that start with a refusal; 0 also drops those with one further down."""
    max_assistant: Shares = PerLanguage(0.5)
    """0.5 drops answers that start with an AI disclosure ("As an AI …"); 0 also drops those with one further down."""
    max_cutoff: Shares = PerLanguage(0.5)
    """0.5 drops answers that mention a training cutoff or that they cannot look things up."""
    max_names: Limit = PerLanguage[float]()
    """Maximum number of names of models and their vendors; a text about them has many for good reason."""
    max_boilerplate: Limit = PerLanguage(1.0)
    """Maximum number of boilerplate phrases of web pages (cookie notices, newsletters); one phrase is often the topic
    of the text."""
    max_markup: Limit = PerLanguage(2.0)
    """Maximum number of leftover tags and entities."""
    max_mojibake: Limit = PerLanguage(0.0)
    """Maximum number of spans decoded with a wrong encoding."""
    private: Decision[Literal["report", "drop"]] = "report"
    """Whether to drop rows with private data; the step ``redact`` replaces it instead."""
    secrets: Decision[Literal["report", "drop"]] = "drop"
    """Whether to drop rows with keys and passwords."""
    max_injection: Shares = PerLanguage(0.5)
    """0.5 drops texts that give orders to a model that reads them (prompt injection)."""
    max_template: Limit = PerLanguage(0.0)
    """Maximum number of chat-template tokens."""
    max_hidden: Limit = PerLanguage(0.0)
    """Maximum number of invisible spans."""
    max_encoded: Limit = PerLanguage(200.0)
    """Maximum length of a Base64 string that hides text."""
    max_listed: Limit = PerLanguage(0.0)
    """Maximum number of matches of your own lists."""
    unassessed: Decision[Literal["keep", "drop"]] = "keep"
    """What to do with rows whose language has no pack."""

    @field_validator("private_kinds")
    @classmethod
    def _known(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        for kind in kinds:
            if kind not in private.PRIVATE:
                raise ValueError(f"unknown kind of private data '{kind}'; known: {', '.join(private.PRIVATE)}")
        return kinds

    # --------------------------------------------------------------------------------------------------------- contract
    def identity(self, *, decisions: bool = True) -> dict[str, Any]:
        """Adds the content of packs and lists to :meth:`Params.identity`."""
        identity = super().identity(decisions=decisions)
        if self._with_packs:
            identity["packs"] = self._packs.digest
        if self.lists and "lists" in self.checks:
            identity["lists"] = {tag: list(words) for tag, words in self._lists.items()}
        return identity

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
    def requires_fit(self) -> bool:
        return self._with_packs

    def sample(self, rows: Rows, context: Context) -> pa.Table | None:
        """Counts the rows of each language without a pack, for one warning over all shards."""
        counts = self._without(rows)
        return pa.table(
            {"language": pa.array(list(counts), pa.string()), "rows": pa.array(list(counts.values()), pa.int64())}
        )

    def fit(self, samples: Sequence[pa.Table], context: Context) -> pa.Table:
        total: Counter[str] = Counter()
        for sample in samples:
            total.update(dict(zip(sample["language"].to_pylist(), sample["rows"].to_pylist(), strict=True)))
        self._warn(total, context)
        # The counts are not part of the scores: other rows must not cause a row to be scored again.
        return pa.table({"nothing": pa.array([], pa.bool_())})

    def _without(self, rows: Rows) -> Counter[str]:
        names = {name for check in self.checks if check in _WITH_PACKS for name in self._fields(check, rows.kind)}
        counts: Counter[str] = Counter()
        for name in sorted(names):
            here = Counter(tag for tag in rows.field_language(name).to_list() if not self._packs.of(tag))
            counts |= here  # the maximum over fields: they belong to the same rows
        return Counter(dict(sorted(counts.items())))

    @staticmethod
    def _warn(counts: Mapping[str, int], context: Context) -> None:
        for tag, count in sorted(counts.items()):
            context.warn(
                f"quality: no pack for '{tag}': phrases and function words are not assessed in {count:,} "
                "rows (add one with 'packs: [file.yaml]')"
            )

    # ------------------------------------------------------------------------------------------------------------ score
    def score(self, rows: Rows, context: Context, fitted: pa.Table | None) -> pl.DataFrame:
        if fitted is None and self._with_packs:
            self._warn(self._without(rows), context)
        work = _Batch(self, rows)
        for check in CHECKS:
            if check in self.checks:
                for name in self._fields(check, rows.kind):
                    work.run(check, name)
        types = {
            name: pl.Float64 if dtype == pa.float64() else pl.String for name, dtype in self.columns(rows.kind).items()
        }
        return pl.DataFrame({name: work.column(name, dtype) for name, dtype in types.items()})

    def drop_rules(self, kind: Kind) -> Mapping[str, pl.Expr]:
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


class _Batch:
    """Collects the columns of a batch of rows over checks and fields."""

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

    def run(self, check: Check, name: str) -> None:
        """Runs one check on one field."""
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
            self._add_matches("refusal", phrases.said(self.low(name), tags, packs, "refusals", anywhere=False))
        elif check == "identity":
            self._add_matches("assistant", phrases.said(self.low(name), tags, packs, "assistant", anywhere=False))
            self._add_matches("cutoff", phrases.said(self.low(name), tags, packs, "cutoff", anywhere=True))
            self._add_evidence("names", *phrases.names(self.low(name), packs))
        elif check == "boilerplate":
            self._add_matches("boilerplate", phrases.said(self.low(name), tags, packs, "boilerplate", counted=True))
        elif check == "markup":
            self._add("markup", plain.markup(text, self._prompt_of(name)))
        elif check == "encoding":
            self._add("mojibake", plain.mojibake(text))
        elif check in ("private", "secrets"):
            self._private(check, name)
        elif check == "injection":
            self._add_matches("injection", phrases.said(self.low(name), tags, packs, "override", anywhere=True))
            self._add_evidence("template", *phrases.template(self.low(name), packs))
        elif check == "hidden":
            self._add("hidden", plain.hidden(text))
            self._add("encoded", plain.encoded(text))
        else:
            self._add_evidence("listed", *phrases.listed(self.low(name), tags, self._step._lists, _UNSPACED))
        if check in _WITH_PACKS:
            without = {tag for tag in set(tags) if not packs.of(tag)}
            self._unassessed |= np.asarray([tag in without for tag in tags], bool)

    def _prompt_of(self, name: str) -> pl.Series | None:
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

    def _add_matches(self, column: str, matches: phrases.Said) -> None:
        self._add_evidence(column, matches.score, matches.words)

    def _add_evidence(
        self, column: str, values: np.ndarray[Any, np.dtype[np.float64]], words: Sequence[str | None]
    ) -> None:
        self._add(column, values)
        for row, word in enumerate(words):
            if word is not None:
                self._evidence[row].append(f"{column}: {' '.join(word.split())[:80]}")

    def _private(self, check: Check, name: str) -> None:
        # One pass finds both private data and secrets; a secret does not also count as private data.
        if name not in self._found:
            kinds = (
                *(self._step.private_kinds if "private" in self._step.checks else ()),
                *(private.SECRET if "secrets" in self._step.checks else ()),
            )
            self._found[name] = private.find_all(self.text(name), kinds)
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
        texts: list[str | None]
        if name == "evidence":
            texts = ["; ".join(one) or None for one in self._evidence]
        elif name == "kinds":
            texts = [" ".join(f"{kind}:{count}" for kind, count in sorted(one.items())) or None for one in self._kinds]
        elif name == "spans":
            texts = [orjson.dumps(one[:_MOST_SPANS]).decode() if one else None for one in self._spans]
        else:
            texts = ["language" if missing else None for missing in self._unassessed.tolist()]
        return pl.Series(name, texts, dtype=pl.String)

"""Checks chat structure: role order, empty messages, lengths, repetition and loops, broken characters.

Needs no model and no language data; only the limits may differ by language. Every result is a score of its own, so that
a changed limit scores nothing again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

import polars as pl
import pyarrow as pa

from curate.catalog.params import Count, Decision, PerLanguage, Share
from curate.rows import Kind, answer_field, extras_in, unknown_fields
from curate.rows.fields import message_parts
from curate.steps import Context, Rows, ScoreStep
from curate.text import segmentation as text
from curate.text.masks import mask
from filters.repetition import repetition
from filters.structure import TOOL_DEFECTS, structure

# The columns that hold messages, and what their turns must be: system, user, assistant, tool as one letter each.
_CHATS: Mapping[Kind, Mapping[str, str]] = {
    Kind.SFT: {"messages": "conversation"},
    Kind.PREFERENCE: {"prompt": "prompt", "chosen": "answer", "rejected": "answer"},
    Kind.UNPAIRED: {"prompt": "prompt", "completion": "answer"},
    Kind.PROMPT: {"prompt": "prompt"},
}
# Checked in this order; a sequence with none of them is right (tests prove it against the grammar).
_DEFECTS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "conversation": (
        ("no_turns", "^$"),
        ("system_position", "[uats]s"),
        ("starts_with", "^(?:s?[at]|s$)"),
        ("tool_position", "[su]t|tu"),
        ("alternation", "uu|aa"),
        ("ends_with", "[^a]$"),
    ),
    "prompt": (
        ("no_turns", "^$"),
        ("system_position", "[uats]s"),
        ("starts_with", "^(?:s?[at]|s$)"),
        ("tool_position", "[su]t|tu"),
        ("alternation", "uu|aa"),
        ("ends_with", "[^ut]$"),
    ),
    "answer": (
        ("no_turns", "^$"),
        ("system_position", "s"),
        ("starts_with", "^[ut]"),
        ("tool_position", "ut|tu"),
        ("alternation", "uu|aa"),
        ("ends_with", "[^a]$"),
    ),
}
ROLE_DEFECTS = ("no_turns", "system_position", "starts_with", "tool_position", "alternation", "ends_with")
_SIDES: Mapping[Kind, tuple[str, str]] = {Kind.PREFERENCE: ("chosen", "rejected"), Kind.PARALLEL: ("source", "target")}
Limit = Decision[PerLanguage[Count]]


class Shape(ScoreStep):
    """Drops rows that a trainer would refuse or silently skip, and rows that repeat themselves.

    Lengths are Unicode code points of the unmodified text (an emoji with a skin tone is two, a Hangul syllable one). A
    limit that is not set does not apply. *Prompt* and *response* are the messages of the user and of the assistant, or
    source and target of a pair; for preferences both answers must keep the response limits. Limits by language use the
    row's language, also for the source side of a pair.
    """

    tag: ClassVar[str] = "shape"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = (
        "Chat structure: role order, empty messages, tool calls, lengths, repetition, broken characters."
    )

    roles: Decision[bool] = True
    """Drop rows whose messages are out of order: system only first, then user and assistant alternating, tool messages
    only after an assistant's; a conversation starts with the user and ends with the assistant, a prompt ends with the
    user or a tool, an answer starts and ends with the assistant. The reason names the defect (``roles.alternation``,
    …)."""
    tools: Decision[bool] = True
    """Drop rows whose calls of tools do not fit: ``tools.unknown`` (a tool that is not among the row's ``tools``),
    ``tools.arguments`` (not a JSON object), ``tools.schema`` (arguments that the tool's parameters do not allow),
    ``tools.unanswered`` (a call that later messages, but no result, follow), ``tools.result`` (a result of no call)."""
    media: Decision[bool] = True
    """Drop rows with another number of ``<image>``, ``<audio>`` or ``<video>`` in their texts than references."""
    require_system: Decision[bool] = False
    """Drop rows without a system message."""
    allow_system: Decision[bool] = True
    """If false, drop rows with a system message (Gemma's chat template, for example, does not support one)."""
    allow_empty: Decision[bool] = False
    """Keep rows with a message or side that holds only whitespace, control, zero-width and filler characters. A message
    that calls tools is not empty."""
    allow_equal: Decision[bool] = False
    """Keep preferences whose two answers, and pairs whose two sides, are equal except for whitespace."""
    min_chars: Limit = PerLanguage[int]()
    """Minimum length of all texts of the row together."""
    max_chars: Limit = PerLanguage[int]()
    """Maximum length of all texts of the row together."""
    min_prompt_chars: Limit = PerLanguage[int]()
    """Minimum length of the prompt (of the source side of a pair)."""
    max_prompt_chars: Limit = PerLanguage[int]()
    """Maximum length of the prompt (of the source side of a pair)."""
    min_response_chars: Limit = PerLanguage[int]()
    """Minimum length of each answer (of the target side, of a document's text)."""
    max_response_chars: Limit = PerLanguage[int]()
    """Maximum length of each answer (of the target side, of a document's text)."""
    min_turns: Limit = PerLanguage[int]()
    """Minimum number of messages, without the system message and the rejected answer."""
    max_turns: Limit = PerLanguage[int]()
    """Maximum number of messages, without the system message and the rejected answer."""
    max_repetition: Decision[PerLanguage[Share]] = PerLanguage(0.6)
    """Maximum share (0 to 1) of a text that repeats, in long pieces, what the same text said before; see
    :func:`filters.repetition.repetition`. Null: no limit."""
    max_loop: Limit = PerLanguage(8)
    """How often one piece (a word, a line, a sentence) may occur in direct succession. Null: no limit."""
    max_replacement: Limit = PerLanguage(0)
    """Maximum number of U+FFFD (what a decoder writes for broken bytes) and noncharacters in a row."""
    max_controls: Limit = PerLanguage(0)
    """Maximum number of control characters, except tab and line breaks, in a row."""
    repetition_in: tuple[str, ...] | None = None
    """The fields checked for repetition and loops. Default: the answer (for preferences both answers); a prompt may
    repeat itself for good reason."""

    def check(self, kind: Kind) -> list[str]:
        return unknown_fields(kind, self.repetition_in, "repetition_in")

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        names = ["empty", "chars", "repetition", "loop", "replacement", "controls"]
        if kind in _CHATS:
            names += ["turns", "system"]
        if kind is not Kind.DOCUMENT:
            names.append("prompt_chars")
        if kind is not Kind.PROMPT:
            names.append("response_chars")
        if kind is Kind.PREFERENCE:
            names.append("rejected_chars")
        if kind in _SIDES:
            names.append("equal")
        types: dict[str, pa.DataType] = dict.fromkeys(names, pa.float64())
        return types | (dict.fromkeys(("roles", "tools", "media"), pa.string()) if kind in _CHATS else {})

    def score(self, rows: Rows, context: Context, fitted: pa.Table | None) -> pl.DataFrame:
        kind = rows.kind
        columns = self.columns(kind)
        if not len(rows):
            return _empty(columns)
        parts = _parts(rows)
        whole = pl.DataFrame(parts)
        sums = {
            "chars": pl.element().str.len_chars().sum(),
            "empty": text.is_empty(pl.element()).sum(),
            "replacement": pl.element().str.count_matches(r"[\x{FFFD}\p{Noncharacter_Code_Point}]").sum(),
            "controls": pl.element().str.count_matches(r"[\p{Cc}--[\t\n\r\x{85}]]").sum(),
        }
        scores: dict[str, pl.Series] = {
            name: whole.select(pl.sum_horizontal(pl.all().list.eval(each).list.first())).to_series()
            for name, each in sums.items()
        }
        if kind in _CHATS:
            scores |= _turns(rows)
            scores |= structure(rows)
        if kind is not Kind.DOCUMENT:
            scores["prompt_chars"] = _chars(rows, "source" if kind is Kind.PARALLEL else "prompt")
        if kind is not Kind.PROMPT:
            scores["response_chars"] = _chars(rows, answer_field(kind))
        if kind in _SIDES:
            left, right = (rows.text(name).str.replace_all(r"\s+", " ").str.strip_chars(" ") for name in _SIDES[kind])
            scores["equal"] = (left == right).cast(pl.Float64)
        if kind is Kind.PREFERENCE:
            scores["rejected_chars"] = _chars(rows, "rejected")
        default = ("chosen", "rejected") if kind is Kind.PREFERENCE else (answer_field(kind),)
        # Program code repeats itself by nature; after masking, its strings and comments are left.
        repeats = [repetition(mask(rows.text(name), ("code", "markup"))) for name in self.repetition_in or default]
        for name in ("repetition", "loop"):
            scores[name] = pl.select(pl.max_horizontal(each[name] for each in repeats)).to_series()
        types = {name: pl.String if dtype == pa.string() else pl.Float64 for name, dtype in columns.items()}
        return pl.DataFrame({name: scores[name].cast(types[name]) for name in columns})

    def drop_rules(self, kind: Kind) -> Mapping[str, pl.Expr]:
        have = self.columns(kind)
        reasons: dict[str, pl.Expr] = {}
        if self.roles and "roles" in have:
            reasons |= {f"roles.{defect}": pl.col("roles") == defect for defect in ROLE_DEFECTS}
        if self.tools and "tools" in have:
            reasons |= {f"tools.{defect}": pl.col("tools") == defect for defect in TOOL_DEFECTS}
        if self.media and "media" in have:
            reasons["media"] = pl.col("media").is_not_null()
        if "system" in have and self.require_system:
            reasons["no_system"] = pl.col("system") == 0
        if "system" in have and not self.allow_system:
            reasons["system"] = pl.col("system") > 0
        if not self.allow_empty:
            reasons["empty"] = pl.col("empty") > 0
        if "equal" in have and not self.allow_equal:
            reasons["equal"] = pl.col("equal") > 0
        reasons |= _above("replacement", "replacement", self.max_replacement)
        reasons |= _above("controls", "controls", self.max_controls)
        for name in ("chars", "prompt_chars", "response_chars", "turns"):
            if name not in have:
                continue
            low, high = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            least = greatest = pl.col(name)
            if name == "response_chars" and kind is Kind.PREFERENCE:
                both = pl.col("response_chars", "rejected_chars")
                least, greatest = pl.min_horizontal(both), pl.max_horizontal(both)
            language = pl.col("prompt_language" if name == "prompt_chars" else "language")
            if low != PerLanguage[int]():
                reasons[f"min_{name}"] = least < low.expr(language)
            if high != PerLanguage[int]():
                reasons[f"max_{name}"] = greatest > high.expr(language)
        reasons |= _above("loop", "loop", self.max_loop)
        reasons |= _above("repetition", "repetition", self.max_repetition)
        return reasons


def _above(reason: str, column: str, limit: PerLanguage[int] | PerLanguage[float]) -> dict[str, pl.Expr]:
    if limit == PerLanguage():
        return {}
    return {reason: pl.col(column) > limit.expr()}


def _empty(columns: Mapping[str, pa.DataType]) -> pl.DataFrame:
    return pl.DataFrame(
        schema={name: pl.String if dtype == pa.string() else pl.Float64 for name, dtype in columns.items()}
    )


def _parts(rows: Rows) -> dict[str, pl.Series]:
    """Every text of the rows: for each column that holds texts, a list of strings a row."""
    names: Iterable[str] = _CHATS.get(rows.kind) or (
        ("source", "target") if rows.kind is Kind.PARALLEL else (answer_field(rows.kind),)
    )
    lists = {}
    for name in names:
        if rows.kind in _CHATS:
            calls = "tool_calls" in extras_in(rows.table.select([name]))
            column = message_parts(rows.table, name, ("content", "tool_calls") if calls else ("content",))
            lists[name] = column.list.eval(pl.element().struct.field("content"))
            if calls:
                # Where a message calls tools without a text, the call stands for it.
                turn = pl.element().struct
                called = pl.when((turn.field("content") == "") & turn.field("tool_calls").is_not_null())
                lists[name] = column.list.eval(called.then(pl.lit("()")).otherwise(turn.field("content")))
        else:
            lists[name] = rows.turns(name)
    return lists


def _chars(rows: Rows, field: str) -> pl.Series:
    return rows.turns(field).list.eval(pl.element().str.len_chars()).list.sum()


def _turns(rows: Rows) -> dict[str, pl.Series]:
    """``turns``, ``system`` and the first defect (``roles``, null if there is none) of the rows' messages."""
    defect: pl.Expr = pl.lit(None, dtype=pl.String)
    sequences = {}
    for name, form in reversed(list(_CHATS[rows.kind].items())):
        column = message_parts(rows.table, name, ("role",))
        letter = pl.element().struct.field("role").str.slice(0, 1)
        sequences[name] = column.list.eval(letter).list.join("").fill_null("")
        for label, pattern in reversed(_DEFECTS[form]):
            defect = pl.when(pl.col(name).str.contains(pattern)).then(pl.lit(label)).otherwise(defect)
    counted = [pl.col(name) for name in sequences if name != "rejected"]
    frame = pl.DataFrame(sequences).select(
        roles=defect,
        turns=pl.sum_horizontal(each.str.count_matches("[uat]") for each in counted),
        system=pl.sum_horizontal(each.str.count_matches("s") for each in counted),
    )
    return frame.to_dict()

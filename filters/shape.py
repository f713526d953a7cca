"""A row has the right shape when a trainer would take it without repair: turns in order, nothing empty, sane lengths,
no loops.

Needs no model and no language but for the limits, which may differ by language. Every finding is a number of its own,
so that a changed limit scores nothing again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

import polars as pl
import pyarrow as pa

from curate.catalog.params import Count, Decision, PerLanguage, Share
from curate.rows import Kind, answer_field, unknown_fields
from curate.steps import Context, Rows, ScoreStep
from curate.text import segmentation as text
from curate.text.masks import mask
from filters.repetition import repetition

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
        ("ends_with", "[^u]$"),
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
    """Drops rows that a trainer would refuse or silently skip, and rows that say the same thing over and over.

    Lengths are Unicode code points of the text as it stands (an emoji with a skin tone is two, a Hangul syllable one).
    A limit that is not given does not apply. Which side is meant by *prompt* and *response*: the user's and the
    assistant's turns; source and target of a pair; for preferences both answers must keep the response limits. The
    language of a limit is the row's, also for the source side of a pair.
    """

    tag: ClassVar[str] = "shape"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Turns in order, nothing empty, lengths, loops and repetition, broken characters."

    roles: Decision[bool] = True
    """Drop rows whose turns are out of order: system only first, then user and assistant in turn, tool turns only after
    an assistant's; a conversation starts with the user and ends with the assistant, a prompt ends with the user, an
    answer starts and ends with the assistant. The reason names the defect (``roles.alternation``, …)."""
    require_system: Decision[bool] = False
    """Drop rows without a system message."""
    allow_system: Decision[bool] = True
    """If false, drop rows with a system message (Gemma's template, for one, has no place for it)."""
    allow_empty: Decision[bool] = False
    """Keep rows with a message or side of nothing but blanks, controls, zero-width and filler characters."""
    allow_equal: Decision[bool] = False
    """Keep preferences whose two answers, and pairs whose two sides, are the same but for blanks."""
    min_chars: Limit = PerLanguage[int]()
    """Least length of all texts of the row together."""
    max_chars: Limit = PerLanguage[int]()
    """Greatest length of all texts of the row together."""
    min_prompt_chars: Limit = PerLanguage[int]()
    """Least length of the prompt (of the source side of a pair)."""
    max_prompt_chars: Limit = PerLanguage[int]()
    """Greatest length of the prompt (of the source side of a pair)."""
    min_response_chars: Limit = PerLanguage[int]()
    """Least length of each answer (of the target side, of a document's text)."""
    max_response_chars: Limit = PerLanguage[int]()
    """Greatest length of each answer (of the target side, of a document's text)."""
    min_turns: Limit = PerLanguage[int]()
    """Least number of messages besides the system message, the rejected answer not counted."""
    max_turns: Limit = PerLanguage[int]()
    """Greatest number of messages besides the system message, the rejected answer not counted."""
    max_repetition: Decision[PerLanguage[Share]] = PerLanguage(0.6)
    """Greatest share (0 to 1) of a text that only says again, in long pieces, what the same text said before; see
    :func:`filters.repetition.repetition`. Null: no limit."""
    max_loop: Limit = PerLanguage(8)
    """How often one piece (a word, a line, a sentence) may stand there in a row. Null: no limit."""
    max_replacement: Limit = PerLanguage(0)
    """How many U+FFFD (what a decoder leaves for broken bytes) and noncharacters a row may hold."""
    max_controls: Limit = PerLanguage(0)
    """How many control characters besides tab and line breaks a row may hold."""
    repetition_in: tuple[str, ...] | None = None
    """The fields whose repetition and loops count; unless given, the answer (for preferences both answers): a prompt
    may repeat itself with good reason."""

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
        return types | ({"roles": pa.string()} if kind in _CHATS else {})

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
        found: dict[str, pl.Series] = {
            name: whole.select(pl.sum_horizontal(pl.all().list.eval(each).list.first())).to_series()
            for name, each in sums.items()
        }
        if kind in _CHATS:
            found |= _turns(rows)
        if kind is not Kind.DOCUMENT:
            found["prompt_chars"] = _chars(rows, "source" if kind is Kind.PARALLEL else "prompt")
        if kind is not Kind.PROMPT:
            found["response_chars"] = _chars(rows, answer_field(kind))
        if kind in _SIDES:
            left, right = (rows.text(name).str.replace_all(r"\s+", " ").str.strip_chars(" ") for name in _SIDES[kind])
            found["equal"] = (left == right).cast(pl.Float64)
        if kind is Kind.PREFERENCE:
            found["rejected_chars"] = _chars(rows, "rejected")
        default = ("chosen", "rejected") if kind is Kind.PREFERENCE else (answer_field(kind),)
        # Program text repeats itself by nature; what is left of it after the mask is strings and comments.
        repeats = [repetition(mask(rows.text(name), ("code", "markup"))) for name in self.repetition_in or default]
        for name in ("repetition", "loop"):
            found[name] = pl.select(pl.max_horizontal(each[name] for each in repeats)).to_series()
        types = {name: pl.String if dtype == pa.string() else pl.Float64 for name, dtype in columns.items()}
        return pl.DataFrame({name: found[name].cast(types[name]) for name in columns})

    def verdicts(self, kind: Kind) -> Mapping[str, pl.Expr]:
        have = self.columns(kind)
        reasons: dict[str, pl.Expr] = {}
        if self.roles and "roles" in have:
            reasons |= {f"roles.{defect}": pl.col("roles") == defect for defect in ROLE_DEFECTS}
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
            if low != PerLanguage[int]():
                reasons[f"min_{name}"] = least < low.expr()
            if high != PerLanguage[int]():
                reasons[f"max_{name}"] = greatest > high.expr()
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
    """Every text of the rows, a list of strings a row for each column that holds texts."""
    names: Iterable[str] = _CHATS.get(rows.kind) or (
        ("source", "target") if rows.kind is Kind.PARALLEL else (answer_field(rows.kind),)
    )
    lists = {}
    for name in names:
        if rows.kind in _CHATS:
            column = pl.from_arrow(rows.table.select([name])).get_column(name)  # type: ignore[union-attr]
            lists[name] = column.list.eval(pl.element().struct.field("content"))
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
        column = pl.from_arrow(rows.table.select([name])).get_column(name)  # type: ignore[union-attr]
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

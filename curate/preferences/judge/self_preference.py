"""Finds the models behind an answer: a model favours its own answers, and those of its family somewhat less."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from curate.errors import StepError
from curate.models.loading.served import other_model
from curate.rows import Kind, message_text
from curate.steps import Context, Rows

Authors = Mapping[str, tuple[str, ...]]
"""Side → ``name@revision`` of the models behind that answer."""
_ASKS_ONLY = frozenset({"instruct"})
_ANSWERS_ANEW = frozenset({"respond"})
_SPLIT = re.compile(r"[-_.:\s]+")


def authors_of(rows: Rows, context: Context) -> list[Authors]:
    """The models behind each answer of each row, as far as lineage, parents and ``…chosen_by`` have them."""
    lineages = rows.table["lineage"].to_pylist()
    own = [_hands(lineage["makers"]) for lineage in lineages]
    if rows.kind is not Kind.PREFERENCE:
        return [{"answer": hands} for hands in own]
    parents = _parents(lineages, context)
    authors: list[Authors] = []
    columns = zip(
        lineages,
        own,
        rows.table["chosen"].to_pylist(),
        rows.table["rejected"].to_pylist(),
        rows.table["attributes"].to_pylist(),
        strict=True,
    )
    for lineage, hands, chosen, rejected, attributes in columns:
        by_name = {one["name"].rpartition(".")[2]: one["value"] for one in attributes}
        sides: dict[str, tuple[str, ...]] = {}
        for side, turns in (("chosen", chosen), ("rejected", rejected)):
            text = message_text(turns[-1]) if turns else ""
            same_answer = [parents[one][1] for one in lineage["parents"] if one in parents and parents[one][0] == text]
            by = by_name.get(f"{side}_by", "")
            sides[side] = tuple(dict.fromkeys([*(same_answer[0] if same_answer else ()), *([by] if by else [])]))
        if not any(sides.values()):
            sides = {"chosen": hands, "rejected": hands}
        authors.append(sides)
    return authors


def refuse_self(rows: Rows, judges: Mapping[str, str], context: Context, step: str) -> None:
    """Stops if a judge would judge its own answers.

    Args:
        judges: name in the catalog → ``name@revision``.

    Raises:
        StepError: there are such rows.
    """
    makers = {hand for authors in authors_of(rows, context) for hands in authors.values() for hand in hands}
    hands = [one for hand in sorted(makers) for one in hand.split(" → ")]
    for name, model in judges.items():
        same = next((one for one in reversed(hands) if _is_model(one, model)), None)
        if same is not None:
            raise StepError(
                f"{step}: '{name}' would judge its own answers: rows were made by {same}, and the judge is {model}. "
                "A model favours its own answers; use another judge, or write 'allow_self: true' and look at "
                "'self_preference' in the audit"
            )


def _is_model(hand: str, model: str) -> bool:
    """Whether a name in the lineage is this model, or says after a ``+`` that this model answered instead."""
    requested, _, served = hand.partition("+")
    if plain_name(hand) == plain_name(model) or plain_name(requested) == plain_name(model):
        return True
    return bool(served) and not other_model(served, [model.rpartition("@")[0]])


def plain_name(model: str) -> str:
    """The name without revision, owner and case; equal for names of one model."""
    return model.rpartition("@")[0].rpartition("/")[2].casefold() or model.rpartition("/")[2].casefold()


def family(model: str, families: Mapping[str, Sequence[str]]) -> str:
    """The family of a model: the entry of ``families`` with a word in its name, else the name up to its first number
    (``Qwen/Qwen3-8B`` → ``qwen``)."""
    plain = plain_name(model)
    for name, words in families.items():
        if any(word.casefold() in plain for word in (name, *words)):
            return name
    kept: list[str] = []
    for token in _SPLIT.split(plain):
        letters = re.match(r"[^\d]*", token)
        head = letters[0] if letters else ""
        if head and not (kept and head in ("v", "r", "b")):
            kept.append(head)
        if head != token:
            break
    return "-".join(kept) or plain


def _hands(makers: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The models behind an answer, from its last generation on. Models that only wrote the prompt do not count."""
    last = max((place for place, one in enumerate(makers) if one["step"] in _ANSWERS_ANEW), default=0)
    return tuple(dict.fromkeys(one["model"] for one in makers[last:] if one["model"] and one["step"] not in _ASKS_ONLY))


def _parents(lineages: Sequence[Mapping[str, Any]], context: Context) -> dict[str, tuple[str, tuple[str, ...]]]:
    """id → (answer, models behind it) of the parents of rows."""
    ids = sorted({one for lineage in lineages for one in lineage["parents"]})
    if not ids:
        return {}
    try:
        above = context.rows_by_id(pl.Series("id", ids, dtype=pl.String))
    except StepError as error:  # parents of several kinds
        context.warn(f"judge: the authors of some answers are unknown: {error}")
        return {}
    if not len(above) or above.kind is not Kind.SFT:
        return {}
    columns = zip(
        above.ids.to_list(), above.table["messages"].to_pylist(), above.table["lineage"].to_pylist(), strict=True
    )
    return {
        one: (message_text(turns[-1]) if turns else "", _hands(lineage["makers"])) for one, turns, lineage in columns
    }

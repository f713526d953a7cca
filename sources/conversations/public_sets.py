"""Turns the records of public sets whose rows are not one conversation each into records that are.

OASST has one message a row, or one tree of messages; UltraFeedback and Nectar have several rated answers to a prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from curate.steps import FailedRow
from sources.values import is_nan
from sources.written import load_text

Record = tuple[int, dict[str, Any], int]
Records = Iterator[Record | FailedRow]
MESSAGES, CHOSEN, REJECTED, TREE = "@messages", "@chosen", "@rejected", "@tree"
"""Columns that these records get."""


def expand(name: str, records: Records) -> Records:
    """The records of a format (see :data:`EXPANDED`) as conversations or pairs; of any other, unchanged."""
    return EXPANDED[name](records) if name in EXPANDED else records


# --------------------------------------------------------------------------------------------------------------- OASST
def _oasst(records: Records) -> Records:
    """One record for each path from a first message to a last answer; all messages of a unit are held in memory."""
    messages: dict[str, Record] = {}
    parents: set[str] = set()
    for record in records:
        if isinstance(record, FailedRow):
            yield record
            continue
        row = record[1]
        name = str(row.get("message_id"))
        messages[name] = record
        if row.get("parent_id") is not None and row.get("role") == "assistant":
            parents.add(str(row["parent_id"]))
    circles = _circles({name: row.get("parent_id") for name, (_, row, _) in messages.items()})
    # An answer is a last one if no answer follows, whether or not somebody asked on.
    answered = {str(messages[one][1].get("parent_id")) for one in parents if one in messages}
    for name, (place, row, size) in messages.items():
        if name in circles:
            yield FailedRow(
                f"row {place}", f"the message {name} answers itself, through {circles[name]:,} messages", ""
            )
            continue
        if row.get("role") != "assistant" or name in answered:
            continue
        path = [row]
        while (above := path[-1].get("parent_id")) is not None:
            if str(above) not in messages:
                yield FailedRow(f"row {place}", f"the message {above} that it answers is not in the file", "")
                break
            if str(above) in circles:
                yield FailedRow(f"row {place}", f"the message {above} that it answers answers itself", "")
                break
            path.append(messages[str(above)][1])
        else:
            turns = [{"role": one.get("role"), "content": one.get("text")} for one in reversed(path)]
            yield place, {**row, MESSAGES: turns, TREE: str(row.get("message_tree_id"))}, size


def _circles(parents: Mapping[str, Any]) -> dict[str, int]:
    """Message → how many messages are in the circle of answers that it is in, of those that are in one."""
    found: dict[str, int] = {}
    known: set[str] = set()
    for name in parents:
        walk: dict[str, int] = {}
        one = name
        while one in parents and one not in known and one not in walk:
            walk[one] = len(walk)
            one = str(parents[one])
        if one in walk:
            circle = [each for each, place in walk.items() if place >= walk[one]]
            found |= dict.fromkeys(circle, len(circle))
        known |= walk.keys()
    return found


def _oasst_trees(records: Records) -> Records:
    for record in records:
        if isinstance(record, FailedRow):
            yield record
            continue
        place, row, size = record
        for path in _paths(row.get("prompt"), []):
            turns = [{"role": one.get("role"), "content": one.get("text")} for one in path]
            last = {key: value for key, value in path[-1].items() if key != "replies"}
            yield place, {**row, **last, MESSAGES: turns, TREE: str(row.get("message_tree_id"))}, size


def _paths(message: Any, above: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The paths to the last answers below a message."""
    todo: list[tuple[Any, list[dict[str, Any]]]] = [(message, above)]
    while todo:
        one, before = todo.pop()
        if not isinstance(one, dict):
            continue
        path = [*before, one]
        replies = one.get("replies") or []
        goes_on = any(isinstance(reply, dict) and reply.get("replies") for reply in replies)
        if one.get("role") == "assistant" and not goes_on:
            yield path
        todo += [(reply, path) for reply in reversed(replies)]


# ------------------------------------------------------------------------------------------------------- rated answers
def _rated(answers: str, text: str, rating: Callable[[Mapping[str, Any]], float | None], lowest: bool) -> Any:
    """A reader of records with a list of rated answers: the best becomes ``@chosen``, the worst ``@rejected``.

    Args:
        answers: the column of the list.
        text: the key of an answer's text.
        lowest: whether the lowest rating is the best, as with ranks.
    """

    def read(records: Records) -> Records:
        for record in records:
            if isinstance(record, FailedRow):
                yield record
                continue
            place, row, size = record
            listed = row.get(answers)
            if isinstance(listed, str):
                try:
                    listed = load_text(listed)
                except ValueError:
                    listed = None
            rated = [
                (value, one[text])
                for one in (listed if isinstance(listed, list) else [])
                if isinstance(one, dict) and text in one and (value := rating(one)) is not None
            ]
            if len(rated) < 2 or len({value for value, _ in rated}) < 2:
                yield FailedRow(f"row {place}", f"'{answers}' has no two answers with different ratings", "")
                continue
            best, worst = (min, max) if lowest else (max, min)
            chosen = best(rated, key=lambda pair: pair[0])[1]
            rejected = worst(rated, key=lambda pair: pair[0])[1]
            yield place, {**row, CHOSEN: chosen, REJECTED: rejected}, size

    return read


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return None if is_nan(number) else number


def _overall(answer: Mapping[str, Any]) -> float | None:
    """UltraFeedback's rating: ``overall_score``, else the mean of the ratings of all aspects."""
    if (overall := _number(answer.get("overall_score"))) is not None:
        return overall
    aspects = answer.get("annotations")
    ratings = [
        number
        for one in (aspects.values() if isinstance(aspects, dict) else [])
        if isinstance(one, dict) and (number := _number(one.get("Rating"))) is not None
    ]
    return sum(ratings) / len(ratings) if ratings else None


EXPANDED: Mapping[str, Callable[[Records], Records]] = MappingProxyType(
    {
        "OASST": _oasst,
        "OASST trees": _oasst_trees,
        "UltraFeedback": _rated("completions", "response", _overall, lowest=False),
        "Nectar": _rated("answers", "answer", lambda one: _number(one.get("rank")), lowest=True),
    }
)
"""Format → what makes records of conversations out of its records."""
NEEDED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "OASST": ("message_id", "parent_id", "text", "role", "message_tree_id"),
        "OASST trees": ("message_tree_id", "prompt"),
        "UltraFeedback": ("completions",),
        "Nectar": ("answers",),
    }
)
"""The columns that this needs."""
KEYS: Mapping[str, str] = MappingProxyType({"OASST": f"{{{TREE}}}", "OASST trees": f"{{{TREE}}}"})
"""Format → the key by which rows of one item belong together, unless the catalog gives one."""

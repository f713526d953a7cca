"""A record is a title and labelled texts, made of a row, of the answer to a query, or of two rows beside each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from curate.records.marks import ALIKE, Mark, Pieces, cut, likeness, marked
from curate.rows.fields import message_text, parents_of
from curate.rows.kinds import MEDIA, Kind, kind_of, message_columns, required_columns


@dataclass(frozen=True)
class Entry:
    """A labelled text of a record."""

    label: str
    text: Pieces
    language: str = ""
    """BCP-47 tag of the text, if it is one of the row; empty for a remark about the row."""

    @classmethod
    def of(cls, label: str, text: str, language: str = "") -> Entry:
        """A text, cut if it is very long."""
        return cls(label, cut(text), language)

    @property
    def plain(self) -> str:
        """The text without marks and remarks: what it is after the change."""
        return "".join(part for mark, part in self.text if mark in (Mark.SAME, Mark.ADDED))


@dataclass(frozen=True)
class Record:
    """A title with entries; a record among them is shown indented."""

    title: str
    entries: tuple[Entry | Record, ...] = ()


Row = Mapping[str, Any]


def texts(row: Row) -> list[tuple[str, str, str]]:
    """(label, text, language) of everything that a row says: messages by role, calls and thoughts among them, the sides
    of a pair, the text of a document."""
    kind = kind_of(row)
    language = str(row.get("language") or "")
    found: list[tuple[str, str, str]] = []
    for column in message_columns(kind):
        for message in row[column]:
            # Of a preference, the prompt is known by its roles; the answers by their columns.
            label = column if column in ("chosen", "rejected", "completion") else message["role"]
            label += f" ({message['role']})" if label != message["role"] and message["role"] != "assistant" else ""
            if message.get("reasoning"):
                found.append((f"{label}, reasoning", message["reasoning"], language))
            found.append((label, message_text(message), language))
    if kind is Kind.PARALLEL:
        return [
            ("source", row["source"], str(row["source_language"])),
            ("target", row["target"], language),
        ]
    found += [(name, row[name], language) for name in required_columns(kind) if name == "text"]
    if "label" in row and kind is Kind.UNPAIRED:
        found.append(("label", "good" if row["label"] else "bad", ""))
    if row.get("tools"):
        found.append(("tools", _tool_names(row["tools"]), ""))
    found += [(name, ", ".join(row[name]), "") for name in MEDIA if row.get(name)]
    return found


def _tool_names(written: str) -> str:
    try:
        return ", ".join(str(one["function"]["name"]) for one in orjson.loads(written))
    except (ValueError, KeyError, TypeError):
        return written


def facts(row: Row) -> list[Entry]:
    """What is known about a row besides its texts: scores, attributes, origin, licence, makers, parents."""
    found = [
        Entry.of("scores", ", ".join(f"{one['name']} {number(one['value'])}" for one in row.get("scores") or ())),
        *(Entry.of(one["name"], one["value"]) for one in row.get("attributes") or ()),
    ]
    lineage = row.get("lineage")
    if lineage:
        place = ", ".join(part for part in (lineage["source"], lineage["source_id"]) if part)
        found.append(Entry.of("from", f"{place}; licence {lineage['license']}"))
        makers = [f"{one['step']} ({one['model']})" if one["model"] else one["step"] for one in lineage["makers"]]
        found += [Entry.of("made by", ", ".join(makers))] if makers else []
        found += [Entry.of("parents", ", ".join(parents))] if (parents := parents_of(row)) else []
    return [entry for entry in found if entry.plain]


def number(value: float) -> str:
    """A score in four digits."""
    return f"{value:.4g}"


def title_of(row: Row, *more: str) -> str:
    """Id, language and what else there is to say of a row, in one line."""
    return "  ".join(part for part in (str(row["id"]), str(row["language"]), *more) if part)


def row_record(row: Row, *more: str) -> Record:
    """A row with its texts and all that is known about it.

    Args:
        more: what to add to the title, such as the split.
    """
    said = [Entry.of(label, text, language) for label, text, language in texts(row)]
    why = f"{row['step']}: {row['reason']}" if row.get("step") else ""
    return Record(title_of(row, *more), (*said, *([Entry.of("dropped by", why)] if why else []), *facts(row)))


def value_record(values: Mapping[str, Any], title: str) -> Record:
    """A row of the answer to a query: each column an entry, lists of messages by role."""
    entries: list[Entry] = []
    for name, value in values.items():
        if _is_messages(value):
            entries += [Entry.of(f"{name}, {one['role']}", message_text(one), "und") for one in value]
        else:
            entries.append(Entry.of(name, _written(value), "und" if isinstance(value, str) else ""))
    return Record(title, tuple(entries))


def _is_messages(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, dict) and isinstance(one.get("content"), str) and "role" in one for one in value)
    )


def _written(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return "NULL"
    return orjson.dumps(value, default=_other, option=orjson.OPT_NON_STR_KEYS).decode()


def _other(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def beside(old: Row, new: Row, *, before: bool = True) -> list[Entry]:
    """The texts of a row and of the one it became, without those that are the same. Where both are in one language and
    alike, changed words are marked; otherwise both are shown.

    Args:
        before: whether to show an old text that is not alike; if not, only the new one is.
    """
    found: list[Entry] = []
    alike = kind_of(old) is kind_of(new)  # a row of another kind has the same texts in other places
    for label, was, now, language, other in _paired(texts(old), texts(new)):
        if was == now and language == other:
            continue
        if was is not None and now is not None and language == other and likeness(was, now, language) >= ALIKE:
            found.append(Entry(label, marked(was, now, language), language))
            continue
        both = before and was is not None and now is not None
        if was is not None and (before or (now is None and alike)):
            found.append(Entry.of(f"{label}, {'before' if both else 'removed'}", was, other))
        if now is not None:
            found.append(Entry.of(f"{label}, after" if both else label, now, language))
    return found


def _paired(
    before: Sequence[tuple[str, str, str]], after: Sequence[tuple[str, str, str]]
) -> Iterable[tuple[str, str | None, str | None, str, str]]:
    """Texts of one label in their order: (label, text before, text after, language after, language before)."""
    labels = list(dict.fromkeys(label for label, *_ in (*before, *after)))
    for label in labels:
        left = [(text, language) for name, text, language in before if name == label]
        right = [(text, language) for name, text, language in after if name == label]
        for place in range(max(len(left), len(right))):
            was, other = left[place] if place < len(left) else (None, "")
            now, language = right[place] if place < len(right) else (None, "")
            yield label, was, now, language or other, other or language

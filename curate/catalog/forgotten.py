"""The takedown list beside the catalog: one line for each erased item, applied whenever the store is built anew.

A line names a row by its id (a digest: the text itself is nowhere), with the source it is of if it is one, or a
whole source:
``{"row": "…", "of": "…", "reason": "…", "at": "…"}``, ``{"source": "…", …}``. The file is small, belongs into
version control, and is read with every catalog of its folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from curate.catalog.document import Mark, Problem
from curate.files import regular

FILE = "forgotten.jsonl"
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Forgotten:
    """Rows and sources that no build may hold."""

    rows: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    of: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Source → rows of it: they are left out while it is read, and never lie in the store."""
    entries: tuple[dict[str, Any], ...] = field(default=(), compare=False)

    def __bool__(self) -> bool:
        return bool(self.rows or self.sources)


def read_forgotten(folder: Path) -> tuple[Forgotten, list[Problem]]:
    """What the file in a catalog's folder says, and what is wrong with it; nothing where there is none."""
    path = folder / FILE
    rows, sources, entries, problems = set[str](), set[str](), [], []
    of: dict[str, set[str]] = {}
    try:
        lines = regular(path).read_bytes().splitlines()
    except FileNotFoundError:
        return Forgotten(), []
    except OSError as error:
        return Forgotten(), [Problem(Mark(FILE, 1), f"cannot be read: {error.strerror or error}")]
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = orjson.loads(line)
            row, source = entry.get("row"), entry.get("source")
        except (orjson.JSONDecodeError, AttributeError):
            # A line that cannot be read might be the one that matters.
            problems.append(
                Problem(Mark(FILE, number), 'no JSON object; each line is {"row": "<id>"} or {"source": "<name>"}')
            )
            continue
        if isinstance(row, str) and _ID.fullmatch(row):
            rows.add(row)
            if isinstance(entry.get("of"), str):
                of.setdefault(entry["of"], set()).add(row)
        elif isinstance(source, str) and source:
            sources.add(source)
        else:
            problems.append(Problem(Mark(FILE, number), "names neither a row (32 hexadecimal digits) nor a source"))
            continue
        entries.append(entry)
    return Forgotten(
        frozenset(rows), frozenset(sources), {name: frozenset(ids) for name, ids in of.items()}, tuple(entries)
    ), problems


def remember_to_forget(
    folder: Path, *, rows: Iterable[str] | Mapping[str, str] = (), sources: Iterable[str] = (), reason: str = ""
) -> int:
    """Adds what is not there yet; on disk, whole, before it returns.

    Args:
        rows: ids; or id → the source it is a row of, empty for a row that was made.

    Returns:
        How many lines were added.
    """
    known, _ = read_forgotten(folder)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    more: dict[str, Any] = {"at": at, **({"reason": reason} if reason else {})}
    new = [{"source": one, **more} for one in sorted(set(sources) - known.sources)]
    of = rows if isinstance(rows, Mapping) else dict.fromkeys(rows, "")
    new += [{"row": one, **({"of": of[one]} if of[one] else {}), **more} for one in sorted(set(of) - known.rows)]
    if new:
        path = folder / FILE
        before = regular(path).read_bytes() if path.exists() else b""
        if before and not before.endswith(b"\n"):
            before += b"\n"
        temporary = path.with_name(f".{FILE}.tmp")
        with temporary.open("wb") as file:
            file.write(before + b"".join(orjson.dumps(one) + b"\n" for one in new))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    return len(new)

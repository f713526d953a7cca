"""The ledger: records the cost of every model call on disk at once, so that a budget holds across crashes.

A budget is for one build. A build that was killed goes on under its own number; one that finished starts a new count.
"""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.caches import open_sound, write_ahead
from curate.errors import BudgetError

_TABLES = """
CREATE TABLE IF NOT EXISTS builds (build TEXT PRIMARY KEY, started INTEGER DEFAULT (unixepoch()), finished INTEGER);
CREATE TABLE IF NOT EXISTS spent (build TEXT, stage TEXT, model TEXT, calls INTEGER, prompt_tokens INTEGER, completion_tokens INTEGER,
                                  money REAL, PRIMARY KEY (build, stage, model)) WITHOUT ROWID;
"""  # noqa: E501
_ADD = """
INSERT INTO spent VALUES (?, ?, ?, 1, ?, ?, ?) ON CONFLICT DO UPDATE SET calls = calls + 1,
prompt_tokens = prompt_tokens + excluded.prompt_tokens, completion_tokens = completion_tokens + excluded.completion_tokens, money = money + excluded.money
"""  # noqa: E501


def _connect(root: Path) -> sqlite3.Connection:
    def set_up(connection: sqlite3.Connection) -> None:
        if (told := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(told)
        write_ahead(connection)
        connection.executescript(_TABLES)
        connection.execute("SELECT build, finished FROM builds LIMIT 1").fetchall()
        connection.execute("SELECT * FROM spent LIMIT 1").fetchall()

    return open_sound(
        root / "spending.sqlite",
        set_up,
        "what builds spent so far is not known any more, and budgets count from now on",
    )


def current_build(root: Path) -> str:
    """The number of the build that is under way: that of the last one, unless it finished."""
    connection = _connect(root)
    try:
        found = connection.execute(
            "SELECT build FROM builds WHERE finished IS NULL ORDER BY started DESC LIMIT 1"
        ).fetchone()
        if found:
            return str(found[0])
        build = uuid.uuid4().hex
        connection.execute("INSERT INTO builds (build) VALUES (?)", (build,))
        return build
    finally:
        connection.close()


def finish_build(root: Path, build: str) -> None:
    """From now on a new count starts."""
    connection = _connect(root)
    try:
        connection.execute("UPDATE builds SET finished = unixepoch() WHERE build = ?", (build,))
    finally:
        connection.close()


def spent(root: Path, build: str, dataset: str | None = None) -> list[dict[str, Any]]:
    """What a build spent so far, by stage and model, dearest first."""
    if not (root / "spending.sqlite").exists():
        return []
    connection = _connect(root)
    try:
        rows = connection.execute(
            "SELECT stage, model, calls, prompt_tokens, completion_tokens, money FROM spent WHERE build = ? "
            "ORDER BY money DESC, calls DESC, stage, model",
            (build,),
        ).fetchall()
    finally:
        connection.close()
    names = ("stage", "model", "calls", "prompt_tokens", "completion_tokens", "money")
    return [
        dict(zip(names, row, strict=True)) for row in rows if dataset is None or str(row[0]).startswith(f"{dataset}/")
    ]


@dataclass
class _Sum:
    calls: int = 0
    tokens: int = 0
    money: float = 0.0


class BuildLedger:
    """The :class:`curate.steps.models.Ledger` of one build, for one stage at a time."""

    def __init__(self, root: Path, build: str, budget: dict[str, Any]) -> None:
        self._root = root
        self._connection: sqlite3.Connection | None = _connect(root)
        self._build, self.budget = build, {name: most for name, most in budget.items() if most is not None}
        self.stage = ""
        self._lock = threading.Lock()
        self._open: dict[int, tuple[str, int, float]] = {}
        self._next = 0
        calls, tokens, money = self._connection.execute(
            "SELECT coalesce(sum(calls), 0), coalesce(sum(prompt_tokens + completion_tokens), 0), coalesce(sum(money), 0) FROM spent "  # noqa: E501
            "WHERE build = ?",
            (build,),
        ).fetchone()
        self._spent = _Sum(calls, tokens, money)
        self._held = _Sum()

    def reserve(self, model: str, tokens: int, money: float, *, paid: bool = False) -> int:
        """Asks for one call that may cost this much; see :class:`curate.steps.models.Ledger`."""
        with self._lock:
            would = {
                "calls": self._spent.calls + self._held.calls + 1,
                "tokens": self._spent.tokens + self._held.tokens + tokens,
                "money": self._spent.money + self._held.money + money,
            }
            for what, most in self.budget.items():
                if would[what] > most and not paid:
                    so_far = getattr(self._spent, what)
                    raise BudgetError(
                        f"the budget of {most:,} {what} does not allow another call to {model} ({so_far:,} spent, "
                        f"{getattr(self._held, what):,} under way); what was answered is kept: raise 'budget: "
                        f"{{{what}: …}}' and build again"
                    )
            self._next += 1
            self._open[self._next] = (model, tokens, money)
            self._held = _Sum(self._held.calls + 1, self._held.tokens + tokens, self._held.money + money)
            return self._next

    def settle(self, number: int, prompt_tokens: int, completion_tokens: int, money: float) -> None:
        """What the call really cost; a call that cost nothing at all (it failed) is not counted."""
        with self._lock:
            model, tokens, held = self._open.pop(number)
            self._held = _Sum(self._held.calls - 1, self._held.tokens - tokens, self._held.money - held)
            if not (prompt_tokens or completion_tokens or money):
                return
            self._spent = _Sum(
                self._spent.calls + 1, self._spent.tokens + prompt_tokens + completion_tokens, self._spent.money + money
            )
            if self._connection is None:  # answered after its task had ended
                self._connection = _connect(self._root)
            self._connection.execute(_ADD, (self._build, self.stage, model, prompt_tokens, completion_tokens, money))

    def release(self) -> None:
        """Lets go of the file, so that another machine may open it; the next call that is settled opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None


_LEDGERS: dict[tuple[str, str], BuildLedger] = {}


def release_ledgers() -> None:
    """Lets go of this process's ledgers between two tasks: a machine must not hold a file that another one opens."""
    for ledger in _LEDGERS.values():
        ledger.release()


def open_ledger(root: Path, build: str, budget: Mapping[str, Any], stage: str) -> BuildLedger:
    """This process's ledger of a build, set to a stage."""
    key = (str(root), build)
    if key not in _LEDGERS:
        _LEDGERS.clear()
        _LEDGERS[key] = BuildLedger(root, build, dict(budget))
    _LEDGERS[key].budget = {name: most for name, most in budget.items() if most is not None}
    _LEDGERS[key].stage = stage
    return _LEDGERS[key]

"""Every error a user is meant to read is a :class:`CurateError`: its message says what is wrong, where, and what to do."""

from __future__ import annotations

from pathlib import Path


class CurateError(Exception):
    """Base of all expected errors; anything else is a defect of ours and keeps its traceback."""

    def __str__(self) -> str:
        # What a message quotes may be a stranger's: half a surrogate pair would stop it from being printed.
        return super().__str__().encode("utf-8", "backslashreplace").decode()


class StoreError(CurateError):
    """The store cannot be used, or has no such version."""


class DamagedError(StoreError):
    """A file of the store is not what was written.

    Args:
        path: the file.
        why: what is wrong with it.
    """

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"{path} is damaged ({why}); 'curate repair' puts it aside, and 'curate build' makes again what can be made"
        )
        self.path = path
        self.why = why


class BuildError(CurateError):
    """A build cannot go on; the message names stage and place."""


class BudgetSpent(BuildError):
    """A build cannot go on because the budget is spent."""


class ExecutorError(CurateError):
    """Workers died; the message says at what."""


class QueryError(CurateError):
    """A query was refused, failed, or took too long."""


class SourceError(CurateError):
    """A source cannot be read."""


class StepError(CurateError):
    """A step cannot go on."""


class ModelError(CurateError):
    """A model cannot be loaded, reached or asked any more."""


class BudgetError(ModelError):
    """A call would cost more than the catalog's budget leaves."""


class ExportError(CurateError):
    """A version cannot be written in the form that was asked for."""


class PublishError(CurateError):
    """A version may not or cannot be published."""

"""The expected errors. Each is a :class:`CurateError`, and its message says what is wrong, where, and what to do.

An error of a worker is sent to the program that builds as a class name and attributes (:func:`to_record`), not
pickled, and
raised there as the same class (:func:`from_record`).
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self


class CurateError(Exception):
    """Base of all expected errors. Anything else is a bug in curate and keeps its traceback."""

    fields: ClassVar[tuple[str, ...]] = ()
    """Attributes that are sent with the error from a worker to the program that builds; JSON values."""

    def __str__(self) -> str:
        # A message may quote data with half a surrogate pair, which cannot be printed.
        return super().__str__().encode("utf-8", "backslashreplace").decode()

    def with_message(self, message: str) -> Self:
        """The same error, class and attributes, with another message."""
        error = type(self).__new__(type(self), message)
        error.__dict__.update(self.__dict__)
        return error


def message_of(error: BaseException) -> str:
    """The message of any error, also of one whose message cannot be made or printed."""
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - an error of foreign code may do anything here
        return "its message cannot be made"
    return message.encode("utf-8", "backslashreplace").decode()


def described(error: BaseException) -> str:
    """Class and message of any error: ``ValueError: no number``."""
    return f"{type(error).__name__}: {message_of(error)}".removesuffix(": ")


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


class DiskFullError(StoreError, BuildError):
    """The disk of the store is full, or the user's quota on it is used up."""


class ExecutorError(CurateError):
    """Workers died; the message says at what."""


class QueryError(CurateError):
    """A query was refused, failed, or took too long."""


class DatasetsFailedError(BuildError):
    """Some datasets could not be built, and a build with ``keep_going`` has built all others.

    Args:
        failed: dataset → its error; for a dataset that is made of a failed one, an error that says so.
        built: the others, as :func:`curate.build` returns them.
    """

    def __init__(self, failed: Mapping[str, BuildError], built: Sequence[Any]) -> None:
        lines = [f"{name}: {error}" for name, error in failed.items()]
        count = f"{len(failed)} of {len(failed) + len(built)} datasets"
        super().__init__("\n".join([f"{count} failed; 'curate build' tries again:", *lines]))
        self.failed, self.built = dict(failed), list(built)


class SourceError(BuildError):
    """A source cannot be read."""


class StepError(BuildError):
    """A step cannot go on."""


class ModelError(BuildError):
    """A model cannot be loaded, or requests to it cannot go on.

    Attributes:
        model: ``name@revision`` of the model that was asked; empty where the error concerns none in particular.
        status: the HTTP status, or the one that the error code in the body stands for; None if the server sent none.
    """

    fields: ClassVar[tuple[str, ...]] = ("model", "status")
    model: str = ""
    status: int | None = None


class BudgetError(ModelError):
    """A call would cost more than the catalog's budget leaves."""


class AuthenticationError(ModelError):
    """A server refuses the key (401, 403, 407); it is missing, wrong, or not allowed to use the model."""


class QuotaExceededError(ModelError):
    """The quota or the credit of a key is used up (402, ``insufficient_quota`` and the like). Waiting does not help."""


class AddressError(ModelError):
    """There is no such model, path or server at this address."""


class NotRecordedError(ModelError):
    """A recording (``use: recorded``) has no answer to a request."""


class RequestError(ModelError):
    """A request failed. It fails its row; it stops the build where too many requests or rows fail in the same way.

    ``transient`` says whether the next build sends the request again by itself.
    """

    transient: ClassVar[bool] = False


class BadRequestError(RequestError):
    """A server refuses the request as it is: malformed, or with a parameter that it does not take."""


class ContextWindowError(RequestError):
    """The prompt and ``max_tokens`` together do not fit into the model's context window."""


class ContentFilterError(RequestError):
    """A server withholds an answer because of its content, or refuses the request's."""


class AnswerTooLargeError(RequestError):
    """An answer has far more bytes than the requested number of tokens can have."""


class ServerError(RequestError):
    """A server failed, or its response is malformed; it may work later.

    Args:
        retry_after: seconds the server asked to wait.
        load: whether the error says something about the server's load.
        counts: whether it uses up one of the retries; being told to come later does not.
        again: whether it may work when tried again at once, in this build.

    Attributes:
        retry_after: seconds the server asked to wait (``Retry-After``); None if it asked for none.
    """

    fields = (*ModelError.fields, "retry_after")
    retry_after: float | None = None
    transient = True

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        load: bool = True,
        counts: bool = True,
        again: bool = True,
    ) -> None:
        super().__init__(message)
        self.retry_after, self.load, self.counts, self.again = retry_after, load, counts, again


class NotAskedError(RequestError):
    """A request was not sent, since the build is to finish with the answers there are (``curate build --finish``)."""

    transient = True


class RateLimitError(ServerError):
    """A server wants fewer requests (429), and still did when ``deadline`` had passed."""


class ServerTimeoutError(ServerError):
    """A server did not answer within ``timeout``, or a gateway gave up waiting for it (408, 504, 522, 524)."""


class ServerUnavailableError(ServerError):
    """A server cannot serve: another 5xx after all retries, no connection, or its process ended."""


class ConnectError(ServerUnavailableError):
    """Nothing listens at an address, or it cannot be reached."""


class RecipeError(CurateError):
    """A recipe is unknown, has no such slot, or is not what it says."""


class ExportError(CurateError):
    """A version cannot be written in the requested format."""


class PublishError(CurateError):
    """A version may not or cannot be published."""


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error, or the one that caused it, says that nothing more can be written."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE):
            return True
        error = error.__cause__
    return False


def to_record(error: BaseException) -> dict[str, Any]:
    """``code`` and ``fields`` of an error, as JSON values; empty for one that is not expected.

    A class that a plug-in defines is sent as its nearest base class here.
    """
    if not isinstance(error, CurateError):
        return {"code": DiskFullError.__name__, "fields": {}} if is_disk_full(error) else {}
    code = next(one.__name__ for one in type(error).__mro__ if one.__module__ == __name__)
    return {"code": code, "fields": {name: getattr(error, name) for name in error.fields}}


def error_class(code: str | None) -> type[BuildError]:
    """The class that a code names; BuildError where it names none that stops a build."""
    found = globals().get(code or "")
    return found if isinstance(found, type) and issubclass(found, BuildError) else BuildError


def from_record(record: Mapping[str, Any], message: str) -> BuildError:
    """The error that :func:`to_record` described, with a message that names the place."""
    kind = error_class(record.get("code"))
    error = kind.__new__(kind, message)
    error.__dict__.update(record.get("fields", {}))
    return error

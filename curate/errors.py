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


class AuthenticationError(ModelError):
    """A server refuses the key; no other question would fare better."""


class QuotaError(ModelError):
    """The quota of a key is used up."""


class AddressError(ModelError):
    """There is no such model, path or server at this address."""


class RequestError(ModelError):
    """One request got no answer; others may get theirs.

    ``transient`` says whether the next build asks it again by itself.
    """

    transient = False


class BadRequestError(RequestError):
    """A server refuses the request as it is: malformed, or with a parameter that it does not take."""


class ContextLengthError(RequestError):
    """A prompt and the answer that was asked for do not fit into the model's context."""


class ContentFilterError(RequestError):
    """A server withholds an answer because of its content, or refuses the request's."""


class AnswerTooLargeError(RequestError):
    """An answer has far more bytes than the tokens that were asked for can have."""


class ServerError(RequestError):
    """A server failed, or what came back is not what it promises; it may work later.

    Args:
        wait: seconds the server asked to wait.
        load: whether it says something about the server's load.
        counts: whether it uses up one of the retries; being told to come later does not.
        again: whether it may work when tried again at once, in this build.
    """

    transient = True

    def __init__(
        self, message: str, *, wait: float | None = None, load: bool = True, counts: bool = True, again: bool = True
    ) -> None:
        super().__init__(message)
        self.wait, self.load, self.counts, self.again = wait, load, counts, again


class RateLimitError(ServerError):
    """A server wants to be asked less often."""


class AnswerTimeoutError(ServerError):
    """A server did not answer in time."""


class ConnectError(ServerError):
    """Nobody answers at an address."""


class BudgetError(ModelError):
    """A call would cost more than the catalog's budget leaves."""


class ExportError(CurateError):
    """A version cannot be written in the form that was asked for."""


class PublishError(CurateError):
    """A version may not or cannot be published."""

"""Interfaces of models: encoder, language identifier, generator, translator, aligner, reward model.

A :class:`Model` holds the parameters of the catalog; :meth:`Model.load` returns an object with one of these interfaces.
Steps know the interfaces only. The catalog decides which server, file or library implements one.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from pydantic import Field

from curate.catalog.params import Params, Role, Runtime


@runtime_checkable
class Encoder(Protocol):
    """A loaded sentence encoder."""

    dimensions: int
    absolute: bool
    """Whether a cosine means the same in every language and fits usual thresholds. If not, use margins or calibrate,
    and share no threshold with another encoder."""

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit-length vectors, shape (len(texts), dimensions); equal texts give equal vectors.

        A text of whitespace gets the zero vector, whose cosine with anything is 0.
        """
        ...

    def supports(self, language: str) -> bool:
        """Whether similarities of texts in this language are meaningful."""
        ...


@dataclass(frozen=True)
class Identified:
    """The languages of each text: tags and probabilities, best first; both empty if the identifier abstained."""

    languages: list[list[str]]
    probabilities: list[list[float]]


@runtime_checkable
class LanguageIdentifier(Protocol):
    """A loaded language identifier."""

    def identify(self, texts: Sequence[str], k: int = 1) -> Identified:
        """The k most likely languages (canonical tags) of each text, with probabilities in [0, 1]."""
        ...

    def supports(self, language: str) -> bool:
        """Whether it can identify this language."""
        ...


# --------------------------------------------------------------------------------------------------- text generation
class Sampling(Params):
    """Sampling parameters. Those left out have the model's own default (``temperature``: 0)."""

    temperature: Annotated[float, Field(ge=0, le=5)] | None = 0.0
    """0 is greedy decoding; ``null`` sends none, for models that reject the parameter and use their own."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """Sample from the smallest set of tokens with this total probability."""
    top_k: Annotated[int, Field(ge=1)] | None = None
    """Sample from the k most likely tokens."""
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    """Sample from tokens with at least this fraction of the most likely token's probability."""
    max_tokens: Annotated[int, Field(ge=1)] = 1024
    """Maximum length of an answer in tokens; a longer one is truncated (``length``)."""
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Texts that end an answer."""
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    """Penalty on tokens that occurred."""
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    """Penalty on tokens by how often they occurred."""
    repetition_penalty: Annotated[float, Field(gt=0, le=3)] | None = None
    """Penalty on repetition as defined by vLLM and llama.cpp (``repeat_penalty``); above 1 discourages it."""
    seed: int = 0
    """Combined with the messages and the sample number into the seed of each request; unused at temperature 0."""


@dataclass(frozen=True)
class Request:
    """A request to a generator."""

    messages: tuple[tuple[str, str], ...]
    """(role, content), roles ``system``, ``user``, ``assistant``; a last ``assistant`` turn is continued."""
    sampling: Sampling = field(default_factory=Sampling)
    sample: int = 0
    """Sample number: each gives another answer to the same messages."""
    schema: Mapping[str, Any] | None = None
    """JSON Schema that the answer must satisfy; validated here whatever the server promises."""
    top_logprobs: int = 0
    """Number of most likely tokens whose log-probabilities are returned for each token of the answer; 0: none."""
    prompt_logprobs: bool = False
    """Return the log-probabilities of the last turn's tokens, given the turns before it, instead of an answer."""
    row: str = ""
    """Id of the row, for error messages; not part of the cache key."""
    fresh: bool = False
    """Whether to ignore a cached answer and replace it by a new one."""
    tools: str = ""
    """The tools that the model may call, as in rows: a JSON array of ``{type, function: {name, description,
    parameters}}``."""
    parts: tuple[Mapping[str, Any], ...] = ()
    """For each message its optional parts, as in rows: ``tool_calls``, ``tool_call_id``, ``name``. Messages beyond its
    end have none."""


@dataclass(frozen=True)
class TokenLogprob:
    """A token and its log-probability."""

    token: str
    logprob: float
    """Natural logarithm, at most 0."""
    top: tuple[tuple[str, float], ...] = ()
    """The most likely tokens at its position, best first."""


Finish = Literal["stop", "length", "filtered", "invalid", "failed"]


@dataclass(frozen=True)
class Completion:
    """The result of a request."""

    text: str
    finish: Finish
    """``stop``: complete; ``length``: truncated; ``filtered``: withheld by the server; ``invalid``: does not match the
    schema; ``failed``: there is no answer."""
    value: Any = None
    """The JSON value, if a schema was given and matches."""
    problem: str = ""
    """The reason, for ``invalid``, ``filtered`` and ``failed``, and for ``length`` if the rest cannot be used."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()
    reasoning: str = ""
    """The model's reasoning, where the server separates it."""
    cached: bool = False
    """Whether it comes from the cache, at no cost."""
    transient: bool = False
    """Whether the next build should repeat the request if the answer is unusable: the server failed, or the answer is
    empty."""
    error: str = ""
    """For ``failed`` and ``filtered``, the name of the error's class in :mod:`curate.errors`."""
    served: str = ""
    """The model that the server reports, if it is not the requested one."""
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    """The calls of tools in a complete answer, as in rows: ``{id, type, function: {name, arguments}}``."""
    remarks: tuple[str, ...] = ()
    """Warnings about the response that do not make the answer unusable."""

    @property
    def ok(self) -> bool:
        """Whether it is complete and matches the schema."""
        return self.finish == "stop"

    def replace(self, **changes: Any) -> Completion:
        """A copy with changes."""
        return dataclasses.replace(self, **changes)


def signed(name: str, served: str) -> str:
    """``name@revision`` for lineage; if the server reports another model, followed by ``+`` and that name."""
    return f"{name}+{served.replace('@', '-')}" if served else name


Done = Callable[[int], None]


@runtime_checkable
class Generator(Protocol):
    """A loaded language model."""

    def generate(self, requests: Sequence[Request], done: Done | None = None) -> list[Completion]:
        """The answer to each request, in order.

        A request that fails for good gives an answer with ``finish`` = ``failed``. Equal requests are sent once.

        Args:
            done: called with the number of requests just finished, from any thread.

        Raises:
            ModelError: no request can succeed: the server is unreachable, it rejects the key, or too many failed.
            BudgetError: the budget is spent.
        """
        ...

    def supports(self, language: str) -> bool:
        """Whether the catalog lists this language, or lists none."""
        ...


# --------------------------------------------------------------------------------------------------------- translation
@runtime_checkable
class Translator(Protocol):
    """A loaded translator of sentences."""

    longest: int
    """Maximum length of a sentence in characters; longer ones must be split at a space or comma first."""

    def supports(self, source: str, target: str) -> bool:
        """Whether it translates from one language into the other."""
        ...

    def translate(self, sentences: Sequence[str], source: str, target: str, done: Done | None = None) -> list[str]:
        """The translation of each sentence (without line breaks), in order; one of whitespace stays as it is.

        Raises:
            ModelError: the pair is not supported, or the engine died.
        """
        ...

    def maker(self, source: str, target: str) -> str:
        """``name@revision`` of the model that translates this pair (``a@1 → b@2`` for a route), for lineage."""
        ...


class LanguagePairs(Protocol):
    """The language pairs of a translator."""

    def find(self, source: str, target: str) -> tuple[str, str] | None:
        """The pair that serves this one (``pt`` may serve ``pt-BR``); None if there is none."""
        ...

    def describe(self) -> str:
        """A description of the pairs, for messages."""
        ...


# ----------------------------------------------------------------------------------------------------------- alignment
@dataclass(frozen=True)
class Alignment:
    """The links between the units of two texts."""

    links: tuple[tuple[int, int], ...]
    """(index on the source side, index on the target side), sorted."""
    scores: tuple[float, ...]
    """For each link, in [0, 1]; 1.0 where the aligner gives none."""
    forward: float
    """Mean log-probability of a target unit given the source side (at most 0); NaN where the aligner gives none."""
    backward: float
    """The same in the other direction."""


@runtime_checkable
class Aligner(Protocol):
    """A loaded word aligner."""

    def align(self, sources: Sequence[Sequence[str]], targets: Sequence[Sequence[str]]) -> list[Alignment]:
        """The alignment of each pair of unit lists, in order; a statistical aligner is trained on these pairs."""
        ...


# -------------------------------------------------------------------------------------------------------------- reward
@runtime_checkable
class RewardModel(Protocol):
    """A loaded model that scores the last answer of a conversation."""

    def score(
        self, conversations: Sequence[Sequence[tuple[str, str]]], done: Done | None = None
    ) -> npt.NDArray[np.float32]:
        """The reward of the last turn given those before it, shape (len(conversations),); greater is better.

        Rewards are comparable within one model only. NaN where a conversation is too long; equal conversations are
        scored once.

        Args:
            conversations: (role, content) turns, roles ``system``, ``user``, ``assistant``, the last one ``assistant``.
            done: called with the number of conversations just finished.

        Raises:
            ModelError: the model cannot score conversations of this form.
        """
        ...

    def supports(self, language: str) -> bool:
        """Whether its rewards for answers in this language are meaningful."""
        ...


# -------------------------------------------------------------------------------------------------------------- ledger
class Ledger(Protocol):
    """Counts costs and enforces the budget; thread-safe."""

    def reserve(self, model: str, tokens: int, money: float, *, paid: bool = False) -> int:
        """Reserves the maximum cost of one call; returns a number for :meth:`settle`.

        Args:
            paid: whether the call was made before, by a build that was killed: it counts, whatever the budget is.

        Raises:
            BudgetError: it would exceed the budget.
        """
        ...

    def settle(self, number: int, prompt_tokens: int, completion_tokens: int, money: float) -> None:
        """Replaces a reservation by the actual cost; 0 for a call that was not charged."""
        ...


# -------------------------------------------------------------------------------------------------------------- models
class Model(Params):
    """A model in the catalog's ``models:``; :meth:`load` loads it."""

    use: ClassVar[str]
    """Name in the catalog (``use: …``)."""
    summary: ClassVar[str] = ""
    """One line for lists and documentation."""
    role: ClassVar[Role | None] = None
    """Its interface; None if that is not known before it is loaded, so that it cannot be checked before."""
    version: ClassVar[int] = 1
    """Raised by hand when a change of the code gives other answers from the same weights."""

    terms: Runtime[str | None] = None
    """Terms under which its answers may be redistributed: an entry of the list of licences and terms (``openai-terms``
    …), or ``none``. Checked when a dataset is published; if left out, the name of the model decides."""

    @abstractmethod
    def name_and_revision(self) -> str:
        """The model as ``name@revision``: never an alias, an address or a path.

        A local file is identified by its content.
        """

    @abstractmethod
    def load(self, *, cache: Path | None, threads: int) -> Any:
        """Loads the model in this process and returns an :class:`Encoder`, a :class:`LanguageIdentifier`, ….

        Args:
            cache: a folder for cached answers, or None for no cache.
            threads: number of threads it may use.
        """

    def model_identity(self) -> dict[str, Any]:
        """The JSON that represents this model in cache keys."""
        return {
            "use": self.use,
            "version": self.version,
            "model": self.name_and_revision(),
            **self.data_identity(),
            **self.identity(),
        }

    def request_problems(self, sampling: Sampling, *, top_logprobs: int = 0) -> list[str]:
        """What a language model does not take of such requests, as far as is known before it is loaded.

        Args:
            top_logprobs: as in :class:`Request`.
        """
        return []

    def knows_language(self, language: str) -> bool | None:
        """Whether it supports texts in this language; None if that is not known before it is loaded.

        Raises:
            ModelError: files that it needs are missing.
        """
        return None

    def language_pairs(self) -> LanguagePairs | None:
        """The language pairs of a translator; None if they are not known before it is loaded.

        Raises:
            ModelError: files that it needs are missing.
        """
        return None

    def makers(self) -> tuple[str, ...]:
        """Prefixes of the names that its answers have in rows' lineage; by default its own name.

        A name in lineage is one of these, or one of these with more after a ``+``. A model that delegates to others has
        none, because its rows name those.
        """
        return (self.name_and_revision(),)

    def made_of(self) -> Mapping[str, Model]:
        """The models that it delegates to, by their names in the catalog."""
        return {}

    def terms_of_answers(self) -> str | None:
        """The terms of its answers, if known: ``terms``, or those of the shipped model."""
        return self.terms

    def with_models(self, models: Mapping[str, Any]) -> Model:
        """This model with the models that its parameters name (``ModelName``) resolved."""
        return self

    @property
    def exclusive(self) -> bool:
        """Whether one copy serves the whole build (a server with rate limits, a GPU, a process of its own).

        Steps that use such a model run in one process, with many concurrent requests.
        """
        return False

    @property
    def batched(self) -> bool:
        """Whether its answers take long but many can be asked for at once (a provider's batch interface), so that steps
        are given all rows of a shard at once."""
        return False

    @property
    def accelerators(self) -> int:
        """Number of GPUs (or similar) it uses in the build's own process; 0 for a server, or on the CPU."""
        return sum(model.accelerators for model in self.made_of().values())


def manifest_entries(models: Mapping[str, Model]) -> dict[str, dict[str, Any]]:
    """Describes models, and those they delegate to, for a version's manifest; by their names in the catalog.

    Besides the identity: ``makers``, if rows name it otherwise than ``model``; ``members``, if it delegates to others;
    ``terms``, if the catalog or the shipped model states them.
    """
    described: dict[str, dict[str, Any]] = {}
    for name, model in models.items():
        about = model.model_identity()
        makers, members, terms = model.makers(), model.made_of(), model.terms_of_answers()
        if list(makers) != [about.get("model")]:
            about["makers"] = list(makers)
        if members:
            about["members"] = list(members)
        if terms:
            about["terms"] = terms
        described |= {other: entry for other, entry in manifest_entries(members).items() if other not in described}
        described[name] = about
    return described

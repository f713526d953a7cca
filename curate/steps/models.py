"""A model is parameters in the catalog until it is loaded; a loaded model is what it can be asked to do, and nothing
else.

Steps know these contracts only: an encoder, a language identifier, a generator of text, a translator, an aligner, a
reward model. Which server, file or library stands behind one is the catalog's affair.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    """Whether a cosine means the same in every language and against other encoders' usual thresholds; if not, it has to
    be taken as a margin or calibrated, and no threshold may be shared."""

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit-length vectors, shape (len(texts), dimensions); equal texts give equal vectors.

        A blank text has no meaning to compare: it gets the zero vector, whose cosine with anything is 0.
        """
        ...

    def supports(self, language: str) -> bool:
        """Whether similarities of texts in this language mean anything."""
        ...


@dataclass(frozen=True)
class Identified:
    """What an identifier found in each text: tags and probabilities, best first; both empty if it abstained."""

    languages: list[list[str]]
    probabilities: list[list[float]]


@runtime_checkable
class LanguageIdentifier(Protocol):
    """A loaded language identifier."""

    def identify(self, texts: Sequence[str], k: int = 1) -> Identified:
        """The k likeliest languages (canonical tags) of each text, with probabilities in [0, 1]."""
        ...

    def supports(self, language: str) -> bool:
        """Whether this language is among those it can name."""
        ...


# --------------------------------------------------------------------------------------------------- text generation
class Sampling(Params):
    """How a generator chooses its words; what is left out is the model's own default (``temperature``: 0)."""

    temperature: Annotated[float, Field(ge=0, le=5)] | None = 0.0
    """0 takes the likeliest word every time; ``null`` sends none, for models that refuse it: they take their own."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """Least set of words that have this share of the probability."""
    top_k: Annotated[int, Field(ge=1)] | None = None
    """Only the k likeliest words."""
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    """Only words at least this share as likely as the likeliest."""
    max_tokens: Annotated[int, Field(ge=1)] = 1024
    """Longest answer, in tokens; a longer one is cut off and counts as such (``length``)."""
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Texts that end an answer."""
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    """Against words that were said at all."""
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    """Against words by how often they were said."""
    repetition_penalty: Annotated[float, Field(gt=0, le=3)] | None = None
    """Against repetition, as vLLM and llama.cpp (``repeat_penalty``) define it; above 1 discourages."""
    seed: int = 0
    """Mixed with what is asked and with the sample's number into the seed of each answer; unused at temperature 0."""


@dataclass(frozen=True)
class Request:
    """One question to a generator."""

    messages: tuple[tuple[str, str], ...]
    """(role, content), roles ``system``, ``user``, ``assistant``; a last ``assistant`` turn is to be continued."""
    sampling: Sampling = field(default_factory=Sampling)
    sample: int = 0
    """Which of several answers to the same question: each number is an answer of its own."""
    schema: Mapping[str, Any] | None = None
    """JSON Schema that the answer must satisfy; it is checked here whatever the server promises."""
    top_logprobs: int = 0
    """For each token of the answer, the log-probabilities of this many likeliest tokens (0: none are asked for)."""
    prompt_logprobs: bool = False
    """In place of an answer, the log-probabilities of the tokens of the last turn, given what comes before it."""
    row: str = ""
    """Id of the row it is for, told in errors; no part of what is asked."""
    fresh: bool = False
    """Whether the model is asked although an answer is kept; the new answer takes its place."""


@dataclass(frozen=True)
class TokenLogprob:
    """A token and how likely it was."""

    token: str
    logprob: float
    """Natural logarithm, at most 0."""
    top: tuple[tuple[str, float], ...] = ()
    """The likeliest tokens in its place, best first."""


Finish = Literal["stop", "length", "filtered", "invalid", "failed"]


@dataclass(frozen=True)
class Answer:
    """What came of a request."""

    text: str
    finish: Finish
    """``stop``: it ended by itself; ``length``: it was cut off; ``filtered``: the server withheld it; ``invalid``: it
    is not what the schema asks for; ``failed``: there is no answer."""
    value: Any = None
    """The JSON value, where a schema was given and holds."""
    problem: str = ""
    """What is wrong, for ``invalid``, ``filtered`` and ``failed``."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()
    reasoning: str = ""
    """What the model thought aloud, where the server tells it apart."""
    cached: bool = False
    """Whether it was kept from before; then nothing was spent."""
    transient: bool = False
    """Whether the next build should ask again if this answer is of no use: the server failed, or said nothing at all.
    """
    error: str = ""
    """For ``failed`` and ``filtered``, the name of the class in :mod:`curate.errors` that says what happened."""
    served: str = ""
    """The model that answered, by the server's own word, where that is another one than was asked for."""
    remarks: tuple[str, ...] = ()
    """What the user should know of the way the server answered, though the answer can be used."""

    @property
    def ok(self) -> bool:
        """Whether it is a whole answer that keeps to the schema."""
        return self.finish == "stop"

    def mended(self, **changes: Any) -> Answer:
        """A copy with changes."""
        return replace(self, **changes)


def signed(name: str, served: str) -> str:
    """``name@revision`` as it stands in lineage; where another model answered by the server's own word, that name
    behind a ``+``.
    """
    return f"{name}+{served.replace('@', '-')}" if served else name


Done = Callable[[int], None]


@runtime_checkable
class Generator(Protocol):
    """A loaded language model that answers."""

    def generate(self, requests: Sequence[Request], done: Done | None = None) -> list[Answer]:
        """An answer to each request, in order.

        One request that fails for good is an answer with ``finish`` = ``failed``; equal requests are asked once.

        Args:
            done: called with the number of requests just finished, from any thread.

        Raises:
            ModelError: nothing can be had any more: the server is away, the key is refused, failures come in a storm.
            BudgetError: the budget is spent.
        """
        ...

    def supports(self, language: str) -> bool:
        """Whether the catalog says (or leaves open) that it knows this language."""
        ...


# --------------------------------------------------------------------------------------------------------- translation
@runtime_checkable
class Translator(Protocol):
    """A loaded translator of sentences."""

    longest: int
    """How many characters of a sentence it takes at most; longer ones must be cut at a blank or comma before."""

    def supports(self, source: str, target: str) -> bool:
        """Whether it translates from one language into the other."""
        ...

    def translate(self, sentences: Sequence[str], source: str, target: str, done: Done | None = None) -> list[str]:
        """The translation of each sentence (no line breaks inside), in order; a blank one stays as it is.

        Raises:
            ModelError: the pair is not supported, or the engine died.
        """
        ...

    def maker(self, source: str, target: str) -> str:
        """``name@revision`` of what really translates this pair (``a@1 → b@2`` for a route), for lineage."""
        ...


class LanguagePairs(Protocol):
    """Which pairs of languages a translator translates."""

    def find(self, source: str, target: str) -> tuple[str, str] | None:
        """The pair that answers for this one (``pt-BR`` may be answered by ``pt``); None if there is none."""
        ...

    def describe(self) -> str:
        """The pairs in words, for messages."""
        ...


# ----------------------------------------------------------------------------------------------------------- alignment
@dataclass(frozen=True)
class Alignment:
    """Which units of two sides of a pair go together."""

    links: tuple[tuple[int, int], ...]
    """(index on the source side, index on the target side), sorted."""
    scores: tuple[float, ...]
    """For each link, in [0, 1]; 1.0 where the aligner gives none."""
    forward: float
    """Mean log-probability of a target unit given the source side (0 at best); NaN where the aligner gives none."""
    backward: float
    """The same, the other way round."""


@runtime_checkable
class Aligner(Protocol):
    """A loaded word aligner."""

    def align(self, sources: Sequence[Sequence[str]], targets: Sequence[Sequence[str]]) -> list[Alignment]:
        """The alignment of each pair of unit lists, in order; a statistical aligner learns from these very pairs."""
        ...


# -------------------------------------------------------------------------------------------------------------- reward
@runtime_checkable
class RewardModel(Protocol):
    """A loaded model that says how good the last answer of a conversation is."""

    def score(
        self, conversations: Sequence[Sequence[tuple[str, str]]], done: Done | None = None
    ) -> npt.NDArray[np.float32]:
        """How good the last turn is as an answer to those before it, shape (len(conversations),): greater is better.

        The numbers compare within one model only. NaN where a conversation is too long to be judged whole; equal
        conversations are judged once.

        Args:
            conversations: (role, content) turns, roles ``system``, ``user``, ``assistant``, the last one ``assistant``.
            done: called with the number of conversations just finished.

        Raises:
            ModelError: the model cannot take conversations of this form.
        """
        ...

    def supports(self, language: str) -> bool:
        """Whether its judgement of answers in this language means anything."""
        ...


# -------------------------------------------------------------------------------------------------------------- ledger
class Ledger(Protocol):
    """Who counts what is spent and says when it is enough; thread-safe."""

    def reserve(self, model: str, tokens: int, money: float) -> int:
        """Asks for one call that may cost this much; gives a number to settle it with.

        Raises:
            BudgetError: it would go over the budget.
        """
        ...

    def settle(self, number: int, prompt_tokens: int, completion_tokens: int, money: float) -> None:
        """What the call really cost; 0 for one that was not charged."""
        ...


# -------------------------------------------------------------------------------------------------------------- models
class Model(Params):
    """A model in the catalog's ``models:``: parameters now, weights on :meth:`load`."""

    use: ClassVar[str]
    """Name in the catalog (``use: …``)."""
    summary: ClassVar[str] = ""
    """One line for lists and documentation."""
    role: ClassVar[Role | None] = None
    """What it is for; None: not known before it is loaded, so that nobody can say beforehand that it will not do."""
    version: ClassVar[int] = 1
    """Raised by hand when the same weights give other answers because our code changed."""

    terms: Runtime[str | None] = None
    """Under which terms its answers may be passed on: an entry of the list of licences and terms (``openai-terms`` …),
    or ``none``. Counts when a dataset is published; where it is left out, the name of the model decides."""

    @abstractmethod
    def name_and_revision(self) -> str:
        """What was asked to answer, as ``name@revision``: never an alias, an address or a path.

        A local file counts by its content.
        """

    @abstractmethod
    def load(self, *, cache: Path | None, threads: int) -> Any:
        """The working model (an :class:`Encoder`, a :class:`LanguageIdentifier`, …), in this process.

        Args:
            cache: a folder where answers may be kept by content, or None for no cache.
            threads: how many threads it may use.
        """

    def model_identity(self) -> dict[str, Any]:
        """The JSON that stands for this model in every key."""
        return {
            "use": self.use,
            "version": self.version,
            "model": self.name_and_revision(),
            **self.data_identity(),
            **self.identity(),
        }

    def knows_language(self, language: str) -> bool | None:
        """Whether it can deal with texts in this language; None: that is not known before it is loaded.

        Raises:
            ModelError: what it stands on is not here.
        """
        return None

    def language_pairs(self) -> LanguagePairs | None:
        """What a translator translates into what; None: that is not known before it is loaded.

        Raises:
            ModelError: what it stands on is not here.
        """
        return None

    def makers(self) -> tuple[str, ...]:
        """How the names begin under which its answers stand in rows' lineage: by default its own.

        A name there is one of these, or one of these with more behind a ``+``. A model that is made of others and lets
        them answer has none: its rows name those.
        """
        return (self.name_and_revision(),)

    def made_of(self) -> Mapping[str, Model]:
        """The models that answer in its place, by their names in the catalog."""
        return {}

    def terms_of_answers(self) -> str | None:
        """Under which terms its answers come, where that is known here: ``terms``, or what it is shipped with."""
        return self.terms

    def with_models(self, models: Mapping[str, Any]) -> Model:
        """This model with those it is made of at hand, for one that names others (``ModelName``) in its parameters."""
        return self

    @property
    def exclusive(self) -> bool:
        """Whether one copy serves the whole build: a server with rate limits, a GPU, a process of its own.

        Steps that use such a model run in one process, which may ask for many things at once.
        """
        return False

    @property
    def accelerators(self) -> int:
        """How many GPUs (or the like) it holds in the build's own process; none for a server's, or on the CPU."""
        return sum(model.accelerators for model in self.made_of().values())


def told(models: Mapping[str, Model]) -> dict[str, dict[str, Any]]:
    """What a version's manifest tells of models and of those they are made of, by their names in the catalog.

    Beside the identity: ``makers``, where rows name it otherwise than ``model``; ``members``, where others answer in
    its place; ``terms``, where the catalog (or what it is shipped with) says them.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, model in models.items():
        about = model.model_identity()
        makers, members, terms = model.makers(), model.made_of(), model.terms_of_answers()
        if list(makers) != [about.get("model")]:
            about["makers"] = list(makers)
        if members:
            about["members"] = list(members)
        if terms:
            about["terms"] = terms
        found |= {other: tale for other, tale in told(members).items() if other not in found}
        found[name] = about
    return found

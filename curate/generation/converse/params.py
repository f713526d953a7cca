"""Parameters of ``converse``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from curate.catalog.params import GeneratorName, LanguageTag, PerLanguage
from curate.generation.common.conversations import CHATS
from curate.generation.common.prompts import Prompting, prompt_problems
from curate.generation.common.requests import RETRY
from curate.generation.respond.params import ANSWER_IN
from curate.rows import Kind
from curate.steps import RowStep
from curate.steps.models import Sampling

USER, PARTS = "converse/user", "converse/parts"
HOLES = ("prompt", "text", "language", "language_name", "language_own_name")
Rounds = Annotated[int, Field(ge=1, le=64)]


class ConverseParams(Prompting, RowStep):
    """Parameters of ``converse``."""

    tag: ClassVar[str] = "converse"
    version: ClassVar[int] = 2
    kinds: ClassVar[frozenset[Kind]] = CHATS | {Kind.DOCUMENT}
    batch: ClassVar[int] = 512
    summary: ClassVar[str] = "conversations of several turns between a simulated user and a model"

    assistant: GeneratorName
    """The model that answers. Its messages are the conversation's assistant turns."""
    user: GeneratorName
    """The model that plays the user. It may be the same."""
    rounds: Rounds | tuple[Rounds, Rounds] = (2, 4)
    """Number of user messages with their answers: one number, or the least and the most, drawn for each row by the
    seed. A conversation ends earlier only if the user has nothing left to ask."""
    n: Annotated[int, Field(ge=1, le=64)] = 1
    """Number of conversations for each row."""
    start: Literal["row", "user"] = "row"
    """``row``: the row's own turns, up to its last user turn, begin the conversation. ``user``: the simulated user
    writes the first message too, and the row only gives the goal. Documents are always ``user``."""
    goal: PerLanguage[str] | None = None
    """What the user wants, with ``{prompt}``, ``{text}``, ``{attribute.NAME}`` and ``{language_name}``. Default: with
    ``start: user`` the row's prompt or text; else none."""
    persona: PerLanguage[str] | None = None
    """Who the user is, with the same placeholders: ``"{attribute.persona}"``, ``a nurse from Kisumu``."""
    style: PerLanguage[str] | None = None
    """How the user writes: ``short, with typing errors``, ``formal and detailed``."""
    language: LanguageTag | tuple[LanguageTag, ...] | None = None
    """Language of the assistant, and of the user if ``user_language`` is not set; several languages give conversations
    in each. By default the row's."""
    user_language: LanguageTag | None = None
    """Language of the user, if it is another one."""
    mix: LanguageTag | None = None
    """A second language that the user mixes into the first one (code-switching)."""
    system: PerLanguage[str] | None = None
    """A system prompt for the assistant, by its language, with the same placeholders. By default the row's own."""
    keep_system: bool = True
    """Whether the row keeps the assistant's system prompt."""
    instruct_language: bool = True
    """Whether to tell the assistant, in its language, which language to answer in where it is not the user's."""
    sampling: Sampling = Sampling(temperature=0.7)
    """Sampling parameters of the assistant."""
    user_sampling: Sampling = Sampling(temperature=1.0, max_tokens=256)
    """Sampling parameters of the user."""
    end: Annotated[str, Field(min_length=1, max_length=40)] = "[END]"
    """What the user writes to end the conversation."""
    broken: Literal["quarantine", "keep"] = "quarantine"
    """What to do with a conversation in which a message could not be had (no answer, cut off, empty): quarantine it, or
    keep the rounds before it if there is at least one."""
    retries: Annotated[int, Field(ge=0, le=5)] = 1
    """How often an unusable message is requested again, with the complaint."""
    strict: bool = False
    """Whether a language that is not in a model's ``languages`` stops the build. Otherwise it is a warning."""

    @field_validator("rounds")
    @classmethod
    def _ordered(cls, rounds: int | tuple[int, int]) -> int | tuple[int, int]:
        if isinstance(rounds, tuple) and rounds[0] > rounds[1]:
            raise ValueError(f"the least number of rounds comes first: [{rounds[1]}, {rounds[0]}]")
        return rounds

    @model_validator(mode="after")
    def _several(self) -> ConverseParams:
        if self.n > 1 and self.user_sampling.temperature == 0 and self.sampling.temperature == 0:
            raise ValueError(f"{self.n} conversations at temperature 0 would all be the same; set user_sampling")
        return self

    def makes(self, kind: Kind) -> Kind:
        return Kind.SFT

    def shipped(self) -> Iterable[str]:
        return [USER, PARTS, *([RETRY] if self.retries else []), *([ANSWER_IN] if self.instruct_language else [])]

    def languages_after(self, kind: Kind, languages: frozenset[str] | None) -> frozenset[str] | None:
        if self.language is None:
            return languages
        return frozenset([self.language] if isinstance(self.language, str) else self.language)

    def check(self, kind: Kind) -> list[str]:
        problems = []
        holes = tuple(hole for hole in HOLES if hole != ("prompt" if kind is Kind.DOCUMENT else "text"))
        for name in ("goal", "persona", "style", "system"):
            if (template := getattr(self, name)) is not None:
                problems += prompt_problems(name, template, holes, ["attribute."])
        if self.start == "row" and kind is Kind.DOCUMENT and "start" in self.model_fields_set:
            problems.append("start: documents have no turns; the user begins (start: user)")
        return problems

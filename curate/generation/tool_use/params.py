"""Parameters of ``tool_use``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from curate.catalog.params import GeneratorName, LanguageTag, PerLanguage, Share
from curate.generation.common.conversations import CHATS
from curate.generation.common.prompts import Prompting, prompt_problems
from curate.generation.common.requests import RETRY
from curate.rows import Kind
from curate.steps import RowStep
from curate.steps.models import Sampling

Case = Literal["single", "parallel", "no_tool", "missing"]
USER, ASSISTANT, RESULT, PARTS, TOOLS = (
    f"tool_use/{name}" for name in ("user", "assistant", "result", "parts", "tools")
)
HOLES = ("prompt", "language", "language_name", "language_own_name")


class ToolUseParams(Prompting, RowStep):
    """Parameters of ``tool_use``."""

    tag: ClassVar[str] = "tool_use"
    version: ClassVar[int] = 2
    kinds: ClassVar[frozenset[Kind]] = CHATS
    batch: ClassVar[int] = 512
    summary: ClassVar[str] = "conversations with checked calls of each row's tools, their results, and an answer"

    assistant: GeneratorName
    """The model that calls tools and answers."""
    user: GeneratorName | None = None
    """The model that writes requests (``start: user``). Default: ``assistant``."""
    simulator: GeneratorName | None = None
    """The model that makes up what tools return, and the tools of ``tools``. Default: ``assistant``."""
    tools: PerLanguage[str] | None = None
    """A description of the tools to make for rows that have none, with ``{prompt}``, ``{attribute.NAME}`` and
    ``{language_name}``: ``"{attribute.domain}"``, ``tools of a railway``. By default such rows are quarantined."""
    start: Literal["row", "user"] = "row"
    """``row``: the row's last user turn, with the turns before it, is the request. ``user``: a model writes a request
    for the row's tools; the row's prompt is what it is about."""
    parallel: Share = 0.0
    """Share (0 to 1) of rows whose request needs several calls at once (``start: user``)."""
    no_tool: Share = 0.0
    """Share (0 to 1) of rows whose request no tool can fulfil: the answer must call none (``start: user``)."""
    missing: Share = 0.0
    """Share (0 to 1) of rows whose request leaves out a required argument: the answer must ask for it and call nothing
    (``start: user``)."""
    steps: Annotated[int, Field(ge=1, le=16)] = 3
    """The most steps in which tools are called before the answer."""
    n: Annotated[int, Field(ge=1, le=64)] = 1
    """Number of conversations for each row."""
    language: LanguageTag | None = None
    """Language of the conversation. By default the row's."""
    system: PerLanguage[str] | None = None
    """A system prompt for the assistant, with ``{language_name}`` and ``{attribute.NAME}``. By default the row's
    own."""
    keep_system: bool = True
    """Whether the row keeps the system prompt."""
    sampling: Sampling = Sampling(temperature=0.3)
    """Sampling parameters of the assistant and the simulator."""
    user_sampling: Sampling = Sampling(temperature=1.0, max_tokens=256)
    """Sampling parameters of the user."""
    retries: Annotated[int, Field(ge=0, le=5)] = 2
    """How often a reply is requested again, with the complaint: one that is no JSON, calls an unknown tool, or whose
    arguments the tool's JSON Schema does not allow."""
    strict: bool = False
    """Whether a language that is not in a model's ``languages`` stops the build. Otherwise it is a warning."""

    @model_validator(mode="after")
    def _shares(self) -> ToolUseParams:
        if self.parallel + self.no_tool + self.missing > 1:
            raise ValueError("parallel, no_tool and missing are shares of all rows, and together at most 1")
        if self.start == "row" and (self.parallel or self.no_tool or self.missing):
            raise ValueError("parallel, no_tool and missing say what requests are written; they need 'start: user'")
        if self.n > 1 and self.user_sampling.temperature == 0 and self.sampling.temperature == 0:
            raise ValueError(f"{self.n} conversations at temperature 0 would all be the same; set sampling")
        return self

    def makes(self, kind: Kind) -> Kind:
        return Kind.SFT

    def shipped(self) -> Iterable[str]:
        names = [ASSISTANT, RESULT, PARTS, *([RETRY] if self.retries else []), *([TOOLS] if self.tools else [])]
        return [*names, USER] if self.start == "user" else names

    def languages_after(self, kind: Kind, languages: frozenset[str] | None) -> frozenset[str] | None:
        return languages if self.language is None else frozenset([self.language])

    def check(self, kind: Kind) -> list[str]:
        return [
            problem
            for name in ("system", "tools")
            if (template := getattr(self, name)) is not None
            for problem in prompt_problems(name, template, HOLES, ["attribute."])
        ]

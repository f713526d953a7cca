"""Parameters of ``instruct``."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from curate.catalog.params import Decision, GeneratorName, LanguageTag, PerLanguage, RowsName
from curate.generation.common import requests as asking
from curate.generation.common.prompts import Prompting, Template, prompt_problems
from curate.generation.instruct.seeds import PEOPLE
from curate.rows import Kind
from curate.steps import GatherStep
from curate.steps.models import Sampling

PARTS = "instruct/parts"
HOLES = ("examples", "topic", "persona", "passage", "count", "form", "language", "language_name", "language_own_name")


class InstructParams(Prompting, GatherStep):
    """New instructions from seeds, personas or passages."""

    tag: ClassVar[str] = "instruct"
    summary: ClassVar[str] = (
        "new prompts (or questions with answers) from seeds, personas or passages, unlike those there are"
    )

    model: GeneratorName
    """Who writes."""
    method: Literal["seeds", "personas", "passages"] = "seeds"
    """What they grow out of: examples drawn from the rows (Self-InstructParams, Wang et al. 2023), a person who might ask (Ge et al. 2024), or a passage that
    answers them."""
    languages: tuple[LanguageTag, ...] | None = None
    """The languages to write in; by default those of the rows (for shipped personas: of the seeds)."""
    total: Annotated[int, Field(ge=1)] | None = None
    """How many rows to make in each language; needed for ``seeds``. Without it, each persona or passage is asked about once."""
    per_request: Annotated[int, Field(ge=1, le=100)] = 5
    """How many instructions one request asks for."""
    round: Annotated[int, Field(ge=1)] = 256
    """How many requests in each language go out together at most; what came of them decides how many more are needed."""
    max_requests: Annotated[int, Field(ge=1)] | None = None
    """How many requests in each language at most; by default four times as many as ``total`` needs if nothing is refused."""
    seeds: Annotated[int, Field(ge=0, le=50)] = 6
    """How many example instructions each request shows (none are needed for personas and passages)."""
    seeds_from: RowsName | None = None
    """Other rows to take the examples from; by default the step's own, if they are prompts or conversations."""
    own: Annotated[int, Field(ge=0, le=50)] = 2
    """How many instructions of earlier rounds each request shows besides."""
    seed_language: Literal["same", "prefer", "any"] = "prefer"
    """Whether examples must be in the language that is written, should be, or may be in any."""
    pool: Annotated[int, Field(ge=1)] = 2_000
    """Of at most so many seeds a language the examples are drawn, taken at random by the seed; none is longer than ``max_chars``."""
    personas: RowsName | None = None
    """Rows that describe a person each; by default the step's own rows if they are documents, else the list that comes with the package."""
    about: PerLanguage[tuple[str, ...]] | None = None
    """Topics; each request is about one of them, drawn by the seed."""
    passage_chars: Annotated[int, Field(ge=50)] = 4_000
    """The longest passage (or persona) that is shown; a longer one is cut after a paragraph or sentence."""
    passage_parts: Annotated[int, Field(ge=1)] = 1
    """Into how many such parts a longer one is cut; the rest of it is left out."""
    answers: bool | None = None
    """Whether the answers are written too: the rows are then ``sft``, else ``prompt``. By default only for passages."""
    with_input: bool = False
    """Whether an instruction may come with separate material, which is put below it."""
    evidence: bool = False
    """For passages: each answer comes with a quotation, and one that is not in the passage is refused. It is kept as ``instruct.evidence``."""
    sampling: Sampling = Sampling(temperature=0.9, top_p=0.95, max_tokens=2048)
    """How the model chooses its words."""
    prompt: PerLanguage[Template] | None = None
    """Another prompt than the shipped one, by the language that is written, with these holes: ``{examples}``, ``{topic}``, ``{persona}``, ``{passage}``, ``{count}``,
    ``{form}`` (what the JSON must look like), ``{language}``, ``{language_name}``, ``{language_own_name}``."""
    max_similarity: Annotated[float, Field(gt=0, le=1)] = 0.7
    """From which similarity (Dice coefficient of character n-grams, 0 to 1) on an instruction is refused as too like one in the rows, in
    ``against``, or made before it; at 1 only equal ones are."""
    against: RowsName | tuple[RowsName, ...] | None = None
    """Further rows that new instructions must be unlike: a dataset there is already, a benchmark."""
    blocklist: PerLanguage[tuple[str, ...]] | None = None
    """Words and phrases that no instruction may hold (things that words alone cannot do: ``graph``, ``draw``)."""
    min_letters: Annotated[float, Field(ge=0)] = 12
    """Shortest instruction, in Latin letters (a Han character counts 3, kana and Hangul 2)."""
    max_chars: Annotated[int, Field(ge=1)] = 4_000
    """Longest instruction with its input, in characters."""
    retries: Annotated[int, Field(ge=0, le=5)] = 1
    """How often an answer without one usable item is asked for again, with the complaint."""
    strict: bool = False
    """Whether a language that the model is not said to know stops the build; if not, it is warned of."""
    max_failed: Annotated[float, Field(ge=0, le=1)] = 0.5
    """The share of requests that may give nothing at all; above it (of 20 and more) the build stops."""
    max_error_rate: Decision[Annotated[float, Field(ge=0, le=1)]] = 1.0
    """The share of rows from which something was refused (0 to 1); refusing is this step's work, so by default it never stops the build."""

    @field_validator("languages", "against")
    @classmethod
    def _some(cls, value: Any) -> Any:
        if isinstance(value, tuple) and (not value or len(set(value)) < len(value)):
            raise ValueError("a list must have entries, each once")
        return value

    @model_validator(mode="after")
    def _fits(self) -> InstructParams:
        if self.method == "seeds" and self.total is None:
            raise ValueError("say how many instructions to make in each language: 'total'")
        if self.method == "seeds" and self.seeds == 0 and self.about is None and self.prompt is None:
            raise ValueError("with 'seeds: 0' every request would be the same; give 'about' or a 'prompt' of your own")
        if self.evidence and self.method != "passages":
            raise ValueError("'evidence' is a quotation from a passage; it needs 'method: passages'")
        if self.evidence and not self.writes_answers:
            raise ValueError("'evidence' goes with 'answers'")
        if self.personas is not None and self.method != "personas":
            raise ValueError("'personas' needs 'method: personas'")
        return self

    @property
    def writes_answers(self) -> bool:
        """Whether the rows have answers."""
        return self.method == "passages" if self.answers is None else self.answers

    def makes(self, kind: Kind) -> Kind:
        return Kind.SFT if self.writes_answers else Kind.PROMPT

    def shipped(self) -> Iterable[str]:
        names = [
            PARTS,
            *([asking.RETRY] if self.retries else []),
            *([f"instruct/{self.method}"] if self.prompt is None else []),
        ]
        return [*names, PEOPLE] if self.method == "personas" and self.personas is None else names

    def check(self, kind: Kind) -> list[str]:
        found = []
        if self.prompt is not None:
            needed = {"seeds": ("examples", "topic"), "personas": ("persona",), "passages": ("passage",)}[self.method]
            found += prompt_problems("prompt", self.prompt, HOLES, needed=needed)
            found += prompt_problems("prompt", self.prompt, HOLES, needed=["form"]) if not found else []
        if self.method == "seeds" and self.seeds and self.seeds_from is None and kind in (Kind.DOCUMENT, Kind.PARALLEL):
            found.append(
                f"method: {kind} rows are no instructions to go by; give 'seeds_from', or use 'method: passages' or 'personas'"
            )
        return found

    @property
    def most_requests(self) -> int:
        """How many requests in each language at most."""
        if self.max_requests is not None:
            return self.max_requests
        return 4 * math.ceil(self.total / self.per_request) if self.total is not None else 2**62

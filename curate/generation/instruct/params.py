"""Parameters of ``instruct``."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from curate.catalog.params import Decision, GeneratorName, LanguageTag, PerLanguage, RowsName
from curate.generation.common.prompts import Prompting, Template, prompt_problems
from curate.generation.common.requests import RETRY
from curate.generation.instruct.seeds import PEOPLE
from curate.rows import Kind
from curate.steps import DatasetStep
from curate.steps.models import Sampling

PARTS = "instruct/parts"
HOLES = ("examples", "topic", "persona", "passage", "count", "form", "language", "language_name", "language_own_name")


class InstructParams(Prompting, DatasetStep):
    """Parameters of ``instruct``."""

    tag: ClassVar[str] = "instruct"
    summary: ClassVar[str] = (
        "new prompts (or questions with answers) from seeds, personas or passages, without near-duplicates"
    )

    model: GeneratorName
    """The language model that writes."""
    method: Literal["seeds", "personas", "passages"] = "seeds"
    """What new instructions are based on: examples drawn from the rows (Self-Instruct, Wang et al. 2023), a person who
    might ask (Ge et al. 2024), or a passage that has the answer."""
    languages: tuple[LanguageTag, ...] | None = None
    """The languages to write in; by default those of the rows (for the package's personas: of the seeds)."""
    total: Annotated[int, Field(ge=1)] | None = None
    """Number of rows to make in each language; required for ``seeds``. Without it, there is one request per persona or
    passage."""
    per_request: Annotated[int, Field(ge=1, le=100)] = 5
    """Number of instructions per request."""
    round: Annotated[int, Field(ge=1)] = 256
    """Maximum number of requests per language sent together. Their yield decides how many more are needed."""
    max_requests: Annotated[int, Field(ge=1)] | None = None
    """Maximum number of requests per language; by default four times what ``total`` needs if nothing is refused."""
    seeds: Annotated[int, Field(ge=0, le=50)] = 6
    """Number of example instructions per request. Optional for personas and passages."""
    seeds_from: RowsName | None = None
    """Other rows to take the examples from; by default the step's own rows, if they are prompts or conversations."""
    own: Annotated[int, Field(ge=0, le=50)] = 2
    """Number of instructions from earlier rounds that each request shows too."""
    seed_language: Literal["same", "prefer", "any"] = "prefer"
    """Whether examples must be in the language that is written, should be (``prefer``), or may be in any."""
    pool: Annotated[int, Field(ge=1)] = 2_000
    """Maximum number of seeds per language to draw examples from, sampled by the seed. None is longer than
    ``max_chars``."""
    personas: RowsName | None = None
    """Rows that each describe a person; by default the step's own rows if they are documents, else the package's
    list."""
    about: PerLanguage[tuple[str, ...]] | None = None
    """Topics. Each request is about one of them, drawn by the seed."""
    passage_chars: Annotated[int, Field(ge=50)] = 4_000
    """Maximum length of a passage (or persona) in characters; a longer one is cut after a paragraph or sentence."""
    passage_parts: Annotated[int, Field(ge=1)] = 1
    """Maximum number of parts that a longer passage is cut into; the rest is left out."""
    answers: bool | None = None
    """Whether to write answers too: rows are ``sft``, else ``prompt``. By default only for passages."""
    with_input: bool = False
    """Whether an instruction may come with separate input, which is put below it."""
    evidence: bool = False
    """For passages: whether each answer must come with a quotation. An item whose quotation is not in the passage is
    refused. Kept as ``instruct.evidence``."""
    sampling: Sampling = Sampling(temperature=0.9, top_p=0.95, max_tokens=2048)
    """Sampling parameters."""
    prompt: PerLanguage[Template] | None = None
    """Your own prompt, by the language that is written. Placeholders: ``{examples}``, ``{topic}``, ``{persona}``,
    ``{passage}``, ``{count}``, ``{form}`` (the expected JSON), ``{language}``, ``{language_name}``,
    ``{language_own_name}``."""
    max_similarity: Annotated[float, Field(gt=0, le=1)] = 0.7
    """Similarity (Dice coefficient of character n-grams, 0 to 1) from which an instruction is refused as a
    near-duplicate of one in the rows, in ``against``, or accepted before it. 1 refuses only equal ones."""
    against: RowsName | tuple[RowsName, ...] | None = None
    """Further rows that new instructions must differ from: an existing dataset, a benchmark."""
    blocklist: PerLanguage[tuple[str, ...]] | None = None
    """Words and phrases that no instruction may contain (tasks that need more than text: ``graph``, ``draw``)."""
    min_letters: Annotated[float, Field(ge=0)] = 12
    """Minimum length of an instruction, in Latin letters (a Han character counts 3, kana and Hangul 2)."""
    max_chars: Annotated[int, Field(ge=1)] = 4_000
    """Maximum length of an instruction with its input, in characters."""
    retries: Annotated[int, Field(ge=0, le=5)] = 1
    """How often an answer without any usable item is requested again, with the complaint."""
    strict: bool = False
    """Whether a language that is not in the model's ``languages`` stops the build. Otherwise it is a warning."""
    max_failed: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Maximum share of requests without any result; above it (of 20 or more) the build stops."""
    max_error_rate: Decision[Annotated[float, Field(ge=0, le=1)]] = 1.0
    """Maximum share of rows from which something was refused (0 to 1). Refusing is normal for this step, so by default
    it never stops the build."""

    @field_validator("languages", "against")
    @classmethod
    def _some(cls, value: Any) -> Any:
        if isinstance(value, tuple) and (not value or len(set(value)) < len(value)):
            raise ValueError("a list must not be empty or name anything twice")
        return value

    @model_validator(mode="after")
    def _fits(self) -> InstructParams:
        if self.method == "seeds" and self.total is None:
            raise ValueError("method: seeds needs 'total', the number of instructions in each language")
        if self.method == "seeds" and self.seeds == 0 and self.about is None and self.prompt is None:
            raise ValueError("with 'seeds: 0' all requests would be the same; set 'about' or your own 'prompt'")
        if self.evidence and self.method != "passages":
            raise ValueError("'evidence' is a quotation from a passage; it needs 'method: passages'")
        if self.evidence and not self.writes_answers:
            raise ValueError("'evidence' needs 'answers'")
        if self.personas is not None and self.method != "personas":
            raise ValueError("'personas' needs 'method: personas'")
        return self

    @property
    def writes_answers(self) -> bool:
        """Whether the new rows have answers."""
        return self.method == "passages" if self.answers is None else self.answers

    def makes(self, kind: Kind) -> Kind:
        return Kind.SFT if self.writes_answers else Kind.PROMPT

    def shipped(self) -> Iterable[str]:
        names = [
            PARTS,
            *([RETRY] if self.retries else []),
            *([f"instruct/{self.method}"] if self.prompt is None else []),
        ]
        return [*names, PEOPLE] if self.method == "personas" and self.personas is None else names

    def check(self, kind: Kind) -> list[str]:
        problems = []
        if self.prompt is not None:
            needed = {"seeds": ("examples", "topic"), "personas": ("persona",), "passages": ("passage",)}[self.method]
            problems += prompt_problems("prompt", self.prompt, HOLES, needed=needed)
            problems += prompt_problems("prompt", self.prompt, HOLES, needed=["form"]) if not problems else []
        if self.method == "seeds" and self.seeds and self.seeds_from is None and kind in (Kind.DOCUMENT, Kind.PARALLEL):
            problems.append(
                f"method: {kind} rows are not instructions; set 'seeds_from', or use 'method: passages' or 'personas'"
            )
        return problems

    @property
    def most_requests(self) -> int:
        """Maximum number of requests in each language."""
        if self.max_requests is not None:
            return self.max_requests
        return 4 * math.ceil(self.total / self.per_request) if self.total is not None else 2**62

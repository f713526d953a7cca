"""Parameters of ``revise``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from curate.catalog.params import Amount, EncoderName, GeneratorName, LanguageTag, PerLanguage, RowsName
from curate.data_files import DataFile
from curate.generation.common.prompts import Prompting, Template, prompt_problems
from curate.generation.common.requests import RETRY
from curate.preferences.revise.error_injection_rules import RULES, TURNS, Rule
from curate.preferences.revise.prompts import (
    HOLES,
    JUDGING,
    NEEDED,
    PERSPECTIVES,
    TEXTS,
    PromptName,
    known_perspectives,
)
from curate.preferences.self_consistency.answer_phrases import ANSWERS
from curate.preferences.self_consistency.extract import Form
from curate.rows import Kind
from curate.steps import RowStep
from curate.steps.models import Sampling
from curate.text.numbers import NUMBER_WORDS
from curate.text.sentences import ABBREVIATIONS

Names = GeneratorName | tuple[GeneratorName, ...]
_WARM = "would all be the same at temperature 0; set sampling.temperature"


class ReviseParams(Prompting, RowStep):
    """Parameters of ``revise``."""

    tag: ClassVar[str] = "revise"
    version: ClassVar[int] = 2
    package_data: ClassVar[tuple[DataFile, ...]] = (ABBREVIATIONS, NUMBER_WORDS, ANSWERS)
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.SFT, Kind.PREFERENCE})
    batch: ClassVar[int] = 1_024
    summary: ClassVar[str] = (
        "a first answer, a critique and a corrected answer; kept if a check says the correction is better"
    )

    mode: Literal["critique", "inject", "contrast"] = "critique"
    """How a correction is made."""
    into: Literal["trajectory", "preference", "answer"] = "trajectory"
    """``trajectory``: a conversation with the first answer, the critique and the correction. ``preference``: the
    corrected answer chosen over the first. ``answer``: the corrected answer alone."""
    # ---------------------------------------------------------------------------------------------- models and method
    model: GeneratorName | None = None
    """The model that corrects, and does everything that no other model is set for. Not needed for ``inject`` by
    rules."""
    critics: Names | None = None
    """The models that criticise (for ``contrast``, that answer too); by default ``model``."""
    perspectives: tuple[Annotated[str, Field(min_length=1)], ...] = ("general",)
    """Points of view, each with its own critique (for ``contrast``, its own answer): ``general``, ``facts``,
    ``reasoning``, ``instructions``, ``language``, or a sentence of your own."""
    correct: Literal["model", "chosen"] = "model"
    """``chosen``: the chosen answer of a preference row is the correction; the critic sees it and says what the
    rejected one lacks."""
    rounds: Annotated[int, Field(ge=1, le=8)] = 1
    """Maximum number of critiques and corrections; it ends earlier if nothing is found wrong."""
    errors: tuple[Rule | Literal["model"], ...] = RULES
    """The errors that ``inject`` may insert: another ``number``, a ``swap`` of two numbers, the opposite ``operator``,
    an opposite word (``negation``, in languages with a list), an omitted step (``drop``), or an error that the
    ``model`` invents."""
    n: Annotated[int, Field(ge=1, le=64)] = 1
    """For ``inject``: number of wrong versions of each answer, each with another error (the model's first)."""
    sampling: Sampling = Sampling()
    """Sampling parameters; temperature 0 corrects best (Liu et al. 2024)."""
    templates: dict[PromptName, PerLanguage[Template]] = Field(default_factory=dict)
    """Your own prompts instead of the package's ``critique``, ``correct``, ``inject``, ``solve`` or ``contrast``."""
    instructions: Literal["own", "english"] = "own"
    """Whether models are prompted in the row's language, where the package has a text for it, or in English."""
    # -------------------------------------------------------------------------------------------------------- the row
    layout: Literal["user", "self", "inline"] = "user"
    """The layout of a trajectory. ``user``: the critique is a user turn and the correction the next answer. ``self``:
    the user asks for a second look; critique and correction are one answer. ``inline``: all is one answer with a marker
    before the correction (for ``inject`` right after the wrong step)."""
    marker: PerLanguage[str] | None = None
    """The text before a correction in an ``inline`` trajectory; by default the package's, in 29 languages, else
    English."""
    question: PerLanguage[str] | None = None
    """The user's request for a second look in a ``self`` trajectory; by default the package's, as for ``marker``."""
    tell: bool = True
    """Whether an ``inline`` trajectory says what is wrong, or has the marker only."""
    # ------------------------------------------------------------------------------------------------------ the check
    by: Literal["judge", "reference", "answer", "none"] | None = None
    """How a correction is checked: by a ``judge`` (each asked in both orders), by similarity to a ``reference`` answer
    (``encoder``), by whether its final ``answer`` is the reference's, or not at all. Required unless the right answer
    is known (``inject``, ``correct: chosen``)."""
    judge: Names | None = None
    """The judges; not the model that corrects."""
    encoder: EncoderName | None = None
    """The sentence encoder for ``by: reference``."""
    reference: RowsName | None = None
    """Rows with the right answers, found by ``group_id``; by default, for preference rows, the chosen answer."""
    reference_language: LanguageTag | None = None
    """The language of the references; by default the row's own, else English."""
    answer: Form = "number"
    """For ``by: answer``: the form of a final answer, see ``self_consistency``."""
    min_margin: PerLanguage[Amount] = PerLanguage[float]()
    """Minimum margin of a better correction. By default 0.5 for ``judge`` (-1 to 1), 0.02 for ``reference`` (a cosine);
    always above 0."""
    allow_self: bool = False
    """Whether a model may judge its own corrections."""
    # ------------------------------------------------------------------------------------------------------- decisions
    worse: Literal["drop", "keep", "turn"] = "drop"
    """What to do with corrections that are not better: drop them (counted in a warning), keep them with their verdict,
    or (``turn``, preference rows only) choose the first answer over those that the check calls worse."""
    unchanged: Literal["drop", "keep"] = "drop"
    """What to do with answers in which nothing was found wrong. ``keep`` makes trajectories that keep their answer
    (with ``by: answer`` only right ones), against needless corrections."""
    unassessed: Literal["drop", "keep"] = "drop"
    """What to do with corrections that could not be checked: no reference, or a language that the encoder does not
    support."""
    # -------------------------------------------------------------------------------------------------------- requests
    on_length: Literal["quarantine", "drop"] = "quarantine"
    """What to do with a row whose correction was cut off at ``sampling.max_tokens``."""
    reasoning_tags: tuple[str, str] = ("<think>", "</think>")
    """The tags around the reasoning, for servers that do not return it separately. Reasoning is dropped."""
    retries: Annotated[int, Field(ge=0, le=5)] = 1
    """How often an unusable answer is requested again, with the complaint."""
    strict: bool = False
    """Whether a language that is not in a model's ``languages`` stops the build. Otherwise it is a warning."""

    @field_validator("critics", "judge", "perspectives", "errors")
    @classmethod
    def _some(cls, value: Any) -> Any:
        if isinstance(value, tuple) and (not value or len(set(value)) < len(value)):
            raise ValueError("a list must not be empty or name anything twice")
        return value

    @model_validator(mode="after")
    def _together(self) -> ReviseParams:
        if self.mode == "inject":
            self._sound_inject()
        elif self.n > 1:
            raise ValueError("'n' is for 'inject'; for other modes set 'rounds' or 'perspectives'")
        elif self.model is None and not (self.correct == "chosen" and self.critics is not None):
            raise ValueError(f"mode: {self.mode} needs 'model'")
        if self.correct == "chosen" and (self.mode != "critique" or self.rounds > 1):
            raise ValueError("correct: chosen is for 'critique' in one round: the correction already exists")
        if self.mode == "contrast" and self.rounds > 1:
            raise ValueError("'rounds' is for 'critique'")
        if (
            self.mode == "contrast"
            and len(self.perspectives) * len(self.everyone) < 2
            and self.sampling.temperature == 0
        ):
            raise ValueError("contrast needs something to compare: two 'perspectives' or more, or several 'critics'")
        if self.worse == "turn" and self.into != "preference":
            raise ValueError("worse: turn is for 'into: preference'")
        if self.unchanged == "keep" and self.into != "trajectory":
            raise ValueError("unchanged: keep is for 'into: trajectory'; otherwise it would be the row itself")
        self._sound_check()
        return self

    def _sound_inject(self) -> None:
        if "model" in self.errors and self.model is None:
            raise ValueError("errors: model needs 'model', which invents them")
        if self.into == "answer":
            raise ValueError("inject: the corrected answer alone is the row itself; make a trajectory or a preference")
        if self.errors == ("model",) and self.n > 1 and self.sampling.temperature == 0:
            raise ValueError(f"{self.n} errors of the model {_WARM}")
        unused = [name for name in ("critics", "rounds", "perspectives", "correct") if name in self.model_fields_set]
        if unused:
            raise ValueError(f"'{unused[0]}' is not for 'inject'")

    def _sound_check(self) -> None:
        if self.by is None and self.mode != "inject" and self.correct != "chosen":
            raise ValueError("say how a correction is checked: 'by: judge', 'reference', 'answer' or 'none'")
        needs = {"judge": "judge", "reference": "encoder"}
        if self.by in needs and getattr(self, needs[self.by]) is None:
            raise ValueError(f"by: {self.by} needs '{needs[self.by]}'")
        for name, user in (("judge", ("judge",)), ("encoder", ("reference",)), ("reference", ("reference", "answer"))):
            if getattr(self, name) is not None and self.by not in user:
                raise ValueError(f"'{name}' is for 'by: {' or '.join(user)}'")
        if self.judge is not None and not self.allow_self and self.model in self.judges:
            raise ValueError(
                f"'{self.model}' would judge its own corrections; name another judge, or write 'allow_self: true'"
            )

    # ------------------------------------------------------------------------------------------------------- what it is
    @property
    def everyone(self) -> tuple[str, ...]:
        """The models that criticise or answer."""
        names = self.critics or self.model
        return () if names is None else (names,) if isinstance(names, str) else names

    @property
    def judges(self) -> tuple[str, ...]:
        """The judges."""
        return () if self.judge is None else (self.judge,) if isinstance(self.judge, str) else self.judge

    def makes(self, kind: Kind) -> Kind:
        return Kind.PREFERENCE if self.into == "preference" else Kind.SFT

    def prompt_names(self) -> tuple[PromptName, ...]:
        """The prompts in use."""
        if self.mode == "inject":
            return ("inject",) if "model" in self.errors else ()
        if self.mode == "contrast":
            return ("solve", "contrast", "correct")
        return ("critique",) if self.correct == "chosen" else ("critique", "correct")

    def languages_after(self, kind: Kind, languages: frozenset[str] | None) -> frozenset[str] | None:
        return languages

    def shipped(self) -> Iterable[str]:
        used = [f"revise/{name}" for name in self.prompt_names() if name not in self.templates]
        used += [RETRY] if self.retries and (self.prompt_names() or self.judges) else []
        used += [PERSPECTIVES] if self.mode != "inject" else [TURNS] if "negation" in self.errors else []
        return [*used, TEXTS, *(JUDGING if self.judges else ())]

    def check(self, kind: Kind) -> list[str]:
        problems = self._text_problems()
        if self.correct == "chosen" and kind is not Kind.PREFERENCE:
            problems.append(f"correct: chosen needs preference rows, but these are {kind} rows")
        needs = self.by in ("reference", "answer") and self.reference is None
        if needs and (kind is not Kind.PREFERENCE or self.mode == "inject"):
            problems.append(f"by: {self.by} needs 'reference': rows with the right answers, found by group_id")
        return problems

    def _text_problems(self) -> list[str]:
        """Problems with the user's own texts."""
        problems = []
        for name, templates in self.templates.items():
            if name not in self.prompt_names():
                problems.append(f"templates.{name}: not used; in use {', '.join(self.prompt_names()) or 'is none'}")
            problems += prompt_problems(f"templates.{name}", templates, HOLES[name], needed=NEEDED[name])
        for text, own in (("marker", self.marker), ("question", self.question)):
            problems += [] if own is None else prompt_problems(text, own, ())
        return problems + known_perspectives(self.perspectives)

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
from curate.preferences.revise.prompts import HOLES, JUDGING, NEEDED, PERSPECTIVES, TEXTS, Asked, known_perspectives
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
    """Answers and their corrections.

    Of an ``sft`` row the last answer is revised. Of a ``preference`` row ``critique`` and ``contrast`` revise the rejected answer, and
    ``inject`` puts errors into the chosen one.

    Scores: ``first``, ``corrected`` and ``margin`` by the check. Attributes: ``verdict`` (``better``, ``worse``, ``same``: not better by
    ``min_margin``, ``unchanged``, ``unassessed``, ``unchecked``), ``mode``, ``rounds``, ``critique`` (what was found wrong),
    ``error`` (which error was put in), ``step`` (where, from 1), ``by`` (who criticised), ``reason`` (the judges' words).
    """

    tag: ClassVar[str] = "revise"
    package_data: ClassVar[tuple[DataFile, ...]] = (ABBREVIATIONS, NUMBER_WORDS, ANSWERS)
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.SFT, Kind.PREFERENCE})
    batch: ClassVar[int] = 1_024
    summary: ClassVar[str] = (
        "first answer, what is wrong with it, corrected answer; kept where a check says it is better"
    )

    mode: Literal["critique", "inject", "contrast"] = "critique"
    """How an answer comes to its correction."""
    into: Literal["trajectory", "preference", "answer"] = "trajectory"
    """``trajectory``: a conversation with the first answer, the critique and the correction; ``preference``: the corrected answer over the
    first; ``answer``: the corrected answer alone."""
    # ----------------------------------------------------------------------------------------------------- who and how
    model: GeneratorName | None = None
    """Who corrects, and who does whatever else is not given to others; ``inject`` by rules needs none."""
    critics: Names | None = None
    """Who criticises (for ``contrast``, who else answers); ``model`` if left out."""
    perspectives: tuple[Annotated[str, Field(min_length=1)], ...] = ("general",)
    """Points of view, each with a review (for ``contrast``, an answer) of its own: ``general``, ``facts``, ``reasoning``, ``instructions``, ``language``,
    or a sentence of your own."""
    correct: Literal["model", "chosen"] = "model"
    """``chosen``: the correction of a preference row is its chosen answer; the critic sees it and says what the rejected one lacks."""
    rounds: Annotated[int, Field(ge=1, le=8)] = 1
    """How often an answer is criticised and corrected, unless nothing is found wrong any more."""
    errors: tuple[Rule | Literal["model"], ...] = RULES
    """What ``inject`` may put in: another ``number``, two numbers in a ``swap``, a turned ``operator``, an opposite word (``negation``, in languages with
    a list), a step left out (``drop``), or an error that the ``model`` thinks of."""
    n: Annotated[int, Field(ge=1, le=64)] = 1
    """How many wrong versions ``inject`` makes of each answer, each another error (that of the model first)."""
    sampling: Sampling = Sampling()
    """How models choose their words; temperature 0 corrects best (Liu et al. 2024)."""
    templates: dict[Asked, PerLanguage[Template]] = Field(default_factory=dict)
    """Your own prompts in place of the shipped ``critique``, ``correct``, ``inject``, ``solve`` or ``contrast``."""
    instructions: Literal["own", "english"] = "own"
    """Whether models are spoken to in the row's language, where there is a shipped text for it, or in English."""
    # -------------------------------------------------------------------------------------------------------- the row
    layout: Literal["user", "self", "inline"] = "user"
    """Of a trajectory. ``user``: the critique is a user turn, the correction the next answer; ``self``: the user asks for a second look, and
    critique and correction are one answer; ``inline``: all is one answer, with a marker between (for ``inject`` right behind the wrong step)."""
    marker: PerLanguage[str] | None = None
    """What stands before a correction in an ``inline`` trajectory; shipped for 29 languages, else English."""
    question: PerLanguage[str] | None = None
    """How the user asks for a second look in a ``self`` trajectory; shipped likewise."""
    tell: bool = True
    """Whether what is wrong is said in trajectories of ``inline`` layout, or the marker alone stands there."""
    # ------------------------------------------------------------------------------------------------------ the check
    by: Literal["judge", "reference", "answer", "none"] | None = None
    """How a correction is known to be better: by ``judge`` (each asked in both orders), by nearness to a ``reference`` answer (``encoder``), by
    its final ``answer`` being that of the reference, or not at all. To be said, but where the right answer is known (``inject``, ``correct: chosen``)."""
    judge: Names | None = None
    """Who judges; not the model that corrects."""
    encoder: EncoderName | None = None
    """The sentence encoder for ``reference``."""
    reference: RowsName | None = None
    """Rows with the right answers, found by ``group_id``; of preference rows the chosen answer is the reference if left out."""
    reference_language: LanguageTag | None = None
    """The language of the references; by default the row's own, else English."""
    answer: Form = "number"
    """What a final answer is, for ``by: answer``: see ``self_consistency``."""
    min_margin: PerLanguage[Amount] = PerLanguage[float]()
    """Least margin by which a correction is better. Unless given, 0.5 for ``judge`` (-1 to 1), 0.02 for ``reference`` (a cosine); above 0 in any case."""
    allow_self: bool = False
    """Whether a model may judge its own corrections."""
    # ------------------------------------------------------------------------------------------------ what becomes of it
    worse: Literal["drop", "keep", "turn"] = "drop"
    """What becomes of corrections that are not better: left out (counted in a warning), kept with their verdict, or (``turn``, preference
    rows only) where the check calls them worse, the first answer is chosen over them."""
    unchanged: Literal["drop", "keep"] = "drop"
    """What becomes of answers in which nothing was found wrong: ``keep`` makes trajectories that stay with their answer (with ``by: answer`` only
    right ones), against needless corrections."""
    unassessed: Literal["drop", "keep"] = "drop"
    """What becomes of corrections that the check could not look at: no reference, a language that the encoder does not know."""
    # ------------------------------------------------------------------------------------------------------- the asking
    on_length: Literal["quarantine", "drop"] = "quarantine"
    """What becomes of a row whose correction was cut off at ``sampling.max_tokens``."""
    reasoning_tags: tuple[str, str] = ("<think>", "</think>")
    """How thoughts begin and end where the server does not tell them apart; they are left out."""
    retries: Annotated[int, Field(ge=0, le=5)] = 1
    """How often an answer that cannot be used is asked for again, with the complaint."""
    strict: bool = False
    """Whether a language that is not in a model's ``languages`` stops the build. Otherwise it is a warning."""

    @field_validator("critics", "judge", "perspectives", "errors")
    @classmethod
    def _some(cls, value: Any) -> Any:
        if isinstance(value, tuple) and (not value or len(set(value)) < len(value)):
            raise ValueError("a list must have entries, each once")
        return value

    @model_validator(mode="after")
    def _together(self) -> ReviseParams:
        if self.mode == "inject":
            self._sound_inject()
        elif self.n > 1:
            raise ValueError("'n' is for 'inject'; of other modes, 'rounds' and 'perspectives' say how much is asked")
        elif self.model is None and not (self.correct == "chosen" and self.critics is not None):
            raise ValueError(f"mode: {self.mode} needs 'model'")
        if self.correct == "chosen" and (self.mode != "critique" or self.rounds > 1):
            raise ValueError("correct: chosen is for 'critique' in one round: the correction is there already")
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
            raise ValueError("unchanged: keep is for 'into: trajectory'; anything else would be the row as it is")
        self._sound_check()
        return self

    def _sound_inject(self) -> None:
        if "model" in self.errors and self.model is None:
            raise ValueError("errors: model needs 'model', who thinks of them")
        if self.into == "answer":
            raise ValueError(
                "inject: the corrected answer alone is the row as it is; make a trajectory or a preference"
            )
        if self.errors == ("model",) and self.n > 1 and self.sampling.temperature == 0:
            raise ValueError(f"{self.n} errors of the model {_WARM}")
        given = [name for name in ("critics", "rounds", "perspectives", "correct") if name in self.model_fields_set]
        if given:
            raise ValueError(f"'{given[0]}' is not for 'inject'")

    def _sound_check(self) -> None:
        if self.by is None and self.mode != "inject" and self.correct != "chosen":
            raise ValueError("say how a correction is known to be better: 'by: judge', 'reference', 'answer' or 'none'")
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

    # -------------------------------------------------------------------------------------------------------- what it is
    @property
    def everyone(self) -> tuple[str, ...]:
        """Who criticises, or answers."""
        given = self.critics or self.model
        return () if given is None else (given,) if isinstance(given, str) else given

    @property
    def judges(self) -> tuple[str, ...]:
        """Who judges."""
        return () if self.judge is None else (self.judge,) if isinstance(self.judge, str) else self.judge

    def makes(self, kind: Kind) -> Kind:
        return Kind.PREFERENCE if self.into == "preference" else Kind.SFT

    def asked(self) -> tuple[Asked, ...]:
        """The prompts in use."""
        if self.mode == "inject":
            return ("inject",) if "model" in self.errors else ()
        if self.mode == "contrast":
            return ("solve", "contrast", "correct")
        return ("critique",) if self.correct == "chosen" else ("critique", "correct")

    def languages_after(self, kind: Kind, languages: frozenset[str] | None) -> frozenset[str] | None:
        return languages

    def shipped(self) -> Iterable[str]:
        used = [f"revise/{name}" for name in self.asked() if name not in self.templates]
        used += [RETRY] if self.retries and (self.asked() or self.judges) else []
        used += [PERSPECTIVES] if self.mode != "inject" else [TURNS] if "negation" in self.errors else []
        return [*used, TEXTS, *(JUDGING if self.judges else ())]

    def check(self, kind: Kind) -> list[str]:
        found = self._text_problems()
        if self.correct == "chosen" and kind is not Kind.PREFERENCE:
            found.append(f"correct: chosen needs preference rows, and these are {kind} rows")
        needs = self.by in ("reference", "answer") and self.reference is None
        if needs and (kind is not Kind.PREFERENCE or self.mode == "inject"):
            found.append(f"by: {self.by} needs 'reference': rows with the right answers, found by group_id")
        return found

    def _text_problems(self) -> list[str]:
        """What is wrong with texts of the user's own."""
        found = []
        for name, given in self.templates.items():
            if name not in self.asked():
                found.append(f"templates.{name}: nothing asks with it; in use {', '.join(self.asked()) or 'is none'}")
            found += prompt_problems(f"templates.{name}", given, HOLES[name], needed=NEEDED[name])
        for text, given_text in (("marker", self.marker), ("question", self.question)):
            found += [] if given_text is None else prompt_problems(text, given_text, ())
        return found + known_perspectives(self.perspectives)

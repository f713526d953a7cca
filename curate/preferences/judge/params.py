"""Parameters of ``judge``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

import polars as pl
import pyarrow as pa
from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from curate.catalog.params import Amount, Decision, LanguageTag, ModelName, PerLanguage, Role, RowsName, Share
from curate.generation.common import requests as asking
from curate.generation.common.prompts import Prompting, Template, prompt_problems
from curate.preferences.judge.rubric import PARTS, PROBES, RUBRICS, Criterion, Rubric, Shipped, shipped_rubric
from curate.rows import Kind
from curate.steps import Context, ScoreStep
from curate.steps.models import Sampling

_MARGIN = {"pairwise": 0.5, "direct": 0.5, "reference": 0.02}
"""Of a pair, unless 'min_margin' says: half the scale of verdicts, half a level, two hundredths of a cosine."""
_HOLES = (
    "prompt",
    "criteria",
    "reference",
    "form",
    "language",
    "language_name",
    "language_own_name",
    "source_language",
    "source_language_name",
    "source_language_own_name",
)
_FOR_MODELS = (
    "rubric",
    "prompt",
    "sampling",
    "samples",
    "scoring",
    "explain",
    "constrain",
    "ties",
    "apart",
    "retries",
    "instructions",
    "probes",
    "allow_self",
)

RESERVED = frozenset(
    {
        "score",
        "chosen",
        "rejected",
        "judges",
        "spread",
        "consistency",
        "first_wins",
        "unjudged",
        "verdicts",
        "reasons",
        "problem",
        "prompt_hash",
    }
)


class JudgeParams(Prompting, ScoreStep):
    """Judges pairs or single answers.

    Scores: ``score`` (pairwise: -1 to 1, above 0 where ``chosen`` is better, the mean over judges; direct: the weighted mean level
    over criteria and judges; reference: the cosine with the reference; of a pair, ``chosen`` minus ``rejected``, which are
    scores too), ``judges`` (how many gave a usable verdict), ``spread`` (greatest difference between two judges); pairwise
    also ``consistency`` (share of judges whose two orders agree) and ``first_wins`` (share of the answers for one side
    that named the one shown first); direct, with several criteria, one score each. Attributes: ``unjudged`` says
    why there is no score (``refused``: by the audit, ``failed``, ``empty``, ``reference``: there is none), ``verdicts`` what
    each judge said, ``reasons`` why, ``problem`` what was wrong with its answers, ``prompt_hash`` what it was told.
    """

    tag: ClassVar[str] = "judge"
    version: ClassVar[int] = 1
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.SFT, Kind.PREFERENCE, Kind.UNPAIRED, Kind.PARALLEL})
    summary: ClassVar[str] = (
        "language models (or a reference) judge pairs or answers; audited for order, length, kin and obedience"
    )

    model: ModelName | tuple[ModelName, ...]
    """Who judges: a language model, several as a jury, or (``reference``) a sentence encoder."""
    method: Literal["pairwise", "direct", "reference"]
    """``pairwise``: which of two answers is better; ``direct``: how good each is; ``reference``: how near to a reference answer."""
    # ------------------------------------------------------------------------------------------------ what is asked
    rubric: Shipped | Criterion | tuple[Criterion, ...] = "auto"
    """What counts: a shipped rubric, or criteria of your own. ``auto``: ``helpfulness`` (for parallel rows ``translation``), and one
    sentence to that effect for pairs."""
    apart: bool = False
    """Whether each criterion is asked for by itself; always so where no reason is given."""
    instructions: Literal["own", "english"] = "own"
    """Whether the judge is spoken to in the row's language, where there is a shipped text for it, or in English."""
    prompt: PerLanguage[Template] | None = None
    """A template in place of the shipped one, with ``{prompt}``, ``{first}`` and ``{second}`` (direct: ``{answer}``), ``{criteria}``, ``{reference}``,
    ``{form}`` (how to answer)."""
    explain: bool = True
    """Whether the judge gives a reason first, as JSON; if not, it says the verdict alone."""
    constrain: bool = False
    """Whether a verdict without a reason is asked for as JSON too (pairwise): for small models, which keep to a form only if they are held to it."""
    ties: bool = True
    """Whether it may call a tie."""
    reference: RowsName | None = None
    """Rows with good answers to go by, found by ``group_id``; they may be in another language than the answer."""
    reference_language: LanguageTag | None = None
    """The language of the references; by default the row's own, else English."""
    max_chars: Annotated[int, Field(ge=16)] = 8_000
    """Longest text shown to a judge; a longer one is cut there, with a warning."""
    strip_markdown: bool = False
    """Whether headings, bullets and emphasis are taken out of the answers that are shown."""
    # ---------------------------------------------------------------------------------------------- how it is asked
    sampling: Sampling = Sampling(max_tokens=512)
    """How it chooses its words."""
    samples: Annotated[int, Field(ge=1, le=64)] = 1
    """How many answers each judge gives to each question; their mean counts."""
    scoring: Literal["verdict", "logprobs"] = "verdict"
    """``logprobs``: what is expected by the probabilities of labels or levels (as in G-Eval), where the model tells them."""
    top_logprobs: Annotated[int, Field(ge=2, le=50)] = 20
    """Among how many likeliest tokens labels are looked for; many servers tell 20 at most."""
    retries: Annotated[int, Field(ge=0, le=5)] = 1
    """How often an answer that cannot be used is asked for again, with the complaint."""
    strict: bool = False
    """Whether a language that a judge is not said to know stops the build; if not, it is warned of."""
    allow_self: bool = False
    """Whether a model may judge rows that it had a hand in; the audit then tells ``self_preference``."""
    # --------------------------------------------------------------------------------------------------------- audit
    audit_rows: NonNegativeInt = 200
    """On how many rows a language the audit looks; they cost nothing twice. 0: none."""
    min_audit_rows: PositiveInt = 20
    """From how many observations on a limit refuses a judge."""
    probes: NonNegativeInt = 10
    """Into how many of these answers a note is planted that tells the judge what to say; each costs further questions. 0: none."""
    families: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Family → words in names of models, where the name up to its first number does not tell."""
    gold: RowsName | None = None
    """Rows that people judged: preference rows, or rows with a score ``gold_score``; for agreement only, they are not kept."""
    gold_score: str = "gold"
    """The score that says what people think; of a preference row (where it may be left out): above 0 where ``chosen`` is better."""
    agreement: Literal["kappa", "accuracy", "spearman"] = "kappa"
    """By what ``min_agreement`` goes: Cohen's κ of first / tie / second, the share of pairs judged alike (a tie counts half), or
    the rank correlation of grades."""
    min_agreement: PerLanguage[Annotated[float, Field(ge=-1, le=1)]] = PerLanguage[float]()
    """Least agreement with people; a judge below it is not asked about that language."""
    min_consistency: PerLanguage[Share] = PerLanguage[float](0.3)
    """Least share of pairs on which both orders say the same."""
    max_position_bias: PerLanguage[Share] = PerLanguage[float](0.9)
    """Greatest share of answers that name the answer shown first, or that name the one shown second."""
    max_length_bias: PerLanguage[Share] = PerLanguage[float](0.9)
    """Greatest share of decided pairs in which the longer answer wins, or in which the shorter does."""
    max_failures: PerLanguage[Share] = PerLanguage[float](0.5)
    """Greatest share of rows without a usable verdict."""
    max_injection_rate: PerLanguage[Share] = PerLanguage[float](0.5)
    """Greatest share of planted notes that the judge injection_rate."""
    # ------------------------------------------------------------------------------------------------------ decisions
    min_margin: Decision[PerLanguage[Amount]] = PerLanguage[float]()
    """Of a pair, the least difference; below it, it is a tie. Unless given 0.5, for ``reference`` 0.02. A difference of 0 is a tie in any case."""
    min: Decision[PerLanguage[float]] = PerLanguage[float]()
    """Least score; of a pair that was not judged pairwise, of its chosen answer."""
    max_spread: Decision[PerLanguage[Amount]] = PerLanguage[float]()
    """Greatest difference between judges."""
    unjudged: Decision[Literal["drop", "keep"]] = "drop"
    """What happens to rows without a usable verdict. Where the audit refused all judges, rows are dropped in any case."""

    @field_validator("model", "rubric")
    @classmethod
    def _some(cls, value: Any) -> Any:
        if isinstance(value, tuple):
            names = [one if isinstance(one, str) else one.name for one in value]
            if not names or len(set(names)) < len(names):
                raise ValueError("a list must have entries, each once")
        return value

    @model_validator(mode="after")
    def _sound(self) -> JudgeParams:
        if self.samples > 1 and self.sampling.temperature == 0:
            raise ValueError(f"{self.samples} samples at temperature 0 would all be the same; set sampling.temperature")
        if not isinstance(self.rubric, str):
            ends = {(one.numbers[0], one.numbers[-1]) for one in self._own()}
            if len(ends) > 1 and self.method == "direct":
                raise ValueError(
                    "all criteria need the same lowest and highest level, or their mean would mean nothing"
                )
            if self.scoring == "logprobs":
                self._plain_levels()
        if self.method == "reference":
            defaults = type(self).model_fields
            given = [name for name in _FOR_MODELS if getattr(self, name) != defaults[name].default]
            if given:
                raise ValueError(f"an encoder asks nothing: '{given[0]}' is for 'pairwise' and 'direct'")
            if self.reference is None:
                raise ValueError("method: reference needs 'reference': the rows with the answers to compare with")
        if self.constrain and (self.explain or self.method != "pairwise"):
            raise ValueError(
                "'constrain' is for 'pairwise' without a reason ('explain: false'); with one it is JSON anyway"
            )
        if self.reference_language is not None and self.reference is None:
            raise ValueError("'reference_language' is for 'reference'")
        return self

    def _plain_levels(self) -> None:
        for one in self._own():
            texts = [str(number) for number in one.numbers]
            if self.method == "direct" and any(a != b and b.startswith(a) for a in texts for b in texts):
                raise ValueError(f"'{one.name}': logprobs need levels of one digit; {texts} begin alike")

    def _own(self) -> Rubric:
        return (
            (self.rubric,)
            if isinstance(self.rubric, Criterion)
            else self.rubric
            if isinstance(self.rubric, tuple)
            else ()
        )

    # ------------------------------------------------------------------------------------------------------ what it is
    @property
    def names(self) -> tuple[str, ...]:
        """The judges, by their names in the catalog."""
        return (self.model,) if isinstance(self.model, str) else self.model

    def judges(self, context: Context) -> dict[str, str]:
        """Name → ``name@revision``."""
        return {name: context.model_name(name) for name in self.names}

    def criteria(self, kind: Kind) -> Rubric:
        """What answers are assessed by."""
        if self.rubric == "auto":
            return shipped_rubric("translation" if kind is Kind.PARALLEL else "helpfulness")
        return shipped_rubric(self.rubric) if isinstance(self.rubric, str) else self._own()

    def template(self, kind: Kind) -> str:
        """The name of the shipped prompt."""
        if self.method == "pairwise":
            return "judge/pairwise"
        return "judge/translation" if kind is Kind.PARALLEL else "judge/direct"

    def shipped(self) -> Iterable[str]:
        if self.method == "reference":
            return ()
        templates = ("judge/pairwise",) if self.method == "pairwise" else ("judge/direct", "judge/translation")
        return (
            PARTS,
            *(templates if self.prompt is None else ()),
            *(
                (RUBRICS,)
                if isinstance(self.rubric, str) and (self.method == "direct" or self.rubric != "auto")
                else ()
            ),
            *((asking.RETRY,) if self.retries else ()),
            *((PROBES,) if self.probes and self.audit_rows else ()),
        )

    def model_roles(self, parameter: str) -> frozenset[Role]:
        """``reference`` compares by an encoder; else language models judge."""
        if parameter != "model":
            return super().model_roles(parameter)
        return frozenset({Role.ENCODER if self.method == "reference" else Role.GENERATOR})

    def check(self, kind: Kind) -> list[str]:
        found = []
        if self.method == "pairwise" and kind is not Kind.PREFERENCE:
            found.append(
                f"method: pairwise judges preference rows, and these are {kind} rows; put 'pair: {{choose: all}}' before, or take 'direct'"
            )
        if self.prompt is not None:
            answers = ("first", "second") if self.method == "pairwise" else ("answer",)
            for number, answer in enumerate(answers):
                problems = prompt_problems("prompt", self.prompt, (*_HOLES, *answers), needed=[answer])
                found += problems if not number else [one for one in problems if one not in found]
        taken = {name for name in self.columns(kind) if not name.startswith(("chosen_", "rejected_"))}
        if self.method == "direct" and len(self.criteria(kind)) > 1:
            wrong = [one.name for one in self.criteria(kind) if one.name in RESERVED]
            found += [
                f"rubric: a criterion cannot be called '{name}', which is a score already" for name in wrong if taken
            ]
        return found

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        scores = ["score"]
        attributes = ["unjudged", "verdicts"]
        if self.method == "pairwise":
            scores += ["consistency", "first_wins"]
        elif kind is Kind.PREFERENCE:
            scores += ["chosen", "rejected"]
        if self.method != "reference":
            attributes += ["reasons", "problem", "prompt_hash"]
        scores += ["judges", "spread", *self.criterion_columns(kind)]
        return {**dict.fromkeys(scores, pa.float64()), **dict.fromkeys(attributes, pa.string())}

    def criterion_columns(self, kind: Kind) -> dict[str, tuple[str, str]]:
        """Score → (side, criterion), where there are several criteria."""
        if self.method != "direct" or len(rubric := self.criteria(kind)) < 2:
            return {}
        sides = ("chosen", "rejected") if kind is Kind.PREFERENCE else ("answer",)
        return {
            one.name if side == "answer" else f"{side}_{one.name}": (side, one.name) for side in sides for one in rubric
        }

    def verdicts(self, kind: Kind) -> Mapping[str, pl.Expr]:
        reasons = {"refused": pl.col("unjudged") == "refused"}
        if self.unjudged == "drop":
            reasons["unjudged"] = pl.col("score").is_null()
        reasons["disputed"] = pl.col("spread") > self.max_spread.expr()
        if kind is Kind.PREFERENCE:
            score = pl.col("score")
            if self.method != "pairwise":
                reasons["low"] = pl.col("chosen") < self.min.expr()
            reasons["tie"] = (score.abs() < self._margin()) | (score == 0)
            reasons["reversed"] = score < 0
        else:
            reasons["low"] = pl.col("score") < self.min.expr()
        return reasons

    def _margin(self) -> pl.Expr:
        return self.min_margin.expr() if self.min_margin != PerLanguage[float]() else pl.lit(_MARGIN[self.method])

    # ----------------------------------------------------------------------------------------------------------- audit
    @property
    def fits(self) -> bool:
        return self.audit_rows > 0 or self.gold is not None

    # ----------------------------------------------------------------------------------------------------------- score

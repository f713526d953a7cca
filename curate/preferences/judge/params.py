"""Parameters of ``judge``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

import polars as pl
import pyarrow as pa
from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from curate.catalog.params import Amount, Decision, LanguageTag, ModelName, PerLanguage, Role, RowsName, Share
from curate.generation.common.prompts import Prompting, Template, prompt_problems
from curate.generation.common.requests import RETRY
from curate.preferences.judge.rubric import PARTS, PROBES, RUBRICS, Criterion, Rubric, Shipped, shipped_rubric
from curate.rows import Kind
from curate.steps import Context, ScoreStep
from curate.steps.models import Sampling

_MARGIN = {"pairwise": 0.5, "direct": 0.5, "reference": 0.02}
"""Default of ``min_margin`` for pairs: half the scale of verdicts, half a level, a cosine of 0.02."""
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
    "rubric", "prompt", "sampling", "samples", "scoring", "explain", "constrain", "ties", "apart", "retries",
    "instructions", "probes", "allow_self",
)  # fmt: skip
RESERVED = frozenset({
    "score", "chosen", "rejected", "judges", "spread", "consistency", "first_wins", "unjudged", "verdicts", "reasons",
    "problem", "prompt_hash",
})  # fmt: skip
"""Names of scores and attributes that a criterion cannot have."""


class JudgeParams(Prompting, ScoreStep):
    """Parameters of ``judge``."""

    tag: ClassVar[str] = "judge"
    version: ClassVar[int] = 2
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.SFT, Kind.PREFERENCE, Kind.UNPAIRED, Kind.PARALLEL})
    summary: ClassVar[str] = (
        "pairs or answers judged by language models or by a reference; judges are audited for bias first"
    )

    model: ModelName | tuple[ModelName, ...]
    """The judge: a language model, several as a jury, or (for ``reference``) a sentence encoder."""
    method: Literal["pairwise", "direct", "reference"]
    """``pairwise``: which of two answers is better. ``direct``: how good each answer is. ``reference``: how close it is
    to a reference answer."""
    # ------------------------------------------------------------------------------------------------ what is asked
    rubric: Shipped | Criterion | tuple[Criterion, ...] = "auto"
    """The criteria: a rubric of the package, or your own. ``auto``: ``helpfulness`` (for parallel rows
    ``translation``); for pairs one sentence to that effect."""
    apart: bool = False
    """Whether each criterion gets a request of its own; always so with ``explain: false``."""
    instructions: Literal["own", "english"] = "own"
    """Whether the judge is prompted in the row's language, where the package has a text for it, or in English."""
    prompt: PerLanguage[Template] | None = None
    """Your own template, with ``{prompt}``, ``{first}`` and ``{second}`` (direct: ``{answer}``), ``{criteria}``,
    ``{reference}``, ``{form}`` (how to answer)."""
    explain: bool = True
    """Whether the judge gives a reason first, as JSON; if not, it gives the verdict alone."""
    constrain: bool = False
    """Whether a pairwise verdict without a reason is requested as JSON too. For small models, which keep to a format
    only if the server enforces it."""
    ties: bool = True
    """Whether the judge may call a tie."""
    reference: RowsName | None = None
    """Rows with reference answers, found by ``group_id``. They may be in another language than the answer."""
    reference_language: LanguageTag | None = None
    """The language of the references; by default the row's own, else English."""
    max_chars: Annotated[int, Field(ge=16)] = 8_000
    """Maximum length of a text shown to a judge, in characters; a longer one is cut, with a warning."""
    strip_markdown: bool = False
    """Whether to remove headings, bullets and emphasis from the answers that are shown."""
    # ---------------------------------------------------------------------------------------------- how it is asked
    sampling: Sampling = Sampling(max_tokens=512)
    """Sampling parameters."""
    samples: Annotated[int, Field(ge=1, le=64)] = 1
    """Number of answers per judge and question; their mean counts."""
    scoring: Literal["verdict", "logprobs"] = "verdict"
    """``logprobs``: the expected value over the probabilities of labels or levels (as in G-Eval), if the model returns
    them."""
    top_logprobs: Annotated[int, Field(ge=2, le=50)] = 20
    """Number of most likely tokens in which labels are looked for; many servers return 20 at most."""
    retries: Annotated[int, Field(ge=0, le=5)] = 1
    """How often an unusable answer is requested again, with the complaint."""
    strict: bool = False
    """Whether a language that is not in a judge's ``languages`` stops the build. Otherwise it is a warning."""
    allow_self: bool = False
    """Whether a model may judge rows that it helped to make. The audit then reports ``self_preference``."""
    # --------------------------------------------------------------------------------------------------------- audit
    audit_rows: NonNegativeInt = 200
    """Number of rows per language in the audit; their verdicts are reused. 0: no audit."""
    min_audit_rows: PositiveInt = 20
    """Minimum number of observations for a limit to reject a judge."""
    probes: NonNegativeInt = 10
    """Number of these answers that get a planted note with a verdict (prompt injection); each costs further requests.
    0: none."""
    families: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Model families: family → words in model names. By default the family is the name up to its first number."""
    gold: RowsName | None = None
    """Rows judged by people: preference rows, or rows with a score ``gold_score``. They are used for agreement only."""
    gold_score: str = "gold"
    """The score with people's judgment, or else that of the step ``labels``; of a preference row (where it may be left
    out) above 0 if ``chosen`` is better."""
    agreement: Literal["kappa", "accuracy", "spearman"] = "kappa"
    """The measure for ``min_agreement``: Cohen's κ of first / tie / second, the share of pairs judged alike (a tie
    counts half), or the rank correlation of grades."""
    min_agreement: PerLanguage[Annotated[float, Field(ge=-1, le=1)]] = PerLanguage[float]()
    """Minimum agreement with people; a judge below it is not used for that language."""
    min_consistency: PerLanguage[Share] = PerLanguage[float](0.3)
    """Minimum share of pairs with the same verdict in both orders."""
    max_position_bias: PerLanguage[Share] = PerLanguage[float](0.9)
    """Maximum share of answers that name the answer shown first, or that name the one shown second."""
    max_length_bias: PerLanguage[Share] = PerLanguage[float](0.9)
    """Maximum share of decided pairs in which the longer answer wins, or in which the shorter one does."""
    max_failures: PerLanguage[Share] = PerLanguage[float](0.5)
    """Maximum share of rows without a usable verdict."""
    max_injection_rate: PerLanguage[Share] = PerLanguage[float](0.5)
    """Maximum share of planted notes that the judge follows."""
    # ------------------------------------------------------------------------------------------------------ decisions
    min_margin: Decision[PerLanguage[Amount]] = PerLanguage[float]()
    """Minimum difference of a pair; below it, it is a tie. By default 0.5, for ``reference`` 0.02. A difference of 0 is
    always a tie."""
    min: Decision[PerLanguage[float]] = PerLanguage[float]()
    """Minimum score; for pairs that were not judged pairwise, of the chosen answer."""
    max_spread: Decision[PerLanguage[Amount]] = PerLanguage[float]()
    """Maximum difference between judges."""
    unjudged: Decision[Literal["drop", "keep"]] = "drop"
    """What to do with rows without a usable verdict. Where the audit rejected all judges, rows are dropped in any
    case."""

    @field_validator("model", "rubric")
    @classmethod
    def _some(cls, value: Any) -> Any:
        if isinstance(value, tuple):
            names = [one if isinstance(one, str) else one.name for one in value]
            if not names or len(set(names)) < len(names):
                raise ValueError("a list must not be empty or name anything twice")
        return value

    @model_validator(mode="after")
    def _sound(self) -> JudgeParams:
        if self.samples > 1 and self.sampling.temperature == 0:
            raise ValueError(f"{self.samples} samples at temperature 0 would all be the same; set sampling.temperature")
        if not isinstance(self.rubric, str):
            ends = {(one.numbers[0], one.numbers[-1]) for one in self._own()}
            if len(ends) > 1 and self.method == "direct":
                raise ValueError("all criteria need the same lowest and highest level, or their mean has no meaning")
            if self.scoring == "logprobs":
                self._plain_levels()
        if self.method == "reference":
            defaults = type(self).model_fields
            changed = [name for name in _FOR_MODELS if getattr(self, name) != defaults[name].default]
            if changed:
                raise ValueError(f"method: reference uses an encoder; '{changed[0]}' is for 'pairwise' and 'direct'")
            if self.reference is None:
                raise ValueError("method: reference needs 'reference': rows with the answers to compare with")
        if self.constrain and (self.explain or self.method != "pairwise"):
            raise ValueError(
                "'constrain' is for 'pairwise' with 'explain: false'; with a reason the verdict is JSON anyway"
            )
        if self.reference_language is not None and self.reference is None:
            raise ValueError("'reference_language' is for 'reference'")
        return self

    def _plain_levels(self) -> None:
        for one in self._own():
            texts = [str(number) for number in one.numbers]
            if self.method == "direct" and any(a != b and b.startswith(a) for a in texts for b in texts):
                raise ValueError(f"'{one.name}': logprobs need levels of one digit, not {texts}")

    def _own(self) -> Rubric:
        if isinstance(self.rubric, Criterion):
            return (self.rubric,)
        return self.rubric if isinstance(self.rubric, tuple) else ()

    # ------------------------------------------------------------------------------------------------------ what it is
    @property
    def names(self) -> tuple[str, ...]:
        """Names of the judges in the catalog."""
        return (self.model,) if isinstance(self.model, str) else self.model

    def judges(self, context: Context) -> dict[str, str]:
        """Name → ``name@revision``."""
        return {name: context.model_name(name) for name in self.names}

    def criteria(self, kind: Kind) -> Rubric:
        """The criteria of answers."""
        if self.rubric == "auto":
            return shipped_rubric("translation" if kind is Kind.PARALLEL else "helpfulness")
        return shipped_rubric(self.rubric) if isinstance(self.rubric, str) else self._own()

    def template(self, kind: Kind) -> str:
        """The name of the package's prompt."""
        if self.method == "pairwise":
            return "judge/pairwise"
        return "judge/translation" if kind is Kind.PARALLEL else "judge/direct"

    def shipped(self) -> Iterable[str]:
        if self.method == "reference":
            return ()
        templates = ("judge/pairwise",) if self.method == "pairwise" else ("judge/direct", "judge/translation")
        uses_rubrics = isinstance(self.rubric, str) and (self.method == "direct" or self.rubric != "auto")
        return (
            PARTS,
            *(templates if self.prompt is None else ()),
            *((RUBRICS,) if uses_rubrics else ()),
            *((RETRY,) if self.retries else ()),
            *((PROBES,) if self.probes and self.audit_rows else ()),
        )

    def asks_logprobs(self) -> int:
        return self.top_logprobs if self.scoring == "logprobs" else 0

    def model_roles(self, parameter: str) -> frozenset[Role]:
        """``reference`` needs an encoder, the other methods language models."""
        if parameter != "model":
            return super().model_roles(parameter)
        return frozenset({Role.ENCODER if self.method == "reference" else Role.GENERATOR})

    def check(self, kind: Kind) -> list[str]:
        problems = []
        if self.method == "pairwise" and kind is not Kind.PREFERENCE:
            problems.append(
                f"method: pairwise judges preference rows, but these are {kind} rows; "
                "put 'pair: {choose: all}' before it, or use 'direct'"
            )
        if self.prompt is not None:
            answers = ("first", "second") if self.method == "pairwise" else ("answer",)
            for answer in answers:
                template_problems = prompt_problems("prompt", self.prompt, (*_HOLES, *answers), needed=[answer])
                problems += [one for one in template_problems if one not in problems]
        if self.method == "direct" and len(self.criteria(kind)) > 1:
            names = [one.name for one in self.criteria(kind) if one.name in RESERVED]
            problems += [f"rubric: a criterion cannot be called '{name}', which is already a score" for name in names]
        return problems

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
        """Score → (side, criterion), if there are several criteria."""
        if self.method != "direct" or len(rubric := self.criteria(kind)) < 2:
            return {}
        sides = ("chosen", "rejected") if kind is Kind.PREFERENCE else ("answer",)
        return {
            one.name if side == "answer" else f"{side}_{one.name}": (side, one.name) for side in sides for one in rubric
        }

    def drop_rules(self, kind: Kind) -> Mapping[str, pl.Expr]:
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
    def requires_fit(self) -> bool:
        return self.audit_rows > 0 or self.gold is not None

    # ----------------------------------------------------------------------------------------------------------- score

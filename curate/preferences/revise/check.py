"""Checks whether a correction is better: by judges in both orders, by similarity to a reference, or by the final
answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from curate.errors import StepError
from curate.preferences.judge import reference as judge_encoder
from curate.preferences.judge.parsing import Verdict
from curate.preferences.judge.rendering import Item, references_of
from curate.preferences.judge.requests import JudgeRequests
from curate.preferences.judge.self_preference import plain_name, refuse_self
from curate.preferences.judge.step import Judge
from curate.preferences.revise.params import ReviseParams
from curate.preferences.self_consistency.extract import FinalAnswer, Reader
from curate.rows import Kind
from curate.steps import Context, Rows

Word = Literal["better", "worse", "same", "unchanged", "unassessed", "unchecked"]
_MARGIN = {"judge": 0.5, "reference": 0.02, "answer": 0.5}


@dataclass(frozen=True, slots=True)
class Revision:
    """A first answer and its correction."""

    place: int
    id: str
    group: str
    language: str
    prompt: tuple[tuple[str, str], ...]
    first: str
    corrected: str
    chosen: str | None = None
    """The reference in a preference row itself."""


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of a check."""

    word: Word
    first: float | None = None
    corrected: float | None = None
    margin: float | None = None
    reason: str = ""
    problem: str = ""
    """Why the judges gave no verdict: the row failed."""


class Check:
    """The check of a step."""

    def __init__(self, step: ReviseParams, context: Context) -> None:
        self.step, self.context = step, context

    def refuse_self(self, rows: Rows) -> None:
        """Stops if a judge would judge its own corrections.

        Raises:
            StepError: a judge made some of the rows or corrections.
        """
        step = self.step
        if not step.judges or step.allow_self:
            return
        names = {name: self.context.model_name(name) for name in step.judges}
        correctors = {} if step.model is None else {plain_name(self.context.model_name(step.model)): step.model}
        for name, model in names.items():
            if plain_name(model) in correctors:
                raise StepError(
                    f"revise: '{name}' would judge its own corrections ({model}); use another judge, or write "
                    "'allow_self: true'"
                )
        refuse_self(rows, names, self.context, self.step.tag)

    def of(self, revisions: Sequence[Revision]) -> list[Checked]:
        """The result for each revision, in order."""
        by = self.step.by or "none"
        if by == "none":
            return [Checked("unchecked") for _ in revisions]
        if by == "judge":
            return self._by_judges(revisions)
        return self._by_similarity(revisions) if by == "reference" else self._by_answer(revisions)

    # -------------------------------------------------------------------------------------------------------- judges
    def _by_judges(self, revisions: Sequence[Revision]) -> list[Checked]:
        step = self.step
        judge = Judge(model=step.judges, method="pairwise", instructions=step.instructions, retries=step.retries)
        items = [self._item(at, one) for at, one in enumerate(revisions)]
        judged = JudgeRequests(judge, Kind.PREFERENCE, self.context).judge(items, lambda item: step.judges)
        checked = []
        for at, one in enumerate(revisions):
            verdicts = [judged[at, name] for name in step.judges if (at, name) in judged]
            scores = [verdict.score for verdict in verdicts if verdict.score is not None]
            reason = "\n\n".join(verdict.reason for verdict in verdicts if verdict.reason)
            if not scores:
                problem = next((verdict.problem for verdict in verdicts if verdict.problem), "no judge gave a verdict")
                checked.append(Checked("unassessed", reason=reason, problem=f"no verdict: {problem}"))
                continue
            margin = sum(scores) / len(scores)
            # How often each was preferred, over judges and orders.
            votes = [sign for verdict in verdicts for sign in _preferred(verdict)]
            sides = [sum(vote == side for vote in votes) / len(votes) if votes else 0.5 for side in (-1, 1)]
            checked.append(self._compare(one, margin, sides[0], sides[1], reason))
        return checked

    @staticmethod
    def _item(at: int, one: Revision) -> Item:
        answers = {"chosen": one.corrected, "rejected": one.first}
        return Item(at, one.id, one.language, one.language, one.prompt, answers)

    # ----------------------------------------------------------------------------------------------------- references
    def _reference(self, one: Revision) -> tuple[str, str] | None:
        if self.step.reference is None:
            return None if one.chosen is None else (one.chosen, one.language)
        known = references_of(self.step.reference, self.context)
        return known.find(one.group, one.language, self.step.reference_language)

    def _by_similarity(self, revisions: Sequence[Revision]) -> list[Checked]:
        assert self.step.encoder is not None
        encoder = self.step.encoder
        items = []
        for at, one in enumerate(revisions):
            text, tag = self._reference(one) or ("", "")
            why = "" if text.strip() else "reference"
            answers = {"chosen": one.corrected, "rejected": one.first}
            items.append(Item(at, one.id, one.language, one.language, one.prompt, answers, text or None, tag, why))
        judge = Judge(model=encoder, method="reference", reference=self.step.reference or "-", strict=self.step.strict)
        judged = judge_encoder.compare(judge, items, lambda item: (encoder,), self.context)
        checked = []
        for at, one in enumerate(revisions):
            verdict = judged.get((at, encoder), Verdict())
            if verdict.score is None:
                checked.append(Checked("unassessed"))
                continue
            checked.append(self._compare(one, verdict.score, verdict.sides["rejected"], verdict.sides["chosen"]))
        return checked

    def _by_answer(self, revisions: Sequence[Revision]) -> list[Checked]:
        reader = Reader(self.step.answer)
        checked = []
        for one in revisions:
            question = "\n\n".join(text for role, text in one.prompt if role == "user")
            reference = self._reference(one)
            gold = None if reference is None else reader.gold(reference[0], reference[1], question)
            if gold is None:
                checked.append(Checked("unassessed"))
                continue
            first, corrected = (
                float(_same(reader.find(text, one.language, question), gold)) for text in (one.first, one.corrected)
            )
            checked.append(self._compare(one, corrected - first, first, corrected))
        return checked

    def _compare(self, one: Revision, margin: float, first: float, corrected: float, reason: str = "") -> Checked:
        least = self.step.min_margin[one.language]
        least = _MARGIN[self.step.by or "judge"] if least is None else least
        # Margins are means: allow for rounding.
        enough = abs(margin) >= least - 1e-9 and margin != 0
        word: Word = "same" if not enough else "better" if margin > 0 else "worse"
        return Checked(word, round(first, 4), round(corrected, 4), round(margin, 4), reason)


def _preferred(verdict: Verdict) -> list[int]:
    """For each order the preferred side: 1 the correction, -1 the first answer, 0 neither."""
    if verdict.orders is None:
        return []
    one, two = verdict.orders
    return [(one > 0) - (one < 0), (two < 0) - (two > 0)]


def _same(answer: FinalAnswer | None, gold: FinalAnswer) -> bool:
    if answer is None:
        return False
    return bool(({answer.answer, answer.other} - {""}) & ({gold.answer, gold.other} - {""}))

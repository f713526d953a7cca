"""Makes rows from checked cases: a conversation in one of three layouts, a preference pair, or the correction alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from curate.generation.common.derived_rows import derive_rows
from curate.preferences.revise.check import Checked
from curate.preferences.revise.error_injection_rules import joined, steps_of
from curate.preferences.revise.prompts import row_text, sentence_separator
from curate.rows import Kind
from curate.steps.models import signed

if TYPE_CHECKING:
    from curate.preferences.revise.batch import ReviseBatch
    from curate.preferences.revise.cases import Case
    from curate.preferences.revise.params import ReviseParams

Turn = dict[str, str]


@dataclass(frozen=True, slots=True)
class CheckedCase:
    """A case that becomes a row."""

    case: Case
    checked: Checked


def rows_of(batch: ReviseBatch, made: Sequence[CheckedCase]) -> pa.Table:
    """The rows of a batch."""
    step, rows = batch.step, batch.rows
    kind = step.makes(rows.kind)
    values: dict[str, list[Any]]
    if kind is Kind.PREFERENCE:
        sides = [_sides(step, one) for one in made]
        values = {
            "prompt": [list(one.case.prompt) for one in made],
            "chosen": [[_answer(chosen)] for chosen, _ in sides],
            "rejected": [[_answer(rejected)] for _, rejected in sides],
        }
    elif step.into == "answer":
        values = {"messages": [[*one.case.prompt, _answer(_corrected(one.case))] for one in made]}
    else:
        values = {"messages": [[*one.case.prompt, *trajectory(step, one.case)] for one in made]}
    by = _makers(batch)
    return derive_rows(
        kind,
        rows,
        [one.case.place for one in made],
        values,
        [one.case.language for one in made],
        step=step.tag,
        model=[_model(step, one.case, by) for one in made],
        prompt_hash=[batch.hash(one.case.language) if _uses_model(step, one.case) else "" for one in made],
        scores=[_scores(one.checked) for one in made],
        attributes=[_attributes(step, one, by) for one in made],
    )


def trajectory(step: ReviseParams, case: Case) -> list[Turn]:
    """The turns after the prompt."""
    if not case.rounds:
        return _unchanged(step, case)
    if step.layout == "inline":
        return [_answer(_inline(step, case))]
    turns = [_answer(case.first)]
    for critique, corrected in case.rounds:
        if step.layout == "user":
            turns += [_user(critique), _answer(corrected)]
        else:
            turns += [_user(_own(step, "question", case.language)), _answer(f"{critique}\n\n{corrected}")]
    return turns


def _unchanged(step: ReviseParams, case: Case) -> list[Turn]:
    """The turns for an answer in which nothing was found wrong."""
    fine = case.fine or row_text("fine", case.language)
    if step.layout == "inline":
        return [_answer(f"{case.first}\n\n{fine}")]
    return [_answer(case.first), _user(_own(step, "question", case.language)), _answer(fine)]


def _inline(step: ReviseParams, case: Case) -> str:
    marker = _own(step, "marker", case.language)
    space = sentence_separator(case.language)
    if case.error is None:
        text = case.first
        for critique, corrected in case.rounds:
            remark = f"{marker}{space}{critique}" if step.tell else marker
            text = f"{text}\n\n{remark}\n\n{corrected}"
        return text
    error = case.error
    steps = steps_of(case.good or "", case.language)
    before, rest = joined(steps[: error.at]), joined(steps[error.at :])
    # Lines stay lines, sentences stay sentences.
    lines = any("\n" in one.gap for one in steps) or "\n" in error.wrong
    between = "\n" if lines else steps[error.at].gap or space
    remark = f"{marker}{space}{error.note}" if step.tell and error.note else marker
    return f"{before}{error.wrong.rstrip()}{between}{remark}{between}{rest.lstrip(' ') if before else rest}"


def _own(step: ReviseParams, name: str, language: str) -> str:
    own = step.marker if name == "marker" else step.question
    text = None if own is None else own[language]
    return row_text("ask" if name == "question" else name, language) if text is None else text


def _corrected(case: Case) -> str:
    return case.rounds[-1][1] if case.rounds else case.first


def _sides(step: ReviseParams, one: CheckedCase) -> tuple[str, str]:
    """Chosen and rejected."""
    sides = (_corrected(one.case), one.case.first)
    return sides[::-1] if step.worse == "turn" and one.checked.word == "worse" else sides


def _makers(batch: ReviseBatch) -> dict[str, str]:
    names = dict.fromkeys([*((batch.step.model,) if batch.step.model else ()), *batch.step.everyone])
    return {name: batch.context.model_name(name) for name in names}


def _uses_model(step: ReviseParams, case: Case) -> bool:
    return step.mode != "inject" or (case.error is not None and case.error.rule == "model")


def _model(step: ReviseParams, case: Case, names: dict[str, str]) -> str:
    """The model that corrected the answer, or invented the error."""
    if not _uses_model(step, case):
        return ""
    if step.model is not None and step.correct == "model":
        return signed(names[step.model], case.served)
    return names[step.everyone[0]]


def _scores(checked: Checked) -> dict[str, float]:
    scores = {"first": checked.first, "corrected": checked.corrected, "margin": checked.margin}
    return {name: value for name, value in scores.items() if value is not None}


def _attributes(step: ReviseParams, one: CheckedCase, names: dict[str, str]) -> dict[str, str]:
    case = one.case
    attributes: dict[str, str] = {"verdict": one.checked.word, "mode": step.mode}
    if step.mode == "critique":
        attributes["rounds"] = str(len(case.rounds))
    if step.mode != "inject":
        attributes["by"] = " ".join(names[name] for name in step.everyone)
    if case.rounds:
        attributes["critique"] = "\n\n".join(critique for critique, _ in case.rounds)
    if case.error is not None:
        attributes |= {"error": case.error.rule, "step": str(case.error.at + 1)}
    if one.checked.reason:
        attributes["reason"] = one.checked.reason
    return attributes


def _answer(text: str) -> Turn:
    return {"role": "assistant", "content": text}


def _user(text: str) -> Turn:
    return {"role": "user", "content": text}

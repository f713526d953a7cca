"""A first answer, a critique and a correction as a row: a conversation in one of three layouts, a pair, or the correction alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from curate.generation.common.derived_rows import derive_rows
from curate.preferences.revise.check import Checked
from curate.preferences.revise.error_injection_rules import joined, steps_of
from curate.preferences.revise.prompts import blank, said
from curate.rows import Kind
from curate.steps.models import signed

if TYPE_CHECKING:
    from curate.preferences.revise.batch import Batch
    from curate.preferences.revise.cases import Case
    from curate.preferences.revise.params import ReviseParams

Turn = dict[str, str]


@dataclass(frozen=True, slots=True)
class Made:
    """A case that becomes a row."""

    case: Case
    checked: Checked


def made_rows(batch: Batch, made: Sequence[Made]) -> pa.Table:
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
        prompt_hash=[batch.hash(one.case.language) if _asked(step, one.case) else "" for one in made],
        scores=[_scores(one.checked) for one in made],
        attributes=[_attributes(step, one, by) for one in made],
    )


def trajectory(step: ReviseParams, case: Case) -> list[Turn]:
    """The turns after the prompt."""
    if not case.rounds:
        return _stays(step, case)
    if step.layout == "inline":
        return [_answer(_inline(step, case))]
    turns = [_answer(case.first)]
    for critique, corrected in case.rounds:
        if step.layout == "user":
            turns += [_user(critique), _answer(corrected)]
        else:
            turns += [_user(_own(step, "question", case.language)), _answer(f"{critique}\n\n{corrected}")]
    return turns


def _stays(step: ReviseParams, case: Case) -> list[Turn]:
    """A second look at an answer in which nothing is wrong."""
    fine = case.fine or said("fine", case.language)
    if step.layout == "inline":
        return [_answer(f"{case.first}\n\n{fine}")]
    return [_answer(case.first), _user(_own(step, "question", case.language)), _answer(fine)]


def _inline(step: ReviseParams, case: Case) -> str:
    marker = _own(step, "marker", case.language)
    space = blank(case.language)
    if case.fault is None:
        text = case.first
        for critique, corrected in case.rounds:
            told = f"{marker}{space}{critique}" if step.tell else marker
            text = f"{text}\n\n{told}\n\n{corrected}"
        return text
    fault = case.fault
    steps = steps_of(case.good or "", case.language)
    before, rest = joined(steps[: fault.at]), joined(steps[fault.at :])
    # Lines stay lines, sentences sentences.
    lines = any("\n" in one.gap for one in steps) or "\n" in fault.wrong
    between = "\n" if lines else steps[fault.at].gap or space
    told = f"{marker}{space}{fault.note}" if step.tell and fault.note else marker
    return f"{before}{fault.wrong.rstrip()}{between}{told}{between}{rest.lstrip(' ') if before else rest}"


def _own(step: ReviseParams, name: str, language: str) -> str:
    given = step.marker if name == "marker" else step.question
    text = None if given is None else given[language]
    return said("ask" if name == "question" else name, language) if text is None else text


def _corrected(case: Case) -> str:
    return case.rounds[-1][1] if case.rounds else case.first


def _sides(step: ReviseParams, one: Made) -> tuple[str, str]:
    """Chosen and rejected."""
    sides = (_corrected(one.case), one.case.first)
    return sides[::-1] if step.worse == "turn" and one.checked.word == "worse" else sides


def _makers(batch: Batch) -> dict[str, str]:
    names = dict.fromkeys([*((batch.step.model,) if batch.step.model else ()), *batch.step.everyone])
    return {name: batch.context.model_name(name) for name in names}


def _asked(step: ReviseParams, case: Case) -> bool:
    return step.mode != "inject" or (case.fault is not None and case.fault.rule == "model")


def _model(step: ReviseParams, case: Case, names: dict[str, str]) -> str:
    """Who made what is new: who corrected, or thought of the error."""
    if not _asked(step, case):
        return ""
    if step.model is not None and step.correct == "model":
        return signed(names[step.model], case.served)
    return names[step.everyone[0]]


def _scores(checked: Checked) -> dict[str, float]:
    given = {"first": checked.first, "corrected": checked.corrected, "margin": checked.margin}
    return {name: value for name, value in given.items() if value is not None}


def _attributes(step: ReviseParams, one: Made, names: dict[str, str]) -> dict[str, str]:
    case = one.case
    found: dict[str, str] = {"verdict": one.checked.word, "mode": step.mode}
    if step.mode == "critique":
        found["rounds"] = str(len(case.rounds))
    if step.mode != "inject":
        found["by"] = " ".join(names[name] for name in step.everyone)
    if case.rounds:
        found["critique"] = "\n\n".join(critique for critique, _ in case.rounds)
    if case.fault is not None:
        found |= {"error": case.fault.rule, "step": str(case.fault.at + 1)}
    if one.checked.reason:
        found["reason"] = one.checked.reason
    return found


def _answer(text: str) -> Turn:
    return {"role": "assistant", "content": text}


def _user(text: str) -> Turn:
    return {"role": "user", "content": text}

"""Errors are put into good answers: by rule, or thought of by a model that is told to make one step wrong and say why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from curate.generation.common.derived_rows import random_numbers
from curate.generation.common.prompts import fence
from curate.generation.common.requests import InvalidResponse, LLMRequest, clean, ensure_complete
from curate.preferences.pair.candidates import plain
from curate.preferences.revise.cases import Case, Key
from curate.preferences.revise.error_injection_rules import RULES, Fault, faults, replaced, steps_of
from curate.preferences.revise.prompts import said, shown
from curate.steps.models import Answer

if TYPE_CHECKING:
    from curate.preferences.revise.batch import Batch

_ERROR = {
    "type": "object", "properties": {"step": {"type": "integer"}, "wrong": {"type": "string"}, "error": {"type": "string"}},
    "required": ["step", "wrong", "error"], "additionalProperties": False,
}  # fmt: skip


def injected(batch: Batch, cases: Sequence[Case]) -> list[Case]:
    """A case for each wrong version of each answer."""
    rules = tuple(rule for rule in RULES if rule in batch.step.errors)
    thought = _thought(batch, cases) if "model" in batch.step.errors else {}
    seeds = random_numbers(batch.context.seed, batch.rows.ids, "revise", batch.context.draw)
    found = []
    for at, case in enumerate(cases):
        if case.problem:
            found.append(case)
            continue
        made = thought.get(at, [])[: batch.step.n]
        more = faults(case.first, case.language, rules, batch.step.n, seeds[case.place]) if rules else []
        known = {one.answer for one in made}
        made = [*made, *(one for one in more if one.answer not in known)][: batch.step.n]
        if not made:
            batch.left[f"no error fits ({case.language})"] += 1
        for fault in made:
            one = Case(case.place, case.language, case.prompt, fault.answer, case.first, fault.answer, fault=fault)
            one.served = case.served
            told = fault.note or _told(fault, case.language)
            one.rounds.append((told, case.first))
            found.append(one)
    return found


def _told(fault: Fault, language: str) -> str:
    text = said("missing" if fault.rule == "drop" else "fault", language)
    # A text of ours: only these two stand in braces.
    return text.replace("{wrong}", fault.wrong.strip()).replace("{right}", fault.right.strip())


def _thought(batch: Batch, cases: Sequence[Case]) -> dict[int, list[Fault]]:
    """Errors that the model thought of, for each case."""
    model = batch.step.model
    assert model is not None
    only = batch.step.errors == ("model",)
    steps = [steps_of(case.first, case.language) for case in cases]

    def questions() -> Iterator[LLMRequest[Key]]:
        for at, case in enumerate(cases):
            numbered = "\n".join(f"{number}. {one.text.strip()}" for number, one in enumerate(steps[at], 1))
            values = {"request": shown(case.prompt), "steps": fence(numbered, "answer")}
            for part in range(batch.step.n if only else 1):
                yield batch.question(Key(at, model, part), case, "inject", values, _ERROR, part)

    def read(key: Key, answer: Answer) -> Fault:
        ensure_complete(answer)
        own, number = steps[key.case], int(answer.value["step"])
        wrong = clean(str(answer.value["wrong"])).strip()
        if not 1 <= number <= len(own):
            raise InvalidResponse(f"'step' must be a number from 1 to {len(own)}")
        right = own[number - 1].text
        wrong = wrong.removeprefix(f"{number}. ") if not right.lstrip().startswith(f"{number}. ") else wrong
        if not wrong or plain(wrong) == plain(right):
            raise InvalidResponse("'wrong' says what stood there before; it must be wrong")
        if "\n" in wrong and "\n" not in right:
            raise InvalidResponse("'wrong' must be that one step, in one line")
        lead = right[: len(right) - len(right.lstrip())]
        return replaced(own, number - 1, lead + wrong, "model", clean(str(answer.value["error"])).strip())

    found: dict[int, list[Fault]] = {}
    for one in batch.ask(questions(), read):
        if one.value is not None and one.value.answer not in {fault.answer for fault in found.get(one.key.case, [])}:
            found.setdefault(one.key.case, []).append(one.value)
            cases[one.key.case].served = one.answer.served
        elif one.value is None and (only and not one.key.part):
            cases[one.key.case].fails(one)
    for at in found:
        cases[at].problem = ""
    return found

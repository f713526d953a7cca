"""Inserts errors into good answers: by rule, or invented by a model that makes one step wrong and says why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from curate.generation.common.derived_rows import random_numbers
from curate.generation.common.prompts import fence
from curate.generation.common.requests import InvalidResponse, LLMRequest, clean, ensure_complete
from curate.preferences.pair.candidates import plain
from curate.preferences.revise.cases import Case, Key
from curate.preferences.revise.error_injection_rules import RULES, InjectedError, errors_by_rule, replaced, steps_of
from curate.preferences.revise.prompts import row_text, shown
from curate.steps.models import Completion

if TYPE_CHECKING:
    from curate.preferences.revise.batch import ReviseBatch

_ERROR = {
    "type": "object",
    "properties": {"step": {"type": "integer"}, "wrong": {"type": "string"}, "error": {"type": "string"}},
    "required": ["step", "wrong", "error"], "additionalProperties": False,
}  # fmt: skip


def injected(batch: ReviseBatch, cases: Sequence[Case]) -> list[Case]:
    """A case for each wrong version of each answer."""
    rules = tuple(rule for rule in RULES if rule in batch.step.errors)
    by_model = _invented(batch, cases) if "model" in batch.step.errors else {}
    seeds = random_numbers(batch.context.seed, batch.rows.ids, "revise", batch.context.draw)
    result = []
    for at, case in enumerate(cases):
        if case.problem:
            result.append(case)
            continue
        errors = by_model.get(at, [])[: batch.step.n]
        by_rule = errors_by_rule(case.first, case.language, rules, batch.step.n, seeds[case.place]) if rules else []
        known = {one.answer for one in errors}
        errors = [*errors, *(one for one in by_rule if one.answer not in known)][: batch.step.n]
        if not errors:
            batch.left[f"no error fits ({case.language})"] += 1
        for error in errors:
            one = Case(case.place, case.language, case.prompt, error.answer, case.first, error.answer, error=error)
            one.served = case.served
            one.rounds.append((error.note or _note(error, case.language), case.first))
            result.append(one)
    return result


def _note(error: InjectedError, language: str) -> str:
    text = row_text("missing" if error.rule == "drop" else "fault", language)
    # The package's texts have only these two placeholders.
    return text.replace("{wrong}", error.wrong.strip()).replace("{right}", error.right.strip())


def _invented(batch: ReviseBatch, cases: Sequence[Case]) -> dict[int, list[InjectedError]]:
    """The errors that the model invented, for each case."""
    model = batch.step.model
    assert model is not None
    only = batch.step.errors == ("model",)
    steps = [steps_of(case.first, case.language) for case in cases]

    def requests() -> Iterator[LLMRequest[Key]]:
        for at, case in enumerate(cases):
            numbered = "\n".join(f"{number}. {one.text.strip()}" for number, one in enumerate(steps[at], 1))
            values = {"request": shown(case.prompt), "steps": fence(numbered, "answer")}
            for part in range(batch.step.n if only else 1):
                yield batch.request(Key(at, model, part), case, "inject", values, _ERROR, part)

    def read(key: Key, answer: Completion) -> InjectedError:
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

    errors: dict[int, list[InjectedError]] = {}
    for one in batch.ask(requests(), read):
        at = one.key.case
        if one.value is not None and one.value.answer not in {error.answer for error in errors.get(at, [])}:
            errors.setdefault(at, []).append(one.value)
            cases[at].served = one.answer.served
        elif one.value is None and (only and not one.key.part):
            cases[at].fails(one)
    for at in errors:
        cases[at].problem = ""
    return errors

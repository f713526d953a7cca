"""Revises a batch of rows in stages: all critiques, then all corrections, then the check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from curate.generation.common.conversations import not_shown
from curate.generation.common.derived_rows import failed
from curate.generation.common.prompts import disarm, fence
from curate.generation.common.requests import (
    InvalidResponse,
    LLMRequest,
    RequestResult,
    check_languages,
    clean,
    ensure_complete,
)
from curate.preferences.pair.candidates import plain, split_turns
from curate.preferences.revise.batch import ReviseBatch
from curate.preferences.revise.cases import Case, Key
from curate.preferences.revise.check import Checked, Revision
from curate.preferences.revise.error_injection import injected
from curate.preferences.revise.layouts import CheckedCase, rows_of
from curate.preferences.revise.prompts import perspective, row_text, shown
from curate.rows import Kind
from curate.steps import RowBatch
from curate.steps.models import Completion, Request

_LONGEST = 4_000

_CRITIQUE = {
    "type": "object", "properties": {"critique": {"type": "string"}, "flawed": {"type": "boolean"}},
    "required": ["critique", "flawed"], "additionalProperties": False,
}  # fmt: skip
_LIST = {"type": "array", "items": {"type": "string"}}
_CONTRAST = {
    "type": "object", "properties": {"differences": _LIST, "checklist": _LIST},
    "required": ["differences", "checklist"], "additionalProperties": False,
}  # fmt: skip


class Reviser(ReviseBatch):
    """Runs ``revise`` on one batch."""

    def run(self) -> Iterator[RowBatch]:
        step = self.step
        self.check.refuse_self(self.rows)
        languages = [tag for tag in dict.fromkeys(self.rows.language) if tag is not None]
        models = dict.fromkeys(
            [
                *((step.model,) if step.model and step.prompt_names() else ()),
                *(step.everyone if step.mode != "inject" else ()),
                *step.judges,
            ]
        )
        check_languages(self.context, step.tag, models, languages, strict=step.strict)
        if self.context.draw and step.prompt_names() and step.sampling.temperature == 0:
            self.context.warn("revise: more rows are needed, but at temperature 0 an answer has one correction only")
        cases = list(self._cases())
        if step.mode == "inject":
            cases = injected(self, cases)
        elif step.mode == "contrast":
            self._contrast_all(cases)
        else:
            self._criticise_all(cases)
        yield self._make_rows(cases)

    def _cases(self) -> Iterator[Case]:
        table, unasked = self.rows.table, not_shown(self.rows)
        for place, language in enumerate(self.rows.language.to_list()):
            if not self.context.is_open(language):
                continue
            if (missing := unasked[place]) is not None:
                self.bad.append(failed(self.rows, place, missing))
                continue
            good = None
            if self.rows.kind is Kind.PREFERENCE:
                prompt = tuple(table["prompt"][place].as_py())
                sides = [table[name][place].as_py() for name in ("rejected", "chosen")]
                rejected, chosen = map(_text, sides)
                first, good = (chosen, None) if self.step.mode == "inject" else (rejected, chosen)
                calls = any(
                    turn["tool_calls"] for name in ("rejected", "chosen") for turn in table[name][place].as_py()
                )
            else:
                one = split_turns(table["messages"][place].as_py())
                prompt, first, calls = one.prompt, one.answer, one.calls
            if calls:
                self.bad.append(failed(self.rows, place, "its answer calls tools, and only texts are revised"))
            elif not first.strip() or not any(turn["role"] == "user" and turn["content"].strip() for turn in prompt):
                self.bad.append(failed(self.rows, place, "there is no answer to a user turn that could be revised"))
            elif self.step.correct == "chosen" and not (good or "").strip():
                self.bad.append(failed(self.rows, place, "there is no chosen answer"))
            else:
                yield Case(place, language, prompt, first, good, current=first)

    # -------------------------------------------------------------------------------------------------------- critique
    def _criticise_all(self, cases: Sequence[Case]) -> None:
        for _ in range(self.step.rounds):
            notes = self._reviews(cases)
            if self.step.correct == "chosen":
                for at, critique in notes.items():
                    cases[at].rounds.append((critique, cases[at].good or ""))
                return
            self._correct(cases, notes)

    def _reviews(self, cases: Sequence[Case]) -> dict[int, str]:
        """What is wrong with each answer, by all critics together. An answer with nothing wrong is settled."""

        def requests() -> Iterator[LLMRequest[Key]]:
            for at, case in enumerate(cases):
                if not case.live:
                    continue
                reference = ""
                if self.step.correct == "chosen":
                    intro = row_text("better", self._spoken(case.language))
                    reference = f"{intro}\n{fence(case.good or '', 'reference')}\n\n"
                for part, view in enumerate(self.step.perspectives):
                    values = {
                        "perspective": perspective(view, self._spoken(case.language)),
                        "request": shown(case.prompt),
                        "reference": reference,
                        "answer": fence(case.current, "answer"),
                    }
                    for name in self.step.everyone:
                        yield self.request(Key(at, name, part), case, "critique", values, _CRITIQUE)

        results_of: dict[int, list[RequestResult[Key, tuple[str, bool]]]] = {}
        for one in self.ask(requests(), self._critique):
            results_of.setdefault(one.key.case, []).append(one)
        notes = {}
        for at, results in results_of.items():
            critiques = [one.value for one in results if one.value is not None]
            if not critiques:
                self._end(cases[at], results[0])
                continue
            complaints = list(dict.fromkeys(text for text, flawed in critiques if flawed))
            if complaints:
                notes[at] = "\n\n".join(complaints)
            else:
                self._settle(cases[at], critiques[0][0])
        return notes

    @staticmethod
    def _end(case: Case, failure: RequestResult[Any, Any]) -> None:
        """Ends a case after a failed request: settled if earlier rounds made a correction, else failed."""
        case.settled = bool(case.rounds)
        if not case.settled:
            case.fails(failure)

    @staticmethod
    def _settle(case: Case, fine: str) -> None:
        case.settled = True
        case.fine = "" if case.rounds else fine

    @staticmethod
    def _critique(key: Key, answer: Completion) -> tuple[str, bool]:
        ensure_complete(answer)
        text = clean(str(answer.value["critique"])).strip()
        if answer.value["flawed"] and not text:
            raise InvalidResponse("it says that the answer is flawed, but not what is wrong")
        return text, bool(answer.value["flawed"])

    def _correct(self, cases: Sequence[Case], notes: Mapping[int, str]) -> None:
        """Has the answers corrected by the notes. An answer that does not change is settled."""
        model = self.step.model
        assert model is not None

        def requests() -> Iterator[LLMRequest[Key]]:
            for at, text in notes.items():
                case = cases[at]
                values = {
                    "request": shown(case.prompt),
                    "answer": fence(case.current, "answer"),
                    "notes": fence(text, "notes"),
                }
                yield self.request(Key(at, model), case, "correct", values, None)

        for one in self.ask(requests(), self._text):
            case = cases[one.key.case]
            if one.value is None:
                self._end(case, one)
            elif plain(one.value) == plain(case.current):
                case.settled = True
            else:
                case.rounds.append((notes[one.key.case], one.value))
                case.current, case.served = one.value, one.answer.served

    # -------------------------------------------------------------------------------------------------------- contrast
    def _contrast_all(self, cases: Sequence[Case]) -> None:
        others: dict[int, list[str]] = {at: [] if case.good is None else [case.good] for at, case in enumerate(cases)}
        problems: dict[int, RequestResult[Key, str]] = {}

        def solve() -> Iterator[LLMRequest[Key]]:
            for at, case in enumerate(cases):
                spoken = self._spoken(case.language)
                for part, view in enumerate(self.step.perspectives):
                    prompt = self._filled("solve", case, {"perspective": perspective(view, spoken)})
                    turns = [
                        (turn["role"], disarm(turn["content"]))
                        for turn in case.prompt
                        if turn["role"] in ("system", "user", "assistant")
                    ]
                    system = "\n\n".join(text for role, text in (*turns[:1], *prompt) if role == "system")
                    rest = turns[1:] if turns and turns[0][0] == "system" else turns
                    messages = (("system", system), *(one for one in prompt if one[0] != "system"), *rest)
                    for name in self.step.everyone:
                        request = Request(messages, self.step.sampling, self._sample, row=self._id(case))
                        yield LLMRequest(Key(at, name, part), request, self.context.model(name))

        for one in self.ask(solve(), self._text):
            if one.value is None:
                problems.setdefault(one.key.case, one)
            else:
                others[one.key.case].append(one.value)

        def contrast() -> Iterator[LLMRequest[Key]]:
            model = self.step.model
            assert model is not None
            for at, case in enumerate(cases):
                texts = list(dict.fromkeys([case.first, *others[at]]))
                if len(texts) < 2:
                    if at in problems and not others[at]:
                        case.fails(problems[at])
                    else:
                        self._settle(case, "")
                    continue
                answers = "\n".join(fence(text, f"answer_{number}") for number, text in enumerate(texts, 1))
                values = {"request": shown(case.prompt), "answers": answers}
                yield self.request(Key(at, model), case, "contrast", values, _CONTRAST)

        notes = {}
        for result in self.ask(contrast(), self._checklist):
            case = cases[result.key.case]
            if result.value is None:
                case.fails(result)
            elif not result.value:
                self._settle(case, "")
            else:
                notes[result.key.case] = "\n".join(f"- {item}" for item in result.value)
        self._correct(cases, notes)

    @staticmethod
    def _checklist(key: Key, answer: Completion) -> list[str]:
        """The checklist; if it is empty, the differences."""
        ensure_complete(answer)
        for name in ("checklist", "differences"):
            items = [clean(" ".join(str(item).split()).lstrip("-•* ")) for item in answer.value[name]]
            if any(items):
                return list(dict.fromkeys(filter(None, items)))
        return []

    # ------------------------------------------------------------------------------------------------------------- rows
    def _make_rows(self, cases: Sequence[Case]) -> RowBatch:
        done = []
        for case in cases:
            if case.problem and case.cut and self.step.on_length == "drop":
                self.left["cut off"] += 1
            elif case.problem:
                self.bad.append(failed(self.rows, case.place, case.problem, case.raw))
            else:
                done.append(case)
        made = []
        for case, checked in zip(done, self._checked(done), strict=True):
            if checked.problem:
                self.bad.append(failed(self.rows, case.place, checked.problem, checked.reason))
            elif self._kept(checked):
                made.append(CheckedCase(case, checked))
            else:
                self.left[f"{checked.word} ({case.language})"] += 1
        self._warn()
        return RowBatch(rows_of(self, made), tuple(self.bad))

    def _checked(self, cases: Sequence[Case]) -> list[Checked]:
        groups = self.rows.table["group_id"].to_pylist()

        def revision(case: Case) -> Revision:
            turns = tuple((turn["role"], turn["content"]) for turn in case.prompt)
            corrected = case.rounds[-1][1] if case.rounds else case.first
            chosen = None if self.step.mode == "inject" else case.good
            return Revision(
                case.place, self._id(case), groups[case.place], case.language, turns, case.first, corrected, chosen
            )

        changed = [plain(case.rounds[-1][1]) != plain(case.first) if case.rounds else False for case in cases]
        # The final answer of an unchanged answer is checked too: keeping a wrong one is not wanted.
        needs_check = [one or (self.step.by == "answer" and self.step.unchanged == "keep") for one in changed]
        results = iter(
            self.check.of([revision(case) for case, needed in zip(cases, needs_check, strict=True) if needed])
        )
        checked = []
        for is_changed, needed in zip(changed, needs_check, strict=True):
            one = next(results) if needed else Checked("unchanged")
            checked.append(one if is_changed else Checked("unchanged", one.first, one.corrected, one.margin))
        return checked

    def _kept(self, checked: Checked) -> bool:
        step = self.step
        if checked.word == "unchanged":
            return step.unchanged == "keep" and (step.by != "answer" or checked.first == 1)
        if checked.word == "unassessed":
            return step.unassessed == "keep"
        if checked.word in ("better", "unchecked"):
            return True
        return step.worse == "keep" or (step.worse == "turn" and checked.word == "worse")

    def _warn(self) -> None:
        if self.left:
            counts = ", ".join(f"{count:,} {name}" for name, count in sorted(self.left.items()))
            self.context.warn(f"revise: of {len(self.rows):,} rows, no row was made of {counts}")


def _text(turns: Sequence[Mapping[str, str]]) -> str:
    return "\n\n".join(turn["content"] for turn in turns if turn["role"] == "assistant")

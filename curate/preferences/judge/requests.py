"""Builds the judges' requests and turns their answers into verdicts: both orders of a pair, each criterion of a
rubric."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from curate.generation.common.derived_rows import hash_of
from curate.generation.common.prompts import Prompt, fence, language_values, load_prompts, own_prompts
from curate.generation.common.requests import LLMRequest, RequestResult, ask, clean, ensure_complete
from curate.preferences.judge.params import JudgeParams
from curate.preferences.judge.parsing import PAIR, Verdict, of_orders, probabilities, read_label, read_level
from curate.preferences.judge.rendering import Item
from curate.preferences.judge.rubric import (
    ENGLISH,
    Criterion,
    Rubric,
    keys,
    levels,
    pair_schema,
    part,
    rubric_text,
    score_schema,
)
from curate.rows import Kind
from curate.steps import Context
from curate.steps.models import Completion, Request

Judged = dict[tuple[int, str], Verdict]
"""(place of the item in its list, judge) → verdict."""
_REASON = 4_000


@dataclass(frozen=True, slots=True)
class _RequestKey:
    at: int
    judge: str
    part: str
    """Pairwise: ``0`` with chosen first, ``1`` with rejected first. Direct: the side."""
    criterion: int
    """The criterion of the request; -1: all at once."""
    sample: int


@dataclass(frozen=True, slots=True)
class _ParsedAnswer:
    value: float
    """Pairwise: how far the first shown is preferred. Direct: unused."""
    levels: Mapping[str, float]
    label: str
    reason: str


class JudgeRequests:
    """Asks the judges of a step about rows of one kind."""

    def __init__(self, step: JudgeParams, kind: Kind, context: Context) -> None:
        self.step, self.kind, self.context = step, kind, context
        self.pairwise = step.method == "pairwise"
        self.rubric: Rubric = () if self.pairwise and step.rubric == "auto" else step.criteria(kind)
        self.prompts = load_prompts(step.template(kind)) if step.prompt is None else own_prompts("prompt", step.prompt)
        self.labels = ("A", "B", "tie") if step.ties else ("A", "B")
        self._hashes: dict[tuple[str, str], str] = {}
        self._parts: dict[tuple[str, int], dict[str, str]] = {}

    @property
    def json(self) -> bool:
        """Whether answers are JSON."""
        return self.step.explain or self.step.constrain

    # -------------------------------------------------------------------------------------------------------- asking
    def judge(self, items: Sequence[Item], judges: Callable[[Item], Sequence[str]]) -> Judged:
        """The verdict of each judge on each item. Items that cannot be judged, and pairs of equal answers, need no
        request.

        Args:
            judges: the judges of an item.
        """
        results: dict[tuple[int, str], dict[str, list[RequestResult[_RequestKey, _ParsedAnswer]]]] = {}
        for window in ask(self._requests(items, judges), self._read, retries=self.step.retries):
            for one in window:
                results.setdefault((one.key.at, one.key.judge), {}).setdefault(one.key.part, []).append(one)
        combine = self._of_pair if self.pairwise else self._of_levels
        verdicts = {key: combine(parts) for key, parts in results.items()}
        for at, item in enumerate(items):
            if item.same and not item.why_not:
                verdicts |= {(at, name): Verdict(0.0) for name in judges(item)}
        return verdicts

    def _requests(
        self, items: Sequence[Item], judges: Callable[[Item], Sequence[str]]
    ) -> Iterator[LLMRequest[_RequestKey]]:
        separate = not self.pairwise and (self.step.apart or not self.step.explain)
        criteria = range(len(self.rubric)) if separate else [-1]
        top = self.step.top_logprobs if self.step.scoring == "logprobs" else 0
        for at, item in enumerate(items):
            if item.why_not or item.same:
                continue
            for name in judges(item):
                generator = self.context.model(name)
                for part_name in ("0", "1") if self.pairwise else item.answers:
                    for criterion in criteria:
                        messages, schema = self._messages(item, part_name, criterion)
                        for sample in range(self.step.samples):
                            request = Request(
                                messages, self.step.sampling, sample, schema, top_logprobs=top, row=item.id
                            )
                            yield LLMRequest(_RequestKey(at, name, part_name, criterion, sample), request, generator)

    def _messages(
        self, item: Item, part_name: str, criterion: int
    ) -> tuple[tuple[tuple[str, str], ...], dict[str, Any] | None]:
        spoken = self.spoken(item.language)
        prompt = self._prompt(item.language)
        values = {**language_values(item.language), **language_values(item.source_language, "source_language")}
        values["prompt"] = item.shown
        values["reference"] = ""
        if item.reference is not None:
            values["reference"] = f"{part('reference', spoken)}\n{fence(item.reference, 'reference')}\n\n"
        if (spoken, criterion) not in self._parts:
            self._parts[spoken, criterion] = self._instructions(spoken, criterion)
        values |= self._parts[spoken, criterion]
        if self.pairwise:
            first, second = ("chosen", "rejected") if part_name == "0" else ("rejected", "chosen")
            values["first"] = fence(item.answers[first], "answer_A")
            values["second"] = fence(item.answers[second], "answer_B")
            schema = pair_schema(self.step.ties, reason=self.step.explain)
        else:
            values["answer"] = fence(item.answers[part_name], "answer")
            schema = score_schema(self._criteria(criterion))
        return prompt.fill(values), schema if self.json else None

    def _instructions(self, language: str, criterion: int) -> dict[str, str]:
        """The criteria and the form of the verdict, in a language."""
        explain = self.step.explain
        if self.pairwise:
            criteria = rubric_text(self.rubric, language, levels=False) if self.rubric else part("counts", language)
            form = "reason" if explain else "verdict" if self.json else "label"
            return {"criteria": criteria, "form": part(form + ("_tie" if self.step.ties else ""), language)}
        rubric = self._criteria(criterion)
        if explain:
            form = part("scores", language, keys=keys(rubric))
        else:
            form = part("score", language, levels=levels(rubric[0]))
        return {"criteria": rubric_text(rubric, language), "form": form}

    def _criteria(self, criterion: int) -> Rubric:
        return self.rubric if criterion < 0 else (self.rubric[criterion],)

    def spoken(self, language: str) -> str:
        """The language of the prompt for rows in a language."""
        return ENGLISH if self.step.instructions == "english" else language

    def _prompt(self, language: str) -> Prompt:
        # The user's own template has its own choice of languages.
        return self.prompts[language if self.step.prompt is not None else self.spoken(language)]

    def hash(self, language: str) -> str:
        """16 hexadecimal digits of everything in the prompt except the row."""
        spoken = self.spoken(language)
        key = (spoken, language)
        if key not in self._hashes:
            self._hashes[key] = hash_of(self._prompt(language).turns, self._instructions(spoken, -1))
        return self._hashes[key]

    # ------------------------------------------------------------------------------------------------------- reading
    def _read(self, key: _RequestKey, answer: Completion) -> _ParsedAnswer:
        ensure_complete(answer)
        reason = ""
        if self.step.explain:
            reason = clean(str(answer.value["reason"]))[:_REASON]
        if self.pairwise:
            label = answer.value["verdict"] if self.json else read_label(answer.text, self.labels)
            if self.step.scoring == "verdict":
                return _ParsedAnswer(PAIR[label], {}, label, reason)
            likely = probabilities(answer, self.labels, "verdict" if self.json else None)
            return _ParsedAnswer(likely["A"] - likely["B"], {}, label, reason)
        scores = {}
        for one in self._criteria(key.criterion):
            number = int(answer.value[one.name]) if self.step.explain else read_level(answer.text, one.numbers)
            is_plain = self.step.scoring == "verdict"
            scores[one.name] = float(number) if is_plain else _expected(answer, one, self.step.explain)
        return _ParsedAnswer(0.0, scores, "", reason)

    @staticmethod
    def _of_pair(parts: Mapping[str, Sequence[RequestResult[_RequestKey, _ParsedAnswer]]]) -> Verdict:
        """Combines the answers for both orders; without a usable answer in each there is no verdict."""
        values, labels, reasons = [], [], []
        first = decided = 0
        problem = ""
        for number, title in (("0", "chosen first"), ("1", "rejected first")):
            results = parts[number]
            read = [one.value for one in results if one.value is not None]
            problem = problem or next((one.problem for one in results if one.value is None), "")
            values.append(sum(one.value for one in read) / len(read) if read else None)
            labels.append(" ".join(one.label for one in read) or "-")
            reasons += [f"({title}) {one.reason}" for one in read[:1] if one.reason]
            first += sum(one.value > 0 for one in read)
            decided += sum(one.value != 0 for one in read)
        one, two = values
        return Verdict(
            of_orders(one, two) if one is not None and two is not None else None,
            orders=(one, two) if one is not None and two is not None else None,
            labels=tuple(labels),
            first=first,
            decided=decided,
            reason="\n".join(reasons),
            problem=problem,
        )

    def _of_levels(self, parts: Mapping[str, Sequence[RequestResult[_RequestKey, _ParsedAnswer]]]) -> Verdict:
        """The weighted mean over criteria of each answer; without all criteria of all answers there is no verdict."""
        sides: dict[str, float] = {}
        criteria: dict[str, dict[str, float]] = {}
        reasons, problem = [], ""
        for side, results in parts.items():
            problem = problem or next((one.problem for one in results if one.value is None), "")
            samples: dict[str, list[float]] = {}
            for one in results:
                for name, value in ({} if one.value is None else one.value.levels).items():
                    samples.setdefault(name, []).append(value)
            reasons += [one.value.reason for one in results[:1] if one.value is not None and one.value.reason]
            if len(samples) == len(self.rubric):
                criteria[side] = {one.name: sum(samples[one.name]) / len(samples[one.name]) for one in self.rubric}
                sides[side] = weighted(criteria[side], self.rubric)
        if len(sides) < len(parts):
            return Verdict(reason="\n".join(reasons), problem=problem)
        score = sides["chosen"] - sides["rejected"] if "chosen" in sides else sides["answer"]
        return Verdict(score, sides, criteria, reason="\n".join(reasons), problem=problem)


def weighted(values: Mapping[str, float], rubric: Rubric) -> float:
    """The mean over criteria, by weight."""
    return sum(values[one.name] * one.weight for one in rubric) / sum(one.weight for one in rubric)


def _expected(answer: Completion, criterion: Criterion, explain: bool) -> float:
    likely = probabilities(answer, [str(number) for number in criterion.numbers], criterion.name if explain else None)
    return sum(int(label) * share for label, share in likely.items())


def compact(value: Any) -> str:
    """JSON on one line."""
    return orjson.dumps(value).decode()

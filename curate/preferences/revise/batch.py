"""A batch of rows for ``revise``: its prompts, its failures, and the requests about a row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from curate.generation.common.conversations import split_reasoning
from curate.generation.common.derived_rows import hash_of
from curate.generation.common.prompts import Prompts, language_values
from curate.generation.common.requests import InvalidResponse, LLMRequest, RequestResult, ask, clean, ensure_complete
from curate.preferences.revise.cases import Case, Key
from curate.preferences.revise.check import Check
from curate.preferences.revise.params import ReviseParams
from curate.preferences.revise.prompts import PromptName, perspective, prompts_of
from curate.steps import Context, FailedRow, Rows
from curate.steps.models import Completion, Request

V = TypeVar("V")
Messages = tuple[tuple[str, str], ...]


class ReviseBatch:
    """Rows, and the results for them so far."""

    def __init__(self, step: ReviseParams, rows: Rows, context: Context) -> None:
        self.step, self.rows, self.context = step, rows, context
        self.prompts: dict[PromptName, Prompts] = {
            name: prompts_of(name, step.templates) for name in step.prompt_names()
        }
        self.bad: list[FailedRow] = []
        self.left = Counter[str]()
        self.check = Check(step, context)

    @property
    def _sample(self) -> int:
        return self.context.draw

    def _spoken(self, language: str) -> str:
        return "en" if self.step.instructions == "english" else language

    def _id(self, case: Case) -> str:
        return str(self.rows.ids[case.place])

    def _filled(self, name: PromptName, case: Case, values: Mapping[str, str]) -> Messages:
        prompts = self.prompts[name]
        # The user's own template has its own choice of languages.
        prompt = prompts[case.language if name in self.step.templates else self._spoken(case.language)]
        return prompt.fill({**language_values(case.language), **values})

    def request(
        self,
        key: Key,
        case: Case,
        name: PromptName,
        values: Mapping[str, str],
        schema: Mapping[str, Any] | None,
        part: int = 0,
    ) -> LLMRequest[Key]:
        sample = self._sample * self.step.n + part
        request = Request(self._filled(name, case, values), self.step.sampling, sample, schema, row=self._id(case))
        return LLMRequest(key, request, self.context.model(key.model))

    def ask(
        self, requests: Iterable[LLMRequest[Key]], read: Callable[[Key, Completion], V]
    ) -> Iterator[RequestResult[Key, V]]:
        for results in ask(requests, read, retries=self.step.retries):
            yield from results

    def _text(self, key: Key, answer: Completion) -> str:
        ensure_complete(answer)
        text = split_reasoning(clean(answer.text), self.step.reasoning_tags)[1].strip()
        if not text:
            raise InvalidResponse("it is empty")
        return text

    def hash(self, language: str) -> str:
        """16 hexadecimal digits of everything in the prompts except the row; empty if no model is used."""
        if not self.prompts:
            return ""
        used = {}
        for name, prompts in self.prompts.items():
            prompt = prompts[language if name in self.step.templates else self._spoken(language)]
            used[name] = prompt.hash
        views = [perspective(view, self._spoken(language)) for view in self.step.perspectives]
        return hash_of(used, views)

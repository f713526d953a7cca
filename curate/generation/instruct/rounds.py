"""Sends requests for new instructions in rounds, and accepts the items of the answers in order."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import orjson
import pyarrow as pa

from curate.errors import StepError
from curate.generation.common.conversations import last_prompts
from curate.generation.common.derived_rows import derive_rows, hash_of, random_numbers
from curate.generation.common.few_shot import Example
from curate.generation.common.prompts import (
    Prompts,
    fence,
    language_values,
    load_data,
    load_prompts,
    own_prompt,
    own_prompts,
)
from curate.generation.common.requests import LLMRequest, RequestResult, ask
from curate.generation.instruct.diversity import Known
from curate.generation.instruct.items import Contract, NewItem, Refused
from curate.generation.instruct.params import PARTS, InstructParams
from curate.generation.instruct.seeds import ORIGIN, Root, Seeds, roots_of, shipped_people
from curate.rows import Kind, schema
from curate.rows.ids import row_ids
from curate.rows.kinds import MESSAGES
from curate.rows.languages import base
from curate.steps import Context, FailedRow, RowBatch, Rows
from curate.steps.models import Completion, Request, signed
from curate.unanswered import current

_FEWEST = 20
_MOST_SAMPLES = 1_000_000


@dataclass(frozen=True, slots=True)
class _Plan:
    """A request."""

    root: Root
    language: str
    sample: int
    """The request's number for seeds, else how often the same root was used before."""
    examples: tuple[Example, ...]
    topic: str


@dataclass
class _State:
    """The progress of a language."""

    asked: int = 0
    accepted: int = 0
    own: list[Example] = field(default_factory=list)
    exhausted: bool = False
    """Whether every root was used."""


class Rounds:
    """One call of ``gather``."""

    def __init__(self, step: InstructParams, rows: Iterable[Rows], context: Context) -> None:
        self.step, self.rows, self.context = step, rows, context
        self.made = Kind.SFT if step.writes_answers else Kind.PROMPT
        self.input = next((batch.kind for batch in rows if len(batch)), None)
        self.seeds = self._seeds()
        self.languages = self._languages()
        self.states = {language: _State() for language in self.languages}
        self.known: dict[str, Known] = {}
        self.prompts: Prompts = (
            load_prompts(f"instruct/{step.method}") if step.prompt is None else own_prompts("prompt", step.prompt)
        )
        self.parts = {name: own_prompt(name, text) for name, text in load_data(PARTS).items()}
        self.empty = Counter[str]()
        self.requests = 0

    # --------------------------------------------------------------------------------------------------------- inputs
    def _own_are_prompts(self) -> bool:
        return self.input is not None and self.input not in (Kind.DOCUMENT, Kind.PARALLEL)

    def _seeds(self) -> Seeds | None:
        step = self.step
        if step.seeds and step.seeds_from is not None:
            name = step.seeds_from
            return Seeds(lambda: self.context.rows(name), self.context.seed, step.pool, step.max_chars)
        # Passages are not examples of instructions.
        if not self._own_are_prompts() or step.method == "passages":
            return None
        return Seeds(lambda: self.rows, self.context.seed, step.pool, step.max_chars)

    def _languages(self) -> tuple[str, ...]:
        if self.step.languages is not None:
            tags: Iterable[str] = self.step.languages
        elif self.step.method == "seeds" or (self.step.method == "personas" and self._uses_package_personas()):
            tags = self.seeds.languages if self.seeds is not None else ()
        else:
            batches = self.rows if self.step.personas is None else self.context.rows(self.step.personas)
            tags = sorted({language for batch in batches for language in batch.language.unique().to_list() if language})
        return tuple(language for language in tags if self.context.is_open(language))

    def _uses_package_personas(self) -> bool:
        return self.step.personas is None and self.input is not Kind.DOCUMENT

    def _index_known(self) -> None:
        """Indexes the texts that new instructions must differ from, in the languages that are written."""
        for language in self.languages:
            self.known.setdefault(base(language), Known(self.step.max_similarity))
        against = self.step.against
        names = [against] if isinstance(against, str) else list(against or ())
        if self.step.seeds_from is not None:
            names.append(self.step.seeds_from)
        walks: list[Iterable[Rows]] = [self.context.rows(name) for name in dict.fromkeys(names)]
        if self._own_are_prompts():
            walks.append(self.rows)
        for walk in walks:
            for batch in walk:
                if batch.kind is Kind.DOCUMENT:
                    continue
                for name, language, text in zip(batch.ids, batch.language, last_prompts(batch), strict=True):
                    if text.strip() and base(language) in self.known:
                        self.known[base(language)].add(text, name)

    # --------------------------------------------------------------------------------------------------------- rounds
    def run(self) -> Iterator[RowBatch]:
        if not self.languages:
            self.context.warn("instruct: no input rows and no 'languages', so nothing is written")
            return
        self._index_known()
        plans = {language: self._plans(language) for language in self.languages}
        while True:
            batch: list[_Plan] = []
            for language in self.languages:
                for _ in range(self._next_count(language)):
                    plan = next(plans[language], None)
                    if plan is None:
                        self.states[language].exhausted = True
                        break
                    batch.append(plan)
                    self.states[language].asked += 1
            if not batch:
                break
            for results in ask(self._requests(batch), self._read, retries=self.step.retries):
                yield self._accept(results)
            self._check_failures()
            if current().not_asked:  # nor would the requests of further rounds be sent
                return
        self._check_failures(last=True)
        for language, state in self.states.items():
            if self.step.total is not None and state.accepted < self.step.total:
                why = (
                    "every persona or passage was used once"
                    if state.exhausted
                    else f"{state.asked:,} requests were made (max_requests)"
                )
                self.context.warn(
                    f"instruct: {state.accepted:,} of {self.step.total:,} instructions in {language}: {why}"
                )

    def _next_count(self, language: str) -> int:
        """The number of requests in the next round, estimated from the yield so far."""
        state, step = self.states[language], self.step
        if state.exhausted:
            return 0
        left = step.most_requests - state.asked
        if step.total is not None:
            missing = step.total - state.accepted
            if missing <= 0:
                return 0
            per_request = max(0.25, state.accepted / state.asked) if state.asked else float(step.per_request)
            left = min(left, math.ceil(missing / per_request))
        return min(left, step.round)

    def _plans(self, language: str) -> Iterator[_Plan]:
        """The requests in a language; endless for seeds, and for personas with a ``total``."""
        for number, (root, turn) in enumerate(self._roots(language)):
            # Draws for a persona or passage depend on its id, not its place: another row does not change its request.
            key = str(number) if root is None else f"{root.id}:{root.part}:{turn}"
            examples = self._draw(language, key)
            if root is None:
                root = self.seeds.root(examples[0]) if examples and self.seeds is not None else self._any_root()
                if root is None:
                    return
            own = self._draw_own(language, key)
            yield _Plan(
                root,
                language,
                number if turn is None else turn,
                (*examples, *own),
                self._topic(language, number, key, turn),
            )

    def _roots(self, language: str) -> Iterator[tuple[Root | None, int | None]]:
        """The roots of the requests in a language, and how often each was used before; None for seeds."""
        while self.step.method == "seeds":
            yield None, None
        for turn in count():
            any_root = False
            if self.step.method == "personas" and self._uses_package_personas():
                roots: Iterable[Root] = shipped_people([language])
            else:
                name = self.step.personas
                batches = self.rows if name is None else self.context.rows(name)
                roots = roots_of(batches, self.step.passage_chars, self.step.passage_parts)
            for root in roots:
                if self.step.languages is not None or root.language == language:
                    any_root = True
                    yield root, turn
            # A persona can be used again, with other examples and another sample; a passage cannot.
            if not any_root or self.step.method == "passages" or self.step.total is None:
                return

    def _any_root(self) -> Root | None:
        """The row to name as the parent if no example was drawn."""
        for batch in self.rows:
            if len(batch):
                return Root(str(batch.ids[0]), batch.language[0], "", batch.table.select(list(ORIGIN)).slice(0, 1))
        return None

    def _draw(self, language: str, key: str) -> list[Example]:
        if self.seeds is None or not self.step.seeds:
            return []
        seed = random_numbers(self.context.seed, ["instruct"], self.context.draw, self.step.method)[0]
        if self.step.seed_language == "any":
            tags = self.seeds.languages
            tag = tags[random_numbers(seed, [key], "language", language)[0] % len(tags)] if tags else language
            return self.seeds.draw(self.step.seeds, tag, key, seed, same=False)
        return self.seeds.draw(self.step.seeds, language, key, seed, same=self.step.seed_language == "same")

    def _draw_own(self, language: str, key: str) -> list[Example]:
        own = self.states[language].own
        if not self.step.own or not own:
            return []
        numbers = random_numbers(self.context.seed, [one.id for one in own], "own", self.context.draw, key)
        order = sorted(range(len(own)), key=lambda place: (numbers[place], place))
        return [own[place] for place in order[: self.step.own]]

    def _topic(self, language: str, number: int, key: str, turn: int | None) -> str:
        topics = (self.step.about[language] if self.step.about is not None else None) or ()
        if not topics:
            return ""
        if turn is not None:
            return topics[
                random_numbers(self.context.seed, [key], "topic", language, self.context.draw)[0] % len(topics)
            ]
        # Each topic is used once before any is repeated.
        turn, place = divmod(number, len(topics))
        numbers = random_numbers(self.context.seed, topics, "topics", language, self.context.draw, turn)
        return topics[sorted(range(len(topics)), key=lambda one: numbers[one])[place]]

    # -------------------------------------------------------------------------------------------------------- requests
    def _contract(self, language: str) -> Contract:
        step = self.step
        blocked = (step.blocklist[language] if step.blocklist is not None else None) or ()
        return Contract(
            step.per_request,
            step.with_input,
            step.writes_answers,
            step.evidence,
            step.min_letters,
            step.max_chars,
            blocked,
        )

    def _requests(self, plans: list[_Plan]) -> Iterator[LLMRequest[_Plan]]:
        generator = self.context.model(self.step.model)
        for plan in plans:
            contract = self._contract(plan.language)
            values = {**language_values(plan.language), "count": str(self.step.per_request)}
            keys = contract.keys()
            item = "{" + ", ".join(f'"{key}": "…"' for key in keys) + "}"
            grounded = self.step.method == "passages"
            described = " ".join(
                self._part("grounded" if key == "output" and grounded else key, values) for key in keys
            )
            values["form"] = self._part("form", {**values, "item": item, "keys": described})
            values["examples"] = ""
            if plan.examples:
                values["examples"] = self._part("examples", {**values, "examples": self._shown(plan)})
            values["topic"] = self._part("topic", {**values, "topic": plan.topic}) if plan.topic else ""
            values["persona"] = fence(plan.root.text, "person") if self.step.method == "personas" else ""
            values["passage"] = fence(plan.root.text, "passage") if self.step.method == "passages" else ""
            messages = self.prompts[plan.language].fill(values)
            sample = plan.sample + self.context.draw * _MOST_SAMPLES
            request = Request(messages, self.step.sampling, sample, contract.schema(), row=plan.root.id)
            yield LLMRequest(plan, request, generator)

    def _part(self, name: str, values: dict[str, str]) -> str:
        # Keeps leading and trailing line breaks of the part.
        return "".join(text for _, text in self.parts[name].fill(values))

    def _shown(self, plan: _Plan) -> str:
        shown = []
        for one in plan.examples:
            shown.append(fence(one.prompt, "task"))
            if self.step.writes_answers and one.response:
                shown.append(fence(one.response, "answer"))
        return "\n".join(shown)

    def _read(self, plan: _Plan, answer: Completion) -> list[NewItem | Refused]:
        return self._contract(plan.language).read(answer, plan.root.text)

    # ------------------------------------------------------------------------------------------------------------ rows
    def _accept(self, results: list[RequestResult[_Plan, list[NewItem | Refused]]]) -> RowBatch:
        bad: list[FailedRow] = []
        accepted: list[tuple[_Plan, NewItem, Completion]] = []
        for one in results:
            self.requests += 1
            plan = one.key
            if one.value is None:
                if plan.root.id not in current().not_asked:
                    self.empty[one.problem] += 1
                bad.append(FailedRow(plan.root.id, one.problem, one.answer.text[:2_000]))
                continue
            state = self.states[plan.language]
            items = [item for item in one.value if isinstance(item, NewItem)]
            bad += [
                FailedRow(plan.root.id, item.reason, item.raw[:2_000])
                for item in one.value
                if isinstance(item, Refused)
            ]
            for item, name in zip(items, self._ids(items, plan.language), strict=True):
                if self.step.total is not None and state.accepted >= self.step.total:
                    break
                like = self.known[base(plan.language)].nearest(item.prompt)
                if like is not None:
                    raw = orjson.dumps({"instruction": item.instruction, "input": item.input}).decode()
                    bad.append(
                        FailedRow(plan.root.id, f"too similar ({like.similarity:.2f}) to {like.id}", raw[:2_000])
                    )
                    continue
                self.known[base(plan.language)].add(item.prompt, name)
                state.accepted += 1
                if self.step.own:
                    state.own.append(Example(name, name, plan.language, item.prompt, item.output))
                accepted.append((plan, item, one.answer))
        return RowBatch(self._table(accepted), tuple(bad))

    def _columns(self, items: list[NewItem]) -> dict[str, list[Any]]:
        prompts = [[{"role": "user", "content": item.prompt}] for item in items]
        if self.made is Kind.PROMPT:
            return {"prompt": prompts}
        answers = [{"role": "assistant", "content": item.output} for item in items]
        return {"messages": [[*turns, answer] for turns, answer in zip(prompts, answers, strict=True)]}

    def _ids(self, items: list[NewItem], language: str) -> list[str]:
        """The ids that rows of these items will have."""
        columns: dict[str, Any] = {name: pa.array(column, MESSAGES) for name, column in self._columns(items).items()}
        table = pa.table({**columns, "language": [language] * len(items)})
        return [str(one) for one in row_ids(self.made, table).to_pylist()]

    def _table(self, taken: list[tuple[_Plan, NewItem, Completion]]) -> pa.Table:
        places: dict[str, int] = {}
        origins: list[pa.Table] = []
        for plan, _, _ in taken:
            if plan.root.id not in places:
                places[plan.root.id] = len(origins)
                origins.append(plan.root.origin)
        # Derived rows need only these columns of their parents; the kind does not matter.
        parents = Rows(Kind.DOCUMENT, pa.concat_tables(origins) if origins else _NO_ORIGIN)
        parts = {name: part.hash for name, part in self.parts.items()}
        hashes = {plan.language: hash_of(self.prompts[plan.language].hash, parts) for plan, _, _ in taken}
        return derive_rows(
            self.made,
            parents,
            [places[plan.root.id] for plan, _, _ in taken],
            self._columns([item for _, item, _ in taken]),
            [plan.language for plan, _, _ in taken],
            step=self.step.tag,
            model=[signed(self.context.model_name(self.step.model), answer.served) for _, _, answer in taken],
            prompt_hash=[hashes[plan.language] for plan, _, _ in taken],
            more_parents=[[one.id for one in plan.examples] for plan, _, _ in taken],
            group_id=[""] * len(taken),
            attributes=[self._attributes(plan, item) for plan, item, _ in taken],
            inherit=self.step.method == "passages",
        )

    def _attributes(self, plan: _Plan, item: NewItem) -> dict[str, str]:
        attributes = {"method": self.step.method, "sample": str(plan.sample)}
        if plan.topic:
            attributes["topic"] = plan.topic
        if self.step.method == "personas":
            attributes["persona"] = plan.root.text
        if plan.root.part:
            attributes["part"] = str(plan.root.part)
        if item.evidence:
            attributes["evidence"] = item.evidence
        return attributes

    def _check_failures(self, *, last: bool = False) -> None:
        """Stops if too many requests gave no usable item."""
        nothing = sum(self.empty.values())
        if nothing > self.step.max_failed * self.requests and (self.requests >= _FEWEST or last):
            reason, count = self.empty.most_common(1)[0]
            raise StepError(
                f"instruct: {nothing:,} of {self.requests:,} requests gave no usable item (max_failed: "
                f"{self.step.max_failed:g}); most often: {reason} ({count:,} times). The answers are cached, so a "
                "rerun costs nothing: fix the prompt or the model, or raise max_failed"
            )


_NO_ORIGIN = schema(Kind.DOCUMENT).empty_table().select(list(ORIGIN))

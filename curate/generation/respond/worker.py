"""What ``respond`` says to a model for each row, and what it makes of what comes back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import orjson

from curate.generation.common.conversations import PROMPT_COLUMN, Open, open_conversation, split_reasoning
from curate.generation.common.derived_rows import derive_rows, failed, hash_of
from curate.generation.common.few_shot import Example, Examples
from curate.generation.common.prompts import Prompt, Prompts, disarm, language_values, load_prompts, own_prompts
from curate.generation.common.requests import (
    InvalidResponse,
    LLMRequest,
    RequestResult,
    RowProgress,
    ask,
    check_languages,
    clean,
    ensure_complete,
)
from curate.generation.respond.params import ANSWER_IN, RespondParams
from curate.rows import Kind
from curate.rows.languages import UNKNOWN, base
from curate.steps import BadRow, Context, NewRows, Rows
from curate.steps.models import Answer, Request, signed

_POOLS: WeakKeyDictionary[Context, dict[Any, Examples]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class _Slot:
    """One answer that is to come."""

    place: int
    conversation: Open
    language: str
    model: str
    """Its name in the catalog."""
    sample: int
    prefix: str
    system: str | None
    """To be kept in the row."""
    examples: tuple[Example, ...]
    told: str
    """How it was asked for the language; empty where it was not."""
    said: str
    """The hash of all that was said to the model besides the row."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What an answer comes to."""

    text: str
    reasoning: str


class RespondBatch:
    """One call of ``make``."""

    def __init__(self, step: RespondParams, rows: Rows, context: Context) -> None:
        self.step, self.rows, self.context = step, rows, context
        self.bad: list[BadRow] = []
        self.cut = 0
        self.fallback = load_prompts(ANSWER_IN)
        self.prompts = {
            name: None if given is None else own_prompts(name, given)
            for name, given in (("system", step.system), ("prompt", step.prompt), ("prefix", step.prefix))
        }
        self.names = {name: context.model_name(name) for name in step.models}
        self.given = step.language if isinstance(step.language, tuple) else step.language and (step.language,)
        self.examples = None if step.examples is None else self._examples(step.examples)
        self.hashes: dict[tuple[str, str], str] = {}

    def _examples(self, name: str) -> Examples:
        """The pools, made once for all batches of a shard."""
        step, pools = self.step, _POOLS.setdefault(self.context, {})
        key = (name, step.examples_pool, step.examples_chars, step.examples_choice, step.examples_encoder)
        if key not in pools:
            encoder = None if step.examples_encoder is None else self.context.model(step.examples_encoder)
            pools[key] = Examples(
                self.context.rows(name),
                self.context.seed,
                step.examples_pool,
                encoder,
                longest=step.examples_chars,
                first=step.examples_choice == "first",
            )
            if not len(pools[key]):
                self.context.warn(f"respond: '{name}' has no answered rows to take examples from")
        return pools[key]

    def run(self) -> Iterator[NewRows]:
        languages = [language for language in dict.fromkeys(self.rows.language) if language is not None]
        check_languages(self.context, "respond", self.step.models, self.given or languages, strict=self.step.strict)
        if self.context.draw and self.step.sampling.temperature == 0:
            self.context.warn("respond: more rows are wanted, but at temperature 0 a prompt has one answer only")
        per_row = self.step.n * len(self.step.models) * len(self.given or (1,))
        answered = False
        for outcomes in ask(
            self._questions(), self._read, retries=self.step.retries, tick=RowProgress(self.context, per_row)
        ):
            answered = True
            yield self._rows(outcomes)
        if self.bad or not answered:
            yield self._rows([])
        if self.cut:
            self.context.warn(
                f"respond: {self.cut:,} answers were cut off at {self.step.sampling.max_tokens:,} tokens and dropped"
            )

    # -------------------------------------------------------------------------------------------------------- asking
    def _questions(self) -> Iterator[LLMRequest[_Slot]]:
        kind = self.rows.kind
        rows = zip(
            self.rows.table[PROMPT_COLUMN[kind]], self.rows.language.to_list(), self.rows.table["group_id"], strict=True
        )
        vectors = self._vectors()
        for place, (turns, row_language, group) in enumerate(rows):
            try:
                conversation = open_conversation(kind, turns.as_py())
            except ValueError as error:
                self.bad.append(failed(self.rows, place, str(error)))
                continue
            for language in self.given or (row_language,):
                if not self.context.wants(language):
                    continue
                examples = self._draw(place, conversation, language, row_language, group.as_py(), vectors)
                messages, prefix, system, told, said = self._messages(conversation, language, row_language, examples)
                for name in self.step.models:
                    generator = self.context.model(name)
                    for number in range(self.step.n):
                        sample = number + self.context.draw * self.step.n
                        request = Request(
                            messages,
                            self.step.sampling,
                            sample,
                            self.step.response_format,
                            top_logprobs=int(self.step.logprob),
                            row=str(self.rows.ids[place]),
                        )
                        slot = _Slot(
                            place, conversation, language, name, sample, prefix, system, tuple(examples), told, said
                        )
                        yield LLMRequest(slot, request, generator)

    def _vectors(self) -> Any:
        if self.examples is None or self.step.examples_encoder is None:
            return None
        from curate.generation.common.conversations import last_prompts

        return self.examples.vectors(last_prompts(self.rows), self.step.examples_choice)

    def _draw(
        self, place: int, conversation: Open, language: str, row_language: str, group: str, vectors: Any
    ) -> list[Example]:
        if self.examples is None:
            return []
        wanted = language if self.step.examples_language == "answer" else row_language
        found = self.examples.draw(
            self.step.examples_count,
            self.step.examples_choice,
            language=wanted,
            text=conversation.last,
            row_id=str(self.rows.ids[place]),
            group_id=group,
            seed=self.context.seed,
            vector=None if vectors is None else vectors[place],
        )
        if len(found) < self.step.examples_count and len(self.examples):
            self.context.warn(
                f"respond: '{self.step.examples}' has fewer than {self.step.examples_count} examples in '{wanted}' for some rows; "
                f"it has {', '.join(self.examples.languages)}"
            )
        return found

    def _messages(
        self, conversation: Open, language: str, row_language: str, examples: list[Example]
    ) -> tuple[tuple[tuple[str, str], ...], str, str | None, str, str]:
        """What is sent, how the answer begins, the system turn to keep, how the language was asked for, and the hash of all that is
        not the row's."""
        values = {**language_values(language), **language_values(row_language, "row_language")}
        turns = conversation.request()
        system = turns.pop(0)[1] if conversation.system is not None else None
        ours = self._text("system", language, values)
        told = self._told(language, row_language, values)
        mine = bool(ours) and (system is None or self.step.system_over)
        if mine:
            system = ours
        in_system = told if self.step.instruct_in == "system" else ""
        # With the language that was asked for, or the row would teach to answer in another one unasked.
        kept = "\n\n".join(filter(None, (system, in_system))) if self.step.keep_system and (mine or in_system) else None
        last = turns.pop()[1]
        prompt = self._one("prompt", language)
        asked = prompt.fill({**values, "prompt": last}) if prompt is not None else (("user", last),)
        if told and self.step.instruct_in == "system":
            system = f"{system}\n\n{told}" if system else told
        elif told:
            where = max((place for place, (role, _) in enumerate(asked) if role == "user"), default=None)
            asked = tuple(
                (role, f"{text}\n\n{told}" if place == where else text) for place, (role, text) in enumerate(asked)
            )
        shown = [
            turn for one in examples for turn in (("user", disarm(one.prompt)), ("assistant", disarm(one.response)))
        ]
        if asked and asked[0][0] == "system":  # the template's own system turn goes first as well
            system = f"{system}\n\n{asked[0][1]}" if system else asked[0][1]
            asked = asked[1:]
        prefix = conversation.begun or self._text("prefix", language, values)
        messages = [*([("system", system)] if system else []), *shown, *turns, *asked]
        if prefix:
            messages.append(("assistant", disarm(prefix)))
        return tuple(messages), prefix, kept, told, self._said(language, row_language, told)

    def _said(self, language: str, row_language: str, told: str) -> str:
        """The hash of the templates behind a question; empty where the row alone was put."""
        key = (language, row_language)
        if key not in self.hashes:
            used = {name: one.hash for name in self.prompts if (one := self._one(name, language)) is not None}
            self.hashes[key] = hash_of(used, told) if used or told else ""
        return self.hashes[key]

    def _told(self, language: str, row_language: str, values: Mapping[str, str]) -> str:
        how = self.step.instruct_language
        if language == UNKNOWN or how == "never" or (how == "auto" and language == row_language):
            return ""
        prompts: Prompts = self.fallback
        # The default text is the English one; a language without a sentence of its own is told in English too.
        chosen = prompts.variants.default if how == "english" or not _has(prompts, language) else prompts[language]
        assert chosen is not None
        return chosen.fill(values)[0][1]

    def _one(self, name: str, language: str) -> Prompt | None:
        prompts = self.prompts[name]
        return None if prompts is None else prompts.variants[language]

    def _text(self, name: str, language: str, values: Mapping[str, str]) -> str:
        prompt = self._one(name, language)
        return "" if prompt is None else "\n\n".join(text for _, text in prompt.fill(values))

    # ------------------------------------------------------------------------------------------------------- reading
    def _read(self, slot: _Slot, answer: Answer) -> _Read:
        ensure_complete(answer, cut=self.step.on_length == "keep" and self.step.response_format is None)
        if self.step.response_format is not None:
            return _Read(clean(orjson.dumps(answer.value).decode()), clean(answer.reasoning))
        thoughts, text = split_reasoning(clean(answer.text), self.step.reasoning_tags)
        thoughts = clean(answer.reasoning) or thoughts
        if slot.prefix and (self.step.keep_prefix or slot.conversation.begun):
            text = slot.prefix + text
        if self.step.strip:
            text = text.strip()
        if not text.strip():
            raise InvalidResponse("it is empty")
        if thoughts and self.step.reasoning == "inline":
            text = f"{self.step.reasoning_tags[0]}\n{thoughts.strip()}\n{self.step.reasoning_tags[1]}\n\n{text}"
        return _Read(text, thoughts)

    # -------------------------------------------------------------------------------------------------------- making
    def _rows(self, outcomes: list[RequestResult[_Slot, _Read]]) -> NewRows:
        bad, self.bad = self.bad, []
        good: list[RequestResult[_Slot, _Read]] = []
        for one in outcomes:
            if one.value is not None:
                good.append(one)
            elif one.trouble == "length" and self.step.on_length == "drop":
                self.cut += 1
            else:
                who = (
                    f" ({self.names[one.key.model]}, sample {one.key.sample})"
                    if len(self.names) * self.step.n > 1
                    else ""
                )
                bad.append(
                    failed(self.rows, one.key.place, f"{one.problem}{who}", one.answer.text or one.answer.reasoning)
                )
        table = derive_rows(
            Kind.SFT,
            self.rows,
            [one.key.place for one in good],
            {"messages": [self._turns(one) for one in good]},
            [one.key.language for one in good],
            step=self.step.tag,
            model=[signed(self.names[one.key.model], one.answer.served) for one in good],
            prompt_hash=[one.key.said for one in good],
            scores=[self._scores(one.answer) for one in good],
            attributes=[self._attributes(one) for one in good],
        )
        return NewRows(table, tuple(bad))

    @staticmethod
    def _turns(one: RequestResult[_Slot, _Read]) -> list[dict[str, str]]:
        assert one.value is not None
        turns = list(one.key.conversation.turns)
        if one.key.system is not None:
            turns = [
                {"role": "system", "content": one.key.system},
                *(turns[1:] if one.key.conversation.system is not None else turns),
            ]
        return [*turns, {"role": "assistant", "content": one.value.text}]

    def _scores(self, answer: Answer) -> dict[str, float]:
        scores = {"tokens": float(answer.completion_tokens)} if answer.completion_tokens else {}
        if self.step.logprob and answer.logprobs:
            scores["logprob"] = sum(token.logprob for token in answer.logprobs) / len(answer.logprobs)
        return scores

    def _attributes(self, one: RequestResult[_Slot, _Read]) -> dict[str, str]:
        assert one.value is not None
        found = {
            "finish": one.answer.finish,
            "model": signed(self.names[one.key.model], one.answer.served),
            "sample": str(one.key.sample),
        }
        if one.key.told:
            found["instruction"] = one.key.told
        if one.tries > 1:
            found["tries"] = str(one.tries)
        if one.key.examples:
            found["examples"] = " ".join(example.id for example in one.key.examples)
        if one.value.reasoning and self.step.reasoning == "attribute":
            found["reasoning"] = one.value.reasoning
        return found


def _has(prompts: Prompts, language: str) -> bool:
    return any(
        base(tag) == base(language) and (tag == language or language.startswith(f"{tag}-")) for tag in prompts.variants
    )

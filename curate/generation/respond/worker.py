"""Builds the requests of ``respond`` for a batch of rows, and makes rows from the answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import orjson

from curate.generation.common.conversations import (
    PROMPT_COLUMN,
    OpenConversation,
    not_shown,
    open_conversation,
    split_reasoning,
)
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
from curate.generation.respond.logprobs import NAME, write_logprobs
from curate.generation.respond.params import ANSWER_IN, RespondParams
from curate.generation.respond.tools import allowed_calls, check_tools, takes_tools
from curate.rows import Kind
from curate.rows.languages import UNKNOWN, base
from curate.steps import Context, FailedRow, RowBatch, Rows
from curate.steps.models import Completion, Request, signed

_POOLS: WeakKeyDictionary[Context, dict[Any, Examples]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class _RequestKey:
    """The answer that a request is for."""

    place: int
    conversation: OpenConversation
    language: str
    model: str
    """Its name in the catalog."""
    sample: int
    prefix: str
    system: str | None
    """The system turn to keep in the row."""
    examples: tuple[Example, ...]
    instruction: str
    """The sentence that asks for the language; empty if there is none."""
    prompt_hash: str
    """The hash of everything in the prompt except the row."""
    tools: str
    """The row's tools; empty if it has none."""


@dataclass(frozen=True, slots=True)
class _ParsedAnswer:
    """The text, the reasoning and the calls of an answer."""

    text: str
    reasoning: str
    calls: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class _FilledPrompt:
    """What is sent to the model, and what the row keeps of it."""

    messages: tuple[tuple[str, str], ...]
    parts: tuple[Mapping[str, Any], ...]
    """For each message its calls and the like."""
    prefix: str
    """The beginning of the answer."""
    system: str | None
    """The system turn to keep in the row."""
    instruction: str
    hash: str


class RespondBatch:
    """One call of ``make``."""

    def __init__(self, step: RespondParams, rows: Rows, context: Context) -> None:
        self.step, self.rows, self.context = step, rows, context
        self.bad: list[FailedRow] = []
        self.cut = 0
        self.without_logprobs: Counter[str] = Counter()
        self.fallback = load_prompts(ANSWER_IN)
        self.prompts = {
            name: None if texts is None else own_prompts(name, texts)
            for name, texts in (("system", step.system), ("prompt", step.prompt), ("prefix", step.prefix))
        }
        self.names = {name: context.model_name(name) for name in step.models}
        self.languages = step.language if isinstance(step.language, tuple) else step.language and (step.language,)
        self.examples = None if step.examples is None else self._examples(step.examples)
        self.hashes: dict[tuple[str, str], str] = {}

    def _examples(self, name: str) -> Examples:
        """The example pools, made once for all batches of a shard."""
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
                self.context.warn(f"respond: '{name}' has no answered rows for examples")
        return pools[key]

    def run(self) -> Iterator[RowBatch]:
        row_languages = [language for language in dict.fromkeys(self.rows.language) if language is not None]
        languages = self.languages or row_languages
        check_languages(self.context, "respond", self.step.models, languages, strict=self.step.strict)
        if self.context.draw and self.step.sampling.temperature == 0:
            self.context.warn("respond: more rows are needed, but at temperature 0 a prompt has one answer only")
        per_row = self.step.n * len(self.step.models) * len(self.languages or (1,))
        progress = RowProgress(self.context, per_row)
        answered = False
        for results in ask(self._requests(), self._read, retries=self.step.retries, tick=progress):
            answered = True
            yield self._rows(results)
        if self.bad or not answered:
            yield self._rows([])
        if self.cut:
            self.context.warn(
                f"respond: {self.cut:,} answers were cut off at {self.step.sampling.max_tokens:,} tokens and dropped"
            )
        for why, count in sorted(self.without_logprobs.items()):
            self.context.warn(f"respond: the log-probabilities of {count:,} answers are not kept: {why}")

    # -------------------------------------------------------------------------------------------------------- asking
    def _requests(self) -> Iterator[LLMRequest[_RequestKey]]:
        kind = self.rows.kind
        rows = zip(
            self.rows.table[PROMPT_COLUMN[kind]],
            self.rows.language.to_list(),
            self.rows.prompt_language.to_list(),
            self.rows.table["group_id"],
            strict=True,
        )
        vectors, unasked, all_tools = (
            self._vectors(),
            not_shown(self.rows, tools=False),
            self.rows.table["tools"].to_pylist(),
        )
        for place, (turns, row_language, asked, group) in enumerate(rows):
            tools = all_tools[place] or ""
            try:
                if (missing := unasked[place]) is not None:
                    raise ValueError(missing)
                conversation = open_conversation(kind, turns.as_py(), tools=bool(tools))
                models = self._models_for(place, conversation, tools)
            except ValueError as error:
                self.bad.append(failed(self.rows, place, str(error)))
                continue
            for language in self.languages or (row_language,):
                if not self.context.is_open(language):
                    continue
                examples = self._draw(place, conversation, language, asked, group.as_py(), vectors)
                prompt = self._prompt(conversation, language, asked, examples)
                for name in models:
                    generator = self.context.model(name)
                    for number in range(self.step.n):
                        sample = number + self.context.draw * self.step.n
                        request = Request(
                            prompt.messages,
                            self.step.sampling,
                            sample,
                            self.step.response_format,
                            top_logprobs=self.step.asks_logprobs(),
                            row=str(self.rows.ids[place]),
                            tools=tools,
                            parts=prompt.parts if tools else (),
                        )
                        key = _RequestKey(
                            place,
                            conversation,
                            language,
                            name,
                            sample,
                            prompt.prefix,
                            prompt.system,
                            tuple(examples),
                            prompt.instruction,
                            prompt.hash,
                            tools,
                        )
                        yield LLMRequest(key, request, generator)

    def _models_for(self, place: int, conversation: OpenConversation, tools: str) -> list[str]:
        """The models that can be asked about a row: those that take its tools, if it has some.

        Raises:
            ValueError: its tools or calls are not in the form that rows keep.
        """
        if not tools:
            return list(self.step.models)
        check_tools(conversation, tools, str(self.rows.ids[place]))
        taking = [name for name in self.step.models if takes_tools(self.context.model(name))]
        for name in self.step.models:
            if name not in taking:
                who = f" '{name}'" if len(self.names) > 1 else ""
                self.bad.append(failed(self.rows, place, f"it has tools, which the model{who} is not shown"))
        return taking

    def _vectors(self) -> Any:
        if self.examples is None or self.step.examples_encoder is None:
            return None
        from curate.generation.common.conversations import last_prompts

        return self.examples.vectors(last_prompts(self.rows), self.step.examples_choice)

    def _draw(
        self, place: int, conversation: OpenConversation, language: str, asked: str, group: str, vectors: Any
    ) -> list[Example]:
        if self.examples is None:
            return []
        tag = language if self.step.examples_language == "answer" else asked
        examples = self.examples.draw(
            self.step.examples_count,
            self.step.examples_choice,
            language=tag,
            text=conversation.last,
            row_id=str(self.rows.ids[place]),
            group_id=group,
            seed=self.context.seed,
            vector=None if vectors is None else vectors[place],
        )
        if len(examples) < self.step.examples_count and len(self.examples):
            self.context.warn(
                f"respond: '{self.step.examples}' has fewer than {self.step.examples_count} examples in '{tag}' for "
                f"some rows; it has {', '.join(self.examples.languages)}"
            )
        return examples

    def _prompt(
        self, conversation: OpenConversation, language: str, asked: str, examples: list[Example]
    ) -> _FilledPrompt:
        values = {**language_values(language), **language_values(asked, "row_language")}
        turns, parts, at = conversation.request(), conversation.parts(), conversation.asked
        system = turns[0][1] if conversation.system is not None else None
        begin = int(system is not None)
        own_system = self._text("system", language, values)
        instruction = self._instruction(language, asked, values)
        uses_own = bool(own_system) and (system is None or self.step.system_over)
        if uses_own:
            system = own_system
        in_system = instruction if self.step.instruct_in == "system" else ""
        kept = None
        if self.step.keep_system and (uses_own or in_system):
            # Without the instruction, the row would teach to answer in another language unasked.
            kept = "\n\n".join(filter(None, (system, in_system)))
        template = self._variant("prompt", language)
        question = template.fill({**values, "prompt": turns[at][1]}) if template is not None else (turns[at],)
        if in_system:
            system = f"{system}\n\n{in_system}" if system else in_system
        elif instruction:
            where = max((place for place, (role, _) in enumerate(question) if role == "user"), default=None)
            question = tuple(
                (role, f"{text}\n\n{instruction}" if place == where else text)
                for place, (role, text) in enumerate(question)
            )
        shown = [
            turn for one in examples for turn in (("user", disarm(one.prompt)), ("assistant", disarm(one.response)))
        ]
        if question and question[0][0] == "system":  # the template's own system turn goes first as well
            system = f"{system}\n\n{question[0][1]}" if system else question[0][1]
            question = question[1:]
        prefix = conversation.begun or self._text("prefix", language, values)
        head = [*([("system", system)] if system else []), *shown]
        messages = [*head, *turns[begin:at], *question, *turns[at + 1 :]]
        if prefix:
            messages.append(("assistant", disarm(prefix)))
        beside = [parts[at]] if template is None else [{}] * len(question)
        beside = [*([{}] * len(head)), *parts[begin:at], *beside, *parts[at + 1 :]]
        prompt_hash = self._hash(language, asked, instruction)
        return _FilledPrompt(tuple(messages), tuple(beside), prefix, kept, instruction, prompt_hash)

    def _hash(self, language: str, asked: str, instruction: str) -> str:
        """The hash of the templates in a prompt; empty if it is the row alone."""
        key = (language, asked)
        if key not in self.hashes:
            used = {name: one.hash for name in self.prompts if (one := self._variant(name, language)) is not None}
            self.hashes[key] = hash_of(used, instruction) if used or instruction else ""
        return self.hashes[key]

    def _instruction(self, language: str, asked: str, values: Mapping[str, str]) -> str:
        how = self.step.instruct_language
        if language == UNKNOWN or how == "never" or (how == "auto" and language == asked):
            return ""
        prompts: Prompts = self.fallback
        # The default text is English, which is also used for languages without a text.
        chosen = prompts.variants.default if how == "english" or not _has(prompts, language) else prompts[language]
        assert chosen is not None
        return chosen.fill(values)[0][1]

    def _variant(self, name: str, language: str) -> Prompt | None:
        prompts = self.prompts[name]
        return None if prompts is None else prompts.variants[language]

    def _text(self, name: str, language: str, values: Mapping[str, str]) -> str:
        prompt = self._variant(name, language)
        return "" if prompt is None else "\n\n".join(text for _, text in prompt.fill(values))

    # ------------------------------------------------------------------------------------------------------- reading
    def _read(self, key: _RequestKey, answer: Completion) -> _ParsedAnswer:
        ensure_complete(answer, cut=self.step.on_length == "keep" and self.step.response_format is None)
        calls = allowed_calls(key.tools, answer)
        if self.step.response_format is not None and not calls:
            return _ParsedAnswer(clean(orjson.dumps(answer.value).decode()), clean(answer.reasoning))
        reasoning, text = split_reasoning(clean(answer.text), self.step.reasoning_tags)
        reasoning = clean(answer.reasoning) or reasoning
        if key.prefix and (self.step.keep_prefix or key.conversation.begun):
            text = key.prefix + text
        if self.step.strip:
            text = text.strip()
        if not text.strip() and not calls:
            raise InvalidResponse("it is empty")
        if reasoning and self.step.reasoning == "inline":
            text = f"{self.step.reasoning_tags[0]}\n{reasoning.strip()}\n{self.step.reasoning_tags[1]}\n\n{text}"
        return _ParsedAnswer(text, reasoning, calls)

    # -------------------------------------------------------------------------------------------------------- making
    def _rows(self, results: list[RequestResult[_RequestKey, _ParsedAnswer]]) -> RowBatch:
        bad, self.bad = self.bad, []
        good: list[RequestResult[_RequestKey, _ParsedAnswer]] = []
        for one in results:
            if one.value is not None:
                good.append(one)
            elif one.trouble == "length" and self.step.on_length == "drop":
                self.cut += 1
            else:
                several = len(self.names) * self.step.n > 1
                who = f" ({self.names[one.key.model]}, sample {one.key.sample})" if several else ""
                raw = one.answer.text or one.answer.reasoning
                bad.append(failed(self.rows, one.key.place, f"{one.problem}{who}", raw))
        table = derive_rows(
            Kind.SFT,
            self.rows,
            [one.key.place for one in good],
            {"messages": [self._turns(one) for one in good]},
            [one.key.language for one in good],
            step=self.step.tag,
            model=[signed(self.names[one.key.model], one.answer.served) for one in good],
            prompt_hash=[one.key.prompt_hash for one in good],
            scores=[self._scores(one.answer) for one in good],
            attributes=[self._attributes(one) for one in good],
        )
        return RowBatch(table, tuple(bad))

    def _turns(self, one: RequestResult[_RequestKey, _ParsedAnswer]) -> list[dict[str, Any]]:
        assert one.value is not None
        turns = list(one.key.conversation.turns)
        if one.key.system is not None:
            turns = [
                {"role": "system", "content": one.key.system},
                *(turns[1:] if one.key.conversation.system is not None else turns),
            ]
        kept = {"reasoning": one.value.reasoning.strip()} if self.step.reasoning == "message" else {}
        calls = {"tool_calls": list(one.value.calls)} if one.value.calls else {}
        return [*turns, {"role": "assistant", "content": one.value.text, **calls, **kept}]

    def _scores(self, answer: Completion) -> dict[str, float]:
        scores = {"tokens": float(answer.completion_tokens)} if answer.completion_tokens else {}
        if self.step.logprob and answer.logprobs:
            scores["logprob"] = sum(token.logprob for token in answer.logprobs) / len(answer.logprobs)
        return scores

    def _attributes(self, one: RequestResult[_RequestKey, _ParsedAnswer]) -> dict[str, str]:
        assert one.value is not None
        attributes = {
            "finish": one.answer.finish,
            "model": signed(self.names[one.key.model], one.answer.served),
            "sample": str(one.key.sample),
        }
        if one.key.instruction:
            attributes["instruction"] = one.key.instruction
        if one.tries > 1:
            attributes["tries"] = str(one.tries)
        if one.key.examples:
            attributes["examples"] = " ".join(example.id for example in one.key.examples)
        if one.value.reasoning and self.step.reasoning == "attribute":
            attributes["reasoning"] = one.value.reasoning
        if self.step.top_logprobs and one.answer.logprobs:
            if why := self._no_logprobs(one.answer, one.value):
                self.without_logprobs[why] += 1
            else:
                tokens = one.answer.logprobs
                attributes[NAME] = write_logprobs(one.value.text, tokens, self.step.top_logprobs)
        return attributes

    def _no_logprobs(self, answer: Completion, value: _ParsedAnswer) -> str:
        """Why log-probabilities are not those of the answer in the row; empty if they are."""
        if value.calls:
            return "they are of a call of a tool"
        if value.reasoning and self.step.reasoning != "inline":
            return "they are of the reasoning too, which 'reasoning: inline' keeps in the answer"
        if not all(token.top for token in answer.logprobs):
            return "the server gives none of other tokens"
        return ""


def _has(prompts: Prompts, language: str) -> bool:
    return any(
        base(tag) == base(language) and (tag == language or language.startswith(f"{tag}-")) for tag in prompts.variants
    )

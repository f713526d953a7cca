"""Plays conversations for a batch of rows: in each round the user's messages of all of them, then the answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from curate.errors import StepError
from curate.generation.common.conversations import PROMPT_COLUMN, not_shown, open_conversation
from curate.generation.common.derived_rows import derive_rows, failed, hash_of, random_numbers
from curate.generation.common.prompts import (
    Prompts,
    disarm,
    fence,
    language_name,
    language_values,
    load_data,
    load_prompt,
    load_prompts,
    own_prompt,
    own_prompts,
)
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
from curate.generation.converse.params import PARTS, USER, ConverseParams
from curate.generation.respond.params import ANSWER_IN
from curate.rows import Kind
from curate.steps import Context, FailedRow, RowBatch, Rows
from curate.steps.models import Completion, Request, signed

Turn = dict[str, Any]
_NEEDS = ("goal", "persona", "style", "system")


@dataclass(slots=True)
class Talk:
    """A conversation while it is played."""

    place: int
    number: int
    """Which of the row's conversations it is."""
    language: str
    rounds: int
    """How many user messages it may have."""
    values: Mapping[str, str]
    """What fills the placeholders."""
    turns: list[Turn] = field(default_factory=list)
    """Without the system message."""
    system: str = ""
    goal: str = ""
    ended: str = ""
    """Why it goes on no more: ``rounds``, ``user`` (nothing left to ask), ``repeats`` (it asks the same again),
    ``broken``."""
    problem: str = ""
    """Why it is broken."""
    raw: str = ""
    served: dict[str, str] = field(default_factory=dict)
    """Role → the model that answered, if the server names another one."""
    tokens: int = 0

    @property
    def asked(self) -> int:
        """The number of user messages."""
        return sum(turn["role"] == "user" for turn in self.turns)


class ConverseBatch:
    """One call of ``make``."""

    def __init__(self, step: ConverseParams, rows: Rows, context: Context) -> None:
        self.step, self.rows, self.context = step, rows, context
        self.bad: list[FailedRow] = []
        self.names = {role: context.model_name(getattr(step, role)) for role in ("user", "assistant")}
        self.prompt, self.parts = load_prompt(USER), load_data(PARTS)
        self.answer_in = load_prompts(ANSWER_IN)
        self.own: dict[str, Prompts | None] = {
            name: None if (texts := getattr(step, name)) is None else own_prompts(name, texts) for name in _NEEDS
        }
        self.hash = hash_of(self.prompt.hash, *(one and one.hash for one in self.own.values()))

    def run(self) -> Iterator[RowBatch]:
        step = self.step
        talks = list(self._talks())
        languages = sorted({talk.language for talk in talks})
        check_languages(self.context, step.tag, [step.assistant], languages, strict=step.strict)
        speaks = [step.user_language] if step.user_language is not None else languages
        check_languages(self.context, step.tag, [step.user], speaks, strict=step.strict)
        per_row = step.n * (len(step.language) if isinstance(step.language, tuple) else 1)
        progress = RowProgress(self.context, per_row)
        while live := [talk for talk in talks if not talk.ended]:
            self._ask_users([talk for talk in live if not talk.turns or talk.turns[-1]["role"] != "user"])
            self._ask_assistants([talk for talk in live if not talk.ended])
            finished = sum(bool(talk.ended) for talk in live)
            if finished:
                progress(finished)
        yield self._rows(talks)

    # -------------------------------------------------------------------------------------------------------- begin
    def _talks(self) -> Iterator[Talk]:
        step, kind = self.step, self.rows.kind
        begins = step.start == "row" and kind is not Kind.DOCUMENT
        texts = (
            self.rows.table["text"].to_pylist()
            if kind is Kind.DOCUMENT
            else self.rows.table[PROMPT_COLUMN[kind]].to_pylist()
        )
        attributes = self.rows.table["attributes"].to_pylist()
        drawn = random_numbers(self.context.seed, self.rows.ids.to_list(), step.tag, self.context.draw)
        asked = step.language if isinstance(step.language, tuple) else (step.language,)
        unasked = not_shown(self.rows)
        for place, (text, own_language) in enumerate(zip(texts, self.rows.language.to_list(), strict=True)):
            named = {f"attribute.{one['name']}": one["value"] for one in attributes[place]}
            try:
                if (missing := unasked[place]) is not None:
                    raise ValueError(missing)
                opened = None if kind is Kind.DOCUMENT else open_conversation(kind, text)
                if kind is Kind.DOCUMENT and not text.strip():
                    raise ValueError("the text is empty")
            except ValueError as error:
                self.bad.append(failed(self.rows, place, str(error)))
                continue
            for language in (one or own_language for one in asked):
                if not self.context.is_open(language):
                    continue
                given = {"text": text} if opened is None else {"prompt": opened.last}
                values = {**named, **given, **language_values(language)}
                for number in range(step.n):
                    sample = number + self.context.draw * step.n
                    talk = Talk(place, sample, language, self._rounds(drawn[place], number), values)
                    try:
                        talk.goal = self._goal(talk, begins=begins)
                        talk.system = self._own("system", talk) or (opened.system if opened else None) or ""
                    except StepError as error:  # the row lacks an attribute, or the language lacks a text
                        self.bad.append(failed(self.rows, place, str(error)))
                        continue
                    if begins and opened is not None:
                        turns = list(opened.turns)
                        talk.turns = turns[1:] if opened.system is not None else turns
                        talk.rounds += talk.asked - 1
                    yield talk

    def _rounds(self, drawn: int, number: int) -> int:
        if isinstance(self.step.rounds, int):
            return self.step.rounds
        least, most = self.step.rounds
        return least + (drawn + 7919 * number) % (most - least + 1)

    def _own(self, name: str, talk: Talk) -> str:
        """The user's own text of a parameter, filled for a conversation; empty if there is none."""
        prompts = self.own[name]
        if prompts is None:
            return ""
        return "\n".join(text for _, text in prompts[talk.language].fill(talk.values))

    def _goal(self, talk: Talk, *, begins: bool) -> str:
        if self.own["goal"] is not None:
            return f"{self.parts['goal']}\n{fence(self._own('goal', talk), 'goal')}"
        if begins:
            return ""
        if "text" in talk.values:
            return f"{self.parts['document']}\n{fence(talk.values['text'], 'document')}"
        return f"{self.parts['goal']}\n{fence(talk.values['prompt'], 'goal')}"

    # ------------------------------------------------------------------------------------------------------- rounds
    def _ask_users(self, talks: list[Talk]) -> None:
        talks = [talk for talk in talks if not talk.ended]
        generator = self.context.model(self.step.user)
        requests = [
            LLMRequest(
                talk,
                Request(self._as_user(talk), self.step.user_sampling, talk.number, row=str(self.rows.ids[talk.place])),
                generator,
            )
            for talk in talks
        ]
        for results in ask(requests, self._read_user, retries=self.step.retries):
            for one in results:
                self._take(one, "user")

    def _ask_assistants(self, talks: list[Talk]) -> None:
        generator = self.context.model(self.step.assistant)
        requests = [
            LLMRequest(
                talk,
                Request(self._as_assistant(talk), self.step.sampling, talk.number, row=str(self.rows.ids[talk.place])),
                generator,
            )
            for talk in talks
        ]
        for results in ask(requests, self._read_assistant, retries=self.step.retries):
            for one in results:
                self._take(one, "assistant")
                if not one.key.ended and one.key.asked >= one.key.rounds:
                    one.key.ended = "rounds"

    def _as_user(self, talk: Talk) -> tuple[tuple[str, str], ...]:
        step = self.step
        said = "\n".join(
            fence(turn["content"], "person" if turn["role"] == "user" else turn["role"]) for turn in talk.turns
        )
        spoken = step.user_language or talk.language
        speech = own_prompt("speech", self.parts["mix" if step.mix is not None else "speech"]).fill(
            {"user_name": language_name(spoken), "mix_name": language_name(step.mix) if step.mix else ""}
        )
        values = {
            "speech": speech[0][1] if language_name(spoken) else "",
            "goal": talk.goal,
            "end": step.end,
            "conversation": fence(said, "conversation") if said else self.parts["nothing"],
        }
        for name in ("persona", "style"):
            own = self._own(name, talk)
            values[name] = f"{self.parts[name]} {disarm(own)}" if own else ""
        return self.prompt.fill_lines(values)

    def _as_assistant(self, talk: Talk) -> tuple[tuple[str, str], ...]:
        spoken = self.step.user_language or talk.language
        system = talk.system
        if self.step.instruct_language and (spoken != talk.language or self.step.mix is not None):
            told = self.answer_in[talk.language].fill(language_values(talk.language))[0][1]
            system = f"{system}\n\n{told}" if system else told
        turns = [(turn["role"], disarm(turn["content"])) for turn in talk.turns]
        return (("system", disarm(system)), *turns) if system else tuple(turns)

    def _read_user(self, talk: Talk, answer: Completion) -> str:
        ensure_complete(answer)
        text = clean(answer.text).strip()
        if not text:
            raise InvalidResponse("it is empty")
        if self.step.end in text:
            before = text.partition(self.step.end)[0].strip()
            if not talk.turns and not before:
                raise InvalidResponse("the conversation has not begun yet")
            return before
        return text

    @staticmethod
    def _read_assistant(talk: Talk, answer: Completion) -> str:
        ensure_complete(answer)
        text = clean(answer.text).strip()
        if not text:
            raise InvalidResponse("it is empty")
        return text

    def _take(self, one: RequestResult[Talk, str], role: str) -> None:
        talk = one.key
        talk.tokens += one.answer.completion_tokens
        if one.answer.served:
            talk.served[role] = one.answer.served
        if one.value is None:
            talk.ended, talk.problem, talk.raw = "broken", f"{role}: {one.problem}", one.answer.text
            return
        if role == "user":
            if not one.value:
                talk.ended = "user"
                return
            if any(turn["role"] == "user" and turn["content"] == one.value for turn in talk.turns):
                talk.ended = "repeats"
                return
        talk.turns.append({"role": role, "content": one.value})

    # --------------------------------------------------------------------------------------------------------- rows
    def _rows(self, talks: list[Talk]) -> RowBatch:
        good: list[Talk] = []
        for talk in talks:
            while talk.turns and talk.turns[-1]["role"] != "assistant":
                talk.turns.pop()
            if talk.ended == "broken" and (self.step.broken == "quarantine" or not talk.turns):
                self.bad.append(failed(self.rows, talk.place, talk.problem, talk.raw))
            elif talk.turns:
                good.append(talk)
            else:
                self.bad.append(failed(self.rows, talk.place, "the user ended the conversation before it began"))
        table = derive_rows(
            Kind.SFT,
            self.rows,
            [talk.place for talk in good],
            {
                "messages": [self._messages(talk) for talk in good],
                "prompt_language": [self.step.user_language or talk.language for talk in good],
            },
            [talk.language for talk in good],
            step=self.step.tag,
            model=[signed(self.names["assistant"], talk.served.get("assistant", "")) for talk in good],
            prompt_hash=self.hash,
            scores=[{"rounds": float(talk.asked), "tokens": float(talk.tokens)} for talk in good],
            attributes=[self._attributes(talk) for talk in good],
        )
        return RowBatch(table, tuple(self.bad))

    def _messages(self, talk: Talk) -> list[Turn]:
        system = [{"role": "system", "content": talk.system}] if talk.system and self.step.keep_system else []
        return [*system, *talk.turns]

    def _attributes(self, talk: Talk) -> dict[str, str]:
        attributes = {
            "ended": talk.ended,
            "user": signed(self.names["user"], talk.served.get("user", "")),
            "sample": str(talk.number),
        }
        if self.step.user_language is not None and self.step.user_language != talk.language:
            attributes["user_language"] = self.step.user_language
        if self.step.mix is not None:
            attributes["mix"] = self.step.mix
        return attributes

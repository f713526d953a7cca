"""Plays conversations with tools for a batch of rows: requests, then calls and their results in turns, then answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from curate.errors import StepError
from curate.generation.common.conversations import PROMPT_COLUMN, not_shown, open_conversation
from curate.generation.common.derived_rows import derive_rows, failed, hash_of, random_numbers
from curate.generation.common.prompts import (
    disarm,
    fence,
    language_name,
    language_values,
    load_data,
    load_prompt,
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
from curate.generation.tool_use.params import ASSISTANT, PARTS, RESULT, TOOLS, USER, Case, ToolUseParams
from curate.generation.tool_use.tools import MADE, REPLY, RETURNED, check_calls, described, made_tools
from curate.rows import message_text
from curate.rows.tools import Tools, tools_of
from curate.steps import Context, FailedRow, RowBatch, Rows
from curate.steps.models import Completion, Request, Sampling, signed

Turn = dict[str, Any]
Messages = tuple[tuple[str, str], ...]
_RULES: Mapping[Case, str] = {
    "single": "",
    "parallel": "the request needs several calls at once; make them in one step",
    "no_tool": "no tool can do what is asked; answer without a call",
    "missing": "a required argument was not said; ask the person for it and call nothing",
}
"""The complaint about a first step that does not fit the case."""


@dataclass(slots=True)
class Talk:
    """A conversation while it is played."""

    place: int
    number: int
    language: str
    case: Case
    tools: Tools
    topic: str
    system: str
    wanted: str = ""
    """The description of the tools to make; empty for those of the row."""
    made: str | None = None
    """The tools that were made: a JSON array."""
    turns: list[Turn] = field(default_factory=list)
    waiting: list[Mapping[str, Any]] = field(default_factory=list)
    """Calls without a result."""
    done: bool = False
    problem: str = ""
    raw: str = ""
    served: str = ""
    calls: int = 0
    steps: int = 0


class ToolUseBatch:
    """One call of ``make``."""

    def __init__(self, step: ToolUseParams, rows: Rows, context: Context) -> None:
        self.step, self.rows, self.context = step, rows, context
        self.bad: list[FailedRow] = []
        self.names = {"assistant": step.assistant, "user": step.user or step.assistant}
        self.names["simulator"] = step.simulator or step.assistant
        self.prompts = {name: load_prompt(name) for name in (ASSISTANT, RESULT, USER)}
        self.parts = load_data(PARTS)
        self.system = None if step.system is None else own_prompts("system", step.system)
        self.tools = None if step.tools is None else own_prompts("tools", step.tools)
        more = []
        if self.tools is not None:
            self.prompts[TOOLS] = load_prompt(TOOLS)
            more = [self.tools.hash]
        self.hash = hash_of(*(one.hash for one in self.prompts.values()), self.system and self.system.hash, *more)

    def run(self) -> Iterator[RowBatch]:
        step = self.step
        talks = list(self._talks())
        languages = sorted({talk.language for talk in talks})
        roles = ("user", "assistant", "simulator") if step.start == "user" else ("assistant", "simulator")
        for name in dict.fromkeys(self.names[role] for role in roles):
            check_languages(self.context, step.tag, [name], languages, strict=step.strict)
        progress = RowProgress(self.context, step.n)
        if wanting := [talk for talk in talks if talk.wanted]:
            self._ask(
                wanting, "simulator", self._as_maker, step.user_sampling, MADE, self._read_tools, self._take_tools
            )
        talks, lost = [talk for talk in talks if not talk.problem], [talk for talk in talks if talk.problem]
        if step.start == "user":
            self._ask(talks, "user", self._as_user, step.user_sampling, None, self._read_request, self._take_request)
        while live := [talk for talk in talks if not talk.done and not talk.problem]:
            self._ask(live, "assistant", self._as_assistant, step.sampling, REPLY, self._read_step, self._take_step)
            # One result after the other: a later one may refer to an earlier one.
            while waiting := [talk for talk in live if talk.waiting and not talk.problem]:
                self._ask(
                    waiting, "simulator", self._as_tool, step.sampling, RETURNED, self._read_result, self._take_result
                )
            progress(sum(talk.done or bool(talk.problem) for talk in live))
        yield self._rows([*talks, *lost])

    # -------------------------------------------------------------------------------------------------------- begin
    def _talks(self) -> Iterator[Talk]:
        step, kind = self.step, self.rows.kind
        prompts = self.rows.table[PROMPT_COLUMN[kind]].to_pylist()
        attributes = self.rows.table["attributes"].to_pylist()
        drawn = random_numbers(self.context.seed, self.rows.ids.to_list(), step.tag, self.context.draw)
        unasked = not_shown(self.rows, tools=False)
        columns = zip(prompts, self.rows.table["tools"].to_pylist(), self.rows.language.to_list(), strict=True)
        for place, (turns, tools, own_language) in enumerate(columns):
            language = step.language or own_language
            if not self.context.is_open(language):
                continue
            values = {f"attribute.{one['name']}": one["value"] for one in attributes[place]} | language_values(language)
            try:
                if tools is None and self.tools is None:
                    raise ValueError("it has no tools")
                if (missing := unasked[place]) is not None:
                    raise ValueError(missing)
                opened = open_conversation(kind, turns)
                system = opened.system or ""
                values |= {"prompt": opened.last}
                if self.system is not None:
                    system = "\n".join(text for _, text in self.system[language].fill(values))
                wanted = ""
                if tools is None and self.tools is not None:
                    wanted = "\n".join(text for _, text in self.tools[language].fill(values)).strip()
                    if not wanted:
                        raise ValueError("it has no tools, and the description of those to make is empty")
                known = tools_of(tools or "[]")
                if not known.functions and not wanted:
                    raise ValueError("its tools have no function")
            except (ValueError, StepError) as error:
                self.bad.append(failed(self.rows, place, str(error)))
                continue
            for number in range(step.n):
                sample = number + self.context.draw * step.n
                case = self._case((drawn[place] + 0x9E3779B97F4A7C15 * number) % 2**64)
                talk = Talk(place, sample, language, case, known, opened.last, system, wanted)
                if step.start == "row":
                    talk.turns = [dict(turn) for turn in opened.turns if turn["role"] != "system"]
                yield talk

    def _case(self, drawn: int) -> Case:
        at = drawn / 2**64
        cases: tuple[Case, ...] = ("parallel", "no_tool", "missing")
        for name in cases:
            share = getattr(self.step, name)
            if at < share:
                return name
            at -= share
        return "single"

    # ------------------------------------------------------------------------------------------------------- asking
    def _ask(
        self,
        talks: Sequence[Talk],
        role: str,
        messages: Callable[[Talk], Messages],
        sampling: Sampling,
        schema: Mapping[str, Any] | None,
        read: Callable[[Talk, Completion], Any],
        take: Callable[[Talk, Any], None],
    ) -> None:
        """Asks one model about each conversation and takes what it says."""
        generator = self.context.model(self.names[role])
        requests = [
            LLMRequest(
                talk,
                Request(messages(talk), sampling, talk.number, schema, row=str(self.rows.ids[talk.place])),
                generator,
            )
            for talk in talks
        ]
        for results in ask(requests, read, retries=self.step.retries):
            for one in results:
                self._took(one, role, take)

    def _took(self, one: RequestResult[Talk, Any], role: str, take: Callable[[Talk, Any], None]) -> None:
        talk = one.key
        if role == "assistant" and one.answer.served:
            talk.served = one.answer.served
        if one.value is None:
            talk.problem, talk.raw = f"{role}: {one.problem}", one.answer.text
        else:
            take(talk, one.value)

    def _said(self, name: str, language: str) -> str:
        """A part of a prompt that names the language; empty where it is unknown."""
        if not language_name(language):
            return ""
        return own_prompt(name, self.parts[name]).fill(language_values(language))[0][1]

    # -------------------------------------------------------------------------------------------------------- tools
    def _as_maker(self, talk: Talk) -> Messages:
        return self.prompts[TOOLS].fill_lines({"description": fence(talk.wanted, "description")})

    @staticmethod
    def _read_tools(talk: Talk, answer: Completion) -> str:
        ensure_complete(answer)
        return clean(made_tools(answer.value["tools"]))

    @staticmethod
    def _take_tools(talk: Talk, text: str) -> None:
        talk.made, talk.tools = text, tools_of(text)

    # --------------------------------------------------------------------------------------------------------- user
    def _as_user(self, talk: Talk) -> Messages:
        values = {
            "tools": fence(described(list(talk.tools.functions.values())), "tools"),
            "case": self.parts[talk.case],
            "topic": f"{self.parts['topic']}\n{fence(talk.topic, 'topic')}",
            "speech": self._said("speech", talk.language),
        }
        return self.prompts[USER].fill_lines(values)

    @staticmethod
    def _read_request(talk: Talk, answer: Completion) -> str:
        ensure_complete(answer)
        text = clean(answer.text).strip()
        if not text:
            raise InvalidResponse("it is empty")
        return text

    @staticmethod
    def _take_request(talk: Talk, text: str) -> None:
        talk.turns.append({"role": "user", "content": text})

    # ---------------------------------------------------------------------------------------------------- assistant
    def _as_assistant(self, talk: Talk) -> Messages:
        values = {
            "system": disarm(talk.system),
            "tools": fence(described(list(talk.tools.functions.values())), "tools"),
            "speech": self._said("answer", talk.language),
            "rule": "",
        }
        return (*self.prompts[ASSISTANT].fill_lines(values), *_as_text(talk.turns))

    def _read_step(self, talk: Talk, answer: Completion) -> Mapping[str, Any]:
        ensure_complete(answer)
        value = answer.value
        calls, text = value["calls"], clean(value["answer"]).strip()
        if bool(calls) == bool(text):
            raise InvalidResponse("either 'calls' or 'answer' must be given, and the other one empty")
        check_calls(talk.tools, calls)
        first = talk.steps == 0
        expected = {"parallel": len(calls) > 1, "no_tool": not calls, "missing": not calls}.get(talk.case, True)
        if first and not expected:
            raise InvalidResponse(_RULES[talk.case])
        if calls and talk.steps >= self.step.steps:
            raise InvalidResponse(f"tools were called in {talk.steps} steps already; answer now")
        for call in calls:
            clean(orjson.dumps(call["arguments"]).decode())
        return {"calls": calls, "answer": text}

    @staticmethod
    def _take_step(talk: Talk, value: Mapping[str, Any]) -> None:
        if not value["calls"]:
            talk.turns.append({"role": "assistant", "content": value["answer"]})
            talk.done = True
            return
        calls = [
            {
                "id": f"call_{talk.calls + number}",
                "type": "function",
                "function": {"name": call["name"], "arguments": orjson.dumps(call["arguments"]).decode()},
            }
            for number, call in enumerate(value["calls"], 1)
        ]
        talk.turns.append({"role": "assistant", "content": "", "tool_calls": calls})
        talk.waiting, talk.calls, talk.steps = list(calls), talk.calls + len(calls), talk.steps + 1

    # ------------------------------------------------------------------------------------------------------ results
    def _as_tool(self, talk: Talk) -> Messages:
        call = talk.waiting[0]["function"]
        said = "\n".join(fence(message_text(turn), turn["role"]) for turn in talk.turns)
        values = {
            "tool": fence(described(talk.tools.functions[call["name"]]), "tool"),
            "call": fence(call["arguments"], "call"),
            "conversation": fence(said, "conversation"),
            "speech": self._said("values", talk.language),
        }
        return self.prompts[RESULT].fill_lines(values)

    @staticmethod
    def _read_result(talk: Talk, answer: Completion) -> str:
        ensure_complete(answer)
        result = answer.value["result"]
        return clean(result if isinstance(result, str) else orjson.dumps(result).decode())

    @staticmethod
    def _take_result(talk: Talk, text: str) -> None:
        call = talk.waiting.pop(0)
        talk.turns.append(
            {"role": "tool", "content": text, "tool_call_id": call["id"], "name": call["function"]["name"]}
        )

    # --------------------------------------------------------------------------------------------------------- rows
    def _rows(self, talks: Sequence[Talk]) -> RowBatch:
        good = [talk for talk in talks if not talk.problem]
        self.bad += [failed(self.rows, talk.place, talk.problem, talk.raw) for talk in talks if talk.problem]
        makers = {role: self.context.model_name(name) for role, name in self.names.items()}
        languages = [talk.language for talk in good]
        owned = self.rows.table["tools"].to_pylist()
        tools = [talk.made or owned[talk.place] for talk in good]
        written = {"prompt_language": languages} if self.step.start == "user" else {}
        table = derive_rows(
            self.step.makes(self.rows.kind),
            self.rows,
            [talk.place for talk in good],
            {"messages": [self._messages(talk) for talk in good], "tools": tools, **written},
            languages,
            step=self.step.tag,
            model=[signed(makers["assistant"], talk.served) for talk in good],
            prompt_hash=self.hash,
            scores=[{"calls": float(talk.calls)} for talk in good],
            attributes=[
                {
                    **({"case": talk.case, "user": makers["user"]} if self.step.start == "user" else {}),
                    **({"tools": makers["simulator"]} if talk.made else {}),
                    "simulator": makers["simulator"],
                    "sample": str(talk.number),
                }
                for talk in good
            ],
        )
        return RowBatch(table, tuple(self.bad))

    def _messages(self, talk: Talk) -> list[Turn]:
        system = [{"role": "system", "content": talk.system}] if talk.system and self.step.keep_system else []
        return [*system, *talk.turns]


def _as_text(turns: Sequence[Turn]) -> Iterator[tuple[str, str]]:
    """The conversation as the assistant is shown it: its calls as the JSON that it wrote, results as the user's."""
    results: list[str] = []
    for turn in turns:
        if turn["role"] == "tool":
            results.append(fence(turn["content"], "result"))
            continue
        if results:
            yield "user", "\n".join(results)
            results = []
        if turn.get("tool_calls"):
            calls = [
                {"name": one["function"]["name"], "arguments": orjson.loads(one["function"]["arguments"])}
                for one in turn["tool_calls"]
            ]
            yield "assistant", orjson.dumps({"calls": calls, "answer": ""}).decode()
        else:
            yield turn["role"], disarm(turn["content"])
    if results:
        yield "user", "\n".join(results)

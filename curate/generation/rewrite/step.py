"""``rewrite``: rewrites texts of a row, or makes a row of another kind from it, with the user's own prompt.

The template has the row's texts, attributes and scores as placeholders; each is filled in as fenced data. ``into`` maps
the parts of a structured answer (``response_format``) to fields; ``each`` makes a row of every entry of a list in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field, model_validator

from curate.catalog.params import GeneratorName, LanguageTag, PerLanguage
from curate.catalog.suggestions import nearest
from curate.errors import StepError
from curate.generation.common.conversations import not_shown, split_reasoning
from curate.generation.common.derived_rows import derive_rows, failed, unchanged_rows
from curate.generation.common.fields import (
    PREFIXES,
    TEXT,
    Item,
    carried,
    follow,
    needed_by_kind,
    split_path,
    take_rows_apart,
    targets_of_kind,
    texts_of_kind,
)
from curate.generation.common.prompts import (
    Prompting,
    Template,
    disarm,
    fence,
    language_values,
    own_prompts,
    prompt_problems,
)
from curate.generation.common.requests import (
    RETRY,
    InvalidResponse,
    LLMRequest,
    RequestResult,
    RowProgress,
    ask,
    check_languages,
    clean,
    ensure_complete,
    schema_problems,
    unknown_keys,
)
from curate.rows import Kind
from curate.rows.fields import answer_field
from curate.rows.kinds import required_columns
from curate.steps import Context, FailedRow, RowBatch, Rows, RowStep
from curate.steps.models import Completion, Request, Sampling, signed

_LANGUAGES = (
    "language",
    "language_name",
    "language_own_name",
    "row_language",
    "row_language_name",
    "row_language_own_name",
)
_SOURCE = ("source_language", "source_language_name", "source_language_own_name")


class Rewrite(Prompting, RowStep):
    """Rewrites texts of a row, or makes another kind of row from it, with your own prompt."""

    tag: ClassVar[str] = "rewrite"
    version: ClassVar[int] = 2
    batch: ClassVar[int] = 4_096
    summary: ClassVar[str] = "texts of a row replaced, or another kind of row made from it, with your own prompt"

    model: GeneratorName
    """The language model."""
    prompt: PerLanguage[Template]
    """The prompt: a text or a list of turns, for all rows or by the row's language. Placeholders are the row's texts
    (``{prompt}``, ``{response}``, ``{text}``, ``{source}`` …, ``{conversation}``), ``{attribute.NAME}``,
    ``{score.NAME}``, ``{language}``, ``{language_name}``, ``{language_own_name}`` (of the new row) and
    ``{row_language}`` …"""
    fenced: bool = True
    """Whether to put texts of the row between fences (``<response>`` … ``</response>``). Without them the template has
    to show where a text ends."""
    field: str | None = None
    """The text of the row that the answer replaces; by default the one in the row's language (``response``, ``target``,
    ``text`` …)."""
    response_format: dict[str, Any] | None = None
    """A JSON Schema that answers must satisfy."""
    into: dict[str, str] = Field(default_factory=dict)
    """Where the parts of the answer go: ``{response: answer.text, attribute.topic: answer.topic, chosen:
    row.response}``. Left: ``prompt``, ``response``, ``system`` …, ``messages``, ``attribute.NAME``, ``score.NAME``.
    Right: ``answer`` with the keys that lead to the value (with slashes, a JSON pointer), ``row`` with a placeholder's
    name, ``item`` with keys where ``each`` is set, or a text in single quotes for every row (``"'refusal'"``)."""
    each: str | None = None
    """A list in the answer (``answer.items``). Each of its entries (``item``) becomes a row."""
    kind: Kind | None = None
    """The kind of the new rows; by default that of the old ones. Fields with the same name in both kinds are copied."""
    language: LanguageTag | None = None
    """The language of the new rows; by default that of the row."""
    source_language: LanguageTag | None = None
    """For new ``parallel`` rows: the language of their source side; by default that of the row."""
    n: Annotated[int, Field(ge=1, le=1024)] = 1
    """Number of answers for each row."""
    sampling: Sampling = Sampling()
    """Sampling parameters."""
    keep_original: bool = False
    """Whether to keep the original rows too, before the new ones."""
    group: Literal["parent", "own"] = "parent"
    """Whether a new row belongs to the item of its row (and to its side of a split), or is an item of its own."""
    unchanged: Literal["keep", "quarantine"] = "keep"
    """What to do with a new row that equals the old one."""
    on_length: Literal["quarantine", "keep", "drop"] = "quarantine"
    """What to do with an answer cut off at ``sampling.max_tokens`` (a structured one is never kept)."""
    reasoning: Literal["drop", "attribute"] = "drop"
    """Whether reasoning before the answer is dropped, or kept as the attribute ``rewrite.reasoning``."""
    reasoning_tags: tuple[str, str] = ("<think>", "</think>")
    """The tags around the reasoning, for servers that do not return it separately."""
    strip: bool = True
    """Whether to strip whitespace around an answer."""
    retries: Annotated[int, Field(ge=0, le=5)] = 1
    """How often an unusable answer is requested again, with the complaint."""
    strict: bool = False
    """Whether a language that is not in the model's ``languages`` stops the build. Otherwise it is a warning."""

    @model_validator(mode="after")
    def _together(self) -> Rewrite:
        if self.n > 1 and self.sampling.temperature == 0:
            raise ValueError(f"{self.n} answers at temperature 0 would all be the same; set sampling.temperature")
        if self.field is not None and self.into:
            raise ValueError(
                "set 'field' (one text is replaced) or 'into' (the parts of an answer are mapped to fields), not both"
            )
        if self.each is not None and not self.into:
            raise ValueError("'each' makes a row of every entry, so 'into' must map the parts of an entry to fields")
        if self.response_format is not None and not self.into:
            raise ValueError("with 'response_format' the answer has parts, so 'into' must map them to fields")
        return self

    def makes(self, kind: Kind) -> Kind:
        return self.kind or kind

    def shipped(self) -> Iterable[str]:
        return [RETRY] if self.retries else []

    def holes(self, kind: Kind) -> tuple[str, ...]:
        """The placeholders for rows of this kind, besides attributes and scores."""
        return (*texts_of_kind(kind), *_LANGUAGES, *(_SOURCE if kind is Kind.PARALLEL else ()))

    def mapping(self, kind: Kind) -> dict[str, str]:
        """``into``, or what ``field`` stands for."""
        return self.into or {self.field or answer_field(kind): "answer"}

    def check(self, kind: Kind) -> list[str]:
        made, mapping = self.makes(kind), self.mapping(kind)
        problems = prompt_problems("prompt", self.prompt, self.holes(kind), PREFIXES)
        problems += schema_problems("response_format", self.response_format)
        if self.keep_original and made is not kind:
            problems.append(f"keep_original: {kind} rows and new {made} rows cannot be in one dataset")
        if self.source_language is not None and made is not Kind.PARALLEL:
            problems.append("source_language: it is for new parallel rows")
        where = "into" if self.into else "field"
        targets = targets_of_kind(made)
        problems += unknown_keys(where, [name for name in mapping if not name.startswith(PREFIXES)], targets)
        missing = set(needed_by_kind(made)) - set(mapping) - carried(kind, made)
        if missing and not (made is Kind.SFT and "messages" in mapping):
            problems.append(f"into: new {made} rows need {', '.join(sorted(missing))}")
        for target, path in {**mapping, **({"each": self.each} if self.each else {})}.items():
            problems += self._path_problems(kind, target, path)
        return problems

    def _path_problems(self, kind: Kind, target: str, path: str) -> list[str]:
        first, *rest = split_path(path)
        where = "each" if target == "each" else f"into.{target}"
        if first == TEXT and target != "each":
            typed = target == "label" or target.startswith("score.")
            return [f"{where}: a text in quotes is no {'label' if target == 'label' else 'number'}"] if typed else []
        if first not in ("answer", "row", "item"):
            return [
                f"{where}: '{path}' does not begin with answer, row or item{nearest(first, ('answer', 'row', 'item'))}"
            ]
        if first == "row":
            name = path[len("row.") :]
            if target == "each":
                return ["each: the list must be in the answer"]
            return [] if name.startswith(PREFIXES) else unknown_keys(where, [name], self.holes(kind))
        if first == "item":
            return (
                [] if self.each and target != "each" else [f"{where}: 'item' is an entry of a list that 'each' names"]
            )
        if self.response_format is None:
            return [f"{where}: the answer has parts only with 'response_format'"] if rest or target == "each" else []
        known = self.response_format.get("properties")
        if rest and isinstance(known, Mapping) and known and "$ref" not in self.response_format:
            return unknown_keys(f"{where}, in the schema's properties", rest[:1], [str(name) for name in known])
        return []

    def make(self, rows: Rows, context: Context) -> Iterator[pa.Table | RowBatch]:
        if self.keep_original and context.draw == 0:
            yield unchanged_rows(rows)
        yield from _RewriteBatch(self, rows, context).run()


@dataclass(frozen=True, slots=True)
class _RequestKey:
    place: int
    sample: int
    row: Item
    values: Mapping[str, str]
    """All placeholders with the row's values."""
    language: str
    prompt_hash: str


@dataclass(frozen=True, slots=True)
class _ParsedAnswer:
    items: tuple[Item, ...]
    problems: tuple[tuple[str, str], ...]
    """(reason, raw text) of entries that could not be used."""
    reasoning: str


class _RewriteBatch:
    """One call of ``make``: asks the model, parses the answers and makes the rows."""

    def __init__(self, step: Rewrite, rows: Rows, context: Context) -> None:
        self.step, self.rows, self.context = step, rows, context
        self.made = step.makes(rows.kind)
        self.mapping = {target: split_path(path) for target, path in step.mapping(rows.kind).items()}
        self.prompts = own_prompts("prompt", step.prompt)
        self.bad: list[FailedRow] = []
        self.cut = 0

    def run(self) -> Iterator[RowBatch]:
        step = self.step
        languages = [step.language] if step.language else [one for one in self.rows.language.unique().to_list() if one]
        check_languages(self.context, step.tag, [step.model], languages, strict=step.strict)
        if self.context.draw and step.sampling.temperature == 0:
            self.context.warn("rewrite: more rows are needed, but at temperature 0 a row has one answer only")
        for outcomes in ask(
            self._questions(), self._read, retries=step.retries, tick=RowProgress(self.context, step.n)
        ):
            yield self._rows(outcomes)
        if self.bad:
            yield self._rows([])
        if self.cut:
            self.context.warn(
                f"rewrite: {self.cut:,} answers were cut off at {step.sampling.max_tokens:,} tokens and dropped"
            )

    # -------------------------------------------------------------------------------------------------------- asking
    def _questions(self) -> Iterator[LLMRequest[_RequestKey]]:
        step, generator = self.step, self.context.model(self.step.model)
        unseen = not_shown(self.rows, tools=False)
        names = texts_of_kind(self.rows.kind)
        sources = self.rows.table["source_language"].to_pylist() if self.rows.kind is Kind.PARALLEL else None
        for place, ((item, beside), row_language) in enumerate(
            zip(take_rows_apart(self.rows), self.rows.language, strict=True)
        ):
            language = step.language or row_language
            if not self.context.is_open(language):
                continue
            called = next((name for name in self.mapping if item.calls(name)), None)
            if (missing := unseen[place]) or called:
                reason = missing or f"its {called} calls tools, and only texts are replaced"
                self.bad.append(failed(self.rows, place, reason))
                continue
            texts = {name: item.text(name) for name in names} | beside
            values = {**language_values(language), **language_values(row_language, "row_language")}
            if sources is not None:
                values |= language_values(sources[place], "source_language")
            try:
                prompt = self.prompts[row_language]
                messages = prompt.fill({**self._shown(texts, prompt.holes), **values})
                if not messages:
                    raise StepError("the prompt is empty for this row")
            except StepError as error:  # the row lacks an attribute, or the language lacks a template
                self.bad.append(failed(self.rows, place, str(error)))
                continue
            for number in range(step.n):
                sample = number + self.context.draw * step.n
                key = _RequestKey(place, sample, item, {**texts, **values}, language, prompt.hash)
                row = str(self.rows.ids[place])
                request = Request(messages, step.sampling, sample, step.response_format, row=row)
                yield LLMRequest(key, request, generator)

    def _shown(self, texts: Mapping[str, str], holes: frozenset[str]) -> dict[str, str]:
        """The texts as they appear in the prompt: fenced or disarmed, except scores, which are our own numbers."""
        shown = {}
        for name, text in texts.items():
            if name.startswith("score.") or name not in holes:
                shown[name] = text
            else:
                shown[name] = fence(text, _mark(name)) if self.step.fenced else disarm(text)
        return shown

    # ------------------------------------------------------------------------------------------------------- reading
    def _read(self, key: _RequestKey, answer: Completion) -> _ParsedAnswer:
        ensure_complete(answer, cut=self.step.on_length == "keep" and self.step.response_format is None)
        if self.step.response_format is not None:
            value, reasoning = answer.value, ""
        else:
            reasoning, text = split_reasoning(clean(answer.text), self.step.reasoning_tags)
            value = text.strip() if self.step.strip else text
            if not value.strip():
                raise InvalidResponse("it is empty")
        reasoning = clean(answer.reasoning) or reasoning
        if self.step.each is None:
            return _ParsedAnswer((self._item(key, value, None),), (), reasoning)
        entries = follow(value, split_path(self.step.each)[1:], self.step.each)
        if not isinstance(entries, list):
            raise InvalidResponse(f"'{self.step.each}' is no list")
        items, problems = [], []
        for entry in entries:
            try:
                items.append(self._item(key, value, entry))
            except InvalidResponse as broken:
                problems.append((str(broken), repr(entry)))
        if not items:
            raise InvalidResponse(problems[0][0] if problems else f"'{self.step.each}' is an empty list")
        return _ParsedAnswer(tuple(items), tuple(problems), reasoning)

    def _item(self, key: _RequestKey, value: Any, entry: Any) -> Item:
        item = key.row.as_kind(self.made)
        for target, (first, *rest) in self.mapping.items():
            if first == "row":
                name = ".".join(rest)
                if name not in key.values:
                    raise InvalidResponse(f"the row has no '{name}'", again=False)
                item.put(target, key.values[name])
            elif first == TEXT:
                item.put(target, rest[0])
            else:
                item.put(target, follow(entry if first == "item" else value, rest, ".".join([first, *rest])))
        columns = item.payload()
        if (
            self.step.unchanged == "quarantine"
            and self.made is self.rows.kind
            and columns == key.row.as_kind(self.made).payload()
        ):
            raise InvalidResponse("it says exactly what stood there before")
        return item

    # -------------------------------------------------------------------------------------------------------- making
    def _rows(self, outcomes: list[RequestResult[_RequestKey, _ParsedAnswer]]) -> RowBatch:
        bad, self.bad = self.bad, []
        made: list[tuple[RequestResult[_RequestKey, _ParsedAnswer], int, Item]] = []
        for one in outcomes:
            if one.value is not None:
                made += [(one, number, item) for number, item in enumerate(one.value.items)]
                bad += [
                    failed(self.rows, one.key.place, f"an entry of the answer: {reason}", raw)
                    for reason, raw in one.value.problems
                ]
            elif one.trouble == "length" and self.step.on_length == "drop":
                self.cut += 1
            else:
                bad.append(failed(self.rows, one.key.place, one.problem, one.answer.text))
        columns = [item.payload() for _, _, item in made]
        values: dict[str, list[Any]] = {
            name: [one.get(name) for one in columns] for name in required_columns(self.made)
        }
        if self.step.language and any(self.mapping.get(name, ("row",))[0] != "row" for name in ("prompt", "messages")):
            values["prompt_language"] = [self.step.language for _ in made]
        if self.made is Kind.PARALLEL:
            values["source_language"] = [self._source_language(one.key.place) for one, _, _ in made]
        table = derive_rows(
            self.made,
            self.rows,
            [one.key.place for one, _, _ in made],
            values,
            [one.key.language for one, _, _ in made],
            step=self.step.tag,
            model=[signed(self.context.model_name(self.step.model), one.answer.served) for one, _, _ in made],
            prompt_hash=[one.key.prompt_hash for one, _, _ in made],
            group_id=[""] * len(made) if self.step.group == "own" else None,
            scores=[self._scores(one.answer, item) for one, _, item in made],
            attributes=[self._attributes(one, number, item) for one, number, item in made],
        )
        return RowBatch(table, tuple(bad))

    def _source_language(self, place: int) -> str:
        if self.step.source_language is not None:
            return self.step.source_language
        column = "source_language" if self.rows.kind is Kind.PARALLEL else "language"
        return str(self.rows.table[column][place].as_py())

    @staticmethod
    def _scores(answer: Completion, item: Item) -> dict[str, float]:
        return {**({"tokens": float(answer.completion_tokens)} if answer.completion_tokens else {}), **item.scores}

    def _attributes(self, one: RequestResult[_RequestKey, _ParsedAnswer], number: int, item: Item) -> dict[str, str]:
        attributes: dict[str, str] = {"finish": one.answer.finish}
        if self.step.n > 1 or one.key.sample:
            attributes["sample"] = str(one.key.sample)
        if self.step.each is not None:
            attributes["item"] = str(number)
        if one.tries > 1:
            attributes["tries"] = str(one.tries)
        if one.value is not None and one.value.reasoning and self.step.reasoning == "attribute":
            attributes["reasoning"] = one.value.reasoning
        return {**attributes, **item.attributes}


def _mark(name: str) -> str:
    """The fence name of a placeholder: ``attribute.a b`` → ``a-b``."""
    kept = "".join(letter if letter.isalnum() else "-" for letter in name.removeprefix("attribute.")).strip("-")
    return kept or "text"

"""Fills forms: makes rows from the texts, attributes and languages of other rows by templates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from curate.catalog.params import PerLanguage
from curate.catalog.suggestions import nearest
from curate.generation.common.conversations import CHATS, Turn
from curate.generation.common.derived_rows import all_licenses, derive_rows, failed, hash_of
from curate.generation.common.fields import PREFIXES, Item, take_rows_apart, texts_of_kind
from curate.generation.common.prompts import language_values
from curate.generation.common.requests import InvalidResponse
from curate.rows import Kind, payload, required_columns
from curate.rows.fields import prompt_field
from curate.rows.kinds import MEDIA, MESSAGE_EXTRAS, PLACEHOLDERS
from curate.rows.languages import InvalidLanguage, normalize
from curate.steps import Context, FailedRow, RowBatch, Rows
from curate.text.templates import parse

HOLE = r"\p{L}[\w.-]*\??"
"""What may stand between braces."""
LANGUAGES = ("language", "prompt_language", "source_language")
_ASKED = ("prompt", "system", "source")
"""Targets in the language of the prompt."""
_ANSWERS = ("response", "chosen", "rejected", "completion")


@dataclass(frozen=True, slots=True)
class Parts:
    """The rows that one new row is made from."""

    place: int
    """The first parent's place among the rows at hand."""
    item: Item
    """The first parent, whose fields are carried over."""
    values: Mapping[str, Any]
    """Placeholder → its text; numbers of scores."""
    turns: Mapping[str, Sequence[Turn]]
    """Placeholder → the turns that it stands for."""
    chance: int = 0
    """64 random bits that choose the form."""
    parents: tuple[str, ...] = ()
    """Ids of further parents."""
    licenses: tuple[str, ...] = ()
    """Their licences."""
    lines: tuple[Parts, ...] = ()
    """The rows of which each gives one line of every text of the new row, the first parent among them."""


def placeholders(kind: Kind | None, prefix: str = "") -> tuple[str, ...]:
    """The names that a row of this kind (None: of any) gives to templates, besides attributes and scores."""
    texts = dict.fromkeys(name for one in ([kind] if kind else Kind) for name in texts_of_kind(one))
    sides = [
        name
        for name in LANGUAGES
        if name == "language" or kind is None or (name == "source_language") == (kind is Kind.PARALLEL)
    ]
    return tuple(
        f"{prefix}{name}" for name in [*texts, *(one for side in sides for one in language_values("und", side))]
    )


def parts_of(rows: Rows) -> Iterator[Parts]:
    """Each row by itself, as what a new row is made from."""
    asked = asked_languages(rows)
    names, scores = texts_of_kind(rows.kind), rows.table["scores"].to_pylist()
    side = "source_language" if rows.kind is Kind.PARALLEL else "prompt_language"
    for place, ((item, beside), language) in enumerate(zip(take_rows_apart(rows), rows.language, strict=True)):
        values: dict[str, Any] = {name: item.text(name) for name in names} | beside
        values |= {f"score.{one['name']}": one["value"] for one in scores[place]}  # not rounded
        values |= language_values(language) | language_values(asked[place], side)
        turns: dict[str, Sequence[Turn]] = dict(item.answers)
        if item.prompt is not None:
            turns["prompt"] = [item.asked]
        yield Parts(place, item, values, turns)


def asked_languages(rows: Rows) -> list[str]:
    """The language of each row's prompt or source side; of a document, that of its text."""
    field = prompt_field(rows.kind)
    languages: list[str] = (rows.language if field is None else rows.field_language(field)).to_list()
    return languages


def prefixed(parts: Parts, prefix: str) -> tuple[dict[str, Any], dict[str, Sequence[Turn]]]:
    """Values and turns of a row under names with a prefix (``other.response``)."""
    return (
        {f"{prefix}{name}": value for name, value in parts.values.items()},
        {f"{prefix}{name}": turns for name, turns in parts.turns.items()},
    )


def turns_of(template: Any) -> list[tuple[str, str]]:
    """(role, text) of a template; a text, number or truth value is one turn without a role."""
    if isinstance(template, str):
        return [("", template)]
    if isinstance(template, bool | float):
        return [("", str(template).lower())]
    return [(role, text) for turn in template for role, text in turn.items()]


def fill_text(template: Any, parts: Parts) -> str:
    """A template of one text with the values of the rows.

    Raises:
        InvalidResponse: a placeholder has no value.
    """
    [(_, text)] = turns_of(template)
    out = []
    for literal, name in parse(text, HOLE):
        out.append(literal)
        if name is None:
            continue
        value = parts.values.get(name.removesuffix("?"))
        if value is None and not name.endswith("?"):
            raise InvalidResponse(
                f"there is no '{name}'{nearest(name, parts.values)}; write '{{{name}?}}' if only some rows have it"
            )
        out.append("" if value is None else f"{value:g}" if isinstance(value, float) else value)
    return "".join(out)


def number_of(value: Any) -> float | None:
    """A finite number, or None if the text is none."""
    try:
        number = float(value)
    except ValueError:
        return None
    return number if isfinite(number) else None


@dataclass(frozen=True, slots=True)
class _Made:
    parts: Parts
    payload: Mapping[str, Any]
    item: Item
    languages: Mapping[str, str]
    prompt_hash: str


@dataclass
class Composition:
    """New rows of one batch."""

    step: str
    """The step's tag."""
    forms: Sequence[Mapping[str, PerLanguage[Any]]]
    weights: Sequence[float] | None
    kind: Kind
    """Of the new rows."""
    rows: Rows
    """Among which the first parents are."""
    context: Context
    lost: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.hashes = [hash_of({name: one.dump(whole=True) for name, one in form.items()}) for form in self.forms]
        self.limits = _limits(self.weights or (1.0,) * len(self.forms))
        self.media = {name: self.rows.table[name].to_pylist() for name in MEDIA if name in self.rows.table.column_names}

    def run(self, parts: Iterable[Parts]) -> RowBatch:
        """The new rows, and those that could not be made with the reason. Warns of optional parts that are lost."""
        made: list[_Made] = []
        bad: list[FailedRow] = []
        for one in parts:
            try:
                made.append(self._make(one))
            except InvalidResponse as error:
                bad.append(failed(self.rows, one.place, str(error)))
        return RowBatch(self._table(made), tuple(bad))

    def _make(self, parts: Parts) -> _Made:
        number = next(place for place, limit in enumerate(self.limits) if parts.chance / 2**64 < limit)
        form = self.forms[number]
        languages = self._languages(form, parts)
        item = parts.item.as_kind(self.kind)
        # 'prompt' may set the system turn too, which 'system' then replaces.
        for target in sorted(form, key=lambda name: name != "prompt"):
            if target in LANGUAGES:
                continue
            tag = languages["prompt_language" if target in _ASKED else "language"]
            template = form[target][tag]
            if template is None:
                raise InvalidResponse(
                    f"into.{target} has no template for '{tag}' and no default; it has "
                    f"{', '.join(form[target]) or 'none'}"
                )
            self._put(item, target, template, parts)
        return _Made(parts, self._payload(item, parts), item, languages, self.hashes[number])

    def _languages(self, form: Mapping[str, PerLanguage[Any]], parts: Parts) -> dict[str, str]:
        """The languages of the new row: of its answer, and of its prompt or source side."""
        row = str(parts.values["language"])
        asked = str(parts.values["source_language" if self.rows.kind is Kind.PARALLEL else "prompt_language"])
        side = "source_language" if self.kind is Kind.PARALLEL else "prompt_language"
        answer = asked if self.kind is Kind.PROMPT else row
        found = {"language": answer, side: asked}
        for target in found.keys() & form.keys():
            template = form[target][row]
            if template is None:
                raise InvalidResponse(f"into.{target} has no value for '{row}' and no default")
            try:
                found[target] = normalize(fill_text(template, parts))
            except InvalidLanguage as error:
                raise InvalidResponse(f"into.{target}: {error}") from None
        if self.kind is Kind.PROMPT:
            found[side] = found["language"]
        return {"language": found["language"], "prompt_language": found[side]}

    def _put(self, item: Item, target: str, template: Any, parts: Parts) -> None:
        if not isinstance(template, str | bool | float):
            filled = [(role, fill_text(text, parts)) for role, text in turns_of(template)]
            item.system = None
            item.earlier = [{"role": role, "content": text} for role, text in filled[:-1] if text.strip()]
            if item.earlier and item.earlier[0]["role"] == "system":
                item.system = item.earlier.pop(0)["content"]
            item.prompt, item.asked = filled[-1][1], {}
            return
        if parts.lines and not target.startswith(PREFIXES) and target != "label":
            item.put(target, "\n".join(fill_text(template, line) for line in parts.lines))
            return
        whole = self._whole(template)
        if whole is not None and whole in parts.turns and (target == "prompt") == whole.endswith("prompt"):
            turns = deepcopy(list(parts.turns[whole]))
            if target == "prompt":
                item.prompt, item.asked = turns[0]["content"], turns[0]
                return
            if target in _ANSWERS:
                item.answers[target] = turns
                return
        if target.startswith("score.") or target == "label":
            item.put(target, self._exact(target, template, whole, parts))
        else:
            item.put(target, fill_text(template, parts))

    def _whole(self, template: Any) -> str | None:
        """The placeholder that a template consists of; None if there is more, or none."""
        if not isinstance(template, str):
            return None
        pieces = parse(template, HOLE)
        alone = len(pieces) == 1 and not pieces[0][0] and pieces[0][1]
        return alone.removesuffix("?") if alone else None

    def _exact(self, target: str, template: Any, whole: str | None, parts: Parts) -> Any:
        value = parts.values.get(whole) if whole is not None else None
        if not isinstance(value, float):
            value = fill_text(template, parts)
        if target == "label":
            if value not in ("true", "false"):
                raise InvalidResponse(f"'label' must be true or false, not '{value}'")
            return value == "true"
        number = number_of(value)
        if number is None:
            raise InvalidResponse(f"'{target}' must be a number, not '{value}'")
        return number

    def _payload(self, item: Item, parts: Parts) -> dict[str, Any]:
        columns = item.payload()
        before = _extras(_all_turns(parts.item))
        chats = [turn for value in columns.values() if isinstance(value, list) for turn in value]
        lost = before - _extras(chats)
        text = "\n".join(turn["content"] for turn in chats)
        for name, values in self.media.items():
            entries = values[parts.place]
            if entries is None:
                continue
            marks = text.count(PLACEHOLDERS[name])
            if not marks:
                lost.add(name)
                columns[name] = None
            elif marks != len(entries):
                raise InvalidResponse(f"its texts have {marks} places for {len(entries)} {name}")
        self.lost.update(lost)
        return columns

    def _table(self, made: Sequence[_Made]) -> Any:
        table = self._derived(made)
        if self.lost:
            told = ", ".join(f"{name} ({count:,})" for name, count in sorted(self.lost.items()))
            self.context.warn(f"{self.step}: new rows lack optional parts of the rows they are made from: {told}")
        return table

    def _derived(self, made: Sequence[_Made]) -> Any:
        places = [one.parts.place for one in made]
        values: dict[str, list[Any]] = {
            name: [one.payload.get(name) for one in made] for name in required_columns(self.kind)
        }
        for name in MEDIA if self.kind in CHATS else ():
            if name in self.media:
                values[name] = [
                    one.payload[name] if name in one.payload else self.media[name][one.parts.place] for one in made
                ]
        asked = [one.languages["prompt_language"] for one in made]
        if self.kind is Kind.PARALLEL:
            values["source_language"] = asked
        elif "prompt_language" in payload(self.kind):
            values["prompt_language"] = asked
        licenses = [lineage["license"] for lineage in self.rows.table["lineage"].to_pylist()]
        return derive_rows(
            self.kind,
            self.rows,
            places,
            values,
            [one.languages["language"] for one in made],
            step=self.step,
            prompt_hash=[one.prompt_hash for one in made],
            more_parents=[one.parts.parents for one in made],
            scores=[one.item.scores for one in made],
            attributes=[one.item.attributes for one in made],
            licenses=[all_licenses(licenses[one.parts.place], *one.parts.licenses) for one in made],
        )


def _limits(weights: Collection[float]) -> list[float]:
    """The shares of the forms, added up; the last is 1."""
    total, sums = 0.0, []
    for weight in weights:
        total += weight
        sums.append(total)
    return [*(one / total for one in sums[:-1]), 1.0]


def _extras(turns: Iterable[Turn]) -> set[str]:
    return {name for turn in turns for name in MESSAGE_EXTRAS if turn.get(name) not in (None, "", [])}


def _all_turns(item: Item) -> Iterator[Turn]:
    """All turns of a row that may have optional parts."""
    yield from [*item.earlier, item.asked, *(turn for turns in item.answers.values() for turn in turns)]

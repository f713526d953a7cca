"""Switches rows in slices: takes their texts out, splits them into elements, rewrites them, and puts them back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import orjson
import pyarrow as pa
import regex

from curate.generation.code_switch.candidates import Element, Entry, Table, is_switchable, joined
from curate.generation.code_switch.params import CodeSwitchParams
from curate.generation.code_switch.rewrite import Mixture, Style, Switch, choose, pick, rewrite, switch_count
from curate.generation.code_switch.tables import ParallelItems, aligned_by_place, load_tables
from curate.generation.common.derived_rows import derive_rows, failed, random_numbers, unchanged_rows
from curate.generation.common.prompts import own_prompt
from curate.rows import Kind, payload, required_columns
from curate.rows.fields import answer_field, field_place
from curate.steps import Context, FailedRow, RowBatch, Rows
from curate.text.placeholders import code_blocks, spans
from curate.text.words import estimate_words, fold_of, sentence_places

_PLAIN: tuple[str, ...] = ("",)
# Every protected span contains one of these. Most texts have none, and a search is far cheaper than a parse.
_SIGNS = regex.compile(r"[`\[\]@#<>{}\\$\^~_&%/()=+*×|]|\w\.\w|[^\x00-\x7f]")
_FENCED = regex.compile(r"(?s)```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)")
_CODE = regex.compile(
    r"(?m)[(){}\[\]=;<>`~|$]|:[ \t]*$|^[ \t]*(?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|FROM|WHERE"
    r"|import|from|else|try|#include|return)\b"
)


@dataclass(frozen=True, slots=True)
class _Turn:
    """A text of a row that may be switched."""

    field: str
    column: str
    place: int
    """The index of the message in the column; 0 for a plain text."""
    text: str
    nth: int
    """The index of the turn in the field."""


@dataclass(frozen=True, slots=True)
class _SwitchedRow:
    """The switched texts of a row."""

    texts: tuple[str, ...]
    """One for each turn."""
    switches: tuple[tuple[Switch, ...], ...]
    mixtures: tuple[Mixture, ...]
    parents: tuple[str, ...]


class CodeSwitchBatch:
    """Switches a batch of rows."""

    def __init__(self, step: CodeSwitchParams, rows: Rows, context: Context) -> None:
        self.step, self.rows, self.context = step, rows, context
        self.to = tuple(step.languages)
        self.weights = tuple(step.languages.values())
        self.fields = step.field_list(rows.kind)
        self.places = [_place(rows.kind, field) for field in self.fields]
        tags_of = [rows.field_language(field).to_list() for field in self.fields]
        # The fields of a row may be in two languages (the sides of a pair): each is switched from its own.
        self.matrices = [
            [step.matrix if step.others == "switch" and step.matrix else tag for tag in tags] for tags in tags_of
        ]
        self.ids = rows.ids.to_list()
        self.groups = rows.table["group_id"].to_pylist()
        self.sentences = step.level == "sentence"
        self.tables: Mapping[str, Table] = {}
        present = {tag for tags in self.matrices for tag in tags if step.matrix is None or tag == step.matrix}
        if step.table is not None and present:
            self.tables = load_tables(
                context,
                step.table,
                present,
                self.to,
                score=step.score,
                min_score=step.min_score,
                same_script=step.same_script,
                sentences=self.sentences,
            )
        self.siblings: ParallelItems | None = None
        if step.siblings is not None and present:
            self.siblings = ParallelItems(context, step.siblings, rows, self.fields, self.to)
        self.never = {tag: frozenset(map(fold_of(tag), step.never)) for tag in present}
        self.style = Style(step.isolates, step.whitespace, step.capitals)
        self.unswitched = self.other_languages = 0
        self.numbers = [
            random_numbers(context.seed, self.ids, step.tag, context.draw, variant) for variant in range(step.variants)
        ]

    def warn(self) -> None:
        """Warns about rows that were not switched."""
        total = f"{len(self.rows):,} rows"
        if self.unswitched and self.step.unswitched != "quarantine":
            what = "unchanged" if self.step.unswitched == "keep" else "dropped"
            self.context.warn(f"code_switch: {self.unswitched:,} of {total} have nothing that can be switched; {what}")
        if self.other_languages:
            what = "unchanged" if self.step.others == "keep" else "dropped"
            self.context.warn(f"code_switch: {self.other_languages:,} of {total} are not in {self.step.matrix}; {what}")

    # ----------------------------------------------------------------------------------------------------------- slices
    def slice(self, start: int, end: int) -> Iterator[pa.Table | RowBatch]:
        """Yields the output for some of the rows."""
        step = self.step
        turns = self._turns(start, end)
        texts = [turn.text for row in turns for turn in row]
        tags = [self._matrix(turn, start + at) for at, row in enumerate(turns) for turn in row]
        blocked = iter(self._blocked(texts, tags))
        made: list[tuple[int, list[_Turn], _SwitchedRow]] = []
        kept: list[int] = []
        bad: list[FailedRow] = []
        for at, row in enumerate(turns):
            place = start + at
            spans_of_row = [next(blocked) for _ in row]
            if step.keep_original:
                kept.append(place)
            if not any(step.matrix is None or self._matrix(turn, place) == step.matrix for turn in row):
                if row or step.matrix is not None:
                    self.other_languages += 1
                if step.others == "keep" and not step.keep_original:
                    kept.append(place)
                continue
            variants = list(self._variants(place, row, spans_of_row))
            if variants:
                made += [(place, row, one) for one in variants]
                continue
            self.unswitched += 1
            if step.unswitched == "quarantine":
                reason = f"nothing in it can be switched to {', '.join(self.to)}"
                bad.append(failed(self.rows, place, reason, "\n\n".join(turn.text for turn in row)))
            elif step.unswitched == "keep" and not step.keep_original:
                kept.append(place)
        if kept:
            yield unchanged_rows(Rows(self.rows.kind, self.rows.table.take(pa.array(kept, pa.int64()))))
        table = self._restore_pairs(made) if step.restore else self._switched(made)
        yield RowBatch(table, tuple(bad))

    def _matrix(self, turn: _Turn, place: int) -> str:
        return self.matrices[self.fields.index(turn.field)][place]

    def _turns(self, start: int, end: int) -> list[list[_Turn]]:
        """The texts to switch of each row; a text that belongs to two fields occurs once."""
        turns: list[list[_Turn]] = [[] for _ in range(end - start)]
        for field, (column, roles) in zip(self.fields, self.places, strict=True):
            values = self.rows.table[column].slice(start, end - start).to_pylist()
            for row, value in zip(turns, values, strict=True):
                if roles is _PLAIN:
                    row.append(_Turn(field, column, 0, value, 0))
                    continue
                taken = {(turn.column, turn.place) for turn in row}
                nth = 0
                for place, message in enumerate(value):
                    if roles is None or message["role"] in roles:
                        if (column, place) not in taken:
                            row.append(_Turn(field, column, place, message["content"], nth))
                        nth += 1
        return turns

    def _blocked(self, texts: Sequence[str], tags: Sequence[str]) -> list[list[tuple[int, int]]]:
        """The protected spans of each text."""
        what = self.step.protect
        with_code = [place for place, text in enumerate(texts) if "code" in what and _CODE.search(text)]
        code = (
            dict(zip(with_code, code_blocks([texts[place] for place in with_code]), strict=True)) if with_code else {}
        )
        blocked = []
        for place, (text, tag) in enumerate(zip(texts, tags, strict=True)):
            if place in code or _SIGNS.search(text):
                inline = ((one.start, one.end) for one in spans(text, what, tag))
                blocked.append(joined([*code.get(place, ()), *_fenced(text, what), *inline]))
            else:
                blocked.append([])
        return blocked

    # ---------------------------------------------------------------------------------------------------------- one row
    def _variants(
        self, place: int, row: Sequence[_Turn], blocked: Sequence[Sequence[tuple[int, int]]]
    ) -> Iterator[_SwitchedRow]:
        """The variants of the switched row; none if nothing can be switched."""
        step = self.step
        switchable = [step.matrix is None or self._matrix(turn, place) == step.matrix for turn in row]
        parsed = [
            self._elements(turn, place, one) if may else []
            for turn, one, may in zip(row, blocked, switchable, strict=True)
        ]
        targets = {number for elements in parsed for element in elements if element.entry for number in element.entry}
        if not targets:
            return
        seen: set[tuple[str, ...]] = set()
        numbers = sorted(targets)
        for variant in range(step.variants):
            for number in numbers if step.each else (None,):
                random = Random(self.numbers[variant][place] + (0 if number is None else number + 1))
                if step.each:
                    allowed = frozenset({number})
                elif step.mix:
                    allowed = frozenset(numbers)
                else:
                    allowed = frozenset(random.choices(numbers, [self.weights[one] for one in numbers]))
                made = self._once(place, row, parsed, allowed, random)  # type: ignore[arg-type]
                if made is not None and made.texts not in seen:
                    seen.add(made.texts)
                    yield made

    def _elements(self, turn: _Turn, place: int, blocked: Sequence[tuple[int, int]]) -> list[Element]:
        """The elements of a text with their translations."""
        matrix = self._matrix(turn, place)
        table = self.tables.get(matrix)
        if not self.sentences:
            return table.scan(turn.text, blocked, names=self.step.names, never=self.never[matrix]) if table else []
        cut = sentence_places(turn.text, matrix, blocked)
        texts = [turn.text[start:end] for start, end in cut]
        entries: list[Entry] = [{} for _ in cut]
        if self.siblings is not None:
            others = {}
            for number, tag in enumerate(self.to):
                turns = self.siblings.turns(self.groups[place], tag, turn.field) if tag != matrix else None
                if turns and turn.nth < len(turns):
                    other = turns[turn.nth]
                    others[number] = [other[start:end] for start, end in sentence_places(other, tag, ())]
            entries = aligned_by_place(texts, others)
        elements, at = [], 0
        for (start, end), text, entry in zip(cut, texts, entries, strict=True):
            while at < len(blocked) and blocked[at][1] <= start:
                at += 1
            is_protected = at < len(blocked) and blocked[at][0] <= start and blocked[at][1] >= end
            if not is_protected and any(char.isalpha() for char in text):
                known = {**((table.translation(text) if table else None) or {}), **entry}
                elements.append(Element(start, end, estimate_words(text, matrix), known or None, True))
        return elements

    def _once(
        self,
        place: int,
        row: Sequence[_Turn],
        parsed: Sequence[Sequence[Element]],
        allowed: frozenset[int],
        random: Random,
    ) -> _SwitchedRow | None:
        step = self.step
        able = [sum(is_switchable(element, allowed) for element in elements) for elements in parsed]
        ratio = step.ratio
        if not isinstance(ratio, float):
            ratio = ratio[0] + (ratio[1] - ratio[0]) * random.random()
        base = sum(able) if step.of == "switchable" else sum(map(len, parsed))
        count = min(sum(able), switch_count(base, ratio, step.least, random))
        if not count:
            return None
        groups = choose(parsed, allowed, count, step.longest if step.level == "phrase" else 1, random)
        texts, switches, mixtures = list[str](), list[tuple[Switch, ...]](), list[Mixture]()
        parents: dict[str, None] = {}
        for turn, elements, places, able_here in zip(row, parsed, groups, able, strict=True):
            chosen: dict[int, tuple[int, str]] = {}
            last, number = -2, -1
            for one in places:
                entry = elements[one].entry or {}
                usable = sorted(allowed & set(entry))
                if step.level != "phrase" or one != last + 1 or number not in usable:
                    number = usable[0]
                    if len(usable) > 1:
                        number = random.choices(usable, [self.weights[each] for each in usable])[0]
                chosen[one] = (number, pick(entry[number], step.choice == "sample", random))
                last = one
                if self.siblings is not None and (sibling := self.siblings.id(self.groups[place], self.to[number])):
                    parents[sibling] = None
            matrix = self._matrix(turn, place)
            text, done, mixture = rewrite(
                turn.text, elements, chosen, matrix, self.to, self.style, sentences=self.sentences
            )
            mixture.able = able_here
            texts.append(text)
            switches.append(tuple(done))
            mixtures.append(mixture)
        return _SwitchedRow(tuple(texts), tuple(switches), tuple(mixtures), tuple(parents))

    # ----------------------------------------------------------------------------------------------------------- tables
    def _scores_and_attributes(
        self, place: int, row: Sequence[_Turn], made: _SwitchedRow, only: int | None = None
    ) -> tuple[dict[str, float], dict[str, str]]:
        """Scores and attributes of the whole row, or of one of its texts."""
        mixture = Mixture()
        switched: list[list[Any]] = []
        matrix = self._matrix(row[0], place)
        for at, (turn, one, switches) in enumerate(zip(row, made.mixtures, made.switches, strict=True)):
            if only is None or at == only:
                mixture.add(one)
                switched += [[turn.field, turn.nth, start, before, after] for start, before, after in switches]
                matrix = self._matrix(turn, place) if switches else matrix
        attributes = {"languages": mixture.label(matrix, self.to)}
        if self.step.record:
            attributes["switched"] = orjson.dumps(switched).decode()
        return mixture.scores(), attributes

    def _switched(self, made: Sequence[tuple[int, list[_Turn], _SwitchedRow]]) -> pa.Table:
        """The rows with their new texts."""
        kind = self.rows.kind
        places = [place for place, _, _ in made]
        values = {name: self.rows.table[name].take(pa.array(places, pa.int64())).to_pylist() for name in payload(kind)}
        for at, (_, row, one) in enumerate(made):
            for turn, text in zip(row, one.texts, strict=True):
                if isinstance(values[turn.column][at], str):
                    values[turn.column][at] = text
                else:
                    values[turn.column][at][turn.place]["content"] = text
        results = [self._scores_and_attributes(*one) for one in made]
        turns = [[values[turn.column][at] for turn in row] for at, (_, row, _) in enumerate(made)]
        sides = [("language", answer_field(kind), self.rows.language)]
        if "prompt_language" in values:
            sides.append(("prompt_language", "prompt", self.rows.prompt_language))
        tags = {
            name: [
                self._language(tag, one, columns, field)
                for tag, one, columns in zip(known.gather(places).to_list(), made, turns, strict=True)
            ]
            for name, field, known in sides
        }
        languages = tags.pop("language")
        values |= tags
        return derive_rows(
            kind,
            self.rows,
            places,
            values,
            languages,
            step=self.step.tag,
            scores=[scores for scores, _ in results],
            attributes=[attributes for _, attributes in results],
            more_parents=[one.parents for _, _, one in made],
        )

    def _language(
        self, tag: str, made: tuple[int, list[_Turn], _SwitchedRow], columns: Sequence[Any], field: str
    ) -> str:
        """The language of an answer or a prompt: that of most of its words, if it was switched; in a tie the old one.

        Args:
            tag: its old language.
            columns: for each turn the value of its column.
            field: the field that it is.
        """
        kind = self.rows.kind
        if kind in (Kind.DOCUMENT, Kind.PROMPT):  # no answer: the language stays that of the switched text
            return tag
        column, roles = field_place(kind, field)
        _, row, one = made
        answer = Mixture()
        for turn, mixture, messages in zip(row, one.mixtures, columns, strict=True):
            plain = isinstance(messages, str)
            if turn.column == column and (plain or roles is None or messages[turn.place]["role"] in roles):
                answer.add(mixture)
        number = max(answer.words, key=lambda number: (answer.words[number], -number), default=-1)
        return tag if number < 0 else self.to[number]

    def _restore_pairs(self, made: Sequence[tuple[int, list[_Turn], _SwitchedRow]]) -> pa.Table:
        """A pair (switched → original) for each switched text."""
        prompt = own_prompt("instruction", self.step.instruction) if self.step.instruction else None
        kind = self.step.makes(self.rows.kind)
        places, languages, results, parents = list[int](), list[str](), list[Any](), list[Sequence[str]]()
        values: dict[str, list[Any]] = {name: [] for name in required_columns(kind)}
        for place, row, one in made:
            for at, (turn, text) in enumerate(zip(row, one.texts, strict=True)):
                if not one.switches[at]:
                    continue
                places.append(place)
                languages.append(self._matrix(turn, place))
                results.append(self._scores_and_attributes(place, row, one, at))
                parents.append(one.parents)
                if prompt is not None:
                    turns = [{"role": role, "content": content} for role, content in prompt.fill({"text": text})]
                    values["messages"].append([*turns, {"role": "assistant", "content": turn.text}])
                else:
                    values["source_language"].append(languages[-1])
                    values["source"].append(text)
                    values["target"].append(turn.text)
        return derive_rows(
            kind,
            self.rows,
            places,
            values,
            languages,
            step=self.step.tag,
            prompt_hash=prompt.hash if prompt else "",
            scores=[scores for scores, _ in results],
            attributes=[attributes for _, attributes in results],
            more_parents=parents,
        )


def _fenced(text: str, what: Collection[str]) -> Iterator[tuple[int, int]]:
    """Code fences that begin inside a line, which people write too; an unclosed one runs to the end."""
    if "code" in what and ("```" in text or "~~~" in text):
        yield from (match.span() for match in _FENCED.finditer(text))


def _place(kind: Kind, field: str) -> tuple[str, tuple[str, ...] | None]:
    """The column of a field and its roles; ``_PLAIN`` for a plain text."""
    column, roles = field_place(kind, field)
    return column, roles if column not in ("source", "target", "text") else _PLAIN

"""``join``: makes rows by templates from rows that belong together: the same item in two languages, a prompt and
another dataset's answer to it, the lines of a document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import AfterValidator, Field, PositiveInt

from curate.catalog.params import RowsName
from curate.catalog.suggestions import nearest
from curate.generation.common.chosen_rows import ChosenRows, chosen_rows
from curate.generation.common.composition import (
    HOLE,
    Parts,
    asked_languages,
    fill_text,
    parts_of,
    placeholders,
    prefixed,
)
from curate.generation.common.derived_rows import random_numbers
from curate.generation.common.fields import PREFIXES
from curate.generation.common.forms import Composing, Weight, placeholder_problems
from curate.generation.common.requests import InvalidResponse
from curate.generation.join.matching import Matcher, Matches, Side, together
from curate.rows import Kind
from curate.rows.languages import normalize
from curate.steps import CatalogFacts, Context, DatasetStep, RowBatch, Rows, StepError
from curate.text.templates import parse

_OTHER = "other."
_BY = ("item", "key")
_LINES = (Kind.PARALLEL, Kind.DOCUMENT)
_WRITTEN = 2_048


def _languages(pair: str) -> str:
    sides = pair.split("/")
    if len(sides) != 2:
        raise ValueError(f"'{pair}' is no pair of languages; write the row's and the other row's, such as en/sw")
    return "/".join(map(normalize, sides))


LanguagePair = Annotated[str, AfterValidator(_languages)]


class Join(Composing, DatasetStep):
    """Makes a row by templates from each two rows that belong together, or from all that do.

    The new row is of the row's item; ``{other.…}`` are the texts of the other one. Both are its parents, and its
    licence is that of both. Rows without a partner make no row; they are counted in a warning, by reason and language.

    With ``lines`` all rows that belong together and are in the same languages make one row: each template is filled for
    each of them, in their order, and the texts stand below one another. Its languages, attributes and scores are those
    of the first row, but of its other attributes only those that all rows have; its item is that of the first row.
    """

    tag: ClassVar[str] = "join"
    summary: ClassVar[str] = (
        "rows by templates from rows that belong together: an item in two languages, two datasets, lines of a document"
    )

    other: RowsName | None = None
    """The source or dataset with the other rows. Default: the dataset's own rows, of which none is its own partner."""
    by: str = "item"
    """What both rows have in common. ``item``: their ``group_id``; ``key``: the key of their sources, whatever the
    sources; or a template, such as ``"{prompt}"`` or ``"{attribute.topic}"``, that gives the same text for both."""
    pairs: (
        Annotated[tuple[LanguagePair, ...], Field(min_length=1)]
        | Annotated[dict[LanguagePair, Weight], Field(min_length=1)]
        | None
    ) = None
    """The languages of the row and of the other one: ``[en/sw, de/en]`` for all of these, ``{en/sw: 2, de/en: 1}`` to
    draw one of them by weight for each item (each value of ``by``). Default: all."""
    per_row: PositiveInt | None = None
    """Maximum number of partners of a row, drawn by the seed; with ``lines``, of rows that make one, and more make
    several. Default: all."""
    lines: bool = False
    """Whether all rows that belong together make one row, a line of each; for parallel rows and documents."""

    def check(self, kind: Kind) -> list[str]:
        if self.lines:
            problems = self.form_problems(kind, placeholders(kind), lines=True)
            if kind not in _LINES:
                problems.append(f"lines: {kind} rows have turns; only {' and '.join(_LINES)} rows can become lines")
            if self.other is not None or self.pairs is not None:
                problems.append("lines: rows become lines of one text; leave 'other' and 'pairs' out")
        else:
            other = kind if self.other is None else None
            prefixes = (*PREFIXES, *(f"{_OTHER}{prefix}" for prefix in PREFIXES))
            problems = self.form_problems(kind, [*placeholders(kind), *placeholders(other, _OTHER)], prefixes)
        if "{" not in self.by and "}" not in self.by:
            if self.by not in _BY:
                problems.append(
                    f"by: '{self.by}' is neither item nor key{nearest(self.by, _BY)}; a text of both rows is a "
                    f"template such as '{{{self.by}}}'"
                )
            return problems
        wrong = placeholder_problems("by", self.by, placeholders(kind), PREFIXES)
        if not wrong and not self._by_names():
            wrong = ["by: a template without a placeholder is the same text for all rows"]
        return problems + wrong

    def check_models(self, facts: CatalogFacts) -> list[str]:
        problems = super().check_models(facts)
        kind = facts.kind_of(self.other) if self.other is not None else None
        if kind is None:
            return problems
        names = placeholders(kind)
        used = [("into", name.removeprefix(_OTHER)) for name in sorted(self.holes()) if name.startswith(_OTHER)]
        used += [("by", name) for name in self._by_names() if self.by not in _BY]
        # What rows of no kind have was found before.
        return problems + [
            f"{where}: the {kind} rows of '{self.other}' have no '{name}'{nearest(name, names)}; they have "
            f"{', '.join(names)}"
            for where, name in used
            if name in placeholders(None) and name not in names
        ]

    def _by_names(self) -> list[str]:
        """The placeholders of ``by``."""
        return [name.removesuffix("?") for _, name in parse(self.by, HOLE) if name is not None]

    # ------------------------------------------------------------------------------------------------------- gathering
    def gather(self, rows: Iterable[Rows], context: Context) -> Iterator[pa.Table | RowBatch]:
        left = Side([])
        self._read(rows, left)
        if self.lines:
            left.close()
            yield from self._texts(rows, left, context)
            return
        right = left
        others: Iterable[Rows] = rows
        if self.other is not None:
            others = _Others(self.other, context)
            right = Side(left.tags)
            self._read(others, right)
            right.close()
        left.close()
        matches = self._matcher(context.seed).match(left, right)
        self._tell(matches, len(left), context)
        if len(matches.left):
            with (
                chosen_rows(rows, matches.left, context) as mine,
                chosen_rows(others, matches.right, context) as theirs,
            ):
                for first in range(0, len(matches.left), _WRITTEN):
                    part = slice(first, first + _WRITTEN)
                    yield self._rows(mine, theirs, matches.left[part], matches.right[part], context)

    def _read(self, rows: Iterable[Rows], side: Side) -> None:
        for part in rows:
            keys = self._keys(part)
            if self.lines:  # what is one text is in the same languages
                tags = zip(asked_languages(part), part.language, strict=True)
                keys = [None if not key else "\n".join((*pair, key)) for key, pair in zip(keys, tags, strict=True)]
            side.add(keys, part.ids.to_list(), part.language.to_list())

    def _texts(self, rows: Iterable[Rows], side: Side, context: Context) -> Iterator[RowBatch]:
        groups = together(side, self.per_row)
        if lost := len(side) - sum(map(len, groups)):
            context.warn(f"join: {lost:,} of {len(side):,} rows have nothing to be joined by and make no row")
        if not groups:
            return
        with chosen_rows(rows, np.concatenate(groups), context) as chosen:
            start, size = 0, 0
            for end, group in enumerate(groups, 1):
                size += len(group)
                if size >= _WRITTEN or end == len(groups):
                    yield self._text_rows(chosen, groups[start:end], context)
                    start, size = end, 0

    def _text_rows(self, chosen: ChosenRows, groups: Sequence[Any], context: Context) -> RowBatch:
        here, places = chosen.at(np.concatenate(groups))
        parts, ids = list(parts_of(here)), here.ids.to_list()
        attributes, licenses = here.table["attributes"].to_pylist(), here.table["lineage"].to_pylist()
        texts, at = list[Parts](), 0
        for group in groups:
            lines = places[at : at + len(group)]
            at += len(group)
            first = lines[0]
            attributes[first] = [one for one in attributes[first] if all(one in attributes[place] for place in lines)]
            chances = random_numbers(context.seed, [" ".join(ids[place] for place in lines)], self.tag)
            texts.append(
                replace(
                    parts[first],
                    chance=chances[0],
                    parents=tuple(ids[place] for place in lines[1:]),
                    licenses=tuple(dict.fromkeys(licenses[place]["license"] for place in lines)),
                    lines=tuple(parts[place] for place in lines),
                )
            )
        column = here.table.schema.get_field_index("attributes")
        field = here.table.schema.field(column)
        table = here.table.set_column(column, field, pa.array(attributes, field.type))
        context.advance(sum(map(len, groups)))
        return self.compose(Rows(here.kind, table), texts, context)

    def _keys(self, part: Rows) -> Sequence[str | None]:
        if self.by not in _BY:
            keys: list[str | None] = []
            for parts in parts_of(part):
                try:
                    keys.append(fill_text(self.by, parts))
                except InvalidResponse:  # it has no such attribute
                    keys.append(None)
            return keys
        groups: list[str] = part.table["group_id"].to_pylist()
        # Rows that stand alone have no namespace in front of a key.
        return [group.partition(":")[2] for group in groups] if self.by == "key" else groups

    def _matcher(self, seed: int) -> Matcher:
        pairs = None if self.pairs is None else [(a, b) for a, _, b in (one.partition("/") for one in self.pairs)]
        weights = list(self.pairs.values()) if isinstance(self.pairs, dict) else None
        return Matcher(pairs, weights, self.per_row, self.other is None, seed)

    def _tell(self, matches: Matches, rows: int, context: Context) -> None:
        if rows and not len(matches.left):
            what = "their own dataset" if self.other is None else f"'{self.other}'"
            told = "; ".join(f"{sum(counts.values()):,} {reason}" for reason, counts in matches.missed.items())
            raise StepError(f"join: no row has a partner in {what} by '{self.by}': {told}")
        for reason, counts in matches.missed.items():
            languages = ", ".join(f"{tag} {count:,}" for tag, count in counts.most_common())
            context.warn(f"join: {sum(counts.values()):,} of {rows:,} rows {reason} and make no row ({languages})")

    def _rows(self, mine: ChosenRows, theirs: ChosenRows, left: Any, right: Any, context: Context) -> RowBatch:
        here, places = mine.at(left)
        there, others = theirs.at(right)
        own, foreign = list(parts_of(here)), list(parts_of(there))
        ids = [f"{here.ids[one]} {there.ids[other]}" for one, other in zip(places, others, strict=True)]
        chances = random_numbers(context.seed, ids, self.tag)
        licenses = [lineage["license"] for lineage in there.table["lineage"].to_pylist()]

        def both() -> Iterator[Parts]:
            for one, other, chance in zip(places, others, chances, strict=True):
                values, turns = prefixed(foreign[other], _OTHER)
                yield replace(
                    own[one],
                    values={**own[one].values, **values},
                    turns={**own[one].turns, **turns},
                    chance=chance,
                    parents=(str(there.ids[other]),),
                    licenses=(licenses[other],),
                )

        made = self.compose(here, both(), context)
        context.advance(len(np.unique(left)))
        return made


class _Others:
    """The rows of a side input, as often as one likes."""

    def __init__(self, name: str, context: Context) -> None:
        self._name, self._context = name, context

    def __iter__(self) -> Iterator[Rows]:
        return self._context.rows(self._name)


__all__ = ["Join"]

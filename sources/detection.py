"""Schema detection: recognises the known formats of training data by their columns and values.

If several formats fit, the user must choose.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from curate.rows import Kind
from curate.rows.kinds import MEDIA
from curate.rows.languages import InvalidLanguage, base, normalize
from curate.steps import SourceError
from sources.known_formats import TRANSCRIPT, Needs, known_formats, languages
from sources.templates import Row, known_names, printable
from sources.values import is_nan

SAMPLE = 100
"""How many rows are examined."""
_MOST = 0.8
"""The share of rows whose values must fit a format; the others become bad rows."""

TARGETS: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {
        Kind.SFT: ("prompt", "response", "system", "history", "messages", "tools", *MEDIA),
        Kind.PREFERENCE: ("prompt", "chosen", "rejected", "system", "history", "tools", *MEDIA),
        Kind.UNPAIRED: ("prompt", "completion", "label", "system", "history", "tools", *MEDIA),
        Kind.PARALLEL: ("source", "target", "source_language"),
        Kind.DOCUMENT: ("text",),
        Kind.PROMPT: ("prompt", "system", "history", "tools", *MEDIA),
    }
)
_REQUIRED: Mapping[Kind, tuple[frozenset[str], ...]] = MappingProxyType(
    {
        Kind.SFT: (frozenset({"messages"}), frozenset({"prompt", "response"})),
        Kind.PREFERENCE: (frozenset({"chosen", "rejected"}),),
        Kind.UNPAIRED: (frozenset({"completion", "label"}),),
        Kind.PARALLEL: (frozenset({"source", "target"}),),
        Kind.DOCUMENT: (frozenset({"text"}),),
        Kind.PROMPT: (frozenset({"prompt"}),),
    }
)


@dataclass(frozen=True)
class DetectedSchema:
    """A known format: how columns make rows of one kind."""

    name: str
    kind: Kind
    columns: Mapping[str, str]
    """Target → template."""
    source_language: str = ""
    """Language of the source side, if the format's columns give it."""
    used: frozenset[str] = field(default=frozenset(), compare=False)
    told: bool = False
    """Whether the catalog defines it, instead of the data."""

    def lines(self) -> str:
        """The catalog lines that select it."""
        columns = ", ".join(
            f"{target}: {json.dumps(text, ensure_ascii=False)}" for target, text in self.columns.items()
        )
        return f"kind: {self.kind}\n      columns: {{{columns}}}"


# ----------------------------------------------------------------------------------------------------- from the catalog
def complete(kind: Kind, targets: Sequence[str]) -> bool:
    """Whether these targets are enough to make rows of the kind."""
    return any(needed <= set(targets) for needed in _REQUIRED[kind])


def kind_of_targets(targets: Sequence[str]) -> Kind | None:
    """The kind that these targets are for; None if ambiguous."""
    fits = [kind for kind in Kind if set(targets) <= set(TARGETS[kind]) and complete(kind, targets)]
    # A prompt alone may also be the prompt of another kind; it is complete only as kind prompt.
    return fits[0] if len(fits) == 1 else None


def wrong_targets(kind: Kind | None, targets: Sequence[str]) -> list[str]:
    """What is wrong with the names of the targets."""
    known = (
        TARGETS[kind]
        if kind is not None
        else tuple(dict.fromkeys(name for names in TARGETS.values() for name in names))
    )
    problems = []
    for target in targets:
        if target in known:
            continue
        near = get_close_matches(target, known, n=1)
        of = f"rows of kind {kind} are made of" if kind is not None else "rows are made of"
        problems.append(
            f"'{target}' is not a target{f'; did you mean {near[0]!r}?' if near else ''} ({of} {', '.join(known)})"
        )
    if "messages" in targets and {"prompt", "response", "history"} & set(targets):
        problems.append(
            "'messages' is the whole conversation and goes with 'system' only, not with prompt, response or history"
        )
    return problems


# -------------------------------------------------------------------------------------------------------- from the data
def _fits(
    name: str, kind: Kind, needs: Needs, columns: Mapping[str, str], may: Sequence[str], present: Collection[str]
) -> DetectedSchema:
    return DetectedSchema(name, kind, columns, used=frozenset(needs) | {column for column in may if column in present})


def _widest(forms: Sequence[DetectedSchema]) -> list[DetectedSchema]:
    """Without the formats whose columns are a subset of another's."""
    return [form for form in forms if not any(form.used < other.used for other in forms)]


def candidates(rows: Sequence[Row], language: str = "", source_language: str = "") -> list[DetectedSchema]:
    """The formats that fit these rows, except for a few odd ones; without those whose columns are a subset of
    another's.

    Args:
        language: the source's language if it is one tag; distinguishes the sides of a ``translation`` column.
        source_language: that of the other side.
    """
    values = _values(rows)
    forms = [
        _fits(name, kind, needs, columns, may, values)
        for name, kind, needs, columns, may in known_formats()
        if all(column in values and _odd(values[column], test) is None for column, test in needs.items())
    ]
    if "translation" in values and _odd(values["translation"], languages) is None:
        keys = list(dict.fromkeys(key for _, value in values["translation"] if languages(value) for key in value))
        form = _translation(keys, language, source_language)
        if form is not None:
            forms.append(form)
    return _widest(forms)


def candidates_by_name(names: Sequence[str]) -> list[DetectedSchema]:
    """The formats that columns of these names fit, for a file without rows."""
    forms = [_fits(*form, names) for form in known_formats() if set(form[2]) <= set(names) and form[0] != TRANSCRIPT]
    return _widest(list({(form.kind, *form.columns.items()): form for form in forms}.values()))


def _values(rows: Sequence[Row]) -> dict[str, list[tuple[int, Any]]]:
    """The columns that most rows have and that are not empty, with their values and row numbers."""
    present: Counter[str] = Counter()
    values: dict[str, list[tuple[int, Any]]] = {}
    for number, row in enumerate(rows):
        present.update(row.keys())
        for name, value in row.items():
            if value is not None and not is_nan(value):
                values.setdefault(name, []).append((number, value))
    return {name: found for name, found in values.items() if 2 * present[name] > len(rows)}


def _odd(column: Sequence[tuple[int, Any]], test: Callable[[Any], bool]) -> tuple[int, Any] | None:
    """The first value that fails, if too many fail; None if the column fits."""
    odd = [one for one in column if not test(one[1])]
    return odd[0] if len(column) - len(odd) < _MOST * len(column) else None


def _translation(keys: list[str], language: str, source_language: str) -> DetectedSchema | None:
    """The format of a column ``translation: {en: …, de: …}``, if the languages identify the sides."""

    def key_of(tag: str) -> str | None:
        tags = {}
        for key in keys:
            try:
                tags[key] = normalize(key)
            except InvalidLanguage:
                continue
        exact = [key for key, found in tags.items() if found == tag]
        near = [key for key, found in tags.items() if tag and base(found) == base(tag)]
        return exact[0] if exact else near[0] if len(near) == 1 else None

    target, source = key_of(language), key_of(source_language)
    if target is not None and source is None and not source_language and len(keys) == 2:
        source = next(key for key in keys if key != target)
        try:
            source_language = normalize(source)
        except InvalidLanguage:
            return None
    if target is None or source is None or target == source:
        return None
    columns = {"source": f"{{translation.{source}}}", "target": f"{{translation.{target}}}"}
    return DetectedSchema(
        "translation pairs", Kind.PARALLEL, columns, source_language=source_language, used=frozenset({"translation"})
    )


def detect(
    rows: Sequence[Row],
    where: str,
    kind: Kind | None = None,
    language: str = "",
    source_language: str = "",
    names: Sequence[str] = (),
) -> DetectedSchema:
    """The format of these rows.

    Args:
        names: the columns of a file without rows.

    Raises:
        SourceError: no format fits, or more than one does.
    """
    forms = candidates(rows, language, source_language) if rows else candidates_by_name(names)
    if kind is not None:
        ours = [form for form in forms if form.kind is kind]
        if not ours:
            # Another kind's format may have hidden this one (a prompt inside an SFT row).
            ours = candidates_of(rows, names, kind, language, source_language)
        forms = ours
    elif any(form.name == TRANSCRIPT for form in forms):
        forms = [form for form in forms if form.kind is not Kind.DOCUMENT]
    if len(forms) == 1:
        return forms[0]
    known = ", ".join(known_names(rows) if rows else names) or "none"
    if not forms:
        of = f" of kind {kind}" if kind is not None else ""
        raise SourceError(
            f"{where} has no known format{of}: its columns are {known}{_nearly(rows, kind)}. Define how they make "
            "rows, for example\n"
            f"      kind: {kind or 'sft'}\n      columns: {_example(kind or Kind.SFT)}\n"
            "    recognised formats: Alpaca (instruction, input, output), ShareGPT (conversations), OpenAI (messages), "
            "prompt with response or completion, question with answer, chosen and rejected, completion or messages "
            "with label, source and target, translation, text, prompt"
        )
    choices = "\n".join(f"    {form.name} ({form.kind}):\n      {form.lines()}" for form in forms)
    raise SourceError(f"{where} fits more than one format (its columns are {known}); choose one by writing\n{choices}")


def candidates_of(
    rows: Sequence[Row], names: Sequence[str], kind: Kind, language: str, source_language: str
) -> list[DetectedSchema]:
    """The formats of one kind that fit, even if other kinds fit better."""
    used = frozenset(name for form in known_formats() if form[1] is kind for name in (*form[2], *form[4]))
    if kind is Kind.PARALLEL:
        used |= {"translation"}
    narrowed = [{name: value for name, value in row.items() if name in used} for row in rows]
    forms = (
        candidates(narrowed, language, source_language)
        if rows
        else candidates_by_name([name for name in names if name in used])
    )
    return [form for form in forms if form.kind is kind]


def _nearly(rows: Sequence[Row], kind: Kind | None) -> str:
    """Why a format does not fit although all its columns are there."""
    values = _values(rows)
    for name, of, needs, _, _ in known_formats():
        if kind not in (None, of) or not set(needs) <= set(values):
            continue
        for column, test in needs.items():
            odd = _odd(values[column], test)
            if odd is not None:
                count = sum(not test(value) for _, value in values[column])
                return (
                    f". They are those of the format '{name}', but '{column}' does not fit in {count} of "
                    f"{len(values[column])} rows (the first is number {odd[0] + 1}: {shown(odd[1])})"
                )
    filled = {name for row in rows for name, value in row.items() if value is not None}
    empty = {name for row in rows for name in row} - filled
    names = [name for name in known_names(rows) if name in empty]
    return f" (empty in the first {len(rows):,} rows: {', '.join(names)})" if names else ""


def shown(value: Any) -> str:
    """A value in a few words."""
    kind = {list: "a list", dict: "an object", str: "text", bool: "a truth value"}.get(type(value), "a number")
    return f"{kind}, {printable(value)[:60]!r}" if kind in ("text", "a number") else kind


def empty_form(kind: Kind, columns: Mapping[str, str]) -> DetectedSchema:
    """A format for a kind, for files without rows."""
    needed = _REQUIRED[kind][0]
    return DetectedSchema("no rows", kind, {**{target: f"{{{target}?}}" for target in sorted(needed)}, **columns})


def _example(kind: Kind) -> str:
    return {
        Kind.SFT: '{prompt: "{ask}", response: "{reply}"}',
        Kind.PREFERENCE: '{prompt: "{ask}", chosen: "{good}", rejected: "{bad}"}',
        Kind.UNPAIRED: '{prompt: "{ask}", completion: "{reply}", label: "{liked}"}',
        Kind.PARALLEL: '{source: "{english}", target: "{swahili}"}',
        Kind.DOCUMENT: '{text: "{body}"}',
        Kind.PROMPT: '{prompt: "{ask}"}',
    }[kind]

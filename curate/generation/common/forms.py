"""Forms: what a new row has in each of its fields, as templates over the rows that it is made from.

``compose`` fills them from one row, ``join`` from two. The braces are those of :mod:`curate.text.templates`; text
outside of them is literal, ``{name?}`` may be missing. A template that is one text of a row and nothing else passes the
turns unchanged, with calls of tools, reasoning and weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, model_validator

from curate.catalog.params import PerLanguage
from curate.catalog.suggestions import nearest
from curate.generation.common.composition import HOLE, LANGUAGES, Composition, Parts, number_of, turns_of
from curate.generation.common.conversations import CHATS
from curate.generation.common.fields import PREFIXES, carried, needed_by_kind, targets_of_kind
from curate.generation.common.prompts import ROLES, Template
from curate.rows import Kind
from curate.rows.languages import InvalidLanguage, normalize
from curate.steps import Context, RowBatch, Rows, Step
from curate.text.templates import UnpairedBraceError, parse

Form = Annotated[dict[str, PerLanguage[bool | float | Template]], Field(min_length=1)]
"""Field of the new row → its template, or one for each language."""
Weight = Annotated[float, Field(gt=0)]


class Composing(Step):
    """A step that makes rows by forms."""

    into: Form | Annotated[tuple[Form, ...], Field(min_length=1)]
    """Field of the new row → a template: text with placeholders in braces. A list of such forms: one is drawn for each
    row."""
    weights: tuple[Weight, ...] | None = None
    """How often each form of a list is drawn, in any unit. Default: equally often."""
    kind: Kind | None = None
    """The kind of the new rows; by default that of the old ones. Fields with the same name in both kinds are carried
    over where ``into`` does not set them."""

    @model_validator(mode="after")
    def _one_weight_for_each(self) -> Composing:
        if self.weights is not None and len(self.weights) != len(self.forms):
            raise ValueError(f"weights: {len(self.weights)} weights for {len(self.forms)} forms in 'into'")
        return self

    @property
    def forms(self) -> tuple[Mapping[str, PerLanguage[Any]], ...]:
        """All forms."""
        return (self.into,) if isinstance(self.into, dict) else self.into

    def makes(self, kind: Kind) -> Kind:
        return self.kind or kind

    def holes(self) -> frozenset[str]:
        """The placeholders of all forms, without ``?``."""
        return frozenset(
            name.removesuffix("?")
            for form in self.forms
            for template in form.values()
            for one in _variants(template)
            for _, text in turns_of(one)
            for _, name in parse(text, HOLE)
            if name is not None
        )

    def form_problems(
        self, kind: Kind, known: Iterable[str], prefixes: Iterable[str] = PREFIXES, *, lines: bool = False
    ) -> list[str]:
        """What is wrong with the forms for rows of this kind.

        Args:
            known: the placeholders that there are.
            prefixes: beginnings of placeholders whose names only the data tell.
            lines: whether texts are made of several rows, so that none is carried over.
        """
        problems = []
        for number, form in enumerate(self.forms):
            where = "into" if isinstance(self.into, dict) else f"into[{number}]"
            made = self.makes(kind)
            problems += _form_problems(where, form, kind, made, sorted(set(known)), tuple(prefixes))
            if lines:
                problems += _lines_problems(where, form, made)
        return list(dict.fromkeys(problems))

    def compose(self, rows: Rows, parts: Iterable[Parts], context: Context) -> RowBatch:
        """The new rows, and those that could not be made with the reason. Warns of optional parts that are lost."""
        return Composition(self.tag, self.forms, self.weights, self.makes(rows.kind), rows, context).run(parts)


# -------------------------------------------------------------------------------------------------------------- checks
def _variants(template: PerLanguage[Any]) -> list[Any]:
    every = [template.default, *template.values.values()]
    return [one for one in every if one is not None]


def _form_problems(
    where: str,
    form: Mapping[str, PerLanguage[Any]],
    kind: Kind,
    made: Kind,
    known: Sequence[str],
    prefixes: tuple[str, ...],
) -> list[str]:
    targets = [*(name for name in targets_of_kind(made) if name != "messages"), "language"]
    targets += ["source_language"] if made is Kind.PARALLEL else ["prompt_language"] if made in CHATS else []
    problems = []
    for target, template in form.items():
        place = f"{where}.{target}"
        if target not in targets and not (target.startswith(PREFIXES) and target.partition(".")[2]):
            hint = "; turns before the answer go to 'prompt', as a list of {role: text}" if target == "messages" else ""
            problems.append(
                f"{where}: {made} rows have no '{target}'{hint or nearest(target, targets)}; there are "
                f"{', '.join([*targets, *(f'{prefix}NAME' for prefix in PREFIXES)])}"
            )
            continue
        for one in _variants(template):
            problems += _template_problems(place, target, one, known, prefixes)
    if missing := set(needed_by_kind(made)) - set(form) - carried(kind, made):
        problems.append(f"{where}: new {made} rows need {', '.join(sorted(missing))}")
    return problems


def _lines_problems(where: str, form: Mapping[str, PerLanguage[Any]], made: Kind) -> list[str]:
    problems = []
    if missing := [name for name in needed_by_kind(made) if name not in form]:
        problems.append(f"{where}: of several rows no text is carried over; set {', '.join(missing)} too")
    for target, template in form.items():
        if any(not isinstance(one, str | bool | float) for one in _variants(template)):
            problems.append(f"{where}.{target}: a list of turns is made of one row; write one text")
    return problems


def _template_problems(
    place: str, target: str, template: Any, known: Sequence[str], prefixes: tuple[str, ...]
) -> list[str]:
    turns = turns_of(template)
    problems = []
    if not isinstance(template, str | bool | float):
        roles = [role for role, _ in turns]
        if target != "prompt":
            return [f"{place}: only 'prompt' may be a list of turns"]
        if unknown := [role for role in roles if role not in ROLES]:
            return [f"{place}: unknown role '{unknown[0]}'{nearest(unknown[0], ROLES)}; there are {', '.join(ROLES)}"]
        if not roles or roles[-1] != "user" or "system" in roles[1:]:
            problems.append(f"{place}: turns end with the user's, and a system turn comes first")
    for _, text in turns:
        wrong = placeholder_problems(place, text, known, prefixes)
        literal = not wrong and all(name is None for _, name in parse(text, HOLE))
        problems += _literal_problems(place, target, text, known) if literal else wrong
    return problems


def placeholder_problems(place: str, text: str, known: Sequence[str], prefixes: Iterable[str]) -> list[str]:
    """What is wrong with the braces and placeholders of a template.

    Args:
        place: where it stands in the catalog, for the message.
        known: the placeholders that there are.
        prefixes: beginnings of placeholders whose names only the data tell.
    """
    prefixes = tuple(prefixes)
    try:
        pieces = parse(text, HOLE)
    except UnpairedBraceError as error:
        near = text[max(0, error.place - 20) : error.place + 21]
        return [f"{place}: a single '{error.brace}' near '{near}'; a brace is written twice, a placeholder {{name}}"]
    holes = [name.removesuffix("?") for _, name in pieces if name is not None]
    return [
        f"{place}: unknown placeholder '{{{hole}}}'{nearest(hole, known)}; there are {_listed(known, prefixes)}"
        for hole in holes
        if hole not in known and not hole.startswith(prefixes)
    ]


def _listed(known: Sequence[str], prefixes: Iterable[str]) -> str:
    """Names of placeholders in short: those of another row by their prefix only."""
    own = [name for name in known if "." not in name]
    beginnings = [f"{name.partition('.')[0]}.…" for name in [*prefixes, *known] if "." in name]
    return ", ".join(dict.fromkeys([*own, *beginnings]))


def _literal_problems(place: str, target: str, text: str, known: Sequence[str]) -> list[str]:
    if target in LANGUAGES:
        try:
            normalize(text)
        except InvalidLanguage as error:
            return [f"{place}: {error}"]
        return []
    if target == "label":
        return [] if text in ("true", "false") else [f"{place}: a label is true or false, not '{text}'"]
    if target.startswith("score."):
        return [] if number_of(text) is not None else [f"{place}: a score is a number, not '{text}'"]
    if not text.strip() and target != "system":
        return [f"{place}: the template is empty"]
    if text in known and not target.startswith(PREFIXES):
        return [f"{place}: '{text}' would be that very word; for the row's text write '{{{text}}}'"]
    return []

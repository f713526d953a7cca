"""A part's page is what the part says of itself: its docstring, its parameters with type, default and effect, its
scores and reasons.

Figures and examples stand on the hand-written pages; which of them tell of a part is found by looking where its
name stands.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import markup
import orjson
from markdown.extensions.toc import slugify
from pydantic import BaseModel, ValidationError

from curate.catalog.params import Mark, Params, Reference
from curate.errors import CurateError
from curate.rows import Kind
from curate.steps import DatasetStep, GlobalStep, Registry, RowStep, ScoreStep

TITLES = {"source": "Sources", "step": "Steps", "model": "Models", "output": "Outputs"}
_CONTRACTS: Mapping[type, str] = {
    ScoreStep: "scores each row by itself, and decides by its scores",
    GlobalStep: "decides over all rows at once",
    RowStep: "makes rows from rows",
    DatasetStep: "makes rows from all rows at once",
}
_SECTIONS = {"source": "sources", "model": "models"}
_FIGURES = "measurements/"
_OUTSIDE = ("export.md", "publish.md", "licenses.md")
_MEASURES = re.compile(r"^(#+) (.+)\n\n<!-- measures: (.+) -->$", re.M)
NOT_MEASURED = {
    "step/mix": "which rows it takes follows from its parameters, and tests hold it to them",
    "step/split": "which rows go where follows from its parameters, and tests hold it to them",
    "step/arrange": "the order follows from its parameters, and tests hold it to them",
    "step/align": "it keeps the aligner's links; figures are the aligner's",
    "step/compose": "what it writes follows from its templates, and tests hold it to them",
    "step/join": "which rows meet follows from its parameters, and tests hold it to them",
    "step/keep": "which rows stay follows from its conditions, and tests hold it to them",
    "step/negatives": "random ones follow from the seed; how hard the nearest are is up to the encoder",
    "step/retrieve": "which texts are nearest is up to the encoder",
    "step/corrupt": "what it changes follows from its parameters, and tests hold it to them",
    "step/pair": "which rows are paired follows from their scores, and tests hold it to that",
    "step/labels": "it carries over what people said",
    "step/converse": "what comes of it is the models'; only the checks are tested",
    "step/tool_use": "what comes of it is the models'; only the checks are tested",
    "step/instruct": "what comes of it is the model's; only the checks are tested",
    "step/revise": "what comes of it is the model's; only the checks are tested",
    "step/language_imbalance": "what it is worth shows in training, which was not done",
    "step/reward": "no reward model of real size could be had where this was made",
    "model/reward": "no reward model of real size could be had where this was made; tested with tiny ones",
    "model/recorded": "it gives what a file says, and tests hold it to that",
    "model/anthropic": "no server of its maker could be reached where this was made; tested with one on loopback",
    "model/gemini": "no server of its maker could be reached where this was made; tested with one on loopback",
    "model/seq2seq": "no real NLLB could be had where this was made; tested with tiny models of each family",
    "model/sentence-transformers": "LaBSE could not be had where this was made; tested with a tiny model",
    "model/simalign": "no multilingual network could be had where this was made; tested with a tiny one",
}
"""Steps and models without figures, and why: said on their pages."""
_HEADING = re.compile(r"^(#+) (.+)$", re.M)
_EFFECT = {Mark.RUNTIME: "changes no row", Mark.DECISION: "decides only"}


@cache
def registry() -> Registry:
    return Registry.installed()


@cache
def pages(what: str) -> list[PartPage]:
    """The pages of all installed parts of a sort, by name."""
    return [PartPage(what, name, registry().get(what, name)) for name in registry().names(what)]


# -------------------------------------------------------------------------------------------------------
# hand-written pages
class Guides:
    """The hand-written pages, searched for a part's name."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = {path: re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S) for path, text in texts.items()}

    def links(self, what: str, name: str) -> list[str]:
        """Where a part is told of, best first: the heading that names it, else the page, else nothing."""
        found = []
        for path, text in self.texts.items():
            if (what == "output") != (path in _OUTSIDE) or path.startswith(_FIGURES):
                continue
            mentions = len(re.findall(rf"`{re.escape(name)}`|`use: {re.escape(name)}`", text))
            headings = [(len(level), title) for level, title in _HEADING.findall(text) if f"`{name}`" in title]
            best = min(headings, default=None)
            # A page with the part in its title is about it; the first paragraph says what a page is about as well, but
            # that of a how-to, which is about a job.
            opening = f"`{name}`" in " ".join(text.split("\n\n")[:2]) and not path.startswith("howto-")
            weight = mentions + (30 if best and best[0] == 1 else 15 if best else 0) + 20 * opening
            if mentions:
                anchor = f"#{_slug(best[1])}" if best and best[0] > 1 else ""
                found.append((-weight, path, anchor, self._title(path)))
        return [f"[{title}](../../{path}{anchor})" for _, path, anchor, title in sorted(found)[:4]]

    def measured(self, what: str, name: str) -> list[str]:
        """The sections with figures about a part: those that say so by a comment below their heading."""
        found = []
        for path, text in self.texts.items():
            for level, title, parts in _MEASURES.findall(text):
                if {f"{what}/{name}", f"{what}/*"} & set(parts.split(", ")):
                    section = "" if level == "#" else f": {markup.inline(title)}"
                    found.append(f"[{self._title(path)}{section}](../../{path}#{_slug(title)})")
        return found

    def _title(self, path: str) -> str:
        first = _HEADING.search(self.texts[path])
        return path if first is None else markup.inline(first[2])


def _slug(title: str) -> str:
    """The anchor that mkdocs gives to a heading."""
    return str(slugify(re.sub(r"[`*]|\[(.*?)\]\(.*?\)", r"\1", title), "-"))


# -------------------------------------------------------------------------------------------------------------------- pages  # noqa: E501
@dataclass(frozen=True)
class PartPage:
    """The page of a source, step, model or output."""

    what: str
    name: str
    part: Any

    @property
    def path(self) -> str:
        return f"reference/{self.what}/{self.name}.md"

    @property
    def summary(self) -> str:
        return markup.inline(str(self.part.summary or markup.first_sentence(self.part)))

    def text(self, guides: Guides) -> str:
        links = guides.links(self.what, self.name)
        measured = guides.measured(self.what, self.name)
        return "\n\n".join(
            part
            for part in [
                f"---\ntitle: {self.name}\n---\n\n# {self.what.capitalize()} `{self.name}`",
                markup.prose(inspect.getdoc(self.part) or self.part.summary),
                "\n".join(f"* {line}" for line in self._facts(links, measured)),
                self._example(),
                *self._findings(),
                "## Parameters",
                *_parameters(self.part, "###"),
                *self._nested(),
            ]
            if part
        )

    def _facts(self, links: list[str], measured: list[str]) -> Iterator[str]:
        for contract, about in _CONTRACTS.items():
            if issubclass(self.part, contract):
                yield f"A step that {about}."
        if self.what in ("step", "output"):
            yield f"Rows: {', '.join(f'`{kind}`' for kind in Kind if kind in self.part.kinds)}"
        if links:
            yield f"Told of in {', '.join(links)}."
        if measured:
            yield f"Measured: {', '.join(measured)}."
        elif reason := NOT_MEASURED.get(f"{self.what}/{self.name}"):
            yield f"Not measured: {reason}."
        module = self.part.__module__
        yield (
            f"Version {self.part.version}, `{module}.{self.part.__qualname__}`; the same in a terminal: "
            f"`curate components {self.name}`."
        )

    def _example(self) -> str:
        """How a catalog names it, with what has to be said."""
        needed = [name for name, field in _fields(self.part) if field.is_required()]
        inner = ", ".join(f"{name}: …" for name in needed)
        if self.what in _SECTIONS:
            return (
                f"```yaml\n{_SECTIONS[self.what]}:\n  name: {{use: "
                f"{', '.join([self.name, *([inner] if inner else [])])}}}\n```"
            )
        where = f"{self.what}s"
        return f"```yaml\n{where}:\n  - {self.name}{f': {{{inner}}}' if inner else ''}\n```"

    def _findings(self) -> Iterator[str]:
        """The scores, attributes and reasons that it gives with the least that has to be said."""
        if self.what != "step" or not issubclass(self.part, (ScoreStep, GlobalStep)):
            return
        step = simplest(self.part)
        if step is None:
            return
        columns: dict[str, str] = {}
        reasons: dict[str, None] = {}
        for kind in sorted(self.part.kinds):
            try:
                if step.check(kind):
                    continue
                columns |= {
                    name: "number" if str(dtype) == "double" else "text" for name, dtype in step.columns(kind).items()
                }
                if isinstance(step, ScoreStep):
                    reasons |= dict.fromkeys(step.drop_rules(kind))
            except (CurateError, KeyError):  # this kind needs parameters that have no default
                continue
        if columns:
            yield "## Scores and attributes"
            yield "With all parameters at their defaults:"
            yield "\n".join(
                [
                    "| name | what |",
                    "|---|---|",
                    *(
                        f"| `{_shown_as(self.name, name)}` | {'score' if sort == 'number' else 'attribute'} |"
                        for name, sort in columns.items()
                    ),
                ]
            )
        if reasons:
            yield (
                f"Reasons for which rows are dropped: {', '.join(f'*{markup.inline(reason)}*' for reason in reasons)}."
            )

    def _nested(self) -> Iterator[str]:
        seen: dict[type[BaseModel], None] = {}
        _find_models(self.part, seen)
        for model in seen:
            yield f"## {model.__name__}"
            yield markup.prose(inspect.getdoc(model) or "")
            yield from _parameters(model, "###", model.__name__.lower() + "-")


def _shown_as(step: str, column: str) -> str:
    return step if column == "score" else f"{step}.{column}"


def _fields(part: type[BaseModel]) -> Iterator[tuple[str, Any]]:
    for name, field in part.model_fields.items():
        yield field.alias or name, field


def _parameters(part: type[BaseModel], level: str, prefix: str = "") -> Iterator[str]:
    schema = part.model_json_schema(by_alias=True)
    definitions = schema.get("$defs", {})
    # What has to be said comes first, then thresholds and the rest in their own order, then what changes no row.
    order = sorted(_fields(part), key=lambda item: (not item[1].is_required(), Mark.RUNTIME in item[1].metadata))
    if not order:
        yield "None."
    for name, field in order:
        about = schema.get("properties", {}).get(name, {})
        default = (
            "**required**"
            if field.is_required()
            else f"default {markup.code(orjson.dumps(about.get('default')).decode())}"
        )
        effect = next((_EFFECT[mark] for mark in field.metadata if isinstance(mark, Mark)), "changes rows")
        names = [
            f"names a {reference.value}"
            for reference in Reference
            if issubclass(part, Params) and name in part.references(reference)
        ]
        told = " · ".join([markup.type_of(about, definitions), *names, default, effect])
        yield f"{level} `{name}` {{ #{prefix}{slugify(name, '-')} }}"
        yield f"{told}\n{{ .parameter }}"
        yield markup.prose(field.description or "")


def _find_models(annotated: type[BaseModel], seen: dict[type[BaseModel], None]) -> None:
    def visit(annotation: Any) -> None:
        if inspect.isclass(annotation) and issubclass(annotation, BaseModel) and annotation not in seen:
            seen[annotation] = None
            _find_models(annotation, seen)
        for inner in getattr(annotation, "__args__", ()):
            visit(inner)

    for field in annotated.model_fields.values():
        visit(field.annotation)


def simplest(part: type[Any]) -> Any:
    """The part with nothing said but what has to be; None where no value could be guessed from the schema."""
    schema = part.model_json_schema(by_alias=True)
    needed = {
        name: _any_value(schema["properties"][name], schema.get("$defs", {})) for name in schema.get("required", [])
    }
    try:
        return part(**needed)
    except (ValidationError, CurateError):
        return None


def _any_value(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    if "$ref" in schema:
        return _any_value(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
    for alternatives in ("anyOf", "oneOf"):
        if alternatives in schema:
            return _any_value(schema[alternatives][0], definitions)
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    match schema.get("type"):
        case "array":
            return [_any_value(schema.get("items", {}), definitions)]
        case "object":
            properties = schema.get("properties", {})
            if not properties and isinstance(schema.get("additionalProperties"), dict):
                return {"a": _any_value(schema["additionalProperties"], definitions)}
            return {name: _any_value(properties[name], definitions) for name in schema.get("required", [])}
        case "boolean":
            return True
        case "integer" | "number":
            return schema.get("minimum", 1)
    return "en"


# -------------------------------------------------------------------------------------------------------------------- index  # noqa: E501
def index() -> str:
    """One table for each sort of parts."""
    lines = [
        "---\ntitle: All parts\n---\n",
        "# Reference",
        "",
        "Everything that is installed with curate, as `curate components` lists it; plug-ins add to it.",
    ]
    lines += [
        "",
        "Of every parameter it is said what it may change: *changes rows* (another value is another result, and computed anew), *decides only* (a threshold; "  # noqa: E501
        "nothing is scored again), *changes no row* (addresses, batch sizes, and paths: a file counts by its content).",
    ]
    for what, title in TITLES.items():
        lines += ["", f"## {title}", "", "| name | what |", "|---|---|"]
        lines += [
            f"| [`{page.name}`]({what}/{page.name}.md) | {page.summary.replace('|', '&#124;')} |"
            for page in pages(what)
        ]
    return "\n".join(lines) + "\n"

"""Valid parameters of every installed source, step, model and output, generated from their JSON Schemas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import hypothesis.strategies as st
from pydantic import ValidationError

from curate.catalog.params import Params
from curate.steps import Registry

GROUPS = ("source", "step", "model", "output")
_SOURCE = {"license": "CC0-1.0", "language": "sw", "path": "data/rows.jsonl"}
_SIDES = {"license": "CC0-1.0", "source_language": "en", "target_language": "sw", "path": "data/pairs.tmx"}
MINIMAL: Mapping[tuple[str, str], Mapping[str, Any]] = {
    **{("source", name): _SOURCE for name in ("csv", "json", "jsonl", "parquet", "tsv")},
    **{("source", name): _SIDES for name in ("dictd", "dictionary", "parallel-tsv", "tmx")},
    ("source", "hub"): {"license": "CC0-1.0", "language": "sw", "dataset": "owner/name"},
    ("source", "moses"): {**_SIDES, "path": "data/corpus.en-sw"},
    ("step", "code_switch"): {"to": ["hi"], "table": "words"},
    ("step", "compose"): {"into": {"prompt": "Say it again: {prompt}"}},
    ("step", "contamination"): {"against": ["xquad"]},
    ("step", "converse"): {"assistant": "writer", "user": "person"},
    ("step", "corrupt"): {"drop": 0.1},
    ("step", "instruct"): {"model": "writer", "total": 10},
    ("step", "judge"): {"model": "writer", "method": "direct"},
    ("step", "join"): {"into": {"response": "{other.response}"}},
    ("step", "keep"): {"language": ["sw"]},
    ("step", "labels"): {"files": ["labels.jsonl"]},
    ("step", "respond"): {"model": "writer"},
    ("step", "retrieve"): {"pool": "pool"},
    ("step", "revise"): {"model": "writer", "by": "none"},
    ("step", "reward"): {"model": "scorer"},
    ("step", "rewrite"): {"model": "writer", "prompt": "Say it again: {prompt}"},
    ("step", "split"): {"shares": {"train": 0.9, "test": 0.1}},
    ("step", "tool_use"): {"assistant": "writer"},
    ("step", "translate"): {"to": ["sw"], "model": "writer"},
    ("model", "anthropic"): {"model": "m"},
    ("model", "gemini"): {"model": "m"},
    ("model", "openai"): {"url": "http://127.0.0.1:1/v1", "model": "m"},
    ("model", "recorded"): {"path": "answers.jsonl", "model": "m"},
    ("model", "reward"): {"model": "owner/name"},
    ("model", "route"): {"through": ["neural"]},
    ("model", "seq2seq"): {"model": "facebook/nllb-200-distilled-600M"},
    ("model", "simalign"): {"model": "owner/name"},
    ("model", "vllm"): {"model": "owner/name"},
}
"""What a part cannot do without."""
TOGETHER: Mapping[tuple[str, str], tuple[Mapping[str, Any], ...]] = {
    ("step", "revise"): (
        {"mode": "inject", "errors": ["number", "drop"], "model": None, "by": None},
        {"mode": "contrast", "critics": ["a", "b"]},
    ),
    ("step", "self_consistency"): ({"answer": "json", "field": "result"},),
    ("step", "duplicates"): ({"method": "cross_lingual", "model": "encoder", "pairs": {"en/zh": 0.9}},),
    ("step", "join"): ({"pairs": {"en/sw": 2, "de/en": 1}},),
    ("step", "judge"): ({"samples": 3, "sampling": {"temperature": 1.0}},),
    ("step", "mine"): ({"source_language": "de"},),
    ("step", "rewrite"): ({"n": 2, "sampling": {"temperature": 1.0}},),
    ("step", "respond"): ({"n": 2, "sampling": {"temperature": 1.0}},),
    ("model", "llamacpp"): ({"path": "my.gguf"},),
    **{
        ("source", name): ({"sample": 10, "seed": 3},) for name in ("dictd", "dictionary", "hub", "parallel-tsv", "tmx")
    },
    **{
        ("source", name): (
            {"sample": 10, "seed": 3},
            {"kind": "sft", "columns": {"prompt": "{question}", "response": "'yes'"}},
        )
        for name in ("csv", "json", "jsonl", "parquet", "tsv")
    },
    ("source", "moses"): (
        {"path": None, "source_path": "a.en", "target_path": "a.sw"},
        {"sample": 10, "seed": 3},
    ),
}
"""Parameters that go with one another only, to begin with in place of the minimal ones."""
_TEXTS: Mapping[str, tuple[str, ...]] = {
    "BCP-47": ("sw", "hi-Latn", "zh-Hant", "pt-BR"),
    "": (
        "a",
        "train",
        "{column}",
        "1GB",
        "data/a.txt",
        "x-y",
        "नमस्ते",
        "مرحبا",
        "sw",
        "en-sw",
        "[0-9]+",
        "rows",
        "http://127.0.0.1:2",
    ),
}


def parts(registry: Registry) -> Iterator[tuple[str, str, type[Params]]]:
    """Group, name and class of everything that is installed."""
    for group in GROUPS:
        for name in registry.names(group):
            yield group, name, registry.get(group, name)


@cache
def schema_of(part: type[Params]) -> Mapping[str, Any]:
    return part.model_json_schema(by_alias=True)


@cache
def parameters(group: str, name: str, part: type[Params]) -> st.SearchStrategy[dict[str, Any]]:
    """Raw parameters of a part, as a catalog gives them: valid, with more or less of what it can do without."""
    schema = schema_of(part)
    fields = {field: values(inner, schema.get("$defs", {})) for field, inner in schema["properties"].items()}
    starts = st.sampled_from([MINIMAL.get((group, name), {}), *TOGETHER.get((group, name), ())])

    @st.composite
    def given(draw: st.DrawFn) -> dict[str, Any]:
        base = {**MINIMAL.get((group, name), {}), **draw(starts)}
        base = {key: value for key, value in base.items() if value is not None}
        for field in draw(st.permutations(sorted(fields)))[: draw(st.integers(0, len(fields)))]:
            more = {**base, field: draw(fields[field])}
            if is_valid(part, more):
                base = more
        return base

    return given()


def is_valid(part: type[Params], given: Mapping[str, Any]) -> bool:
    """Whether a part takes these parameters."""
    try:
        part.model_validate(given)
    except ValidationError:
        return False
    return True


def values(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a JSON Schema of pydantic's allows (so far as the schema says it)."""
    if "$ref" in schema:
        return values(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema or "oneOf" in schema:
        return st.one_of([values(one, definitions) for one in schema.get("anyOf") or schema["oneOf"]])
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            low = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
            high = schema.get("maximum", schema.get("exclusiveMaximum", low + 1001) - 1)
            return st.integers(low, high)
        case "number":
            low = float(schema.get("minimum", schema.get("exclusiveMinimum", 0)))
            high = float(schema.get("maximum", schema.get("exclusiveMaximum", low + 10)))
            return st.floats(
                low, high, exclude_min="exclusiveMinimum" in schema, exclude_max="exclusiveMaximum" in schema
            )
        case "array":
            if "prefixItems" in schema:
                return st.tuples(*(values(one, definitions) for one in schema["prefixItems"])).map(list)
            least = schema.get("minItems", 0)
            items = values(schema.get("items", {}), definitions)
            return st.lists(items, min_size=least, max_size=max(least, 2), unique_by=repr)
        case "object":
            return _objects(schema, definitions)
        case "string":
            return _strings(schema)
    return st.one_of(st.booleans(), st.integers(0, 9), st.sampled_from(_TEXTS[""]))


def _objects(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    if "properties" in schema:
        fields = {name: values(one, definitions) for name, one in schema["properties"].items()}
        needed = sorted(schema.get("required", ()))
        return st.fixed_dictionaries(
            {name: fields[name] for name in needed},
            optional={name: one for name, one in fields.items() if name not in needed},
        )
    if "patternProperties" in schema:
        [(_, inner)] = schema["patternProperties"].items()
        return st.dictionaries(st.sampled_from(["a", "b", "train"]), values(inner, definitions), min_size=1, max_size=2)
    inner = schema.get("additionalProperties", True)
    names = _strings(schema.get("propertyNames", {}))
    if "propertyNames" not in schema and schema.get("minProperties"):  # one value for each language
        names = st.sampled_from([*_TEXTS["BCP-47"], "default"])
    held = values(inner if isinstance(inner, Mapping) else {}, definitions)
    return st.dictionaries(names, held, min_size=schema.get("minProperties", 0), max_size=2)


def _strings(schema: Mapping[str, Any]) -> st.SearchStrategy[str]:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "examples" in schema:
        return st.sampled_from(schema["examples"])
    if schema.get("maxLength") == 1:
        return st.sampled_from([",", ";", "|", "\t", '"'])
    # A tag of a language is the only text of at least two characters.
    known = _TEXTS["BCP-47"] if schema.get("minLength") == 2 else _TEXTS[""]
    return st.sampled_from(known)

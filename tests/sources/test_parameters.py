from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from curate.catalog.params import Mark, Reference
from curate.steps import Registry, Source

TAGS = ("csv", "hub", "json", "jsonl", "moses", "parallel-tsv", "parquet", "tmx", "tsv")


@pytest.mark.parametrize("tag", TAGS)
def test_every_source_is_announced_described_and_has_a_schema(tag: str) -> None:
    cls: Any = Registry.installed().get("source", tag)
    assert issubclass(cls, Source) and cls.tag == tag and cls.summary
    schema = cls.model_json_schema()
    Draft202012Validator.check_schema(schema)
    assert "license" in schema["required"]
    assert all(about.get("description") for about in schema["properties"].values())


@pytest.mark.parametrize("tag", TAGS)
def test_paths_and_addresses_change_no_identity_and_max_bad_is_a_decision(tag: str) -> None:
    cls: Any = Registry.installed().get("source", tag)
    runtime = cls.marked(Mark.RUNTIME)
    assert runtime >= {
        name for name in cls.model_fields if name.endswith("path") or name in ("dataset", "token_env", "streaming")
    }
    assert cls.marked(Mark.DECISION) == {"max_error_rate"}
    assert cls.references(Reference.SOURCE) == ("translation_of",)


def test_a_source_survives_the_way_to_another_process() -> None:
    from sources.files import Csv

    source = Csv(
        path=["a.csv"],
        language="{l}",
        license="mit",
        kind="sft",
        columns={"prompt": "p", "response": "r"},
        only={"x": [1, None, True]},
        attributes=["b"],
        scores={"s": "{m.s?}"},
        header=["p", "r"],
    )
    assert Csv.model_validate(source.model_dump(mode="json", by_alias=True)) == source

"""The real files beside the checkout, each with what is known of it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curate.rows import Kind
from sources.files import JsonArray, JsonLines, Parquet, Tsv
from sources.parallel import Moses, ParallelTsv, Tmx

DATA = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not DATA.is_dir(), reason="no development data beside the checkout"),
]
Read = Callable[..., Any]
ONE = {"license": "unknown", "language": "und"}

DETECTED: list[tuple[Any, str, Kind, int]] = [
    (JsonArray, "alpaca/alpaca_data_cleaned_en_head.json.gz", Kind.SFT, 5_000),
    (JsonLines, "alpaca/alpaca_de_openai_12k.jsonl.gz", Kind.SFT, 12_000),
    (JsonArray, "sft/identity.json", Kind.SFT, 91),
    (JsonLines, "sft/oasst_20230412_fr_top1.jsonl.gz", Kind.SFT, 256),
    (JsonArray, "preference/dpo_en_demo.json.gz", Kind.PREFERENCE, 300),
    (JsonArray, "preference/dpo_zh_demo.json.gz", Kind.PREFERENCE, 300),
    (JsonArray, "preference/kto_en_demo.json.gz", Kind.UNPAIRED, 300),
    (JsonLines, "preference/v1_dpo_demo.jsonl", Kind.PREFERENCE, 10),
]


@pytest.mark.parametrize(("cls", "file", "kind", "count"), DETECTED, ids=[case[1] for case in DETECTED])
def test_a_real_file_is_known_by_its_form(read: Read, cls: Any, file: str, kind: Kind, count: int) -> None:
    source = cls(path=str(DATA / file), **ONE)
    out = read(source)
    assert (source.makes, len(out.rows), out.bad) == (kind, count, [])


def test_a_real_file_with_tools_is_kept_call_for_call(read: Read) -> None:
    for language in ("en", "zh"):
        path = DATA / f"sft/glaive_toolcall_{language}_demo.json.gz"
        rows = json.loads(gzip.decompress(path.read_bytes()))
        out = read(JsonArray(path=str(path), **ONE))
        assert (len(out.rows), out.bad) == (300, [])
        for row, made in zip(rows, out.rows, strict=True):
            described = [tool["function"] for tool in json.loads(made.get("tools", "[]"))]
            assert described == (json.loads(row["tools"]) if row["tools"] else [])
            for turn, message in zip(row["conversations"], made["messages"], strict=True):
                if turn["from"] == "function_call":
                    (call,) = message["tool_calls"]
                    said = {**call["function"], "arguments": json.loads(call["function"]["arguments"])}
                    assert said == json.loads(turn["value"]) and message["content"] == ""
                else:
                    assert message["content"] == turn["value"].strip()


def test_the_chinese_alpaca_joins_the_german_one_by_key(read: Read) -> None:
    chinese = Parquet(
        path=str(DATA / "alpaca/alpaca_en_zh_scored_00000_29999.parquet"),
        language="zh",
        license="unknown",
        key="{alpaca_id}",
        group="alpaca",
        columns={"prompt": "{zh_instruction}\n\n{zh_input}", "response": "{zh_output}"},
        scores={"grade": "{metadata.score}"},
        limit=29_000,
    )
    german = JsonLines(
        path=str(DATA / "alpaca/alpaca_de_deepl_4k.jsonl.gz"),
        language="de",
        license="unknown",
        key="alpaca_id",
        group="alpaca",
    )
    zh, de = read(chinese).rows, read(german).rows
    assert len(zh) == 29_000 and {score["value"] for row in zh for score in row["scores"]} == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert sum(row["group_id"] == "" for row in de) == 5
    joined = {row["group_id"] for row in zh} & {row["group_id"] for row in de}
    assert len(joined) > 1_500


def test_real_pairs_are_read(read: Read) -> None:
    thai = Moses(
        path=str(DATA / "parallel/tatoeba/tatoeba.tha-eng"),
        source_language="en",
        target_language="th",
        license="cc-by-2.0",
    )
    hindi = Tmx(
        path=str(DATA / "parallel/tico19/all.en-hi.tmx.gz"),
        source_language="en",
        target_language="hi",
        license="cc0-1.0",
        key="{tuid}",
    )
    graded = ParallelTsv(
        path=str(DATA / "parallel/mlqe_pe_da/dev.enzh.df.short.tsv.gz"),
        source_language="en",
        target_language="zh",
        license="cc0-1.0",
        header=True,
        source="original",
        target="translation",
        scores={"mean": "mean"},
    )
    assert [len(read(source).rows) for source in (thai, hindi, graded)] == [548, 3_071, 1_000]


def test_real_tsv_without_a_header_is_read_in_all_languages(read: Read) -> None:
    source = Tsv(
        path=str(DATA / "bench/mgsm/mgsm_*.tsv"), header=["question", "answer"], key="{@line}", group="mgsm", **ONE
    )
    out = read(source)
    assert len(source.units()) == 11 and len(out.rows) == 2_750 and not out.bad
    assert len({row["group_id"] for row in out.rows}) == 250

"""Finished versions made by hand: rows of a kind by split, in a folder with a manifest, as a build leaves them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.catalog import Mark, StepUse
from curate.rows import Kind, schema, with_ids
from curate.steps import Registry
from curate.steps.outputs import Version
from outputs.export import Exported, export

LINEAGE = {"source": "letters", "source_id": "letters.jsonl:1", "license": "CC0-1.0", "parents": [], "makers": []}


def turns(*spoken: str) -> list[dict[str, str]]:
    """``turns("user: hello", "assistant: hi")``"""
    return [dict(zip(("role", "content"), each.split(": ", 1), strict=True)) for each in spoken]


def table_of(kind: Kind, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    full = []
    for number, row in enumerate(rows, 1):
        lineage = {**LINEAGE, "source_id": f"letters.jsonl:{number}", **row.get("lineage", {})}
        full.append(
            {
                "language": "en",
                "group_id": f"letters:{number}",
                "scores": [],
                "attributes": [],
                **row,
                "lineage": lineage,
            }
        )
    target = pa.schema([field for field in schema(kind) if field.name != "id"])
    return with_ids(kind, pa.Table.from_pylist(full, schema=target)).select(schema(kind).names)


@pytest.fixture
def version(tmp_path: Path) -> Callable[..., Version]:
    """``version(Kind.SFT, train=[...], test=[...])``; several files for a split with ``files_of``."""

    def make(kind: Kind, *, files_of: int = 0, name: str = "letters", **splits: Sequence[Mapping[str, Any]]) -> Version:
        folder = tmp_path / "store" / name
        (folder / "data").mkdir(parents=True)
        told: dict[str, Any] = {}
        languages: Counter[str] = Counter()
        for split, rows in splits.items():
            table = table_of(kind, rows)
            languages.update(table["language"].to_pylist())
            size = files_of or max(table.num_rows, 1)
            parts = [table.slice(at, size) for at in range(0, table.num_rows, size)] or [table]
            paths = []
            for number, part in enumerate(parts):
                paths.append(f"data/{split}-{number:05d}.parquet")
                pq.write_table(part, folder / paths[-1])
            told[split] = {"rows": table.num_rows, "languages": {}, "files": paths}
        manifest = {
            "kind": kind.value,
            "rows": sum(each["rows"] for each in told.values()),
            "splits": told,
            "languages": dict(languages),
            "licenses": {"CC0-1.0": sum(languages.values())},
        }
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return Version(name, "0123456789abcdef0123", folder, manifest)

    return make


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Exported]:
    """``written(version, "trl", trainer="dpo")``: exports, and returns what was written."""
    number = iter(range(100))

    def make(version: Version, output: str, **params: Any) -> Exported:
        use = StepUse(output, output, Registry.installed().get("output", output)(**params), Mark("test", 1))
        [found] = export(version, [use], tmp_path / f"exports-{next(number)}")
        return found

    return make


def data_of(found: Exported, split: str = "train") -> list[dict[str, Any]]:
    """The rows of a split as they stand in its files."""
    folder = found.folder / "data"
    files = sorted((folder / split).iterdir()) if (folder / split).is_dir() else sorted(folder.glob(f"{split}.*"))
    rows: list[dict[str, Any]] = []
    for file in files:
        if file.suffix == ".parquet":
            rows += pq.read_table(file).to_pylist()
        elif file.suffix == ".json":
            rows += json.loads(file.read_text(encoding="utf-8"))
        else:
            rows += [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
    return rows


# One conversation in five languages and scripts, of our own making.
ASKED = {
    "ar": ("أنت مساعد مهذب.", "ما عاصمة المغرب؟", "عاصمة المغرب هي الرباط.", "لا أدري."),
    "th": ("คุณเป็นผู้ช่วยที่สุภาพ", "เมืองหลวงของไทยคืออะไร", "กรุงเทพมหานครคือเมืองหลวงของไทย", "ไม่ทราบ"),
    "zh": ("你是一位有礼貌的助手。", "中国的首都是哪里？", "中国的首都是北京。", "我不知道。"),
    "hi": ("आप एक विनम्र सहायक हैं।", "भारत की राजधानी क्या है?", "भारत की राजधानी नई दिल्ली है।", "मुझे नहीं पता।"),
    "en": ("You are a polite assistant.", "What is the capital of Kenya?", "Nairobi is the capital of Kenya.",
    "I do not know."),
}  # fmt: skip
# What has gone wrong somewhere: marks that look alike, joiners, line ends of all kinds, what looks like another type.
HOSTILE = ("a\u2028b\u2029c\u0085d", "nul \x00 inside", "crlf\r\nand\rcr", "\u200f\u202bעברית\u202c\u200e",
           "न\u200dि\u200c", "👩🏽‍🚀 ｆｕｌｌ", "  blanks at both ends  ",
           "\ufefffirst", '{"a": 1}', "[1, 2]", "null", "NaN", "1e5", "true", "2024-01-01",
           "<image> {prompt} {{x}} {% if %}", "\\u0041\\n", "\t\x0b\x0c\x1f", "\U0010ffff é e\u0301")  # fmt: skip


def sft_rows(system: bool = True) -> list[dict[str, Any]]:
    return [
        {
            "language": tag,
            "messages": [
                *([{"role": "system", "content": one[0]}] if system else []),
                {"role": "user", "content": one[1]},
                {"role": "assistant", "content": one[2]},
            ],
        }
        for tag, one in ASKED.items()
    ]


def preference_rows(system: bool = True) -> list[dict[str, Any]]:
    return [
        {
            "language": row["language"],
            "prompt": row["messages"][:-1],
            "chosen": row["messages"][-1:],
            "rejected": [{"role": "assistant", "content": ASKED[row["language"]][3]}],
        }
        for row in sft_rows(system)
    ]


def unpaired_rows(system: bool = True) -> list[dict[str, Any]]:
    return [
        {
            "language": row["language"],
            "prompt": row["prompt"],
            "completion": row["chosen" if good else "rejected"],
            "label": good,
        }
        for row in preference_rows(system)
        for good in (True, False)
    ]

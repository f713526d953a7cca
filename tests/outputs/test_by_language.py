"""``export --by language``: an export of each language, with one pass over the version's files."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

import curate
from curate.errors import ExportError
from curate.steps import outputs

SAID = {"sw": "Habari ya leo?", "ar": "كيف حالك؟", "hi": "आप कैसे हैं?", "th": "สบายดีไหม", "zh-Hant": "你好嗎？"}


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    lines = [
        json.dumps({"prompt": f"{text} {number}", "response": f"{number} {text}", "to": tag}, ensure_ascii=False)
        for number in range(12)
        for tag, text in SAID.items()
        if number < 12 - len(tag)
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    (tmp_path / "catalog.yaml").write_text(
        "version: 1\nsources:\n  said: {use: jsonl, path: rows.jsonl, language: '{to}', license: CC0-1.0}\n"
        "datasets:\n  made: {from: said, outputs: [trl, openai], splits: {train: 0.7, test: 0.3}}\n"
    )
    curate.build(curate.load_catalog(tmp_path / "catalog.yaml"))
    return tmp_path / "catalog.yaml"


def told(folder: Path) -> list[str]:
    return [
        turns[0]["content"]
        for split in ("train", "test")
        for file in sorted((folder / "data").glob(f"{split}*.parquet"))
        for turns in pl.read_parquet(file)["messages"].to_list()
    ]


def test_each_language_has_its_rows_in_order_and_every_file_is_read_once(catalog, tmp_path, monkeypatch):
    opened: Counter[Path] = Counter()
    real = outputs.pq.ParquetFile

    def counting(path, *more, **given):
        opened[Path(path)] += 1
        return real(path, *more, **given)

    monkeypatch.setattr(outputs.pq, "ParquetFile", counting)
    made = curate.export("made", to=tmp_path / "out", by="language", catalog=catalog)
    store = tmp_path / ".curate"
    ours = {path: count for path, count in opened.items() if store in path.parents}
    assert set(ours.values()) == {1} and len(ours) == 2
    assert not list((tmp_path / "out" / "made").glob(".tmp*"))
    (whole,) = curate.export("made", "trl", to=tmp_path / "whole", catalog=catalog)
    counts = dict(curate.query("SELECT language, count(*) FROM made GROUP BY ALL", store=store).rows())
    for tag, text in SAID.items():
        folder = tmp_path / "out" / "made" / tag
        assert told(folder / "trl") == [one for one in told(whole.folder) if one.startswith(text)]
        account = json.loads((folder / "openai" / "export.json").read_text())
        assert account["rows_in"] == sum(account["rows"].values()) == counts[tag] == 12 - len(tag)
    assert len(made) == 10


def test_what_is_in_the_way_stops_one_language_only(catalog, tmp_path):
    (tmp_path / "out" / "made" / "hi" / "trl").mkdir(parents=True)
    with pytest.raises(ExportError, match=r"^hi: .*hi/trl already exists and is not an export$"):
        curate.export("made", "trl", to=tmp_path / "out", by="language", catalog=catalog)
    written = sorted(path.parent.name for path in (tmp_path / "out" / "made").glob("*/trl"))
    assert written == sorted(SAID) and not list((tmp_path / "out" / "made" / "hi" / "trl").iterdir())

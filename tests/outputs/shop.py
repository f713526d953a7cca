"""A small store with versions in several scripts and under several licences, built by the real engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

import curate
from curate.engine.store.store import Store

SAID = {
    "ar": [
        ("ما لون السماء؟", "لون السماء أزرق في النهار."),
        ("أين يعيش السمك؟", "يعيش السمك في الماء."),
        ("كم يوما في الأسبوع؟", "في الأسبوع سبعة أيام."),
    ],
    "th": [
        ("ท้องฟ้าสีอะไร", "ตอนกลางวันท้องฟ้าเป็นสีฟ้า"),
        ("ปลาอาศัยอยู่ที่ไหน", "ปลาอาศัยอยู่ในน้ำ"),
        ("หนึ่งสัปดาห์มีกี่วัน", "หนึ่งสัปดาห์มีเจ็ดวัน"),
    ],
    "zh": [
        ("天空是什么颜色？", "白天的天空是蓝色的。"),
        ("鱼住在哪里？", "鱼住在水里。"),
        ("一个星期有几天？", "一个星期有七天。"),
    ],
    "en": [
        ("What colour is the sky?", "By day the sky is blue."),
        ("Where do fish live?", "Fish live in water."),
        ("How many days has a week?", "A week has seven days."),
    ],
}


class Shop:
    """A catalog in a folder: a source for each language, and datasets made of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.catalog: dict[str, Any] = {"version": 1, "sources": {}, "datasets": {}, "run": {"workers": 1}}

    def source(self, name: str, language: str, license: str = "CC0-1.0", *, times: int = 4, sort: str = "sft") -> None:
        """A source with ``3 × times`` rows in a language."""
        pairs = [
            (f"{ask} ({number})", f"{answer} {number}")
            for number in range(times)
            for ask, answer in SAID[language.partition("-")[0]]
        ]
        lines = [
            json.dumps({"item": place, "ask": ask, "answer": answer}, ensure_ascii=False)
            for place, (ask, answer) in enumerate(pairs)
        ]
        (self.folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        columns = (
            {"prompt": "{ask}", "response": "{answer}"} if sort == "sft" else {"source": "{ask}", "target": "{answer}"}
        )
        given = {
            "use": "jsonl",
            "path": f"{name}.jsonl",
            "kind": sort,
            "language": language,
            "license": license,
            "key": "{item}",
            "columns": columns,
        }
        self.catalog["sources"][name] = given if sort == "sft" else {**given, "source_language": "en"}

    def dataset(self, name: str, sources: list[str], steps: list[Any] | None = None, **more: Any) -> None:
        self.catalog["datasets"][name] = {"from": sources, "steps": steps or [{"shape": {"max_chars": 400}}], **more}

    def build(self, *names: str) -> Store:
        (self.folder / "catalog.yaml").write_text(
            yaml.safe_dump(self.catalog, sort_keys=False, allow_unicode=True), encoding="utf-8"
        )
        curate.build(self.folder / "catalog.yaml", *names)
        return self.store

    @property
    def store(self) -> Store:
        return Store(self.folder / ".curate")


def shop_of_scripts(folder: Path) -> Shop:
    """``talk``: Arabic, Thai and Chinese with two splits; ``plain``: English only; ``mixed``: licences that do not go
    together."""
    shop = Shop(folder)
    for language, name in (("ar", "arabic"), ("th", "thai"), ("zh", "chinese"), ("en", "english")):
        shop.source(name, language, times=5)
    shop.source("wiki", "en", "CC-BY-SA-3.0", times=2)
    shop.source("code", "zh", "GPL-3.0", times=1)
    shop.source("web", "th", "unknown", times=1)
    shop.dataset(
        "talk",
        ["arabic", "thai", "chinese"],
        splits={"train": 0.7, "test": 0.3},
        seed=3,
        description="Questions in <three> scripts | عربي, ไทย, 中文",
    )
    shop.dataset("plain", ["english"])
    shop.dataset("mixed", ["english", "wiki", "code", "web"])
    return shop


def shared_shop(base: Path) -> Shop:
    """The built shop of scripts, made once for all tests of a run."""
    if not (base / "shop-of-scripts").exists():
        shop_of_scripts(base / "shop-of-scripts").build()
    made = Shop(base / "shop-of-scripts")
    made.catalog = yaml.safe_load((made.folder / "catalog.yaml").read_text(encoding="utf-8"))
    return made

"""A store with a map: questions about the sea and about bread in six languages, of which the encoder knows five."""

from __future__ import annotations

import json
from pathlib import Path

from view_bench import CANARY

import curate
from curate.engine.store.store import Store

# Of our own making: about the sea, about bread.
SAID = {
    "en": (("How deep is the sea?", "The sea is eleven kilometres deep."),
           ("How is bread made?", "Bread is baked of flour and water.")),
    "de": (("Wie tief ist das Meer?", "Das Meer ist elf Kilometer tief."),
           ("Wie macht man Brot?", "Brot wird aus Mehl und Wasser gebacken.")),
    "ar": (("ما عمق البحر؟", "عمق البحر أحد عشر كيلومترا."), ("كيف يصنع الخبز؟", "يصنع الخبز من الدقيق والماء.")),
    "th": (("ทะเลลึกแค่ไหน", "ทะเลลึกสิบเอ็ดกิโลเมตร"), ("ขนมปังทำอย่างไร", "ขนมปังอบจากแป้งและน้ำ")),
    "zh": (("海有多深？", "海深十一公里。"), ("面包怎么做？", "面包用面粉和水烤成。")),
    "ur": (("سمندر کتنا گہرا ہے؟", "سمندر گیارہ کلومیٹر گہرا ہے۔"),
           ("روٹی کیسے بنتی ہے؟", "روٹی آٹے اور پانی سے بنتی ہے۔")),
}  # fmt: skip
CATALOG = """\
version: 1
run: {workers: 1}
sources:
  english: {use: jsonl, path: en.jsonl, kind: sft, language: en, license: CC0-1.0, key: "{item}",
            columns: {prompt: "{ask}", response: "{answer}"}}
  others: {use: jsonl, path: others.jsonl, kind: sft, language: "{lang}", license: CC0-1.0, key: "{item}",
           columns: {prompt: "{ask}", response: "{answer}"}, translation_of: english}
  alone: {use: jsonl, path: alone.jsonl, kind: sft, language: en, license: CC0-1.0,
          columns: {prompt: "{ask}", response: "{answer}"}}
  pairs: {use: jsonl, path: pairs.jsonl, kind: parallel, language: de, source_language: en, license: CC0-1.0,
          columns: {source: "{en}", target: "{de}"}}
  again: {use: jsonl, path: again.jsonl, kind: parallel, language: de, source_language: en, license: CC0-1.0,
          columns: {source: "{en}", target: "{de}"}}
datasets:
  talk: {from: [english, others], steps: [{similarity: {min: 0.3}}]}
  both: {from: [pairs], steps: [{similarity: {min: 0}}]}
  twice: {from: [pairs, again], steps: [{similarity: {min: 0}}, duplicates]}
  bare: {from: [alone], steps: [shape]}
"""
TIMES = 6


def make_store(folder: Path) -> Store:
    """``talk``: translations, one of them wrong and dropped; ``both``: pairs; ``bare``: no vectors."""
    rows: dict[str, list[dict[str, str]]] = {"en": [], "others": [], "pairs": []}
    rows["alone"] = [{"ask": "Where is the ferry?", "answer": "It is in the harbour until the evening."}]
    for language, said in SAID.items():
        for topic, (ask, answer) in enumerate(said):
            for n in range(TIMES):
                line = {"item": f"q{topic}-{n}", "lang": language, "ask": f"{ask} ({n})", "answer": f"{answer} {n}"}
                rows["en" if language == "en" else "others"].append(line)
    rows["en"].append({"item": "x", "lang": "en", "ask": CANARY, "answer": "\u202ebad bread"})
    rows["others"].append({"item": "x", "lang": "de", "ask": "Wie tief ist das Meer?", "answer": "Elf Kilometer tief."})
    for (en, _), (de, _) in zip(SAID["en"], SAID["de"], strict=True):
        rows["pairs"] += [{"en": f"{en} {n}", "de": f"{de} {n}"} for n in range(3)]
    rows["again"] = rows["pairs"] * 2
    for name, lines in rows.items():
        text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in lines)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    (folder / "catalog.yaml").write_text(CATALOG, encoding="utf-8")
    curate.build(folder / "catalog.yaml")
    return Store(folder / ".curate")

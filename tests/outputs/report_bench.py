"""A version with everything that a report shows, in many scripts and with hostile rows, built by the real engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

import curate
from curate.engine.store.integrity import seal
from curate.engine.store.store import Store

SCRIPT = '</script><script>document.title="owned"</script><img src=x onerror="document.title=\'owned\'">'
OVERRIDE = "\u202egnp.exe\u202c and \u2067left open"
SEPARATED = "one\u2028two\u2029three\u0007four\ufefffive"
QUOTED = "'\"`${1+1}` {{7*7}} <!-- --> ]]> &amp; &lt;b&gt;"
# Of our own making: a question and an answer in each language, and some with a twist.
SAID = {
    "ar": ("ما الذي يجعل البحر مالحا؟", "تحمل الأنهار الأملاح من الصخور إلى البحر، ثم يتبخر الماء ويبقى الملح."),
    "he": ("מדוע הים מלוח?", "נהרות נושאים מלחים מן הסלעים אל הים, המים מתאדים והמלח נשאר."),
    "ur": ("سمندر کا پانی کھارا کیوں ہوتا ہے؟", "دریا چٹانوں سے نمک بہا کر سمندر تک لاتے ہیں۔"),
    "fa": ("چرا آب دریا شور است؟", "رودها نمک سنگ‌ها را به دریا می‌برند و آب بخار می‌شود."),
    "th": ("ทำไมน้ำทะเลจึงเค็ม", "แม่น้ำพัดพาเกลือจากหินลงสู่ทะเล น้ำระเหยไปแต่เกลือยังอยู่"),
    "zh": ("海水为什么是咸的？", "河流把岩石里的盐带到海里，水蒸发了，盐却留了下来。"),
    "ja": ("海の水はなぜしょっぱいのですか。", "川が岩の塩分を海へ運び、水だけが蒸発するからです。"),
    "en": ("Why is the sea salty?", "Rivers carry salts from the rocks to the sea; the water leaves, the salt stays."),
}  # fmt: skip
EXAM = (
    "A ferry leaves the harbour at nine and meets the mail boat eleven miles out; how far has each of them "
    "come by then?"
)


def _lines() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for language, (ask, answer) in SAID.items():
        rows = [
            {"ask": f"{ask} ({number})", "answer": f"{answer} {chr(97 + number) * (number + 3)}"} for number in range(6)
        ]
        rows.append({"ask": f"{ask} (6)", "answer": answer * 30})  # too long
        found[language] = rows
    found["en"] += [{"ask": hostile, "answer": f"kept {hostile}"} for hostile in (SCRIPT, OVERRIDE, SEPARATED, QUOTED)]
    found["en"] += [{"ask": f"{SCRIPT} too long", "answer": (SCRIPT + OVERRIDE + SEPARATED) * 12}]
    found["en"] += [
        {
            "ask": "Describe the old lighthouse on the northern cliff in a few words, please.",
            "answer": f"It stands tall, white and alone above the grey water{end}",
        }
        for end in (".", "!", " .")
    ]
    found["en"] += [
        {
            "ask": f"Please help with this. {EXAM} Thanks a lot.",
            "answer": "It depends on how fast they are, which nobody said.",
        }
    ]
    return found


def make_store(folder: Path) -> Store:
    """``sea``: kept and dropped rows in eight languages, duplicates, a contaminated row, audits, spending and an
    estimate."""
    folder.mkdir(parents=True, exist_ok=True)
    sources: dict[str, Any] = {}
    for language, rows in _lines().items():
        lines = [
            json.dumps({"item": f"{language}{place}", **row}, ensure_ascii=False) for place, row in enumerate(rows)
        ]
        (folder / f"{language}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        sources[f"sea-{language}"] = {
            "use": "jsonl",
            "path": f"{language}.jsonl",
            "kind": "sft",
            "language": language,
            "license": "CC0-1.0",
            "key": "{item}",
            "columns": {"prompt": "{ask}", "response": "{answer}"},
        }
    (folder / "exam.jsonl").write_text(
        json.dumps({"item": "q1", "ask": EXAM, "answer": "unknown"}) + "\n", encoding="utf-8"
    )
    sources["exam"] = {**sources["sea-en"], "path": "exam.jsonl"}
    catalog = {
        "version": 1,
        "sources": sources,
        "run": {"workers": 1},
        "datasets": {
            "sea": {
                "from": [f"sea-{language}" for language in SAID],
                "description": f"Salt <b>water</b> {SCRIPT}",
                "steps": [
                    {"shape": {"max_chars": 600, "max_controls": 50, "max_loop": 100, "max_repetition": 1.0}},
                    {"duplicates": {"method": "minhash"}},
                    {"contamination": {"against": ["exam"], "model": None}},
                ],
                "splits": {"train": 0.8, "test": 0.2},
                "seed": 5,
            }
        },
    }
    (folder / "catalog.yaml").write_text(yaml.safe_dump(catalog, allow_unicode=True, sort_keys=False), encoding="utf-8")
    curate.build(folder / "catalog.yaml", "sea")
    store = Store(folder / ".curate")
    _told(store)
    return store


def make_kinds(folder: Path) -> Store:
    """``pairs``, ``texts`` and ``likes``: a version of each other kind; ``nothing``: one of which no row is left."""
    folder.mkdir(parents=True)
    given = {
        "pairs": [{"en": f"This is the same in English, {n}", "ar": f"هذا هو نفسه بالعربية، {n}"} for n in range(2)],
        "texts": [{"text": f"This is a running text about the tide, {n}"} for n in range(2)],
        "likes": [{"ask": f"Why? {n}", "good": "This is a better answer", "bad": "No"} for n in range(2)],
    }
    shapes = {
        "pairs": {
            "kind": "parallel",
            "language": "ar",
            "source_language": "en",
            "columns": {"source": "{en}", "target": "{ar}"},
        },
        "texts": {"kind": "document", "language": "en", "columns": {"text": "{text}"}},
        "likes": {
            "kind": "preference",
            "language": "en",
            "columns": {"prompt": "{ask}", "chosen": "{good}", "rejected": "{bad}"},
        },
    }
    for name, rows in given.items():
        (folder / f"{name}.jsonl").write_text(
            "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
        )
    catalog = {
        "version": 1,
        "run": {"workers": 1},
        "sources": {
            f"{name}-source": {"use": "jsonl", "path": f"{name}.jsonl", "license": "CC0-1.0", **shape}
            for name, shape in shapes.items()
        },
        "datasets": {
            **{name: {"from": [f"{name}-source"], "steps": [{"shape": {"max_chars": 500}}]} for name in given},
            "nothing": {"from": ["texts-source"], "steps": [{"shape": {"max_chars": 3}}]},
        },
    }
    (folder / "catalog.yaml").write_text(yaml.safe_dump(catalog, allow_unicode=True, sort_keys=False), encoding="utf-8")
    curate.build(folder / "catalog.yaml")
    return Store(folder / ".curate")


def shared_store(base: Path) -> Store:
    """The same, made once for all tests of a run; nobody changes it."""
    if not (base / "sea-store").exists():
        make_store(base / "sea-store")
    return Store(base / "sea-store" / ".curate")


def _told(store: Store) -> None:
    """What a build with judges and paid models would have left: they cannot be had here."""
    version = store.resolve("sea")
    audits = {
        "judge": [
            {
                "subject": "strict",
                "model": "strict@1",
                "language": "ar",
                "figure": "position bias",
                "value": 0.42,
                "low": 0.31,
                "high": 0.53,
                "rows": 80,
                "limit": 0.3,
                "refused": True,
                "note": f"over the limit {SCRIPT}",
            },
            {
                "subject": "strict",
                "model": "strict@1",
                "language": "en",
                "figure": "agreement",
                "value": 0.91,
                "low": 0.85,
                "high": 0.95,
                "rows": 80,
                "limit": None,
                "refused": False,
                "note": "",
            },
        ]
    }
    spending = [
        {
            "stage": "sea/judge",
            "model": "strict@1",
            "calls": 160,
            "prompt_tokens": 20_000,
            "completion_tokens": 900,
            "money": 1.25,
        }
    ]
    path = store.dataset("sea") / version / "manifest.json"
    path.write_bytes(
        seal(
            {
                **store.manifest("sea", version),
                "audits": audits,
                "spending": spending,
                "alarms": [f"shape drops much {SCRIPT}"],
            }
        )
    )
    for ref, value in store.refs("sea").items():
        store.set_ref("sea", ref, {**value, "audits": audits})
    estimate = {
        "dataset": "sea",
        "build_key": store.manifest("sea", version)["build_key"],
        "sampled": 20,
        "rows_in": 65,
        "rows": {"*": [55, 50, 60], "ar": [6, 5, 7]},
        "calls": {
            "sea/judge: strict@1": {
                "calls": [150, 140, 170],
                "tokens": [21_000, 19_000, 23_000],
                "money": [1.2, 1.1, 1.3],
            }
        },
        "seconds": [1, 1, 1],
        "bytes": [9, 9, 9],
    }
    store.set_note("sea.estimate.json", estimate)

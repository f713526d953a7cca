"""How many clean rows the step contamination flags, among rows about the items' topics, and how many translations it
still finds there.

    python benchmarks/contamination_alarms.py --data FOLDER --half held [SECTION ...] [--examples 10]

Each section is a mixture in which most rows hold no item. Items and rows are split in two by a digest of their names:
rules were made on ``tune``, and ``held`` is what the docs report.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import regex
from contamination_items import Bench, Item, for_fit, mgsm, of_item, twins, weigh, xquad
from rapidfuzz import fuzz
from workbench import DATA, World, conversation, markdown, shown

from filters.contamination.question_type import ask_differently, question_types
from filters.contamination.semantic import DOUBTFUL, WORD_FEATURES, MeaningIndex, likelihood, passages

_SAME = 85.0

CODE = {
    "en": r"(?i)\b(python|algorithm|function that|write a program|sort(ed)? (the|a|this) (list|array|numbers)|code)\b",
    "de": r"(?i)\b(Python|Algorithmus|Funktion,|Programm|[Ss]ortier\w+|Liste von Zahlen|Code)\b",
    "zh": r"Python|算法|函数|程序|排序|代码|数组",
}
NLLB = {"en": "eng_Latn", "de": "deu_Latn", "es": "spa_Latn", "zh": "zho_Hans"}
TATOEBA = {"ar": "ara", "zh": "cmn", "de": "deu", "fr": "fra", "ja": "jpn", "ru": "rus", "es": "spa", "th": "tha"}


@dataclass(frozen=True)
class Row:
    """A row, and the item it is a translation or copy of, if any."""

    language: str
    text: str
    item: Item | None = None
    english: str = ""
    """The English original, by which one sees whether a flagged row says the same as an item after all."""


def part(name: str, of: int = 2, salt: str = "m7") -> int:
    return blake2b(f"{salt} {name}".encode()).digest()[0] % of


def alpaca(data: Path) -> dict[str, dict[int, str]]:
    """The instructions without input, by language and number."""
    folder = data / "alpaca"
    english = json.loads(gzip.decompress((folder / "alpaca_data_en.json.gz").read_bytes()))
    lines = gzip.decompress((folder / "alpaca_de_openai_12k.jsonl.gz").read_bytes()).decode().splitlines()
    german = [one for one in map(json.loads, lines) if one["alpaca_id"] is not None and one["instruction"]]
    chinese = pl.read_parquet(folder / "alpaca_en_zh_scored_00000_29999.parquet").to_dicts()
    alone = {number for number, one in enumerate(english) if not one["input"]}
    return {
        "en": {number: english[number]["instruction"] for number in sorted(alone)},
        "de": {one["alpaca_id"]: one["instruction"] for one in german if one["alpaca_id"] in alone},
        "zh": {one["alpaca_id"]: one["zh_instruction"] for one in chinese if one["alpaca_id"] in alone},
    }


def topics(data: Path, half: int, rng: random.Random) -> tuple[list[Item], list[Row]]:
    """Short questions of Alpaca as the benchmark; other questions, and some of the same translated."""
    told = alpaca(data)
    short = [
        number
        for number, one in told["en"].items()
        if one.endswith("?") and len(one.split()) <= 12 and part(str(number)) == half
    ]
    chosen = rng.sample(short, 600)
    items = {number: Item("xquad", str(number), "en", told["en"][number]) for number in chosen}
    rows = [Row("en", told["en"][number], items[number]) for number in chosen[:40]]
    for language in ("de", "zh"):
        rows += [Row(language, told[language][n], items[n]) for n in chosen if n in told[language]][:150]
    known = {one.question.casefold() for one in items.values()}
    for language in ("en", "de", "zh"):
        others = [
            number
            for number in told[language]
            if number not in items
            and part(str(number)) == half
            and told["en"][number].casefold() not in known
            and len(told["en"][number].split()) <= 15
        ]
        questions = [number for number in others if told["en"][number].endswith("?")]
        rows += [
            Row(language, told[language][n], None, told["en"][n])
            for n in rng.sample(questions, min(len(questions), 700))
        ]
        rows += [
            Row(language, told[language][n], None, told["en"][n]) for n in rng.sample(others, min(len(others), 500))
        ]
    return list(items.values()), rows


def same_language(data: Path, half: int, rng: random.Random) -> tuple[list[Item], list[Row]]:
    """Half of the questions on each paragraph of XQuAD are the benchmark, in seven languages; the others are rows."""
    languages = ("en", "de", "es", "ru", "ar", "hi", "th", "vi", "zh", "tr", "el")
    items, rows = [], []
    for language in languages:
        mine = [one for one in xquad(data, language) if part(one.article) == half]
        items += [one for one in mine if part(one.name, salt="other")]
        rows += [Row(language, one.question) for one in mine if not part(one.name, salt="other")]
    return items, rows


def across(data: Path, half: int, rng: random.Random) -> tuple[list[Item], list[Row]]:
    """The same with English items only, and rows in languages that the encoder knows; a tenth are translations."""
    english = [one for one in xquad(data, "en") if part(one.article) == half]
    items = {one.name: one for one in english if part(one.name, salt="other")}
    rows = []
    for language in ("de", "es", "ru", "ar", "th", "zh", "tr"):
        mine = [one for one in xquad(data, language) if part(one.article) == half]
        rows += [Row(language, one.question) for one in mine if one.name not in items]
        rows += [Row(language, one.question, items[one.name]) for one in mine if one.name in items][:100]
    return list(items.values()), rows


def code(data: Path, half: int, rng: random.Random) -> tuple[list[Item], list[Row]]:
    """HumanEval; programming tasks that are not in it, and its translations."""

    def tasks(language: str) -> list[dict[str, Any]]:
        path = data / "bench" / "mhumaneval" / f"mHumanEval-{NLLB[language]}-python.json.gz"
        found: list[dict[str, Any]] = json.loads(gzip.decompress(path.read_bytes()))
        return found

    items = {one["task_id"]: Item("xquad", one["task_id"], "en", one["prompt"]) for one in tasks("en")}
    told = alpaca(data)
    rows = []
    for language, pattern in CODE.items():
        mine = [
            told[language][n]
            for n in told[language]
            if part(str(n)) == half and n in told["en"] and regex.search(pattern, told[language][n])
        ]
        rows += [Row(language, one) for one in rng.sample(mine, min(len(mine), 500))]
    for language in ("en", "de", "es", "zh"):
        rows += [
            Row(language, one["prompt"], items[one["task_id"]])
            for one in tasks(language)
            if one["task_id"] in items and part(one["task_id"]) == half
        ]
    return list(items.values()), rows


def sentences(data: Path, half: int, rng: random.Random) -> tuple[list[Item], list[Row]]:
    """English sentences of Tatoeba as the benchmark; other sentences, and a few translations."""
    items: dict[str, Item] = {}
    rows = []
    for language, name in TATOEBA.items():
        stem = data / "parallel" / "tatoeba" / f"tatoeba.{name}-eng"
        pairs = list(
            zip(
                *(Path(f"{stem}.{end}").read_text().split("\n") for end in (name, "eng")),
                strict=True,
            )
        )
        mine = [(one, english) for one, english in pairs if english and part(english) == half]
        chosen, others = mine[:80], mine[80:380]
        for _, english in chosen:
            items.setdefault(english, Item("xquad", english, "en", english))
        rows += [Row(language, one, items[english]) for one, english in chosen[:30]]
        rows += [Row(language, one, None, english) for one, english in others if english not in items]
    return list(items.values()), rows


def paraphrases(data: Path, half: int, rng: random.Random) -> tuple[list[Item], list[Row]]:
    """German questions in one translation as the benchmark; other questions, and a tenth in another translation."""
    lines = gzip.decompress((data / "alpaca" / "alpaca_de_deepl_4k.jsonl.gz").read_bytes()).decode().splitlines()
    told = alpaca(data)
    deepl = {
        one["alpaca_id"]: one["instruction"]
        for one in map(json.loads, lines)
        if one["alpaca_id"] in told["en"] and one["instruction"] and part(str(one["alpaca_id"])) == half
    }
    short = [n for n in deepl if n in told["de"] and len(told["en"][n].split()) <= 15]
    rng.shuffle(short)
    items = {n: Item("xquad", str(n), "de", deepl[n]) for n in short[:150]}
    rows = [Row("de", told["de"][n], items[n]) for n in short[:150] if told["de"][n] != deepl[n]]
    rows += [Row("de", told["de"][n], None, "") for n in short[150:]]
    rows += [Row("de", deepl[n], None, "") for n in short[150:]]
    return list(items.values()), rows


SECTIONS: dict[str, Callable[[Path, int, random.Random], tuple[list[Item], list[Row]]]] = {
    "topics": topics,
    "same language": same_language,
    "across": across,
    "code": code,
    "sentences": sentences,
    "paraphrases": paraphrases,
}


def same(one: str, other: str) -> bool:
    """Whether two English texts are the same but for a few letters: *Who's that?*, *Who is that?*"""
    return bool(one) and fuzz.ratio(one.casefold(), other.casefold()) >= _SAME


def measure(bench: Bench, name: str, items: Sequence[Item], rows: Sequence[Row], arguments: argparse.Namespace) -> None:
    twin = twins(arguments.data)
    names = {
        one.question: one.name for language in {row.language for row in rows} for one in xquad(arguments.data, language)
    }
    step, fitted = bench.step(items)
    frame, seconds = bench.judge(step, fitted, [conversation(row.language, row.text, None, "—") for row in rows])
    text = {one.name: one.question for one in items}
    lines = []
    for language in dict.fromkeys(row.language for row in rows):
        mine = [at for at, row in enumerate(rows) if row.language == language]
        planted = [at for at in mine if rows[at].item is not None]
        clean = [at for at in mine if rows[at].item is None]
        found = sum(of_item(frame, at, rows[at].item) for at in planted)  # type: ignore[arg-type]
        wrong = [
            at
            for at in clean
            if frame["reason"][at] is not None
            and not twin(names.get(rows[at].text, ""), frame["item"][at].rpartition("#")[2])
            and not same(rows[at].english, text[frame["item"][at].rpartition("#")[2]])
        ]
        reasons: dict[str, int] = {}
        for at in wrong:
            reasons[frame["reason"][at]] = reasons.get(frame["reason"][at], 0) + 1
        lines.append(
            [
                language,
                f"{found} of {len(planted)} ({shown(found / len(planted))})" if planted else "–",
                f"{len(wrong)} of {len(clean)} ({100 * len(wrong) / max(1, len(clean)):.1f} %)" if clean else "–",
                ", ".join(f"{many} {reason}" for reason, many in sorted(reasons.items())),
            ]
        )
        for at in wrong[: arguments.examples]:
            print(
                f"<!-- {name}, {language}: {rows[at].text[:140]!r} /"
                f" {text[frame['item'][at].rpartition('#')[2]][:140]!r}"
                f" {frame.select('reason', 'score', 'run', 'similarity', 'translation', 'paraphrase').row(at)} -->"
            )
    size = f"{len(items)} items, {len(rows)} rows, {1e3 * seconds / len(rows):.2f} ms a row"
    print(f"\n### {name}, {arguments.half}: {size}\n")
    print(markdown(["language", "items found", "clean rows flagged", "as"], lines))
    if arguments.dump:
        frame.with_columns(
            text=pl.Series([row.text for row in rows]),
            planted=pl.Series([row.item.name if row.item else None for row in rows]),
        ).write_parquet(arguments.dump / f"{name}-{arguments.half}.parquet")


def fit(bench: Bench, arguments: argparse.Namespace) -> None:
    """The weights of the stage ``words``, from the half ``tune`` and half of MGSM's translations, as YAML."""
    encoder = bench.world.model("use-multilingual")
    twin = twins(arguments.data)
    good: list[Any] = []
    other: list[Any] = []
    mixtures = [section(arguments.data, 0, random.Random(name)) for name, section in SECTIONS.items()]
    sums = {one.name: one for one in mgsm(arguments.data, "en") if for_fit(one)}
    told = [(tag, one) for tag in ("de", "es", "fr", "ja", "ru", "th", "zh") for one in mgsm(arguments.data, tag)]
    mixtures.append(
        (list(sums.values()), [Row(tag, one.question, sums[one.name]) for tag, one in told if one.name in sums])
    )
    for items, rows in mixtures:
        for language in {one.language for one in items} if len({one.language for one in items}) > 1 else {None}:
            mine = [one for one in rows if language in (None, one.language)]
            _, fitted = bench.step([one for one in items if language in (None, one.language)])
            meanings, names = MeaningIndex(fitted), fitted["item"].to_pylist()
            ids = {
                one.question: one.name for tag in {row.language for row in mine} for one in xquad(arguments.data, tag)
            }
            found = []
            for at, row in enumerate(mine if language is None or encoder.supports(language) else ()):
                for one in meanings.candidates(passages(at, "prompt", row.language, row.text, 6), encoder):
                    types = meanings.question_types[one[1]], question_types(one[0].text, row.language)
                    name, text = names[meanings.places[one[1]]], meanings.texts[one[1]]
                    right = row.item is not None and (name == row.item.name or text == row.item.question)
                    doubtful = row.item is not None or twin(ids.get(row.text, ""), name) or same(row.english, text)
                    if not one[3] and not ask_differently(*types) and (right or not doubtful):
                        found.append((one[:3], right))
            likely = likelihood(np.stack([one[2] for one, _ in found])) if found else np.zeros(0)
            near = [pair for pair, chance in zip(found, likely.tolist(), strict=True) if chance >= DOUBTFUL]
            if near:
                features = meanings.word_by_word([one for one, _ in near], encoder)
                for line, (_, right) in zip(features, near, strict=True):
                    (good if right else other).append(line)
    total = len(good) + len(other)
    print(f"# {len(good)} translations, {len(other)} other questions")
    weigh("words", WORD_FEATURES, [(np.stack(good), 1, len(good) / total), (np.stack(other), 0, len(other) / total)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, "fit", []])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--half", choices=["tune", "held"], default="held")
    parser.add_argument("--examples", type=int, default=0, help="rows to show of what goes wrong")
    parser.add_argument("--cache", type=Path, help="a folder to keep vectors in")
    parser.add_argument("--dump", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(World(arguments.cache or Path(scratch), 2), Path(scratch))
        for name in arguments.sections or SECTIONS:
            if name == "fit":
                fit(bench, arguments)
                continue
            items, rows = SECTIONS[name](arguments.data, ("tune", "held").index(arguments.half), random.Random(name))
            measure(bench, name, items, rows, arguments)


if __name__ == "__main__":
    main()

"""How many planted benchmark items are found, and how many clean rows are called contaminated: by kind of planting and
language.

    python benchmarks/contamination.py --data FOLDER                    # all sections
    python benchmarks/contamination.py planted --languages en zh th     # some
    python benchmarks/contamination.py clean --examples 20              # and what fires
    python benchmarks/contamination.py fit                              # the weights of the model of translations, as
        YAML

Items are XQuAD's questions and MGSM's problems. They are planted into conversations: Alpaca's answers and inputs in
English, German and Chinese, articles of the Declaration of Human Rights in the other languages. A planted row is found
when the step drops it; the same data and versions give the same tables.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

for _name in ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "2")

import numpy as np  # noqa: E402 - the thread counts must be set first
import polars as pl  # noqa: E402
import pyarrow as pa  # noqa: E402
import regex  # noqa: E402
from duplicates import DATA, edited, markdown, renumbered, shown  # noqa: E402
from workbench import World, conversation, make_rows  # noqa: E402

from curate.rows import Kind  # noqa: E402
from curate.steps import Rows  # noqa: E402
from filters.contamination.split_items import add_halves, find  # noqa: E402
from filters.contamination.step import Contamination  # noqa: E402

LANGUAGES = ("en", "zh", "ja", "th", "ar", "hi", "de", "ru", "es", "tr", "vi", "el", "sw", "bn", "te")
ENCODED = ("ar", "de", "es", "fr", "ja", "ru", "th", "tr", "zh")
UNSPACED = {"zh": "", "ja": "", "th": ""}


@dataclass(frozen=True)
class Item:
    benchmark: str
    name: str
    language: str
    question: str
    context: str = ""
    article: str = ""
    answer: str = ""


@dataclass(frozen=True)
class Plant:
    """A row with an item in it, or one that only looks like that."""

    sort: str
    item: Item
    payload: dict[str, Any]


# ---------------------------------------------------------------------------------------------------------------- data
def xquad(data: Path, language: str) -> list[Item]:
    path = data / "bench" / "xquad" / f"xquad.{language}.json.gz"
    if not path.exists():
        return []
    whole = json.loads(gzip.decompress(path.read_bytes()))["data"]
    return [
        Item("xquad", qa["id"], language, qa["question"], paragraph["context"], article["title"])
        for article in whole
        for paragraph in article["paragraphs"]
        for qa in paragraph["qas"]
    ]


def mgsm(data: Path, language: str) -> list[Item]:
    path = data / "bench" / "mgsm" / f"mgsm_{language}.tsv"
    lines = path.read_text().splitlines() if path.exists() else []
    return [Item("mgsm", str(number), language, line.split("\t")[0]) for number, line in enumerate(lines)]


def items(data: Path, language: str) -> list[Item]:
    return [*xquad(data, language), *mgsm(data, language)]


def alpaca(data: Path, language: str, most: int, seed: int = 1) -> list[dict[str, Any]]:
    """Conversations of that language as the Alpaca catalog makes them."""
    folder = data / "alpaca"
    if language == "en":
        rows = [
            (r["instruction"], r["input"], r["output"])
            for r in json.loads(gzip.decompress((folder / "alpaca_data_en.json.gz").read_bytes()))
        ]
    elif language == "zh":
        frame = pl.read_parquet(folder / "alpaca_en_zh_scored_00000_29999.parquet")
        rows = list(
            zip(
                *(frame[f"zh_{name}"].fill_null("").to_list() for name in ("instruction", "input", "output")),
                strict=True,
            )
        )
    else:
        lines = gzip.decompress((folder / "alpaca_de_openai_12k.jsonl.gz").read_bytes()).decode().splitlines()
        rows = [(r["instruction"], r["input"], r["output"]) for r in map(json.loads, lines)]
    random.Random(seed).shuffle(rows)
    return [conversation(language, *row) for row in rows[:most]]


def paragraphs(data: Path, language: str) -> list[str]:
    """Texts of a language to put items into."""
    if language in ("en", "de", "zh"):
        return [
            one["messages"][1]["content"]
            for one in alpaca(data, language, 1500, 7)
            if len(one["messages"][1]["content"]) > 40
        ]
    found = [
        json.loads(line)
        for line in gzip.decompress((data / "mono" / "udhr.jsonl.gz").read_bytes()).decode().splitlines()
    ]
    return [text for one in found if one["bcp47"] == language for text in one["paragraphs"] if len(text) > 40] or ["—"]


# ----------------------------------------------------------------------------------------------------------- plantings
def words_changed(share: float) -> Callable[[Item, random.Random, Sequence[str]], str | None]:
    """So many of a hundred words left out, doubled, exchanged with the next, or replaced by one of another item;
    numbers stay as they are.
    """

    def change(item: Item, rng: random.Random, foreign: Sequence[str]) -> str | None:
        joint = UNSPACED.get(item.language, " ")
        words = _words_of(item)
        free = [number for number, word in enumerate(words) if not FIGURES.search(word)]
        count = max(1, round(len(words) * share))
        if len(free) < count or len(words) < 4:
            return None
        for number in sorted(rng.sample(free, count), reverse=True):
            kind = rng.choice(["drop", "double", "swap", "replace"])
            if kind == "drop":
                words[number] = ""
            elif kind == "double":
                words[number] = f"{words[number]}{joint}{words[number]}"
            elif kind == "swap" and number + 1 in free:
                words[number], words[number + 1] = words[number + 1], words[number]
            else:
                words[number] = rng.choice(foreign)
        told = joint.join(word for word in words if word)
        return told if told != item.question else None

    return change


FIGURES = regex.compile(r"[\p{N}\p{Sc}\p{Sm}%〇零一二两三四五六七八九十百千万億亿]")


def _words_of(item: Item) -> list[str]:
    if UNSPACED.get(item.language, " ") == "":
        found: list[str] = regex.findall(r"\p{L}\p{M}*|[^\p{L}\p{M}]+\p{M}*", item.question)
        return found
    return item.question.split()


def halves(item: Item, rng: random.Random) -> tuple[str, str] | None:
    """The item cut between two words somewhere in the middle."""
    places = [
        match.start()
        for match in regex.finditer(
            r"\s" if item.language not in UNSPACED else r"(?<=\p{L}\p{M}*)(?=\p{L})", item.question
        )
    ]
    places = [place for place in places if 0.3 * len(item.question) <= place <= 0.7 * len(item.question)]
    if not places:
        return None
    at = rng.choice(places)
    return item.question[:at].strip(), item.question[at:].strip()


def chat(language: str, *said: str) -> dict[str, Any]:
    return {
        "language": language,
        "messages": [{"role": ("user", "assistant")[number % 2], "content": text} for number, text in enumerate(said)],
    }


def plant(
    item: Item, sort: str, hosts: Sequence[str], rng: random.Random, foreign: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """The payloads of the row, or rows, with the item in it.

    Args:
        foreign: words of other items, for those that are replaced.
    """
    host = rng.choice(hosts)
    if sort == "verbatim":
        yield chat(item.language, item.question, host)
    elif sort == "surface":
        wide = "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in item.question)
        yield chat(
            item.language,
            rng.choice(
                [
                    item.question.upper(),
                    wide,
                    regex.sub(r"(?V1)[\p{P}--[%&*/#@'’]](?!\p{N})", " ", item.question),
                    f"<p>{item.question}</p>",
                ]
            ),
            host,
        )
    elif sort == "numbered parts":
        yield chat(item.language, numbered(item, rng), host)
    elif sort in ("split, two user turns", "split, two speakers"):
        both = halves(item, rng)
        if both:
            more = rng.choice(hosts)
            yield (
                chat(item.language, both[0], host, both[1], more)
                if sort.endswith("turns")
                else chat(item.language, f"{host}\n{both[0]}", f"{both[1]} {more}")
            )
    elif sort == "split, two rows":
        both = halves(item, rng)
        if both:
            yield chat(item.language, both[0], host)
            yield chat(item.language, both[1], rng.choice(hosts))
    elif sort == "embedded":
        texts = [rng.choice(hosts) for _ in range(6)]
        texts.insert(rng.randrange(1, 6), item.question)
        long = rng.choice(["\n", " "]).join(texts)
        yield chat(item.language, long, host) if rng.random() < 0.5 else chat(item.language, host, long)
    elif sort.startswith("edited") and "paragraph" in sort:
        changed = words_changed(0.1)(item, rng, foreign)
        if changed and item.context:
            yield chat(item.language, f"{item.context}\n\n{changed}", host)
    elif sort.startswith("edited"):
        share = int(sort.split()[-2]) / 100
        changed = words_changed(share)(item, rng, foreign) if "words" in sort else edited(share)(item.question, rng)
        if changed:
            yield chat(item.language, changed, host)


def numbered(item: Item, rng: random.Random) -> str:
    """The sentences of an item as a numbered list; a single sentence is cut in two."""
    parts = [one for one in regex.split(r"(?<=[.!?。！？؟।])\s*(?=[^\s\p{N}])", item.question) if one.strip()]
    if len(parts) == 1:
        words = item.question.split(" ")
        cut = len(words) // 2
        parts = [" ".join(words[:cut]), " ".join(words[cut:])] if cut else [item.question[:6], item.question[6:]]
    marker = rng.choice(["{}. ", "{}: ", "({}) ", "{}) "])
    return rng.choice([" ", "\n"]).join(f"{marker.format(number)}{one}" for number, one in enumerate(parts, 1))


def foreign_words(some: Sequence[Item]) -> list[str]:
    """What stands in the place of a replaced word."""
    return [
        word for one in some for word in _words_of(one) if not FIGURES.search(word) and regex.search(r"\p{L}", word)
    ]


SORTS = (
    "verbatim",
    "surface",
    "embedded",
    "numbered parts",
    "split, two user turns",
    "split, two speakers",
    "split, two rows",
    "edited, words 5 %",
    "edited, words 10 %",
    "edited, words 20 %",
    "edited, signs 5 %",
    "edited, signs 10 %",
    "edited, signs 20 %",
    "edited, words 10 %, below its paragraph",
)


# ---------------------------------------------------------------------------------------------------------------- runs
class Bench:
    """The step, with items from files written for it."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.folder, self.number = world, folder, 0

    def step(self, some: Sequence[Item], **parameters: Any) -> tuple[Contamination, pa.Table]:
        files: dict[str, dict[str, str]] = defaultdict(dict)
        self.number += 1
        for name, language in sorted({(one.benchmark, one.language) for one in some}):
            path = self.folder / f"{name}-{self.number}.{language}.jsonl"
            path.write_text(
                "".join(
                    json.dumps(
                        {"id": one.name, "question": one.question, "context": one.context}
                        if name != "humaneval"
                        else {"task_id": one.name, "prompt": one.question, "canonical_solution": one.answer}
                    )
                    + "\n"
                    for one in some
                    if (one.benchmark, one.language) == (name, language)
                )
            )
            files[name][language] = str(path)
        step = Contamination(against=tuple(files), files=dict(files), **parameters)
        return step, step.fit([], self.world)

    def judge(
        self, step: Contamination, fitted: pa.Table, payloads: Sequence[dict[str, Any]], batch: int = 2048
    ) -> tuple[pl.DataFrame, float]:
        """Scores and the reason for which each row is dropped; seconds."""
        frames, seconds = [], 0.0
        for begin in range(0, len(payloads), batch):
            rows: Rows = make_rows(Kind.SFT, payloads[begin : begin + batch])
            started = time.perf_counter()
            frame = step.score(rows, self.world, fitted).with_columns(language=rows.language)
            seconds += time.perf_counter() - started
            reason = pl.lit(None, dtype=pl.String)
            for name, test in reversed(step.drop_rules(Kind.SFT).items()):
                reason = pl.when(test.fill_null(False)).then(pl.lit(name)).otherwise(reason)
            frames.append(frame.with_columns(reason=reason))
        return pl.concat(frames), seconds


def of_item(frame: pl.DataFrame, row: int, item: Item) -> bool:
    """Whether the row was dropped for that item (or one with the same text)."""
    return frame["reason"][row] is not None and (
        (frame["benchmark"][row] == item.benchmark and frame["item"][row].rpartition("#")[2] == item.name)
        or f'"{item.name}"' in (frame["others"][row] or "")
    )


def planted(bench: Bench, arguments: argparse.Namespace) -> None:
    """Items in the language they are in, without an encoder."""
    print(f"\n### Planted items: recall (XQuAD and MGSM, {arguments.most} items of each a language; no encoder)\n")
    hits: Counter[tuple[str, str, str]] = Counter()
    total: Counter[tuple[str, str, str]] = Counter()
    named: Counter[str] = Counter()
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    everything = [one for language in arguments.languages for one in items(arguments.data, language)]
    step, fitted = bench.step(everything, model=None)
    for language in arguments.languages:
        rng = random.Random(f"plant {language}")
        hosts = paragraphs(arguments.data, language)
        some = [
            one
            for of in (xquad, mgsm)
            for one in (lambda every: rng.sample(every, min(len(every), arguments.most)))(of(arguments.data, language))
        ]
        rows: list[Plant] = [
            Plant(sort, item, payload)
            for sort in arguments.sorts
            for item in some
            for payload in plant(item, sort, hosts, rng, foreign_words(some))
        ]
        payloads = [one.payload for one in rows]
        halves = step.sample(make_rows(Kind.SFT, payloads), bench.world)
        frame, _ = bench.judge(step, add_halves(fitted, find(fitted, [halves] if halves is not None else [])), payloads)
        shown_examples = 0
        for row, one in enumerate(rows):
            key = (one.sort, language, one.item.benchmark)
            total[key] += 1
            good = frame["reason"][row] is not None
            hits[key] += good
            named[one.sort] += of_item(frame, row, one.item)
            kinds[one.sort][frame["reason"][row] or "–"] += 1
            if not good and shown_examples < arguments.examples:
                shown_examples += 1
                told = " // ".join(turn["content"][:150] for turn in one.payload["messages"])
                print(
                    f"<!-- missed: {one.sort}, {language}: {one.item.question[:150]!r} in {told!r}:"
                    f" {frame.select('score', 'run', 'hit', 'benchmark', 'item').row(row)} -->"
                )

    def recall(sort: str, language: str | None = None, benchmark: str | None = None) -> str:
        chosen = [key for key in total if key[0] == sort and language in (None, key[1]) and benchmark in (None, key[2])]
        return shown(sum(hits[key] for key in chosen) / max(1, sum(total[key] for key in chosen))) if chosen else "–"

    print(
        markdown(
            ["planted", "all", "XQuAD", "MGSM", "rows", "of those found, the very item", "told as"],
            [
                [
                    sort,
                    recall(sort),
                    recall(sort, benchmark="xquad"),
                    recall(sort, benchmark="mgsm"),
                    str(sum(n for key, n in total.items() if key[0] == sort)),
                    shown(named[sort] / max(1, sum(n for key, n in hits.items() if key[0] == sort))),
                    ", ".join(f"{name} {count}" for name, count in kinds[sort].most_common(4)),
                ]
                for sort in arguments.sorts
            ],
        )
    )
    print("\nby language:\n")
    print(
        markdown(
            ["", *arguments.sorts],
            [[language, *(recall(sort, language) for sort in arguments.sorts)] for language in arguments.languages],
        )
    )


def alike(bench: Bench, arguments: argparse.Namespace) -> None:
    """What looks like an item and is none: of two questions with one answer the second is the first asked again, and
    counted apart.
    """
    print("\n### Not the item: what is dropped\n")
    lines = []
    twin = twins(arguments.data)
    total: Counter[str] = Counter()
    for language in arguments.languages:
        rng = random.Random(f"alike {language}")
        hosts = paragraphs(arguments.data, language)
        questions, sums = xquad(arguments.data, language), mgsm(arguments.data, language)
        line = [language]
        if questions:
            half = set(rng.sample(sorted({one.name for one in questions}), len(questions) // 2))
            known = {one.name: one for one in questions if one.name in half}
            other = [
                one
                for one in questions
                if one.name not in half and one.question not in {each.question for each in known.values()}
            ]
            step, fitted = bench.step(list(known.values()), model=None)
            for label, before in (("with", "{0.context}\n\n"), ("without", "")):
                rows = [chat(language, f"{before.format(one)}{one.question}", rng.choice(hosts)) for one in other]
                frame, _ = bench.judge(step, fitted, rows)
                wrong, again = [], 0
                for row in frame["reason"].is_not_null().arg_true().to_list():
                    if twin(other[row].name, frame["item"][row]):
                        again += 1
                    else:
                        wrong.append(row)
                total.update(
                    {f"{label} wrong": len(wrong), f"{label} again": again, "rows": len(rows) if before else 0}
                )
                line += [f"{len(wrong)} of {len(rows)}", str(again)]
                if before:
                    told = int((frame["context"] >= 0.5).sum())
                    total["told"] += told
                    line.append(f"{told}")
                for row in wrong[: arguments.examples]:
                    item = known[frame["item"][row]]
                    print(
                        f"<!-- other question, {label} the paragraph, {language}: {other[row].question!r} /"
                        f" {item.question!r} {frame['reason'][row], frame['score'][row], frame['run'][row]} -->"
                    )
        else:
            line += ["–"] * 5
        if sums:
            step, fitted = bench.step(sums, model=None)
            rows = [
                chat(language, changed, rng.choice(hosts)) for one in sums if (changed := renumbered(one.question, rng))
            ]
            frame, _ = bench.judge(step, fitted, rows)
            total.update({"sums": int(frame["reason"].is_not_null().sum()), "all sums": len(rows)})
            line.append(f"{frame['reason'].is_not_null().sum()} of {len(rows)}")
            for row in frame["reason"].is_not_null().arg_true().to_list()[: arguments.examples]:
                print(f"<!-- other numbers, {language}: {rows[row]['messages'][0]['content']!r} {frame.row(row)} -->")
        else:
            line.append("–")
        lines.append(line)
    header = [
        "",
        "other question below its paragraph: dropped",
        "the same asked again",
        "the paragraph is told",
        "other question by itself: dropped",
        "the same asked again",
        "same sum, other numbers: dropped",
    ]
    print(markdown(header, lines))
    print(f"\n{dict(total)}")


def clean(bench: Bench, arguments: argparse.Namespace) -> None:
    """Rows that hold no item, against all items of all languages."""
    print("\n### Clean Alpaca rows: what is dropped, against all of XQuAD and MGSM\n")
    everything = [one for language in sorted({*LANGUAGES, "ro", "fr"}) for one in items(arguments.data, language)]
    lines = []
    for label, parameters in (("n-grams", {"model": None}), ("n-grams and meaning", {})):
        step, fitted = bench.step(everything, **parameters)
        for language in ("en", "zh", "de"):
            rows = alpaca(arguments.data, language, arguments.rows)
            bench.judge(step, fitted, rows[:8])  # the index is made
            frame, seconds = bench.judge(step, fitted, rows)
            reasons = Counter(frame["reason"].drop_nulls().to_list())
            lines.append(
                [
                    label,
                    language,
                    f"{len(rows):,}",
                    f"{100 * sum(reasons.values()) / len(rows):.2f} %",
                    ", ".join(f"{n} {c}" for n, c in reasons.most_common()),
                    f"{1e6 * seconds / len(rows):.0f}",
                ]
            )
            by_text = {(one.benchmark, one.name, one.language): one.question for one in everything}
            for row in frame["reason"].is_not_null().arg_true().to_list()[: arguments.examples]:
                name = frame["item"][row].rpartition("#")[2]
                print(
                    f"<!-- {language}: {frame['reason'][row]}"
                    f" {frame.select('score', 'run', 'similarity', 'translation', 'paraphrase').row(row)}:"
                    f" {rows[row]['messages'][0]['content'][:120]!r} /"
                    f" {by_text.get((frame['benchmark'][row], name, frame['item_language'][row]))!r} -->"
                )
    print(markdown(["", "language", "rows", "dropped", "as", "µs a row"], lines))


def translated(bench: Bench, arguments: argparse.Namespace) -> None:
    """Items in English only; rows in another language; only items that no weight was fitted to."""
    print("\n### Translated items (items in English, rows in another language)\n")
    lines = []
    twin = twins(arguments.data)
    english = items(arguments.data, "en")
    step, fitted = bench.step(english)
    half = {one.name for one in xquad(arguments.data, "en") if sum(one.name.encode()) // 2 % 2}
    other_step, other_fitted = bench.step([one for one in english if one.name in half])
    for language in ENCODED:
        rng = random.Random(f"translated {language}")
        line = [language]
        hosts = paragraphs(arguments.data, language)
        for of in (xquad, mgsm):
            some = [one for one in of(arguments.data, language) if not for_fit(one)]
            if not some:
                line += ["–", "–", "–"]
                continue
            alone = [chat(language, one.question, rng.choice(hosts)) for one in some]
            behind = [chat(language, f"{rng.choice(hosts)}\n\n{one.question}", rng.choice(hosts)) for one in some]
            for rows in (alone, behind):
                frame, _ = bench.judge(step, fitted, rows)
                found = [
                    of_item(frame, row, one)
                    or (frame["reason"][row] is not None and twin(one.name, frame["item"][row]))
                    for row, one in enumerate(some)
                ]
                line.append(shown(sum(found) / len(some)))
                sweep(frame, f"{language} {of.__name__}", arguments)
            if of is mgsm:
                changed = [made for one in some if (made := renumbered(one.question, rng))]
                frame, _ = bench.judge(step, fitted, [chat(language, one, rng.choice(hosts)) for one in changed])
                line.append(f"{frame['reason'].is_not_null().sum()} of {len(changed)}")
            else:
                others = [one for one in some if one.name not in half]
                frame, _ = bench.judge(
                    other_step, other_fitted, [chat(language, one.question, rng.choice(hosts)) for one in others]
                )
                wrong = [
                    row
                    for row in frame["reason"].is_not_null().arg_true().to_list()
                    if not twin(others[row].name, frame["item"][row])
                ]
                line.append(f"{len(wrong)} of {len(others)}")
                sweep(frame, f"{language} other question", arguments)
                names = {one.name: one.question for one in english}
                for row in wrong[: arguments.examples]:
                    print(
                        f"<!-- other question, {language}: {others[row].question!r} / {names[frame['item'][row]]!r}"
                        f" {frame['translation'][row]} -->"
                    )
        plain = sentences(arguments.data, language)
        if plain:
            frame, _ = bench.judge(step, fitted, [chat(language, one, one) for one in plain])
            sweep(frame, f"{language} sentences", arguments)
        line.append(f"{frame['reason'].is_not_null().sum()} of {len(plain)}" if plain else "–")
        lines.append(line)
    header = [
        "",
        "XQuAD, alone",
        "behind a text",
        "same article, other question",
        "MGSM, alone",
        "behind a text",
        "other numbers",
        "unrelated sentences",
    ]
    print(markdown(header, lines))


def sweep(frame: pl.DataFrame, label: str, arguments: argparse.Namespace) -> None:
    """What other thresholds would drop."""
    if arguments.sweep:
        told = frame["translation"].fill_null(0)
        thresholds = (0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
        shares = ", ".join(f"{least}: {(told >= least).mean():.3f}" for least in thresholds)
        print(f"<!-- {label}: {shares} -->")


def sentences(data: Path, language: str) -> list[str]:
    """Sentences of Tatoeba, which are nobody's items."""
    names = {"ar": "ara", "zh": "cmn", "de": "deu", "fr": "fra", "ja": "jpn", "ru": "rus", "es": "spa", "th": "tha"}
    path = data / "parallel" / "tatoeba" / f"tatoeba.{names.get(language)}-eng.{names.get(language)}"
    return path.read_text().splitlines() if path.exists() else []


# ----------------------------------------------------------------------------------------------------------------- fit
def fit(bench: Bench, arguments: argparse.Namespace) -> None:
    """The weights of the stage ``sentence``, from half of the items and every second clean row in another language than
    the items; the other half is what ``translated`` and ``clean`` show. Those of the stage ``words`` are fitted by
    ``contamination_alarms.py``."""
    from filters.contamination.semantic import FEATURES, MeaningIndex, passages

    _, fitted = bench.step(items(arguments.data, "en"))
    meanings = MeaningIndex(fitted)
    keys = list(zip(fitted["benchmark"].to_pylist(), fitted["item"].to_pylist(), strict=True))
    encoder = bench.world.model("use-multilingual")
    good, far = [], []
    for language in ENCODED:
        for one in filter(for_fit, items(arguments.data, language)):
            for each in meanings.candidates(passages(0, "prompt", language, one.question, 1), encoder):
                if not each[3] and keys[meanings.places[each[1]]] == (one.benchmark, one.name):
                    good.append(each[2])
    for language in ("zh", "de"):
        for payload in alpaca(arguments.data, language, arguments.rows)[::2]:
            told = meanings.candidates(passages(0, "prompt", language, payload["messages"][0]["content"], 6), encoder)
            far += [each[2] for each in told if not each[3]]
    print(f"# {len(good)} translations, {len(far)} of clean rows")
    weigh("sentence", FEATURES, [(np.stack(good), 1, 1.0), (np.stack(far), 0, 1.0)])


def weigh(stage: str, names: Sequence[str], classes: Sequence[tuple[Any, int, float]]) -> None:
    """A logistic model of weighted classes (features, what they are, weight of the class), as YAML."""
    x = np.concatenate([features for features, _, _ in classes])
    y = np.concatenate([np.full(len(features), what, float) for features, what, _ in classes])
    w = np.concatenate([np.full(len(features), weight / len(features)) for features, _, weight in classes])
    mean, deviation = x.mean(0), np.maximum(1e-6, x.std(0))
    z = np.c_[(x - mean) / deviation, np.ones(len(x))]
    b = np.zeros(z.shape[1])
    for _ in range(60):
        p = 1 / (1 + np.exp(-z @ b))
        slope = z.T @ (w * (p - y)) + 1e-3 * np.r_[b[:-1], 0]
        b -= np.linalg.solve((z * (w * p * (1 - p))[:, None]).T @ z + 1e-3 * np.eye(len(b)), slope)
    print(f"{stage}: # {', '.join(names)}")
    for name, values in (("mean", mean), ("deviation", deviation), ("weight", b[:-1])):
        print(f"  {name}: [{', '.join(f'{value:.4f}' for value in values)}]")
    print(f"  bias: {b[-1]:.4f}")
    start = 0
    chance = 1 / (1 + np.exp(-z @ b))
    for features, what, _ in classes:
        end = start + len(features)
        thresholds = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
        shares = ", ".join(f"{least}: {np.mean(chance[start:end] >= least):.4f}" for least in thresholds)
        print(f"# {what}: {shares}")
        start = end


def for_fit(item: Item) -> bool:
    """Whether an item is of the half that weights are fitted to."""
    return sum(item.name.encode()) % 2 == 0


def twins(data: Path) -> Callable[[str, str], bool]:
    """Whether two questions of XQuAD are one question asked twice: about one paragraph, with answers that overlap."""
    whole = json.loads(gzip.decompress((data / "bench" / "xquad" / "xquad.en.json.gz").read_bytes()))["data"]
    told: dict[str, tuple[int, int, int, str]] = {}
    for number, paragraph in enumerate(one for article in whole for one in article["paragraphs"]):
        for qa in paragraph["qas"]:
            start, answer = qa["answers"][0]["answer_start"], qa["answers"][0]["text"]
            told[qa["id"]] = (number, start, start + len(answer), answer.casefold())

    def twin(one: str, other: str) -> bool:
        if one not in told or other not in told:
            return False
        a, b = told[one], told[other]
        return a[0] == b[0] and (max(a[1], b[1]) < min(a[2], b[2]) or a[3] == b[3])

    return twin


SECTIONS = {"planted": planted, "alike": alike, "clean": clean, "translated": translated, "fit": fit}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], default=list(SECTIONS)[:-1])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--languages", nargs="+", default=list(LANGUAGES))
    parser.add_argument("--most", type=int, default=100, help="items of each benchmark and language")
    parser.add_argument("--rows", type=int, default=10_000, help="clean rows a language")
    parser.add_argument("--examples", type=int, default=0, help="rows to show of what goes wrong")
    parser.add_argument("--sweep", action="store_true", help="what other thresholds would drop of translations")
    parser.add_argument("--cache", type=Path, help="a folder to keep vectors in")
    parser.add_argument("--sorts", nargs="+", choices=SORTS, default=SORTS, help="how items are planted")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(World(arguments.cache or Path(scratch), 2), Path(scratch))
        for name in arguments.sections or list(SECTIONS)[:-1]:
            SECTIONS[name](bench, arguments)


if __name__ == "__main__":
    main()

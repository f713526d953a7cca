"""Items of XQuAD and MGSM, rows of Alpaca, and the step contamination with items from files, for its benchmarks."""

from __future__ import annotations

import gzip
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from workbench import World, conversation, make_rows

from curate.rows import Kind
from curate.steps import Rows
from filters.contamination.step import Contamination


@dataclass(frozen=True)
class Item:
    benchmark: str
    name: str
    language: str
    question: str
    context: str = ""
    article: str = ""
    answer: str = ""


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


def sentences(data: Path, language: str) -> list[str]:
    """Sentences of Tatoeba, which are nobody's items."""
    names = {"ar": "ara", "zh": "cmn", "de": "deu", "fr": "fra", "ja": "jpn", "ru": "rus", "es": "spa", "th": "tha"}
    path = data / "parallel" / "tatoeba" / f"tatoeba.{names.get(language)}-eng.{names.get(language)}"
    return path.read_text().splitlines() if path.exists() else []


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

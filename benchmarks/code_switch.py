"""What code-switching comes to on real data: shares asked and achieved, mixing, speed; how right an induced word table
is.

    python benchmarks/code_switch.py DATA [--rows 2000] [--show 20]

DATA is a folder with ``alpaca/alpaca_data_en.json.gz``, ``dict/panlex_en_XX.txt.gz``, ``parallel/tico19``,
``parallel/tatoeba`` and ``codeswitch/hinglish_top_validation.tsv.gz``; what is missing is left out. Four parts:

1. Alpaca prompts into German, Spanish, Hindi and Chinese by the PanLex lists, at four shares. The time is that of the
   processor, the table already read.
2. Words of sentence pairs (TICO-19, Tatoeba) by ``lexicon``: of the pairs whose English word PanLex has, the share
   whose translation PanLex has as well. It is a lower bound, since the list lacks many a right translation and
   inflected form.
3. Chinese, Thai, Hindi and Russian sentences into English by the same lists turned round.
4. The mixing index of people's Hinglish (Hinglish-TOP), an English word being one that stands in the English original.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import mean, quantiles
from typing import Any

import pyarrow as pa
from workbench import conversation, documents, lines, make_rows, needing

from curate.generation.code_switch.rewrite import Mixture
from curate.generation.code_switch.step import CodeSwitch
from curate.generation.lexicon.step import LexiconStep
from curate.models.alignment.systran_align import SystranAlign
from curate.rows import Kind, with_ids
from curate.steps import RowBatch, Rows, Source
from curate.text.words import fold_of, spans
from sources.dictionaries import Dictionary
from sources.parallel import Moses, Tmx

# What the lists really hold: "zh" is written in traditional characters, "sw" is Swedish.
LISTS = {"zh": "zh-Hant"}


class World:
    """The context of the steps."""

    threads, memory, seed, draw = 2, 1 << 30, 0, 0

    def __init__(self, **rows: list[Rows]) -> None:
        self._rows = rows
        self.models: dict[str, Any] = {}

    def model(self, name: str) -> Any:
        return self.models[name]

    def model_name(self, name: str) -> str:
        return name

    def rows(self, name: str) -> Iterator[Rows]:
        yield from self._rows[name]

    def advance(self, rows: int) -> None: ...

    def warn(self, message: str) -> None: ...


def read(source: Source) -> list[Rows]:
    return [
        Rows(source.makes, with_ids(source.makes, new.table))
        for unit in source.units()
        for new in source.read(unit, "data", World())
    ]  # type: ignore[arg-type]


def panlex(data: Path, code: str) -> list[Rows]:
    return read(
        Dictionary(
            path=str(data / f"dict/panlex_en_{code}.txt.gz"),
            source_language="en",
            target_language=LISTS.get(code, code),
            license="CC0-1.0",
        )
    )


def switched(step: CodeSwitch, rows: Rows, world: World) -> tuple[list[dict[str, Any]], float]:
    """The rows made, and seconds of the processor."""
    list(step.make(rows.take([place < 5 for place in range(len(rows))]), world))  # type: ignore[arg-type]
    start = time.process_time()
    tables = [one.table if isinstance(one, RowBatch) else one for one in step.make(rows, world)]  # type: ignore[arg-type]
    seconds = time.process_time() - start
    return pa.concat_tables(tables).to_pylist(), seconds


def told(name: str, given: int, made: list[dict[str, Any]], seconds: float) -> None:
    scores = [{score["name"].removeprefix("code_switch."): score["value"] for score in row["scores"]} for row in made]
    of = {key: [one[key] for one in scores] for key in scores[0]}
    cmi = quantiles(of["cmi"], n=10)
    print(
        f"{name:22} {len(made):5} of {given:5}   ratio {mean(of['ratio']):.3f}   share {mean(of['share']):.3f}   CMI"
        f" {cmi[0]:.0f} / {cmi[4]:.0f} / {cmi[8]:.0f}   switch points {mean(of['switch_points']):.2f}  "
        f" {given / seconds:,.0f} rows/s"
    )


def alpaca(data: Path, count: int, show: int) -> None:
    path = data / "alpaca/alpaca_data_en.json.gz"
    with needing(path, *(data / f"dict/panlex_en_{code}.txt.gz" for code in ("de", "es", "hi", "zh"))) as there:
        if not there:
            return
    rows = make_rows(
        Kind.SFT,
        [
            conversation("en", one["instruction"], one["input"], one["output"])
            for one in json.loads(gzip.decompress(path.read_bytes()))[:count]
        ],
    )
    print(f"\n1. {len(rows):,} Alpaca prompts (CMI: 10th, 50th and 90th percentile)")
    for code in ("de", "es", "hi", "zh"):
        tag, world = LISTS.get(code, code), World(words=panlex(data, code))
        for ratio in (0.1, 0.3, 0.5, 1.0):
            made, seconds = switched(CodeSwitch(to=tag, table="words", ratio=ratio), rows, world)
            told(f"en → {tag}, {ratio:.0%} asked", len(rows), made, seconds)
            if ratio == 0.3:
                for row in made[: show * 7 // 4 : 7]:
                    print("      ", row["messages"][0]["content"].replace("\n", " ⏎ ")[:160])


def induced(data: Path) -> None:
    print("\n2. word tables from sentence pairs, against PanLex")
    for code, other, corpus in (
        ("fr", "fra", "tico"),
        ("hi", "hin", "tico"),
        ("fr", "fra", "tatoeba"),
        ("hi", "hin", "tatoeba"),
    ):
        files = [
            data / f"dict/panlex_en_{code}.txt.gz",
            data
            / (
                f"parallel/tico19/all.en-{code}.tmx.gz"
                if corpus == "tico"
                else f"parallel/tatoeba/tatoeba.{other}-eng.eng"
            ),
        ]
        with needing(*files) as there:
            if not there:
                continue
        common: dict[str, Any] = {"source_language": "en", "target_language": code, "license": "unknown"}
        source = (
            Tmx(path=str(files[1]), **common)
            if corpus == "tico"
            else Moses(source_path=str(files[1]), target_path=str(files[1].with_suffix(f".{other}")), **common)
        )
        rows, here, there_ = read(source), fold_of("en"), fold_of(code)
        known: dict[str, set[str]] = {}
        for batch in panlex(data, code):
            for word, translation in zip(
                batch.table["source"].to_pylist(), batch.table["target"].to_pylist(), strict=True
            ):
                known.setdefault(here(word), set()).add(there_(translation))
        for how in ("intersection", "grow-diag-final-and"):
            world = World()
            world.models["systran-align"] = SystranAlign(symmetrize=how).load(cache=None, threads=2)
            start = time.perf_counter()
            table = [row for part in LexiconStep().gather(rows, world) for row in part.to_pylist()]  # type: ignore[arg-type, union-attr]
            seconds = time.perf_counter() - start
            right = [
                (row["source"], row["scores"][0]["value"], there_(row["target"]) in known[here(row["source"])])
                for row in table
                if here(row["source"]) in known
            ]
            best = {word: good for word, _, good in reversed(right)}
            sure = [good for _, score, good in right if score >= 0.5]
            print(
                f"{corpus:8} en-{code} {how:20} {sum(map(len, rows)):5,} pairs {len(table):5,} entries; in PanLex"
                f" {mean(good for _, _, good in right):.2f} of {len(right):,}, of the best of each word"
                f" {mean(best.values()):.2f}, of those with Dice ≥ 0.5 {mean(sure):.2f} of {len(sure):,};"
                f" {seconds:.1f} s"
            )


def other_matrices(data: Path) -> None:
    print("\n3. other matrix languages into English, 30 % asked")
    for code, other in (("zh", "cmn"), ("th", "tha"), ("hi", "hin"), ("ru", "rus")):
        files = data / f"dict/panlex_en_{code}.txt.gz", data / f"parallel/tatoeba/tatoeba.{other}-eng.{other}"
        with needing(*files) as there:
            if not there:
                continue
        tag = LISTS.get(code, code)
        texts = lines(files[1])
        rows = documents([tag] * len(texts), texts)
        made, seconds = switched(CodeSwitch(to="en", table="words", ratio=0.3), rows, World(words=panlex(data, code)))
        told(f"{tag} → en", len(rows), made, seconds)
        for row in made[:60:12]:
            print("      ", row["text"])


def hinglish(data: Path) -> None:
    path = data / "codeswitch/hinglish_top_validation.tsv.gz"
    with needing(path) as there:
        if not there:
            return
    fold, whole, mixed = fold_of("en"), Mixture(), []
    for row in csv.DictReader(lines(path), delimiter="\t", quoting=csv.QUOTE_NONE):
        english = {fold(row["en_query"][start:end]) for start, end, _ in spans(row["en_query"])}
        marks = [
            0 if fold(row["cs_query"][start:end]) in english else 1
            for start, end, kind in spans(row["cs_query"])
            if kind == 1
        ]
        one = Mixture(
            words={-1: marks.count(1), 0: marks.count(0)},
            borders=max(0, len(marks) - 1),
            points=sum(left != right for left, right in pairwise(marks)),
        )
        whole.add(one)
        if marks:
            mixed.append(one.scores())
    cmi = quantiles([one["cmi"] for one in mixed], n=10)
    print(
        f"\n4. Hinglish by people, {len(mixed):,} queries: CMI {cmi[0]:.0f} / {cmi[4]:.0f} / {cmi[8]:.0f}, mean"
        f" {mean(one['cmi'] for one in mixed):.1f}, switch points {mean(one['switch_points'] for one in mixed):.2f},"
        f" share of English words {1 - whole.words[-1] / sum(whole.words.values()):.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--show", type=int, default=5)
    given = parser.parse_args()
    alpaca(given.data, given.rows, given.show)
    induced(given.data)
    other_matrices(given.data)
    hinglish(given.data)


if __name__ == "__main__":
    main()

"""How many translations ``duplicates`` finds across languages where most rows have no partner, and how many of the rows
that it drops are none.

    python benchmarks/duplicates_mixture.py --data FOLDER --half held [--examples 10] [--set margin=1.1 ...]

English rows and rows in another language; a tenth of the latter are translations of one of the former, under another
item. Texts are split in two by a digest: rules were made on ``tune``, and ``held`` is what the docs report.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import random
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import regex
from contamination_alarms import part
from duplicates import same_sentence
from duplicates_plants import Plant, clusters_of
from workbench import DATA, World, markdown, shown

TATOEBA = {"ar": "ara", "zh": "cmn", "de": "deu", "fr": "fra", "ja": "jpn", "ru": "rus", "es": "spa", "th": "tha"}
ENCODED = ("ar", "de", "es", "fr", "ja", "ko", "ru", "th", "tr", "zh", "it", "nl", "pl", "pt")
Pair = tuple[str, str]


def instructions(data: Path) -> Iterator[tuple[str, str, list[Pair]]]:
    """Alpaca's rows in two lengths: the instruction, and the instruction with its answer."""
    folder = data / "alpaca"
    english = json.loads(gzip.decompress((folder / "alpaca_data_en.json.gz").read_bytes()))
    german = [
        one
        for one in map(
            json.loads, gzip.decompress((folder / "alpaca_de_openai_12k.jsonl.gz").read_bytes()).decode().splitlines()
        )
        if one["alpaca_id"] is not None
    ]
    chinese = pl.read_parquet(folder / "alpaca_en_zh_scored_00000_29999.parquet").to_dicts()
    told = {
        "de": [(one["alpaca_id"], one["instruction"], one["input"], one["output"]) for one in german],
        "zh": [
            (one["alpaca_id"], one["zh_instruction"], one["zh_input"], one["zh_output"])
            for one in chinese
            if (one["metadata"] or {}).get("score") in (4, 5)
        ],
    }
    for language, rows in told.items():
        for name in ("instructions", "whole rows"):
            pairs = []
            for number, *mine in rows:
                theirs = [english[number][key] for key in ("instruction", "input", "output")]
                if name == "instructions" and (mine[1] or theirs[1]):
                    continue
                many = 1 if name == "instructions" else 3
                both = tuple("\n".join(one for one in side[:many] if one) for side in (theirs, mine))
                if all(both):
                    pairs.append((both[0], both[1]))
            yield name, language, pairs


def short(data: Path) -> Iterator[tuple[str, str, list[Pair]]]:
    """Sentences of Tatoeba, of software and of the news."""
    for language, name in TATOEBA.items():
        stem = data / "parallel" / "tatoeba" / f"tatoeba.{name}-eng"
        sides = (Path(f"{stem}.{end}").read_text().split("\n") for end in ("eng", name))
        yield "sentences", language, [(a, b) for a, b in zip(*sides, strict=True) if a and b]
    frame = pl.read_parquet(data / "parallel" / "en_32_languages.parquet")
    for language in ENCODED:
        mine = frame.filter((pl.col("lang") == language) & ~pl.col("src").str.contains("udhr|quran"))
        yield (
            "software",
            language,
            [(a, b) for a, b in zip(mine["en"].to_list(), mine["xx"].to_list(), strict=True) if len(a.split()) >= 3],
        )
    for name, language in (("ende", "de"), ("enzh", "zh"), ("ruen", "ru")):
        path = data / "parallel" / "mlqe_pe_da" / f"dev.{name}.df.short.tsv.gz"
        lines = csv.DictReader(
            io.StringIO(gzip.decompress(path.read_bytes()).decode()), delimiter="\t", quoting=csv.QUOTE_NONE
        )
        pairs = [(one["original"], one["translation"]) for one in lines if float(one["mean"]) >= 70]
        yield "encyclopedia", language, [(b, a) if name == "ruen" else (a, b) for a, b in pairs]
    text = gzip.decompress((data / "parallel" / "tico19" / "all.en-fr.tmx.gz").read_bytes()).decode()
    units = regex.findall(r"<tuv[^>]*>\s*<seg>(.*?)</seg>", text, regex.S)
    yield "medicine", "fr", list(zip(units[::2], units[1::2], strict=True))


def chosen(pairs: list[Pair], half: int, most: int, rng: random.Random) -> list[Pair]:
    """Some pairs of one half, each English text once."""
    seen: set[str] = set()
    mine = []
    for a, b in pairs:
        key = regex.sub(r"\W+", "", a.casefold())
        if part(a) == half and key not in seen and len(a.strip()) > 5:
            seen.add(key)
            mine.append((a, b))
    rng.shuffle(mine)
    return mine[:most]


def mixture(pairs: list[Pair], language: str) -> list[Plant]:
    """Rows in English, and as many in the other language, of which a tenth are translations of one of them."""
    cut = len(pairs) * 10 // 19
    rows = [Plant(a, "en", number, "", f"a{number}") for number, (a, _) in enumerate(pairs[:cut])]
    return rows + [
        Plant(pairs[number][1], language, number, "translation", f"b{number}")
        for number in range(cut - cut // 10, len(pairs))
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--half", choices=["tune", "held"], default="held")
    parser.add_argument("--most", type=int, default=1500, help="pairs of each kind and language")
    parser.add_argument("--examples", type=int, default=0)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="parameters of the step")
    arguments = parser.parse_args()
    parameters: dict[str, Any] = {
        name: json.loads(value) for name, _, value in (one.partition("=") for one in arguments.set)
    }
    half = ("tune", "held").index(arguments.half)
    lines = []
    total: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    with tempfile.TemporaryDirectory() as scratch:
        world = World(arguments.cache or Path(scratch), 2)
        world.model("use-multilingual")
        for source in (instructions, short):
            for name, language, pairs in source(arguments.data):
                mine = chosen(pairs, half, arguments.most, random.Random(f"{name} {language}"))
                rows, planted = mixture(mine, language), len(mine) * 10 // 19 // 10
                if planted < 20:
                    continue
                stays, _, seconds = clusters_of(rows, world, method="cross_lingual", **parameters)
                gone = [(rows[at], rows[to]) for at, to in enumerate(stays) if at != to]
                right = sum(one.family == other.family for one, other in gone)
                wrong = [
                    (one, other)
                    for one, other in gone
                    if one.family != other.family and not same_sentence(mine[one.family][0], mine[other.family][0])
                ]
                for key in (name, "all"):
                    total[key][0] += planted
                    total[key][1] += right
                    total[key][2] += len(wrong)
                lines.append(_line(name, language, len(rows), planted, right, len(wrong), seconds))
                for one, other in wrong[: arguments.examples]:
                    print(f"<!-- {name}, {language}: {one.text[:150]!r} / {other.text[:150]!r} -->")
    lines += [_line(name, "all", 0, *values, 0.0) for name, values in total.items()]
    print(f"\n### {arguments.half} {parameters}\n")
    print(markdown(["texts", "language", "rows", "translations", "recall", "precision", "seconds"], lines))


def _line(name: str, language: str, rows: int, planted: int, right: int, wrong: int, seconds: float) -> list[str]:
    precision = right / (right + wrong) if right + wrong else float("nan")
    return [name, language, str(rows or ""), str(planted), shown(right / planted), shown(precision), f"{seconds:.0f}"]


if __name__ == "__main__":
    main()

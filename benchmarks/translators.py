"""How well and how fast each translator that runs here translates, and whether a way through a third language is
better.

    python benchmarks/translators.py DATA [--apertium TREE] [--rows 300] [--seq2seq FOLDER ...] [--json FILE]

DATA is the folder of development data (parallel/en_32_languages.parquet, parallel/tatoeba, bench/xquad). Printed for
each test set and way: sentences a second (one process, nothing kept), BLEU and chrF2 (sacrebleu), and the mean cosine
of translation and reference (Universal Sentence Encoder, where it knows the target).
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import sacrebleu

from curate.errors import CurateError
from curate.models.embedding.use_multilingual import UseMultilingual
from curate.models.translation.apertium import Apertium
from curate.models.translation.bergamot import Bergamot
from curate.models.translation.route import Route
from curate.models.translation.seq2seq import Seq2Seq

TATOEBA = {
    "spa": "es",
    "fra": "fr",
    "deu": "de",
    "rus": "ru",
    "cmn": "zh",
    "hin": "hi",
    "jpn": "ja",
    "swh": "sw",
    "tha": "th",
    "ara": "ar",
}
Test = tuple[str, str, str, list[str], list[str]]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--apertium", type=Path, help="an unpacked tree; by default what is installed")
    parser.add_argument("--seq2seq", nargs="*", default=[], help="folders or Hub names of further models")
    parser.add_argument("--rows", type=int, default=300, help="sentences of each test set")
    parser.add_argument("--hops", type=int, default=3, choices=range(1, 5), help="most translations in a row")
    parser.add_argument("--ways", type=int, default=1, help="how many ways of each length to measure")
    parser.add_argument("--sets", nargs="*", help="only these test sets: udhr, gettext, xquad, tatoeba")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="where to put the figures")
    return parser.parse_args()


def tests(data: Path, rows: int) -> Iterator[Test]:
    """(test set, source, target, source sentences, reference translations)."""
    table = pl.read_parquet(data / "parallel" / "en_32_languages.parquet").filter(pl.col("src") != "quran")
    for origin in ("udhr", "gettext"):
        part = table.filter(
            pl.col("src").str.contains("udhr") if origin == "udhr" else ~pl.col("src").str.contains("udhr|quran")
        )
        sides = {}
        for language in ("es", "pt", "fr", "it", "ca"):
            chosen = part.filter(pl.col("lang") == language).unique("en", keep="first", maintain_order=True)
            if origin == "gettext":
                # Sentences, not labels of buttons.
                chosen = chosen.filter(
                    (pl.col("en").str.count_matches(" ") >= 6) & ~pl.col("en").str.contains("[%_{<\n]")
                )
            sides[language] = dict(zip(chosen["en"], chosen["xx"], strict=True))
        for language, pairs in sides.items():
            yield from _both(origin, "en", language, list(pairs), list(pairs.values()), rows)
            for other, others in sides.items():
                if language < other:
                    common = [text for text in pairs if text in others]
                    yield from _both(
                        origin,
                        language,
                        other,
                        [pairs[text] for text in common],
                        [others[text] for text in common],
                        rows,
                    )
    english, spanish = (_questions(data / "bench" / "xquad" / f"xquad.{tag}.json.gz") for tag in ("en", "es"))
    common = sorted(english.keys() & spanish.keys())
    yield from _both("xquad", "en", "es", [english[key] for key in common], [spanish[key] for key in common], rows)
    for code, language in TATOEBA.items():
        stem = data / "parallel" / "tatoeba" / f"tatoeba.{code}-eng"
        if Path(f"{stem}.eng").is_file():
            yield from _both("tatoeba", "en", language, _lines(f"{stem}.eng"), _lines(f"{stem}.{code}"), rows)


def _both(name: str, one: str, other: str, ones: list[str], others: list[str], rows: int) -> Iterator[Test]:
    places = [place for place in range(len(ones)) if ones[place].strip() and others[place].strip()]
    chosen = sorted(random.Random(0).sample(places, min(rows, len(places))))
    if len(chosen) >= 30:
        left, right = [ones[place] for place in chosen], [others[place] for place in chosen]
        yield name, one, other, left, right
        yield name, other, one, right, left


def _questions(file: Path) -> dict[str, str]:
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        articles = json.load(stream)["data"]
    return {
        q["id"]: q["question"] for article in articles for paragraph in article["paragraphs"] for q in paragraph["qas"]
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines()


def main() -> None:
    given = parse()
    warnings.simplefilter("ignore")
    models: dict[str, Any] = {}
    for name, model in (
        ("bergamot", Bergamot()),
        ("apertium", Apertium(path=given.apertium)),
        *((Path(folder).name, Seq2Seq(model=folder)) for folder in given.seq2seq),
    ):
        try:
            model.name_and_revision()
            models[name] = model
        except CurateError as error:
            print(f"left out: {error}", file=sys.stderr)

    def fresh(name: str) -> Any:
        """Loaded anew: nothing that was translated before is kept."""
        return models[name].load(cache=None, threads=given.threads)

    loaded = {name: fresh(name) for name in models}
    route = Route(through=tuple(models), max_hops=3).with_models(models)
    router = route.load(cache=None, threads=given.threads)
    encoder = UseMultilingual().load(cache=None, threads=given.threads)
    figures = []
    print("| set | way | sentences | a second | BLEU | chrF2 | cosine |\n|---|---|---:|---:|---:|---:|---:|")
    for name, source, target, texts, references in tests(given.data, given.rows):
        if given.sets and name not in given.sets:
            continue
        for model, translator in loaded.items():
            if translator.supports(source, target):
                figures.append(
                    measure(name, model, f"{source}→{target}", fresh(model), source, target, texts, references, encoder)
                )
        for hops in range(2, given.hops + 1):
            # Of ways of a length those that the plan thinks best.
            for path in router.paths(source, target, exactly=hops)[: given.ways]:
                shown = "→".join([source, *(step.target for step in path)])
                by = "+".join(step.model for step in path)
                way = route.load(cache=None, threads=given.threads).along(path)
                figures.append(measure(name, by, shown, way, source, target, texts, references, encoder))
    if given.json:
        given.json.write_text(json.dumps(figures, ensure_ascii=False, indent=1))


def measure(
    name: str,
    by: str,
    shown: str,
    translator: Any,
    source: str,
    target: str,
    texts: list[str],
    references: list[str],
    encoder: Any,
) -> dict[str, Any]:
    translator.translate(texts[:1], source, target)
    start = time.perf_counter()
    answers = translator.translate(texts, source, target)
    seconds = time.perf_counter() - start
    tokenize = "zh" if target == "zh" else "ja-mecab" if target == "ja" else "13a"
    row: dict[str, Any] = {
        "set": name,
        "by": by,
        "way": shown,
        "sentences": len(texts),
        "rate": len(texts) / seconds,
        "bleu": sacrebleu.corpus_bleu(answers, [references], tokenize=tokenize).score,
        "chrf": sacrebleu.corpus_chrf(answers, [references]).score,
        "cosine": float(np.mean(np.sum(encoder.encode(answers) * encoder.encode(references), axis=1)))
        if encoder.supports(target)
        else None,
    }
    cosine = f"{row['cosine']:.3f}" if row["cosine"] is not None else "–"
    print(
        f"| {name} | {shown} ({by}) | {len(texts)} | {row['rate']:.0f} | {row['bleu']:.1f} | {row['chrf']:.1f} |"
        f" {cosine} |",
        flush=True,
    )
    return row


if __name__ == "__main__":
    main()

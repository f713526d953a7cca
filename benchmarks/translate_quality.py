"""How good the rows of the step ``translate`` are with each translator that runs here, and what the step adds to the
translator.

    python benchmarks/translate_quality.py DATA [--apertium TREE] [--rows 300] [--sets xquad gettext …] [--pairs en-es
        …] [--show 20]

DATA is the folder of development data (alpaca, bench/xquad, bench/vicuna80, parallel/en_32_languages.parquet); what is
missing is left out. Every test set goes through the step as rows: conversations (XQuAD: passage and question, answer;
Alpaca: which has no references), prompts (Vicuna-80), documents (messages of programs with their placeholders; articles
of the Declaration).

Printed for each: rows a second (one process, nothing kept from before), the share kept apart, by the check that spoke
against it, chrF2 (sacrebleu) and mean cosine (Universal Sentence Encoder) against the references, and the share of rows
in which all that must stay is there as often as before: lines, and whatever expressions of this script's own find as
addresses, inline code, placeholders, tags and figures. In brackets the same of the translator alone, which is given
line by line.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import sacrebleu
from workbench import lines, make_rows, needing

from curate.errors import CurateError
from curate.generation.translate.step import Translate
from curate.models.embedding.use_multilingual import UseMultilingual
from curate.models.translation.apertium import Apertium
from curate.models.translation.bergamot import Bergamot
from curate.models.translation.route import Route
from curate.rows import Kind, with_ids
from curate.steps import Model, RowBatch

VICUNA = {"en": "English", "es": "Spanish", "pt": "Portuguese"}
MUST_STAY = {
    "address": re.compile(r"https?://[^\s<>\"')]+|[\w.+-]+@[\w-]+\.[\w.]+\w"),
    "code": re.compile(r"`[^`\n]+`"),
    "placeholder": re.compile(r"%\(?\w*\)?[sdiu]\b|\{\w*\}|\$\{\w+\}"),
    "tag": re.compile(r"</?[a-z][^<>\n]*>"),
}
# Not of ordinals: the 16th century is el siglo XVI.
FIGURE = re.compile(r"\d+(?:[.,]\d+)*(?!\d|\s?(?:st|nd|rd|th|º|ª)\b)")
GROUPS = re.compile(r"(?<=\d)[ \u00a0\u202f](?=\d{3}\b)")


@dataclass(frozen=True)
class Test:
    """Rows in one language, and the same in another."""

    name: str
    source: str
    target: str
    kind: Kind
    texts: list[tuple[str, ...]]
    """The turns of each row."""
    references: list[tuple[str, ...]] | None


class World:
    """The context of the step."""

    threads, memory, seed, draw = 1, 1 << 30, 0, 0

    def __init__(self, models: Mapping[str, Any]) -> None:
        self._models = models
        self.warnings: list[str] = []

    def model(self, name: str) -> Any:
        return self._models[name]

    def model_name(self, name: str) -> str:
        return name

    def is_open(self, language: str) -> bool:
        return True

    def advance(self, rows: int) -> None: ...

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--apertium", type=Path, help="an unpacked tree; by default what is installed")
    parser.add_argument("--rows", type=int, default=300, help="rows of each test set")
    parser.add_argument("--sets", nargs="*", help="only these: xquad, gettext, udhr, vicuna, alpaca")
    parser.add_argument("--pairs", nargs="*", help="only these: en-pt es-en …")
    parser.add_argument("--show", type=int, default=0, help="rows of each set to print with what was kept apart")
    return parser.parse_args()


# --------------------------------------------------------------------------------------------------------------- tests
def tests(data: Path, rows: int) -> Iterator[Test]:
    """Every test set in every direction."""
    with needing(*(data / f"bench/xquad/xquad.{tag}.json.gz" for tag in ("en", "es"))) as there:
        if there:
            sides = {tag: _xquad(data / f"bench/xquad/xquad.{tag}.json.gz") for tag in ("en", "es")}
            yield from _both("xquad", Kind.SFT, sides, rows)
    with needing(data / "parallel/en_32_languages.parquet") as there:
        if there:
            yield from _catalogues(data / "parallel/en_32_languages.parquet", rows)
    with needing(*(data / f"bench/vicuna80/questions_{name}.jsonl" for name in VICUNA.values())) as there:
        if there:
            sides = {tag: _vicuna(data / f"bench/vicuna80/questions_{name}.jsonl") for tag, name in VICUNA.items()}
            yield from _both("vicuna", Kind.PROMPT, sides, rows)
    with needing(data / "alpaca/alpaca_data_en.json.gz") as there:
        if there:
            items = json.loads(gzip.decompress((data / "alpaca/alpaca_data_en.json.gz").read_bytes()))
            chosen = random.Random(0).sample([one for one in items if one["output"].strip()], rows)
            texts = [(f"{one['instruction']}\n\n{one['input']}".strip(), one["output"].strip()) for one in chosen]
            for target in ("pt", "es"):
                yield Test("alpaca", "en", target, Kind.SFT, texts, None)


def _both(name: str, kind: Kind, sides: Mapping[str, Mapping[Any, tuple[str, ...]]], rows: int) -> Iterator[Test]:
    for one in sides:
        for other in sides:
            common = [
                key
                for key in sides[one]
                if key in sides[other] and all(map(str.strip, (*sides[one][key], *sides[other][key])))
            ]
            if one == other or len(common) < 30:
                continue
            chosen = sorted(random.Random(0).sample(range(len(common)), min(rows, len(common))))
            keys = [common[place] for place in chosen]
            yield Test(name, one, other, kind, [sides[one][key] for key in keys], [sides[other][key] for key in keys])


def _xquad(file: Path) -> dict[str, tuple[str, ...]]:
    articles = json.loads(gzip.decompress(file.read_bytes()))["data"]
    # The first question of each passage: no passage twice.
    return {
        q["id"]: (f"{passage['context'].strip()}\n\n{q['question'].strip()}", q["answers"][0]["text"].strip())
        for article in articles
        for passage in article["paragraphs"]
        for q in passage["qas"][:1]
    }


def _vicuna(file: Path) -> dict[int, tuple[str, ...]]:
    found = map(json.loads, filter(None, lines(file)))
    return {one["question_id"]: (one["text"].strip(),) for one in found}


def _catalogues(file: Path, rows: int) -> Iterator[Test]:
    table = pl.read_parquet(file).filter(pl.col("lang").is_in(["es", "pt"]) & ~pl.col("src").str.contains("quran"))
    for name, part in (
        ("udhr", table.filter(pl.col("src").str.contains("udhr"))),
        # Sentences, not labels of buttons; with their placeholders and tags.
        ("gettext", table.filter(~pl.col("src").str.contains("udhr") & (pl.col("en").str.count_matches(" ") >= 6))),
    ):
        sides: dict[str, dict[str, tuple[str, ...]]] = {"en": {}}
        for tag in ("pt", "es"):
            pairs = part.filter(pl.col("lang") == tag).unique("en", keep="first", maintain_order=True)
            sides[tag] = {text: (said,) for text, said in zip(pairs["en"], pairs["xx"], strict=True)}
            sides["en"] |= {text: (text,) for text in pairs["en"]}
        yield from _both(name, Kind.DOCUMENT, sides, rows)


# ------------------------------------------------------------------------------------------------------------- figures
def rows_of(test: Test) -> Any:
    items: list[dict[str, Any]] = []
    for turns in test.texts:
        messages = [{"role": role, "content": text} for role, text in zip(("user", "assistant"), turns, strict=False)]
        payload = {
            Kind.SFT: {"messages": messages},
            Kind.PROMPT: {"prompt": messages},
            Kind.DOCUMENT: {"text": turns[0]},
        }
        items.append({"language": test.source, **payload[test.kind]})
    return make_rows(test.kind, items)


def text_of(row: Mapping[str, Any]) -> str:
    turns = row.get("messages") or row.get("prompt")
    return "\n\n".join(turn["content"] for turn in turns) if turns else str(row["text"])


def intact(source: str, target: str) -> bool:
    """Whether all that must stay is there as often as before."""
    if source.count("\n") != target.count("\n"):
        return False
    if any(Counter(sign.findall(source)) != Counter(sign.findall(target)) for sign in MUST_STAY.values()):
        return False
    # 1,000 may be 1.000, a hundred and a half may not be forgotten; what is under 13 may be spelled out.
    # The seventies may be the 1970s.
    before, after = (
        Counter(re.sub(r"[.,]", "", one) for one in FIGURE.findall(GROUPS.sub("", text))) for text in (source, target)
    )
    return not any(
        int(number) > 12 and not (len(number) == 2 and number[1] == "0" and any(one.endswith(number) for one in after))
        for number in (before - after).elements()
    )


def measure(test: Test, by: str, way: str, model: Model, encoder: Any, show: int) -> None:
    translator = model.load(cache=None, threads=1)
    translator.translate(["A"], test.source, test.target)
    rows = rows_of(test)
    step = Translate(to=(test.target,), model="it", keep_original=False, max_error_rate=1.0)
    context = World({"it": translator})
    start = time.perf_counter()
    made = [one if isinstance(one, RowBatch) else RowBatch(one) for one in step.make(rows, context)]  # type: ignore[arg-type]
    seconds = time.perf_counter() - start
    new = {
        row["lineage"]["parents"][0]: text_of(row) for one in made for row in with_ids(test.kind, one.table).to_pylist()
    }
    bad = [one for part in made for one in part.bad]
    reasons = Counter(one.reason.split(": ")[1] for one in bad)
    kept = [place for place, row_id in enumerate(rows.ids) if row_id in new]
    sources = ["\n\n".join(turns) for turns in test.texts]
    said = [new[rows.ids[place]] for place in kept]
    alone = _alone(model, sources, test)
    places = list(range(len(sources)))
    cells = [
        test.name,
        f"{way} ({by})",
        str(len(rows)),
        f"{len(rows) / seconds:.0f}",
        f"{len(bad) / len(rows):.1%}"
        + (f" ({', '.join(f'{name} {count}' for name, count in reasons.most_common())})" if bad else ""),
        *_likeness(test, kept, said, alone, places, encoder),
        f"{np.mean([intact(sources[at], text) for at, text in zip(kept, said, strict=True)]):.1%} "
        f"({np.mean([intact(one, other) for one, other in zip(sources, alone, strict=True)]):.1%})",
    ]
    print(f"| {' | '.join(cells)} |", flush=True)
    for one in bad[:show]:
        print(f"  apart: {one.reason}: {one.raw[:300]!r}", file=sys.stderr)
    for at, text in list(zip(kept, said, strict=True))[:show]:
        print(f"  {sources[at]!r}\n  → {text!r}", file=sys.stderr)


def _alone(model: Model, texts: list[str], test: Test) -> list[str]:
    """The texts by the translator itself, line by line."""
    translator = model.load(cache=None, threads=1)
    asked = [line for text in texts for line in text.split("\n")]
    answers = iter(translator.translate(asked, test.source, test.target))
    return ["\n".join(next(answers) for _ in text.split("\n")) for text in texts]


def _likeness(
    test: Test, kept: list[int], said: list[str], alone: list[str], places: list[int], encoder: Any
) -> tuple[str, str]:
    if test.references is None:
        return "–", "–"
    references = ["\n\n".join(turns) for turns in test.references]

    def chrf(at: list[int], texts: list[str]) -> float:
        return float(sacrebleu.corpus_chrf(texts, [[references[place] for place in at]]).score)

    def cosine(at: list[int], texts: list[str]) -> float:
        return float(
            np.mean(np.sum(encoder.encode(texts) * encoder.encode([references[place] for place in at]), axis=1))
        )

    return (
        f"{chrf(kept, said):.1f} ({chrf(places, alone):.1f})",
        f"{cosine(kept, said):.3f} ({cosine(places, alone):.3f})",
    )


def main() -> None:
    given = parse()
    models: dict[str, Model] = {}
    for name, model in (("bergamot", Bergamot()), ("apertium", Apertium(path=given.apertium))):
        try:
            model.name_and_revision()
            models[name] = model
        except CurateError as error:
            print(f"left out: {error}", file=sys.stderr)
    route = Route(through=tuple(models)).with_models(models)
    loaded: dict[str, Any] = {name: model.load(cache=None, threads=1) for name, model in models.items()}
    router = route.load(cache=None, threads=1)
    encoder = UseMultilingual().load(cache=None, threads=1)
    print(
        "| set | way | rows | a second | kept apart | chrF2 | cosine | intact |\n|---|---|---:|---:|---|---:|---:|---:|"
    )
    for test in tests(given.data, given.rows):
        if given.sets and test.name not in given.sets:
            continue
        if given.pairs and f"{test.source}-{test.target}" not in given.pairs:
            continue
        direct = f"{test.source}→{test.target}"
        for name, translator in loaded.items():
            if translator.supports(test.source, test.target):
                measure(test, name, direct, models[name], encoder, given.show)
        way = router.way(test.source, test.target)
        if way is not None and len(way) > 1:
            shown = "→".join([test.source, *(hop.target for hop in way)])
            measure(test, "route", shown, route, encoder, given.show)


if __name__ == "__main__":
    main()

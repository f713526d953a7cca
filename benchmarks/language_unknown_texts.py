"""Texts in known and unknown languages, in two halves, and what ``ensemble`` says of them."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import regex
from language_texts import plain_tag, read_items, udhr

from curate.models.langid.ensemble import LoadedEnsemble
from curate.models.langid.ensemble_scoring import gather, split_words
from curate.models.langid.labels import ReadTexts
from curate.models.langid.scripts import as_trained
from curate.models.langid.triples import Triples, find_triples
from curate.models.langid.unknown import gather_evidence
from curate.text.masks import MASKABLE, mask

HALVES = ("tune", "held")


class Text(NamedTuple):
    language: str
    known: bool
    half: str
    corpus: str
    length: str
    text: str


# --------------------------------------------------------------------------------------------------------------- texts
def half_of(key: str) -> str:
    return HALVES[zlib.crc32(key.encode()) % 2]


def declaration_names(folder: Path) -> dict[str, str]:
    """Tag → the first word of the language's name."""
    found: dict[str, str] = {}
    for line in gzip.decompress((folder / "mono" / "udhr.jsonl.gz").read_bytes()).decode().splitlines():
        row = json.loads(line)
        for code in (row["iso6393"], row["bcp47"]):
            found.setdefault(str(plain_tag(code)), regex.split(r"[ ,(]", row["name"])[0])
    return found


def read_texts(folder: Path, messages: Path | None, system: Path | None, model: LoadedEnsemble) -> Iterator[Text]:
    names = declaration_names(folder)
    paragraphs: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for tag, at, paragraph in udhr(folder):
        paragraphs[tag].append((at, " ".join(paragraph.split())))
    for tag, mine in paragraphs.items():
        rng = random.Random(tag)
        mine = [(at, one) for at, one in mine if sum(map(str.isalpha, one)) >= 20]
        if not model.names(tag):
            half = half_of(names.get(tag, tag))
            for _, one in mine:
                yield Text(tag, False, half, "udhr", "full", one)
                words = one.split()
                for size in (8, 4):
                    if len(words) > size:
                        start = rng.randrange(len(words) - size + 1)
                        yield Text(tag, False, half, "udhr", str(size), " ".join(words[start : start + size]))
        elif model.supports(tag):
            yield from (Text(tag, True, half_of(one), "udhr, paragraphs", "full", one) for at, one in mine if at % 2)
    yield from instructions(folder)
    for item in read_items(folder, messages, system):
        if model.supports(item.language) and not (item.corpus == "udhr" and item.part == 0):
            half = {"messages": "held", "system": "tune"}.get(item.corpus, half_of(item.text))
            yield Text(item.language, True, half, item.corpus, item.length, item.text)
            words = [word for word in split_words(item.text) if len(word) >= 3] if item.length == "full" else []
            if words and len(item.text.split()) >= 4:
                yield Text(item.language, True, half, item.corpus, "1", random.Random(item.text).choice(words))


def instructions(folder: Path) -> Iterator[Text]:
    """Answers of Alpaca, many of them lists and single words, as the step ``language`` reads them."""
    for tag, name in (("en", "alpaca_data_en.json.gz"), ("de", "alpaca_de_openai_12k.jsonl.gz")):
        whole = gzip.decompress((folder / "alpaca" / name).read_bytes()).decode()
        rows = json.loads(whole) if name.endswith(".json.gz") else map(json.loads, whole.splitlines())
        answers = random.Random(tag).sample([str(row["output"]) for row in rows if row["output"]], 4000)
        for one in as_trained(mask(pl.Series(answers), MASKABLE)):
            if sum(map(str.isalpha, one)) >= 20:
                yield Text(tag, True, half_of(one), f"Alpaca, {tag}", "full", one)


def look(model: LoadedEnsemble, texts: list[str], usual: Triples | None) -> tuple[list[str], Any, Any, Any]:
    """The label and probability of each text without the check, and the evidence of :func:`gather_evidence`."""
    labels, shares, places, rows = [], [], [], []
    for start in range(0, len(texts), 512):
        read = ReadTexts(texts[start : start + 512], 4000)
        said = [member.identify(read, 10) for member in model._members]
        features = gather(model._known, read, said, model._covers, read.scripts)
        letters = find_triples([split_words(one) for one in read])
        weighed = model._weigh(features, letters)
        best, value = weighed.argmax(axis=1), weighed.max(axis=1)
        tags = [model._known.tags[at] if value[row] else "" for row, at in enumerate(best)]
        names = [[model._known.tags[at] if at >= 0 else "" for at in row] for row in features.best.tolist()]
        at, given = gather_evidence(letters, tags, value, names, model._current().has[best], usual)
        labels += tags
        shares.append(value)
        places.append(at + start)
        rows.append(given)
    return labels, np.concatenate(shares), np.concatenate(places), np.concatenate(rows)

"""Good pairs of several public corpora, split by document into those that something may be learnt from and those kept
for testing.
"""

from __future__ import annotations

import gzip
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

import orjson
import pyarrow.parquet as pq
from workbench import World, lines, make_rows

from curate.rows import Kind, languages
from filters.misalignment import Misalignment


@dataclass(frozen=True)
class Pair:
    """A source, its target, and where they come from."""

    corpus: str
    document: str
    source_language: str
    target_language: str
    source: str
    target: str

    @property
    def key(self) -> str:
        return f"{self.corpus}\t{self.source_language}\t{self.target_language}\t{self.source}\t{self.target}"

    @property
    def test(self) -> bool:
        """Whether its document is kept for testing."""
        return number(self.corpus + self.document) % 2 == 0


def number(given: str) -> int:
    return int.from_bytes(blake2b(given.encode("utf-8", "replace"), digest_size=6).digest(), "big")


TATOEBA = ("ara", "cmn", "deu", "fra", "hin", "jpn", "rus", "spa", "swh", "tha")


def good_pairs(data: Path) -> list[Pair]:
    """The pairs of TICO-19, XQuAD, Tatoeba and MGSM that are in the data folder, half of them turned round (into
    English).
    """
    found = [
        *tico(data / "parallel" / "tico19"),
        *xquad(data / "bench" / "xquad"),
        *tatoeba(data / "parallel" / "tatoeba"),
        *mgsm(data / "bench" / "mgsm"),
    ]
    turned = []
    for pair in found:
        # By document, so that no text is on both sides of the split; paragraphs and their questions go the same way.
        back = number("turn" + pair.document + pair.target_language + pair.source[:40]) % 2 == 0
        turned.append(
            replace(
                pair, source_language=pair.target_language, target_language="en", source=pair.target, target=pair.source
            )
            if back
            else pair
        )
    return list({pair.key: pair for pair in turned}.values())


def tico(folder: Path) -> Iterator[Pair]:
    for path in sorted(folder.glob("all.en-*.tmx.gz")):
        tag = path.name.removeprefix("all.en-").split(".")[0]
        found = []
        for unit in ET.fromstring(gzip.decompress(path.read_bytes())).iter("tu"):
            sides = [" ".join("".join(each.itertext()).split()) for each in unit.iter("seg")]
            if len(sides) == 2 and all(sides):
                found.append(Pair("tico", unit.get("tuid", "").split(":")[0], "en", tag, sides[0], sides[1]))
        yield from in_step(found)


def in_step(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs of one file that the step ``misalignment`` finds in step: of the French TICO-19, 269 rows are out of
    order.
    """
    rows = make_rows(
        Kind.PARALLEL,
        [
            {
                "source_language": one.source_language,
                "language": one.target_language,
                "source": one.source,
                "target": one.target,
            }
            for one in pairs
        ],
    )
    step = Misalignment()
    with tempfile.TemporaryDirectory() as scratch:
        world, path = World(Path(scratch), 1), Path(scratch) / "summary.parquet"
        pq.write_table(step.summarize(rows, world), path)
        shifts = next(iter(step.decide([path], world)))["shift"].to_pylist()
    return [pair for pair, shift in zip(pairs, shifts, strict=True) if shift == 0]


def xquad(folder: Path) -> Iterator[Pair]:
    english = (
        orjson.loads(gzip.decompress((folder / "xquad.en.json.gz").read_bytes()))["data"]
        if (folder / "xquad.en.json.gz").exists()
        else []
    )
    for path in sorted(folder.glob("xquad.*.json.gz")):
        tag = path.name.split(".")[1]
        if tag == "en":
            continue
        for article, (one, other) in enumerate(
            zip(english, orjson.loads(gzip.decompress(path.read_bytes()))["data"], strict=True)
        ):
            for here, there in zip(one["paragraphs"], other["paragraphs"], strict=True):
                yield Pair("xquad paragraphs", f"article {article}", "en", tag, here["context"], there["context"])
                for question, asked in zip(here["qas"], there["qas"], strict=True):
                    yield Pair(
                        "xquad questions", f"article {article}", "en", tag, question["question"], asked["question"]
                    )


def tatoeba(folder: Path) -> Iterator[Pair]:
    for code in TATOEBA:
        paths = [folder / f"tatoeba.{code}-eng.{side}" for side in ("eng", code)]
        if all(path.exists() for path in paths):
            for place, (one, other) in enumerate(zip(*map(lines, paths), strict=True)):
                # Neighbouring lines are variants of one sentence.
                yield Pair("tatoeba", f"{code} {place // 20}", "en", languages.normalize(code), one, other)


def mgsm(folder: Path) -> Iterator[Pair]:
    if not (folder / "mgsm_en.tsv").exists():
        return
    english = [line.split("\t")[0] for line in lines(folder / "mgsm_en.tsv") if line]
    for path in sorted(folder.glob("mgsm_*.tsv")):
        tag = path.stem.split("_")[1]
        if tag != "en":
            for place, (one, line) in enumerate(zip(english, lines(path), strict=False)):
                yield Pair("mgsm", f"item {place}", "en", tag, one, line.split("\t")[0])

"""How far the steps that name languages can be believed: the section ``language`` of quality.py."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
from agreement import share, table
from workbench import World, documents, lines, needing, values

from curate.models.langid.fasttext import WEAK
from curate.rows import languages
from curate.steps import LanguageIdentifier
from curate.text import segmentation as text

TATOEBA = ("ara", "cmn", "deu", "fra", "hin", "jpn", "rus", "spa", "swh", "tha")
MOST_SPOKEN = 40
LEAST_ACCURACY = 0.6


def corpora(data: Path) -> Iterator[tuple[str, dict[str, list[str]]]]:
    """Corpus → language tag → texts known to be in it."""
    bench = data / "bench"
    mgsm = {
        path.stem.split("_")[1]: [line.split("\t")[0] for line in lines(path) if line]
        for path in sorted(bench.glob("mgsm/mgsm_*.tsv"))
    }
    xquad = {}
    for path in sorted(bench.glob("xquad/xquad.*.json.gz")):
        articles = orjson.loads(gzip.decompress(path.read_bytes()))["data"]
        xquad[path.name.split(".")[1]] = [
            question["question"]
            for article in articles
            for paragraph in article["paragraphs"]
            for question in paragraph["qas"]
        ]
    names = {
        "Arabic": "ar",
        "Chinese": "zh",
        "Deutsch": "de",
        "English": "en",
        "French": "fr",
        "Hindi": "hi",
        "Indonesian": "id",
        "Italian": "it",
        "Japanese": "ja",
        "Korean": "ko",
        "Portuguese": "pt",
        "Spanish": "es",
    }
    vicuna = {
        names[path.stem.split("_")[1]]: [orjson.loads(line)["text"] for line in lines(path) if line]
        for path in sorted(bench.glob("vicuna80/questions_*.jsonl"))
    }
    tatoeba = {
        languages.normalize(code): lines(path)
        for code in TATOEBA
        if (path := data / "parallel" / "tatoeba" / f"tatoeba.{code}-eng.{code}").exists()
    }
    for name, corpus in (("mgsm", mgsm), ("xquad questions", xquad), ("vicuna80", vicuna), ("tatoeba", tatoeba)):
        if corpus:
            yield name, corpus
        else:
            print(f"left out: {name} is not in the data folder", file=sys.stderr)


def language(world: World, data: Path) -> None:
    print("\n### Language against known languages")
    step = world.step("language")
    found: list[list[Any]] = []
    sums: list[list[Any]] = []
    least: list[list[Any]] = []
    for name, corpus in corpora(data):
        tags = sorted(corpus)
        right = documents([tag for tag in tags for _ in corpus[tag]], [one for tag in tags for one in corpus[tag]])
        swapped = [
            [other for other in tags if other != tag][number % (len(tags) - 1)]
            for tag in tags
            for number, _ in enumerate(corpus[tag])
        ]
        wrong = documents(swapped, [one for tag in tags for one in corpus[tag]])
        one, two = world.judge(step, right), world.judge(step, wrong)
        truth = right.language.to_numpy()
        for tag in [*tags, "all"]:
            at = (truth == tag) | (tag == "all")
            kept, caught = ~one["dropped"].to_numpy()[at], two["dropped"].to_numpy()[at]
            told = ~np.isnan(values(two))[at]
            row = [
                tag,
                int(at.sum()),
                share(kept),
                share(~np.isnan(values(one))[at]),
                share(caught),
                share(caught[told]),
            ]
            (sums if tag == "all" else found).append([name, *row])
        for number in (1, 5, 10, 15, 20, 30) if name == "tatoeba" else ():
            one, two = (world.judge(world.step("language", min_letters=number), rows) for rows in (right, wrong))
            caught, told = two["dropped"].to_numpy(), ~np.isnan(values(two))
            shown = f"**{number}**" if number == 20 else number
            least.append(
                [
                    shown,
                    share(~one["dropped"].to_numpy()),
                    share(~np.isnan(values(one))),
                    share(caught),
                    share(caught[told]),
                ]
            )
    header = [
        "corpus",
        "language",
        "rows",
        "% of right rows kept",
        "% of right rows scored",
        "% of swapped rows caught",
        "% of scored swapped rows caught",
    ]
    if found:
        note = (
            "Swapped: the row's tag is another language of the corpus, by turns. Not scored: too few letters, or the"
            " identifier does not know the (claimed) language."
        )
        table("The step at its defaults, whole corpora", [*header], sums, note)
        table("The same by the text's language", header, found)
    if least:
        table("Tatoeba by the least number of letters (20 is the default)", ["min_letters", *header[3:]], least)
    declared(world, data / "mono" / "udhr.jsonl.gz", data / "meta" / "linguameta.tsv.gz")


def declared(world: World, udhr: Path, meta: Path) -> None:
    with needing(udhr, meta) as there:
        if not there:
            return
    identifier: LanguageIdentifier = world.model("fasttext")
    speakers: dict[str, int] = {}
    header, *body = (line.split("\t") for line in lines(meta) if line)
    code, count = header.index("bcp_47_code"), header.index("estimated_number_of_speakers")
    for row in body:
        tag = normal(row[code])
        if tag and row[count]:
            speakers[tag] = max(speakers.get(tag, 0), int(float(row[count])))
    pieces: dict[str, list[str]] = {}
    second: dict[str, list[str]] = {}
    for line in lines(udhr):
        entry = orjson.loads(line)
        tag = normal(entry["bcp47"] or entry["iso6393"])
        # A number instead of a code: a second version, or a dialect under the name of its language.
        kept = (second if entry["code"].isdecimal() else pieces).setdefault(tag, [])
        kept += [one for one in entry["paragraphs"] if len(one) <= 300]
    pieces = second | pieces
    pieces.pop("", None)
    accuracy: dict[str, tuple[float, int]] = {}
    unknown = 0
    for tag, texts in sorted(pieces.items()):
        series = pl.Series("text", texts, dtype=pl.String)
        letters = text.letter_weights(series, pl.Series([tag] * len(texts), dtype=pl.String))["letters"]
        texts = series.filter(letters >= 60).to_list()
        if not (identifier.supports(tag) or languages.base(tag) in WEAK):
            unknown += 1
        elif texts:
            best = identifier.identify(texts, 1).languages
            hits = [
                bool(one) and (languages.accepts(tag, one[0]) or languages.base(tag) == languages.base(one[0]))
                for one in best
            ]
            accuracy[tag] = (float(np.mean(hits)), len(texts))
    plain = [tag for tag in accuracy if "-" not in tag or tag == "zh-Hant"]
    spoken = sorted(plain, key=lambda tag: (-speakers.get(languages.base(tag), 0), tag))[:MOST_SPOKEN]
    cells = [f"{tag} {accuracy[tag][0]:.2f}" for tag in spoken]
    wide = 8
    note = (
        "Paragraphs of at most 300 characters and at least 60 Latin letters' worth; only languages that it has a label"
        f" for ({len(accuracy)} tags; {unknown} have none). In order of speakers."
    )
    table(
        f"lid.176 on the Declaration of Human Rights: accuracy in the {len(spoken)} most spoken languages",
        [""] * wide,
        [
            cells[start : start + wide] + [""] * (wide - len(cells[start : start + wide]))
            for start in range(0, len(cells), wide)
        ],
        note,
    )
    low = sorted(
        (tag for tag in accuracy if accuracy[tag][0] < LEAST_ACCURACY), key=lambda tag: (accuracy[tag][0], tag)
    )
    missing = [tag for tag in low if identifier.supports(tag)]
    print(
        f"\nBelow {LEAST_ACCURACY} ({len(low)} tags): "
        + ", ".join(f"{tag} {accuracy[tag][0]:.2f}" for tag in low)
        + "."
    )
    print(f"\nOf these the model says nevertheless that it supports them: {', '.join(missing) or 'none'}.")


def normal(code: str) -> str:
    """The canonical tag, or nothing if the code names no language."""
    try:
        return languages.normalize(code)
    except languages.InvalidLanguage:
        return ""

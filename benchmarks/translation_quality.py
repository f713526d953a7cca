"""What ``translation_quality`` finds: damage made on purpose, by kind and language; judgements of people and of a
model; its speed.

    python benchmarks/translation_quality.py all --data FOLDER         # damage | writing | encoders | judged |
        commentary | speed | all

Prints Markdown. Pairs are of documents that ``train_translation_quality.py`` has not seen; what the aligner learns
from is the
other documents' pairs. What is missing of the data folder is named and left out.
"""

from __future__ import annotations

import argparse
import gzip
import os
import platform
import re
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

for _name in ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402 - the thread counts must be set first
import orjson  # noqa: E402
import polars as pl  # noqa: E402
from agreement import share, table  # noqa: E402
from pair_corpora import Pair, good_pairs, number  # noqa: E402
from pair_corruptions import damaged  # noqa: E402
from train_translation_quality import DATA, chosen  # noqa: E402
from translation_quality_judged import LEAST, WITH, Flags, judged, judged_by, rows_of  # noqa: E402
from workbench import World, conversation, lines, make_rows, needing, values  # noqa: E402

from curate import __version__  # noqa: E402
from curate.rows import Kind  # noqa: E402
from filters.translation_quality.step import TranslationQuality  # noqa: E402


# -------------------------------------------------------------------------------------------------------------- damage
def damage(world: World, data: Path, cap: int) -> None:
    print("\n### Damage made on purpose")
    pairs = good_pairs(data)
    learnt, kept = [pair for pair in pairs if not pair.test], [pair for pair in pairs if pair.test]
    encoder = world.model("use-multilingual")
    items = [("good", pair) for pair in chosen(kept)]
    items += [(name, spoilt) for name, made in damaged(kept, cap).items() for _, spoilt in made]
    kinds = np.asarray([name for name, _ in items])
    inside = np.asarray(
        [encoder.supports(pair.source_language) and encoder.supports(pair.target_language) for _, pair in items], bool
    )
    rows, known = rows_of([pair for _, pair in items]), rows_of(learnt)
    similar = judged_by(world.step("similarity", min=LEAST), rows, world, None)["dropped"].to_numpy()
    dropped: dict[str, Flags] = {f"similarity ({LEAST})": similar}
    for name, parameters in WITH.items():
        step = TranslationQuality(**parameters)
        fitted = (
            step.fit([part for part in [step.sample(known, world)] if part is not None], world)
            if step.requires_fit
            else None
        )
        dropped[name] = judged_by(step, rows, world, fitted)["dropped"].to_numpy()
    dropped["all three and similarity"] = dropped["all three"] | similar
    order = list(dict.fromkeys(kinds.tolist()))
    for title, part in (
        ("languages that use-multilingual knows on both sides", inside),
        ("all other pairs of languages", ~inside),
    ):
        found = [
            [
                name,
                int((part & (kinds == name)).sum()),
                *(share(each[part & (kinds == name)]) for each in dropped.values()),
            ]
            for name in order
        ]
        table(f"Per cent dropped at the defaults, {title}", ["kind", "pairs", *dropped], found)
    good = kinds == "good"
    corpora = np.asarray([pair.corpus for _, pair in items])
    table(
        "Good pairs dropped, by corpus",
        ["corpus", "pairs", *dropped],
        [
            [
                name,
                int((good & (corpora == name)).sum()),
                *(share(each[good & (corpora == name)]) for each in dropped.values()),
            ]
            for name in sorted(set(corpora))
        ],
    )
    other = np.asarray(
        [pair.source_language if pair.target_language == "en" else pair.target_language for _, pair in items]
    )
    chosen_ = dropped["all three and similarity"]
    table(
        "By language beside English, all three and similarity",
        ["language", "good dropped", *order[1:]],
        [
            [
                tag,
                share(chosen_[good & (other == tag)]),
                *(share(chosen_[(kinds == name) & (other == tag)]) for name in order[1:]),
            ]
            for tag in sorted(set(other))
        ],
    )


def writing(world: World, data: Path) -> None:
    """Good pairs written otherwise: in capitals, with contractions split as tokenisers do."""
    print("\n### Good pairs written otherwise")
    groups: dict[tuple[str, ...], list[Pair]] = defaultdict(list)
    for pair in sorted((pair for pair in good_pairs(data) if pair.test), key=lambda pair: number(pair.key)):
        groups[pair.corpus, pair.source_language, pair.target_language].append(pair)
    few = [pair for group in groups.values() for pair in group[:30]]
    cased = [pair for pair in few if pair.source.upper() != pair.source]
    english = [pair for group in groups.values() for pair in group if pair.source_language == "en"]
    split = [replace(pair, source=re.sub(r"n(['’]t)\b", r" n\1", pair.source)) for pair in english]
    sets = {
        "as they are": few,
        "both sides in capitals": [
            replace(pair, source=pair.source.upper(), target=pair.target.upper()) for pair in cased
        ],
        "source in capitals": [replace(pair, source=pair.source.upper()) for pair in cased],
        "English contractions split (*is n't*)": [
            pair for pair, before in zip(split, english, strict=True) if pair.source != before.source
        ][:300],
    }
    found = []
    for name, pairs in sets.items():
        dropped = [
            share(judged_by(TranslationQuality(**more), rows_of(pairs), world, None)["dropped"].to_numpy())
            for more in ({}, {"max_negation": 0.08})
        ]
        found.append([name, len(pairs), *dropped])
    table("% of good pairs dropped, no model", ["written", "pairs", "defaults", "max_negation: 0.08"], found)


# ------------------------------------------------------------------------------------------------------------ encoders
def encoders(world: World, data: Path) -> None:
    """Good pairs, wrong rows and neighbouring rows by a list of encoders, at one threshold."""
    print("\n### Encoders by language pair")
    names = ("use-multilingual", "e5-multilingual")
    step = world.step("similarity", model=names)
    few = world.model(names[0])
    groups: dict[str, list[Pair]] = defaultdict(list)
    for pair in good_pairs(data):
        if pair.test and pair.source_language == "en" and pair.corpus != "xquad paragraphs":
            groups[pair.target_language].append(pair)
    found = []
    for language, pairs in sorted(groups.items(), key=lambda item: (few.supports(item[0]) is False, item[0])):
        chosen_ = sorted(pairs, key=lambda pair: number(pair.key))[:80]
        following = {id(one): other for one, other in pairwise(pairs)}
        sets = [
            chosen_,
            [
                replace(one, target=other.target)
                for one, other in zip(chosen_, [*chosen_[7:], *chosen_[:7]], strict=True)
            ],
            [replace(one, target=following.get(id(one), chosen_[0]).target) for one in chosen_],
        ]
        scores = [values(judged_by(step, rows_of(each), world, None)) for each in sets]
        low = [share(each < least) for least in (0.5, LEAST) for each in scores]
        found.append(
            [language, names[0 if few.supports(language) else 1], *(f"{each.mean():.2f}" for each in scores), *low]
        )
    kinds = ("good", "wrong", "next row")
    header = [f"{kind}: mean" for kind in kinds] + [
        f"{kind}: % under {least}" for least in (0.5, LEAST) for kind in kinds
    ]
    table("80 pairs a language, from English", ["language", "encoder", *header], found)


# ---------------------------------------------------------------------------------------------------------- commentary
def commentary(world: World, data: Path) -> None:
    print("\n### A translator that talks")
    english = (
        orjson.loads(gzip.decompress((data / "alpaca" / "alpaca_data_en.json.gz").read_bytes()))
        if (data / "alpaca" / "alpaca_data_en.json.gz").exists()
        else []
    )
    found = []
    for name in ("alpaca_de_openai_12k", "alpaca_de_deepl_4k"):
        path = data / "alpaca" / f"{name}.jsonl.gz"
        with needing(path) as there:
            if not there or not english:
                continue
        items = [item for item in map(orjson.loads, lines(path)) if item.get("alpaca_id") is not None]
        parents = make_rows(
            Kind.SFT,
            [
                conversation("en", *(english[item["alpaca_id"]][part] for part in ("instruction", "input", "output")))
                for item in items
            ],
        )
        rows = make_rows(
            Kind.SFT,
            [conversation("de", *(item[part] for part in ("instruction", "input", "output"))) for item in items],
            parents,
        )
        world._parents = parents
        frame = judged_by(TranslationQuality(), rows, world, None)
        reasons = frame["reason"].value_counts().drop_nulls().sort("count", descending=True)
        told = ", ".join(f"{reason} {count}" for reason, count in reasons.iter_rows())
        found.append([name, len(items), share(frame["dropped"].to_numpy()), int((frame["commentary"] > 0).sum()), told])
    if found:
        table(
            "German Alpaca, no model", ["file", "rows", "% dropped", "rows with commentary", "by first reason"], found
        )


# --------------------------------------------------------------------------------------------------------------- speed
def speed(world: World, data: Path) -> None:
    print("\n### Speed")
    pairs = [pair for pair in good_pairs(data) if pair.corpus != "xquad paragraphs"]
    rows = rows_of(pairs)
    TranslationQuality().score(rows_of(pairs[:100]), world, None)
    found = []
    for name, parameters in {
        "all checks without a model": {},
        **{
            f"only {check}": {"checks": (check,)}
            for check in (
                "length",
                "sentences",
                "ending",
                "copied",
                "script",
                "repetition",
                "numbers",
                "names",
                "placeholders",
                "negation",
                "encoding",
                "commentary",
            )
        },
    }.items():
        began = time.process_time()
        TranslationQuality(**parameters).score(rows, world, None)
        found.append([name, f"{(time.process_time() - began) / len(rows) * 1e6:.0f}"])
    letters = float(np.mean([len(pair.source) + len(pair.target) for pair in pairs]))
    table(
        f"{len(pairs):,} pairs of {letters:.0f} characters, both sides together, in"
        f" {len({pair.target_language for pair in pairs})} languages; one thread",
        ["checks", "µs of CPU a pair"],
        found,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "what", nargs="+", choices=("damage", "writing", "encoders", "judged", "commentary", "speed", "all")
    )
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--cap", type=int, default=12, help="pairs of each kind of damage, corpus and language")
    parser.add_argument("--scratch", type=Path, help="where vectors are kept from run to run")
    given = parser.parse_args()
    print(
        f"`curate {__version__}, Python {platform.python_version()}, numpy {np.__version__}, polars {pl.__version__}`"
    )
    with tempfile.TemporaryDirectory() as folder:
        world = World(given.scratch or Path(folder), 1)
        for name, run in (
            ("damage", None),
            ("writing", writing),
            ("encoders", encoders),
            ("judged", judged),
            ("commentary", commentary),
            ("speed", speed),
        ):
            if name in given.what or "all" in given.what:
                damage(world, given.data, given.cap) if run is None else run(world, given.data)


if __name__ == "__main__":
    main()

"""How many planted duplicates are found, and how much is called a duplicate that is none: by kind of change and
language.

    python benchmarks/duplicates.py --data FOLDER                       # all sections
    python benchmarks/duplicates.py near --languages en zh th           # some
    python benchmarks/duplicates.py near --peers /path/to/venv/bin/python ...   # beside semhash, text-dedup, datasketch

Every language gets some hundred real texts; of each, copies changed in known ways are planted, and copies that look
alike but mean something else (other numbers, a negation, another word in a template). A copy is found when it is in the
cluster of its original; anything else in one cluster is false. The same data and versions give the same tables.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

for _name in ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "2")

import regex  # noqa: E402 - the thread counts must be set first
from duplicates_peers import peers  # noqa: E402
from duplicates_plants import EDITS, SURFACE, Outcome, Plant, clusters_of, judge, planted, xquad  # noqa: E402
from workbench import DATA, World, markdown, shown  # noqa: E402

LANGUAGES = ("en", "zh", "ja", "th", "ar", "hi", "ru", "de", "sw", "ko", "es", "tr", "vi", "el", "bn", "te")
ENCODED = ("ar", "de", "es", "fr", "ja", "ko", "ru", "th", "tr", "zh")


def surface(world: World, arguments: argparse.Namespace) -> None:
    """Copies that differ in nothing that is said."""
    rows = planted(arguments.data, arguments.languages, SURFACE)
    everything = {
        "whitespace": "remove",
        "punctuation": "ignore",
        "digits": "fold",
        "diacritics": "ignore",
        "quotes": "fold",
        "joiners": "ignore",
        "html": "strip",
    }
    print(f"\n### Surface copies: recall by kind ({len(rows):,} rows, {len(arguments.languages)} languages)\n")
    methods = {
        "exact": {"method": "exact"},
        "exact, all switched on": {"method": "exact", **everything},
        "minhash 0.8": {"method": "minhash"},
    }
    found = {}
    for name, parameters in methods.items():
        stays, _, seconds = clusters_of(rows, world, **parameters)
        found[name] = judge(rows, stays)
        print(f"<!-- {name}: {seconds:.1f} s -->")
    print(
        markdown(
            ["", *SURFACE, "precision"],
            [
                [name, *(shown(one.recall(kind)) for kind in SURFACE), shown(one.precision())]
                for name, one in found.items()
            ],
        )
    )
    worst = found["minhash 0.8"]
    print("\nminhash by language:\n")
    print(
        markdown(
            ["", *SURFACE],
            [
                [language, *(shown(worst.recall(kind, language)) for kind in SURFACE)]
                for language in arguments.languages
            ],
        )
    )


def near(world: World, arguments: argparse.Namespace) -> None:
    """Copies with changes, and what only looks like a copy."""
    rows = planted(arguments.data, arguments.languages, EDITS)
    hard = Counter(one.change for one in rows if one.change in ("other number", "other word"))
    print(f"\n### Changed copies: recall by kind ({len(rows):,} rows; hard negatives: {dict(hard)})\n")
    methods: dict[str, dict[str, Any]] = {
        "minhash, edits 0.8 (default)": {"method": "minhash"},
        "minhash, edits 0.85": {"method": "minhash", "similarity": 0.85},
        "the same, numbers ignored": {"method": "minhash", "similarity": 0.85, "numbers": "ignore"},
        "minhash, jaccard 0.8": {"method": "minhash", "measure": "jaccard"},
        "minhash, jaccard 0.6": {"method": "minhash", "measure": "jaccard", "similarity": 0.6},
    }
    lines, found = [], {}
    for name, parameters in methods.items():
        stays, _, seconds = clusters_of(rows, world, **parameters)
        found[name] = one = judge(rows, stays)
        lines.append(_line(name, one, seconds, hard))
        if arguments.examples:
            for left, right in one.examples[: arguments.examples]:
                print(f"<!-- {name}: {left!r} / {right!r} -->")
    for name, stays, seconds in peers(rows, arguments.peers):
        lines.append(_line(name, judge(rows, stays), seconds, hard))
    print(
        markdown(["", *EDITS, "precision", *(f"{kind} merged" for kind in hard), "other rows merged", "seconds"], lines)
    )
    for name in ("minhash, edits 0.8 (default)",):
        print(f"\n{name}, by language:\n")
        one = found[name]
        print(
            markdown(
                ["", *EDITS, "precision", "other number merged"],
                [
                    [
                        language,
                        *(shown(one.recall(kind, language)) for kind in EDITS),
                        shown(one.precision(language)),
                        str(one.false[language, "other number"]),
                    ]
                    for language in arguments.languages
                ],
            )
        )


def _line(name: str, one: Outcome, seconds: float, hard: Counter[str]) -> list[str]:
    by_change: Counter[str] = Counter()
    for (_, change), count in one.false.items():
        by_change[change] += count
    rest = sum(by_change.values()) - sum(by_change[kind] for kind in hard)
    return [
        name,
        *(shown(one.recall(kind)) for kind in EDITS),
        shown(one.precision()),
        *(f"{by_change[kind]} of {count}" for kind, count in hard.items()),
        str(rest),
        f"{seconds:.1f}",
    ]


def meaning(world: World, arguments: argparse.Namespace) -> None:
    """Reworded copies and templates within a language: what the cosine does with what it was not made for."""
    languages = [one for one in arguments.languages if one in (*ENCODED, "en")]
    rows = planted(
        arguments.data, languages, {**{name: EDITS[name] for name in ("edits 5 %", "edits 10 %", "prefix", "cut 10 %")}}
    )
    hard = Counter(one.change for one in rows if one.change in ("other number", "other word"))
    print(f"\n### By meaning, within a language ({len(rows):,} rows; hard negatives: {dict(hard)})\n")
    kinds = ("edits 5 %", "edits 10 %", "prefix", "cut 10 %")
    lines = []
    for least in (0.85, 0.9, 0.92, 0.95):
        stays, _, seconds = clusters_of(rows, world, method="semantic", similarity=least)
        one = judge(rows, stays)
        told = _line(f"semantic {least}", one, seconds, hard)
        lines.append([told[0], *(shown(one.recall(kind)) for kind in kinds), *told[1 + len(EDITS) :]])
    for name, stays, seconds in peers(rows, arguments.peers, ("semhash",)):
        one = judge(rows, stays)
        told = _line(name, one, seconds, hard)
        lines.append([told[0], *(shown(one.recall(kind)) for kind in kinds), *told[1 + len(EDITS) :]])
    print(
        markdown(["", *kinds, "precision", *(f"{kind} merged" for kind in hard), "other rows merged", "seconds"], lines)
    )


def crossing(world: World, arguments: argparse.Namespace) -> None:
    """Translations of each other under different items; half of the rows have none. A row that goes for another one
    than its own counts as right where that says the same: the other's English, or an XQuAD question with the same
    answer."""
    print("\n### Across languages: translations planted under other items\n")
    lines: list[list[str]] = []
    methods: list[tuple[str, dict[str, Any]]] = [
        (
            f"{least} / {margin}{'' if mutual else ', one way'}",
            {"similarity": least, "margin": margin, "mutual": mutual},
        )
        for least, margin in arguments.crossing
        for mutual in (True, False)
    ]
    for kind in ("questions", "sentences"):
        alike = same_answer(arguments.data) if kind == "questions" else same_sentence
        for language in ENCODED:
            pairs = translations(arguments.data, language, kind)
            if len(pairs) < 100:
                continue
            half = len(pairs) // 2
            rows = [Plant(a, "en", number, "", f"a{number}") for number, (a, _) in enumerate(pairs[: half + half // 2])]
            rows += [
                Plant(b, language, number, "translation", f"b{number}")
                for number, (_, b) in enumerate(pairs)
                if not half // 2 <= number < half
            ]
            told = [
                (name, *clusters_of(rows, world, method="cross_lingual", **parameters)[::2])
                for name, parameters in methods
            ]
            told += peers(rows, arguments.peers, ("semhash",))
            originals = {one.family for one in rows if not one.change}
            total = sum(one.change != "" and one.family in originals for one in rows)
            for name, stays, seconds in told:
                gone = [(rows[number], rows[target]) for number, target in enumerate(stays) if target != number]
                right = sum(one.family == other.family for one, other in gone)
                as_good = sum(
                    one.family == other.family or alike(pairs[one.family][0], pairs[other.family][0])
                    for one, other in gone
                )
                share = [count / len(gone) if gone else float("nan") for count in (right, as_good)]
                lines.append(
                    [name, kind, language, str(total), shown(right / total), *map(shown, share), f"{seconds:.1f}"]
                )
                if arguments.examples and name == methods[0][0]:
                    wrong = [
                        (one.text, other.text)
                        for one, other in gone
                        if one.family != other.family and not alike(pairs[one.family][0], pairs[other.family][0])
                    ]
                    for one in wrong[: arguments.examples]:
                        print(f"<!-- {kind}, {language}: {one[0]!r} / {one[1]!r} -->")
    lines.sort(key=lambda line: (line[0], line[1]))
    print(
        markdown(
            [
                "cosine / margin",
                "texts",
                "language",
                "planted",
                "recall",
                "precision",
                "with what says the same",
                "seconds",
            ],
            lines,
        )
    )
    by: dict[tuple[str, str], list[list[float]]] = defaultdict(list)
    for line in lines:
        by[line[0], line[1]].append([float("nan") if one == "–" else float(one) for one in line[4:7]])
    print()

    def mean(each: list[list[float]], place: int) -> float:
        values = [one[place] for one in each if one[place] == one[place]]
        return sum(values) / len(values) if values else float("nan")

    print(
        markdown(
            [
                "cosine / margin",
                "texts",
                "mean recall",
                "least recall",
                "mean precision",
                "with what says the same",
                "least",
            ],
            [
                [
                    *key,
                    *(
                        shown(value)
                        for value in (
                            mean(each, 0),
                            min(one[0] for one in each),
                            mean(each, 1),
                            mean(each, 2),
                            min(one[2] for one in each),
                        )
                    ),
                ]
                for key, each in by.items()
            ],
        )
    )


def same_answer(data: Path) -> Callable[[str, str], bool]:
    """Whether two of XQuAD's English questions are about one paragraph with answers that overlap."""
    whole = json.loads(gzip.decompress((data / "bench" / "xquad" / "xquad.en.json.gz").read_bytes()))["data"]
    told: dict[str, tuple[int, int, int]] = {}
    for number, paragraph in enumerate(paragraph for article in whole for paragraph in article["paragraphs"]):
        for qa in paragraph["qas"]:
            start = qa["answers"][0]["answer_start"]
            told[qa["question"]] = (number, start, start + len(qa["answers"][0]["text"]))

    def alike(one: str, other: str) -> bool:
        a, b = told[one], told[other]
        return a[0] == b[0] and max(a[1], b[1]) < min(a[2], b[2])

    return alike


def same_sentence(one: str, other: str) -> bool:
    """Whether two English sentences differ in a few signs only."""
    from rapidfuzz import fuzz

    def bare(text: str) -> str:
        return (
            regex.sub(r"[^\w\s]", "", text.casefold())
            .replace(" am ", "m ")
            .replace(" is ", "s ")
            .replace(" not ", "nt ")
        )

    return float(fuzz.ratio(bare(one), bare(other))) >= 88


def translations(data: Path, language: str, kind: str) -> list[tuple[str, str]]:
    """Pairs of English and another language, each text once."""
    if kind == "questions":
        pairs = list(zip(xquad(data, "en"), xquad(data, language), strict=False))
    else:
        names = {"ar": "ara", "zh": "cmn", "de": "deu", "fr": "fra", "ja": "jpn", "ru": "rus", "es": "spa", "th": "tha"}
        stem = data / "parallel" / "tatoeba" / f"tatoeba.{names.get(language)}-eng"
        if not Path(f"{stem}.eng").exists():
            return []
        pairs = list(
            zip(
                Path(f"{stem}.eng").read_text().splitlines(),
                Path(f"{stem}.{names[language]}").read_text().splitlines(),
                strict=True,
            )
        )
    seen: set[str] = set()
    chosen = []
    for a, b in pairs:
        if a.strip() and b.strip() and a.casefold() not in seen and b.casefold() not in seen:
            seen |= {a.casefold(), b.casefold()}
            chosen.append((a, b))
    random.Random(language).shuffle(chosen)
    return chosen[:800]


SECTIONS = {"surface": surface, "near": near, "meaning": meaning, "crossing": crossing}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="section", help=f"of {', '.join(SECTIONS)}; all unless given")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--languages", nargs="+", default=list(LANGUAGES))
    parser.add_argument(
        "--peers", nargs="+", default=[], help="Python programs of environments with semhash, datasketch, text-dedup"
    )
    parser.add_argument("--examples", type=int, default=0, help="false pairs to show of each method")
    parser.add_argument(
        "--crossing",
        type=lambda one: tuple(map(float, one.split("/"))),
        nargs="+",
        default=[(0.5, 1.2), (0.6, 1.1)],
        help="cosine/margin",
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        world = World(Path(scratch), 2)
        for name in arguments.sections or SECTIONS:
            SECTIONS[name](world, arguments)


if __name__ == "__main__":
    main()

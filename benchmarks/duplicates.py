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
import html
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

for _name in ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "2")

import pyarrow as pa  # noqa: E402 - the thread counts must be set first
import pyarrow.parquet as pq  # noqa: E402
import regex  # noqa: E402
from workbench import World, make_rows  # noqa: E402

from curate.rows import Kind  # noqa: E402
from filters.duplicates.step import Duplicates  # noqa: E402

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
MOST = 250
"""Texts a language."""
SHORTEST = 24
"""Signs of a text that copies are made of."""
LANGUAGES = ("en", "zh", "ja", "th", "ar", "hi", "ru", "de", "sw", "ko", "es", "tr", "vi", "el", "bn", "te")
ENCODED = ("ar", "de", "es", "fr", "ja", "ko", "ru", "th", "tr", "zh")


# --------------------------------------------------------------------------------------------------------------- texts
def xquad(data: Path, language: str) -> list[str]:
    """The questions, in the order that all languages share."""
    path = data / "bench" / "xquad" / f"xquad.{language}.json.gz"
    if not path.exists():
        return []
    whole = json.loads(gzip.decompress(path.read_bytes()))["data"]
    return [qa["question"] for one in whole for paragraph in one["paragraphs"] for qa in paragraph["qas"]]


def paragraphs(data: Path, language: str) -> list[str]:
    """The paragraphs of that language, in the order that all languages share."""
    path = data / "bench" / "xquad" / f"xquad.{language}.json.gz"
    if not path.exists():
        return []
    whole = json.loads(gzip.decompress(path.read_bytes()))["data"]
    return [paragraph["context"] for one in whole for paragraph in one["paragraphs"]]


def sums(data: Path, language: str) -> list[str]:
    """Worded sums, all with numbers."""
    path = data / "bench" / "mgsm" / f"mgsm_{language}.tsv"
    return [line.split("\t")[0] for line in path.read_text().splitlines()] if path.exists() else []


def others(data: Path, language: str) -> list[str]:
    """Sentences and paragraphs of the languages that have none of these."""
    names = {
        "ja": "jpn",
        "sw": "swh",
        "th": "tha",
        "ru": "rus",
        "hi": "hin",
        "ar": "ara",
        "zh": "cmn",
        "de": "deu",
        "es": "spa",
        "fr": "fra",
    }
    found: list[str] = []
    path = data / "parallel" / "tatoeba" / f"tatoeba.{names.get(language)}-eng.{names.get(language)}"
    if path.exists():
        found += path.read_text().splitlines()
    spoken = {"ko": "Korean", "ja": "Japanese"}.get(language)
    path = data / "bench" / "vicuna80" / f"questions_{spoken}.jsonl"
    if path.exists():
        found += [json.loads(line)["text"] for line in path.read_text().splitlines() if line.strip()]
    if language == "ko":
        import polars as pl

        frame = pl.read_parquet(data / "parallel" / "en_32_languages.parquet").filter(pl.col("lang") == "ko")
        found += frame.filter(pl.col("src").is_in(["udhr", "quran"]))["xx"].to_list()
    return found


def texts_of(data: Path, language: str) -> list[str]:
    """Some hundred different texts of a language, some with numbers."""
    rng = random.Random(f"texts {language}")
    plenty = [*xquad(data, language), *others(data, language)]
    rng.shuffle(plenty)
    chosen: dict[str, str] = {}
    for one in [*sums(data, language)[:80], *plenty]:
        one = " ".join(one.split())
        key = regex.sub(r"\W", "", one.casefold())
        if len(regex.findall(r"\X", one)) >= SHORTEST and key not in chosen:
            chosen[key] = one
        if len(chosen) == MOST:
            break
    return list(chosen.values())


# ------------------------------------------------------------------------------------------------------------- changes
Change = Callable[[str, random.Random], str | None]
FIGURE = r"[\p{N}\p{Sm}\p{Sc}%〇零一二两三四五六七八九十百千万億亿]"


def wide(text: str, _rng: random.Random) -> str | None:
    """Full-width forms of ASCII; None where there are none."""
    changed = "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in text)
    return changed if changed != text else None


def shouted(text: str, _rng: random.Random) -> str | None:
    return text.upper() if text.upper() != text else None


def punctuated(text: str, rng: random.Random) -> str | None:
    bare = regex.sub(r"[.?!,;:।。？！，、；：؟،]+(?!\d)", "", text)
    return bare if bare != text else f"{text}{rng.choice(['.', '!', ' …'])}"


def quoted(text: str, rng: random.Random) -> str:
    """Straight quotation marks against curly, angle and corner ones."""
    left, right = rng.choice([("“", "”"), ("«", "»"), ("「", "」"), ("„", "“")])
    inner = text.replace("'", "’")
    if '"' in text:
        parts = inner.split('"')
        return "".join(part + (left, right)[number % 2] for number, part in enumerate(parts))[:-1]
    return f"{left}{inner}{right}"


def spaced(text: str, rng: random.Random) -> str:
    """Double blanks, leading and trailing blanks, a no-break space; between any signs where there are no blanks."""
    if " " in text:
        return "  " + regex.sub(" ", lambda _: rng.choice([" ", "  ", "\u00a0", "\t"]), text) + " "
    signs = regex.findall(r"\X", text)
    at = set(rng.sample(range(1, len(signs)), max(1, len(signs) // 8)))
    return "".join(
        f" {sign}" if number in at and not regex.search(r"\p{N}", sign) else sign for number, sign in enumerate(signs)
    )


def invisible(text: str, rng: random.Random) -> str:
    signs = regex.findall(r"\X", text)
    return "".join(sign + rng.choice(["", "", "", "\u200b", "\ufeff", "\u200e", "\u00ad"]) for sign in signs) + "\u200b"


def tagged(text: str, rng: random.Random) -> str:
    words = text.split(" ")
    at = rng.randrange(len(words))
    words[at] = f"<b>{words[at]}</b>"
    return f"<p>{' '.join(words)}</p><br/>"


def entities(text: str, rng: random.Random) -> str:
    changed = html.escape(text, quote=True)
    signs = list(changed) if changed == text else []
    if signs:
        at = rng.choice([number for number, sign in enumerate(signs) if sign.isalpha()])
        signs[at] = f"&#{ord(signs[at])};"
        changed = "".join(signs).replace(" ", "&nbsp;", 1)
    return changed


def stretched(text: str, rng: random.Random) -> str | None:
    """Tatweel between Arabic letters."""
    joints = [match.end() for match in regex.finditer(r"[بتثجحخسشصضطظعغفقكلمنهي](?=\p{Arabic})", text)]
    if not joints:
        return None
    for at in sorted(rng.sample(joints, max(1, len(joints) // 6)), reverse=True):
        text = text[:at] + "ـ" * rng.randint(1, 3) + text[at:]
    return text


def broken(text: str, rng: random.Random) -> str:
    """Line breaks of Windows in place of blanks."""
    return regex.sub(" ", lambda _: "\r\n" if rng.random() < 0.3 else " ", text) + "\r\n"


def edited(share: float) -> Change:
    """So many of a hundred signs changed anywhere: replaced, left out, put in, exchanged; numbers, and what stands
    beside them, stay.
    """

    def change(text: str, rng: random.Random) -> str | None:
        signs = regex.findall(r"\X", text)
        kept = {at + step for at, sign in enumerate(signs) if regex.search(FIGURE, sign) for step in (-1, 0, 1)}
        free = [number for number in range(len(signs)) if number not in kept]
        letters = [sign for sign in signs if regex.match(r"\p{L}", sign) and not regex.search(FIGURE, sign)]
        count = round(len(signs) * share)
        if not count or len(free) < count or not letters:
            return None
        for at in sorted(rng.sample(free, count), reverse=True):
            kind = rng.choice(["replace", "drop", "put", "swap"])
            if kind == "replace":
                signs[at] = rng.choice(letters)
            elif kind == "drop":
                signs[at] = ""
            elif kind == "put":
                signs[at] += rng.choice(letters)
            elif at + 1 < len(signs) and at + 1 not in kept:
                signs[at], signs[at + 1] = signs[at + 1], signs[at]
        return "".join(signs)

    return change


def prefixed(text: str, rng: random.Random) -> str:
    """A short heading before it, in no language's words."""
    return rng.choice(["Q: ", "- ", "## ", "Task — ", "[INST] "]) + text


def cut(share: float) -> Change:
    def change(text: str, _rng: random.Random) -> str:
        signs = regex.findall(r"\X", text)
        return "".join(signs[: round(len(signs) * (1 - share))])

    return change


def renumbered(text: str, rng: random.Random) -> str | None:
    """The same with another number: another thing."""
    found = list(regex.finditer(r"\p{Nd}+", text))
    if not found:
        return None
    hit = rng.choice(found)
    value = int(hit.group())
    other = value + rng.choice([1, 2, 3, 7, 10])
    told = str(other)
    if not hit.group().isascii():
        zero = ord(hit.group()[0]) - unicodedata.digit(hit.group()[0])
        told = "".join(chr(zero + int(digit)) for digit in told)
    return text[: hit.start()] + told + text[hit.end() :]


SURFACE: dict[str, Change] = {
    "exact": lambda text, _: text,
    "case": shouted,
    "whitespace": spaced,
    "punctuation": punctuated,
    "quotes": quoted,
    "NFD": lambda text, _: unicodedata.normalize("NFD", text) if unicodedata.normalize("NFD", text) != text else None,
    "full width": wide,
    "zero width": invisible,
    "entities": entities,
    "tags": tagged,
    "CRLF": broken,
    "tatweel": stretched,
}
EDITS: dict[str, Change] = {
    "edits 5 %": edited(0.05),
    "edits 10 %": edited(0.10),
    "edits 20 %": edited(0.20),
    "prefix": prefixed,
    "cut 10 %": cut(0.1),
    "cut 30 %": cut(0.3),
}
HARD: dict[str, Change] = {"other number": renumbered}
# One template, other words: nothing in the signs of these says that they are not the same, so the figure is told, not
# promised.
TEMPLATES = {
    "en": ("Write a short story about a {} who lives in a big city.", ["dog", "cat", "girl", "boy", "robot", "farmer",
    "doctor", "ghost"]),
    "de": ("Schreibe eine kurze Geschichte über {} in einer großen Stadt.", ["Hunde", "Katzen", "Kinder", "Roboter",
    "Bauern", "Geister"]),
    "ru": ("Напиши короткий рассказ про {} в большом городе.", ["собаку", "кошку", "девочку", "робота", "врача",
    "фермера"]),
    "zh": ("请写一个关于住在大城市里的{}的短篇故事。", ["小狗", "小猫", "女孩", "男孩", "机器人", "农民"]),
    "ja": ("大きな街に住む{}についての短い物語を書いてください。", ["犬", "猫", "少女", "少年", "ロボット", "農夫"]),
    "ar": ("اكتب قصة قصيرة عن {} في مدينة كبيرة.", ["كلب", "قطة", "فتاة", "روبوت", "فلاح", "طبيب"]),
    "hi": ("बड़े शहर में रहने वाले {} के बारे में एक छोटी कहानी लिखिए।", ["कुत्ते", "लड़के", "किसान", "डॉक्टर",
    "रोबोट"]),
    "th": ("เขียนเรื่องสั้นเกี่ยวกับ{}ที่อาศัยอยู่ในเมืองใหญ่", ["สุนัข", "แมว", "เด็กหญิง", "หุ่นยนต์", "ชาวนา"]),
    "sw": ("Andika hadithi fupi kuhusu {} anayeishi katika mji mkubwa.", ["mbwa", "paka", "msichana", "mkulima",
    "daktari"]),
}  # fmt: skip


# -------------------------------------------------------------------------------------------------------------- plants
@dataclass(frozen=True)
class Plant:
    """A row of the test set."""

    text: str
    language: str
    family: int
    """What it is about; rows of one family are duplicates."""
    change: str
    group: str = ""


def planted(data: Path, languages: Sequence[str], changes: dict[str, Change], hard: bool = True) -> list[Plant]:
    """Originals, their changed copies and what only looks like one."""
    rows: list[Plant] = []
    family = 0
    for language in languages:
        for text in texts_of(data, language):
            rng = random.Random(f"{language} {text}")
            rows.append(Plant(text, language, family, ""))
            seen = {text}
            for name, change in changes.items():
                # The dotted i of Turkish keeps its dot.
                made = change(text.replace("i", "İ") if (name, language) == ("case", "tr") else text, rng)
                if made is not None and (made not in seen or name == "exact"):
                    rows.append(Plant(made, language, family, name))
                    seen.add(made)
            family += 1
            for name, change in HARD.items() if hard else ():
                if (made := change(text, rng)) is not None:
                    rows.append(Plant(made, language, family, name))
                    family += 1
        template, words = TEMPLATES.get(language, ("", []))
        for word in words if hard else ():
            rows.append(Plant(template.format(word), language, family, "other word"))
            family += 1
    return rows


# -------------------------------------------------------------------------------------------------------------- scores
def clusters_of(rows: Sequence[Plant], world: World, **parameters: Any) -> tuple[list[int], list[float | None], float]:
    """For each row the number of the row that stays for it (its own, where it stays), the similarity, and seconds."""
    made = make_rows(
        Kind.DOCUMENT,
        [
            {"text": one.text, "language": one.language, "group_id": one.group or f"{number}"}
            for number, one in enumerate(rows)
        ],
    )
    step = Duplicates(**parameters)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        world.scratch = Path(folder) / "scratch"
        path = Path(folder) / "summary.parquet"
        pq.write_table(step.summarize(made, world), path)
        told = pa.concat_tables(list(step.decide([path], world)))
    seconds = time.perf_counter() - started
    # Equal texts have equal ids: the first of them is meant.
    first: dict[str, int] = {}
    ids = made.ids.to_list()
    for number, one in enumerate(ids):
        first.setdefault(one, number)
    stays = [number if name is None else first[name] for number, name in enumerate(told["duplicate_of"].to_pylist())]
    return stays, told["similarity"].to_pylist(), seconds


@dataclass
class Outcome:
    """Counts of one method."""

    found: Counter[tuple[str, str]]
    planted: Counter[tuple[str, str]]
    false: Counter[tuple[str, str]]
    """(language, change of the row that went wrongly)."""
    right: Counter[str]
    examples: list[tuple[str, str]]

    def recall(self, change: str, language: str | None = None) -> float:
        keys = [key for key in self.planted if key[1] == change and language in (None, key[0])]
        total = sum(self.planted[key] for key in keys)
        return sum(self.found[key] for key in keys) / total if total else float("nan")

    def precision(self, language: str | None = None) -> float:
        wrong = sum(count for key, count in self.false.items() if language in (None, key[0]))
        right = sum(count for key, count in self.right.items() if language in (None, key))
        return right / (right + wrong) if right + wrong else float("nan")


def judge(rows: Sequence[Plant], stays: Sequence[int]) -> Outcome:
    """What became of each plant."""
    outcome = Outcome(Counter(), Counter(), Counter(), Counter(), [])
    originals = {one.family: number for number, one in enumerate(rows) if not one.change}
    for number, one in enumerate(rows):
        target = stays[number]
        if target != number:
            if rows[target].family == one.family:
                outcome.right[one.language] += 1
            else:
                outcome.false[one.language, one.change or "original"] += 1
                outcome.examples.append((rows[target].text, one.text))
        if one.change and one.change not in ("other number", "other word"):
            outcome.planted[one.language, one.change] += 1
            outcome.found[one.language, one.change] += stays[originals[one.family]] == target
    return outcome


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *rows])


def shown(value: float) -> str:
    return "–" if value != value else "1" if value == 1 else f"{value:.3f}".lstrip("0")


# ------------------------------------------------------------------------------------------------------------ sections
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


# --------------------------------------------------------------------------------------------------------------- peers
PEERS = {
    "semhash": (
        """
import sys, json
from semhash import SemHash
import numpy as np
rows = json.load(open(sys.argv[1]))
class Encoder:
    # Vectors of our own encoder, made before: semhash's default model needs the network.
    def __init__(self): self.known = {r["text"]: i for i, r in enumerate(rows)}; self.v = np.load(sys.argv[2])
    def encode(self, texts, **k): return np.stack([self.v[self.known[t]] for t in texts])
first, told = {}, []
for i, r in enumerate(rows): first.setdefault(r["text"], i)
for least in (0.9, 0.7, 0.6):
    result = SemHash.from_records([r["text"] for r in rows], model=Encoder()).self_deduplicate(threshold=least)
    stays = list(range(len(rows)))
    for i, r in enumerate(rows):
        if first[r["text"]] != i: stays[i] = first[r["text"]]
    for record in result.filtered:
        if record.duplicates:
            stays[first[record.record]] = first[record.duplicates[0][0]]
    told.append([f"semhash {least}, our encoder", stays])
json.dump(told, open(sys.argv[3], "w"))
"""
    ),
    "datasketch": (
        """
import sys, json, re
from datasketch import MinHash, MinHashLSH

rows = json.load(open(sys.argv[1]))
told = []
for name, cut in (
    ("datasketch 0.8, words", lambda t: set(t.lower().split())),
    ("datasketch 0.8, 5 letters", lambda t: {t[i : i + 5] for i in range(max(1, len(t) - 4))}),
):
    lsh, stays = MinHashLSH(threshold=0.8, num_perm=128), []
    for i, r in enumerate(rows):
        m = MinHash(num_perm=128)
        m.update_batch([s.encode() for s in cut(r["text"])])
        hits = [int(h) for h in lsh.query(m)]
        stays.append(min(hits) if hits else i)
        if not hits:
            lsh.insert(str(i), m)
    told.append([name, stays])
json.dump(told, open(sys.argv[3], "w"))
"""
    ),
    "text_dedup": (
        """
import sys, json, re
import numpy as np
from text_dedup.utils.tokenization import ngrams

rows = json.load(open(sys.argv[1]))
# Its own tokens and filter (words between non-word characters, n-grams of 5, texts under 5 tokens left out), exact.
WORD = re.compile(r"\\W", re.UNICODE)
told, sets, stays = [], {}, []
for i, r in enumerate(rows):
    tokens = WORD.split(r["text"].lower())
    grams = {" ".join(t) for t in ngrams(tokens, 5, 5)}
    sets[i] = grams
by = {}
for i, grams in sets.items():
    hit = None
    for other in {o for g in grams for o in by.get(g, ())}:
        if len(grams & sets[other]) >= 0.7 * len(grams | sets[other]):
            hit = other if hit is None else min(hit, other)
    stays.append(i if hit is None else hit)
    if hit is None:
        for g in grams:
            by.setdefault(g, []).append(i)
json.dump([["text-dedup's tokens, 0.7", stays]], open(sys.argv[3], "w"))
"""
    ),
}


def peers(
    rows: Sequence[Plant], pythons: Sequence[str], only: Sequence[str] = tuple(PEERS)
) -> list[tuple[str, list[int], float]]:
    """What other tools find, each in its own environment; those that an environment has not are passed over."""
    told = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rows.json").write_text(json.dumps([{"text": one.text, "language": one.language} for one in rows]))
        for python in pythons:
            for module in only:
                script = PEERS[module]
                if subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode:
                    continue
                if module == "semhash" and not (folder / "vectors.npy").exists():
                    import numpy as np

                    world = World(folder, 2)
                    np.save(folder / "vectors.npy", world.model("use-multilingual").encode([one.text for one in rows]))
                (folder / "peer.py").write_text(script)
                started = time.perf_counter()
                run = subprocess.run(
                    [python, folder / "peer.py", folder / "rows.json", folder / "vectors.npy", folder / "told.json"],
                    capture_output=True,
                    text=True,
                )
                if run.returncode:
                    print(f"<!-- {module}: {run.stderr.strip().splitlines()[-1:]} -->", file=sys.stderr)
                    continue
                seconds = time.perf_counter() - started
                told += [(label, stays, seconds) for label, stays in json.loads((folder / "told.json").read_text())]
    return told


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

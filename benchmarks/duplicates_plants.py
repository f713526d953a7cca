"""Texts of many languages, copies of them changed in known ways, and what the step duplicates makes of them."""

from __future__ import annotations

import gzip
import html
import json
import random
import tempfile
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import regex
from workbench import World, make_rows

from curate.rows import Kind
from filters.duplicates.step import Duplicates

MOST = 250
"""Texts a language."""
SHORTEST = 24
"""Signs of a text that copies are made of."""


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

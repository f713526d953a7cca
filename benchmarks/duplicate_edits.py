"""How many copies with edited words, an added prefix or a cut end are found, and how many texts with another number,
negation or name are merged, on texts that `benchmarks/duplicates.py` does not use.

    python benchmarks/duplicate_edits.py --half develop
    python benchmarks/duplicate_edits.py --half held

Texts are sentences of XQuAD's paragraphs, sums of MGSM from the 81st on, and Alpaca's German instructions. Each belongs
to one half by the digest of its letters. Every text gets one copy of each kind of change; a copy is found when it is in
the cluster of its original. Hard negatives are copies with one other number, one negation more, or one other word.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import unicodedata
from collections import Counter
from hashlib import blake2b
from pathlib import Path
from typing import Any

import regex
from duplicates_plants import SURFACE, Change, Plant, clusters_of, paragraphs, renumbered, sums
from workbench import DATA, World, markdown, shown

from curate.text.negation import words_in

SENTENCED = ("en", "de", "es", "ru", "tr", "vi", "el", "ar", "hi", "ro", "zh", "th")
SUMS = ("ja", "bn", "te", "sw", "fr", "th")
APART = ("zh", "ja", "th")
_END = {"hi": r"(?<=।)\s+", "zh": r"(?<=[。！？])", "th": r"\s+", "ar": r"(?<=[.؟!])\s+"}
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]")
_LONGEST, _SHORTEST = 320, 40
# One negation for each language, and the place for it: before the n-th word or, without spaces, after these characters.
_NEGATIONS = {
    "en": "not", "de": "nicht", "es": "no", "ru": "не", "tr": "değil", "vi": "không", "el": "δεν", "ar": "لا",
    "hi": "नहीं", "ro": "nu", "zh": "不", "th": "ไม่", "fr": "ne", "sw": "si",
}  # fmt: skip


def texts_of(language: str, half: str, most: int) -> list[str]:
    """Texts of one half, longer ones among them."""
    rng = random.Random(f"edits {language}")
    found = []
    for paragraph in paragraphs(DATA, language) if language in SENTENCED else []:
        pieces = regex.split(_END.get(language, r"(?<=[.?!])\s+"), paragraph)
        found += pieces
        found += [" ".join(pieces[at : at + 2]) for at in range(0, len(pieces) - 1, 5)]
    found += sums(DATA, language)[80:] if language in SUMS else []
    rng.shuffle(found)
    chosen: dict[str, str] = {}
    for one in found:
        one = " ".join(one.split())
        key = "".join(regex.findall(r"\p{L}", one.casefold()))
        mine = "held" if blake2b(key.encode()).digest()[0] % 2 else "develop"
        size = len(regex.findall(r"\X", one)) * (2 if _UNSPACED.search(one) else 1)
        if mine == half and _SHORTEST <= size <= _LONGEST:
            chosen.setdefault(key, one)
    return list(chosen.values())[:most]


def words_of(text: str) -> list[str]:
    """Words with the spaces after them; in scripts without spaces, graphemes."""
    return regex.findall(r"\X" if _UNSPACED.search(text) else r"\S+\s*", text)


def edited(share: float) -> Change:
    """So many of a hundred words mistyped, left out, doubled, or exchanged with the one before. (A copy with another
    word in place of one is a hard negative here.)
    """

    def change(text: str, rng: random.Random) -> str | None:
        words = words_of(text)
        count = max(1, round(len(words) * share))
        free = [at for at in range(1, len(words) - 1) if not regex.search(r"\p{N}|^\P{L}+$", words[at - 1] + words[at])]
        if len(free) < count + 1:
            return None
        for at in sorted(rng.sample(free, count), reverse=True):
            word = words[at]
            kind = rng.choice(["type", "drop", "double", "swap"])
            if kind == "type":
                signs = regex.findall(r"\X", word)
                place = rng.randrange(len(signs))
                letter = rng.choice([sign for sign in regex.findall(r"\X", text) if regex.match(r"\p{L}", sign)])
                signs[place : place + 1] = rng.choice([[letter], [signs[place], letter], []])
                words[at] = "".join(signs) + (" " if word[-1] == " " and signs[-1:] != [" "] else "")
            elif kind == "drop":
                words[at] = ""
            elif kind == "double":
                words[at] = word + word
            else:
                words[at - 1], words[at] = words[at], words[at - 1]
        return "".join(words)

    return change


def prefixed(text: str, rng: random.Random) -> str:
    return rng.choice(["> ", "- ", "1. ", "Q: ", "### ", "Question 3: ", "(2) ", "* ", "User: ", "Task 1 - "]) + text


def cut(text: str, _rng: random.Random) -> str:
    signs = regex.findall(r"\X", text)
    return "".join(signs[: round(len(signs) * 0.88)])


def denied(language: str) -> Change:
    def change(text: str, rng: random.Random) -> str | None:
        word = _NEGATIONS.get(language)
        if word is None or words_in_text(text, language):
            return None
        parts = words_of(text)
        at = rng.randrange(2, max(3, len(parts) - 2))
        made = "".join([*parts[:at], word if _UNSPACED.search(text) else f"{word} ", *parts[at:]])
        return made if words_in_text(made, language) else None

    return change


def words_in_text(text: str, language: str) -> str:
    import polars as pl

    return words_in(pl.Series([text]), pl.Series([language]))[0]


def renamed(pool: list[str]) -> Change:
    """One long word replaced by another of the same kind (a capitalised one by a capitalised one) of other texts."""

    def change(text: str, rng: random.Random) -> str | None:
        if _UNSPACED.search(text):
            runs = list(regex.finditer(r"\p{Han}{2,4}|\p{Katakana}{3,}|\p{Thai}{4,}", text))
            if not runs or not pool:
                return None
            hit = rng.choice(runs)
            start = rng.randrange(max(1, len(hit[0]) - 3))
            size = min(len(hit[0]), 2 if regex.match(r"\p{Han}", hit[0]) else 4)
            source = regex.findall(r"\p{Han}{2}|\p{Katakana}{4}|\p{Thai}{4}", rng.choice(pool))
            other = [one for one in source if one[0] != hit[0][start] and one not in text]
            if not other:
                return None
            return text[: hit.start() + start] + rng.choice(other) + text[hit.start() + start + size :]
        hits = [hit for hit in regex.finditer(r"[\p{L}\p{M}]{4,}", text) if hit.start()]
        names = [hit for hit in hits if hit[0][0].isupper()] or hits
        if not names:
            return None
        hit = rng.choice(names)
        other = [
            one
            for one in regex.findall(r"(?<=\S\s)[\p{L}\p{M}]{4,}", " ".join(rng.sample(pool, min(20, len(pool)))))
            if one[0].isupper() == hit[0][0].isupper() and one[:3] != hit[0][:3]
        ]
        return text[: hit.start()] + rng.choice(other) + text[hit.end() :] if other else None

    return change


def planted(languages: list[str], half: str, most: int) -> list[Plant]:
    rows: list[Plant] = []
    family = 0
    for language in languages:
        pool = texts_of(language, half, most)
        copies: dict[str, Change] = {
            **{name: SURFACE[name] for name in ("case", "whitespace", "punctuation", "zero width", "tags")},
            "edited 5 %": edited(0.05),
            "edited 10 %": edited(0.10),
            "prefix": prefixed,
            "cut 12 %": cut,
        }
        hard: dict[str, Change] = {
            "other number": renumbered,
            "negation": denied(language),
            "other word": renamed(pool),
        }
        for text in pool:
            rng = random.Random(f"{language} {text}")
            rows.append(Plant(text, language, family, ""))
            original, seen = family, {unicodedata.normalize("NFC", text)}
            for name, change in copies.items():
                made = change(text.replace("i", "İ") if (name, language) == ("case", "tr") else text, rng)
                if made is not None and made not in seen:
                    rows.append(Plant(made, language, original, name))
            for name, change in hard.items():
                if (made := change(text, rng)) is not None and made != text:
                    family += 1
                    rows.append(Plant(made, language, family, name))
            family += 1
    return rows


KINDS = ("case", "whitespace", "punctuation", "zero width", "tags", "edited 5 %", "edited 10 %", "prefix", "cut 12 %")
HARD = ("other number", "negation", "other word")


def told(rows: list[Plant], stays: list[int], examples: int) -> tuple[Counter[Any], Counter[Any], Counter[Any]]:
    """(copies found, copies planted, hard negatives merged) by language and kind."""
    found, every, merged = Counter[Any](), Counter[Any](), Counter[Any]()
    originals = {one.family: number for number, one in reversed(list(enumerate(rows))) if not one.change}
    for number, one in enumerate(rows):
        if one.change in HARD:
            every[one.language, one.change] += 1
            target = stays[number]
            # Its own family has one row: it is merged if it is in the cluster of any other.
            if target != number:
                merged[one.language, one.change] += 1
                if examples and merged[one.language, one.change] <= examples:
                    print(f"<!-- merged {one.language} {one.change}: {rows[target].text}  |  {one.text} -->")
        elif one.change:
            every[one.language, one.change] += 1
            good = stays[originals[one.family]] == stays[number]
            found[one.language, one.change] += good
            missed = every[one.language, one.change] - found[one.language, one.change]
            if examples and not good and missed <= examples:
                print(f"<!-- missed {one.language} {one.change}: {rows[originals[one.family]].text}  |  {one.text} -->")
    return found, every, merged


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=["develop", "held"], default="develop")
    parser.add_argument("--most", type=int, default=40, help="texts of a language")
    parser.add_argument("--languages", nargs="+", default=list(dict.fromkeys((*SENTENCED, *SUMS))))
    parser.add_argument("--examples", type=int, default=0, help="missed and merged rows to show, by language and kind")
    parser.add_argument("--by-language", action="store_true")
    parser.add_argument("--only", nargs="+", help="methods")
    arguments = parser.parse_args()
    rows = planted(arguments.languages, arguments.half, arguments.most)
    hard = Counter(one.change for one in rows if one.change in HARD)
    print(f"\n### {len(rows):,} rows of the half '{arguments.half}'; hard negatives: {dict(hard)}\n")
    methods: dict[str, dict[str, Any]] = {
        "edits 0.8 (default)": {},
        "jaccard 0.8": {"measure": "jaccard"},
        "edits 0.8, nothing distinct": {"numbers": "ignore", "negation": "ignore", "words": "ignore"},
    }
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        world = World(Path(scratch), 2)
        for name, parameters in methods.items():
            if arguments.only and name not in arguments.only:
                continue
            stays, _, seconds = clusters_of(rows, world, method="minhash", **parameters)
            found, every, merged = told(rows, stays, arguments.examples)
            groups = [("with spaces", [one for one in arguments.languages if one not in APART])]
            groups += [(one, [one]) for one in APART if one in arguments.languages]
            groups += [(one, [one]) for one in arguments.languages] if arguments.by_language else []
            for label, members in groups:
                recall = [
                    sum(found[one, kind] for one in members)
                    / (sum(every[one, kind] for one in members) or float("nan"))
                    for kind in KINDS
                ]
                wrong = [
                    f"{sum(merged[one, kind] for one in members)} of {sum(every[one, kind] for one in members)}"
                    for kind in HARD
                ]
                lines.append([name, label, *map(shown, recall), *wrong])
            print(f"<!-- {name}: {1e6 * seconds / len(rows):.0f} µs a row -->")
    print(markdown(["", "", *KINDS, *(f"{kind} merged" for kind in HARD)], lines))


if __name__ == "__main__":
    main()

"""An error is put into one step of a good answer so that the step stays a sentence of its language, and is wrong.

A digit is changed within its own digit system, two numbers change places, an operator is turned, a word changes into its opposite
(``prompts_data/revise/turns.yaml``), or a step is left out. Program code and addresses are never touched, and where nothing fits
nothing is made.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Literal

import regex

from curate.generation.common.prompts import load_data
from curate.rows import languages
from curate.text.numbers import HAN_DIGITS, HAN_UNITS
from curate.text.sentences import split

Rule = Literal["number", "swap", "operator", "negation", "drop"]
RULES: tuple[Rule, ...] = ("number", "swap", "operator", "negation", "drop")
TURNS = "revise/turns"

_KEPT = regex.compile(
    r"(?s)```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]+`|(?i:(?:https?|ftp|file)://|www\.)[^\s<>\"']+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
)
# A number stands by itself: not in a name (H2O, v1.2, x_1, A4), though letters of unspaced scripts may touch it.
_TOUCHING = r"A-Za-z_\p{Latin}\p{Cyrillic}\p{Greek}#@\\"
_NUMBER = regex.compile(
    rf"(?<![{_TOUCHING}\p{{Nd}}]|[\p{{Nd}}{_TOUCHING}][.,:/-])\p{{Nd}}+(?:[.,:/٫٬'’·]\p{{Nd}}+)*(?![{_TOUCHING}\p{{Nd}}])"
)
_ENUMERATES = regex.compile(r"(?m)^[ \t]*[(（]?\p{Nd}{1,3}[.)．、）:：](?=\s|\p{Lo})")
_HAN = regex.compile(f"[{''.join((*HAN_DIGITS, *HAN_UNITS))}万萬亿億]{{2,}}")
_HAN_PLAIN = "一二三四五六七八九"
_HAN_WORDS = frozenset(
    {"万一", "萬一", "千万", "千萬", "十分", "百万", "百萬", "千百", "万千", "一一", "万亿", "一千零一", "三三", "百十"}
)
_OPERATORS = {
    "+": "-",
    "-": "+",
    "−": "+",
    "×": "÷",
    "÷": "×",
    "*": "/",
    "/": "*",
    "<": ">",
    ">": "<",
    "≤": "≥",
    "≥": "≤",
    "＋": "－",
    "－": "＋",
    "＜": "＞",
    "＞": "＜",
}
_OPERATOR = regex.compile(
    r"(?<=[\p{Nd})\]}])(?P<left>[ \t]?)(?P<sign>[+\-−×÷*/<>≤≥＋－＜＞])(?P<right>[ \t]?)(?=[\p{Nd}(\[{])"
)
_QUESTION = regex.compile(r"[?？؟;]\s*$")
_LABEL = regex.compile(r"^[^.!?。！？।؟]{0,40}[:：]\s*$")
_NO_WORDS = regex.compile(r"[^\p{L}\p{M}]+")
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
_EDGE = r"[\p{L}\p{M}\p{N}'’\-]"
_TRIES = 8
"""How often a step is tried, for versions that differ."""
_LINES = regex.compile(r"[^\n]*\S[^\n]*\n*")


@dataclass(frozen=True, slots=True)
class Step:
    """A line of an answer that has several, else a sentence."""

    text: str
    gap: str
    """What stands between it and the next step."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A wrong version of an answer, and where it is wrong."""

    rule: str
    at: int
    """The number of the wrong step, from 0; of a step that was left out, its own."""
    wrong: str
    """The step with the error; of a step that was left out, the one after it."""
    right: str
    """The step as it was."""
    answer: str
    """The whole wrong answer."""
    note: str = ""
    """What is wrong, in words, if somebody said."""


def steps_of(text: str, language: str) -> list[Step]:
    """The steps of an answer: its lines where it has two or more outside program code, else its sentences. Together they are the answer."""
    kept = _kept(text)
    inside = [span for span in kept if "\n" in text[span[0] : span[1]]]
    lines: list[Step] = []
    start = 0
    for match in _LINES.finditer(text):
        if any(begin < match.end() < end for begin, end in inside):
            continue
        whole = text[start : match.end()]
        bare = whole.rstrip("\n")
        lines.append(Step(bare, whole[len(bare) :]))
        start = match.end()
    if start < len(text):
        lines.append(Step(text[start:], ""))
    lines = [one for one in lines if one.text or one.gap]
    if len(lines) > 1:
        return lines
    sentences = [Step(one.text, one.gap) for one in split(text, language, kept)]
    found: list[Step] = []
    for one in sentences:  # blanks before the first sentence belong to it
        if found and not found[-1].text.strip():
            last = found.pop()
            one = Step(last.text + last.gap + one.text, one.gap)
        found.append(one)
    return found


def joined(steps: Sequence[Step]) -> str:
    """The text of steps."""
    return "".join(one.text + one.gap for one in steps)


def faults(text: str, language: str, rules: Sequence[Rule], count: int, seed: int) -> list[Fault]:
    """Up to ``count`` wrong versions of an answer, no two alike; none where no rule fits.

    Rules are taken in turn, each at a step chosen by ``seed``.
    """
    steps = steps_of(text, language)
    chance = random.Random(seed)
    order = list(rules)
    chance.shuffle(order)
    streams = [_stream(steps, language, rule, random.Random(chance.getrandbits(64))) for rule in order]
    found: list[Fault] = []
    known = {text}
    while streams and len(found) < count:
        for stream in list(streams):
            fault = next((one for one in stream if one.answer not in known), None)
            if fault is None:
                streams.remove(stream)
                continue
            known.add(fault.answer)
            found.append(fault)
            if len(found) == count:
                break
    return found


def replaced(steps: Sequence[Step], at: int, wrong: str, rule: str, note: str = "") -> Fault:
    """The fault of a step that says something else."""
    changed = [*steps[:at], Step(wrong, steps[at].gap), *steps[at + 1 :]]
    return Fault(rule, at, wrong, steps[at].text, joined(changed), note)


def _stream(steps: Sequence[Step], language: str, rule: Rule, chance: random.Random) -> Iterator[Fault]:
    if rule == "drop":
        # The first and the last step are not missed as a step between two is.
        places = [
            place
            for place in range(1, len(steps) - 1)
            if len(steps[place].text.strip()) > 1 and not _KEPT.fullmatch(steps[place].text.strip())
        ]
        chance.shuffle(places)
        for place in places:
            left = [*steps[:place], *steps[place + 1 :]]
            yield Fault(rule, place, steps[place + 1].text, steps[place].text, joined(left))
        return
    places = list(range(len(steps)))
    chance.shuffle(places)
    for place in [*places] * _TRIES:
        wrong = _CHANGES[rule](steps[place].text, language, chance)
        if wrong is not None and wrong != steps[place].text:
            yield replaced(steps, place, wrong, rule)


# ------------------------------------------------------------------------------------------------------------------ rules
def _number(text: str, language: str, chance: random.Random) -> str | None:
    """One digit of one number is another one."""
    if _LABEL.match(text):  # «Step 2:» counts, and says nothing
        return None
    spans = _numbers(text)
    places = [("nd", span) for span in spans] + [("han", span) for span in _han(text)]
    if not places:
        return None
    kind, (start, end) = chance.choice(places)
    if kind == "han":
        at = chance.choice([place for place in range(start, end) if text[place] in _HAN_PLAIN])
        new = chance.choice([sign for sign in _HAN_PLAIN if sign != text[at]])
        return text[:at] + new + text[at + 1 :]
    digits = [place for place in range(start, end) if text[place].isdecimal()]
    at = chance.choice(digits)
    least = 1 if at == digits[0] else 0
    value = unicodedata.decimal(text[at])
    new_value = chance.choice([one for one in range(least, 10) if one != value])
    return text[:at] + chr(ord(text[at]) - value + new_value) + text[at + 1 :]


def _swap(text: str, language: str, chance: random.Random) -> str | None:
    """Two numbers of the step change places."""
    spans = _numbers(text)
    pairs = [
        (one, two)
        for one, two in combinations(spans, 2)
        if _plain(text[slice(*one)]) != _plain(text[slice(*two)]) and _apart(text[one[1] : two[0]])
    ]
    if not pairs:
        return None
    (start, end), (other, last) = chance.choice(pairs)
    return text[:start] + text[other:last] + text[end:other] + text[start:end] + text[last:]


def _apart(between: str) -> bool:
    """Whether two numbers with this between them say something of two things: «1991 and 2002» or «24 × 60» turned round is as true."""
    return len(_NO_WORDS.sub("", between)) > (2 if _UNSPACED.search(between) else 7)


def _operator(text: str, language: str, chance: random.Random) -> str | None:
    """One operator is its opposite. A sign without blanks may be a range, a date or a ratio: it counts where the line has an equals sign."""
    kept = _kept(text)
    found = []
    for match in _OPERATOR.finditer(text):
        spaced = bool(match["left"]) and bool(match["right"])
        line = text[text.rfind("\n", 0, match.start()) + 1 :].partition("\n")[0]
        if _outside(match.span("sign"), kept) and (spaced or any(sign in line for sign in "=＝≈")):
            found.append(match.span("sign"))
    if not found:
        return None
    start, end = chance.choice(found)
    return text[:start] + _OPERATORS[text[start:end]] + text[end:]


def _negation(text: str, language: str, chance: random.Random) -> str | None:
    """One word or phrase is its opposite; questions are left alone."""
    found = _turns(language)
    if found is None or _QUESTION.search(text):
        return None
    pattern, opposite = found
    kept = _kept(text)
    hits = [
        match for match in pattern.finditer(text) if match[0].casefold() in opposite and _outside(match.span(), kept)
    ]
    if not hits:
        return None
    match = chance.choice(hits)
    new = chance.choice(opposite[match[0].casefold()])
    if match[0][:1].isupper() and not match[0][:2].isupper():
        new = new[:1].upper() + new[1:]
    return text[: match.start()] + new + text[match.end() :]


_CHANGES: Mapping[Rule, Callable[[str, str, random.Random], str | None]] = {
    "number": _number,
    "swap": _swap,
    "operator": _operator,
    "negation": _negation,
}


@cache
def _turns(language: str) -> tuple[regex.Pattern[str], dict[str, tuple[str, ...]]] | None:
    """A pattern that finds phrases (and those to be passed over), and what may take the place of each."""
    known = load_data(TURNS)["languages"]
    tag = language
    while tag not in known:
        if "-" not in tag:
            base = languages.base(language)
            tag = {"nb": "", "no": "", "nn": ""}.get(base, base)
            break
        tag = tag.rpartition("-")[0]
    if tag not in known:
        return None
    opposite: dict[str, tuple[str, ...]] = {}
    for one, other in known[tag]["pairs"]:
        for phrase, new in ((one, other), (other, one)):
            opposite[phrase.casefold()] = (*opposite.get(phrase.casefold(), ()), new)
    listed = sorted({*opposite, *known[tag].get("skip", ())}, key=lambda word: (-len(word), word))
    body = "|".join(map(regex.escape, listed))
    if known[tag].get("joined"):
        return regex.compile(body), opposite
    return regex.compile(rf"(?i)(?<!{_EDGE})(?:{body})(?!{_EDGE})"), opposite


def has_turns(language: str) -> bool:
    """Whether words of this language can be turned."""
    return _turns(language) is not None


# ------------------------------------------------------------------------------------------------------------------ parts
def _kept(text: str) -> list[tuple[int, int]]:
    """Where nothing may be changed: program code, addresses."""
    return [match.span() for match in _KEPT.finditer(text)]


def _outside(span: tuple[int, int], kept: Sequence[tuple[int, int]]) -> bool:
    return all(span[1] <= start or span[0] >= end for start, end in kept)


def _numbers(text: str) -> list[tuple[int, int]]:
    kept = [*_kept(text), *(match.span() for match in _ENUMERATES.finditer(text))]
    return [match.span() for match in _NUMBER.finditer(text) if _outside(match.span(), kept)]


def _han(text: str) -> list[tuple[int, int]]:
    """Numbers of Han numerals, where they are surely numbers: with a unit and a digit, or three digits and more."""
    kept = _kept(text)
    found = []
    for match in _HAN.finditer(text):
        said = match[0]
        units = any(sign in HAN_UNITS for sign in said)
        if (
            said not in _HAN_WORDS
            and any(sign in _HAN_PLAIN for sign in said)
            and (units or len(said) > 2)
            and _outside(match.span(), kept)
        ):
            found.append(match.span())
    return found


def _plain(number: str) -> str:
    return "".join(str(unicodedata.decimal(sign)) if sign.isdecimal() else sign for sign in number)

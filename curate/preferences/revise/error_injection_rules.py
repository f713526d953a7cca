"""Inserts an error into one step of a good answer, by rule, so that the step stays a sentence of its language but is
wrong.

A digit changes within its own digit system, two numbers are swapped, an operator becomes its opposite, a word its
antonym (``prompts_data/revise/turns.yaml``), or a step is omitted. Program code and addresses are never changed. If no
rule applies, there is no error.
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
    r"(?s)```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]+`"
    r"|(?i:(?:https?|ftp|file)://|www\.)[^\s<>\"']+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
)
# A number is not part of a name (H2O, v1.2, x_1, A4), but letters of unspaced scripts may touch it.
_TOUCHING = r"A-Za-z_\p{Latin}\p{Cyrillic}\p{Greek}#@\\"
_NUMBER = regex.compile(
    rf"(?<![{_TOUCHING}\p{{Nd}}]|[\p{{Nd}}{_TOUCHING}][.,:/-])"
    rf"\p{{Nd}}+(?:[.,:/٫٬'’·]\p{{Nd}}+)*(?![{_TOUCHING}\p{{Nd}}])"
)
_ENUMERATES = regex.compile(r"(?m)^[ \t]*[(（]?\p{Nd}{1,3}[.)．、）:：](?=\s|\p{Lo})")
_HAN = regex.compile(f"[{''.join((*HAN_DIGITS, *HAN_UNITS))}万萬亿億]{{2,}}")
_HAN_PLAIN = "一二三四五六七八九"
_HAN_WORDS = frozenset(
    {"万一", "萬一", "千万", "千萬", "十分", "百万", "百萬", "千百", "万千", "一一", "万亿", "一千零一", "三三", "百十"}
)
_OPERATORS = {
    "+": "-", "-": "+", "−": "+", "×": "÷", "÷": "×", "*": "/", "/": "*", "<": ">", ">": "<", "≤": "≥", "≥": "≤",
    "＋": "－", "－": "＋", "＜": "＞", "＞": "＜",
}  # fmt: skip
_OPERATOR = regex.compile(
    r"(?<=[\p{Nd})\]}])(?P<left>[ \t]?)(?P<sign>[+\-−×÷*/<>≤≥＋－＜＞])(?P<right>[ \t]?)(?=[\p{Nd}(\[{])"
)
_QUESTION = regex.compile(r"[?？؟;]\s*$")
_LABEL = regex.compile(r"^[^.!?。！？।؟]{0,40}[:：]\s*$")
_NO_WORDS = regex.compile(r"[^\p{L}\p{M}]+")
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
_EDGE = r"[\p{L}\p{M}\p{N}'’\-]"
_TRIES = 8
"""How often each step is tried, to get different versions."""
_LINES = regex.compile(r"[^\n]*\S[^\n]*\n*")


@dataclass(frozen=True, slots=True)
class Step:
    """A line of an answer with several lines, else a sentence."""

    text: str
    gap: str
    """The separator before the next step."""


@dataclass(frozen=True, slots=True)
class InjectedError:
    """A wrong version of an answer, and the place of the error."""

    rule: str
    at: int
    """The number of the wrong step, from 0; for an omitted step, its own number."""
    wrong: str
    """The step with the error; for an omitted step, the one after it."""
    right: str
    """The original step."""
    answer: str
    """The whole wrong answer."""
    note: str = ""
    """A description of the error, if there is one."""


def steps_of(text: str, language: str) -> list[Step]:
    """The steps of an answer: its lines if it has two or more outside program code, else its sentences. Joined, they
    are the answer."""
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
    steps: list[Step] = []
    for one in split(text, language, kept):
        step = Step(one.text, one.gap)
        if steps and not steps[-1].text.strip():  # whitespace before the first sentence belongs to it
            last = steps.pop()
            step = Step(last.text + last.gap + step.text, step.gap)
        steps.append(step)
    return steps


def joined(steps: Sequence[Step]) -> str:
    """The text of steps."""
    return "".join(one.text + one.gap for one in steps)


def errors_by_rule(text: str, language: str, rules: Sequence[Rule], count: int, seed: int) -> list[InjectedError]:
    """Up to ``count`` different wrong versions of an answer; none if no rule applies.

    Rules are used in turn, each at a step chosen by ``seed``.
    """
    steps = steps_of(text, language)
    chance = random.Random(seed)
    order = list(rules)
    chance.shuffle(order)
    streams = [_stream(steps, language, rule, random.Random(chance.getrandbits(64))) for rule in order]
    errors: list[InjectedError] = []
    known = {text}
    while streams and len(errors) < count:
        for stream in list(streams):
            error = next((one for one in stream if one.answer not in known), None)
            if error is None:
                streams.remove(stream)
                continue
            known.add(error.answer)
            errors.append(error)
            if len(errors) == count:
                break
    return errors


def replaced(steps: Sequence[Step], at: int, wrong: str, rule: str, note: str = "") -> InjectedError:
    """The error of replacing one step."""
    changed = [*steps[:at], Step(wrong, steps[at].gap), *steps[at + 1 :]]
    return InjectedError(rule, at, wrong, steps[at].text, joined(changed), note)


def _stream(steps: Sequence[Step], language: str, rule: Rule, chance: random.Random) -> Iterator[InjectedError]:
    if rule == "drop":
        # Only a step between two others is noticed when missing.
        places = [
            place
            for place in range(1, len(steps) - 1)
            if len(steps[place].text.strip()) > 1 and not _KEPT.fullmatch(steps[place].text.strip())
        ]
        chance.shuffle(places)
        for place in places:
            left = [*steps[:place], *steps[place + 1 :]]
            yield InjectedError(rule, place, steps[place + 1].text, steps[place].text, joined(left))
        return
    places = list(range(len(steps)))
    chance.shuffle(places)
    for place in [*places] * _TRIES:
        wrong = _CHANGES[rule](steps[place].text, language, chance)
        if wrong is not None and wrong != steps[place].text:
            yield replaced(steps, place, wrong, rule)


# ---------------------------------------------------------------------------------------------------------------- rules
def _number(text: str, language: str, chance: random.Random) -> str | None:
    """Changes one digit of one number."""
    if _LABEL.match(text):  # the number in «Step 2:» only counts
        return None
    spans = _numbers(text)
    places = [("nd", span) for span in spans] + [("han", span) for span in _han(text)]
    if not places:
        return None
    kind, (start, end) = chance.choice(places)
    if kind == "han":
        at = chance.choice([place for place in range(start, end) if text[place] in _HAN_PLAIN])
        new = chance.choice([digit for digit in _HAN_PLAIN if digit != text[at]])
        return text[:at] + new + text[at + 1 :]
    digits = [place for place in range(start, end) if text[place].isdecimal()]
    at = chance.choice(digits)
    least = 1 if at == digits[0] else 0
    value = unicodedata.decimal(text[at])
    new_value = chance.choice([one for one in range(least, 10) if one != value])
    return text[:at] + chr(ord(text[at]) - value + new_value) + text[at + 1 :]


def _swap(text: str, language: str, chance: random.Random) -> str | None:
    """Swaps two numbers of the step."""
    spans = _numbers(text)
    pairs = [
        (one, two)
        for one, two in combinations(spans, 2)
        if _plain(text[slice(*one)]) != _plain(text[slice(*two)]) and _is_separate(text[one[1] : two[0]])
    ]
    if not pairs:
        return None
    (start, end), (other, last) = chance.choice(pairs)
    return text[:start] + text[other:last] + text[end:other] + text[start:end] + text[last:]


def _is_separate(between: str) -> bool:
    """Whether two numbers with this text between them are about two things: «1991 and 2002» or «24 × 60» swapped is as
    true."""
    return len(_NO_WORDS.sub("", between)) > (2 if _UNSPACED.search(between) else 7)


def _operator(text: str, language: str, chance: random.Random) -> str | None:
    """Replaces one operator by its opposite. One without spaces may be a range, a date or a ratio, unless the line has
    an equals sign."""
    kept = _kept(text)
    operators = []
    for match in _OPERATOR.finditer(text):
        spaced = bool(match["left"]) and bool(match["right"])
        line = text[text.rfind("\n", 0, match.start()) + 1 :].partition("\n")[0]
        if _outside(match.span("sign"), kept) and (spaced or any(sign in line for sign in "=＝≈")):
            operators.append(match.span("sign"))
    if not operators:
        return None
    start, end = chance.choice(operators)
    return text[:start] + _OPERATORS[text[start:end]] + text[end:]


def _negation(text: str, language: str, chance: random.Random) -> str | None:
    """Replaces one word or phrase by its opposite; not in questions."""
    antonyms = _antonyms(language)
    if antonyms is None or _QUESTION.search(text):
        return None
    pattern, opposite = antonyms
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
def _antonyms(language: str) -> tuple[regex.Pattern[str], dict[str, tuple[str, ...]]] | None:
    """A pattern for phrases (and those to skip), and the opposites of each."""
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


def has_antonyms(language: str) -> bool:
    """Whether there is a list of antonyms for this language."""
    return _antonyms(language) is not None


# ---------------------------------------------------------------------------------------------------------------- parts
def _kept(text: str) -> list[tuple[int, int]]:
    """The spans that must not change: program code, addresses."""
    return [match.span() for match in _KEPT.finditer(text)]


def _outside(span: tuple[int, int], kept: Sequence[tuple[int, int]]) -> bool:
    return all(span[1] <= start or span[0] >= end for start, end in kept)


def _numbers(text: str) -> list[tuple[int, int]]:
    kept = [*_kept(text), *(match.span() for match in _ENUMERATES.finditer(text))]
    return [match.span() for match in _NUMBER.finditer(text) if _outside(match.span(), kept)]


def _han(text: str) -> list[tuple[int, int]]:
    """Numbers in Han numerals, if they are certainly numbers: with a unit and a digit, or with three or more digits."""
    kept = _kept(text)
    spans = []
    for match in _HAN.finditer(text):
        number = match[0]
        units = any(sign in HAN_UNITS for sign in number)
        if (
            number not in _HAN_WORDS
            and any(sign in _HAN_PLAIN for sign in number)
            and (units or len(number) > 2)
            and _outside(match.span(), kept)
        ):
            spans.append(match.span())
    return spans


def _plain(number: str) -> str:
    return "".join(str(unicodedata.decimal(sign)) if sign.isdecimal() else sign for sign in number)

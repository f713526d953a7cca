r"""The final answer of a text is what it announces as such (``\boxed{…}``, *the answer is …*), else what it says last; written in one way, so
that equal answers in different words, digits and scripts are equal texts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import orjson
import regex

from curate.catalog.params import PerLanguage
from curate.preferences.self_consistency.answer_phrases import words_of
from curate.preferences.self_consistency.choices import NAMES, Chooser, options_of
from curate.preferences.self_consistency.normalize import normal
from curate.preferences.self_consistency.numbers import (
    Number,
    Percent,
    Sign,
    Style,
    numbers,
    parse,
    style_of,
    tidy,
    written,
)

Form = Literal["number", "option", "boxed", "text", "json"]
_THOUGHTS = regex.compile(r"(?is).*</think(?:ing)?>")
_BOX = regex.compile(r"\\(?:boxed|fbox)\s*")
_HASHES = regex.compile(r"^#{4}\s*(.+)$", regex.M)
# A point ends a sentence where a capital, or a letter of a script without capitals, comes after it: not in «Rs. 18».
_SENTENCE = regex.compile(r"[.!?…]+[\"”»)\]]*\s+(?=[\p{Lu}\p{Lo}\p{Lt}])|[。！？।॥؟۔။።]")
_EQUALS = regex.compile(r"(?<!/)[=＝≈]")  # 18,000/= are shillings
_LISTED = regex.compile(r"^[ \t]*[0-9]{1,3}[.)．、）]\s", regex.M)
_DASHES = regex.compile(r"^[\s*_`:：=\-–—>]+")
_FENCE = regex.compile(r"```(?:json)?\s*\n?(.*?)```", regex.S)
_LATEX = (
    (regex.compile(r"\\(?:left|right|big|Big|bigg|Bigg|displaystyle|,|;|!|:|quad|qquad|mathrm|rm)(?![a-zA-Z])"), ""),
    (regex.compile(r"\\(?:text|mathrm|textbf|mathbf|operatorname)\s*\{([^{}]*)\}"), r"\1"),
    (regex.compile(r"\\[dtc]frac"), r"\\frac"),
    (regex.compile(r"\\frac\s*([0-9])\s*([0-9])"), r"\\frac{\1}{\2}"),
    (regex.compile(r"\^\s*(?:\\circ|\{\s*\\circ\s*\})|°"), ""),
    (regex.compile(r"\\[%$]|[$]"), lambda found: "%" if found[0] == r"\%" else ""),
    (regex.compile(r"\s+|\\ |~"), ""),
)
_MOST_READ = 1_000_000
"""Characters of a text that are read, many of them again and again, in search of JSON."""
_NO_MARKERS, _NO_SIGNS = PerLanguage[tuple[str, ...]](), PerLanguage[Sign]()
_SEGMENT, _MOST_SEGMENTS = 1_000, 50
"""How far an answer may stand from its announcement, and how many announcements are looked at, the last ones."""
_LONGEST_BOX = 10_000
_KEPT = 300
"""Longest answer that is kept as it is."""


@dataclass(frozen=True, slots=True)
class Found:
    """A final answer."""

    answer: str
    other: str = ""
    """What its number may also mean; mostly empty."""


@dataclass(frozen=True)
class Reader:
    """How final answers are found."""

    form: Form
    field: str = "answer"
    """Of JSON, the way to the answer (``result.value``)."""
    last: bool = True
    """Whether, where nothing is announced, what is said last counts."""
    markers: PerLanguage[tuple[str, ...]] = _NO_MARKERS
    """Texts that announce an answer, instead of those that are known."""
    decimal: PerLanguage[Sign] = _NO_SIGNS
    """The sign before decimals, instead of the language's own."""
    percent: Percent = "unit"
    digits: int | None = None
    max_chars: int = 200

    def find(self, text: str, language: str, prompt: str = "") -> Found | None:
        """The answer of a text; None where it has none.

        Args:
            prompt: what was asked; for options, where they stand.
        """
        if "</think" in text:
            text = _THOUGHTS.sub("", text)
        if not text.strip():
            return None
        return self._finders[self.form](self, text, language, prompt)

    def gold(self, text: str, language: str, prompt: str = "") -> Found | None:
        """The answer that a reference gives, whether it is the bare answer or a text that ends with it."""
        if self.form == "option":
            bare = text.strip().strip("()（）[].")
            return Found(bare.upper()) if bare.upper() in NAMES and bare else self.find(text, language, prompt)
        if self.form in ("json", "text", "boxed") and "\\boxed" not in text and "{" not in text:
            return self._value(text, language, latex=self.form == "boxed")
        if self.form == "number" and (number := parse(text, self._style(language))) is not None:
            return Found(number.value, number.other)
        return self.find(text, language, prompt)

    def _style(self, language: str) -> Style:
        return style_of(language, self.decimal[language], self.percent, self.digits)

    # -------------------------------------------------------------------------------------------------------- numbers
    def _number(self, text: str, language: str, prompt: str) -> Found | None:
        style = self._style(language)
        for inside in (last_box(text), _last(_HASHES, text)):
            if inside is not None and (number := _first_of(inside, style)) is not None:
                return Found(number.value, number.other)
        whole = tidy(text)
        for segment in self._announced(whole, language):
            if (number := _first_of(segment, style)) is not None:
                return Found(number.value, number.other)
        if not self.last:
            return None
        listed = {match.start() + len(match[0]) - len(match[0].lstrip()) for match in _LISTED.finditer(whole)}
        every = [one for one in numbers(whole, style) if one.start not in listed and ":" not in one.value]
        strong = [one for one in every if not one.weak] or every
        return Found(strong[-1].value, strong[-1].other) if strong else None

    # -------------------------------------------------------------------------------------------------------- options
    def _option(self, text: str, language: str, prompt: str) -> Found | None:
        chooser = Chooser(options_of(prompt, language))
        box = last_box(text)
        if box is not None and (name := chooser.announced(_plain_latex(box), language)) is not None:
            return Found(name)
        segments: list[str] = [segment.lstrip() for segment in self._announced(text, language)]
        for segment in segments:
            name = chooser.announced(_DASHES.sub("", segment), language)
            name = name or chooser.by_text(_sentence(segment), language) or chooser.last(_sentence(segment))
            if name is not None:
                return Found(name)
        if len(text) <= self.max_chars and (name := chooser.announced(text.strip(), language)) is not None:
            return Found(name)
        if not self.last:
            return None
        name = chooser.last(text)
        lines = [line for line in text.splitlines() if line.strip()]
        name = name or chooser.by_text(lines[-1], language)
        return None if name is None else Found(name)

    # ---------------------------------------------------------------------------------------------------------- texts
    def _boxed(self, text: str, language: str, prompt: str) -> Found | None:
        box = last_box(text)
        return None if box is None else self._value(box, language, latex=True)

    def _text(self, text: str, language: str, prompt: str) -> Found | None:
        box = last_box(text)
        if box is not None:
            return self._value(_plain_latex(box), language)
        for segment in self._announced(text, language):
            if (found := self._value(_sentence(_DASHES.sub("", segment)), language)) is not None:
                return found
        if not self.last:
            return None
        lines = [line for line in text.splitlines() if line.strip()]
        return self._value(text, language) or self._value(lines[-1], language)

    def _json(self, text: str, language: str, prompt: str) -> Found | None:
        for value in _objects(text):
            found: Any = value
            for key in self.field.split("."):
                if isinstance(found, list) and key.isdigit() and int(key) < len(found):
                    found = found[int(key)]
                else:
                    found = found.get(key) if isinstance(found, dict) else None
            if found is None:
                continue
            if isinstance(found, str):
                return self._value(found, language)
            if isinstance(found, bool | dict | list):
                return Found(_short(orjson.dumps(found, option=orjson.OPT_SORT_KEYS).decode()))
            return Found(written(Fraction(repr(found)), self.digits))
        return None

    def _value(self, text: str, language: str, *, latex: bool = False) -> Found | None:
        """A short text as an answer: a number, if it is one, else its normal form."""
        if latex:
            style = self._style(language)
            plain = tidy(_plain_latex(text, blanks=True))
            found = numbers(plain, style)
            if len(found) == 1 and not regex.search(r"[\p{L}\\^_{}]", plain[: found[0].start] + plain[found[0].end :]):
                return Found(found[0].value, found[0].other)
            return Found(_short(_latex(text))) if _latex(text) else None
        if len(text) > self.max_chars:
            return None
        plain = tidy(text)
        found = numbers(plain, self._style(language))
        if (
            len(found) == 1
            and not found[0].weak
            and not regex.search(r"\p{L}", plain[: found[0].start] + plain[found[0].end :])
        ):
            return Found(found[0].value, found[0].other)
        shown = normal(text, language)
        return Found(shown) if shown else None

    def _announced(self, text: str, language: str) -> Iterator[str]:
        """What comes after each announcement, to the end of its line (or the next line, where nothing does), the last first; then
        what stands before a closing one."""
        words = words_of(language, self.markers[language] or ())
        folded = text.casefold()
        if not any(sign in folded for sign in words.signs):
            return
        for match in reversed([*words.opening.finditer(text)][-_MOST_SEGMENTS:]):
            rest = text[match.end() : match.end() + _SEGMENT]
            line, _, below = rest.partition("\n")
            if not line.strip(" \t*_`:："):
                line = next((one for one in below.splitlines() if one.strip(" \t*_`")), "")
            yield line
        for match in reversed([*words.closing.finditer(text)][-_MOST_SEGMENTS:]):
            line = text[max(0, match.start() - _SEGMENT) : match.start()].rpartition("\n")[2]
            ends = [*_SENTENCE.finditer(line)]
            yield line[ends[-1].end() :] if ends else line

    _finders = {  # noqa: RUF012 (a table of methods)
        "number": _number,
        "option": _option,
        "boxed": _boxed,
        "text": _text,
        "json": _json,
    }


def last_box(text: str) -> str | None:
    r"""What stands in the last whole ``\boxed{…}`` (or ``\fbox``, or ``\boxed 5``)."""
    if "\\" not in text:
        return None
    for match in reversed([*_BOX.finditer(text)][-_MOST_SEGMENTS:]):
        at = match.end()
        if text[at : at + 1] != "{":
            bare = regex.compile(r"[^\s$.,;]+").match(text, at)
            if bare is not None:
                return bare[0]
            continue
        depth = 0
        place = at
        while place < min(len(text), at + _LONGEST_BOX):
            if text[place] == "\\":
                place += 2
                continue
            depth += {"{": 1, "}": -1}.get(text[place], 0)
            if depth == 0:
                return text[at + 1 : place]
            place += 1
    return None


def _last(pattern: regex.Pattern[str], text: str) -> str | None:
    found = pattern.findall(text) if "####" in text else []
    return str(found[-1]) if found else None


def _first_of(segment: str, style: Style) -> Number | None:
    """The first number of what was announced; of a computation, what it comes to."""
    plain = tidy(segment)
    sentence = _sentence(plain)
    for part in (sentence, plain):
        sums = [*_EQUALS.finditer(part)]
        for piece in (part[sums[-1].end() :], part) if sums else (part,):
            if found := numbers(piece, style):
                return found[0]
    return None


def _sentence(segment: str) -> str:
    end = _SENTENCE.search(segment.rstrip() + " ")
    return segment[: end.start()] if end and segment[: end.start()].strip() else segment


def _plain_latex(text: str, *, blanks: bool = False) -> str:
    for pattern, by in _LATEX[:2] if blanks else (_LATEX[1],):
        text = pattern.sub(by, text)
    return text


def _latex(text: str) -> str:
    """A formula in one way of writing, as far as that is a matter of layout."""
    for pattern, by in _LATEX:
        text = pattern.sub(by, text)
    return text.rstrip(".,;")


def _short(text: str) -> str:
    if len(text) <= _KEPT:
        return text
    from curate.rows.ids import hash_texts

    return f"{text[:_KEPT]}… {hash_texts([text], 8)[0].hex()}"


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects of a text, the last first; the outermost only."""
    inside = [match[1] for match in _FENCE.finditer(text)]
    for part in (*reversed(inside), text):
        found, place, read = [], 0, 0
        while (start := part.find("{", place)) >= 0 and read < _MOST_READ:
            end = _object_end(part, start)
            read += (end or len(part)) - start
            value = None
            if end:
                try:
                    value = orjson.loads(part[start:end])
                except orjson.JSONDecodeError:
                    value = None
            if isinstance(value, dict):
                found.append(value)
                place = end
            else:
                place = start + 1
        yield from reversed(found)


def _object_end(text: str, start: int) -> int:
    depth, inside, place = 0, False, start
    while place < len(text):
        char = text[place]
        if char == "\\" and inside:
            place += 2
            continue
        if char == '"':
            inside = not inside
        elif not inside and char in "{}":
            depth += 1 if char == "{" else -1
            if depth == 0:
                return place + 1
        place += 1
    return 0

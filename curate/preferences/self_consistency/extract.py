r"""Extracts the final answer of a text: the announced one (``\boxed{…}``, *the answer is …*), else the last candidate.

Answers are normalised, so that equal answers in different words, digits and scripts are equal texts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import orjson
import regex

from curate.catalog.params import PerLanguage
from curate.preferences.self_consistency.answer_phrases import phrases_of
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
_REASONING = regex.compile(r"(?is).*</think(?:ing)?>")
_BOX = regex.compile(r"\\(?:boxed|fbox)\s*")
_HASHES = regex.compile(r"^#{4}\s*(.+)$", regex.M)
# A full stop ends a sentence before a capital, or before a letter of a script without capitals: not in «Rs. 18».
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
    (regex.compile(r"\\[%$]|[$]"), lambda match: "%" if match[0] == r"\%" else ""),
    (regex.compile(r"\s+|\\ |~"), ""),
)
_MOST_READ = 1_000_000
"""Maximum number of characters to parse in search of JSON (parts of a text may be parsed repeatedly)."""
_NO_MARKERS, _NO_SIGNS = PerLanguage[tuple[str, ...]](), PerLanguage[Sign]()
_SEGMENT, _MOST_SEGMENTS = 1_000, 50
"""Maximum distance of an answer from its announcement, and the number of announcements to try, from the last one."""
_LONGEST_BOX = 10_000
_KEPT = 300
"""Maximum length of an answer that is kept as it is; longer ones get a digest."""


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """A final answer."""

    answer: str
    other: str = ""
    """Another reading of its number; mostly empty."""


@dataclass(frozen=True)
class Reader:
    """Extracts final answers."""

    form: Form
    field: str = "answer"
    """For JSON, the path to the answer (``result.value``)."""
    last: bool = True
    """Whether the last candidate counts if none is announced."""
    markers: PerLanguage[tuple[str, ...]] = _NO_MARKERS
    """Texts that announce an answer, instead of the known ones."""
    decimal: PerLanguage[Sign] = _NO_SIGNS
    """The decimal sign, instead of the language's own."""
    percent: Percent = "unit"
    digits: int | None = None
    max_chars: int = 200

    def find(self, text: str, language: str, prompt: str = "") -> FinalAnswer | None:
        """The answer of a text; None if it has none.

        Args:
            prompt: the question, which has the options for ``option``.
        """
        if "</think" in text:
            text = _REASONING.sub("", text)
        if not text.strip():
            return None
        return self._finders[self.form](self, text, language, prompt)

    def gold(self, text: str, language: str, prompt: str = "") -> FinalAnswer | None:
        """The answer of a reference, whether it is the bare answer or a text that ends with it."""
        if self.form == "option":
            bare = text.strip().strip("()（）[].")
            return FinalAnswer(bare.upper()) if bare.upper() in NAMES and bare else self.find(text, language, prompt)
        if self.form in ("json", "text", "boxed") and "\\boxed" not in text and "{" not in text:
            return self._value(text, language, latex=self.form == "boxed")
        if self.form == "number" and (number := parse(text, self._style(language))) is not None:
            return FinalAnswer(number.value, number.other)
        return self.find(text, language, prompt)

    def _style(self, language: str) -> Style:
        return style_of(language, self.decimal[language], self.percent, self.digits)

    # -------------------------------------------------------------------------------------------------------- numbers
    def _number(self, text: str, language: str, prompt: str) -> FinalAnswer | None:
        style = self._style(language)
        for inside in (last_box(text), _last(_HASHES, text)):
            if inside is not None and (number := _first_of(inside, style)) is not None:
                return FinalAnswer(number.value, number.other)
        plain = tidy(text)
        for segment in self._announced(plain, language):
            if (number := _first_of(segment, style)) is not None:
                return FinalAnswer(number.value, number.other)
        if not self.last:
            return None
        listed = {match.start() + len(match[0]) - len(match[0].lstrip()) for match in _LISTED.finditer(plain)}
        every = [one for one in numbers(plain, style) if one.start not in listed and ":" not in one.value]
        strong = [one for one in every if not one.weak] or every
        return FinalAnswer(strong[-1].value, strong[-1].other) if strong else None

    # -------------------------------------------------------------------------------------------------------- options
    def _option(self, text: str, language: str, prompt: str) -> FinalAnswer | None:
        chooser = Chooser(options_of(prompt, language))
        box = last_box(text)
        if box is not None and (name := chooser.announced(_plain_latex(box), language)) is not None:
            return FinalAnswer(name)
        segments: list[str] = [segment.lstrip() for segment in self._announced(text, language)]
        for segment in segments:
            name = chooser.announced(_DASHES.sub("", segment), language)
            name = name or chooser.by_text(_sentence(segment), language) or chooser.last(_sentence(segment))
            if name is not None:
                return FinalAnswer(name)
        if len(text) <= self.max_chars and (name := chooser.announced(text.strip(), language)) is not None:
            return FinalAnswer(name)
        if not self.last:
            return None
        name = chooser.last(text)
        lines = [line for line in text.splitlines() if line.strip()]
        name = name or chooser.by_text(lines[-1], language)
        return None if name is None else FinalAnswer(name)

    # ---------------------------------------------------------------------------------------------------------- texts
    def _boxed(self, text: str, language: str, prompt: str) -> FinalAnswer | None:
        box = last_box(text)
        return None if box is None else self._value(box, language, latex=True)

    def _text(self, text: str, language: str, prompt: str) -> FinalAnswer | None:
        box = last_box(text)
        if box is not None:
            return self._value(_plain_latex(box), language)
        for segment in self._announced(text, language):
            if (answer := self._value(_sentence(_DASHES.sub("", segment)), language)) is not None:
                return answer
        if not self.last:
            return None
        lines = [line for line in text.splitlines() if line.strip()]
        return self._value(text, language) or self._value(lines[-1], language)

    def _json(self, text: str, language: str, prompt: str) -> FinalAnswer | None:
        for document in _objects(text):
            value: Any = document
            for key in self.field.split("."):
                if isinstance(value, list) and key.isdigit() and int(key) < len(value):
                    value = value[int(key)]
                else:
                    value = value.get(key) if isinstance(value, dict) else None
            if value is None:
                continue
            if isinstance(value, str):
                return self._value(value, language)
            if isinstance(value, bool | dict | list):
                return FinalAnswer(_short(orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()))
            return FinalAnswer(written(Fraction(repr(value)), self.digits))
        return None

    def _value(self, text: str, language: str, *, latex: bool = False) -> FinalAnswer | None:
        """A short text as an answer: a number, if it is one, else its normal form."""
        if latex:
            plain = tidy(_plain_latex(text, spaces=True))
            every = numbers(plain, self._style(language))
            if len(every) == 1 and not regex.search(r"[\p{L}\\^_{}]", _around(plain, every[0])):
                return FinalAnswer(every[0].value, every[0].other)
            return FinalAnswer(_short(_latex(text))) if _latex(text) else None
        if len(text) > self.max_chars:
            return None
        plain = tidy(text)
        every = numbers(plain, self._style(language))
        if len(every) == 1 and not every[0].weak and not regex.search(r"\p{L}", _around(plain, every[0])):
            return FinalAnswer(every[0].value, every[0].other)
        normalised = normal(text, language)
        return FinalAnswer(normalised) if normalised else None

    def _announced(self, text: str, language: str) -> Iterator[str]:
        """The text after each announcement, to the end of its line (or the next line, if that is empty), the last
        first; then the text before each closing announcement."""
        phrases = phrases_of(language, self.markers[language] or ())
        folded = text.casefold()
        if not any(hint in folded for hint in phrases.hints):
            return
        for match in reversed([*phrases.opening.finditer(text)][-_MOST_SEGMENTS:]):
            rest = text[match.end() : match.end() + _SEGMENT]
            line, _, below = rest.partition("\n")
            if not line.strip(" \t*_`:："):
                line = next((one for one in below.splitlines() if one.strip(" \t*_`")), "")
            yield line
        for match in reversed([*phrases.closing.finditer(text)][-_MOST_SEGMENTS:]):
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
    r"""The content of the last complete ``\boxed{…}`` (or ``\fbox``, or ``\boxed 5``)."""
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


def _around(text: str, number: Number) -> str:
    return text[: number.start] + text[number.end :]


def _last(pattern: regex.Pattern[str], text: str) -> str | None:
    matches = pattern.findall(text) if "####" in text else []
    return str(matches[-1]) if matches else None


def _first_of(segment: str, style: Style) -> Number | None:
    """The first number of an announced answer; of a computation, its result."""
    plain = tidy(segment)
    sentence = _sentence(plain)
    for part in (sentence, plain):
        sums = [*_EQUALS.finditer(part)]
        for piece in (part[sums[-1].end() :], part) if sums else (part,):
            if first := numbers(piece, style):
                return first[0]
    return None


def _sentence(segment: str) -> str:
    end = _SENTENCE.search(segment.rstrip() + " ")
    return segment[: end.start()] if end and segment[: end.start()].strip() else segment


def _plain_latex(text: str, *, spaces: bool = False) -> str:
    for pattern, by in _LATEX[:2] if spaces else (_LATEX[1],):
        text = pattern.sub(by, text)
    return text


def _latex(text: str) -> str:
    """A formula without differences in layout."""
    for pattern, by in _LATEX:
        text = pattern.sub(by, text)
    return text.rstrip(".,;")


def _short(text: str) -> str:
    if len(text) <= _KEPT:
        return text
    from curate.rows.ids import hash_texts

    return f"{text[:_KEPT]}… {hash_texts([text], 8)[0].hex()}"


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects of a text, the last first; only the outermost."""
    inside = [match[1] for match in _FENCE.finditer(text)]
    for part in (*reversed(inside), text):
        objects, place, read = [], 0, 0
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
                objects.append(value)
                place = end
            else:
                place = start + 1
        yield from reversed(objects)


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

"""Finds program code within a text, by its fences or by the look of its lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson
import polars as pl
import regex

from curate.text.masks import mask

Interval = tuple[int, int]
_RUN = regex.compile(r"```+|~~~+")
_BEFORE = regex.compile(r"[ \t]{0,8}(?:>[ \t]?)*+(?:[-*+][ \t]+|\d{1,3}[.)][ \t]+)?")
_LANGUAGE = regex.compile(r"[A-Za-z][\w+#.-]{0,20}\s*")
_FURTHER = 64
_ELEMENT = regex.compile(r"[ \t]*<(pre|script|style)\b", regex.IGNORECASE)
_PROMPT_LINE = regex.compile(
    r"[ \t]*(?:>>> |\.\.\. |In \[\d+\]:|Out\[\d+\]:|\$ [a-z][\w-]* ?(?:[-\w./]|$)|#!/|<\?(?:php|xml)|from [\w.]+ import"
    r" \w|import [\w.]+(?: as \w+)?;?$|(?:def|function|func|fn) [\w$]+ ?\([^()]*\)|(?:val|var|let|const|local|my)"
    r" +[\w$@]+ *[:=]|\x22[\w $-]{1,60}\x22\s*:\s)"
)
_IMPORT = regex.compile(r"[ \t]*(?:from [\w.]+ import \w|import [\w.]+(?: as \w+)?;?$)")
_COMMENT = regex.compile(r"[ \t]*(?:#|//|--[ \t]|/\*|\*/?[ \t]|\x22\x22\x22|\x27\x27\x27)")
_STRONG = regex.compile(r"[(){}\[\]=;<>_|]|::|->|\x22")
_OPENS = regex.compile(
    r"[ \t]*(?:(?:async )?(?:def|class|for|while|if|elif|else|try|except|finally|with)\b[^\n。！？]*):[ \t]*(?:#.*)?$"
)
# A line after which what is indented more, or stands before the closing bracket, belongs to it.
_HOLDS = regex.compile(r"[({\[=]\s*$|=>\s*$|->\s*$")
_CLOSES = regex.compile(r"[ \t]*[)}\]]")
_LONGEST_LINE = 2_000
_LONGEST_BLOCK = 400


def code_blocks(texts: Sequence[str]) -> list[list[Interval]]:
    """Start and end of each code block, per text: whole lines, unless a fence shares its line with other words.

    These are fenced blocks (an unclosed fence runs to the end), whole texts that are a JSON object or an array of
    objects, and runs of lines that look like code: those of the filters' ``code`` mask, and what is indented below a
    line that opens a block. A fence after other words (``answer: ```py``) opens a block if a language name follows it
    or a fence closes it. A closing fence may follow the last code (``}``` ``) or precede other words.
    """
    candidates: list[str] = []
    split: list[list[str]] = []
    states: list[list[str]] = []
    fenced: list[list[Interval]] = []
    places: list[tuple[int, int]] = []
    for at, text in enumerate(texts):
        lines = text.splitlines(keepends=True)
        whole = _is_json(text)
        blocks = [] if whole else _fences(lines)
        state = ["code"] * len(lines) if whole else _states(lines, blocks)
        if "</" in text and not whole:
            _elements(lines, state)
        split.append(lines)
        states.append(state)
        fenced.append(blocks)
        for index, line in enumerate(lines):
            if state[index] == "?" and len(line) <= _LONGEST_LINE and not line.isspace():
                places.append((at, index))
                candidates.append(line.rstrip("\r\n"))
    if candidates:
        stripped = mask(pl.Series(candidates), ("code",)).to_list()
        for (at, index), line, left in zip(places, candidates, stripped, strict=True):
            if not left.strip() or _PROMPT_LINE.match(line):
                states[at][index] = "strong" if _STRONG.search(line) or _IMPORT.match(line) else "weak"
            elif _COMMENT.match(line):
                states[at][index] = "comment"
    return [
        _joined(_runs(lines, _settled(lines, state)), blocks)
        for lines, state, blocks in zip(split, states, fenced, strict=True)
    ]


def _states(lines: Sequence[str], blocks: Sequence[Interval]) -> list[str]:
    """For each line ``code`` if a block contains it, ``beside`` if a block contains part of it, otherwise ``?``."""
    state = []
    position, at = 0, 0
    for line in lines:
        end = position + len(line)
        while at < len(blocks) and blocks[at][1] <= position:
            at += 1
        if at == len(blocks) or blocks[at][0] >= end:
            state.append("?")
        else:
            state.append("code" if blocks[at][0] <= position and blocks[at][1] >= end else "beside")
        position = end
    return state


def _joined(runs: Sequence[Interval], blocks: Sequence[Interval]) -> list[Interval]:
    """Both lists merged into disjoint spans, in order."""
    if not blocks:
        return list(runs)
    joined: list[Interval] = []
    for start, end in sorted([*runs, *blocks]):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _fences(lines: Sequence[str]) -> list[Interval]:
    """Start and end of each fenced block: whole lines, unless a fence shares its line with other words."""
    tokens: list[_Fence] = []
    position = 0
    for number, line in enumerate(lines):
        if "```" in line or "~~~" in line:
            tokens += _fences_in(line, number, position)
        position += len(line)
    blocks: list[Interval] = []
    hopeless: dict[str, int] = {}
    waiting, at = -1, 0
    while at < len(tokens):
        fence = tokens[at]
        at += 1
        if waiting == fence.line:
            # The other end of what a line has between two fences: that is inline code.
            waiting = -1
            continue
        if not fence.opens:
            waiting = fence.line
            continue
        closing = None
        if fence.length < hopeless.get(fence.sign, fence.length + 1):
            closing = _closing(tokens, at, fence)
        if closing is None and not fence.first and not fence.names:
            # A fence that ends a line of prose. Longer ones after it are not closed either.
            hopeless[fence.sign] = fence.length
        elif closing is None:
            blocks.append((fence.begin, position))
            break
        else:
            blocks.append((fence.begin, tokens[closing].finish))
            at = closing + 1
    return blocks


@dataclass(frozen=True, slots=True)
class _Fence:
    """Three or more backticks or tildes, with their context in the line."""

    line: int
    sign: str
    length: int
    begin: int
    """Start of a block that it opens."""
    finish: int
    """End of a block that it closes."""
    first: bool
    """Whether only list and quotation marks precede it in the line."""
    bare: bool
    """Whether nothing follows it in the line."""
    names: bool
    """Whether only the name of a language follows it."""
    follows: bool
    """Whether whitespace follows it."""
    opens: bool


def _fences_in(line: str, number: int, position: int) -> Iterator[_Fence]:
    found = list(_RUN.finditer(line))
    for at, match in enumerate(found):
        last = at + 1 == len(found)
        sign, end = match[0][0], match.end()
        first = at == 0 and _BEFORE.fullmatch(line, 0, match.start()) is not None
        bare = last and not line[end:].strip()
        names = last and _LANGUAGE.fullmatch(line, end) is not None
        opens = line.find(sign, end) < 0 if first else last and sign == "`" and (bare or names)
        yield _Fence(
            number,
            sign,
            len(match[0]),
            position + (0 if first else match.start()),
            position + (len(line) if bare else end),
            first,
            bare,
            names,
            line[end : end + 1].isspace(),
            opens,
        )


def _closing(tokens: Sequence[_Fence], start: int, fence: _Fence) -> int | None:
    """The closing fence: alone in its line, otherwise after the last code or before other words."""
    beside: int | None = None
    for at in range(start, len(tokens)):
        one = tokens[at]
        if one.sign == fence.sign and one.length >= fence.length:
            if one.first and one.bare:
                return at
            if beside is None and (one.bare or (one.first and one.follows)):
                beside = at
        if beside is not None and ((one.names and at > beside) or at - beside > _FURTHER):
            break
    return beside


def _elements(lines: Sequence[str], state: list[str]) -> None:
    """Marks the lines of ``<pre>``, ``<script>`` and ``<style>`` elements of several lines."""
    element = ""
    for at, line in enumerate(lines):
        if element:
            state[at] = "code"
            if f"</{element}" in line.lower():
                element = ""
        elif state[at] == "?" and (opened := _ELEMENT.match(line)) and f"</{opened[1].lower()}" not in line.lower():
            element = opened[1].lower()
            state[at] = "code"


def _is_json(text: str) -> bool:
    core = text.strip()
    if len(core) < 2 or core[0] + core[-1] not in ("{}", "[]"):
        return False
    try:
        value = orjson.loads(core)
    except ValueError:
        return False
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(one, dict | list) for one in value))


def _settled(lines: Sequence[str], state: list[str]) -> list[bool]:
    """Which lines are code: strong ones, lines indented below a block's opening, and weak ones and comments next to
    code."""
    code = [one in ("code", "strong") for one in state]
    index = 0
    while index < len(lines):
        if state[index] in ("strong", "weak") and _OPENS.match(lines[index].rstrip("\r\n")):
            indent = _indent(lines[index])
            end = index + 1
            while end < len(lines) and (lines[end].isspace() or _indent(lines[end]) > indent):
                end += 1
            inside = [place for place in range(index + 1, end) if not lines[place].isspace()]
            if inside:
                for place in range(index, inside[-1] + 1):
                    code[place] = True
                index = end
                continue
        elif state[index] == "strong" and (end := _held(lines, index)) > index:
            for place in range(index, end + 1):
                code[place] = True
        index += 1
    for order in (range(len(lines)), range(len(lines) - 1, -1, -1)):
        before = False
        for place in order:
            if code[place] or (before and state[place] in ("weak", "comment")):
                code[place] = before = True
            elif not lines[place].isspace() or state[place] == "code":
                before = False
    return code


def _held(lines: Sequence[str], first: int) -> int:
    """The last line of a construct that a line opens (``create table x (``, ``def f(x) =``); ``first`` itself if it
    opens none."""
    opened = lines[first].rstrip()
    if not _HOLDS.search(opened):
        return first
    indent, last = _indent(lines[first]), first
    for place in range(first + 1, min(len(lines), first + _LONGEST_BLOCK)):
        if lines[place].isspace():
            continue
        if opened[-1] in "({[" and _CLOSES.match(lines[place]) and _indent(lines[place]) <= indent:
            return place
        if _indent(lines[place]) <= indent:
            break
        last = place
    return last


def _indent(line: str) -> int:
    return len(line.expandtabs(4)) - len(line.expandtabs(4).lstrip(" \t"))


def _runs(lines: Sequence[str], code: Sequence[bool]) -> list[Interval]:
    runs: list[Interval] = []
    position = 0
    for line, is_code in zip(lines, code, strict=True):
        if is_code:
            if runs and runs[-1][1] == position:
                runs[-1] = (runs[-1][0], position + len(line))
            else:
                runs.append((position, position + len(line)))
        position += len(line)
    return runs

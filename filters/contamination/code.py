"""Program code in other words: what a program keeps when it is renamed, reordered or written in another language.

Three things are kept: the literals of its examples (``[3, 5, 2]``, ``'o| .|'``), the words of its function names, and
the shape of its expressions, in which variables and types are left out and the spellings of languages are made one. Any
language is read by one tolerant tokeniser; text that is no program gives next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import regex

Literals = tuple[str, ...]
Shape = tuple[str, ...]
Span = tuple[int, int]

_DOCSTRING = regex.compile(r"(\x22{3}|\x27{3})(.*?)(?:\1|\Z)", regex.DOTALL)
_COMMENT = regex.compile(
    r"/\*(?:.*?)(?:\*/|\Z)|(?m:^[ \t]*(?:\#(?!include|!)|//)[^\n]*$)|(?<=[\s;{}])(?:\#|//)\s[^\n]*", regex.DOTALL
)
_COMMENT_SIGNS = regex.compile(r"^[ \t]*(?:/\*+|\*/?|\#+|//+)?[ \t]?|\*/\s*$", regex.MULTILINE)
_TOKEN = regex.compile(
    r"(?<![\w\x22\x27])(?:\x22(?:\\.|[^\x22\\\n]){0,200}+\x22|\x27(?:\\.|[^\x27\\\n]){0,200}+\x27)(?!\w)"
    r"|(?<![\w.])\d+(?:\.\d+)?|[^\W\d]\w*"
    r"|===|!==|\*\*|//|[-+*/%=!<>]=|<<|>>|->|=>|:=|\+\+|--|&&|\|\||[^\s\w]"
)
_DEFINITION = regex.compile(
    r"\b(?:def|func|fn)\s+(?:\([^()\n]*\)\s*)?([^\W\d]\w*)\s*[(<]|\bfunction\s+([^\W\d]\w*)\s*\([^()\n]*\)\s*\{"
    r"|\b(?:const|let|var)\s+([^\W\d]\w*)\s*=\s*(?:async\s*)?(?:\(|function\b|\w+\s*=>)"
    r"|^[ \t]*(?:[\w<>\[\],]+[ \t]+){1,5}([^\W\d]\w*)[ \t]*\([^()\n;]*\)[^\n;{}=\\]{0,40}\{",
    regex.MULTILINE,
)
_NAME = regex.compile(r"\b[^\W\d_]+(?:_[^\W_]+)+\b|\b\p{Ll}+(?:\p{Lu}[\p{Ll}\d]+)+\b|\b(?:\p{Lu}\p{Ll}+){2,}\b")
_WORD = regex.compile(r"\p{Lu}?\p{Ll}+|\p{Lu}+(?!\p{Ll})|\d+|\p{Lo}+")
_WORTH_READING = regex.compile(r"[(\[{=\x22\x27]|\d\s*+,\s*+\d")

_SPELLINGS = {
    "==": "is equals ===", "!=": "!==", "and": "&&", "or": "||", "not": "!", "none": "null nil undefined",
    "if": "elif", "len": "length size", "append": "push add put", "sort": "sorted slice",
    "str": "tostring itoa valueof", "int": "parseint atoi number", "lower": "tolower tolowercase",
    "upper": "toupper touppercase", "split": "fields", "reverse": "reversed", "index": "indexof find",
    "has": "includes contains", "set": "hashset", "**": "pow", "/": "//", "=": ":=",
}  # fmt: skip
_ALONE = (
    "for while return break continue true false abs max min join sum count sqrt floor map filter replace ord chr"
    " swapcase isupper islower zip all any startswith endswith + - * % < > <= >= += -= *= /= %= ++ -- ^ & | << >>"
)
_KEPT = {
    **{one: one for one in (*_SPELLINGS, *_ALONE.split())},
    **{one: name for name, others in _SPELLINGS.items() for one in others.split()},
}
"""What of a program is compared, by its spellings without capitals; any other name is a variable."""
_LEFT_OUT = frozenset({
    "else", "in", "of", "range", "enumerate", "let", "const", "var", "final", "public", "private", "protected",
    "static", "void", "integer", "float", "double", "boolean", "bool", "string", "char", "rune", "byte", "long",
    "list", "arraylist", "array", "def", "function", "func", "class", "new", "self", "this", "get", "charat",
    "math", "strings", "lambda", "pass", "import", "from", "make", "slices", "arrays", "collections", "stream",
    "dict", "tuple", "typing", "solution", "then", "do", "end", "begin", "type", "any", "object"
})  # fmt: skip
_TRUTHS = {"true": "true", "false": "false", "none": "none", "null": "none", "nil": "none"}
# What most programs have says nothing about which one it is.
_PLAIN = frozenset({"V", "=", "return", "if", "for", "0", "1", "true", "false", "none", "append", "len"})
_SIZES = (3, 5)
# Strings of many a textbook.
_ALPHABET = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz0123456789"
_TEXTBOOK = regex.compile(r"(?i)(?:aeiouy?)+|racecar|madam|(?:hello|world|,|!|\s)+|[^\p{L}\d]{0,2}|\d")


_SEQUENCES = tuple(
    tuple(line.split())
    for line in (
        "2 3 5 7 11 13 17 19 23 29 31 37 41 43 47 53 59 61 67 71 73 79 83 89 97",
        "0 1 1 2 3 5 8 13 21 34 55 89 144 233 377 610 987",
        "0 1 4 9 16 25 36 49 64 81 100 121 144",
        "1 2 4 8 16 32 64 128 256 512 1024",
    )
)
# What lists of literals have in common by chance, and the letters of a word of the dictionary.
_BY_CHANCE, _A_WORD = 0.8, 8


@dataclass(frozen=True)
class Program:
    """What of the code of a text is compared, each with its first place in the text."""

    literals: Mapping[Literals, Span]
    """Numbers and strings that only commas and colons separate, and single strings."""
    names: Mapping[str, Span]
    """The words of function names and other names of several words."""
    shape: Mapping[Shape, Span]
    """Short sequences of operators, keywords, known functions and constants, with V for variables."""


def is_program(text: str) -> bool:
    """Whether a function is defined in a text."""
    return _DEFINITION.search(text) is not None


def program(text: str) -> Program | None:
    """What of the code in a text is compared; None where there is nothing."""
    if not _WORTH_READING.search(text):
        return None
    names: dict[str, Span] = {}
    for match in (*_DEFINITION.finditer(text), *_NAME.finditer(text)):
        names.setdefault(_words_of(next(filter(None, match.groups()), match[0])), match.span())
    made = Program(_first(_literals(text)), names, _first(_shape(text)))
    return made if made.literals or made.names or made.shape else None


def description(text: str) -> str:
    """The prose of a program's docstring or comments up to the first example; empty where a text has none."""
    told = [match[2] for match in _DOCSTRING.finditer(text)]
    if not told:
        told = ["\n".join(_COMMENT_SIGNS.sub("", match[0]) for match in _COMMENT.finditer(text))]
    return max((" ".join(_before_examples(one).split()) for one in told), key=len)


_EXAMPLE = regex.compile(r">>>|\b[^\W\d]\w*\((?=[^()]*[\d\[\x22\x27])[^\n]*")
_LABEL = regex.compile(r"[^.!?。！？।\n]{0,40}[:：]\s*$")


def _before_examples(told: str) -> str:
    match = _EXAMPLE.search(told)
    return _LABEL.sub("", told[: match.start()].rstrip()) if match and match.start() > 10 else told


def _first(found: Iterator[tuple[tuple[str, ...], Span]]) -> dict[tuple[str, ...], Span]:
    first: dict[tuple[str, ...], Span] = {}
    for one, place in found:
        first.setdefault(one, place)
    return first


def _words_of(name: str) -> str:
    """``hasCloseElements`` and ``has_close_elements`` → ``has close elements``."""
    return " ".join(word.casefold() for word in _WORD.findall(name))


def _literals(text: str) -> Iterator[tuple[Literals, Span]]:
    run: list[str] = []
    start = end = 0
    minus = False
    for match in _TOKEN.finditer(text):
        said = match[0]
        literal = _literal(said)
        if literal is not None:
            start = start if run else match.start()
            end = match.end()
            run.append(f"-{literal}" if minus else literal)
        elif said not in ",:-":
            if _is_worth(run):
                yield tuple(run), (start, end)
            run = []
        minus = said == "-"
    if _is_worth(run):
        yield tuple(run), (start, end)


def _is_worth(run: Sequence[str]) -> bool:
    return len(run) > 1 or (len(run) == 1 and run[0][0] == "'")


def _literal(said: str) -> str | None:
    if said[0] in "\"'" and len(said) > 1:
        return f"'{said[1:-1]}"
    if said[0].isdigit():
        return said.rstrip("0").rstrip(".") if "." in said else said
    return _TRUTHS.get(said.casefold()) if said[0].isalpha() else None


def information(literals: Literals) -> float:
    """How much it says that two texts have these literals in common: more for long ones that follow no rule.

    Counting up, textbook words and pairs of numbers occur in unrelated programs.
    """
    strings = [one for one in literals if one[0] == "'"]
    numbers = [one for one in literals if one[0] != "'"]
    total = 0.0
    before: int | None = None
    step = 1
    for one in numbers:
        if not one.lstrip("-").isdigit():
            total += 1.0 if one[0] in "-0123456789" else 0.2
            continue
        value = int(one[:18])
        regular = before is not None and value - before in (0, 1, step)
        total += 0.15 if regular else (0.4 if before is None else 1.2) + 0.4 * min(3, len(one.lstrip("-")) - 1)
        step, before = value - (before or 0), value
    if len(numbers) > 2 and any(_is_part(tuple(numbers), known) for known in _SEQUENCES):
        total = 0.0
    total = max(0.0, total - _BY_CHANCE)
    return (total if len(numbers) > 2 else min(1.0, total)) + sum(map(_information_of_string, strings))


def _is_part(some: Literals, whole: Literals) -> bool:
    return any(whole[at : at + len(some)] == some for at in range(len(whole) - len(some) + 1))


def _information_of_string(literal: str) -> float:
    one = literal[1:]
    if _TEXTBOOK.fullmatch(one) or one.casefold() in _ALPHABET:
        return 0.2
    told = min(6.0, 0.5 * len(set(one)) + 0.1 * len(one))
    return min(1.0, told) if len(one) <= _A_WORD and one.isalpha() and one[1:].islower() else told


def _shape(text: str) -> Iterator[tuple[Shape, Span]]:
    stream: list[tuple[str, Span]] = []
    for pattern in (_DOCSTRING, _COMMENT):
        text = pattern.sub(lambda match: " " * len(match[0]), text)
    for match in _TOKEN.finditer(text):
        one = match[0].casefold()
        new = _KEPT.get(one)
        if new is None:
            if one in _LEFT_OUT:
                continue
            new = _literal(match[0]) or ("V" if one[0].isalpha() or one[0] == "_" else "")
        if not new or (new == "V" and stream and stream[-1][0] == "V"):
            continue
        stream += [(part, match.span()) for part in {"++": ("+=", "1"), "--": ("-=", "1")}.get(new, (new,))]
    for size in _SIZES:
        for at in range(len(stream) - size + 1):
            some = tuple(one for one, _ in stream[at : at + size])
            if sum(one not in _PLAIN for one in some) >= 1 + (size > 3):
                yield some, (stream[at][1][0], stream[at + size - 1][1][1])

"""Prepares texts for encoders: replaces unsupported characters and splits long texts at natural boundaries.

All functions are pure, independent of the model, and keep the order of their input.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import regex

from curate.rows import languages

_UNFIT = regex.compile(r"[\x00\ud800-\udfff]")
# Short vowels, Quranic signs and the tatweel (U+0640) are optional in Arabic script and hardly occur in training data.
_TASHKEEL = regex.compile(
    r"[\u0610-\u061a\u0640\u064b-\u0653\u0656-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed]"
)
_ARABIC_SIGNS = regex.compile(r"[\u0610-\u061a\u0640\u064b-\u065f\u0670\u0671\u06d6-\u06ed]")
# An end of sentence: a full stop of any script with the closing marks and spaces after it, or a line break. The Latin
# full stop counts only before a space (3.14, example.org).
_SENTENCE_END = regex.compile(
    r"""(?:[.!?…]+["'”’»)\]]*\s+|[。！？｡．؟۔।॥։።፧၊။។៕᠃᠉]+["'”’»」』）)\]]*\s*|\n\s*)""", regex.VERSION1
)
_BLANK = regex.compile(r"\s+")


def make_fit(text: str) -> str:
    """The text with NUL and lone surrogates, which no tokenizer accepts, replaced by spaces."""
    unfit = "\0" in text if text.isascii() else _UNFIT.search(text)
    return _UNFIT.sub(" ", text) if unfit else text


def strip_tashkeel(text: str) -> str:
    """Removes optional signs from Arabic-script text and maps ``ٱ`` to ``ا``; other text is unchanged.

    Letters with hamza or madda keep it: it is spelling, not vocalisation.
    """
    if text.isascii() or not _ARABIC_SIGNS.search(text):
        return text
    return _TASHKEEL.sub("", unicodedata.normalize("NFC", text)).replace("\u0671", "\u0627")


def split_text(text: str, max_chars: int) -> list[str]:
    """Splits a text into pieces of at most ``max_chars`` characters.

    A piece ends after the last sentence in the second half of the window, otherwise at the last space, otherwise
    (unspaced scripts, very long words) between two characters, if possible not before a combining mark.
    """
    pieces = []
    start = 0
    while len(text) - start > max_chars:
        window = text[start : start + max_chars]
        end = _last_end(_SENTENCE_END, window) or _last_end(_BLANK, window)
        if not end:
            end = max_chars
            while end > max_chars // 2 and unicodedata.category(text[start + end])[0] == "M":
                end -= 1
        pieces.append(text[start : start + end])
        start += end
    pieces.append(text[start:])
    return pieces


def _last_end(pattern: regex.Pattern[str], window: str) -> int:
    """The end of the last match in the second half of the window; 0 if there is none."""
    end = 0
    for match in pattern.finditer(window, len(window) // 2):
        end = match.end()
    return end


def encode_in_pieces(
    texts: Sequence[str], max_chars: int, dimensions: int, encode: Callable[[list[str]], npt.NDArray[np.float32]]
) -> npt.NDArray[np.float32]:
    """Unit vectors of texts of any length: the mean of their pieces' vectors, weighted by length.

    Whitespace gets the zero vector, whose cosine with anything is 0.

    Args:
        encode: unit vectors of non-empty texts of at most ``max_chars`` characters.
    """
    pieces: list[str] = []
    owners: list[int] = []
    for index, text in enumerate(texts):
        for piece in split_text(text, max_chars):
            if piece and not piece.isspace():
                pieces.append(piece)
                owners.append(index)
    vectors = np.zeros((len(texts), dimensions), np.float32)
    if pieces:
        weights = np.fromiter(map(len, pieces), np.float32, len(pieces))
        np.add.at(vectors, np.asarray(owners), encode(pieces) * weights[:, None])
    return normalize_rows(vectors)


def normalize_rows(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scales each row to unit length; a zero row stays zero."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    unit: npt.NDArray[np.float32] = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return unit


# ------------------------------------------------------------------------------------------------------------- scripts
@cache
def _script_table() -> tuple[npt.NDArray[np.uint8], tuple[str, ...]]:
    """Code point → index of its script among the names; 0 for non-letters and letters of an unknown script."""
    names = ("", *languages.script_names())
    table = np.zeros(0x110000, np.uint8)
    han, hangul = names.index("Han"), names.index("Hangul")
    table[0x3400:0x4DC0] = table[0x4E00:0xA000] = table[0x20000:0x32400] = han
    table[0xAC00:0xD7A4] = hangul
    # Unicode names begin with the script; asking a regular expression for 70 properties would take two seconds.
    prefixes = {name.upper().replace("_", " "): index for index, name in enumerate(names[1:], 1)}
    prefixes["CANADIAN SYLLABICS"] = prefixes.pop("CANADIAN ABORIGINAL")
    for code in np.flatnonzero(table[:0x20000] == 0).tolist():
        letter = chr(code)
        if unicodedata.category(letter)[0] == "L":
            words = unicodedata.name(letter, "").removeprefix("FULLWIDTH ").removeprefix("HALFWIDTH ").split(" ", 3)
            found = (prefixes.get(" ".join(words[:length])) for length in (1, 2, 3))
            table[code] = next((index for index in found if index), 0)
    return table, names


def count_scripts(texts: Sequence[str]) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Letters per script in each text: shape (texts, scripts), and the scripts' Unicode names.

    Column 0 counts the characters that are no letters.
    """
    table, names = _script_table()
    data = "".join(texts).encode("utf-32-le", "surrogatepass")
    scripts = table[np.frombuffer(data, "<u4")]
    owners = np.repeat(np.arange(len(texts)), np.fromiter(map(len, texts), np.int64, len(texts)))
    counts = np.bincount(owners * len(names) + scripts, minlength=len(texts) * len(names))
    return counts.reshape(len(texts), len(names)), names


@cache
def _letters() -> npt.NDArray[np.bool_]:
    return np.fromiter(map(str.isalpha, map(chr, range(0x110000))), bool, 0x110000)


def count_letters(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """The number of letters of each text."""
    data = "".join(texts).encode("utf-32-le", "surrogatepass")
    counts = np.concatenate([[0], np.cumsum(_letters()[np.frombuffer(data, "<u4")])])
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
    return np.diff(counts[ends], prepend=0)

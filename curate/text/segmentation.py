"""Segments texts of all scripts: letters and their scripts, graphemes, segments and countable units.

All functions work on whole columns: splits are Rust regular expressions (linear time), counts are table look-ups over
code points. :mod:`curate.text.masks` removes what is no language. No function treats space-separated strings as words
without checking the script.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import polars as pl
import regex

from curate.rows import languages

# Scripts written without spaces between words, and Hangul, whose spaces stand every two or three syllables: there a
# character, not a word, is the unit of counting.
UNSPACED = ("Han", "Hiragana", "Katakana", "Bopomofo", "Hangul", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan", "Yi",
            "Javanese", "Balinese", "Tai_Le", "New_Tai_Lue", "Tai_Tham", "Tai_Viet", "Cuneiform",
            "Egyptian_Hieroglyphs")  # fmt: skip
# How many Latin letters a letter of these scripts says as much as (translations of one text: Chinese needs about a
# third
# of the letters of English, Japanese and Korean about half, Ethiopic about half).
_WEIGHTS = MappingProxyType(
    {"Han": 3, "Hiragana": 2, "Katakana": 2, "Hangul": 2, "Ethiopic": 2, "Yi": 3, "Cuneiform": 3,
    "Egyptian_Hieroglyphs": 3,
     "Canadian_Aboriginal": 2, "Vai": 2, "Cherokee": 2,
     # vowels of the Indic family are marks and are not counted as letters
     **dict.fromkeys(("Devanagari", "Bengali", "Gurmukhi", "Gujarati", "Oriya", "Tamil", "Telugu", "Kannada",
     "Malayalam", "Sinhala",
                      "Khmer", "Myanmar", "Tibetan", "Thaana"), 2)}
)  # fmt: skip
# One writing system each: a change inside is no change of script.
_SYSTEMS = (("Han", "Hiragana", "Katakana", "Bopomofo"),)
_CODE_POINTS = 0x110000
_BATCH = 2_000_000

# Vowel signs and cantillation that most Arabic and Hebrew text leaves out, and the tatweel, which is a stretched line.
_MARKS = (
    r"[\x{0610}-\x{061A}\x{064B}-\x{065F}\x{0670}\x{06D6}-\x{06DC}\x{06DF}-\x{06E8}\x{06EA}-\x{06ED}\x{08D3}-\x{08FF}"
    r"\x{0640}\x{0591}-\x{05BD}\x{05BF}\x{05C1}\x{05C2}\x{05C4}\x{05C5}\x{05C7}]"
)
# Signs that are neither seen nor spoken. The joiners U+200C and U+200D are not among them: Persian and Indic spelling
# need them.
INVISIBLE = (
    r"[\x{00AD}\x{061C}\x{180E}\x{200B}\x{200E}\x{200F}\x{202A}-\x{202E}"
    r"\x{2060}-\x{2064}\x{2066}-\x{206F}\x{FEFF}\x{FFF9}-\x{FFFB}\x{E0000}-\x{E007F}]"
)
_EMPTY = (
    r"^[\s\p{Z}\p{Cc}\p{Cf}\p{Variation_Selector}\x{034F}\x{115F}\x{1160}\x{17B4}\x{17B5}\x{2800}\x{3164}\x{FFA0}]*$"
)


def strip_marks(texts: pl.Series) -> pl.Series:
    """The texts without Arabic tashkeel and tatweel and Hebrew points; other scripts are unchanged."""
    return texts.str.replace_all(_MARKS, "")


def is_empty(texts: pl.Expr) -> pl.Expr:
    """Whether a text is invisible: only whitespace, controls, format characters (also zero-width) and fillers."""
    return texts.str.contains(_EMPTY)


def graphemes(text: str) -> list[str]:
    """The user-perceived characters (extended grapheme clusters, UAX #29)."""
    return regex.findall(r"\X", text)


# ------------------------------------------------------------------------------------------------------------- letters
@cache
def _all_letters() -> tuple[str, npt.NDArray[np.int64]]:
    everything = "".join(map(chr, (*range(0xD800), *range(0xE000, _CODE_POINTS))))
    found = "".join(regex.findall(r"\p{L}+", everything))
    return found, np.frombuffer(found.encode("utf-32-le"), np.uint32).astype(np.int64)


@cache
def script_table() -> npt.NDArray[np.uint8]:
    """For each code point the number of its script: 0 if it is no letter, 1 for a letter of an unknown script,
    otherwise 2 + the position in :func:`curate.rows.languages.script_names`."""
    table = np.zeros(_CODE_POINTS, np.uint8)
    letters, points = _all_letters()
    table[points] = 1
    for number, name in enumerate(languages.script_names(), 2):
        for match in regex.finditer(rf"\p{{Script={name}}}+", letters):
            table[points[match.start() : match.end()]] = number
    return table


def _numbers(names: Collection[str]) -> list[int]:
    known = languages.script_names()
    return [known.index(name) + 2 for name in names if name in known]


@cache
def _weights() -> npt.NDArray[np.uint8]:
    weights = np.ones(256, np.uint8)
    weights[0] = 0
    for name, weight in _WEIGHTS.items():
        weights[_numbers([name])] = weight
    return weights


def code_points(texts: pl.Series) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """All texts as one array of code points, and the start of each (n+1 offsets); null is an empty text."""
    lengths = texts.str.len_chars().fill_null(0).to_numpy()
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return np.frombuffer("".join(texts.drop_nulls().to_list()).encode("utf-32-le"), np.uint32), offsets


def batches(texts: pl.Series, size: int = _BATCH) -> Iterator[pl.Series]:
    """The texts in order, in batches of about ``size`` characters (a longer text is its own batch)."""
    if not len(texts):
        return
    ends = np.cumsum(texts.str.len_chars().fill_null(0).to_numpy().astype(np.int64))
    start = 0
    while start < len(texts):
        done = ends[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(ends, done + size, "right")))
        yield texts.slice(start, end - start)
        start = end


def row_sums(values: npt.NDArray[np.generic], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The sum per row, with rows given by n+1 offsets; 0 for an empty row."""
    total = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=total[1:])
    return total[offsets[1:]] - total[offsets[:-1]]


def script_counts(texts: pl.Series) -> npt.NDArray[np.int64]:
    """Letters per script in each text: shape (texts, 2 + scripts), columns as in :func:`script_table`."""
    width = 2 + len(languages.script_names())
    parts = [np.zeros((0, width), np.int64)]
    for batch in batches(texts):
        points, offsets = code_points(batch)
        cells = np.repeat(np.arange(len(batch)) * width, np.diff(offsets)) + script_table()[points]
        parts.append(np.bincount(cells, minlength=len(batch) * width).reshape(len(batch), width))
    counts = np.concatenate(parts)
    counts[:, 0] = 0
    return counts


def letter_weights(
    texts: pl.Series, expected: pl.Series | None = None, counts: npt.NDArray[np.int64] | None = None
) -> pl.DataFrame:
    """The amount of text for language identification, and the share of it in the expected script.

    Args:
        texts: strings.
        expected: a language tag for each text.
        counts: the :func:`script_counts` of the texts, if already computed.

    Returns:
        ``letters``: the letters in each text in Latin-letter equivalents (a Han character counts 3, kana and Hangul 2);
        ``share``: the share (0 to 1) of them in the scripts of ``expected``, null if there are none or the script of
        that language is unknown. For Chinese, characters of only simplified or only traditional spelling count too.
    """
    counts = script_counts(texts) if counts is None else counts
    weighted = counts * _weights()[: counts.shape[1]]
    letters = weighted.sum(axis=1).astype(np.float64)
    share = np.full(len(texts), np.nan)
    if expected is not None:
        tags = np.asarray(expected.fill_null(languages.UNKNOWN).to_list(), dtype=object)
        for tag in set(tags):
            names = languages.letters(tag) if tag != languages.UNKNOWN else ()
            rows = np.flatnonzero(tags == tag)
            if not names:
                continue
            inside = weighted[rows][:, _numbers(names)].sum(axis=1)
            share[rows] = np.divide(inside, letters[rows], out=np.full(len(rows), np.nan), where=letters[rows] > 0)
            if languages.script(tag) in ("Hans", "Hant"):
                share[rows] *= _variant_share(texts.gather(rows), traditional=languages.script(tag) == "Hant")
    return pl.DataFrame({"letters": letters, "share": pl.Series(share, nan_to_null=True, dtype=pl.Float64)})


def writing(counts: npt.NDArray[np.int64]) -> list[tuple[str, ...]]:
    """The scripts with at least a tenth of each text's letters, from its :func:`script_counts`.

    Names are Unicode's. Han letters are ``Han`` if there is no kana, ``Japanese`` if kana is at least a fifth of them,
    and both in between; kana is never named by itself.
    """
    names = ("", "", *languages.script_names())
    han, kana = _numbers(("Han",))[0], _numbers(("Hiragana", "Katakana"))
    joined = counts * _weights()[: counts.shape[1]].astype(np.int64)
    syllables = joined[:, kana].sum(axis=1)
    joined[:, kana] = 0
    joined[:, han] += syllables
    enough = (joined * 10 >= joined.sum(axis=1, keepdims=True)) & (joined > 0)
    part = np.divide(syllables, joined[:, han], out=np.zeros(len(joined)), where=joined[:, han] > 0)
    found: list[tuple[str, ...]] = []
    rows, columns = np.nonzero(enough)
    bounds = np.searchsorted(rows, np.arange(len(counts) + 1))
    for row in range(len(counts)):
        numbers = columns[bounds[row] : bounds[row + 1]].tolist()
        scripts = [names[number] for number in numbers if number > 1]
        if han in numbers and part[row] > 0:
            scripts = [*scripts, "Japanese"] if part[row] < 0.2 else ["Japanese", *(s for s in scripts if s != "Han")]
        found.append(tuple(scripts))
    return found


@cache
def chinese_variants() -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Code points of only simplified, and of only traditional Chinese.

    By the national character sets: characters in GB 2312 (1980) but not in Big5 are simplified, and vice versa.
    """
    sides = (np.zeros(_CODE_POINTS, bool), np.zeros(_CODE_POINTS, bool))
    for point in range(0x4E00, 0x9FA6):
        fits = [bool(chr(point).encode(name, "ignore")) for name in ("gb2312", "big5")]
        if fits[0] != fits[1]:
            sides[0 if fits[0] else 1][point] = True
    return sides


def _variant_share(texts: pl.Series, *, traditional: bool) -> npt.NDArray[np.float64]:
    """Share of the expected variant among characters specific to simplified or traditional; 1 if there are under 4."""
    parts = [np.zeros(0)]
    for batch in batches(texts):
        points, offsets = code_points(batch)
        counts = [row_sums(side[points], offsets).astype(np.float64) for side in chinese_variants()]
        both = counts[0] + counts[1]
        parts.append(np.divide(counts[1 if traditional else 0], both, out=np.ones(len(both)), where=both >= 4))
    return np.concatenate(parts)


# ------------------------------------------------------------------------------------------------------------ segments
# An ASCII stop ends a sentence only before a space (3.14, e.g.com); the others always do. Not by curate.text.sentences:
# here the language is unknown or yet to be found, and a column takes a twentieth of the time.
_ENDS = (r"([.!?…]+[\x22'”’»)\]]*)[\s\p{Z}]+", r"([。！？｡।॥።؟۔։᙮။៕៖༎᠃᠉]+[”’」』）】\x22']*)")
_CLAUSES = (
    r"([,;:][\x22'”’»)\]]*)[\s\p{Z}]+",
    r"([，、；：،؛၊፣፤]+)",
    r"[\s\p{Z}]+([(\[«“„—–-])",
    r"([)\]»”])[\s\p{Z}]+",
)
_BREAK = "\n"


def _split(texts: pl.Series, patterns: tuple[str, ...]) -> pl.Series:
    for pattern in patterns:
        replacement = f"{_BREAK}$1" if pattern.startswith(r"[\s") else f"$1{_BREAK}"
        texts = texts.str.replace_all(pattern, replacement)
    return texts


def sentences(texts: pl.Series) -> pl.Series:
    """The sentences of each text, as lists of stripped strings; a line break ends a sentence in every language."""
    parts = _split(texts, _ENDS).str.split(_BREAK)
    return parts.list.eval(pl.element().str.strip_chars().filter(pl.element().str.strip_chars() != ""))


@cache
def _runs() -> str:
    """One alternative per writing system: a letter of it, then everything of it or of no script."""
    joined = {name for system in _SYSTEMS for name in system}
    systems = [*_SYSTEMS, *((name,) for name in languages.script_names() if name not in joined)]
    alternatives = []
    for system in systems:
        own = "".join(rf"\p{{Script={name}}}" for name in system)
        alternatives.append(rf"[[{own}]&&\p{{L}}][[{own}\p{{Common}}\p{{Inherited}}]--[\n]]*")
    return "|".join(alternatives)


def segments(texts: pl.Series, least: float = 20.0) -> pl.DataFrame:
    """Splits texts at sentence and clause marks and at changes of script, into segments of one language each.

    Neighbouring clauses of one sentence and script are joined until they have about ``least`` letters.

    Returns:
        ``row`` (index into ``texts``), ``segment``, ``letters`` (as in :func:`letter_weights`; segments with too few
        letters are included) and ``script`` (Unicode name of the script of most of its letters), in reading order.
    """
    frame = pl.DataFrame({"row": pl.int_range(len(texts), eager=True), "segment": texts})
    frame = frame.with_columns(segment=_split(frame["segment"], _ENDS).str.split(_BREAK)).explode("segment")
    frame = frame.drop_nulls().with_row_index("sentence")
    frame = frame.with_columns(segment=_split(frame["segment"], _CLAUSES)).with_columns(
        segment=pl.col("segment").str.extract_all(_runs())
    )
    frame = frame.explode("segment").drop_nulls()
    frame = frame.with_columns(
        script=_leading_script(frame["segment"]), letters=letter_weights(frame["segment"])["letters"]
    )
    frame = frame.with_columns(run=pl.struct("sentence", "script").rle_id())
    # A piece is closed when the letters so far pass a multiple of ``least``; a short rest goes with the one before.
    before = pl.col("letters").cum_sum().over("run") - pl.col("letters")
    whole = pl.col("letters").sum().over("run")
    frame = frame.with_columns(
        piece=pl.min_horizontal(before // least, ((whole // least) - 1).clip(lower_bound=0)).cast(pl.Int64)
    )
    return (
        frame.group_by("row", "run", "piece", maintain_order=True)
        .agg(pl.col("segment").str.join(" "), pl.col("letters").sum(), pl.col("script").first())
        .select("row", "segment", "letters", "script")
    )


def _leading_script(texts: pl.Series) -> pl.Series:
    """The script of the first letter of each text, with kana and Bopomofo as Han."""
    points, offsets = code_points(texts.str.slice(0, 1))
    names = np.asarray(["", "", *languages.script_names()], dtype=object)
    for system in _SYSTEMS:
        names[_numbers(system)] = system[0]
    numbers = np.zeros(len(texts), np.int64)
    filled = np.diff(offsets) > 0
    numbers[filled] = script_table()[points[offsets[:-1][filled]]]
    return pl.Series("script", names[numbers].tolist(), dtype=pl.String)


# --------------------------------------------------------------------------------------------------------------- units
@dataclass(frozen=True)
class Units:
    """The countable units of many texts: words of spaced scripts, single characters of others."""

    hashes: npt.NDArray[np.uint64]
    """A 64-bit hash per unit, all texts concatenated."""
    offsets: npt.NDArray[np.int64]
    """Start of each text's units (n+1)."""
    singles: npt.NDArray[np.int64]
    """Number of units per text that are single characters of an unspaced script."""
    lengths: npt.NDArray[np.uint8]
    """Number of code points per unit."""


_WORD, _SINGLE, _LONGEST = 1, 2, 20
_PIECE = 500_000


@cache
def _unit_table() -> npt.NDArray[np.uint8]:
    table = np.zeros(_CODE_POINTS, np.uint8)
    everything = "".join(map(chr, (*range(0xD800), *range(0xE000, _CODE_POINTS))))
    points = np.frombuffer(everything.encode("utf-32-le"), np.uint32)
    for match in regex.finditer(r"[\p{L}\p{M}\p{N}]+", everything):
        table[points[match.start() : match.end()]] = _WORD
    single = "".join(rf"\p{{Script={name}}}" for name in UNSPACED)
    for match in regex.finditer(rf"(?V1)[[{single}]&&[\p{{L}}\p{{M}}]]+|\p{{Extended_Pictographic}}+", everything):
        table[points[match.start() : match.end()]] = _SINGLE
    table[ord("0") : ord("9") + 1] = _WORD  # digits are "pictographic" too
    return table


def units(texts: pl.Series) -> Units:
    """The units of each text in order, in lower case; a run of more than 20 letters counts as several units."""
    found = [Units(np.zeros(0, np.uint64), np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint8))]
    counts, singles = [np.zeros(1, np.int64)], [np.zeros(0, np.int64)]
    for batch in batches(texts.fill_null("").str.to_lowercase(), _PIECE):
        some = [_units(*code_points(batch))] if len(batch) > 1 else list(_units_of_pieces(batch[0]))
        found += some
        counts.append(np.sum([np.diff(one.offsets) for one in some], axis=0))
        singles.append(np.sum([one.singles for one in some], axis=0))
    hashes, lengths = (np.concatenate([getattr(one, name) for one in found]) for name in ("hashes", "lengths"))
    return Units(hashes, np.cumsum(np.concatenate(counts)), np.concatenate(singles), lengths)


def _units_of_pieces(text: str) -> Iterator[Units]:
    """The units of one long text, in chunks: intermediate results take 60 bytes per character."""
    start = 0
    while True:
        points = np.frombuffer(text[start : start + _PIECE].encode("utf-32-le"), np.uint32)
        end = len(points)
        if start + end < len(text):
            kinds = _unit_table()[points]
            # Anywhere but between two letters of one word; in a run of letters without end, where it is cut anyway.
            between = np.flatnonzero((kinds[1:] != _WORD) | (kinds[:-1] != _WORD))
            end = int(between[-1]) + 1 if len(between) else end // _LONGEST * _LONGEST
        yield _units(points[:end], np.array([0, end]))
        start += end
        if start >= len(text):
            return


@cache
def _scrambled_points() -> npt.NDArray[np.uint64]:
    """A hash of each code point; looking it up is three times as fast as computing it."""
    return scramble(np.arange(1, _CODE_POINTS + 1, dtype=np.uint64))


def _units(points: npt.NDArray[np.uint32], offsets: npt.NDArray[np.int64]) -> Units:
    kinds = _unit_table()[points]
    inside = kinds > 0
    begins = inside.copy()
    begins[1:] &= (kinds[1:] == _SINGLE) | (kinds[:-1] != _WORD)
    firsts = offsets[:-1][offsets[:-1] < len(points)]
    begins[firsts] = inside[firsts]
    position = np.arange(len(points), dtype=np.int64)
    last = np.maximum.accumulate(np.where(begins, position, 0)) if len(points) else position
    within = position - last
    long = np.flatnonzero(within >= _LONGEST)
    within[long] %= _LONGEST
    begins[long] |= inside[long] & (within[long] == 0)
    starts = np.flatnonzero(begins)
    powers = np.power(np.uint64(0x9E3779B97F4A7C15), np.arange(_LONGEST, dtype=np.uint64))
    mixed = _scrambled_points()[points] * powers[within]
    mixed[~inside] = 0
    hashes = np.add.reduceat(mixed, starts) if len(starts) else np.zeros(0, np.uint64)
    lengths = np.add.reduceat(inside.view(np.uint8), starts) if len(starts) else np.zeros(0, np.uint8)
    where = np.searchsorted(starts, offsets)
    return Units(hashes, where, row_sums(kinds[starts] == _SINGLE, where), lengths)


def scramble(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Mixes each number to 64 bits (the finaliser of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def salted(values: npt.NDArray[np.uint64], *what: object) -> npt.NDArray[np.uint64]:
    """Rehashes each number for a purpose (a name, a seed): deterministic, and independent between purposes."""
    words = ":".join(map(str, what)).encode()
    salt = np.frombuffer(hashlib.blake2b(words, digest_size=8).digest(), np.uint64)[0]
    return scramble(values ^ salt)

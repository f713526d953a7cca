"""Language-independent text defects: leftover markup, wrong encodings, invisible characters, unusual ratios.

One cheap expression over a whole column selects suspicious texts, which are then verified one by one: characters count
as wrongly decoded if encoding them again gives valid UTF-8, and a blob as encoded text if it decodes to text.
"""

from __future__ import annotations

import base64
import binascii
import codecs
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import polars as pl
import regex

from curate.text import segmentation as text
from curate.text.masks import mask

Floats = npt.NDArray[np.float64]


def _per_row(texts: pl.Series, gate: str, count: Callable[[str], float]) -> Floats:
    counts = np.zeros(len(texts))
    at = texts.str.contains(gate).fill_null(False).arg_true()
    for row, one in zip(at.to_list(), texts.gather(at).to_list(), strict=True):
        counts[row] = count(one)
    return counts


# --------------------------------------------------------------------------------------------------------------- ratios
# Rulers, table borders and fill-in lines are legitimate long runs.
_RULERS = np.zeros(0x110000, bool)
_RULERS[[ord(sign) for sign in "-=_*#.~+|/\\<>:^ \t\r\n0123456789─━═—–…·•│"]] = True
_LEAST_LINES = 4


def ratios(texts: pl.Series) -> dict[str, Floats]:
    """Shares (0 to 1) of visible characters or lines, without code; NaN where there is too little text.

    ``symbols``: punctuation and symbols (a full stop included); ``digits``: decimal digits of any script; ``bullets``:
    lines that start as list items; ``ellipses``: lines that end with an ellipsis; ``line_repeats``: lines that repeat
    an earlier one; and ``run``: the length of the longest run of one letter or symbol (0 below four; rulers and digits
    excluded).
    """
    bare = mask(texts.fill_null(""), ("code", "inline_code", "url", "latex"))
    frame = pl.DataFrame({"text": bare}).with_columns(
        lines=pl.col("text")
        .str.split("\n")
        .list.eval(pl.element().str.strip_chars().filter(pl.element().str.contains(r"\S")))
    )
    counts = frame.select(
        visible=pl.col("text").str.count_matches(r"\S"),
        symbols=pl.col("text").str.count_matches(r"[\p{P}\p{S}]"),
        digits=pl.col("text").str.count_matches(r"\p{Nd}"),
        lines=pl.col("lines").list.len(),
        different=pl.col("lines").list.n_unique(),
        bullets=pl.col("text").str.count_matches(
            r"(?m)^\s*(?:[-*•·‣▪●○◦–—]|\p{Nd}{1,3}[.)、．）]|[(（]?\p{Nd}{1,3}[)）])\s*\S"
        ),
        ellipses=pl.col("text").str.count_matches(r"(?m)(?:…|\.{3,}|。{3,})\s*$"),
    )
    visible, lines = (counts[name].to_numpy().astype(np.float64) for name in ("visible", "lines"))

    def share(name: str, whole: Floats, least: int) -> Floats:
        part = counts[name].to_numpy().astype(np.float64)
        return np.asarray(np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole >= least))

    return {
        "symbols": share("symbols", visible, 20),
        "digits": share("digits", visible, 20),
        "bullets": share("bullets", lines, _LEAST_LINES).clip(max=1),
        "ellipses": share("ellipses", lines, _LEAST_LINES).clip(max=1),
        "line_repeats": 1 - share("different", lines, _LEAST_LINES),
        "run": _runs(bare),
    }


def _runs(texts: pl.Series) -> Floats:
    parts = [np.zeros(0)]
    for batch in text.batches(texts):
        points, offsets = text.code_points(batch)
        longest = np.zeros(len(batch))
        if len(points):
            begins = np.ones(len(points), bool)
            begins[1:] = points[1:] != points[:-1]
            begins[offsets[:-1][offsets[:-1] < len(points)]] = True
            starts = np.flatnonzero(begins)
            lengths = np.diff(np.append(starts, len(points)))
            lengths[_RULERS[points[starts]]] = 1
            long = lengths > 3
            rows = np.searchsorted(offsets, starts[long], side="right") - 1
            np.maximum.at(longest, rows, lengths[long])
        parts.append(longest)
    return np.concatenate(parts)


# --------------------------------------------------------------------------------------------------------------- markup
_TAGS = regex.compile(
    r"</?(?:p|br|div|span|font|td|tr|th|table|tbody|li|ul|ol|dl|dt|dd|h[1-6]|b|i|u|em|strong|small|sup|sub|a|img|hr|blockquote|center|script|style|iframe|form|input|section|article|nav|footer|header|figure|ref|nowiki|gallery)(?:\s[^<>\n]{0,400})?/?>",
    regex.I,
)
_ENTITIES = regex.compile(
    r"&amp;(?:[a-z]{2,8}|#[0-9]{2,6});|&(?:nbsp|quot|amp|lt|gt|apos|laquo|raquo|ldquo|rdquo|lsquo|rsquo|hellip|ndash|mdash|copy|reg|euro|middot|bull|times|#[0-9]{2,6}|#x[0-9a-f]{2,6});",
    regex.I,
)
_OTHER = regex.compile(
    r"\[/?(?:b|i|u|url|img|quote|code|size|color)(?:=[^\]\n]{0,200})?\]|\[\[(?:File|Image|Category|Datei|Kategorie|Fichier|Catégorie)[^\]\n]{0,200}|\{\{(?:cite|citation|refn?|main|infobox)\b[^{}\n]{0,300}|<!--.{0,2000}?-->",
    regex.I | regex.S,
)
# Prompts about markup get tags as answers; these words are the same in every language.
_MEANT = r"(?i)html|xml|svg|css|jsx|javascript|markup|bbcode|wikitext|php|web ?page|<[a-z/!]|&[a-z]{2,6};|&#"


def markup(texts: pl.Series, prompt: pl.Series | None) -> Floats:
    """The number of tags, entities and comments outside of code; 0 where the text or its prompt is about markup.

    Args:
        asked: the prompt, where the text is an answer.
    """
    counts = np.zeros(len(texts))
    look = texts.str.contains(r"[<&\[{]").fill_null(False)
    if prompt is not None:
        look &= ~prompt.str.contains(_MEANT).fill_null(False)
    at = look.arg_true()
    if not len(at):
        return counts
    parts = mask_code(texts.gather(at))
    for row, one in zip(at.to_list(), parts.to_list(), strict=True):
        if regex.search(r"(?i)<!doctype|<html|<head>|<body|<\?xml|<svg|\bhtml\b", one):
            continue
        counts[row] = len(_TAGS.findall(one)) + len(_ENTITIES.findall(one)) + len(_OTHER.findall(one))
    return counts


def mask_code(texts: pl.Series) -> pl.Series:
    """Masks fenced and inline code (tags between lines of code are part of it)."""
    return mask(texts, ("code", "inline_code"))


# ------------------------------------------------------------------------------------------------------------- encoding
# Characters that a lead byte of UTF-8 decodes to, followed by those of a continuation byte.
_CP1252 = (
    "\u20ac\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039"
    "\u0152\u017d\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u017e\u0178"
)
_BESIDE = 3
"""Characters before and after a span that are checked for unlikely neighbours."""
_WESTERN = regex.compile(f"[\u00c2-\u00f4][\u0080-\u00bf{_CP1252}]{{1,3}}")
_CYRILLIC = regex.compile("(?:[РС][\u0080-\u00ff\u0400-\u045f\u0490\u0491\u2013-\u203a\u20ac\u2116\u2122]){3,}")
_HAN = regex.compile(r"\p{Han}[^\x00-\x7f]{2,}")
_KANA = regex.compile(r"[縺繧繝][\p{Han}\p{Hiragana}\p{Katakana}\uff61-\uff9f\x00-\x7f。、・「」]")
_LITERAL = regex.compile(r"(?:\\u[0-9a-fA-F]{4}){2,}|(?:\\x[0-9a-fA-F]{2}){2,}|锟斤拷|烫烫烫|屯屯屯|ï»¿")
_ENCODING_GATE = (
    f"[\u00c2-\u00f4][\u0080-\u00bf{_CP1252}]|(?:[РС][^\\x00-\\x7fа-яА-ЯёЁ].?){{1}}|"
    f"(?:[РС][\\x{{80}}-\\x{{45f}}]){{3}}|[锟烫屯縺繧繝鐨鍦鏄涓浜鎴绗鍙瀛浠鏂鐢鍒鎬鍚]|\\\\[ux][0-9a-fA-F]{{2}}"
)


def mojibake(texts: pl.Series) -> Floats:
    """The number of spans decoded with a wrong encoding (Windows-1252, Latin-1, Windows-1251, GBK or Shift JIS instead
    of UTF-8), or unresolved escapes.

    Code does not count. U+FFFD and control characters are counted by ``shape``.
    """
    return _per_row(texts, _ENCODING_GATE, _mojibake)


def _mojibake(one: str) -> float:
    if "`" in one or "\\" in one:
        one = mask_code(pl.Series([one]))[0]
    hits = len(_LITERAL.findall(one))
    hits += sum(_misread(one, *match.span()) for match in _WESTERN.finditer(one))
    hits += sum(_valid(_bytes(part, "cp1251")) for part in _CYRILLIC.findall(one))
    if regex.search("[鐨鍦鏄涓浜鎴绗鍙瀛浠鏂鐢鍒鎬鍚]", one):
        hits += sum(_gbk(part) for part in _HAN.findall(one))
    return float(hits + (len(_KANA.findall(one)) >= 2))


def _misread(one: str, start: int, end: int) -> bool:
    """Whether a span is UTF-8 that was decoded as Windows-1252: its bytes are whole characters, and no language writes
    it that way.

    The first condition is not enough: a letter before a no-break space, a quote, a dash or an ellipsis (``é\u00a0»``,
    ``ß\u00a0``, ``É…``) is valid UTF-8 as well. ftfy's list of unlikely neighbours (Speer, *ftfy*, 2019) decides the
    second.
    """
    from ftfy.badness import BADNESS_RE

    if not _valid(one[start:end].encode("cp1252", "curate-latin")):
        return False
    # Unlikely neighbours further on (``ß…É``) are irrelevant to this span.
    before = max(0, start - _BESIDE)
    beside = one[before : end + _BESIDE]
    return any(bad.start() < end - before and bad.end() > start - before for bad in BADNESS_RE.finditer(beside))


def _latin(error: UnicodeError) -> tuple[bytes, int]:
    assert isinstance(error, UnicodeEncodeError)
    part = error.object[error.start : error.end]
    # Decoders pass through what Windows-1252 leaves undefined.
    return bytes(ord(sign) if ord(sign) < 256 else 0xFF for sign in part), error.end


codecs.register_error("curate-latin", _latin)


def _bytes(part: str, encoding: str) -> bytes:
    try:
        return part.encode(encoding)
    except UnicodeEncodeError:
        return b"\xff"


def _valid(raw: bytes) -> bool:
    """Whether it starts with whole UTF-8 characters, none of them a control character."""
    for size in range(len(raw), 1, -1):
        try:
            return not any(ord(sign) < 0xA0 for sign in raw[:size].decode("utf-8"))
        except UnicodeDecodeError:
            continue
    return False


def _gbk(part: str) -> bool:
    # Later characters may be intact; three are sufficient evidence.
    decoded = _bytes(part[:24], "gb18030").decode("utf-8", "replace")
    return len(decoded) > 2 and all(ord(sign) > 0x2000 and sign != "\ufffd" for sign in decoded[:3])


# --------------------------------------------------------------------------------------------------------------- hidden
_FLAG = regex.compile("\U0001f3f4[\U000e0020-\U000e007e]{1,12}\U000e007f")
_HIDDEN = regex.compile(
    "[\U000e0000-\U000e007f]+|[\u200b-\u200d\u2060-\u2064\ufeff\u180e]{3,}|[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2,}|[\u202d\u202e]"
)
_HIDDEN_GATE = (
    "[\\x{E0000}-\\x{E01EF}\u202a-\u202e\u2066-\u2069]|[\u200b-\u200d\u2060-\u2064\ufeff\u180e]{3}|[\ufe00-\ufe0f]{2}"
)


def hidden(texts: pl.Series) -> Floats:
    """The number of invisible or reordering spans: tag characters (except in flags), runs of three zero-width
    characters or two variation selectors, bidirectional overrides, and unclosed embeddings or isolates."""
    return _per_row(texts, _HIDDEN_GATE, _hidden)


def _hidden(one: str) -> float:
    one = _FLAG.sub("", one)
    opened = sum(one.count(sign) for sign in "\u202a\u202b\u202d\u202e") - one.count("\u202c")
    isolated = sum(one.count(sign) for sign in "\u2066\u2067\u2068") - one.count("\u2069")
    overrides = one.count("\u202d") + one.count("\u202e")
    return float(len(_HIDDEN.findall(one)) + (opened > overrides) + (isolated > 0))


# A blob needs both cases and digits: hashes have one case, words no digits.
_BLOB = regex.compile(
    r"(?<![A-Za-z0-9+/=_-])(?=[^\s]{0,60}[0-9+/])(?=[^\s]{0,60}[a-z])(?=[^\s]{0,60}[A-Z])[A-Za-z0-9+/]{40,}={0,2}(?![A-Za-z0-9+/=])"
)


def encoded(texts: pl.Series) -> Floats:
    """The length of the longest Base64 string that hides text (it decodes to printable characters)."""
    return _per_row(texts, r"[A-Za-z0-9+/]{40}", lambda one: max(map(_hides, _BLOB.findall(one)), default=0.0))


def _hides(blob: str) -> float:
    body = blob.rstrip("=")
    try:
        decoded = base64.b64decode(body + "=" * (-len(body) % 4), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return 0.0
    return (
        float(len(blob))
        if sum(sign.isprintable() or sign in "\n\t" for sign in decoded) >= 0.95 * len(decoded)
        else 0.0
    )

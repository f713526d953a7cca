"""Broken characters and truncated endings.

All are counted with Rust regular expressions on whole columns; a cheap search for a telltale character comes first,
because most texts have none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.rows import languages

Floats = npt.NDArray[np.float64]

# ------------------------------------------------------------------------------------------------------------- encoding
# Replacement characters, noncharacters, and halves of surrogate pairs that survived as escapes or were decoded byte by
# byte.
_BROKEN = (
    r"[\x{FFFD}\x{FDD0}-\x{FDEF}\x{FFFE}\x{FFFF}\x{80}-\x{84}\x{86}-\x{9F}]",
    r"(?i)\\u[0-9a-f]{4}|\\x[0-9a-f]{2}|\x{ED}[\x{A0}-\x{BF}][\x{80}-\x{BF}]",
    # UTF-8 read as Windows-1252 or Latin-1: a lead byte and what its continuation looks like.
    r"[ÂÃ][\x{80}-\x{9F}\x{A1}-\x{A9}\x{AB}-\x{BF}\x{20AC}\x{201A}\x{0192}\x{201E}\x{2026}\x{2020}\x{2021}\x{02C6}\x{2030}\x{0160}\x{2039}\x{0152}\x{017D}\x{2018}\x{201C}\x{201D}\x{2022}\x{2013}\x{2014}\x{02DC}\x{2122}\x{0161}\x{203A}\x{0153}\x{017E}\x{0178}]",
    r"[ÄÅÆÇÈÉ][\x{80}-\x{9F}±§¶¼½¾¡¢£¤¥¦¨©¬®¯°²³´µ¸¹ŸžŒœŠ]",
    r"вЂ[\x{2018}-\x{2122}љњћќў¦]",
    r"â(?:\x{20AC}|\x{80}|‚|„|†|€)[\x{80}-\x{BF}\x{2013}-\x{2122}\x{0153}\x{017E}\x{02DC}\x{20AC}\x{00A0}-\x{00BF}]?",
    # The same of two-byte scripts (Cyrillic, Greek, Arabic, Hebrew) and of three-byte ones, twice running.
    r"(?:[ÐÑÎÏØÙÚÛ×ÖÕ][\x{80}-\x{BF}\x{20AC}\x{201A}\x{0192}\x{201E}\x{2026}\x{2020}\x{2021}\x{02C6}\x{2030}\x{0160}\x{2039}\x{0152}\x{017D}\x{2018}-\x{201D}\x{2022}\x{2013}\x{2014}\x{02DC}\x{2122}\x{0161}\x{203A}\x{0153}\x{017E}\x{0178}]){2}",
    r"[àáâãäåæçèéêëìíï][\x{80}-\x{BF}\x{20AC}\x{201A}\x{0192}\x{201E}\x{2026}\x{2020}\x{2021}\x{02C6}\x{2030}\x{0160}\x{2039}\x{0152}\x{017D}\x{2018}-\x{201D}\x{2022}\x{2013}\x{2014}\x{02DC}\x{2122}\x{0161}\x{203A}\x{0153}\x{017E}\x{0178}]"
    r"[\x{80}-\x{BF}\x{20AC}\x{201A}\x{0192}\x{201E}\x{2026}\x{2020}\x{2021}\x{02C6}\x{2030}\x{0160}\x{2039}\x{0152}\x{017D}\x{2018}-\x{201D}\x{2022}\x{2013}\x{2014}\x{02DC}\x{2122}\x{0161}\x{203A}\x{0153}\x{017E}\x{0178}]",
    # UTF-8 read as Windows-1251: capital ER and ES before signs that follow no Russian letter.
    r"(?:[РС][\x{0402}-\x{040F}\x{0452}-\x{045F}\x{2018}-\x{2022}\x{2026}\x{2030}\x{2039}\x{203A}\x{20AC}\x{2116}\x{2122}\x{A0}-\x{BB}\x{0490}\x{0491}\x{201A}\x{201E}\x{2020}\x{2021}]){2}|(?:[РС][а-яА-Я\x{0402}-\x{045F}°±µ·»ѕјЅЇ\x{2018}-\x{2122}]){5,}",
    # UTF-8 read as GBK, Shift-JIS or Big5, and what uninitialised memory looks like.
    r"锟斤拷|烫烫烫|屯屯屯|锘|縺[ゅ\p{Han}\x{FF61}-\x{FF9F}]|繧[\p{Han}\x{FF61}-\x{FF9F}]|繝[\p{Han}\x{FF61}-\x{FF9F}]|(?:鐨刓|浣犲|鏄痋|涓€)",
    r"(?:ì|í|ë|ê)[\x{80}-\x{BF}\x{2018}-\x{2122}\x{0152}-\x{0192}][\x{80}-\x{BF}\x{2018}-\x{2122}\x{0152}-\x{0192}]",
)  # fmt: skip
# Leftover tags and entities: they count only beyond those of the original.
_DEBRIS = (
    r"(?i)&amp;(?:[a-z]{2,8}|#[0-9]{2,6});|&(?:nbsp|quot|amp|lt|gt|apos|#[0-9]{2,6}|#x[0-9a-f]{2,6});|"
    r"</?(?:p|br|div|span|font|td|tr|table|li|ul|ol|h[1-6]|b|i|strong|em|a|img|script|style)(?:\s[^<>\n]*)?/?>|"
    r"\[\[|\]\]|\x{0000}"
)
# Characters of another script inside words, from two-byte letters read as Windows-1251 or GBK: not counted in languages
# of those scripts.
_CYRILLIC = (
    r"[ВГДЕИКРСвд][\x{A0}-\x{BF}\x{0402}-\x{040F}\x{0452}-\x{045F}\x{0490}\x{0491}"
    r"\x{2018}-\x{2022}\x{2026}\x{2030}\x{2039}\x{203A}\x{20AC}\x{2116}\x{2122}\x{201A}\x{201E}\x{2020}\x{2021}]|"
    r"\p{Latin}\p{Cyrillic}\p{Latin}|\p{Cyrillic}[\x{A1}-\x{A9}\x{AB}-\x{BF}\x{2020}-\x{2022}\x{2026}\x{2030}\x{20AC}\x{2116}\x{2122}]\p{Cyrillic}"
)
_HAN = r"\p{Latin}\p{Han}{1,2}(?:\p{Latin}|\b)|[驴隆鈥]\p{Latin}"
_ASCII_ONLY = r"^[\x00-\x7f]*$"


def damage(source: pl.Series, target: pl.Series, tags: tuple[Sequence[str], Sequence[str]]) -> Floats:
    """The number of broken places on both sides: characters decoded with a wrong encoding, and tags and entities in the
    target beyond those of the source."""
    broken = np.zeros(len(source))
    for side, own in zip((source, target), tags, strict=True):
        look = (~side.str.contains(_ASCII_ONLY) | side.str.contains(r"\\[ux]")).fill_null(False).to_numpy()
        at = np.flatnonzero(look)
        if len(at):
            part = side.gather(at)
            broken[at] += sum(part.str.count_matches(pattern).to_numpy().astype(np.float64) for pattern in _BROKEN)
            for pattern, script in ((_CYRILLIC, "Cyrillic"), (_HAN, "Han")):
                foreign = np.asarray(
                    [script not in (letters := languages.letters(own[row])) and bool(letters) for row in at.tolist()],
                    bool,
                )
                if foreign.any():
                    broken[at[foreign]] += (
                        part.filter(pl.Series(foreign)).str.count_matches(pattern).to_numpy().astype(np.float64)
                    )
    at = np.flatnonzero(target.str.contains(r"[<&\[\]\x00]").fill_null(False).to_numpy())
    if len(at):
        counts = [
            side.gather(at).str.count_matches(_DEBRIS).fill_null(0).to_numpy().astype(np.float64)
            for side in (source, target)
        ]
        broken[at] += np.maximum(0, counts[1] - counts[0])
    return broken


# --------------------------------------------------------------------------------------------------------------- ending
_TERMINAL = r"[.!?…。．！？｡।॥؟۔։።៕。:;；：)\]}”’»」』）】\x22'›*_`>~|]\s*$"
_HANGING = r"[,،，、\-–—(（«“„\[]\s*$"
_STRONG_END = r"[.!?…。．！？｡।॥؟۔։።][\s\x22'”’»」』)）\]*_]*$"
_OPENING, _CLOSING = r"[(（\[【「『《«“„]", r"[)）\]】」』》»”‟]"


def endings(source: pl.Series, target: pl.Series, marks: npt.NDArray[np.bool_]) -> Floats:
    """1 where both sides end alike; 0 where the source ends with a mark and the target is cut off, or leaves a bracket
    open that the source closes; NaN where the source ends without a mark.

    Args:
        marks: whether the target's language ends sentences with marks.
    """
    frame = pl.DataFrame({"source": source.fill_null(""), "target": target.fill_null("")})
    ends = frame.select(
        ended=pl.col("source").str.contains(_STRONG_END),
        hangs=pl.col("target").str.contains(_HANGING) & ~pl.col("source").str.contains(_HANGING),
        airs=~pl.col("target").str.contains(_TERMINAL),
        open=(pl.col("target").str.count_matches(_OPENING) > pl.col("target").str.count_matches(_CLOSING))
        & (pl.col("source").str.count_matches(_OPENING) == pl.col("source").str.count_matches(_CLOSING)),
        written=pl.col("target").str.len_chars() > 0,
    )
    ended, hangs, airs, opens, written = (
        ends[name].to_numpy() for name in ("ended", "hangs", "airs", "open", "written")
    )
    bad = written & ((ended & airs & marks) | hangs | opens)
    return np.where(bad, 0.0, np.where((ended & marks) & written, 1.0, np.nan))

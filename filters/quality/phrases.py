"""Finds phrases of the language packs: refusals, AI disclosures, training cutoffs, prompt injection, boilerplate.

English phrases are searched in every language, because models fall back on English. A text in a language without a pack
is *not assessed* unless a phrase is found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import regex

from curate.files import regular
from curate.steps import StepError
from filters.quality.language_packs import Packs, expression, lowered, whole

Floats = npt.NDArray[np.float64]
OPENING, OPENING_JOINED = 160, 60
"""What stands among the first so many characters opens an answer (of scripts without blanks: the second)."""
LEAST_WORDS, LEAST_LETTERS = 20, 60
"""A text with fewer words (of a joined language: letters) has no share of function words."""


@dataclass(frozen=True)
class Said:
    """The matches in each text."""

    score: Floats
    """1: at the start of the text (or the position does not matter), 0.5: further down, 0: none, NaN: not assessed."""
    words: list[str | None]
    """The matching text."""


@lru_cache(maxsize=1024)
def _pattern(packs_digest: str, what: str, phrases: tuple[tuple[str, bool], ...]) -> str | None:
    return whole(phrases, words=what == "assistant")


def said(
    texts: pl.Series, tags: Sequence[str], packs: Packs, what: str, *, anywhere: bool = False, counted: bool = False
) -> Said:
    """Searches for one list of phrases.

    Args:
        texts: as :func:`filters.quality.language_packs.lowered` makes them.
        anywhere: whether the position in the text does not matter.
        counted: the score is the number of matches.
    """
    score = np.zeros(len(texts))
    words: list[str | None] = [None] * len(texts)
    every = np.asarray(tags, dtype=object)
    for tag in sorted(set(tags)):
        mine = np.flatnonzero(every == tag)
        own = packs.of(tag)
        has = any(getattr(pack, what) for pack in own)
        lists = [*own, *(pack for pack in packs.of("en") if pack not in own)]
        pattern = _pattern(
            packs.digest, what, tuple((phrase, pack.joined) for pack in lists for phrase in getattr(pack, what))
        )
        if not has:
            score[mine] = np.nan
        if pattern is None:
            continue
        part = texts.gather(mine)
        there = part.str.contains(pattern).fill_null(False).arg_true().to_numpy()
        if not len(there):
            continue
        hit = part.gather(there)
        head = OPENING_JOINED if any(pack.joined for pack in own) else OPENING
        opens = np.ones(len(there), bool) if anywhere else hit.str.slice(0, head).str.contains(pattern).to_numpy()
        score[mine[there]] = hit.str.count_matches(pattern).to_numpy() if counted else np.where(opens, 1.0, 0.5)
        groups_of = pl.DataFrame({"text": hit}).select(pl.col("text").str.extract_groups(pattern)).to_series().to_list()
        for row, groups in zip(mine[there].tolist(), groups_of, strict=True):
            words[row] = next((one for one in groups.values() if one), None)
    return Said(score, words)


# ---------------------------------------------------------------------------------------------------------------- blind
def names(texts: pl.Series, packs: Packs) -> tuple[Floats, list[str | None]]:
    """The number of names of models and vendors in each text, and the first."""
    phrases = packs.blind("names")
    if not phrases:
        return np.zeros(len(texts)), [None] * len(texts)
    # Han, kana and Thai follow a name without a space: only letters of its own script would make it another word.
    return _counted(texts, "|".join(expression(phrase) for phrase in phrases), "a-z0-9а-я_")


def _counted(texts: pl.Series, inner: str, edge: str) -> tuple[Floats, list[str | None]]:
    """The number of matches and the first; no character of ``edge`` may precede or follow a match."""
    count = np.zeros(len(texts))
    first: list[str | None] = [None] * len(texts)
    at = texts.str.contains(inner).fill_null(False).arg_true()
    if len(at):
        # Few texts get here; matches may share the character between them.
        around = _around(inner, edge)
        for row, one in zip(at.to_list(), texts.gather(at).to_list(), strict=True):
            hits = [match[0] for match in around.finditer(one)]
            count[row], first[row] = len(hits), hits[0] if hits else None
    return count, first


@lru_cache(maxsize=256)
def _around(inner: str, edge: str) -> regex.Pattern[str]:
    return regex.compile(f"(?<![{edge}])(?:{inner})(?![{edge}])" if edge else inner)


# Where an answer begins in prompts of models without a template of their own.
_ROLES = (
    r"(?m)^(?:#{2,4} ?(?:instruction|response|system|human|assistant)s?:|\[system\]|\(system\)|system "
    r"prompt:|begin system message)"
)


def template(texts: pl.Series, packs: Packs) -> tuple[Floats, list[str | None]]:
    """How many tokens of chat templates and role headings each text has, and the first."""
    literals = [one.lower() for one in packs.blind("template")]
    look = texts.str.contains(r"[<\[][|/<｜a-z]|(?m)^#{2,4} ?[a-z]+:|^\[?\(?system|^begin system")
    count = np.zeros(len(texts))
    first: list[str | None] = [None] * len(texts)
    at = look.fill_null(False).arg_true()
    if len(at):
        part = texts.gather(at)
        found = (
            part.str.extract_many(literals, overlapping=False)
            if literals
            else pl.Series([[]] * len(part), dtype=pl.List(pl.String))
        )
        roles = part.str.extract_all(_ROLES)
        for row, tokens, headings in zip(at.to_list(), found.to_list(), roles.to_list(), strict=True):
            every = [*tokens, *headings]
            count[row] = len(every)
            first[row] = every[0] if every else None
    return count, first


# ------------------------------------------------------------------------------------------------------- function words
def function_words(texts: pl.Series, tags: Sequence[str], packs: Packs, *, raw: bool = False) -> Floats:
    """How much of each text its language's commonest words make, 1 being as much as in a usual text of it; nan where
    there is no list or too little text.

    Args:
        texts: as :func:`filters.quality.language_packs.lowered` makes them.
        raw: the share itself (0 to 1), not divided by the usual one.
    """
    share = np.full(len(texts), np.nan)
    every = np.asarray(tags, dtype=object)
    for tag in sorted(set(tags)):
        own = [pack for pack in packs.of(tag) if pack.function_words]
        if not own:
            continue
        listed = tuple(
            dict.fromkeys(lowered(pl.Series([word for pack in own for word in pack.function_words.split()])).to_list())
        )
        usual = 1.0 if raw else next((pack.usual for pack in reversed(own) if pack.usual), None)
        if usual is None:
            continue
        mine = np.flatnonzero(every == tag)
        part = texts.gather(mine)
        share[mine] = (
            _joined_share(part, listed) if any(pack.joined for pack in own) else _word_share(part, listed)
        ) / usual
    return share


def _word_share(texts: pl.Series, listed: tuple[str, ...]) -> Floats:
    words = (
        pl.DataFrame(
            {
                "row": pl.int_range(len(texts), eager=True),
                "word": texts.str.extract_all(r"[\p{L}\p{M}]+(?:['-][\p{L}\p{M}]+)*"),
            }
        )
        .explode("word")
        .drop_nulls()
    )
    told = words.group_by("row").agg(count=pl.len(), hits=pl.col("word").is_in(list(listed)).sum())
    count, hits = np.zeros(len(texts)), np.zeros(len(texts))
    at = told["row"].to_numpy()
    count[at], hits[at] = told["count"].to_numpy(), told["hits"].to_numpy()
    return np.asarray(np.divide(hits, count, out=np.full(len(texts), np.nan), where=count >= LEAST_WORDS))


def _joined_share(texts: pl.Series, listed: tuple[str, ...]) -> Floats:
    pattern = "|".join(regex.escape(word) for word in sorted(listed, key=lambda word: (-len(word), word)))
    letters = texts.str.count_matches(r"[\p{L}\p{M}]").to_numpy().astype(np.float64)
    covered = texts.str.extract_all(pattern).list.join("").str.len_chars().fill_null(0).to_numpy()
    return np.asarray(np.divide(covered, letters, out=np.full(len(texts), np.nan), where=letters >= LEAST_LETTERS))


# ---------------------------------------------------------------------------------------------------------------- lists
def read_list(path: str) -> tuple[str, ...]:
    """A user's list: one word or phrase a line, ``#`` starts a comment.

    Raises:
        StepError: it cannot be read, or is empty.
    """
    try:
        content = regular(Path(path).expanduser()).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise StepError(f"quality: the list {path} cannot be read: {error}") from error
    lines = tuple(
        dict.fromkeys(
            " ".join(line.split())
            for line in lowered(pl.Series(content.splitlines(), dtype=pl.String))
            if line.strip() and not line.startswith("#")
        )
    )
    if not lines:
        raise StepError(f"quality: the list {path} is empty; write one word or phrase a line")
    return lines


def listed(
    texts: pl.Series, tags: Sequence[str], lists: Mapping[str, tuple[str, ...]], unspaced: Sequence[str]
) -> tuple[Floats, list[str | None]]:
    """The number of matches of a user's list for the text's language (or for all, ``und``), and the first; NaN where
    there is no list."""
    count = np.full(len(texts), np.nan)
    first: list[str | None] = [None] * len(texts)
    every = np.asarray(tags, dtype=object)
    for tag in sorted(set(tags)):
        own = [*lists.get("und", ())]
        one = tag
        while one not in lists and "-" in one:
            one = one.rpartition("-")[0]
        own += lists.get(one, ())
        if not own:
            continue
        mine = np.flatnonzero(every == tag)
        pattern = "|".join(
            regex.escape(word, special_only=True, literal_spaces=True).replace(" ", r"\s+")
            for word in sorted(set(own), key=lambda word: (-len(word), word))
        )
        edge = "" if tag.partition("-")[0] in unspaced else r"\p{L}\p{M}\p{N}"
        matches = _counted(texts.gather(mine), pattern, edge)
        count[mine] = matches[0]
        for row, word in zip(mine.tolist(), matches[1], strict=True):
            first[row] = word
    return count, first

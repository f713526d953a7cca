"""Names and negations: the two kinds of words that a reader notices when they are lost, and that can be looked for without a dictionary
of all the others.

A name is a word in Latin letters that keeps its shape: an acronym, a word with digits or capitals inside, a capital letter in the
middle of a sentence. It is compared where both sides are written in Latin letters, or where the other script keeps it as it is.
Negations come from lists (``data/pair_quality/negation.yaml``); a language without one is not assessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import yaml
from rapidfuzz.distance import Levenshtein

from curate.rows import languages

Floats = npt.NDArray[np.float64]

# ------------------------------------------------------------------------------------------------------------------- names
# COVID-19, iPhone, B2B, NASA, U.S. …
_SHAPED = r"\b(?:[A-Z][A-Z0-9]*[-&][A-Z0-9]{1,8}\b|[A-Z]{2,}[0-9]*\b|[A-Za-z]+[0-9]+[A-Za-z0-9]*\b|[a-z]+[A-Z][A-Za-z]*\b|[A-Z][a-z]+[A-Z][A-Za-z]*\b)"
# A capital letter after a small word, a comma or another name: no beginning of a sentence.
_CAPITAL = r"[\p{Ll}\p{Nd},;’'-][ \u00a0](?:[\x22“«(]?)((?:\p{Lu}[\p{Ll}\p{M}'’.-]*\p{Ll}(?:[ \u00a0-](?:d[eaio]s?|von|van|der|of|the|el|al|la|bin|und|y|e|i)?[ \u00a0]?\p{Lu}[\p{Ll}\p{M}'’-]*\p{Ll})*))"
_ANY_LATIN = r"\b\p{Latin}[\p{Latin}\p{M}0-9'’-]*\p{Latin}"
# Languages that write all nouns (or nearly all words of a title, or no capitals at all) so that a capital says nothing.
_CAPITALS_SAY_NOTHING = frozenset({"de", "lb", "gsw", "nds", "bar", "ksh", "pfl"})
# What English writes with a capital and others translate: days, months, the first person.
_NO_NAMES = frozenset(
    [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
        "mr",
        "mrs",
        "ms",
        "dr",
        "sir",
        "god",
        "lord",
        "king",
        "queen",
        "president",
        "prime",
        "minister",
        "north",
        "south",
        "east",
        "west",
        "northern",
        "southern",
        "eastern",
        "western",
    ]
)
_LEAST_LIKE = 0.7


def is_latin(tag: str) -> bool:
    """Whether a language is written with Latin letters."""
    return "Latin" in languages.letters(tag)


def names(
    source: pl.Series, target: pl.Series, tags: tuple[Sequence[str], Sequence[str]]
) -> tuple[Floats, Floats, list[str | None]]:
    """How many names of the source have no counterpart in the target, and the other way round (nan where there is none on either side or the
    scripts do not allow to say), and an example."""
    lost, added = np.full(len(source), np.nan), np.full(len(source), np.nan)
    example: list[str | None] = [None] * len(source)
    latin = [np.asarray([is_latin(tag) for tag in side], bool) for side in tags]
    worth = (latin[0] & latin[1]) | (target.str.contains(r"[A-Za-z]{2}").fill_null(False).to_numpy() & (latin[0] | latin[1])) | (source.str.contains(r"[A-Za-z]{2}").fill_null(False).to_numpy() & latin[1])  # fmt: skip
    at = np.flatnonzero(worth)
    if not len(at):
        return lost, added, example
    sides = [side.gather(at).fill_null("") for side in (source, target)]
    frame = pl.DataFrame({"s": sides[0], "t": sides[1]}).select(
        *(pl.col(side).str.extract_all(_SHAPED).alias(f"{side}_shaped") for side in "st"),
        *(
            pl.col(side)
            .str.extract_all(_CAPITAL)
            .list.eval(pl.element().str.replace(r"^[^\p{Lu}]*", ""))
            .alias(f"{side}_capital")
            for side in "st"
        ),
        *(pl.col(side).str.extract_all(_ANY_LATIN).alias(f"{side}_latin") for side in "st"),
        *(pl.col(side) for side in "st"),
    )
    columns = [
        frame[name].to_list()
        for name in ("s_shaped", "s_capital", "s_latin", "t_shaped", "t_capital", "t_latin", "s", "t")
    ]
    for row, s_shaped, s_capital, s_latin, t_shaped, t_capital, t_latin, left, right in zip(
        at.tolist(), *columns, strict=True
    ):
        one, other = tags[0][row], tags[1][row]
        both = bool(latin[0][row] and latin[1][row])
        if both:
            mute = languages.base(one) in _CAPITALS_SAY_NOTHING or languages.base(other) in _CAPITALS_SAY_NOTHING
            ours, theirs = _names(s_shaped, s_capital, mute), _names(t_shaped, t_capital, mute)
            gone, new = _missing(ours, right, one), _missing(theirs, left, other)
        elif latin[0][row]:
            # Kept as they are in another script: what stands there in Latin letters must come from the source.
            ours, theirs = _names(s_shaped, [], True), _latin_words(t_latin)
            gone = _missing(ours, right, one) if theirs else []
            new = _missing(theirs, left, other)
        else:
            ours, theirs = _latin_words(s_latin), _names(t_shaped, [], True)
            gone = _missing(ours, right, one)
            new = _missing(theirs, left, other) if ours else []
        if ours or theirs:
            lost[row], added[row] = len(gone), len(new)
            if gone or new:
                example[row] = " / ".join(filter(None, (gone[0] if gone else "", new[0] if new else "")))
    return lost, added, example


def _names(shaped: Sequence[str], capital: Sequence[str], mute: bool) -> list[str]:
    found = dict.fromkeys(shaped)
    if not mute:
        for phrase in capital:
            found.update(
                (word, None) for word in phrase.replace("’", "'").split() if word[:1].isupper() and len(word) > 2
            )
    return [name for name in found if name.casefold().removesuffix("s") not in _NO_NAMES]


def _latin_words(words: Sequence[str]) -> list[str]:
    return [word for word in dict.fromkeys(words) if len(word) > 2]


def _missing(names_: Sequence[str], other: str, language: str) -> list[str]:
    """The names of one language that do not stand in a text of another: neither as they are, nor inflected, nor in a like spelling (Johann,
    Johannes; Moskva, Moskau), nor with their letters in another order (NATO, OTAN). Countries have names in every language."""
    if not names_:
        return []
    folded = _plain(other)
    words: set[str] = set()
    found = []
    for name in names_:
        wanted = _plain(name)
        if wanted in folded or (len(wanted) >= 5 and wanted[: max(3, len(wanted) * 2 // 3)] in folded):
            continue
        words = words or set(folded.split())
        if len(wanted) >= 4 and any(
            abs(len(word) - len(wanted)) <= 3
            and word[0] == wanted[0]
            and Levenshtein.normalized_similarity(wanted, word, score_cutoff=_LEAST_LIKE) > 0
            for word in words
        ):
            continue
        if name.isupper() and any(len(word) == len(wanted) and sorted(word) == sorted(wanted) for word in words):
            continue
        if wanted not in _countries(languages.base(language)):
            found.append(name)
    return found


@cache
def _countries(language: str) -> frozenset[str]:
    """The words in the names of all countries in a language, as CLDR has them."""
    import langcodes

    codes = (f"{one}{other}" for one in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    found: set[str] = set()
    for code in codes:
        territory = langcodes.Language.make(territory=code)
        if territory.is_valid():
            found.update(word for word in _plain(territory.territory_name(language)).split() if len(word) > 2)
    return frozenset(found | {"uk", "usa", "us", "abd", "eua", "ssha", "eeuu"})


@cache
def _accents() -> dict[int, str]:
    import unicodedata

    table = {ord(sign): " " for sign in '.,;:!?()[]{}"“”„«»‹›/|\n\t\u00a0'} | {ord("’"): "'"}
    for point in range(0xC0, 0x250):
        base = unicodedata.normalize("NFD", chr(point))[0]
        if base.isascii():
            table[point] = base.lower()
    return table


def _plain(given: str) -> str:
    """Small letters without accents, signs as blanks."""
    return given.casefold() if given.isascii() and given.isalnum() else given.translate(_accents()).casefold()


# --------------------------------------------------------------------------------------------------------------- negations
@cache
def _lists() -> Mapping[str, Any]:
    data: dict[str, Any] = yaml.safe_load(
        files("filters").joinpath("data", "pair_quality", "negation.yaml").read_text("utf-8")
    )
    found: dict[str, Any] = data["languages"]
    return found


@cache
def _patterns(language: str) -> tuple[str, str, str] | None:
    """What negates nothing, what negates, and what may, as Rust expressions; None for a language without a list."""
    given = _lists().get(languages.base(language))
    if given is None:
        return None
    joined = bool(given.get("joined"))

    def one(parts: Sequence[str]) -> str:
        if not parts:
            return r"[^\s\S]"
        whole = "|".join(part.replace(r"\w", r"[\p{L}\p{M}]") for part in sorted(parts, key=lambda part: -len(part)))
        return f"(?i){whole}" if joined else rf"(?i)(?:^|[^\p{{L}}\p{{M}}])(?:{whole})(?:$|[^\p{{L}}\p{{M}}])"

    phrases = given.get("not", ())
    first = "|".join(phrases)
    return (f"(?i)(?:{first})" if phrases else r"[^\s\S]", one(given["words"]), one(given["maybe"]))


def has_negations(language: str) -> bool:
    """Whether there is a list for this language."""
    return _patterns(language) is not None


def negations(
    source: pl.Series, target: pl.Series, tags: tuple[Sequence[str], Sequence[str]], split: tuple[pl.Series, pl.Series]
) -> Floats:
    """The share (0 to 1) of sentences that are turned round: negated on one side, with nothing on the other that could be a negation.

    Sentences are compared one by one where both sides have equally many, else the texts as wholes. nan for a language
    without a list.

    Args:
        split: the sentences of both sides.
    """
    result = np.full(len(source), np.nan)
    known = {tag: has_negations(tag) for tag in {*tags[0], *tags[1]}}
    at = np.flatnonzero([known[one] and known[other] for one, other in zip(*tags, strict=True)])
    if not len(at):
        return result
    pieces = [side.gather(at) for side in split]
    alike = (pieces[0].list.len() == pieces[1].list.len()).to_numpy() & (pieces[0].list.len() > 0).to_numpy()
    frames = []
    for side, cut, own in zip((source, target), pieces, tags, strict=True):
        whole = side.gather(at).fill_null("").reshape((-1, 1)).cast(pl.List(pl.String))
        parts = pl.select(pl.when(pl.Series(alike)).then(cut).otherwise(whole)).to_series()
        frame = pl.DataFrame({"row": pl.Series(at), "tag": [own[row] for row in at.tolist()], "part": parts}).explode(
            "part"
        )
        frames.append(frame.with_columns(_states(frame["part"], frame["tag"])))
    one, other = frames[0]["state"].to_numpy(), frames[1]["state"].to_numpy()
    turned = ((one == 2) & (other == 0)) | ((one == 0) & (other == 2))
    result[at] = 0.0
    np.add.at(result, frames[0]["row"].to_numpy()[turned], 1.0)
    units = np.maximum(pieces[0].list.len().to_numpy(), pieces[1].list.len().to_numpy()).astype(np.float64)
    # Whole texts are compared where the numbers differ: one that is turned round is turned round as a whole, if it is short.
    result[at] /= np.maximum(units, 1.0)
    return result


def _states(parts: pl.Series, tags: pl.Series) -> pl.Series:
    """2 where a sentence is negated, 1 where it may be, else 0."""
    state = np.zeros(len(parts), np.int8)
    given = np.asarray(tags.to_list(), dtype=object)
    for tag in tags.unique().to_list():
        at = np.flatnonzero(given == tag)
        nothing, surely, maybe = _patterns(tag) or ("", "", "")
        some = parts.gather(at).str.replace_all("’", "'", literal=True)
        cleaned = some.str.replace_all(nothing, " , ")
        here = cleaned.str.contains(surely).to_numpy()
        # What was taken out may still be why the other side negates.
        there = cleaned.str.contains(maybe).to_numpy() | (some != cleaned).to_numpy()
        state[at] = np.where(here, 2, np.where(there, 1, 0))
    return pl.Series("state", state)

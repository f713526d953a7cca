"""Names: words that readers notice when they are lost, and that can be compared without a dictionary.

A name is a word in Latin letters that keeps its form: an acronym, a word with digits or inner capitals, a capitalised
word inside a sentence. Names are compared where both sides use Latin letters, or where the other script keeps them
unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl
import regex
from rapidfuzz.distance import Levenshtein

from curate.rows import languages
from curate.steps import Encoder
from filters.calibration.encoders import at_most_one

Floats = npt.NDArray[np.float64]

# COVID-19, iPhone, B2B, NASA, U.S. …
_SHAPED = (
    r"\b(?:[A-Z][A-Z0-9]*[-&][A-Z0-9]{1,8}\b|[A-Z]{2,}[0-9]*\b|[A-Za-z]+[0-9]+[A-Za-z0-9]*\b|"
    r"[a-z]+[A-Z][A-Za-z]*\b|[A-Z][a-z]+[A-Z][A-Za-z]*\b)"
)
# A capital after a lower-case word, a comma or another name: not the start of a sentence.
_CAPITAL = (
    r"[\p{Ll}\p{Nd},;’'-][ \u00a0](?:[\x22“«(]?)((?:\p{Lu}[\p{Ll}\p{M}'’.-]*\p{Ll}(?:[ "
    r"\u00a0-](?:d[eaio]s?|von|van|der|of|the|el|al|la|bin|und|y|e|i)?[ \u00a0]?\p{Lu}[\p{Ll}\p{M}'’-]*\p{Ll})*))"
)
_ANY_LATIN = r"\b\p{Latin}[\p{Latin}\p{M}0-9'’-]*\p{Latin}"
# Languages that capitalise all nouns, so that a capital does not indicate a name.
_CAPITALISED_NOUNS = frozenset({"de", "lb", "gsw", "nds", "bar", "ksh", "pfl"})
# Words that English capitalises and others translate: days, months, titles, directions.
_NO_NAMES = frozenset(
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "january", "february", "march",
     "april", "may", "june", "july", "august", "september", "october", "november", "december",
     "mr", "mrs", "ms", "dr", "sir", "god", "lord", "king", "queen", "president", "prime", "minister",
     "north", "south", "east", "west", "northern", "southern", "eastern", "western"]
)  # fmt: skip
_LEAST_LIKE = 0.7


def is_latin(tag: str) -> bool:
    """Whether a language is written with Latin letters."""
    return "Latin" in languages.letters(tag)


@dataclass
class Unmatched:
    """Names without a counterpart on the other side, for each pair; None where the scripts cannot be compared, or there
    are no names."""

    lost: list[list[str] | None]
    """Names of the source."""
    added: list[list[str] | None]
    """Names of the target."""

    def counts(self) -> tuple[Floats, Floats]:
        """The number of names on each side; NaN for None."""
        sides = (self.lost, self.added)
        lost, added = (np.asarray([np.nan if one is None else len(one) for one in side], np.float64) for side in sides)
        return lost, added

    def examples(self) -> list[str | None]:
        """One name of each side, as evidence."""
        return [
            " / ".join(name[0] for name in pair if name) or None for pair in zip(self.lost, self.added, strict=True)
        ]


def names(source: pl.Series, target: pl.Series, tags: tuple[Sequence[str], Sequence[str]]) -> Unmatched:
    """The names of both sides that have no counterpart."""
    unmatched = Unmatched([None] * len(source), [None] * len(source))
    latin = [np.asarray([is_latin(tag) for tag in side], bool) for side in tags]
    worth = (
        (latin[0] & latin[1])
        | (target.str.contains(r"[A-Za-z]{2}").fill_null(False).to_numpy() & (latin[0] | latin[1]))
        | (source.str.contains(r"[A-Za-z]{2}").fill_null(False).to_numpy() & latin[1])
    )
    at = np.flatnonzero(worth)
    if not len(at):
        return unmatched
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
            mute = [languages.base(tag) in _CAPITALISED_NOUNS for tag in (one, other)]
            ours, theirs = _names(s_shaped, s_capital, mute[0]), _names(t_shaped, t_capital, mute[1])
            lost, added = _missing(ours, right, one), _missing(theirs, left, other)
        elif latin[0][row]:
            # The other script keeps names unchanged: its words in Latin letters must come from the source.
            ours, theirs = _names(s_shaped, [], True), _latin_words(t_latin)
            lost = _missing(ours, right, one) if theirs else []
            added = _missing(theirs, left, other)
        else:
            ours, theirs = _latin_words(s_latin), _names(t_shaped, [], True)
            lost = _missing(ours, right, one)
            added = _missing(theirs, left, other) if ours else []
        if ours or theirs:
            unmatched.lost[row], unmatched.added[row] = lost, added
    return unmatched


_WORD = regex.compile(r"\p{L}[\p{L}\p{M}]{2,}")
_MOST_NAMES, _MOST_WORDS = 12, 250


def name_similarity(
    unmatched: Unmatched, source: pl.Series, target: pl.Series, at: npt.NDArray[np.int64], encoder: Encoder
) -> Floats:
    """The lowest, over the names without a counterpart, of the highest cosine with a word of the other side; NaN
    without such names.

    An encoder knows that Venedig is Venice, and that it is not Genghis.

    Args:
        at: the pairs to compare; both sides in Latin letters.
    """
    result = np.full(len(source), np.nan)
    comparisons: list[tuple[int, list[str], list[str]]] = []
    for row in at.tolist():
        for names_, other in ((unmatched.lost[row], target[row]), (unmatched.added[row], source[row])):
            # Abbreviations differ from language to language.
            stems = (name.replace("’", "'").split("'")[0] for name in names_ or ())
            known = [
                stem
                for stem in stems
                if len(stem) > 3 and sum(map(str.isupper, stem)) * 2 < len(stem) and stem.isalpha()
            ]
            words = list(dict.fromkeys(_WORD.findall(other or "")))[:_MOST_WORDS]
            if known and words:
                comparisons.append((row, known[:_MOST_NAMES], words))
    if not comparisons:
        return result
    distinct = {
        one: number
        for number, one in enumerate(dict.fromkeys(one for _, *sides in comparisons for side in sides for one in side))
    }
    vectors = encoder.encode(list(distinct))
    for row, known, words in comparisons:
        left, right = (vectors[[distinct[one] for one in side]] for side in (known, words))
        nearest = at_most_one(encoder, (left @ right.T).max(axis=1).astype(np.float64))
        result[row] = np.fmin(result[row], float(nearest.min()))
    return result


def _names(shaped: Sequence[str], capital: Sequence[str], mute: bool) -> list[str]:
    candidates = dict.fromkeys(shaped)
    if not mute:
        for phrase in capital:
            candidates.update(
                (word, None) for word in phrase.replace("’", "'").split() if word[:1].isupper() and len(word) > 2
            )
    return [name for name in candidates if name.casefold().removesuffix("s") not in _NO_NAMES]


def _latin_words(words: Sequence[str]) -> list[str]:
    return [word for word in dict.fromkeys(words) if len(word) > 2]


def _missing(names_: Sequence[str], other: str, language: str) -> list[str]:
    """The names of one language that are not in a text of another.

    A name counts as present unchanged, inflected, in a similar spelling (Johann, Johannes; Moskva, Moskau), or with its
    letters reordered (NATO, OTAN). Country names are ignored: every language has its own.
    """
    if not names_:
        return []
    folded = _plain(other)
    words: set[str] = set()
    missing = []
    for name in names_:
        plain = _plain(name)
        if plain in folded or (len(plain) >= 5 and plain[: max(3, len(plain) * 2 // 3)] in folded):
            continue
        words = words or set(folded.split())
        if len(plain) >= 4 and any(
            abs(len(word) - len(plain)) <= 3
            and word[0] == plain[0]
            and Levenshtein.normalized_similarity(plain, word, score_cutoff=_LEAST_LIKE) > 0
            for word in words
        ):
            continue
        if name.isupper() and any(len(word) == len(plain) and sorted(word) == sorted(plain) for word in words):
            continue
        if plain not in _countries(languages.base(language)):
            missing.append(name)
    return missing


@cache
def _countries(language: str) -> frozenset[str]:
    """The words in the names of all countries in a language, from CLDR."""
    import langcodes

    codes = (f"{one}{other}" for one in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    words: set[str] = set()
    for code in codes:
        territory = langcodes.Language.make(territory=code)
        if territory.is_valid():
            words.update(word for word in _plain(territory.territory_name(language)).split() if len(word) > 2)
    return frozenset(words | {"uk", "usa", "us", "abd", "eua", "ssha", "eeuu"})


@cache
def _accents() -> dict[int, str]:
    import unicodedata

    table = {ord(sign): " " for sign in '.,;:!?()[]{}"“”„«»‹›/|\n\t\u00a0'} | {ord("’"): "'"}
    for point in range(0xC0, 0x250):
        base = unicodedata.normalize("NFD", chr(point))[0]
        if base.isascii():
            table[point] = base.lower()
    return table


def _plain(text_: str) -> str:
    """Lower case without accents, punctuation as spaces."""
    return text_.casefold() if text_.isascii() and text_.isalnum() else text_.translate(_accents()).casefold()

"""Prepares texts for language identifiers and maps their labels to tags, adding the script of the text.

The script can also show that a label is impossible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import regex

from curate.models.embedding.preprocess import count_scripts, make_fit
from curate.rows import languages
from curate.steps.models import Identified

_LETTER = regex.compile(r"\p{L}")
_CAPITALS = regex.compile(r"\p{Lu}{4}")
_HAN_LETTERS = 4
"""Of 1,000 Japanese sentences (Tatoeba) one, of two letters, has no kana."""
_LATIN_WORD = regex.compile(r"\p{Latin}[\p{Latin}\p{M}]*")
_UNSPACED_RUN = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}ー]+")
_OTHER_WORD = regex.compile(
    r"(?V1)[[\p{L}]--[\p{Latin}\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}ー]]"
    r"[[\p{L}\p{M}]--[\p{Latin}\p{Han}\p{Hiragana}\p{Katakana}]]*"
)
_UNSPACED = 1.5
"""Letters of a word in scripts without spaces."""
_BATCH = 2048
Guess = Callable[[str], Iterable[tuple[str, float]]]


def has_letters(text: str) -> bool:
    """Whether there is anything that could be language."""
    return _LETTER.search(text) is not None


def read_line(text: str) -> str:
    """The text in one line; in small letters where most of it is capitals.

    Headlines: lid.176 finds the language of a third of them as they are, and of all it knows in small letters.
    """
    line = " ".join(text.split())
    if _CAPITALS.search(line) and 2 * sum(map(str.isupper, line)) > sum(map(str.isalpha, line)):
        line = line.lower()
    return line


def find_scripts(texts: Sequence[str]) -> list[tuple[str, bool]]:
    """For each text the Unicode name of its main script (empty: none), and whether it has Han but no kana."""
    main = [("Latin", False)] * len(texts)
    others = [index for index, text in enumerate(texts) if not text.isascii()]
    if others:
        counts, names = count_scripts([texts[index] for index in others])
        counts[:, 0] = 0
        han, kana = names.index("Han"), [names.index("Hiragana"), names.index("Katakana")]
        no_kana = (counts[:, han] >= _HAN_LETTERS) & (counts[:, kana].sum(axis=1) == 0)
        # One Han character says as much as a few letters of an alphabet: Chinese with English names in it is Chinese.
        counts[:, han] *= 3
        best, most = counts.argmax(axis=1), counts.max(axis=1)
        latin = names.index("Latin")
        guests = np.flatnonzero((best == latin) & (counts.sum(axis=1) > counts[:, latin]))
        counts[:, latin] = 0
        for row, index in enumerate(others):
            main[index] = (names[best[row]] if most[row] else "", bool(no_kana[row]))
        for row in guests.tolist():
            main[others[row]] = (_host(texts[others[row]], names[counts[row].argmax()]), bool(no_kana[row]))
    return main


def _host(text: str, script: str) -> str:
    """The script that a text is in, of Latin and another with fewer letters: the one with more words.

    Names of products and programs keep their Latin letters everywhere, and are long: ``TypeScriptのinterfaceとは何`` is
    Japanese.
    """
    latin = len(_LATIN_WORD.findall(text))
    others = sum(max(1.0, len(word) / _UNSPACED) for word in _UNSPACED_RUN.findall(text)) + len(
        _OTHER_WORD.findall(text)
    )
    return script if others >= latin else "Latin"


@lru_cache(maxsize=4096)
def in_script(tag: str, script: str) -> str:
    """The tag of a language without script, for a text that is mainly in ``script``."""
    usual = languages.letters(tag)
    code = languages.script_code(script) if script else None
    if not usual or not code or script in usual or tag == languages.UNKNOWN:
        return tag
    return languages.normalize(f"{languages.base(tag)}-{code}")


@lru_cache(maxsize=4096)
def tag_of(label: str) -> str:
    """The tag of an ISO 639 code as identifiers write it (``iw``, ``hbs``, ``zh-Hant``); ``und`` if it is none.

    CLD2 and lid.176 say ``bh`` for what is Bhojpuri.
    """
    try:
        tag = languages.normalize("bho" if label == "bh" else label)
    except languages.InvalidLanguage:
        return languages.UNKNOWN
    return languages.UNKNOWN if languages.base(tag) in ("zxx", "mis", "mul", "tlh") else tag


# Labels of a classifier that knows code-switched text: hin_Latn-eng_Latn, hi+en, hin-eng.
_MIXED = regex.compile(r"[+/&]|(?<=_[A-Z][a-z]{3})-|(?<=^[a-z]{3})-(?=[a-z]{3}$)")
# GlotLID writes Chinese characters of any spelling as Hani, and Korean as Hang.
_AS_USUAL = regex.compile(r"^(?:(kor)_Hang|(?!zho|cmn|zh)([a-z]{2,3})_Hani)$")


def tags_of(label: str) -> tuple[str, ...]:
    """The tags of a fastText label, several for one that means a mixture; ``und`` for what names nothing registered."""
    tags = []
    for part in _MIXED.split(label.removeprefix("__label__")):
        usual = _AS_USUAL.match(part)
        tags.append(languages.from_fasttext(usual[1] or usual[2] if usual else part))
    return (languages.UNKNOWN,) if languages.UNKNOWN in tags else tuple(dict.fromkeys(tags))


class ReadTexts(list[str]):
    """Texts as identifiers read them: cut, without what no identifier takes, and with what all of them look at.

    The ensemble passes one to its members, so that a text is read once and not once per member.
    """

    def __init__(self, texts: Iterable[str], max_chars: int) -> None:
        super().__init__(make_fit(text[:max_chars]) for text in texts)
        self.scripts = find_scripts(self)
        """The main script of each text, and whether it has Han but no kana."""
        self.lines = [read_line(text) if has_letters(text) else "" for text in self]
        """Each text in one line; empty if it has no letters."""

    @classmethod
    def of(cls, texts: Sequence[str], max_chars: int) -> Iterator[ReadTexts]:
        """The texts in batches; the same object if they are read already."""
        if isinstance(texts, cls) and max(map(len, texts), default=0) <= max_chars:
            yield texts
            return
        for start in range(0, len(texts), _BATCH):
            yield cls(texts[start : start + _BATCH], max_chars)

    def some(self, places: Sequence[int]) -> ReadTexts:
        """The texts at these places."""
        chosen = ReadTexts((), 0)
        chosen.extend(self[at] for at in places)
        chosen.scripts = [self.scripts[at] for at in places]
        chosen.lines = [self.lines[at] for at in places]
        return chosen


class TagTable:
    """The tags of an identifier's labels in texts of each main script, computed once.

    Args:
        read: the tags of a label in a text of this script; the flag says whether it has Han but no kana.
    """

    def __init__(self, read: Callable[[str, str, bool], tuple[str, ...]]) -> None:
        self._read = read
        self._known: dict[tuple[str, bool], dict[str, tuple[str, ...]]] = {}

    def of(self, script: tuple[str, bool]) -> dict[str, tuple[str, ...]]:
        """Label → tags, as far as looked up; :meth:`add` looks up another."""
        return self._known.setdefault(script, {})

    def add(self, label: str, script: tuple[str, bool]) -> tuple[str, ...]:
        """The tags of a label that :meth:`of` does not have yet."""
        return self.of(script).setdefault(label, self._read(label, *script))


def identify_each(
    texts: Sequence[str], k: int, max_chars: int, guess: Guess, table: TagTable, named: bool = True
) -> Identified:
    """The k likeliest tags of each text.

    Args:
        guess: labels and probabilities for one line of text, in any order; nothing if it cannot tell.
        named: whether equally likely tags are in the order of their names, not of the guess.

    Raises:
        ValueError: ``k`` is less than 1.
    """
    if k < 1:
        raise ValueError(f"k is the number of languages wanted, at least 1, not {k}")
    order: Callable[[tuple[str, float]], Any] = _by_share_and_name if named else _by_share
    found = Identified([], [])
    for batch in ReadTexts.of(texts, max_chars):
        for line, script in zip(batch.lines, batch.scripts, strict=True):
            tags_of_label = table.of(script)
            shares: dict[str, float] = {}
            for label, probability in guess(line) if line else ():
                meant = tags_of_label.get(label)
                if meant is None:
                    meant = table.add(label, script)
                # The languages of a mixture have equal shares in it.
                for tag in meant:
                    shares[tag] = shares.get(tag, 0.0) + probability / len(meant)
            best = sorted(shares.items(), key=order)[:k]
            tags, probabilities = [tag for tag, _ in best], [probability for _, probability in best]
            if best and (probabilities[0] > 1.0 or probabilities[-1] < 0.0):
                # Quantised models give sums slightly above 1.
                probabilities = [min(1.0, max(0.0, one)) for one in probabilities]
            found.languages.append(tags)
            found.probabilities.append(probabilities)
    return found


def _by_share(item: tuple[str, float]) -> float:
    return -item[1]


def _by_share_and_name(item: tuple[str, float]) -> tuple[float, str]:
    return -item[1], item[0]

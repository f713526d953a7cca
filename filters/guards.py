"""Two texts that differ in a number or in a "not" do not say the same, however alike they are in everything else.

What is compared is a digest of all numbers of a text in their order (with signs, operators and currencies), and one of its
negating words. Both are equalities, so that rows with other numbers are never even looked at together: a thousand sums
made from one template cost nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import polars as pl
import regex

from curate.rows import languages

Digests = npt.NDArray[np.uint64]

# Numerals that are letters: one is left out where it stands alone, for there it is mostly the article.
_HAN = "〇零二两兩三四五六七八九十百千万萬亿億壹贰叁肆伍陆柒捌玖拾"
# Between digits these group (1,000 = 1 000 = 1000), but only before exactly three of them.
_GROUPS = regex.compile(r"(?<=\p{Nd})(?:[,'’٬]|\s+)(?=\p{Nd}{3}(?!\p{Nd}))")
_FIGURES = regex.compile(
    rf"(?V1)(?<![\p{{L}}\p{{N}}])[-−](?=\p{{Nd}})|\p{{Nd}}+|[\p{{No}}\p{{Nl}}]|[{_HAN}]|一(?=\s*[一{_HAN}])|(?<=[一{_HAN}]\s*)一|(?<=\p{{Nd}})[.,:/^*-](?=\p{{Nd}})"
    r"|(?<=[\p{Nd})]\s*)[-*/^](?=\s*[\p{Nd}(])|[\p{Sm}--[|~⁓]]|\p{Sc}|[%‰٪]|#(?=\p{L})|(?<=\p{L})(?:\+\+|#)"
)
_WORTH_A_LOOK = rf"[\p{{N}}\p{{Sm}}\p{{Sc}}%‰٪#{_HAN}]"
_HAS_DIGITS = regex.compile(r"\p{Nd}[\p{Nd}.,:'’٫٬\u00a0\u202f]*")

# Words that turn a sentence round, as whole words (for scripts without blanks: anywhere). Only those that hardly do
# anything else; a language that is not here has no such guard.
_NEGATIONS = MappingProxyType(
    {
        "en": "not no never none nor neither cannot without except nothing nobody isn't aren't wasn't weren't don't doesn't didn't won't wouldn't "
              "can't couldn't shouldn't mustn't hasn't haven't hadn't isnt arent wasnt werent dont doesnt didnt wont wouldnt cant couldnt shouldnt",
        "de": "nicht nichts kein keine keinen keinem keiner keines nie niemals niemand ohne weder außer ausser",
        "nl": "niet niets geen nooit niemand zonder noch behalve", "af": "nie geen nooit sonder",
        "sv": "inte ej icke ingen inget inga aldrig utan", "da": "ikke ej ingen intet aldrig uden", "no": "ikke ei ingen ingenting aldri uten",
        "fr": "pas ne n jamais aucun aucune rien sans ni sauf", "es": "no nunca jamás ningún ninguno ninguna nada sin ni excepto salvo",
        "pt": "não nunca jamais nenhum nenhuma nada sem nem exceto", "it": "non mai nessun nessuno nessuna niente nulla senza né tranne",
        "ca": "no mai cap res sense ni", "ro": "nu niciodată niciun nicio nimic fără nici",
        "ru": "не ни нет без никогда ничего никто кроме нельзя", "uk": "не ні немає без ніколи нічого ніхто крім", "be": "не няма без ніколі нічога",
        "bg": "не няма без никога нищо никой освен", "sr": "не није нису без никад ne nije nisu bez nikad", "hr": "ne nije nisu bez nikad nikada ništa",
        "pl": "nie bez nigdy nic nikt żaden żadna ani oprócz", "cs": "ne není nejsou bez nikdy nic nikdo žádný ani kromě", "sk": "nie nie bez nikdy nič nikto žiadny",
        "el": "δεν δε μη μην χωρίς ποτέ κανείς ούτε εκτός", "tr": "değil değildir yok yoktur hayır asla hiç hiçbir olmayan", "az": "deyil yox yoxdur heç",
        "fi": "ei en et emme ette eivät älä ilman koskaan", "et": "ei ära ilma kunagi pole", "hu": "nem ne nincs sem soha nélkül kivéve",
        "ar": "لا لم لن ليس ليست ليسوا غير بدون دون", "fa": "نه نیست نیستند بدون هرگز هیچ", "ur": "نہیں نہ مت بغیر", "he": "לא אין אל בלי ללא מעולם חוץ",
        "hi": "नहीं न मत बिना कभी सिवाय", "bn": "না নয় নেই নি ছাড়া", "mr": "नाही नको नाहीत शिवाय", "ta": "இல்லை அல்ல இல்லாமல்", "te": "కాదు లేదు లేకుండా",
        "id": "tidak tak bukan belum jangan tanpa kecuali tiada", "ms": "tidak tak bukan belum jangan tanpa kecuali", "vi": "không chẳng chưa đừng chớ trừ",
        "sw": "si sio siyo hapana hakuna bila isipokuwa kamwe", "eo": "ne nenio neniam neniu sen",
        "zh": "不 没 沒 无 無 非 未 别 勿 莫 否", "yue": "唔 冇 未 咪 不 無", "ja": "ない ません ぬ ず 無 不 非 未 否", "ko": "않 안 못 없 아니 말고",
        "th": "ไม่ มิได้ อย่า ไร้ ปราศจาก", "lo": "ບໍ່ ຢ່າ", "km": "មិន គ្មាន កុំ", "my": "မ",
    }
)  # fmt: skip
_UNSPACED = frozenset({"zh", "yue", "ja", "ko", "th", "lo", "km", "my"})


def numbers(texts: pl.Series) -> list[str]:
    """The figures of each text in order, separated by blanks; digits of all scripts are the same, and so is ``1,000`` to
    ``1000``. Operators, currencies and per cent signs are figures too: 3 + 4 is not 3 - 4, $5 not €5."""
    worth = texts.str.contains(_WORTH_A_LOOK).fill_null(False).to_list()
    return [_figures(one) if look else "" for one, look in zip(texts.to_list(), worth, strict=True)]


def _figures(one: str) -> str:
    if not one.isascii():
        one = "".join(map(_plain, one))
    return " ".join(_FIGURES.findall(_GROUPS.sub("", one)))


@cache
def _plain(sign: str) -> str:
    return str(unicodedata.digit(sign)) if unicodedata.category(sign) == "Nd" else "-" if sign == "−" else sign


def negations(texts: pl.Series, language: pl.Series) -> list[str]:
    """The negating words of each text in alphabetical order, separated by blanks; none in a language without a list."""
    found = [""] * len(texts)
    tags = language.to_list()
    given = texts.to_list()
    for tag in set(tags):
        language_only = languages.base(tag) if tag else ""
        pattern = _pattern(language_only)
        if pattern is None:
            continue
        joined = language_only in _UNSPACED
        for row, (one, mine) in enumerate(zip(given, tags, strict=True)):
            if mine == tag and one:
                one = "".join(one.split()) if joined else one.replace("’", "'")
                found[row] = " ".join(sorted(hit.replace("'", "") for hit in pattern.findall(one)))
    return found


def has_words(language: str) -> bool:
    """Whether negating words of this language stand between blanks."""
    return languages.base(language) not in _UNSPACED


def negators(words: Sequence[str], language: str) -> list[str]:
    """Those of some words that negate, sorted."""
    pattern = _pattern(languages.base(language))
    return sorted(word for word in words if pattern is not None and pattern.fullmatch(word))


@cache
def _pattern(language: str) -> regex.Pattern[str] | None:
    words = _NEGATIONS.get(language)
    if words is None:
        return None
    listed = "|".join(sorted({regex.escape(word) for word in words.split()}, key=lambda word: (-len(word), word)))
    if language in _UNSPACED:
        return regex.compile(listed)
    return regex.compile(rf"(?i)(?<![\p{{L}}\p{{M}}])(?:{listed})(?![\p{{L}}\p{{M}}'])")


def digests(found: list[list[str]]) -> Digests:
    """One number for each row of several fields' findings; 0 where nothing was found in any field."""
    known: dict[tuple[str, ...], int] = {}
    numbers = []
    for row in zip(*found, strict=True):
        if row not in known:
            told = "\0".join(row)
            whole = blake2b(told.encode("utf-8", "surrogatepass"), digest_size=8, person=b"curate-guard").digest()
            known[row] = int.from_bytes(whole, "little") | 1 if any(row) else 0
        numbers.append(known[row])
    return np.array(numbers, np.uint64)


def digits(texts: pl.Series) -> list[str]:
    """The digits of each text, number by number, sorted and without any sign inside (3.5 = 3,5 = 35): what a translation
    keeps whatever its language writes between thousands or before decimals."""
    worth = texts.str.contains(r"\p{Nd}").fill_null(False).to_list()
    found = []
    for one, look in zip(texts.to_list(), worth, strict=True):
        if not look:
            found.append("")
            continue
        plain = one if one.isascii() else "".join(map(_plain, one))
        found.append(" ".join(sorted(regex.sub(r"\P{Nd}", "", hit) for hit in _HAS_DIGITS.findall(plain))))
    return found

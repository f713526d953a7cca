"""The ways in which a pipeline spoils good pairs, made on purpose: one kind of damage at a time.

Everything is drawn from a digest of the pair, so that the same data gives the same damage.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import polars as pl
import regex
from pair_corpora import Pair, number

from curate.rows import languages
from curate.text import segmentation as text

# -------------------------------------------------------------------------------------------------------------- damage
Damage = Callable[[Pair, random.Random, Sequence[Pair]], Pair | None]
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
_LEAST = 24


def _joined(given: str) -> bool:
    return len(_UNSPACED.findall(given)) * 2 > len(given.replace(" ", ""))


def _cut(given: str, share: float) -> str:
    """The first part of a text, at a blank where there are blanks."""
    at = int(len(given) * share)
    if not _joined(given):
        at = given.rfind(" ", 0, at + 1)
    return given[:at].rstrip() if at > 0 else ""


def _sentences(given: str) -> list[str]:
    return text.sentences(pl.Series([given])).to_list()[0]


def _join(pieces: Sequence[str]) -> str:
    return ("" if _joined("".join(pieces)) else " ").join(pieces)


def wrong_row(pair: Pair, chance: random.Random, others: Sequence[Pair]) -> Pair | None:
    """The target of another row, of ten drawn the one nearest in length."""
    drawn = [
        other
        for other in chance.sample(others, min(10, len(others)))
        if other.target != pair.target and other.document != pair.document
    ]
    return (
        replace(pair, target=min(drawn, key=lambda other: abs(len(other.target) - len(pair.target))).target)
        if drawn
        else None
    )


def shifted(pair: Pair, chance: random.Random, others: Sequence[Pair]) -> Pair | None:
    """The target of the row after the next, of the same document and so of the same topic where there is one."""
    at = next((place for place, other in enumerate(others) if other is pair), None)
    if at is None:
        return None
    other = others[(at + 2) % len(others)]
    return replace(pair, target=other.target) if other.target != pair.target else None


def truncated(pair: Pair, chance: random.Random, others: Sequence[Pair]) -> Pair | None:
    short = _cut(pair.target, 0.5)
    return replace(pair, target=short) if len(pair.source) >= _LEAST and short else None


def dropped_sentence(pair: Pair, chance: random.Random, others: Sequence[Pair]) -> Pair | None:
    pieces = _sentences(pair.target)
    if len(pieces) < 2 or min(len(one) for one in pieces) < 8:
        return None
    gone = chance.randrange(len(pieces))
    return replace(pair, target=_join([one for place, one in enumerate(pieces) if place != gone]))


def untranslated(pair: Pair, chance: random.Random, others: Sequence[Pair]) -> Pair | None:
    return replace(pair, target=pair.source)


def half_untranslated(pair: Pair, chance: random.Random, others: Sequence[Pair]) -> Pair | None:
    ours, theirs = _sentences(pair.source), _sentences(pair.target)
    if len(ours) == len(theirs) >= 2:
        half = len(ours) // 2
        return replace(pair, target=" ".join([*theirs[:half], *ours[half:]]))
    if len(pair.source) < 40:
        return None
    head = _cut(pair.source, 0.5)
    return replace(pair, target=f"{_cut(pair.target, 0.5)} {pair.source[len(head) :].strip()}")


def source_left(pair: Pair, chance: random.Random, others: Sequence[Pair]) -> Pair | None:
    return replace(
        pair, target=f"{pair.source}\n{pair.target}" if chance.random() < 0.5 else f"{pair.target} ({pair.source})"
    )


def number_changed(pair: Pair, chance: random.Random, others: Sequence[Pair]) -> Pair | None:
    places = list(regex.finditer(r"\p{Nd}+", pair.target))
    if not places or not regex.search(r"\p{Nd}", pair.source):
        return None
    found = chance.choice(places)
    at = chance.randrange(found.start(), found.end())
    base = ord(pair.target[at]) - int(pair.target[at])
    digit = chance.choice([one for one in range(1, 10) if one != int(pair.target[at])])
    return replace(pair, target=pair.target[:at] + chr(base + digit) + pair.target[at + 1 :])


# Only the plainest negators, each alone: what takes one out, and what is put in after.
_NOT = {
    "de": r"\b(nicht|kein(?:e[nmrs]?)?)\b ?",
    "es": r"\bno\b ?",
    "fr": r"(?:\bne |\bn['’])|\b(?:pas|jamais)\b ?",
    "ru": r"\bне\b ?",
    "zh": r"不(?=[是能会要可得再])|没(?=有)",
    "en": r"\bnot\b ?|n['’]t\b|\bnever\b ?",
    "el": r"\bδεν\b ?",
    "ro": r"\bnu\b ?",
    "vi": r"\bkhông (?!chỉ)",
    "hi": r"नहीं ?",
    "th": r"ไม่(?!ว่า|เพียง)",
    "ar": r"(?<![\p{L}])(?:لا|لم|لن) ",
    "tr": r"\bdeğil\w* ?",
    "ja": None,
}
_PUT = {
    "en": (r"\b(is|are|was|were|can|will|would|should|could|must|has|have|had)\b(?! not)", r"\1 not"),
    "de": (r"\b(ist|sind|war|waren|kann|wird|werden|wurde|wurden|hat|haben)\b", r"\1 nicht"),
    "ru": (r"\b(был|была|были|является|может|имеет|будет)\b", r"не \1"),
    "zh": (r"(是|会|能)", r"不\1"),
    "es": (r"\b(es|son|fue|eran|puede|tiene|está|están|era|había)\b", r"no \1"),
    "hi": (r"(?<!\p{M}|\p{L})(है|हैं|था|थे|थी)(?=[ ।,]|$)", r"नहीं \1"),
    "th": (r"(เป็น|มี|สามารถ)", r"ไม่\1"),
    "el": (r"\b(είναι|ήταν|έχει|μπορεί)\b", r"δεν \1"),
    "ro": (r"\b(este|sunt|era|erau|are|poate)\b", r"nu \1"),
    "fr": (r"\b(est|sont|était|a|ont|peut)\b (?!pas)", r"n'\1 pas "),
    "vi": (r"\b(là|có|được)\b", r"không \1"),
    "ar": (r"(?<!\p{L})(يمكن|يوجد|يجب)(?!\p{L})", r"لا \1"),
}


def negation_flipped(pair: Pair, chance: random.Random, others: Sequence[Pair]) -> Pair | None:
    """A negator taken out of a negated target, or put into one that has none."""
    tag = languages.base(pair.target_language)
    gone = _NOT.get(tag)
    if gone and regex.search(gone, pair.target):
        # One sentence of several: all of its negators, so that it is affirmed.
        pieces = _sentences(pair.target)
        negated = [place for place, one in enumerate(pieces) if regex.search(gone, one)]
        if not negated:
            return None
        at = chance.choice(negated)
        pieces[at] = regex.sub(gone, "", pieces[at])
        return replace(pair, target=_join(pieces))
    if tag in _PUT and not regex.search(gone or "$^", pair.target):
        done, times = regex.subn(_PUT[tag][0], _PUT[tag][1], pair.target, count=1)
        return replace(pair, target=done) if times else None
    return None


def loop(pair: Pair, chance: random.Random, others: Sequence[Pair]) -> Pair | None:
    """The end said again and again, as decoders do it."""
    if _joined(pair.target):
        size = chance.randrange(3, 10)
        return (
            replace(pair, target=pair.target + pair.target[-size:] * chance.randrange(5, 15))
            if len(pair.target) > 12
            else None
        )
    words = pair.target.split()
    size = min(len(words), chance.randrange(1, 6))
    return (
        replace(pair, target=" ".join([*words, *(words[-size:] * chance.randrange(5, 15))]))
        if len(words) >= 3
        else None
    )


def mojibake(pair: Pair, chance: random.Random, others: Sequence[Pair]) -> Pair | None:
    """The target's bytes read in another encoding: all of it, one word of it, twice, or with what could not be read
    replaced.
    """
    if pair.target.isascii():
        return None
    words = pair.target.split(" ")
    hurt = [place for place, word in enumerate(words) if not word.isascii()]
    how = chance.randrange(5)
    wrong = chance.choice(["latin-1", "cp1252", "cp1251"] if how != 4 else ["gb18030"])
    if how == 0 and len(hurt) > 1:
        at = chance.choice(hurt)
        words[at] = words[at].encode().decode("cp1252", "replace")
        return replace(pair, target=" ".join(words))
    if how == 1:
        return replace(
            pair,
            target=pair.target.encode("utf-8")[: -1 - chance.randrange(2)].decode("utf-8", "replace")
            if ord(pair.target[-1]) > 127
            else pair.target.replace(next(c for c in pair.target if ord(c) > 127), "\ufffd", 1),
        )
    if how == 2:
        twice = pair.target.encode().decode("latin-1").encode().decode("latin-1")
        return replace(pair, target=twice)
    return replace(pair, target=pair.target.encode().decode(wrong, "replace"))


# Written for this measurement, apart from the step's own list.
_TALK = {
    "en": ["Sure! Here's the translation you asked for:\n\n", "Here is the text translated into the target language:\n",
    "Translation: ", "Certainly. Below is the translated passage:\n", "Of course! The translation is as follows:\n",
    "I'd be happy to help. Here is the translation:\n"],
    "de": ["Hier ist die gewünschte Übersetzung:\n", "Übersetzung: ", "Gerne! Hier die deutsche Fassung:\n",
    "Natürlich, hier ist der übersetzte Text:\n"], "fr": ["Voici la traduction demandée :\n",
    "Bien sûr ! Voici le texte traduit :\n", "Traduction : "],
    "es": ["Aquí tienes la traducción:\n", "Claro, esta es la traducción solicitada:\n", "Traducción: "],
    "ru": ["Вот перевод текста:\n", "Конечно! Перевод: ", "Перевод: "],
    "zh": ["以下是翻译：\n", "好的，这是翻译结果：\n", "翻译："],
    "ja": ["以下は翻訳です：\n", "はい、こちらが翻訳文です。\n", "翻訳: "],
    "ar": ["إليك الترجمة المطلوبة:\n", "الترجمة: ",
    "بالتأكيد، هذه هي الترجمة:\n"], "hi": ["यहाँ अनुवाद है:\n", "अनुवाद: ", "ज़रूर, यह रहा आपका अनुवाद:\n"],
    "th": ["นี่คือคำแปล:\n", "คำแปล: ", "ได้เลยค่ะ นี่คือคำแปล\n"],
    "tr": ["İşte çeviri:\n", "Elbette, işte istediğiniz çeviri:\n", "Çeviri: "], "vi": ["Đây là bản dịch:\n",
    "Bản dịch: ", "Tất nhiên, dưới đây là bản dịch:\n"], "el": ["Ορίστε η μετάφραση:\n", "Μετάφραση: ",
    "Φυσικά! Εδώ είναι η μετάφραση:\n"], "ro": ["Iată traducerea:\n", "Traducere: ",
    "Sigur, iată traducerea textului:\n"],
    "sw": ["Hii hapa tafsiri:\n", "Tafsiri: "], "bn": ["এখানে অনুবাদ:\n", "অনুবাদ: "], "te": ["ఇదిగో అనువాదం:\n",
    "అనువాదం: "],
}  # fmt: skip
_REFUSALS = (
    "I'm sorry, but I can't translate this text.",
    "I am unable to provide a translation for this content.",
    "As an AI language model, I cannot assist with that request.",
    "Please provide the text you would like me to translate.",
)


def commentary(pair: Pair, chance: random.Random, others: Sequence[Pair]) -> Pair | None:
    """Talk before the translation, in its language or in English, or a refusal in its place."""
    if chance.random() < 0.15:
        return replace(pair, target=chance.choice(_REFUSALS))
    own = _TALK.get(languages.base(pair.target_language), [])
    return replace(pair, target=chance.choice(own if own and chance.random() < 0.6 else _TALK["en"]) + pair.target)


_MARKS = (
    "{name}",
    "%s",
    "%(count)d",
    "{{user}}",
    "<b>",
    "https://example.org/a?b=1",
    "`run()`",
    "${total}",
    "{0}",
    "<USER_1>",
    "mail@example.org",
    "&nbsp;",
)


def placeholders(pair: Pair, chance: random.Random) -> Pair:
    """The pair with one or two placeholders in both sides."""
    source, target = pair.source, pair.target
    for mark in chance.sample(_MARKS, chance.randrange(1, 3)):
        source, target = f"{source} {mark}", f"{target} {mark}" if chance.random() < 0.5 else f"{mark} {target}"
    return replace(pair, source=source, target=target)


def placeholder_lost(pair: Pair, chance: random.Random, others: Sequence[Pair]) -> Pair | None:
    both = placeholders(pair, chance)
    mark = next(one for one in _MARKS if one in both.target)
    spoilt = {
        "{name}": "{nombre}",
        "%s": "% s",
        "<b>": "< b >",
        "%(count)d": "%(conteo)d",
        "${total}": "$ {total}",
    }.get(mark, "")
    return replace(both, target=both.target.replace(mark, spoilt if chance.random() < 0.5 else "", 1).strip())


_NAME = regex.compile(r"(?<=[\p{Ll},] )(\p{Lu}\p{Ll}{3,}(?: \p{Lu}\p{Ll}{3,})*)")
_LATIN = regex.compile(r"\b[A-Z][A-Za-z]{3,}(?: [A-Z][A-Za-z]{3,})*\b")


def shared_names(pair: Pair) -> list[str]:
    """Names that stand on both sides as they are."""
    pattern = (
        _NAME
        if languages.letters(pair.source_language) == ("Latin",) == languages.letters(pair.target_language)
        else _LATIN
    )
    return [name for name in dict.fromkeys(pattern.findall(pair.source)) if name in pair.target]


def entity_swapped(pair: Pair, chance: random.Random, others: Sequence[Pair]) -> Pair | None:
    """A name that both sides have, changed in the target into one of another row."""
    names = shared_names(pair)
    if not names:
        return None
    drawn = [
        name
        for other in chance.sample(others, min(60, len(others)))
        for name in shared_names(other)
        if name not in pair.source
    ]
    return replace(pair, target=pair.target.replace(chance.choice(names), chance.choice(drawn))) if drawn else None


DAMAGES: dict[str, Damage] = {
    "wrong row": wrong_row,
    "shifted rows": shifted,
    "truncated half": truncated,
    "sentence dropped": dropped_sentence,
    "untranslated": untranslated,
    "half untranslated": half_untranslated,
    "source left in": source_left,
    "number changed": number_changed,
    "negation flipped": negation_flipped,
    "loop": loop,
    "mojibake": mojibake,
    "commentary": commentary,
    "placeholder lost": placeholder_lost,
    "entity swapped": entity_swapped,
}


def damaged(pairs: Sequence[Pair], cap: int) -> dict[str, list[tuple[Pair, Pair]]]:
    """For each kind of damage, up to ``cap`` (good pair, spoilt pair) of each language pair and corpus."""
    groups: dict[tuple[str, str, str], list[Pair]] = {}
    for pair in pairs:
        groups.setdefault((pair.corpus, pair.source_language, pair.target_language), []).append(pair)
    found: dict[str, list[tuple[Pair, Pair]]] = {name: [] for name in DAMAGES}
    for group in groups.values():
        for name, damage in DAMAGES.items():
            count = 0
            for pair in sorted(group, key=lambda one: number(name + one.key)):
                if count >= cap:
                    break
                spoilt = damage(pair, random.Random(number("damage" + name + pair.key)), group)
                if spoilt is not None and spoilt.target.strip() != pair.target.strip():
                    found[name].append((pair, spoilt))
                    count += 1
    return found

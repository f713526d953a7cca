"""Languages as BCP-47 tags, with a script only if it is not the usual one; all other codes are mapped here.

:func:`normalize` accepts fastText labels (``__label__de``), FLORES-200 and GlotLID codes (``deu_Latn``, ``cmn_Hani``)
and ISO 639-3 codes. :func:`iso639_3` and :func:`flores` convert back. No other module has a list of codes.
"""

from __future__ import annotations

import re
from functools import lru_cache
from types import MappingProxyType

UNKNOWN = "und"

# ISO 639-3 individual languages that data sets mean when the two-letter macrolanguage is said (CLDR's representatives).
# yue, wuu, arz, ary … stay themselves: they are different languages for a trainer.
_REPRESENTATIVES = MappingProxyType(
    {
        "als": "sq", "arb": "ar", "ayr": "ay", "azj": "az", "cmn": "zh", "ekk": "et", "fuv": "ff", "gaz": "om",
        "gug": "gn",
        "hbs": "sh", "khk": "mn", "kmr": "ku", "knc": "kr", "lvs": "lv", "npi": "ne", "ory": "or", "pbt": "ps",
        "pes": "fa",
        "plt": "mg", "prs": "fa-AF", "quy": "qu", "swh": "sw", "tgl": "fil", "tl": "fil", "uzn": "uz", "ydd": "yi",
        "zsm": "ms",
        "zho": "zh", "iw": "he", "in": "id", "ji": "yi", "jw": "jv", "mo": "ro", "no": "nb", "nor": "nb",
    }
)  # fmt: skip
# Names that lid.176 inherited from Wikipedia's subdomains and that mean something else, or nothing, in ISO 639.
_FASTTEXT = MappingProxyType({"als": "gsw", "bh": "bho", "eml": "egl", "nah": "nah", "sh": "sh", "no": "nb"})
_ISO3_OUT = MappingProxyType(
    {"ar": "arb", "zh": "cmn", "sw": "swh", "ms": "zsm", "et": "ekk", "lv": "lvs", "ne": "npi", "or": "ory",
    "fa": "pes",
     "uz": "uzn", "mn": "khk", "mg": "plt", "az": "azj", "sq": "als", "yi": "ydd", "ku": "kmr", "ps": "pbt",
     "gn": "gug",
     "ay": "ayr", "om": "gaz", "ff": "fuv", "kr": "knc", "qu": "quy", "fil": "tgl", "sh": "hbs", "fa-AF": "prs"}
)  # fmt: skip
_PLAIN = frozenset(
    """
    aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el
    en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu
    ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na
    nb nd ne ng nl nn nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq
    sr ss st su sv sw ta te tg th ti tk tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
    """.split()  # noqa: SIM905
)
"""Codes that are canonical as they stand; for these nothing has to be loaded."""
# The scripts of letters that a tag's script code stands for.
_LETTERS = MappingProxyType(
    {"Hans": ("Han",), "Hant": ("Han",), "Hani": ("Han",), "Jpan": ("Han", "Hiragana", "Katakana"), "Kore": ("Hangul",
    "Han"),
     "Hrkt": ("Hiragana", "Katakana"), "Aran": ("Arabic",)}
)  # fmt: skip
_SCRIPT_NAMES = MappingProxyType(
    {"Latn": "Latin", "Cyrl": "Cyrillic", "Arab": "Arabic", "Deva": "Devanagari", "Beng": "Bengali", "Grek": "Greek",
     "Hebr": "Hebrew", "Thai": "Thai", "Laoo": "Lao", "Khmr": "Khmer", "Mymr": "Myanmar", "Taml": "Tamil",
     "Telu": "Telugu",
     "Knda": "Kannada", "Mlym": "Malayalam", "Gujr": "Gujarati", "Guru": "Gurmukhi", "Orya": "Oriya", "Sinh": "Sinhala",
     "Ethi": "Ethiopic", "Geor": "Georgian", "Armn": "Armenian", "Tibt": "Tibetan", "Hang": "Hangul",
     "Hira": "Hiragana",
     "Kana": "Katakana", "Mong": "Mongolian", "Tfng": "Tifinagh", "Thaa": "Thaana", "Cher": "Cherokee",
     "Syrc": "Syriac",
     "Nkoo": "Nko", "Olck": "Ol_Chiki", "Mtei": "Meetei_Mayek", "Bali": "Balinese", "Java": "Javanese",
     "Sund": "Sundanese",
     "Cans": "Canadian_Aboriginal", "Vaii": "Vai", "Yiii": "Yi", "Goth": "Gothic", "Copt": "Coptic", "Adlm": "Adlam",
     "Bugi": "Buginese", "Tale": "Tai_Le", "Talu": "New_Tai_Lue", "Lana": "Tai_Tham", "Cham": "Cham", "Limb": "Limbu",
     "Lepc": "Lepcha", "Rohg": "Hanifi_Rohingya", "Hmnp": "Nyiakeng_Puachue_Hmong", "Osge": "Osage", "Bopo": "Bopomofo",
     "Avst": "Avestan", "Xsux": "Cuneiform", "Egyp": "Egyptian_Hieroglyphs", "Newa": "Newa", "Tavt": "Tai_Viet"}
)  # fmt: skip


class InvalidLanguage(ValueError):
    """A text that is no language code; the message has the text and, if there is one, the nearest code."""


@lru_cache(maxsize=4096)
def normalize(code: str) -> str:
    """The canonical tag of a BCP-47 tag, ISO 639-3 code, FLORES/GlotLID code or fastText label.

    The script is removed if it is the language's usual one (``zho_Hans`` → ``zh``, ``hin_Deva`` → ``hi``) and kept
    otherwise (``hin_Latn`` → ``hi-Latn``, ``zho_Hant`` → ``zh-Hant``). A region is kept, unless it implies an unusual
    script, which then replaces it (``zh-TW`` → ``zh-Hant``).

    Raises:
        InvalidLanguage: no such language, script or region is registered.
    """
    if code in _PLAIN:
        return code
    return _canonical(code)


def _canonical(code: str) -> str:
    import langcodes
    from langcodes.tag_parser import LanguageTagError

    text = code.strip().removeprefix("__label__").replace("_", "-")
    if not text:
        raise InvalidLanguage("a language tag is empty; write 'und' if the language is unknown")
    first, _, rest = text.partition("-")
    if first.lower() == UNKNOWN:
        return UNKNOWN
    first, _, region = _REPRESENTATIVES.get(first.lower(), first).partition("-")
    try:
        language = langcodes.Language.get(langcodes.standardize_tag(f"{first}-{rest}" if rest else first))
        if region:
            language = language.update_dict({"territory": language.territory or region})
    except (LanguageTagError, ValueError):
        raise InvalidLanguage(f"'{code}' is not a BCP-47 language tag (such as 'sw', 'hi-Latn', 'zh-Hant')") from None
    if not language.language or language.language.startswith("x-") or not language.is_valid():
        raise InvalidLanguage(f"'{code}' names no registered language, script or region")
    base = language.language
    written = "Hans" if language.script == "Hani" else language.script
    usual = _usual_script(base, None)
    regional = _usual_script(base, language.territory) if language.territory and written is None else None
    territory = language.territory
    if regional and regional != usual:
        written, territory = regional, None
    script = written if written and written != usual else None
    variants = [*(language.extlangs or []), *(language.variants or []), *(language.extensions or [])]
    return "-".join(part for part in [base, script, territory, *variants, language.private] if part)


@lru_cache(maxsize=4096)
def from_name(name: str) -> str | None:
    """The tag of a language's English name (``Swahili``, ``Traditional Chinese``), in any case; None if there is no
    language of that name."""
    text = name.strip()
    if len(text) < 4:
        return None
    if text.lower() in ("unknown", "undetermined"):
        return UNKNOWN
    import langcodes

    try:
        return normalize(langcodes.find(text, "en").to_tag())
    except (LookupError, InvalidLanguage):
        return None


def from_fasttext(label: str) -> str:
    """The tag of a fastText label: lid.176 (Wikipedia codes) or GlotLID/OpenLID/NLLB style ``__label__deu_Latn``.

    A label that is not registered (``__label__zxx_Zzzz`` and the like) becomes ``und``.
    """
    text = label.removeprefix("__label__")
    try:
        tag = normalize(_FASTTEXT.get(text, text))
    except InvalidLanguage:
        return UNKNOWN
    return UNKNOWN if base(tag) in ("zxx", "mis", "mul") else tag


@lru_cache(maxsize=4096)
def _usual_script(base: str, territory: str | None) -> str | None:
    if base == "sh":
        return "Latn"
    import langcodes

    return langcodes.Language.make(language=base, territory=territory).maximize().script


# What translators write around a language in their vocabularies: M2M-100, MADLAD, OPUS-MT; and mBART's en_XX, NLLB's
# eng_Latn.
_TOKENS = re.compile(
    r"__([a-z]{2,3})__|<2([A-Za-z_]{2,16})>|>>([a-z]{2,3}(?:_[A-Za-z]{2,4})?)<<|([a-z]{2})_[A-Z]{2}|"
    r"([a-z]{3}_[A-Z][a-z]{3})"
)
# Codes of one translator that are no registered language, or another one.
_TRANSLATORS = MappingProxyType({"__ns__": "nso", ">>pob<<": "pt-BR", ">>cmn<<": "zh", "fa_IR": "fa", "zh_CN": "zh"})


@lru_cache(maxsize=4096)
def from_translator(token: str) -> str | None:
    """The tag of a translator's language token; None if it is no such token.

    Supported are the tokens of NLLB (``swh_Latn``), M2M-100 (``__sw__``), MADLAD-400 (``<2sw>``), OPUS-MT (``>>swh<<``)
    and mBART-50 (``sw_KE``; its country is meaningless and removed).
    """
    if token in _TRANSLATORS:
        return _TRANSLATORS[token]
    match = _TOKENS.fullmatch(token)
    if match is None:
        return None
    try:
        return normalize(next(group for group in match.groups() if group))
    except InvalidLanguage:
        return None


def base(tag: str) -> str:
    """The language without script, region or variants."""
    return tag.split("-", 1)[0]


@lru_cache(maxsize=4096)
def script(tag: str) -> str:
    """The ISO 15924 code of the script a tag is written in (``ja`` → ``Jpan``); ``Zyyy`` if unknown."""
    import langcodes
    from langcodes.tag_parser import LanguageTagError

    try:
        language = langcodes.Language.get(tag)
    except LanguageTagError:
        raise InvalidLanguage(f"'{tag}' is not a language tag; pass it through normalize() first") from None
    if language.script:
        return language.script
    if language.language in (None, UNKNOWN):
        return "Zyyy"
    return _usual_script(language.language or UNKNOWN, language.territory) or "Zyyy"


@lru_cache(maxsize=4096)
def known_script(tag: str) -> str | None:
    """The ISO 15924 code of the script that a tag names, or of the one that CLDR says the language is written in; None
    if unknown."""
    import langcodes

    return script(tag) if langcodes.Language.get(tag).script or _has_likely_subtags(base(tag)) else None


@lru_cache(maxsize=4096)
def region(tag: str) -> str | None:
    """The ISO 3166 code of the region that a tag names, or of the one where CLDR expects the language (``sw`` →
    ``TZ``); None if unknown."""
    import langcodes

    language = langcodes.Language.get(tag)
    expected = language.maximize().territory if _has_likely_subtags(base(tag)) else None
    return language.territory or (expected if expected != "ZZ" else None)


@lru_cache(maxsize=4096)
def _has_likely_subtags(base: str) -> bool:
    """Whether CLDR knows where a language is spoken and how it is written. Of all others langcodes says what it says of
    ``und``: Latin letters, in the United States."""
    import langcodes

    found, unknown = (langcodes.Language.make(language=one).maximize() for one in (base, UNKNOWN))
    same = (found.script, found.territory) == (unknown.script, unknown.territory)
    return base != UNKNOWN and (not same or bool(speakers(base)))


@lru_cache(maxsize=4096)
def speakers(tag: str) -> int | None:
    """How many people speak a language, in the region that the tag names if it names one, by CLDR; None if unknown.

    People who speak several languages count for each.
    """
    import langcodes

    return langcodes.Language.get(tag).speaking_population() or None


@lru_cache(maxsize=4096)
def letters(tag: str) -> tuple[str, ...]:
    """The Unicode ``Script`` property values of this language's letters; empty if unknown."""
    code = script(tag)
    if code in _LETTERS:
        return _LETTERS[code]
    return (_SCRIPT_NAMES[code],) if code in _SCRIPT_NAMES else ()


def script_code(name: str) -> str | None:
    """The ISO 15924 code of a Unicode ``Script`` property value (``Devanagari`` → ``Deva``), Han as ``Hani``."""
    if name == "Han":
        return "Hani"
    return next((code for code, known in _SCRIPT_NAMES.items() if known == name), None)


def script_names() -> tuple[str, ...]:
    """All Unicode ``Script`` property values known here."""
    return ("Han", *_SCRIPT_NAMES.values())


@lru_cache(maxsize=4096)
def iso639_3(tag: str) -> str:
    """The ISO 639-3 code used by parallel corpora and NLLB (``zh`` → ``cmn``, ``ar`` → ``arb``)."""
    head = "-".join(tag.split("-")[:2])
    code = base(tag)
    import langcodes

    return _ISO3_OUT.get(head) or _ISO3_OUT.get(code) or langcodes.Language.get(code).to_alpha3()


def flores(tag: str) -> str:
    """The FLORES-200/NLLB code (``sw`` → ``swh_Latn``, ``zh`` → ``zho_Hans``)."""
    code = "zho" if base(tag) == "zh" else iso639_3(tag)
    return f"{code}_{script(tag)}"


# Members of one group are read as one another by an identifier that knows only some of them.
_MUTUAL = (
    frozenset({"nb", "nn", "no"}),
    frozenset({"sh", "hr", "bs", "sr", "cnr"}),
    frozenset({"fil", "tl"}),
)


def accepts(expected: str, found: str) -> bool:
    """Whether an identified language ``found`` matches the language ``expected``, including scripts, without regions.

    Written standards that identifiers often merge count as the same language (nb/nn, sh/hr/bs/sr). A missing script
    matches the usual one only, so ``hi-Latn`` is not ``hi``.
    """
    left, right = base(expected), base(found)
    if left != right and not any(left in group and right in group for group in _MUTUAL):
        return False
    if left != right:
        return True
    return letters(expected) == letters(found) and (left != "zh" or script(expected) == script(found) or found == "zh")

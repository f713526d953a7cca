"""A family of translators is a way to write a sentence and two languages as tokens; which one a model is of, its own
files say.

nllb      eng_Latn ▁The ▁house </s>     answer begins with swh_Latn      (NLLB team 2022)
m2m100    __en__ ▁The ▁house </s>       answer begins with __sw__        (Fan et al. 2021)
mbart50   en_XX ▁The ▁house </s>        answer begins with sw_KE         (Tang et al. 2020)
madlad    <2sw> ▁The ▁house </s>                                         (Kudugunta et al. 2023)
opus      >>swh<< ▁The ▁house </s>      the word only where a model has several targets  (Tiedemann and Thottingal 2020)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import orjson

from curate.errors import ModelError
from curate.models.translation.language_pairs import Pairs
from curate.rows import languages

END = "</s>"
_LARGEST = 200_000_000
# Groups of languages in the names of OPUS-MT models.
_GROUPS = frozenset(
    {"mul", "roa", "itc", "gem", "gmw", "gmq", "sla", "zle", "zls", "zlw", "ine", "inc", "iir", "trk", "dra", "fiu",
    "urj", "afa", "sem", "cel",
     "bat", "map", "poz", "pqw", "pqe", "bnt", "nic", "alv", "aav", "sit", "tut", "cau", "cpp", "cpf", "art", "euq",
     "grk", "sal", "cus", "mkh",
     "run", "phi", "wa", "synthetic", "romance", "celtic", "scandinavia", "north_eu", "nordic", "caenes"}
)  # fmt: skip
# The languages of M2M-100, which its tokeniser knows by heart and its files need not list.
_M2M100 = (
    "af", "am", "ar", "ast", "az", "ba", "be", "bg", "bn", "br", "bs", "ca", "ceb", "cs", "cy", "da", "de", "el",
    "en", "es", "et", "fa", "ff", "fi", "fr", "fy", "ga", "gd", "gl", "gu", "ha", "he", "hi", "hr", "ht", "hu", "hy",
    "id", "ig", "ilo", "is", "it", "ja", "jv", "ka", "kk", "km", "kn", "ko", "lb", "lg", "ln", "lo", "lt", "lv",
    "mg", "mk", "ml", "mn", "mr", "ms", "my", "ne", "nl", "no", "ns", "oc", "or", "pa", "pl", "ps", "pt", "ro", "ru",
    "sd", "si", "sk", "sl", "so", "sq", "sr", "ss", "su", "sv", "sw", "ta", "th", "tl", "tn", "tr", "uk", "ur", "uz",
    "vi", "wo", "xh", "yi", "yo", "zh", "zu",
)  # fmt: skip
_OPUS_NAME = re.compile(r"opus-mt(?:[-_](?:tc|tiny|big|base|bible|small|deu|zle)*)*?-([A-Za-z_]{2,})-([A-Za-z_]{2,})$")


class Words(Protocol):
    """A vocabulary: text to tokens and back."""

    def tokens(self, text: str) -> list[str]:
        """The tokens of a text, without interpreting control tokens."""
        ...

    def text(self, tokens: list[str]) -> str:
        """The text of target tokens, without control tokens."""
        ...

    def covers(self, char: str) -> bool:
        """Whether there is a token for a character."""
        ...


@dataclass(frozen=True)
class Family:
    """How a family encodes languages."""

    name: str
    token: re.Pattern[bytes]
    """A language token as written in JSON."""
    from_source: bool
    """Whether the source's token comes first, not the target's."""
    prefix: bool
    """Whether an answer must begin with the target's token."""

    def encode(self, words: Words, text: str, source: str, target: str) -> list[str]:
        """The input tokens of a sentence."""
        if self.name == "madlad":
            # Its tags are ordinary pieces, so a text that contains one must not be read as an order.
            return [*words.tokens(f"{target} {text.replace('<2', '< 2')}"), END]
        first = source if self.from_source else target
        return [*([first] if first else []), *words.tokens(text), END]

    def word(self, tag: str) -> str:
        """The default token of a language, if the model's files have none."""
        if self.name == "nllb":
            return languages.flores(tag)
        if self.name == "m2m100":
            return f"__{ {'nb': 'no', 'fil': 'tl'}.get(languages.base(tag), languages.base(tag)) }__"
        return f"<2{languages.base(tag)}>" if self.name == "madlad" else ""


FAMILIES: Mapping[str, Family] = {
    "nllb": Family("nllb", re.compile(rb'"([a-z]{3}_[A-Z][a-z]{3})"'), True, True),
    "m2m100": Family("m2m100", re.compile(rb'"(__[a-z]{2,3}__)"'), True, True),
    "mbart50": Family("mbart50", re.compile(rb'"([a-z]{2}_[A-Z]{2})"'), True, True),
    "madlad": Family("madlad", re.compile(rb'"(<2[A-Za-z_]{2,16}>)"'), False, False),
    "opus": Family("opus", re.compile(rb'"(>>[A-Za-z_]{2,16}<<)"'), False, False),
}


# ---------------------------------------------------------------------------------------------------- what files say
def _json(file: Path) -> dict[str, Any]:
    try:
        value = orjson.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _vocabularies(*folders: Path) -> Iterator[bytes]:
    """The bytes of the files that list tokens, as JSON."""
    for folder in dict.fromkeys(folders):
        for file in sorted([*folder.glob("*.json"), *folder.glob("*vocabulary*.txt")]):
            if file.name.endswith(".index.json") or file.stat().st_size > _LARGEST:
                continue
            data = file.read_bytes()
            yield data if file.suffix == ".json" else b"\n".join(b'"%s"' % line for line in data.splitlines())


def _pieces(*folders: Path) -> Iterator[bytes]:
    """The pieces of SentencePiece files, as JSON."""
    for folder in dict.fromkeys(folders):
        for name in ("spiece.model", "sentencepiece.model"):
            if (folder / name).is_file():
                processor = processor_of(folder / name)
                yield b"\n".join(b'"%s"' % processor.id_to_piece(one).encode() for one in range(processor.vocab_size()))


def _tokens(family: Family, *folders: Path) -> list[str]:
    found: set[str] = set()
    for data in _vocabularies(*folders):
        found.update(token.decode() for token in family.token.findall(data))
    if not found and family.name == "madlad":
        for data in _pieces(*folders):
            found.update(token.decode() for token in family.token.findall(data))
    return sorted(found)


def detect_family(folder: Path, words: Path, name: str) -> str:
    """The family of a model.

    Raises:
        ModelError: its files do not tell.
    """
    kind = str(_json(folder / "config.json").get("model_type", ""))
    if kind == "marian" or (not kind and (words / "source.spm").is_file()):
        return "opus"
    if kind == "mbart":
        return "mbart50"
    if kind in ("t5", "mt5"):
        return "madlad"
    if kind in ("m2m_100", ""):
        for family in ("m2m100", "nllb", "madlad", "mbart50"):
            if len(_tokens(FAMILIES[family], folder, words)) > 1:
                return family
        tokenizer = str(_json(words / "tokenizer_config.json").get("tokenizer_class", "")).lower()
        for family in ("nllb", "m2m100", "mbart50"):
            if tokenizer.startswith(family):
                return family
    what = f"a model of type '{kind}'" if kind else "a model that does not say what it is"
    raise ModelError(
        f"{name} is {what}; known families are {', '.join(FAMILIES)}: say which with 'family:', and where its"
        " vocabulary is with 'tokenizer:'"
    )


@dataclass(frozen=True)
class Codes:
    """The language codes of a model."""

    family: Family
    source_words: dict[str, str] = field(default_factory=dict)
    target_words: dict[str, str] = field(default_factory=dict)
    sources: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()

    @staticmethod
    def find(tag: str, known: Mapping[str, str]) -> str | None:
        """The code of a language, regardless of region; None if there is none."""
        if tag in known:
            return known[tag]
        pair = Pairs((one, "und") for one in known).find(tag, "und")
        return known[pair[0]] if pair else None

    def source(self, tag: str) -> str:
        """The source's token; empty if the family has none."""
        return (self.find(tag, self.source_words) or self.family.word(tag)) if self.family.from_source else ""

    def target(self, tag: str) -> str:
        """The target's token; empty if the model needs none."""
        return self.find(tag, self.target_words) or self.family.word(tag)


def read_codes(family: Family, folder: Path, words: Path, name: str, given: Mapping[str, str]) -> Codes:
    """The language codes in a model's files.

    Args:
        given: overrides from the catalog.
    """
    found: dict[str, str] = {}
    tokens = _tokens(family, folder, words)
    if family.name == "m2m100":
        tokens = tokens or [f"__{code}__" for code in _M2M100]
    for token in tokens:
        tag = languages.from_translator(token)
        # Of two tokens for one tag the one that says the script comes first; both can be had with 'codes'.
        if tag is not None and tag not in found:
            found[tag] = token
    found |= given
    if family.name != "opus":
        return Codes(family, found, found, frozenset(found), frozenset(found))
    source, target = _opus_pair(words, name)
    targets = frozenset({target}) if target else frozenset(found)
    return Codes(family, {}, found, frozenset({source} if source else ()), targets)


def _opus_pair(words: Path, name: str) -> tuple[str | None, str | None]:
    told = _json(words / "tokenizer_config.json")
    match = _OPUS_NAME.search(name.rstrip("/"))
    sides = []
    for key, group in (("source_lang", 1), ("target_lang", 2)):
        code = str(told.get(key) or (match[group] if match else ""))
        try:
            sides.append(languages.normalize(code) if code and code.lower() not in _GROUPS else None)
        except languages.InvalidLanguage:
            sides.append(None)
    return sides[0], sides[1]


# ---------------------------------------------------------------------------------------------------------- vocabulary
def processor_of(file: Path) -> Any:
    """Loads a SentencePiece file.

    Raises:
        ModelError: it is not one.
    """
    import sentencepiece

    try:
        return sentencepiece.SentencePieceProcessor(model_file=str(file))
    except (RuntimeError, OSError) as error:
        raise ModelError(f"{file} is no SentencePiece vocabulary: {error}") from error


class PieceWords:
    """SentencePiece files, read directly."""

    def __init__(self, source: Path, target: Path) -> None:
        self._source = processor_of(source)
        self._target = processor_of(target) if target != source else self._source
        self._unknown = self._source.unk_id()

    @classmethod
    def of(cls, folder: Path) -> PieceWords | None:
        """The vocabulary of a folder; None if it has none of this kind."""
        if (folder / "source.spm").is_file() and (folder / "target.spm").is_file():
            return cls(folder / "source.spm", folder / "target.spm")
        for name in ("sentencepiece.bpe.model", "spiece.model", "sentencepiece.model", "spm.model"):
            if (folder / name).is_file():
                return cls(folder / name, folder / name)
        return None

    def tokens(self, text: str) -> list[str]:
        return list(self._source.encode(text, out_type=str))

    def text(self, tokens: list[str]) -> str:
        return str(self._target.decode_pieces(tokens))

    def covers(self, char: str) -> bool:
        return self._unknown not in self._source.encode(char)

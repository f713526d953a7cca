"""Common part of all translators: splits sentences into segments that the engine supports, and caches translations.

A sentence is split at line breaks, at characters that the engine's vocabulary lacks, and where it is longer than the
engine's limit. Whitespace and text without letters are not translated. Each segment is translated once, by any process
that shares the cache folder.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import regex

from curate.errors import ModelError
from curate.models.cache.responses import AnswerCache, question_key
from curate.models.embedding.preprocess import make_fit
from curate.models.translation.language_pairs import Pairs
from curate.models.translation.vocabulary_fallback import OovNormalizer
from curate.rows import languages
from curate.steps.models import Done, Model

_LETTER = regex.compile(r"\p{L}")
_BREAKS = regex.compile(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")
# Where a sentence is cut if it must be: after an end of sentence, after a clause, at a space.
_CUTS = (
    regex.compile(r"(?:[.!?…]+[\"'”’»)\]]*\s+|[。！？।۔؟။።៕]+[”’」』）]*\s*)"),
    regex.compile(r"(?:[,;:–—]\s+|[，、；：،؛]\s*)"),
    regex.compile(r"\s+"),
)
_UNSPACED = frozenset({"Hans", "Hant", "Hani", "Jpan", "Thai", "Laoo", "Khmr", "Mymr", "Tibt"})


@dataclass(frozen=True)
class Translated:
    """The translation of a sentence."""

    text: str
    problem: str = ""
    """The problem (``cut off after 256 tokens``); empty if none is known."""


Ask = Callable[[list[str], str, str], Sequence[Translated]]
"""(segments, source, target) → the translation of each segment; the pair is one of the engine's own."""


@dataclass
class _Part:
    """A part of a sentence, to be translated or copied."""

    text: str
    asked: bool
    spelt: str = ""
    changed: dict[str, str] | None = None


class SentenceTranslator:
    """A :class:`curate.steps.models.Translator` for an engine."""

    def __init__(
        self,
        ask: Ask,
        *,
        name: str,
        pairs: Pairs,
        revision: Callable[[str, str], str],
        longest: int,
        cache: AnswerCache,
        normalizer: Callable[[str, str], OovNormalizer | None] | None = None,
        chunk: int = 256,
        refusal: Callable[[str, str], str] | None = None,
    ) -> None:
        """
        Args:
            ask: translates pieces without line breaks or outer spaces, each with a letter, of at most ``longest``
                characters.
            name: as it is called in errors.
            revision: ``name@revision`` of what translates one of its own pairs.
            longest: characters that a piece may have.
            normalizer: the vocabulary of a pair, where it does not cover every character.
            chunk: pieces asked between two writes to the cache: what a kill may cost.
            refusal: more words for a pair that is not supported.
        """
        self.longest = longest
        self.pairs = pairs
        self._ask = ask
        self._name = name
        self._revision = revision
        self._cache = cache
        self._normalizer = normalizer
        self._chunk = chunk
        self._refusal = refusal

    def supports(self, source: str, target: str) -> bool:
        """Whether it translates from one language into the other, regions aside, scripts not."""
        return self.pairs.find(source, target) is not None

    def maker(self, source: str, target: str) -> str:
        """``name@revision`` of the model that translates this pair.

        Raises:
            ModelError: the pair is not supported.
        """
        return self._revision(*self._pair(source, target))

    def translate(self, sentences: Sequence[str], source: str, target: str, done: Done | None = None) -> list[str]:
        """The translation of each sentence, in order; one without letters stays as it is.

        Raises:
            ModelError: the pair is not supported, or the engine died.
        """
        return [one.text for one in self.translate_checked(sentences, source, target, done)]

    def translate_checked(
        self, sentences: Sequence[str], source: str, target: str, done: Done | None = None
    ) -> list[Translated]:
        """As :meth:`translate`, with the known problems of each translation.

        Raises:
            ModelError: the pair is not supported, or the engine died.
        """
        pair = self._pair(source, target)
        normalizer = self._normalizer(*pair) if self._normalizer else None
        revision = self._revision(*pair)
        parts: dict[str, list[_Part]] = {}
        for sentence in sentences:
            if sentence not in parts:
                parts[sentence] = _parts(sentence, self.longest, normalizer)
        keys = {
            part.spelt: question_key([revision, *pair, part.spelt])
            for listed in parts.values()
            for part in listed
            if part.asked
        }
        kept = self._cache.get(keys.values())
        answers = {spelt: Translated(kept[key]) for spelt, key in keys.items() if key in kept}
        missing = [spelt for spelt in keys if spelt not in answers]
        for finished in self._missing(missing, keys, answers, pair, sentences, parts):
            if done is not None and finished:
                done(finished)
        joined = {sentence: _join(sentence, listed, answers, pair) for sentence, listed in parts.items()}
        return [joined[sentence] for sentence in sentences]

    def _missing(
        self,
        missing: list[str],
        keys: dict[str, bytes],
        answers: dict[str, Translated],
        pair: tuple[str, str],
        sentences: Sequence[str],
        parts: dict[str, list[_Part]],
    ) -> Iterator[int]:
        """Translates missing segments, chunk by chunk; yields the number of sentences that each chunk completes."""
        place = {spelt: index for index, spelt in enumerate(missing)}
        last = sorted(
            max((place.get(part.spelt, -1) for part in parts[one] if part.asked), default=-1) for one in sentences
        )
        told = 0
        for start in range(0, len(missing) + 1, self._chunk):
            batch = missing[start : start + self._chunk]
            if batch:
                found = dict(zip(batch, self._ask(batch, *pair), strict=True))
                answers.update(found)
                # A failure is no answer: it is asked again the next time.
                self._cache.put({keys[spelt]: one.text for spelt, one in found.items() if not one.problem})
            finished = told
            while finished < len(last) and last[finished] < start + len(batch):
                finished += 1
            yield finished - told
            told = finished

    def _pair(self, source: str, target: str) -> tuple[str, str]:
        pair = self.pairs.find(source, target)
        if pair is None:
            more = self._refusal(source, target) if self._refusal else ""
            raise ModelError(self.pairs.refusal(self._name, source, target) + (f". {more}" if more else ""))
        return pair


# -------------------------------------------------------------------------------------------------------------- pieces
def _parts(sentence: str, longest: int, normalizer: OovNormalizer | None) -> list[_Part]:
    """The parts of a sentence; joined they are the sentence (except that NUL and lone surrogates become spaces)."""
    text = make_fit(sentence)
    if not _LETTER.search(text):
        return [_Part(sentence, asked=False)]
    parts: list[_Part] = []

    def carry(run: str) -> None:
        if not run:
            return
        if parts and not parts[-1].asked:
            parts[-1].text += run
        else:
            parts.append(_Part(run, asked=False))

    position = 0
    for stop in [*_BREAKS.finditer(text), None]:
        line = text[position : stop.start() if stop else len(text)]
        for run, carried in normalizer.runs(line) if normalizer else [(line, False)]:
            if carried:
                carry(run)
                continue
            for piece in cut_text(run, longest):
                before, core, after = _edges(piece)
                carry(before)
                if _LETTER.search(core):
                    spelt, changed = normalizer.spell(core) if normalizer else (core, {})
                    # Even an invisible character that was dropped must not leave nothing, or spaces, to be asked.
                    if _LETTER.search(spelt):
                        parts.append(_Part(core, asked=True, spelt=spelt.strip(), changed=changed))
                    else:
                        carry(core)
                else:
                    carry(core)
                carry(after)
        if stop:
            carry(stop[0])
            position = stop.end()
    return parts


def _edges(text: str) -> tuple[str, str, str]:
    core = text.strip()
    start = text.index(core) if core else len(text)
    return text[:start], core, text[start + len(core) :]


def cut_text(text: str, longest: int) -> list[str]:
    """Splits a text into segments of at most ``longest`` characters.

    A segment ends after the last sentence in the second half of the window, otherwise after the last clause, otherwise
    at the last space, otherwise (unspaced scripts, very long words) between two characters, if possible not before a
    combining mark.
    """
    pieces = []
    start = 0
    while len(text) - start > longest:
        window = text[start : start + longest]
        end = 0
        for pattern in _CUTS:
            end = max((match.end() for match in pattern.finditer(window, len(window) // 2)), default=0)
            if end:
                break
        if not end:
            end = longest
            while end > longest // 2 and unicodedata.category(text[start + end])[0] == "M":
                end -= 1
        pieces.append(text[start : start + end])
        start += end
    pieces.append(text[start:])
    return pieces


def halve(text: str) -> tuple[str, str] | None:
    """A text split near its middle at a natural boundary; None if it is too short."""
    if len(text) < 16:
        return None
    pieces = cut_text(text, len(text) * 2 // 3)
    return pieces[0], text[len(pieces[0]) :]


def glue(left: str, right: str, source: str, target: str) -> str:
    """Joins two neighbouring translations, with a space if the target's script needs one."""
    if not left or not right or left[-1].isspace() or right[0].isspace() or unspaced(target):
        return left + right
    return f"{left} {right}"


def unspaced(tag: str) -> bool:
    """Whether a language is written without spaces between words."""
    return languages.script(tag) in _UNSPACED


def _join(sentence: str, parts: list[_Part], answers: dict[str, Translated], pair: tuple[str, str]) -> Translated:
    """Joins the translated parts in the original's order, with the original's whitespace."""
    if not any(part.asked for part in parts):
        return Translated(sentence)
    opens = unspaced(pair[0]) and not unspaced(pair[1])
    closes = unspaced(pair[1]) and not unspaced(pair[0])
    text, problems = "", []
    for index, part in enumerate(parts):
        if not part.asked:
            between = 0 < index < len(parts) - 1 and parts[index - 1].asked and parts[index + 1].asked
            if opens and text and part.text[0].isalnum() and not text[-1].isspace():
                text += " "
            text += "" if closes and between and part.text.strip(" ") == "" else part.text
            continue
        answer = answers[part.spelt]
        said = answer.text
        if part.spelt != part.text:
            said = OovNormalizer.restore(said, part.text, part.changed or {})
        # Two pieces that were cut apart without a space between them need one in a script that has spaces.
        text += " " + said if opens and text and said and not text[-1].isspace() and index else said
        if answer.problem:
            problems.append(answer.problem)
    return Translated(text, "; ".join(dict.fromkeys(problems)))


# --------------------------------------------------------------------------------------------------------------- cache
def open_cache(folder: Path | None, model: Model, identity: dict[str, Any]) -> AnswerCache:
    """The cached translations of a model.

    Args:
        identity: everything that translations depend on besides the revision of the pair, which is part of each key.
    """
    return AnswerCache(folder, f"translations-{model.use}", {"use": model.use, "version": model.version, **identity})

"""Translates texts with a translator, sentence by sentence; lines, marks and protected spans are removed before and
restored after, so that no engine can lose them.

The sentences of all rows go in one pass, equal ones once. Each translated sentence is checked; a failed one is
translated once more in another segmentation (around its spans, at its clauses, in lower case), and the better result is
used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, runtime_checkable

import regex

from curate.generation.translate.checks import Limits, Pair, verdicts
from curate.generation.translate.rows import Prepared, Translation
from curate.steps.models import Done, Translator
from curate.text.boilerplate import without_asides
from curate.text.layout import Piece, by_line
from curate.text.placeholders import Span, marked, restored, spans, with_terms
from curate.text.sentences import Sentence, between, chop, split

Tick = Callable[[int, int], None]
# In these scripts a single letter is a variable or a grade; a text of single letters only is not translated.
_WORD = regex.compile(r"(?V1)[\p{L}--[\p{Script=Latin}\p{Script=Greek}]]|\p{L}\p{M}*\p{L}")
_LETTER = regex.compile(r"\p{L}")
_MIN_LONGEST = 16
_EDGE_KINDS = frozenset({"markup"})
_PICTURE = regex.compile(r"[\p{So}\p{Co}\p{Extended_Pictographic}\u200d\ufe0f\U0001F3FB-\U0001F3FF]+")
_SENTENCE_CHECKS = frozenset(
    {"omission", "runaway", "copy", "numbers", "script", "repetition", "text", "commentary", "brackets"}
)


class _CheckedTranslation(Protocol):
    """A translation, and the problem that the engine reports (empty if none)."""

    @property
    def text(self) -> str: ...

    @property
    def problem(self) -> str: ...


@runtime_checkable
class _CheckedTranslator(Protocol):
    """A translator that reports which sentences it could not translate."""

    def translate_checked(
        self, sentences: Sequence[str], source: str, target: str, done: Done | None = None
    ) -> Sequence[_CheckedTranslation]: ...


@dataclass
class _Unit:
    """A text to translate, and what is around it."""

    text: str
    spans: tuple[Span, ...]
    before: str = ""
    after: str = ""
    translated: bool = True
    key: str = ""


@dataclass
class _PieceUnits:
    """A piece of a text as units with the gaps after them."""

    piece: Piece
    units: list[_Unit] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _UnitTranslation:
    """The translation of a unit."""

    text: str
    problem: str = ""
    note: str = ""
    failed: str = ""
    """Why there is no translation, as reported by the engine; then the whole text cannot be used."""

    @property
    def badness(self) -> int:
        """0: no problem; 1: a problem; 2: no translation."""
        return 2 if self.failed or not self.text else 1 if self.problem else 0


@dataclass(frozen=True, slots=True)
class _Reply:
    """The engine's answer."""

    text: str
    problem: str = ""


class Sentences:
    """Translates whole texts with a translator, in one direction."""

    def __init__(
        self,
        translator: Translator,
        source: str,
        target: str,
        *,
        protect: Sequence[str],
        limits: Limits,
        terms: Callable[[str], Sequence[tuple[str, str]]] = lambda text: (),
        retry: bool = True,
        unwrap: bool = True,
    ) -> None:
        """
        Args:
            protect: the kinds of spans that stay unchanged.
            terms: the (term, translation) pairs of a glossary that occur in a text.
            retry: whether a failed sentence is translated again in another segmentation.
            unwrap: whether sentences broken over lines are joined.
        """
        self._translator, self._source, self._target = translator, source, target
        self._inline = [name for name in protect if name != "code"]
        self._limits = Limits(limits.checks & _SENTENCE_CHECKS, limits.min_ratio, limits.max_ratio)
        self._terms, self._retry, self._unwrap = terms, retry, unwrap
        self._longest = max(_MIN_LONGEST, translator.longest)

    def translate(self, texts: Sequence[Prepared], tick: Tick | None = None) -> list[Translation]:
        """The translation of each text.

        Args:
            tick: called with (sentences just finished, total number), from any thread.
        """
        pieces_of = [self._split(one) for one in texts]
        units = [unit for pieces in pieces_of for piece in pieces for unit in piece.units if unit.translated]
        translations = self._translations(units, tick)
        return [self._joined(pieces, translations) for pieces in pieces_of]

    # ------------------------------------------------------------------------------------------------------ splitting
    def _split(self, prepared: Prepared) -> list[_PieceUnits]:
        keep = [(span.start, span.end) for span in prepared.spans]
        return [self._units(piece) for piece in by_line(prepared.text, prepared.blocks, keep, unwrap=self._unwrap)]

    def _units(self, piece: Piece) -> _PieceUnits:
        units = _PieceUnits(piece)
        if not piece.translated:
            return units
        text = piece.source
        protected = spans(text, self._inline, self._source) if self._inline else []
        protected = with_terms(text, protected, self._terms(text))
        position = 0
        for sentence in split(text, self._source, [(span.start, span.end) for span in protected]):
            end = position + len(sentence.text)
            inner = _shifted(protected, position, end)
            for part, (begin, stop) in self._short(sentence, inner):
                units.units.append(self._unit(part.text, _shifted(inner, begin, stop)))
                units.gaps.append(part.gap)
            if units.gaps and sentence.text:
                units.gaps[-1] += sentence.gap
            elif not sentence.text:
                units.units.append(_Unit("", (), translated=False))
                units.gaps.append(sentence.gap)
            position = end + len(sentence.gap)
        return units

    def _short(self, sentence: Sentence, protected: Sequence[Span]) -> list[tuple[Sentence, tuple[int, int]]]:
        if len(sentence.text) <= self._longest:
            return [(Sentence(sentence.text, ""), (0, len(sentence.text)))] if sentence.text else []
        parts, position = [], 0
        for part in chop(sentence.text, self._longest, [(span.start, span.end) for span in protected]):
            parts.append((part, (position, position + len(part.text))))
            position += len(part.text) + len(part.gap)
        return parts

    def _unit(self, text: str, protected: Sequence[Span]) -> _Unit:
        if not _has_words(text, protected) and not any(span.said is not None for span in protected):
            return _Unit(text, tuple(protected), translated=False)
        start, end = 0, len(text)
        inner = list(protected)
        while inner and inner[0].start == start and _is_edge(inner[0], text):
            start = inner.pop(0).end
            start += len(text[start:]) - len(text[start:].lstrip())
        while inner and inner[-1].end == end and _is_edge(inner[-1], text):
            end = inner.pop().start
            end -= len(text[:end]) - len(text[:end].rstrip())
        core = text[start:end]
        kept = tuple(_shifted(inner, start, end))
        return _Unit(core, kept, text[:start], text[end:], key=marked(core, kept))

    # ---------------------------------------------------------------------------------------------------- translating
    def _translations(self, units: Sequence[_Unit], tick: Tick | None) -> dict[_Identity, _UnitTranslation]:
        """The translation of each distinct unit."""
        unique = {_identity(unit): unit for unit in units}
        replies = self._ask([unit.key for unit in unique.values()], tick)
        first = {name: restored(replies[unit.key].text, unit.text, unit.spans) for name, unit in unique.items()}
        if "commentary" in self._limits.checks:
            first = {name: text and without_asides(unique[name].text, text) for name, text in first.items()}
        problems = self._problems({name: (unique[name], text) for name, text in first.items() if text is not None})
        translations: dict[_Identity, _UnitTranslation] = {}
        again: dict[_Identity, tuple[_Unit, list[tuple[str, bool]], bool]] = {}
        for name, unit in unique.items():
            text = first[name]
            failed = replies[unit.key].problem
            problem = _engine(failed) or ("spans: a marker was lost" if text is None else problems[name])
            translations[name] = _UnitTranslation("" if text is None else text, problem, failed=failed)
            # Without its spans there is no translation at all: that is always tried again.
            if problem and (self._retry or text is None) and (cut := _other_cut(unit, shout=not unit.spans)):
                again[name] = (unit, *cut)
        if not again:
            return translations
        replies = self._ask([part for _, parts, _ in again.values() for part, is_text in parts if is_text], None)
        second = {name: (unit, self._assembled(parts, replies, shout)) for name, (unit, parts, shout) in again.items()}
        problems = self._problems(second)
        for name, (_, text) in second.items():
            before = translations[name]
            failures = [replies[part].problem for part, is_text in again[name][1] if is_text]
            failed = "; ".join(dict.fromkeys(filter(None, failures)))
            now = _UnitTranslation(text, _engine(failed) or problems[name], before.problem, failed)
            if now.badness < before.badness:
                translations[name] = now
        return translations

    def _ask(self, texts: Sequence[str], tick: Tick | None) -> Mapping[str, _Reply]:
        unique = list(dict.fromkeys(text for text in texts if text.strip()))
        if not unique:
            return {text: _Reply(text) for text in texts}
        done = None if tick is None else partial(_report, tick, len(unique))
        engine = self._translator
        if isinstance(engine, _CheckedTranslator):
            checked = engine.translate_checked(unique, self._source, self._target, done)
            replies = [_Reply(" ".join(one.text.split()), one.problem) for one in checked]
        else:
            plain = engine.translate(unique, self._source, self._target, done)
            replies = [_Reply(" ".join(text.split())) for text in plain]
        by_text = dict(zip(unique, replies, strict=True))
        return {text: by_text.get(text) or _Reply(text) for text in texts}

    def _problems(self, translated: Mapping[_Identity, tuple[_Unit, str]]) -> dict[_Identity, str]:
        pairs = [Pair(unit.text, text, unit.spans) for unit, text in translated.values()]
        checked = verdicts(pairs, self._source, self._target, self._limits)
        return {name: "; ".join(one.problems) for name, one in zip(translated, checked, strict=True)}

    def _assembled(self, parts: Sequence[tuple[str, bool]], replies: Mapping[str, _Reply], shout: bool) -> str:
        """The translated parts, with the spaces between them as before or as the target's script needs them."""
        text = ""
        for part, is_text in parts:
            new = replies[part].text if is_text else part
            if text and new and text[-1].isalnum() and new[0].isalnum():
                text += between("", text, new, self._source, self._target)
            text += new
        return text.upper() if shout else text

    # ------------------------------------------------------------------------------------------------------- joining
    def _joined(self, pieces: Sequence[_PieceUnits], translations: Mapping[_Identity, _UnitTranslation]) -> Translation:
        made = Translation("")
        parts: list[str] = []
        for piece in pieces:
            if not piece.piece.translated:
                parts.append(piece.piece.text)
                continue
            texts = []
            for unit in piece.units:
                if not unit.translated:
                    texts.append(unit.text)
                    continue
                one = translations[_identity(unit)]
                texts.append(unit.before + one.text + unit.after)
                made.notes += [what for what in (one.note, one.problem) if what]
                if one.failed:
                    made.problems.append(_engine(one.failed))
                    made.raw = made.raw or f"{unit.text}\n{one.text}"
            line = "".join(
                text + (between(gap, text, texts[at + 1], self._source, self._target) if at + 1 < len(texts) else gap)
                for at, (text, gap) in enumerate(zip(texts, piece.gaps, strict=True))
            )
            parts.append(piece.piece.laid_out(line))
        made.text = "".join(parts)
        return made


def _report(tick: Tick, of: int, done: int) -> None:
    tick(done, of)


def _engine(problem: str) -> str:
    return f"engine: {problem}" if problem else ""


_Identity = tuple[str, tuple[Span, ...], str]


def _identity(unit: _Unit) -> _Identity:
    return unit.key, unit.spans, unit.text


def _shifted(protected: Sequence[Span], start: int, end: int) -> list[Span]:
    """The spans of a part, with offsets from its start."""
    return [
        Span(max(span.start, start) - start, min(span.end, end) - start, span.kind, span.said)
        for span in protected
        if span.start < end and start < span.end
    ]


def _has_words(text: str, protected: Sequence[Span]) -> bool:
    """Whether there is a word outside the spans."""
    done = 0
    for span in protected:
        if _WORD.search(text, done, span.start):
            return True
        done = span.end
    return _WORD.search(text, done) is not None


def _is_edge(span: Span, text: str) -> bool:
    """Whether a span at an end of a sentence has no meaning in it: a tag, a picture, a chat template marker."""
    return (
        span.kind in _EDGE_KINDS
        or (span.kind == "placeholder" and text.startswith(("<|", "[INST]", "[/INST]"), span.start))
        or (span.kind == "symbol" and _PICTURE.fullmatch(text, span.start, span.end) is not None)
    )


def _other_cut(unit: _Unit, *, shout: bool) -> tuple[list[tuple[str, bool]], bool] | None:
    """Another segmentation of a unit: (part, whether it is translated) in order, and whether to capitalise the
    result."""
    if unit.spans:
        parts: list[tuple[str, bool]] = []
        done = 0
        for span in [*unit.spans, None]:
            gap = unit.text[done : span.start] if span else unit.text[done:]
            parts += _stripped(gap)
            if span:
                parts.append((unit.text[span.start : span.end] if span.said is None else span.said, False))
                done = span.end
        return parts, False
    if shout and len(unit.text) > 3 and unit.text.isupper() and unit.text.lower() != unit.text:
        return [(unit.text.capitalize(), True)], True
    pieces = chop(unit.text, max(24, len(unit.text) * 3 // 5))
    if len(pieces) < 2:
        return None
    return [part for piece in pieces for part in [*_stripped(piece.text), (piece.gap, False)] if part[0]], False


def _stripped(text: str) -> list[tuple[str, bool]]:
    core = text.strip()
    if not core or not _LETTER.search(core):
        return [(text, False)] if text else []
    start = text.index(core)
    return [part for part in ((text[:start], False), (core, True), (text[start + len(core) :], False)) if part[0]]

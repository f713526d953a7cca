"""A translator of sentences is given sentences and nothing else: lines, marks and protected spans are taken off before and put
back after, so that no engine can lose them.

All sentences of all rows go in one pass, equal ones once. What comes back is checked sentence by sentence; what fails is
asked once more in another cut (around its spans, at its clauses, in small letters) and the better answer is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, runtime_checkable

import regex

from curate.generation.translate.checks import Limits, Pair, verdicts
from curate.generation.translate.rows import Made, Prepared
from curate.steps.models import Done, Translator
from curate.text.boilerplate import without_asides
from curate.text.layout import Piece, by_line
from curate.text.placeholders import Span, marked, restored, spans, with_terms
from curate.text.sentences import Sentence, between, chop, split

Tick = Callable[[int, int], None]
# In these scripts one letter alone is a variable or a grade; a text of such letters only has nothing to translate.
_WORD = regex.compile(r"(?V1)[\p{L}--[\p{Script=Latin}\p{Script=Greek}]]|\p{L}\p{M}*\p{L}")
_LETTER = regex.compile(r"\p{L}")
_LEAST_LONGEST = 16
_EDGE_KINDS = frozenset({"markup"})
_PICTURE = regex.compile(r"[\p{So}\p{Co}\p{Extended_Pictographic}\u200d\ufe0f\U0001F3FB-\U0001F3FF]+")
_SENTENCE_CHECKS = frozenset(
    {"omission", "runaway", "copy", "numbers", "script", "repetition", "text", "commentary", "brackets"}
)


class _Told(Protocol):
    """A translation and what the engine says is wrong with it (empty if nothing)."""

    @property
    def text(self) -> str: ...

    @property
    def problem(self) -> str: ...


@runtime_checkable
class _Checked(Protocol):
    """A translator that says which sentences it could not translate."""

    def translate_checked(
        self, sentences: Sequence[str], source: str, target: str, done: Done | None = None
    ) -> Sequence[_Told]: ...


@dataclass
class _Unit:
    """What is asked, and what stands around it."""

    text: str
    spans: tuple[Span, ...]
    before: str = ""
    after: str = ""
    asked: bool = True
    key: str = ""


@dataclass
class _Laid:
    """A piece of a text as units with the gaps after them."""

    piece: Piece
    units: list[_Unit] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Said:
    """A unit's translation."""

    text: str
    problem: str = ""
    note: str = ""
    failed: str = ""
    """Why there is no translation, if the engine says so itself: then the whole text cannot be used."""

    @property
    def badness(self) -> int:
        """0: nothing speaks against it; 1: something does; 2: it is no translation."""
        return 2 if self.failed or not self.text else 1 if self.problem else 0


@dataclass(frozen=True, slots=True)
class _Reply:
    """What the engine said."""

    text: str
    problem: str = ""


class Sentences:
    """A translator of sentences for whole texts, in one direction."""

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
            protect: what stays as it is.
            terms: the (term, translation) pairs of a glossary that stand in a text.
            retry: whether what fails a check is asked again in another cut.
            unwrap: whether sentences broken over lines are joined.
        """
        self._translator, self._source, self._target = translator, source, target
        self._inline = [name for name in protect if name != "code"]
        self._limits = Limits(limits.checks & _SENTENCE_CHECKS, limits.min_ratio, limits.max_ratio)
        self._terms, self._retry, self._unwrap = terms, retry, unwrap
        self._longest = max(_LEAST_LONGEST, translator.longest)

    def translate(self, texts: Sequence[Prepared], tick: Tick | None = None) -> list[Made]:
        """Each text in the target language.

        Args:
            tick: told (sentences just finished, of how many), from any thread.
        """
        laid = [self._lay(one) for one in texts]
        units = [unit for pieces in laid for piece in pieces for unit in piece.units if unit.asked]
        said = self._said(units, tick)
        return [self._joined(pieces, said) for pieces in laid]

    # -------------------------------------------------------------------------------------------------------- cutting
    def _lay(self, prepared: Prepared) -> list[_Laid]:
        keep = [(span.start, span.end) for span in prepared.spans]
        return [self._units(piece) for piece in by_line(prepared.text, prepared.blocks, keep, unwrap=self._unwrap)]

    def _units(self, piece: Piece) -> _Laid:
        laid = _Laid(piece)
        if not piece.translated:
            return laid
        text = piece.source
        found = spans(text, self._inline, self._source) if self._inline else []
        found = with_terms(text, found, self._terms(text))
        position = 0
        for sentence in split(text, self._source, [(span.start, span.end) for span in found]):
            end = position + len(sentence.text)
            inner = _shifted(found, position, end)
            for part, (begin, stop) in self._short(sentence, inner):
                laid.units.append(self._unit(part.text, _shifted(inner, begin, stop)))
                laid.gaps.append(part.gap)
            if laid.gaps and sentence.text:
                laid.gaps[-1] += sentence.gap
            elif not sentence.text:
                laid.units.append(_Unit("", (), asked=False))
                laid.gaps.append(sentence.gap)
            position = end + len(sentence.gap)
        return laid

    def _short(self, sentence: Sentence, found: Sequence[Span]) -> list[tuple[Sentence, tuple[int, int]]]:
        if len(sentence.text) <= self._longest:
            return [(Sentence(sentence.text, ""), (0, len(sentence.text)))] if sentence.text else []
        parts, position = [], 0
        for part in chop(sentence.text, self._longest, [(span.start, span.end) for span in found]):
            parts.append((part, (position, position + len(part.text))))
            position += len(part.text) + len(part.gap)
        return parts

    def _unit(self, text: str, found: Sequence[Span]) -> _Unit:
        if not _speaks(text, found) and not any(span.said is not None for span in found):
            return _Unit(text, tuple(found), asked=False)
        start, end = 0, len(text)
        inner = list(found)
        while inner and inner[0].start == start and _is_edge(inner[0], text):
            start = inner.pop(0).end
            start += len(text[start:]) - len(text[start:].lstrip())
        while inner and inner[-1].end == end and _is_edge(inner[-1], text):
            end = inner.pop().start
            end -= len(text[:end]) - len(text[:end].rstrip())
        core = text[start:end]
        kept = tuple(_shifted(inner, start, end))
        return _Unit(core, kept, text[:start], text[end:], key=marked(core, kept))

    # ------------------------------------------------------------------------------------------------------- asking
    def _said(self, units: Sequence[_Unit], tick: Tick | None) -> dict[tuple[str, tuple[Span, ...], str], _Said]:
        """What each unit came to, by its key, spans and text."""
        unique = {_identity(unit): unit for unit in units}
        answers = self._ask([unit.key for unit in unique.values()], tick)
        first = {name: restored(answers[unit.key].text, unit.text, unit.spans) for name, unit in unique.items()}
        if "commentary" in self._limits.checks:
            first = {name: text and without_asides(unique[name].text, text) for name, text in first.items()}
        problems = self._problems({name: (unique[name], text) for name, text in first.items() if text is not None})
        said: dict[tuple[str, tuple[Span, ...], str], _Said] = {}
        again: dict[tuple[str, tuple[Span, ...], str], tuple[_Unit, list[tuple[str, bool]], bool]] = {}
        for name, unit in unique.items():
            text = first[name]
            failed = answers[unit.key].problem
            problem = _engine(failed) or ("spans: a marker was lost" if text is None else problems[name])
            said[name] = _Said("" if text is None else text, problem, failed=failed)
            # Without its spans there is no translation at all: that is asked again whatever was chosen.
            if problem and (self._retry or text is None) and (cut := _other_cut(unit, shout=not unit.spans)):
                again[name] = (unit, *cut)
        if not again:
            return said
        answers = self._ask([part for _, parts, _ in again.values() for part, asked in parts if asked], None)
        second = {name: (unit, self._assembled(parts, answers, shout)) for name, (unit, parts, shout) in again.items()}
        problems = self._problems(second)
        for name, (_, text) in second.items():
            before = said[name]
            failed = "; ".join(
                dict.fromkeys(
                    answers[part].problem for part, asked in again[name][1] if asked and answers[part].problem
                )
            )
            now = _Said(text, _engine(failed) or problems[name], before.problem, failed)
            if now.badness < before.badness:
                said[name] = now
        return said

    def _ask(self, texts: Sequence[str], tick: Tick | None) -> Mapping[str, _Reply]:
        asked = list(dict.fromkeys(text for text in texts if text.strip()))
        if not asked:
            return {text: _Reply(text) for text in texts}
        done = None if tick is None else partial(_tell, tick, len(asked))
        engine = self._translator
        if isinstance(engine, _Checked):
            told = engine.translate_checked(asked, self._source, self._target, done)
            replies = [_Reply(" ".join(one.text.split()), one.problem) for one in told]
        else:
            replies = [
                _Reply(" ".join(text.split())) for text in engine.translate(asked, self._source, self._target, done)
            ]
        found = dict(zip(asked, replies, strict=True))
        return {text: found.get(text) or _Reply(text) for text in texts}

    def _problems(
        self, pairs: Mapping[tuple[str, tuple[Span, ...], str], tuple[_Unit, str]]
    ) -> dict[tuple[str, tuple[Span, ...], str], str]:
        found = verdicts(
            [Pair(unit.text, text, unit.spans) for unit, text in pairs.values()],
            self._source,
            self._target,
            self._limits,
        )
        return {name: "; ".join(one.problems) for name, one in zip(pairs, found, strict=True)}

    def _assembled(self, parts: Sequence[tuple[str, bool]], answers: Mapping[str, _Reply], shout: bool) -> str:
        """The parts translated, with the blanks between them as they were or as the target's script wants them."""
        text = ""
        for part, asked in parts:
            said = answers[part].text if asked else part
            if text and said and text[-1].isalnum() and said[0].isalnum():
                text += between("", text, said, self._source, self._target)
            text += said
        return text.upper() if shout else text

    # ------------------------------------------------------------------------------------------------------- joining
    def _joined(self, pieces: Sequence[_Laid], said: Mapping[tuple[str, tuple[Span, ...], str], _Said]) -> Made:
        made = Made("")
        parts: list[str] = []
        for laid in pieces:
            if not laid.piece.translated:
                parts.append(laid.piece.text)
                continue
            texts = []
            for unit in laid.units:
                if not unit.asked:
                    texts.append(unit.text)
                    continue
                one = said[_identity(unit)]
                texts.append(unit.before + one.text + unit.after)
                made.notes += [what for what in (one.note, one.problem) if what]
                if one.failed:
                    made.problems.append(_engine(one.failed))
                    made.raw = made.raw or f"{unit.text}\n{one.text}"
            line = "".join(
                text + (between(gap, text, texts[at + 1], self._source, self._target) if at + 1 < len(texts) else gap)
                for at, (text, gap) in enumerate(zip(texts, laid.gaps, strict=True))
            )
            parts.append(laid.piece.laid_out(line))
        made.text = "".join(parts)
        return made


def _tell(tick: Tick, of: int, done: int) -> None:
    tick(done, of)


def _engine(problem: str) -> str:
    return f"engine: {problem}" if problem else ""


def _identity(unit: _Unit) -> tuple[str, tuple[Span, ...], str]:
    return unit.key, unit.spans, unit.text


def _shifted(found: Sequence[Span], start: int, end: int) -> list[Span]:
    """The spans of a part, counted from its beginning."""
    return [
        Span(max(span.start, start) - start, min(span.end, end) - start, span.kind, span.said)
        for span in found
        if span.start < end and start < span.end
    ]


def _speaks(text: str, found: Sequence[Span]) -> bool:
    """Whether there is a word outside the spans."""
    done = 0
    for span in found:
        if _WORD.search(text, done, span.start):
            return True
        done = span.end
    return _WORD.search(text, done) is not None


def _is_edge(span: Span, text: str) -> bool:
    """Whether a span at an end of a sentence says nothing in it: a tag, a picture, a mark of a chat template."""
    return (
        span.kind in _EDGE_KINDS
        or (span.kind == "placeholder" and text.startswith(("<|", "[INST]", "[/INST]"), span.start))
        or (span.kind == "symbol" and _PICTURE.fullmatch(text, span.start, span.end) is not None)
    )


def _other_cut(unit: _Unit, *, shout: bool) -> tuple[list[tuple[str, bool]], bool] | None:
    """Another way to ask for a unit: (part, whether it is asked) in order, and whether the answer is to be in capitals."""
    if unit.spans:
        parts: list[tuple[str, bool]] = []
        done = 0
        for span in [*unit.spans, None]:
            between_ = unit.text[done : span.start] if span else unit.text[done:]
            parts += _stripped(between_)
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

"""Translates rows with a language model: the texts of a row are sent as a JSON array of paragraphs and come back as
one.

A long row is split over several requests at paragraph boundaries, each with the preceding text as context. Program code
is not sent at all. Every answer is checked string by string. A failed one is requested again with the complaint, then
in smaller pieces (paragraph by paragraph, or line by line), and then quarantined with the raw answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from curate.generation.common.prompts import Prompt, disarm, fence, language_name, load_data
from curate.generation.common.requests import InvalidResponse, LLMRequest, RequestResult, ask, clean, ensure_complete
from curate.generation.translate.checks import Limits, Pair, verdicts
from curate.generation.translate.rows import Job, Translation
from curate.steps.models import Completion, Generator, Request, Sampling
from curate.text.layout import Piece, by_line, by_paragraph, same_lines
from curate.text.placeholders import Span, has_term, spans

PROMPT = "translate/segments"
FORMALITY = "translate/formality"
HOLES = (
    "source",
    "source_name",
    "target",
    "target_name",
    "target_own_name",
    "segments",
    "count",
    "context",
    "glossary",
    "examples",
    "formality",
    "instructions",
)
_CONTEXT = 600
_SEGMENTS = 40
_TERMS = 60
_SEGMENT_CHECKS = frozenset({
    "text", "spans", "omission", "runaway", "copy", "numbers", "script", "repetition", "commentary", "layout",
    "glossary", "brackets",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Segment:
    """A string to translate, and its place."""

    text: int
    piece: int
    line: int | None
    """Its line in the piece; None for the whole piece."""
    source: str
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class _Chunk:
    """The content of one request."""

    job: int
    segments: tuple[_Segment, ...]
    context: str
    terms: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ChatSettings:
    """The parameters of requests."""

    prompt: Prompt
    sampling: Sampling
    sample: int = 0
    retries: int = 1
    longest: int = 3_000
    """Approximate maximum of characters in a request."""
    protect: Sequence[str] = ()
    limits: Limits = Limits()  # noqa: RUF009 (frozen)
    formality: str | None = None
    instructions: str = ""
    terms: Callable[[str, str, str], Sequence[tuple[str, str]]] = lambda text, source, target: ()
    """(text, source, target) → glossary terms that occur in the text."""
    examples: Callable[[Job], Sequence[tuple[str, str]]] = lambda job: ()
    """Translated examples for a row, the best one last."""


class Chat:
    """Translates rows with a language model."""

    def __init__(self, generator: Generator, settings: Mapping[str, ChatSettings]) -> None:
        """
        Args:
            settings: by target language; ``retries``, ``longest`` and ``protect`` must be the same in all.
        """
        self._generator, self._settings = generator, settings
        self._shared = next(iter(settings.values()))
        self._inline = [name for name in self._shared.protect if name != "code"]
        self._limits = {
            target: replace(one.limits, checks=one.limits.checks & _SEGMENT_CHECKS) for target, one in settings.items()
        }

    def translate(self, jobs: Sequence[Job], tick: Callable[[int, int], None] = lambda done, of: None) -> None:
        """Fills ``made`` of each job.

        Args:
            tick: called with (requests just finished, total number of requests).
        """
        pieces = [
            [by_paragraph(one.text, one.blocks, self._shared.longest, job.source) for one in job.texts] for job in jobs
        ]
        translated: dict[tuple[int, int, int], str] = {}
        failures: dict[tuple[int, int], tuple[str, str]] = {}
        notes: dict[tuple[int, int], str] = {}
        self._served: dict[tuple[int, int], str] = {}
        chunks = [chunk for at, job in enumerate(jobs) for chunk in self._chunks(at, job, pieces[at])]
        failed = list(
            self._ask(jobs, chunks, translated, notes, self._shared.retries, lambda done: tick(done, len(chunks)))
        )
        if self._shared.retries and (finer := [one for result in failed for one in self._finer(jobs, result)]):
            for result in failed:
                if self._can_be_split(result):
                    for segment in result.key.segments:
                        notes[result.key.job, segment.text] = result.problem
            lines: dict[tuple[int, int, int, int], str] = {}
            final = [result for result in failed if not self._can_be_split(result)]
            failed = [*final, *self._ask(jobs, finer, translated, notes, 0, None, lines)]
            self._join_lines(pieces, lines, translated)
        for result in failed:
            for segment in result.key.segments:
                failures.setdefault((result.key.job, segment.text), (result.problem, result.answer.text))
        for at, job in enumerate(jobs):
            job.made = [
                self._translation(at, text, of_text, translated, failures, notes)
                for text, of_text in enumerate(pieces[at])
            ]
            for text, made in enumerate(job.made):
                made.served = self._served.get((at, text), "")

    # ------------------------------------------------------------------------------------------------------ splitting
    def _chunks(self, at: int, job: Job, pieces_of: Sequence[Sequence[Piece]]) -> Iterator[_Chunk]:
        segments: list[_Segment] = []
        size, before, recent = 0, "", ""
        for text, pieces in enumerate(pieces_of):
            for number, piece in enumerate(pieces):
                if not piece.translated:
                    continue
                if segments and (size + len(piece.text) > self._shared.longest or len(segments) >= _SEGMENTS):
                    yield self._chunk(at, job, segments, before)
                    segments, size, before = [], 0, recent
                segments.append(self._segment(job, text, number, None, piece.text))
                size += len(piece.text)
                recent = f"{recent}\n\n{piece.text}"[-_CONTEXT:].strip()
        if segments:
            yield self._chunk(at, job, segments, before)

    def _segment(self, job: Job, text: int, piece: int, line: int | None, source: str) -> _Segment:
        protected = spans(source, self._inline, job.source) if self._inline else []
        return _Segment(text, piece, line, source, tuple(protected))

    def _chunk(self, at: int, job: Job, segments: Sequence[_Segment], context: str) -> _Chunk:
        joined = "\n".join(segment.source for segment in segments)
        terms = [
            pair
            for pair in self._settings[job.target].terms(joined, job.source, job.target)
            if has_term(joined, pair[0])
        ]
        return _Chunk(at, tuple(segments), context, tuple(terms[:_TERMS]))

    def _can_be_split(self, result: RequestResult[_Chunk, Any]) -> bool:
        if result.trouble not in ("broken", "length"):
            return False
        segments = result.key.segments
        return len(segments) > 1 or "\n" in segments[0].source

    def _finer(self, jobs: Sequence[Job], result: RequestResult[_Chunk, Any]) -> Iterator[_Chunk]:
        """A failed chunk as smaller ones: its paragraphs one by one, or the lines of a single paragraph."""
        if not self._can_be_split(result):
            return
        chunk = result.key
        job = jobs[chunk.job]
        for segment in chunk.segments:
            if "\n" not in segment.source:
                yield self._chunk(chunk.job, job, [segment], chunk.context)
                continue
            lines = [
                self._segment(job, segment.text, segment.piece, number, piece.text)
                for number, piece in enumerate(by_line(segment.source, (), unwrap=False))
                if piece.translated
            ]
            for start in range(0, len(lines), _SEGMENTS):
                yield self._chunk(chunk.job, job, lines[start : start + _SEGMENTS], chunk.context)

    # ------------------------------------------------------------------------------------------------------- requests
    def _ask(
        self,
        jobs: Sequence[Job],
        chunks: Sequence[_Chunk],
        translated: dict[tuple[int, int, int], str],
        notes: dict[tuple[int, int], str],
        retries: int,
        tick: Callable[[int], None] | None,
        lines: dict[tuple[int, int, int, int], str] | None = None,
    ) -> Iterator[RequestResult[_Chunk, list[str]]]:
        """Stores the translations, and yields the chunks that failed."""
        requests = (LLMRequest(chunk, self._request(jobs[chunk.job], chunk), self._generator) for chunk in chunks)

        def read(chunk: _Chunk, answer: Completion) -> list[str]:
            return self._read(jobs[chunk.job], chunk, answer)

        for results in ask(requests, read, retries=retries, tick=tick):
            for result in results:
                if result.value is None:
                    yield result
                    continue
                for segment, translation in zip(result.key.segments, result.value, strict=True):
                    if segment.line is None:
                        translated[result.key.job, segment.text, segment.piece] = translation
                    elif lines is not None:
                        lines[result.key.job, segment.text, segment.piece, segment.line] = translation
                    if result.answer.served:
                        self._served.setdefault((result.key.job, segment.text), result.answer.served)
                    if result.tries > 1:
                        notes.setdefault((result.key.job, segment.text), "asked twice")

    def _request(self, job: Job, chunk: _Chunk) -> Request:
        count = len(chunk.segments)
        schema = {
            "type": "object",
            "properties": {
                "translations": {"type": "array", "items": {"type": "string"}, "minItems": count, "maxItems": count}
            },
            "required": ["translations"],
            "additionalProperties": False,
        }
        settings = self._settings[job.target]
        messages = settings.prompt.fill(self._values(job, chunk))
        return Request(messages, settings.sampling, settings.sample, schema, row=job.row_id)

    def _values(self, job: Job, chunk: _Chunk) -> Mapping[str, str]:
        settings = self._settings[job.target]
        examples = [{"source": source, "translation": translation} for source, translation in settings.examples(job)]
        values = {
            "source": job.source,
            "source_name": language_name(job.source) or "the language it is in",
            "target": job.target,
            "target_name": language_name(job.target) or job.target,
            "target_own_name": language_name(job.target, "own") or job.target,
            "count": str(len(chunk.segments)),
            "segments": fence(_json([segment.source for segment in chunk.segments]), "segments"),
            **dict.fromkeys(("context", "examples", "glossary", "formality", "instructions"), ""),
        }
        if chunk.context:
            context = fence(chunk.context, "context")
            values["context"] = f"What comes before, for context only (do not translate it):\n\n{context}\n\n"
        if examples:
            values["examples"] = f"Translations of the kind that is wanted:\n\n{fence(_json(examples), 'examples')}\n\n"
        if chunk.terms:
            glossary = fence(_json(dict(chunk.terms)), "glossary")
            values["glossary"] = f"- Use these translations of terms (inflected as needed):\n\n{glossary}\n\n"
        if settings.formality:
            values["formality"] = f"- {_formality(settings.formality, job.target)}\n"
        if settings.instructions.strip():
            values["instructions"] = f"{settings.instructions.strip()}\n"
        return values

    def _read(self, job: Job, chunk: _Chunk, answer: Completion) -> list[str]:
        """The translations of a chunk's segments.

        Raises:
            InvalidResponse: one of them fails a check.
        """
        ensure_complete(answer)
        limits = self._limits[job.target]
        value = answer.value
        strings = value.get("translations") if isinstance(value, dict) else None
        if (
            not isinstance(strings, list)
            or len(strings) != len(chunk.segments)
            or not all(isinstance(one, str) for one in strings)
        ):
            raise InvalidResponse(
                f"it is not a JSON object with 'translations', an array of {len(chunk.segments)} strings"
            )
        translations, complaints = [], []
        for number, (segment, text) in enumerate(zip(chunk.segments, strings, strict=True), 1):
            text = _armed(clean(text), segment)
            laid_out = same_lines(segment.source, text)
            if laid_out is None and "layout" in limits.checks:
                complaints.append(
                    f"string {number}: layout: the original has {segment.source.count(chr(10)) + 1} lines, "
                    f"the translation {text.strip().count(chr(10)) + 1}, or list marks or cells are missing"
                )
            translations.append(text if laid_out is None else laid_out)
        pairs = [
            Pair(
                segment.source,
                text,
                segment.spans,
                tuple(term for term in chunk.terms if has_term(segment.source, term[0])),
            )
            for segment, text in zip(chunk.segments, translations, strict=True)
        ]
        for number, verdict in enumerate(verdicts(pairs, job.source, job.target, limits), 1):
            complaints += [f"string {number}: {problem}" for problem in verdict.problems]
        if complaints:
            raise InvalidResponse("; ".join(complaints[:4]))
        return translations

    # ------------------------------------------------------------------------------------------------------- joining
    @staticmethod
    def _join_lines(
        pieces: Sequence[Sequence[Sequence[Piece]]],
        lines: Mapping[tuple[int, int, int, int], str],
        translated: dict[tuple[int, int, int], str],
    ) -> None:
        """Joins paragraphs that were translated line by line, unless a line is missing."""
        for job, text, piece in dict.fromkeys(key[:3] for key in lines):
            parts = []
            for number, one in enumerate(by_line(pieces[job][text][piece].text, (), unwrap=False)):
                part = lines.get((job, text, piece, number)) if one.translated else one.text
                if part is None:
                    break
                parts.append(part)
            else:
                translated[job, text, piece] = "".join(parts)

    @staticmethod
    def _translation(
        job: int,
        text: int,
        pieces: Sequence[Piece],
        translated: Mapping[tuple[int, int, int], str],
        failures: Mapping[tuple[int, int], tuple[str, str]],
        notes: Mapping[tuple[int, int], str],
    ) -> Translation:
        made = Translation("")
        problem, raw = failures.get((job, text), ("", ""))
        parts = []
        for number, piece in enumerate(pieces):
            if not piece.translated:
                parts.append(piece.text)
            elif (job, text, number) in translated:
                parts.append(translated[job, text, number])
            else:
                problem = problem or "a part has no translation"
        made.text = "".join(parts)
        if problem:
            made.problems.append(problem)
            made.raw = raw
        elif (job, text) in notes:
            made.notes.append(notes[job, text])
        return made


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _formality(formality: str, target: str) -> str:
    hints: dict[str, str] = load_data(FORMALITY)[formality]
    tag = target
    while tag and tag not in hints:
        tag = tag.rpartition("-")[0]
    return hints[tag or "default"]


def _armed(text: str, segment: _Segment) -> str:
    """The translation with role markers as the original has them: the model was shown them with a space inside."""
    for span in segment.spans:
        literal = segment.source[span.start : span.end]
        shown = disarm(literal)
        if shown != literal:
            text = text.replace(shown, literal)
    return text

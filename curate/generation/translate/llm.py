"""A language model is given a row at a time: its texts as one JSON array of paragraphs, to be answered by an array of that length.

A long row is cut into several requests at paragraph borders, each with what came before as context. Program text is not
sent at all. Every answer is held to the checks string by string; a broken one is asked for again with the complaint, then in
smaller pieces (paragraph by paragraph, or line by line), then given up with the raw answer kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from curate.generation.common.prompts import Prompt, disarm, fence, language_name, load_data
from curate.generation.common.requests import InvalidResponse, LLMRequest, RequestResult, ask, clean, ensure_complete
from curate.generation.translate.checks import Limits, Pair, verdicts
from curate.generation.translate.rows import Job, Made
from curate.steps.models import Answer, Generator, Request, Sampling
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
_SEGMENT_CHECKS = frozenset(
    {
        "text",
        "spans",
        "omission",
        "runaway",
        "copy",
        "numbers",
        "script",
        "repetition",
        "commentary",
        "layout",
        "glossary",
        "brackets",
    }
)


@dataclass(frozen=True, slots=True)
class _Segment:
    """A string to translate, and where it goes."""

    text: int
    piece: int
    line: int | None
    """Its line in the piece; None for the whole piece."""
    source: str
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class _Chunk:
    """What is asked at once."""

    job: int
    segments: tuple[_Segment, ...]
    context: str
    terms: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Setting:
    """How a model is asked."""

    prompt: Prompt
    sampling: Sampling
    sample: int = 0
    retries: int = 1
    longest: int = 3_000
    """Characters of text in a request, about."""
    protect: Sequence[str] = ()
    limits: Limits = Limits()  # noqa: RUF009 (frozen)
    formality: str | None = None
    instructions: str = ""
    terms: Callable[[str, str, str], Sequence[tuple[str, str]]] = lambda text, source, target: ()
    """(text, source, target) → glossary terms that stand in the text."""
    examples: Callable[[Job], Sequence[tuple[str, str]]] = lambda job: ()
    """Translated examples for a row, the best one last."""


class Chat:
    """A language model that translates rows."""

    def __init__(self, generator: Generator, settings: Mapping[str, Setting]) -> None:
        """
        Args:
            settings: how it is asked, by target language; ``retries``, ``longest`` and ``protect`` are the same in all.
        """
        self._generator, self._settings = generator, settings
        self._shared = next(iter(settings.values()))
        self._inline = [name for name in self._shared.protect if name != "code"]
        self._limits = {
            target: replace(setting.limits, checks=setting.limits.checks & _SEGMENT_CHECKS)
            for target, setting in settings.items()
        }

    def translate(self, jobs: Sequence[Job], tick: Callable[[int, int], None] = lambda done, of: None) -> None:
        """Fills ``made`` of each job.

        Args:
            tick: told (requests just finished, of how many in all).
        """
        laid = [
            [by_paragraph(one.text, one.blocks, self._shared.longest, job.source) for one in job.texts] for job in jobs
        ]
        said: dict[tuple[int, int, int], str] = {}
        trouble: dict[tuple[int, int], tuple[str, str]] = {}
        mended: dict[tuple[int, int], str] = {}
        self._served: dict[tuple[int, int], str] = {}
        chunks = [chunk for at, job in enumerate(jobs) for chunk in self._chunks(at, job, laid[at])]
        failed = list(
            self._asked(jobs, chunks, said, mended, self._shared.retries, lambda done: tick(done, len(chunks)))
        )
        if self._shared.retries and (finer := [one for outcome in failed for one in self._finer(jobs, outcome)]):
            for outcome in failed:
                if self._can_be_cut(outcome):
                    for segment in outcome.key.segments:
                        mended[outcome.key.job, segment.text] = outcome.problem
            lines: dict[tuple[int, int, int, int], str] = {}
            hopeless = [outcome for outcome in failed if not self._can_be_cut(outcome)]
            failed = [*hopeless, *self._asked(jobs, finer, said, mended, 0, None, lines)]
            self._gather_lines(laid, lines, said)
        for outcome in failed:
            for segment in outcome.key.segments:
                trouble.setdefault((outcome.key.job, segment.text), (outcome.problem, outcome.answer.text))
        for at, job in enumerate(jobs):
            job.made = [self._made(at, text, pieces, said, trouble, mended) for text, pieces in enumerate(laid[at])]
            for text, made in enumerate(job.made):
                made.served = self._served.get((at, text), "")

    # -------------------------------------------------------------------------------------------------------- cutting
    def _chunks(self, at: int, job: Job, laid: Sequence[Sequence[Piece]]) -> Iterator[_Chunk]:
        segments: list[_Segment] = []
        size, before, recent = 0, "", ""
        for text, pieces in enumerate(laid):
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
        found = spans(source, self._inline, job.source) if self._inline else []
        return _Segment(text, piece, line, source, tuple(found))

    def _chunk(self, at: int, job: Job, segments: Sequence[_Segment], context: str) -> _Chunk:
        joined = "\n".join(segment.source for segment in segments)
        terms = [
            pair
            for pair in self._settings[job.target].terms(joined, job.source, job.target)
            if has_term(joined, pair[0])
        ]
        return _Chunk(at, tuple(segments), context, tuple(terms[:_TERMS]))

    def _can_be_cut(self, outcome: RequestResult[_Chunk, Any]) -> bool:
        if outcome.trouble not in ("broken", "length"):
            return False
        segments = outcome.key.segments
        return len(segments) > 1 or "\n" in segments[0].source

    def _finer(self, jobs: Sequence[Job], outcome: RequestResult[_Chunk, Any]) -> Iterator[_Chunk]:
        """A chunk that failed, in smaller ones: its paragraphs one by one, or the lines of its only one."""
        if not self._can_be_cut(outcome):
            return
        chunk = outcome.key
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

    # -------------------------------------------------------------------------------------------------------- asking
    def _asked(
        self,
        jobs: Sequence[Job],
        chunks: Sequence[_Chunk],
        said: dict[tuple[int, int, int], str],
        mended: dict[tuple[int, int], str],
        retries: int,
        tick: Callable[[int], None] | None,
        lines: dict[tuple[int, int, int, int], str] | None = None,
    ) -> Iterator[RequestResult[_Chunk, list[str]]]:
        """Keeps what is said and gives the chunks that came to nothing."""
        questions = (LLMRequest(chunk, self._request(jobs[chunk.job], chunk), self._generator) for chunk in chunks)

        def read(chunk: _Chunk, answer: Answer) -> list[str]:
            return self._read(jobs[chunk.job], chunk, answer)

        for outcomes in ask(questions, read, retries=retries, tick=tick):
            for outcome in outcomes:
                if outcome.value is None:
                    yield outcome
                    continue
                for segment, translation in zip(outcome.key.segments, outcome.value, strict=True):
                    if segment.line is None:
                        said[outcome.key.job, segment.text, segment.piece] = translation
                    elif lines is not None:
                        lines[outcome.key.job, segment.text, segment.piece, segment.line] = translation
                    if outcome.answer.served:
                        self._served.setdefault((outcome.key.job, segment.text), outcome.answer.served)
                    if outcome.tries > 1:
                        mended.setdefault((outcome.key.job, segment.text), "asked twice")

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
        setting = self._settings[job.target]
        messages = setting.prompt.fill(self._values(job, chunk))
        return Request(messages, setting.sampling, setting.sample, schema, row=job.row_id)

    def _values(self, job: Job, chunk: _Chunk) -> Mapping[str, str]:
        setting = self._settings[job.target]
        pairs = setting.examples(job)
        shown = [{"source": source, "translation": translation} for source, translation in pairs]
        return {
            "source": job.source,
            "source_name": language_name(job.source) or "the language it is in",
            "target": job.target,
            "target_name": language_name(job.target) or job.target,
            "target_own_name": language_name(job.target, "own") or job.target,
            "count": str(len(chunk.segments)),
            "segments": fence(_json([segment.source for segment in chunk.segments]), "segments"),
            "context": f"What comes before, for context only (do not translate it):\n\n{fence(chunk.context, 'context')}\n\n"
            if chunk.context
            else "",
            "examples": f"Translations of the kind that is wanted:\n\n{fence(_json(shown), 'examples')}\n\n"
            if shown
            else "",
            "glossary": f"- Use these translations of terms (inflected as needed):\n\n{fence(_json(dict(chunk.terms)), 'glossary')}\n\n"
            if chunk.terms
            else "",
            "formality": f"- {_formality(setting.formality, job.target)}\n" if setting.formality else "",
            "instructions": f"{setting.instructions.strip()}\n" if setting.instructions.strip() else "",
        }

    def _read(self, job: Job, chunk: _Chunk, answer: Answer) -> list[str]:
        """The translations of a chunk's segments.

        Raises:
            InvalidResponse: something speaks against one of them.
        """
        ensure_complete(answer)
        limits = self._limits[job.target]
        value = answer.value
        given = value.get("translations") if isinstance(value, dict) else None
        if (
            not isinstance(given, list)
            or len(given) != len(chunk.segments)
            or not all(isinstance(one, str) for one in given)
        ):
            raise InvalidResponse(
                f"it is not a JSON object with 'translations', an array of {len(chunk.segments)} strings"
            )
        translations, complaints = [], []
        for number, (segment, text) in enumerate(zip(chunk.segments, given, strict=True), 1):
            text = _armed(clean(text), segment)
            laid = same_lines(segment.source, text)
            if laid is None and "layout" in limits.checks:
                complaints.append(
                    f"string {number}: layout: the original has {segment.source.count(chr(10)) + 1} lines, "
                    f"the translation {text.strip().count(chr(10)) + 1}, or list marks or cells are missing"
                )
            translations.append(text if laid is None else laid)
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
    def _gather_lines(
        laid: Sequence[Sequence[Sequence[Piece]]],
        lines: Mapping[tuple[int, int, int, int], str],
        said: dict[tuple[int, int, int], str],
    ) -> None:
        """Paragraphs that were asked line by line, whole again where no line is missing."""
        for job, text, piece in dict.fromkeys(key[:3] for key in lines):
            parts = []
            for number, one in enumerate(by_line(laid[job][text][piece].text, (), unwrap=False)):
                part = lines.get((job, text, piece, number)) if one.translated else one.text
                if part is None:
                    break
                parts.append(part)
            else:
                said[job, text, piece] = "".join(parts)

    @staticmethod
    def _made(
        job: int,
        text: int,
        pieces: Sequence[Piece],
        said: Mapping[tuple[int, int, int], str],
        trouble: Mapping[tuple[int, int], tuple[str, str]],
        mended: Mapping[tuple[int, int], str],
    ) -> Made:
        made = Made("")
        problem, raw = trouble.get((job, text), ("", ""))
        parts = []
        for number, piece in enumerate(pieces):
            if not piece.translated:
                parts.append(piece.text)
            elif (job, text, number) in said:
                parts.append(said[job, text, number])
            else:
                problem = problem or "a part has no translation"
        made.text = "".join(parts)
        if problem:
            made.problems.append(problem)
            made.raw = raw
        elif (job, text) in mended:
            made.notes.append(mended[job, text])
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
    """The translation with role markers as the original has them: the model was shown them with a blank inside."""
    for span in segment.spans:
        literal = segment.source[span.start : span.end]
        shown = disarm(literal)
        if shown != literal:
            text = text.replace(shown, literal)
    return text

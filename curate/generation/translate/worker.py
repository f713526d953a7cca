"""Translates a batch of rows: makes a job for each row and target language, runs and checks the jobs, and makes the new
rows."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from curate.errors import StepError
from curate.generation.common.derived_rows import derive_rows, failed, hash_of, in_order, unchanged_rows
from curate.generation.common.few_shot import Examples
from curate.generation.common.prompts import load_prompt, own_prompts
from curate.generation.translate.checks import Limits, Pair, chrf, verdicts, wrong_language
from curate.generation.translate.glossary import Glossary
from curate.generation.translate.llm import PROMPT, Chat, ChatSettings
from curate.generation.translate.params import TranslateParams
from curate.generation.translate.rows import BackTranslation, Job, Prepared, Selection, Slot, prepare, same_language
from curate.generation.translate.sentences import Sentences
from curate.rows import Kind, payload
from curate.rows.languages import UNKNOWN
from curate.steps import Context, FailedRow, RowBatch, Rows
from curate.steps.models import Encoder, Generator, LanguageIdentifier, Translator, signed

_CHARACTERS = 8_000_000
"""Characters of text processed at once."""
_SPARE = 8


class _Known:
    """Glossary and examples, loaded once for all batches of a task."""

    def __init__(self, step: TranslateParams, context: Context) -> None:
        self.glossary = Glossary(step.glossary, () if step.glossary_from is None else context.rows(step.glossary_from))
        self.examples: dict[str, Examples] = {}


_KNOWN: WeakKeyDictionary[Context, list[tuple[TranslateParams, _Known]]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class _SelectedRow:
    """A row to translate."""

    place: int
    tag: str
    targets: list[str]
    slots: list[Slot]
    texts: list[str]


class TranslateBatch:
    """One call of ``make``."""

    def __init__(self, step: TranslateParams, kind: Kind, context: Context) -> None:
        self.step, self.kind, self.context = step, kind, context
        self.selection = Selection.of(kind, step.fields, step.roles, tools=step.tool_descriptions)
        kept = _KNOWN.setdefault(context, [])
        if not any(other is step for other, _ in kept):
            kept.append((step, _Known(step, context)))
        self.known = next(known for other, known in kept if other is step)
        self.model = context.model(step.model)
        self.chat = _is_chat(self.model, step.model)
        if not self.chat:
            self._warn_of_unused_parameters()

    def _warn_of_unused_parameters(self) -> None:
        step = self.step
        unused = [
            name for name in ("prompt", "instructions", "formality", "examples") if getattr(step, name) is not None
        ]
        if step.sampling != type(step).model_fields["sampling"].default:
            unused.append("sampling")
        if unused:
            self.context.warn(
                f"translate: '{step.model}' is a translator, not a language model: {', '.join(unused)} have no effect"
            )

    # --------------------------------------------------------------------------------------------------------- rows
    def made(self, rows: Rows) -> RowBatch:
        """The originals to keep and the translations, row by row, and the failed rows."""
        plain = rows.table.to_pylist()
        mixed = (
            []
            if self.step.source
            else [(place, why) for place, row in enumerate(plain) if (why := self.selection.mixed(row))]
        )
        jobs, stay = self._jobs(rows, plain, frozenset(place for place, _ in mixed))
        self._translate(jobs, len(rows))
        self._translate_back([job for job in jobs if not job.problems])
        return self._new(rows, plain, jobs, stay, [failed(rows, place, why) for place, why in mixed])

    def _jobs(
        self, rows: Rows, plain: Sequence[Mapping[str, Any]], mixed: Collection[int]
    ) -> tuple[list[Job], list[bool]]:
        """A job for each row and target language, and whether each original is kept.

        Args:
            mixed: the places of rows whose texts cannot be translated together.
        """
        tags = [self.step.source or tag for tag in self.selection.language_of(rows)]
        stay = [self.step.keep_original] * len(rows)
        selected: list[_SelectedRow] = []
        for place, (row, tag) in enumerate(zip(plain, tags, strict=True)):
            if place in mixed:
                continue
            if any(same_language(tag, target) for target in self.step.to) and self.kind is not Kind.PARALLEL:
                stay[place] = True  # there is no other row of this item in that language
            if targets := [target for target in self.step.to if self._is_supported(tag, target)]:
                selected.append(_SelectedRow(place, tag, targets, *self.selection.texts(row)))
        texts = [text for one in selected for text in one.texts]
        prepared = iter(prepare(texts, self.step.protect, [one.tag for one in selected for _ in one.texts]))
        jobs: list[Job] = []
        for one in selected:
            row, own = plain[one.place], [next(prepared) for _ in one.texts]
            jobs += [
                Job(one.place, str(row["id"]), str(row["group_id"]), one.tag, target, one.slots, own)
                for target in one.targets
            ]
        return jobs, stay

    def _is_supported(self, tag: str, target: str) -> bool:
        if same_language(tag, target) or not self.context.is_open(target):
            return False
        if self.chat:
            unknown = [one for one in (tag, target) if one != UNKNOWN and not self.model.supports(one)]
            if not unknown:
                return True
            message = f"translate: the model '{self.step.model}' is not known to support {' nor '.join(unknown)}"
        elif tag != UNKNOWN and self.model.supports(tag, target):
            return True
        else:
            message = f"translate: the model '{self.step.model}' does not translate {tag} → {target}"
        if self.step.strict:
            raise StepError(f"{message}; use another model, or set strict: false to skip such rows")
        self.context.warn(f"{message}: rows in {tag} have no translation into {target}")
        return False

    # --------------------------------------------------------------------------------------------------- translation
    def _limits(self, target: str) -> Limits:
        step = self.step
        return Limits(frozenset(step.checks), step.min_ratio[target], step.max_ratio[target])

    def _translate(self, jobs: Sequence[Job], rows: int) -> None:
        progress = _Progress(self.context, rows)
        by_pair: dict[tuple[str, str], list[Job]] = {}
        for job in jobs:
            by_pair.setdefault((job.source, job.target), []).append(job)
        if self.chat:
            # All languages at once: more parallel requests use the server better.
            self._ask(jobs, progress)
        for (source, target), some in by_pair.items():
            if not self.chat:
                self._sentences(self.model, source, target, some, progress, len(jobs))
            self._check(some, source, target)

    def _sentences(
        self, model: Translator, source: str, target: str, jobs: Sequence[Job], progress: _Progress, of: int
    ) -> None:
        terms = self.known.glossary.of(source, target)
        engine = Sentences(
            model,
            source,
            target,
            protect=self.step.protect,
            limits=self._limits(target),
            terms=terms.within,
            retry=self.step.retries > 0,
            unwrap=self.step.unwrap,
        )
        texts = [text for job in jobs for text in job.texts]
        share = len(jobs) / max(1, of)
        made = iter(engine.translate(texts, lambda done, all_: progress.add(done * share, all_)))
        for job in jobs:
            job.made = [next(made) for _ in job.texts]

    def _ask(self, jobs: Sequence[Job], progress: _Progress) -> None:
        # Prompt, formality and the like depend on the target language.
        settings = {job.target: self._settings(job.target) for job in jobs}
        if settings:
            Chat(self.model, settings).translate(jobs, progress.add)

    def _settings(self, target: str) -> ChatSettings:
        step = self.step
        prompt = own_prompts("prompt", step.prompt)[target] if step.prompt is not None else load_prompt(PROMPT)
        return ChatSettings(
            prompt=prompt,
            sampling=step.sampling,
            sample=self.context.draw,
            retries=step.retries,
            longest=step.max_chars,
            protect=step.protect,
            limits=self._limits(target),
            formality=None if step.formality is None else step.formality[target],
            instructions=(None if step.instructions is None else step.instructions[target]) or "",
            terms=lambda text, source, into: self.known.glossary.of(source, into).within(text),
            examples=self._examples,
        )

    def _examples(self, job: Job) -> Sequence[tuple[str, str]]:
        step = self.step
        if step.examples is None:
            return ()
        if job.source not in self.known.examples:
            examples = Examples(
                self.context.rows(step.examples),
                self.context.seed,
                step.examples_pool,
                answered=lambda rows: _pairs(rows, job.source),
            )
            self.known.examples[job.source] = examples
            if not len(examples):
                self.context.warn(f"translate: '{step.examples}' has no parallel rows from {job.source}")
        text = "\n\n".join(one.text for one in job.texts)[:4_000]
        count, nearest = step.examples_count, step.examples_choice == "nearest"
        drawn = self.known.examples[job.source].draw(
            count + _SPARE,
            step.examples_choice,
            language=job.target,
            text=text,
            row_id=job.row_id,
            group_id=job.group_id,
            seed=self.context.seed,
        )
        # A row's own reference translation would give the answer away.
        shown = [(one.prompt, one.response) for one in drawn if one.prompt.strip() not in text]
        return shown[-count:] if nearest else shown[:count]

    def _check(self, jobs: Sequence[Job], source: str, target: str) -> None:
        """Checks whole texts."""
        limits = self._limits(target)
        texts = [
            (text, made) for job in jobs for text, made in zip(job.texts, job.made, strict=True) if not made.problems
        ]
        pairs = [Pair(text.text, made.text, text.spans) for text, made in texts]
        for (_, made), verdict in zip(texts, verdicts(pairs, source, target, limits), strict=True):
            # A quotation mark that a translator lost in a long text is noted, but does not quarantine the row.
            minor = () if self.chat else tuple(what for what in verdict.problems if what.startswith("brackets: "))
            made.notes += [what for what in minor if what not in made.notes]
            made.problems += [what for what in verdict.problems if what not in minor]
            made.raw = made.raw or made.text
            made.ratio = verdict.ratio
        if self.step.lid is not None:
            identifier: LanguageIdentifier = self.context.model(self.step.lid)
            wrong = wrong_language([(pair.source, pair.plain_target) for pair in pairs], source, target, identifier)
            for (_, made), problem in zip(texts, wrong, strict=True):
                if problem:
                    made.problems.append(f"language: {problem}")

    # ------------------------------------------------------------------------------------------------ back-translation
    def _translate_back(self, jobs: Sequence[Job]) -> None:
        """Sets the back-translation of each job, where there is one."""
        step = self.step
        if step.back_translation == "none" or not jobs:
            return
        name = step.back_model or step.model
        model = self.context.model(name)
        chat = _is_chat(model, name)
        backs = [Job(job.place, job.row_id, job.group_id, job.target, job.source, job.slots, []) for job in jobs]
        texts = [made.text for job in jobs for made in job.made]
        prepared = iter(prepare(texts, step.protect, [job.target for job in jobs for _ in job.made]))
        for back, job in zip(backs, jobs, strict=True):
            back.texts = [next(prepared) for _ in job.made]
        unchecked = Limits(frozenset(), None, None)
        by_pair: dict[tuple[str, str], list[Job]] = {}
        for back in backs:
            by_pair.setdefault((back.source, back.target), []).append(back)
        for (source, target), some in by_pair.items():
            known = chat or (target != UNKNOWN and model.supports(source, target))
            if not known:
                self.context.warn(
                    f"translate: '{name}' does not translate {source} → {target}: these rows have no back-translation"
                )
                continue
            if chat:
                settings = ChatSettings(
                    load_prompt(PROMPT), step.sampling, self.context.draw, 0, step.max_chars, step.protect, unchecked
                )
                Chat(model, {target: settings}).translate(some)
                continue
            engine = Sentences(
                model, source, target, protect=step.protect, limits=unchecked, retry=False, unwrap=step.unwrap
            )
            made = iter(engine.translate([text for one in some for text in one.texts]))
            for one in some:
                one.made = [next(made) for _ in one.texts]
        for job, back in zip(jobs, backs, strict=True):
            if back.made and not back.problems:
                texts = [one.text for one in back.made]
                job.back = BackTranslation("\n\n".join(texts), self._similarity(job.source, job.texts, texts))

    def _similarity(self, language: str, originals: Sequence[Prepared], backs: Sequence[str]) -> float | None:
        if not originals:
            return None
        if self.step.back_encoder is None:
            return round(chrf("\n\n".join(one.text for one in originals), "\n\n".join(backs)), 4)
        encoder: Encoder = self.context.model(self.step.back_encoder)
        if not encoder.supports(language):
            self.context.warn(
                f"translate: the encoder '{self.step.back_encoder}' does not know {language}: back-translations "
                "have no score"
            )
            return None
        vectors = encoder.encode([*(one.text for one in originals), *backs])
        return round(float((vectors[: len(backs)] * vectors[len(backs) :]).sum(axis=1).mean()), 4)

    # ------------------------------------------------------------------------------------------------------ new rows
    def _new(
        self,
        rows: Rows,
        plain: Sequence[Mapping[str, Any]],
        jobs: Sequence[Job],
        stay: Sequence[bool],
        mixed: Sequence[FailedRow],
    ) -> RowBatch:
        bad: list[FailedRow] = [*mixed]
        good: list[Job] = []
        for job in jobs:
            if problems := job.problems:
                raw = next((made.raw for made in job.made if made.problems), "")
                raw = raw.encode("utf-8", "replace").decode()
                bad.append(failed(rows, job.place, f"{job.target}: {'; '.join(problems[:3])}", raw))
            else:
                good.append(job)
        values = [self.selection.payload(plain[job.place], job) for job in good]
        table = derive_rows(
            self.kind,
            rows,
            [job.place for job in good],
            {name: [one[name] for one in values] for name in payload(self.kind)},
            [self.selection.new_language(plain[job.place], job) for job in good],
            step=self.step.tag,
            model=[self._maker(job) for job in good],
            prompt_hash=[self._prompt_hash(job.target) for job in good],
            scores=[self._scores(job) for job in good],
            attributes=[self._attributes(job) for job in good],
        )
        if any(stay):
            kept = [place for place, stays in enumerate(stay) if stays]
            table = in_order(unchanged_rows(rows), kept, table, [job.place for job in good])
        return RowBatch(table, tuple(bad))

    def _maker(self, job: Job) -> str:
        if job.nothing:
            return ""
        if self.chat:
            return signed(self.context.model_name(self.step.model), job.served)
        return str(self.model.maker(job.source, job.target))

    def _prompt_hash(self, target: str) -> str:
        if not self.chat:
            return ""
        settings = self._settings(target)
        return hash_of(
            settings.prompt.turns,
            settings.formality,
            settings.instructions,
            self.step.examples,
            self.step.examples_count,
        )

    def _scores(self, job: Job) -> dict[str, float]:
        scores = {}
        ratios = [
            (len(one.text), made.ratio) for one, made in zip(job.texts, job.made, strict=True) if made.ratio is not None
        ]
        if ratios:
            total = sum(size for size, _ in ratios)
            scores["length_ratio"] = round(sum(size * ratio for size, ratio in ratios) / total, 4)
        if job.back is not None and job.back.score is not None:
            scores["back"] = job.back.score
        return scores

    def _attributes(self, job: Job) -> dict[str, str]:
        attributes = {}
        if job.notes:
            attributes["problem"] = "; ".join(job.notes[:5])
        if job.nothing:
            attributes["same"] = "nothing to translate"
        if self.step.fields is not None and self.kind not in (Kind.PARALLEL, Kind.DOCUMENT):
            attributes |= {"fields": ",".join(self.step.fields), "to": job.target}
        if job.back is not None and self.step.back_translation == "column":
            attributes["back"] = job.back.text
        return attributes


def _is_chat(model: Any, name: str) -> bool:
    if isinstance(model, Translator):
        return False
    if isinstance(model, Generator):
        return True
    raise StepError(f"translate: the model '{name}' is neither a translator nor a language model")


def _pairs(rows: Rows, source: str) -> list[tuple[str, str] | None]:
    """The (source, target) pairs of parallel rows from a language."""
    if rows.kind is not Kind.PARALLEL:
        return [None] * len(rows)
    columns = (rows.table[name].to_pylist() for name in ("source_language", "source", "target"))
    return [
        (text, translation) if same_language(tag, source) and text.strip() and translation.strip() else None
        for tag, text, translation in zip(*columns, strict=True)
    ]


def slices(rows: Rows) -> Iterator[Rows]:
    """Splits rows into slices of bounded size."""
    if len(rows) < 2 or rows.table.nbytes <= _CHARACTERS:
        yield rows
        return
    half = len(rows) // 2
    for start, count in ((0, half), (half, len(rows) - half)):
        yield from slices(Rows(rows.kind, rows.table.slice(start, count)))


class _Progress:
    """Reports finished rows, given finished fractions of all rows."""

    def __init__(self, context: Context, rows: int) -> None:
        self._context, self._rows = context, rows
        self._share, self._reported = 0.0, 0
        self._lock = threading.Lock()

    def add(self, done: float, of: float) -> None:
        """Adds ``done`` of ``of`` parts of all rows."""
        with self._lock:
            self._share += done / of if of else 0.0
            rows = min(self._rows, int(self._share * self._rows + 1e-6)) - self._reported
            if rows > 0:
                self._reported += rows
                self._context.advance(rows)

"""Parameters that all sources share: licence, language, keys that join translations, ids, attributes, row selection."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from curate.catalog.params import Decision, SourceName
from curate.rows import Kind
from curate.rows.kinds import Role
from curate.rows.languages import InvalidLanguage, normalize
from curate.steps import Context, FailedRow, RowBatch, Source, SourceError, Unit
from curate.unused import Unused
from sources.detection import SAMPLE, DetectedSchema, complete, detect, empty_form, kind_of_targets, wrong_targets
from sources.mapping import Mapper, Spec
from sources.reading import MAX_ROW
from sources.records import BATCH_BYTES, Need, Record
from sources.remote.cache import is_remote, local, urls_in
from sources.templates import Row, parse
from sources.values import as_key


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("source", "{message}", {"message": message})


def _template(text: str) -> str:
    try:
        parse(text)
    except ValueError as error:
        raise _wrong(str(error)) from None
    return text


def _language(text: str) -> str:
    if "{" in text:
        return _template(text)
    try:
        return normalize(text)
    except InvalidLanguage as error:
        raise _wrong(f"{error}; a column is written '{{column}}'") from None


def _licence(text: str) -> str:
    if not text.strip():
        raise _wrong("the licence is empty; write 'unknown' if it is not known")
    return _template(text) if "{" in text else text.strip()


TemplateText = Annotated[str, AfterValidator(_template)]
LanguageText = Annotated[str, AfterValidator(_language)]
Scalar = str | int | float | bool | None


class SourceParams(Source):
    """Base class of all sources, with their common parameters."""

    license: Annotated[str, AfterValidator(_licence)]
    """Licence of the data: an SPDX identifier, ``unknown``, or ``"{column}"`` if each row has its own."""
    max_error_rate: Decision[Annotated[float, Field(ge=0, le=1)]] = 0.01
    """The share of unreadable rows (0 to 1) above which the build stops."""
    key: TemplateText | None = None
    """What identifies the same item in several languages, such as ``"{alpaca_id}"``; ``{@row}`` and ``{@line}`` are the
    row's position in its file (from 0 and from 1). Rows with a null or empty key stand alone."""
    group: Annotated[str, Field(pattern="^[^:]+$")] | None = None
    """Namespace of the keys: sources with the same namespace join. Default: ``translation_of``, else the source's
    name."""
    translation_of: SourceName | None = None
    """The source whose rows of the same key these rows translate; they become the parents."""
    id: TemplateText | None = None
    """The row's own identifier, for lineage. Default: its position, ``file:line`` or ``file#row``."""
    scores: dict[Annotated[str, Field(min_length=1)], TemplateText] = Field({})
    """Name → column with a number; null and empty mean no score, anything else makes the row unreadable."""
    attributes: dict[Annotated[str, Field(min_length=1)], TemplateText] | list[Annotated[str, Field(min_length=1)]] = (
        Field({})
    )
    """Name → template of text to keep with the row (lists and objects as JSON), or a list of columns."""
    empty: list[str] = Field([])
    """Texts that mean empty, such as ``<noinput>``; compared with a column's whole text, without leading and trailing
    whitespace."""
    normalize: Literal["nfc", "none"] = "nfc"
    """Unicode normal form of all texts."""
    strip: bool = True
    """Whether leading and trailing whitespace is removed from texts."""
    only: dict[str, Scalar | list[Scalar]] = Field({})
    """Column → the value, or values, that a row must have; other rows are skipped. Compared as text; null is empty."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Read only the first rows of each file (or split), this many, after ``only``, unreadable ones included."""
    sample: Annotated[int, Field(ge=1)] | None = None
    """Read only this many rows of each file (or split), drawn at random after ``only``, unreadable ones included, in
    the file's order. The file is read twice. Rows added at its end change the sample only where they enter it."""
    seed: int = 0
    """The seed of ``sample``: another number draws other rows."""
    max_row_bytes: Annotated[int, Field(ge=1024, le=1 << 30)] = MAX_ROW
    """Rows larger than this (in bytes; in characters if text is decoded first) are quarantined unread."""

    version: ClassVar[int] = 3
    lines: ClassVar[bool] = False
    """Whether positions are lines, counted from 1, instead of rows, counted from 0."""
    padded: ClassVar[bool] = False
    """Whether nulls inside objects may be mere padding (Arrow)."""

    @field_validator("attributes")
    @classmethod
    def _attributes(cls, attributes: dict[str, str] | list[str]) -> dict[str, str] | list[str]:
        for name in attributes if isinstance(attributes, list) else ():
            _template(name)
        return attributes

    @field_validator("only")
    @classmethod
    def _digits(cls, only: dict[str, Scalar | list[Scalar]]) -> dict[str, Scalar | list[Scalar]]:
        """Integers beyond 64 bits as text: they are compared as text, and a recipe cannot hold them otherwise."""

        def written(value: Any) -> Any:
            long = isinstance(value, int) and not -(2**63) <= value < 2**63
            return str(value) if long else [written(one) for one in value] if isinstance(value, list) else value

        return {name: written(value) for name, value in only.items()}

    @model_validator(mode="after")
    def _joined(self) -> SourceParams:
        if self.translation_of is not None and self.key is None:
            raise _wrong("'translation_of' needs a 'key' that is the same in both sources, such as key: \"{id}\"")
        if self.group is not None and self.key is None:
            raise _wrong("'group' is the namespace of keys and needs a 'key', such as key: \"{id}\"")
        return self

    @model_validator(mode="after")
    def _part(self) -> SourceParams:
        if self.limit is not None and self.sample is not None:
            raise _wrong("'limit' takes the first rows and 'sample' any; set one of them")
        if self.sample is None and self.seed:
            raise _wrong("'seed' is that of 'sample', which is not set; set 'sample: …' or remove 'seed'")
        return self

    def parent(self) -> str | None:
        return self.translation_of

    @abstractmethod
    def records(
        self, unit: Unit, columns: Mapping[str, Need] | None, context: Context | None
    ) -> Iterator[Record | FailedRow]:
        """The records of a unit, in order.

        Args:
            unit: with its files on this machine.
            columns: the columns needed, where skipping others saves work; None for all.
            context: None during schema detection.
        """

    @abstractmethod
    def spec(self, name: str) -> Spec:
        """How records become rows."""

    def _spec(
        self,
        form: DetectedSchema,
        name: str,
        language: str,
        source_language: str,
        prompt_language: str | None = None,
    ) -> Spec:
        attributes = (
            {one.removesuffix("?"): one for one in self.attributes}
            if isinstance(self.attributes, list)
            else self.attributes
        )
        only = {
            column: frozenset(as_key(value) for value in (values if isinstance(values, list) else [values]))
            for column, values in self.only.items()
        }
        return Spec(
            form=form,
            language=language,
            source_language=source_language,
            prompt_language=prompt_language,
            license=self.license,
            group=self.group or self.translation_of or name,
            key=self.key,
            id=self.id,
            scores=dict(sorted(self.scores.items())),
            attributes=dict(sorted(attributes.items())),
            empty=frozenset(text.strip() for text in self.empty),
            nfc=self.normalize == "nfc",
            strip=self.strip,
            only=only,
            limit=self.limit,
            padded=self.padded,
        )

    def taken(self, row: Row) -> Sequence[str]:
        """The columns of a row that are used under another name."""
        return ()

    def hint(self, rows: Sequence[Row]) -> str:
        """Advice to add if these first rows lack a column or have no known schema."""
        return ""

    def _mapper(self, unit: Unit, name: str) -> Mapper:
        return Mapper(self.spec(name), name, unit, lines=self.lines, taken=self.taken, hint=self.hint)

    def read(self, unit: Unit, name: str, context: Context) -> Iterator[RowBatch]:
        """The rows of a unit in order, at most 2,000 rows or about 16 MiB of text at a time."""
        unit = self.fetched(unit)
        mapper = self._mapper(unit, name)
        again: Context | None = context
        sample = None
        if self.sample is not None:
            # Of two passes this one reads all: what there is to warn of is told by it, and once.
            sample = mapper.draw(self.records(unit, mapper.needed, context), self.sample, self.seed)
            again = None
        yield from mapper.run(self.records(unit, mapper.needed, again), sample)

    def urls(self) -> list[str]:
        """The URLs that it reads from."""
        return urls_in(getattr(self, "path", None))

    def fetched(self, unit: Unit) -> Unit:
        """The unit with its files on this machine.

        Raises:
            SourceError: one of them cannot be fetched.
        """
        if not any(map(is_remote, unit.files)):
            return unit
        files = tuple(local(file, self.urls()) if is_remote(file) else file for file in unit.files)
        return replace(unit, files=files)

    def first_records(self, unit: Unit) -> list[Record | FailedRow]:
        """The first records of a unit, complete: at most 100, and not much more than 16 MiB."""
        records: list[Record | FailedRow] = []
        size = 0
        for record in islice(self.records(self.fetched(unit), None, None), SAMPLE):
            records.append(record)
            size += 0 if isinstance(record, FailedRow) else record[2]
            if size >= BATCH_BYTES:
                break
        return records

    def unused(self, name: str) -> Unused:
        if self.urls() and "beginning" not in self.__dict__:
            return Unused()  # nothing is fetched only to tell this
        unit, records = self.beginning
        unused = Unused.beside(self.units())
        if unit is not None:
            for batch in self._mapper(unit, name).run(iter(records)):
                unused.add(batch.unused or Unused())
        return unused

    @cached_property
    def beginning(self) -> tuple[Unit | None, list[Record | FailedRow]]:
        """The first unit with a readable row, and its first records; if there is none, those of the first unit."""
        first: tuple[Unit | None, list[Record | FailedRow]] = (None, [])
        for unit in self.units():
            records = self.first_records(unit)
            if any(not isinstance(record, FailedRow) for record in records):
                return unit, records
            if first[0] is None or (records and not first[1]):
                first = (unit, records)
        return first


class Tabular(SourceParams):
    """A source whose records have named columns."""

    kind: Kind | None = None
    """The kind of rows to make. Default: inferred from ``columns``, else from the data."""
    language: LanguageText
    """Language of the answer (of the target side, of the text): a BCP-47 tag, ``"{column}"`` if each row has its own (a
    tag or an English name), or ``detect`` to label rows by the step ``detect_language``."""
    source_language: LanguageText | None = None
    """For parallel rows: the language of the source side, a tag or ``"{column}"``."""
    prompt_language: LanguageText | None = None
    """For conversations whose prompt is in another language than the answer: its language, a tag or ``"{column}"``."""
    columns: dict[str, TemplateText] = Field({})
    """Target → column, template, or a text for every row in single quotes (``"'true'"``). Targets are prompt,
    response, system, history or messages (sft); prompt, chosen, rejected, system, history (preference); prompt,
    completion, label, system, history (unpaired); source, target, source_language (parallel); text (document);
    prompt, system, history (prompt). Conversations also have tools, images, audios and videos, which by default are
    read from columns of these names."""

    roles: dict[str, Role] = Field({})
    """The data's own role names → ``user``, ``assistant``, ``system`` or ``tool``: ``{bing: assistant}``."""

    @field_validator("columns")
    @classmethod
    def _targets(cls, columns: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        problems = wrong_targets(info.data.get("kind"), list(columns))
        if problems:
            raise _wrong("; ".join(problems))
        return columns

    @model_validator(mode="after")
    def _parallel(self) -> Tabular:
        kind = self.kind or kind_of_targets(list(self.columns))
        if self.source_language is not None and kind not in (None, Kind.PARALLEL):
            raise _wrong(f"'source_language' is for parallel rows, but these are {kind} rows")
        if kind is Kind.PARALLEL and complete(Kind.PARALLEL, list(self.columns)) and self._no_source_language():
            raise _wrong(
                "parallel rows need the language of their source side; write 'source_language: en' (a tag or "
                '"{column}")'
            )
        return self

    def _no_source_language(self) -> bool:
        return self.source_language is None and "source_language" not in self.columns

    @property
    def makes(self) -> Kind:
        """The kind of its rows.

        Raises:
            SourceError: it must be inferred from the data, and cannot be.
        """
        return self.form.kind

    def _from_catalog(self) -> DetectedSchema | None:
        """The schema, if the catalog alone defines it."""
        kind = self.kind or kind_of_targets(list(self.columns))
        if kind is None or not complete(kind, list(self.columns)):
            return None
        return DetectedSchema("columns", kind, dict(self.columns), told=True)

    @cached_property
    def form(self) -> DetectedSchema:
        """How columns become rows: as ``columns`` says, else as detected in the first rows."""
        from_catalog = self._from_catalog()
        if from_catalog is not None:
            return from_catalog
        unit, records = self.beginning
        rows = [record[1] for record in records if not isinstance(record, FailedRow)]
        where = unit.name if unit is not None else "the source"
        bad = next((record for record in records if isinstance(record, FailedRow)), None)
        if not rows and bad is not None:
            raise SourceError(f"{where}, {bad.where}: {bad.reason}; no row could be read")
        names = self.column_names(self.fetched(unit)) if unit is not None and not rows else []
        if not rows and not names:
            if self.kind is None:
                raise SourceError(f"{where} has no rows to infer their kind from; set 'kind' and 'columns'")
            return empty_form(self.kind, self.columns)
        language = "" if "{" in self.language else self.language
        declared = self.source_language or ""
        try:
            detected = detect(rows, where, self.kind, language, "" if "{" in declared else declared, names)
        except SourceError as error:
            raise SourceError(f"{error}{self.hint(rows)}") from None
        if self.columns:
            wrong = wrong_targets(detected.kind, list(self.columns))
            if wrong:
                raise SourceError(f"{where} has the schema {detected.name}: {'; '.join(wrong)}")
            detected = DetectedSchema(
                detected.name, detected.kind, {**detected.columns, **self.columns}, detected.source_language
            )
        if detected.kind is Kind.PARALLEL and not detected.source_language and self._no_source_language():
            raise SourceError(
                f"{where} has parallel text; set the language of its source side, for example 'source_language: en'"
            )
        return detected

    def column_names(self, unit: Unit) -> Sequence[str]:
        """The columns of a unit without rows, if it names them."""
        return ()

    def identity(self, *, decisions: bool = True) -> dict[str, Any]:
        """Adds the detected schema to :meth:`Params.identity`: it changes the rows of files that did not change."""
        identity = super().identity(decisions=decisions)
        if self._from_catalog() is None:
            try:
                form = self.form
            except SourceError:
                return identity  # the same error comes again where the rows are asked for
            identity["detected"] = {"kind": form.kind.value, "columns": dict(form.columns)}
            if form.source_language:
                identity["detected"]["source_language"] = form.source_language
        return identity

    def row_languages(self) -> frozenset[str] | None:
        return None if "{" in self.language else frozenset({self.language})

    def check(self, kind: Kind) -> list[str]:
        columns: Mapping[str, str] = self.columns
        problems = wrong_targets(kind, list(columns))
        if self.prompt_language is not None and kind in (Kind.PARALLEL, Kind.DOCUMENT, Kind.PROMPT):
            problems.append(f"prompt_language: it is for prompts with an answer, but these are {kind} rows")
        return problems

    def spec(self, name: str) -> Spec:
        spec = self._spec(self.form, name, self.language, self.source_language or "", self.prompt_language)
        return replace(spec, roles=self.roles)

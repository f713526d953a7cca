"""What every source can be told: licence, language, keys that join languages, ids, what to carry along, which rows to
take."""

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
from curate.steps import BadRow, Context, NewRows, Source, SourceError, Unit
from curate.unused import Unused
from sources.detection import SAMPLE, Form, complete, detect, empty_form, kind_of_targets, wrong_targets
from sources.mapping import BATCH_BYTES, Mapper, Need, Record, Spec
from sources.reading import MAX_ROW
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
        raise _wrong("the licence is empty; write 'unknown' if nobody knows it")
    return _template(text) if "{" in text else text.strip()


TemplateText = Annotated[str, AfterValidator(_template)]
LanguageText = Annotated[str, AfterValidator(_language)]
Scalar = str | int | float | bool | None


class Common(Source):
    """The parameters that all sources share."""

    license: Annotated[str, AfterValidator(_licence)]
    """Licence of the data: an SPDX identifier, ``unknown``, or ``"{column}"`` where each row has its own."""
    max_error_rate: Decision[Annotated[float, Field(ge=0, le=1)]] = 0.01
    """The share of unreadable rows (0 to 1) above which the build stops."""
    key: TemplateText | None = None
    """What makes rows of several languages the same item, such as ``"{alpaca_id}"``; ``{@row}`` and ``{@line}`` are the
    row's place in its file (from 0 and from 1). Rows where it is null or empty stand alone."""
    group: Annotated[str, Field(pattern="^[^:]+$")] | None = None
    """Name space of the keys: sources with the same one join. The default is ``translation_of``, else the source's
    name."""
    translation_of: SourceName | None = None
    """The source whose rows of the same key these are translations of; they become the parents."""
    id: TemplateText | None = None
    """The row's own identifier, for lineage. The default is its place: ``file:line`` or ``file#row``."""
    scores: dict[Annotated[str, Field(min_length=1)], TemplateText] = Field({})
    """Name → column with a number; null and empty are no score, anything else makes the row unreadable."""
    attributes: dict[Annotated[str, Field(min_length=1)], TemplateText] | list[Annotated[str, Field(min_length=1)]] = (
        Field({})
    )
    """Name → template of what to carry along as text (lists and objects as JSON), or a list of columns."""
    empty: list[str] = Field([])
    """Texts that stand for nothing, such as ``<noinput>``; compared with a column's whole text, blanks at its ends
    aside."""
    normalize: Literal["nfc", "none"] = "nfc"
    """Unicode normal form of all texts."""
    strip: bool = True
    """Whether blanks at the ends of texts are taken off."""
    only: dict[str, Scalar | list[Scalar]] = Field({})
    """Column → the value, or values, that a row must have; other rows are passed over. Compared as text; null is
    empty."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Read only so many rows of each file (or split) that ``only`` lets through, unreadable ones included."""
    max_row_bytes: Annotated[int, Field(ge=1024, le=1 << 30)] = MAX_ROW
    """The size of a row (in bytes; in characters, where text is decoded first) beyond which it is set aside unread."""

    version: ClassVar[int] = 2
    lines: ClassVar[bool] = False
    """Whether places are lines, counted from 1, and not rows, counted from 0."""
    padded: ClassVar[bool] = False
    """Whether null inside of objects may be nothing but padding (Arrow)."""

    @field_validator("attributes")
    @classmethod
    def _attributes(cls, given: dict[str, str] | list[str]) -> dict[str, str] | list[str]:
        for name in given if isinstance(given, list) else ():
            _template(name)
        return given

    @field_validator("only")
    @classmethod
    def _digits(cls, only: dict[str, Scalar | list[Scalar]]) -> dict[str, Scalar | list[Scalar]]:
        """Integers beyond 64 bits as text: they are compared as text, and no recipe can hold them otherwise."""

        def written(value: Any) -> Any:
            long = isinstance(value, int) and not -(2**63) <= value < 2**63
            return str(value) if long else [written(one) for one in value] if isinstance(value, list) else value

        return {name: written(value) for name, value in only.items()}

    @model_validator(mode="after")
    def _joined(self) -> Common:
        if self.translation_of is not None and self.key is None:
            raise _wrong("'translation_of' needs a 'key' that is the same in both sources, such as key: \"{id}\"")
        if self.group is not None and self.key is None:
            raise _wrong("'group' is the name space of keys and needs a 'key', such as key: \"{id}\"")
        return self

    def parent(self) -> str | None:
        return self.translation_of

    @abstractmethod
    def records(
        self, unit: Unit, columns: Mapping[str, Need] | None, context: Context | None
    ) -> Iterator[Record | BadRow]:
        """The records of a unit in order.

        Args:
            columns: the columns that are needed, where leaving out others saves work; None for all.
            context: None while the form is being detected.
        """

    @abstractmethod
    def spec(self, name: str) -> Spec:
        """How records become rows."""

    def _spec(self, form: Form, name: str, language: str, source_language: str) -> Spec:
        attributes = (
            {one.removesuffix("?"): one for one in self.attributes}
            if isinstance(self.attributes, list)
            else self.attributes
        )
        only = {
            column: frozenset(as_key(value) for value in (wanted if isinstance(wanted, list) else [wanted]))
            for column, wanted in self.only.items()
        }
        return Spec(
            form=form,
            language=language,
            source_language=source_language,
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
        """What else to say if these first rows lack a column or have no known form."""
        return ""

    def _mapper(self, unit: Unit, name: str) -> Mapper:
        return Mapper(self.spec(name), name, unit, lines=self.lines, taken=self.taken, hint=self.hint)

    def read(self, unit: Unit, name: str, context: Context) -> Iterator[NewRows]:
        """The rows of a unit in its order, at most 2,000 rows or about 16 MiB of text at a time."""
        mapper = self._mapper(unit, name)
        yield from mapper.run(self.records(unit, mapper.needed, context))

    def first_records(self, unit: Unit) -> list[Record | BadRow]:
        """The first records of a unit, whole: at most 100, and not much more than 16 MiB."""
        found: list[Record | BadRow] = []
        size = 0
        for record in islice(self.records(unit, None, None), SAMPLE):
            found.append(record)
            size += 0 if isinstance(record, BadRow) else record[2]
            if size >= BATCH_BYTES:
                break
        return found

    def unused(self, name: str) -> Unused:
        unit, records = self.beginning
        found = Unused()
        if unit is not None:
            for batch in self._mapper(unit, name).run(iter(records)):
                found.add(batch.unused or Unused())
        return found

    @cached_property
    def beginning(self) -> tuple[Unit | None, list[Record | BadRow]]:
        """The first unit that has a row which can be read, and its first records; else those of the first unit."""
        first: tuple[Unit | None, list[Record | BadRow]] = (None, [])
        for unit in self.units():
            records = self.first_records(unit)
            if any(not isinstance(record, BadRow) for record in records):
                return unit, records
            if first[0] is None or (records and not first[1]):
                first = (unit, records)
        return first


class Tabular(Common):
    """A source whose records have named columns."""

    kind: Kind | None = None
    """The kind of rows to make; told from ``columns``, else from the data, where it is not given."""
    language: LanguageText
    """Language of the answer (of the target side, of the text): a BCP-47 tag, or ``"{column}"`` where each row says its
    own."""
    source_language: LanguageText | None = None
    """For parallel rows: the language of the source side, a tag or ``"{column}"``."""
    columns: dict[str, TemplateText] = Field({})
    """Target → column or template. Targets are prompt, response, system, history or messages (sft); prompt, chosen,
    rejected, system, history (preference); prompt, completion, label, system, history (unpaired); source, target,
    source_language (parallel); text (document); prompt, system, history (prompt)."""

    roles: dict[str, Role] = Field({})
    """The data's own names of roles → ``user``, ``assistant``, ``system`` or ``tool``: ``{bing: assistant}``."""

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
            raise _wrong(f"'source_language' is for parallel rows, and these are of kind {kind}")
        if kind is Kind.PARALLEL and complete(Kind.PARALLEL, list(self.columns)) and self._no_source_language():
            raise _wrong(
                "parallel rows need the language of their source side; say 'source_language: en' (a tag or "
                '"{column}")'
            )
        return self

    def _no_source_language(self) -> bool:
        return self.source_language is None and "source_language" not in self.columns

    @property
    def makes(self) -> Kind:
        """The kind of its rows.

        Raises:
            SourceError: it has to be told from the data, and cannot.
        """
        return self.form.kind

    def _told(self) -> Form | None:
        """The form, if the catalog alone says it."""
        kind = self.kind or kind_of_targets(list(self.columns))
        if kind is None or not complete(kind, list(self.columns)):
            return None
        return Form("columns", kind, dict(self.columns), told=True)

    @cached_property
    def form(self) -> Form:
        """How the columns make rows: as ``columns`` says, else as the first rows show."""
        told = self._told()
        if told is not None:
            return told
        unit, records = self.beginning
        rows = [record[1] for record in records if not isinstance(record, BadRow)]
        where = unit.name if unit is not None else "the source"
        bad = next((record for record in records if isinstance(record, BadRow)), None)
        if not rows and bad is not None:
            raise SourceError(f"{where}, {bad.where}: {bad.reason}; no row could be read")
        names = self.column_names(unit) if unit is not None and not rows else []
        if not rows and not names:
            if self.kind is None:
                raise SourceError(f"{where} has no rows to tell their kind from; say 'kind' and 'columns'")
            return empty_form(self.kind, self.columns)
        language = "" if "{" in self.language else self.language
        given = self.source_language or ""
        try:
            found = detect(rows, where, self.kind, language, "" if "{" in given else given, names)
        except SourceError as error:
            raise SourceError(f"{error}{self.hint(rows)}") from None
        if self.columns:
            wrong = wrong_targets(found.kind, list(self.columns))
            if wrong:
                raise SourceError(f"{where} has the form {found.name}: {'; '.join(wrong)}")
            found = Form(found.name, found.kind, {**found.columns, **self.columns}, found.source_language)
        if found.kind is Kind.PARALLEL and not found.source_language and self._no_source_language():
            raise SourceError(
                f"{where} has parallel text; say the language of its source side, for instance 'source_language: en'"
            )
        return found

    def column_names(self, unit: Unit) -> Sequence[str]:
        """The columns of a unit without rows, where it names them all the same."""
        return ()

    def identity(self, *, decisions: bool = True) -> dict[str, Any]:
        """As of :class:`Params`, with what was told from the data: it changes the rows of files that did not change."""
        told = super().identity(decisions=decisions)
        if self._told() is None:
            try:
                form = self.form
            except SourceError:
                return told  # the same error comes again where the rows are asked for
            told["detected"] = {"kind": form.kind.value, "columns": dict(form.columns)}
            if form.source_language:
                told["detected"]["source_language"] = form.source_language
        return told

    def row_languages(self) -> frozenset[str] | None:
        return None if "{" in self.language else frozenset({self.language})

    def check(self, kind: Kind) -> list[str]:
        columns: Mapping[str, str] = self.columns
        return wrong_targets(kind, list(columns))

    def spec(self, name: str) -> Spec:
        spec = self._spec(self.form, name, self.language, self.source_language or "")
        return replace(spec, roles=self.roles)

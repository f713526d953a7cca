"""Base class of parameters: pydantic models in which the type of a field says whether it affects rows, decisions or
neither.

A field marked ``Runtime[...]`` (batch size, address, path, credential) never changes which rows come out and is
left out
of every digest; a field marked ``Decision[...]`` (a threshold) changes what is kept but no score; all others are
identity.
Only runtime fields may read the environment, so that nothing secret or machine-specific can reach a digest.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from curate.catalog.docstrings import documented
from curate.data_files import DataFile
from curate.plugins import PluginFile
from curate.rows.languages import InvalidLanguage, normalize

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")


class Mark(enum.Enum):
    """What a parameter may change."""

    RUNTIME = "runtime"
    DECISION = "decision"


Runtime = Annotated[T, Mark.RUNTIME]
Decision = Annotated[T, Mark.DECISION]

Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]


class Reference(enum.Enum):
    """What a parameter's text names elsewhere in the catalog."""

    MODEL = "model"
    SOURCE = "source"
    ROWS = "source or dataset"


class Role(enum.Enum):
    """What a model is for."""

    ENCODER = "an encoder"
    IDENTIFIER = "a language identifier"
    GENERATOR = "a language model"
    TRANSLATOR = "a translator"
    ALIGNER = "a word aligner"
    REWARD = "a reward model"


ModelName = Annotated[str, Reference.MODEL]
"""A model of any role."""
EncoderName = Annotated[str, Reference.MODEL, Role.ENCODER]
IdentifierName = Annotated[str, Reference.MODEL, Role.IDENTIFIER]
GeneratorName = Annotated[str, Reference.MODEL, Role.GENERATOR]
TranslatorName = Annotated[str, Reference.MODEL, Role.TRANSLATOR]
AlignerName = Annotated[str, Reference.MODEL, Role.ALIGNER]
RewardModelName = Annotated[str, Reference.MODEL, Role.REWARD]
SourceName = Annotated[str, Reference.SOURCE]
RowsName = Annotated[str, Reference.ROWS]
"""A source or a dataset whose rows a step looks into (``context.rows``): a word table, personas, examples."""


def _validate_tag(value: str) -> str:
    try:
        return normalize(value)
    except InvalidLanguage as error:
        raise PydanticCustomError("language", "{message}", {"message": str(error)}) from None


class _TagSchema:
    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(_validate_tag, core_schema.str_schema(min_length=1))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "minLength": 2, "description": "BCP-47 tag, e.g. sw, hi-Latn, zh-Hant"}


LanguageTag = Annotated[str, _TagSchema]


class Params(BaseModel):
    """Base of every step's, source's and model's parameters: unknown keys are errors, values never change."""

    path_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields that hold files (texts, lists or mappings of them): relative ones are taken from the catalog's folder."""
    package_data: ClassVar[tuple[DataFile, ...]] = ()
    """The data files of its package that decide what comes out: their content is part of every key."""
    plugin: ClassVar[PluginFile | None] = None
    """The file of a catalog's ``plugins`` that it stands in: its content is part of every key."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        protected_namespaces=(),
        arbitrary_types_allowed=True,
        validate_default=True,
    )

    @classmethod
    def model_json_schema(cls, *args: Any, **more: Any) -> dict[str, Any]:
        """The JSON Schema, with the docstrings of the parameters as descriptions."""
        return super(Params, documented(cls)).model_json_schema(*args, **more)

    @classmethod
    def marked(cls, mark: Mark) -> frozenset[str]:
        """The names of the fields that carry ``mark``."""
        return frozenset(name for name, field in cls.model_fields.items() if mark in field.metadata)

    @classmethod
    @cache
    def references(cls, kind: Reference) -> tuple[str, ...]:
        """The names of the fields whose value names a model or a source."""
        return tuple(
            name
            for name, field in cls.model_fields.items()
            if _mentions(field.annotation, kind) or kind in field.metadata
        )

    def model_roles(self, parameter: str) -> frozenset[Role]:
        """The roles that the models named by a parameter may have; empty for any."""
        field = type(self).model_fields[parameter]
        return frozenset(role for role in Role if _mentions(field.annotation, role) or role in field.metadata)

    def also_named(self, kind: Reference) -> tuple[str, ...]:
        """Names that such a parameter knows besides those of the catalog, for a typo's nearest word."""
        return ()

    def named(self, kind: Reference) -> dict[str, tuple[str, ...]]:
        """For each parameter that names models or sources, the names it gives."""
        found: dict[str, tuple[str, ...]] = {}
        for name in self.references(kind):
            value = getattr(self, name)
            found[name] = () if value is None else (value,) if isinstance(value, str) else tuple(value)
        return found

    def identity(self, *, decisions: bool = True) -> dict[str, Any]:
        """The JSON of all that may change rows (and, with ``decisions``, what is kept).

        Values equal to their default are left out, so a new parameter does not recompute the past; a changed default
        therefore needs a raised step version (``tests/steps.lock`` notices). Decisions are cheap and enter whole.
        """
        left_out = {*self.marked(Mark.RUNTIME), *self.marked(Mark.DECISION)}
        dear = self.model_dump(mode="json", exclude=left_out, exclude_defaults=True)
        return {**dear, **self.decision()} if decisions else dear

    def data_identity(self) -> dict[str, Any]:
        """``{"data": {file: digest}, "plugin": digest}`` of the data files and the plug-in; empty without any."""
        found: dict[str, Any] = {"data": {str(file): file.digest for file in self.package_data}}
        return (found if self.package_data else {}) | ({"plugin": self.plugin.digest} if self.plugin else {})

    def decision(self) -> dict[str, Any]:
        """The JSON of all decision fields."""
        return self.model_dump(mode="json", include=set(self.marked(Mark.DECISION)))


def _mentions(annotation: Any, kind: Reference | Role) -> bool:
    """Whether ``Annotated[str, kind]`` stands anywhere inside a type, as in ``ModelName | None``."""
    if kind in getattr(annotation, "__metadata__", ()):
        return True
    return any(_mentions(inner, kind) for inner in getattr(annotation, "__args__", ()))


WHOLE = "whole"
"""Context of a dump from which the very same parameters can be made again."""


class PerLanguage(Generic[T]):
    """One value for all languages, or a mapping of language tags with an optional ``default``.

    ``0.7`` and ``{default: 0.7, sw: 0.6}`` are both written in a catalog. A tag also answers for its more special
    forms: ``zh`` for ``zh-Hant`` unless that has a value of its own. ``null`` means: no value for this language.
    """

    __slots__ = ("default", "values")
    _empty: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, default: T | None = None, values: Mapping[str, T | None] | None = None) -> None:
        self.default = default
        self.values: dict[str, T | None] = dict(sorted((values or {}).items()))

    def __getitem__(self, language: str) -> T | None:
        tag = language
        while True:
            if tag in self.values:
                return self.values[tag]
            if "-" not in tag:
                return self.default
            tag = tag.rpartition("-")[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PerLanguage) and (self.default, self.values) == (other.default, other.values)

    def __hash__(self) -> int:
        return hash((repr(self.default), repr(self.values)))

    def __repr__(self) -> str:
        return f"PerLanguage({self.default!r}, {self.values!r})" if self.values else f"PerLanguage({self.default!r})"

    def dump(self, *, whole: bool = False) -> Any:
        """The value as a catalog would write it.

        Args:
            whole: whether "no value for any language" stays apart from a parameter that is not given, for one that
                may be either.
        """
        if not self.values:
            return {"default": None} if whole and self.default is None else self.default
        return {**({} if self.default is None else {"default": self.default}), **self.values}

    def expr(self, language: pl.Expr | None = None, dtype: type[pl.DataType] | None = None) -> pl.Expr:
        """A Polars expression: each row's value by its ``language`` column (null where none is given).

        Args:
            language: another column than ``language``.
            dtype: the type of the values; by default ``Float64``.
        """
        import polars as pl

        dtype = dtype or pl.Float64
        column = pl.col("language") if language is None else language
        if not self.values:
            return pl.lit(self.default, dtype=dtype)

        def look_up(languages: pl.Series) -> pl.Series:
            known = languages.drop_nulls().unique().to_list()
            return languages.replace_strict(known, [self[tag] for tag in known], default=None, return_dtype=dtype)

        return column.map_batches(look_up, return_dtype=dtype())

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        args = getattr(source, "__args__", (Any,))
        value = core_schema.nullable_schema(handler.generate_schema(args[0]))
        mapping = core_schema.dict_schema(core_schema.str_schema(), value, min_length=1)

        def from_mapping(given: dict[str, Any]) -> PerLanguage[Any]:
            default = given.pop("default", None)
            return cls(default, {_validate_tag(tag): item for tag, item in given.items()})

        from_map = core_schema.no_info_after_validator_function(from_mapping, mapping)
        from_one = core_schema.no_info_after_validator_function(cls, value)
        instance = core_schema.is_instance_schema(cls)

        tagged = core_schema.tagged_union_schema(
            {"instance": instance, "map": from_map, "one": from_one},
            discriminator=lambda given: (
                "instance" if isinstance(given, cls) else "map" if isinstance(given, dict) else "one"
            ),
        )
        tagged["serialization"] = core_schema.plain_serializer_function_ser_schema(
            lambda value, info: value.dump(whole=info.context == WHOLE), info_arg=True
        )
        return tagged

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        choices = schema["choices"]
        value = handler(choices["one"]["schema"])
        return {"anyOf": [value, {"type": "object", "additionalProperties": value, "minProperties": 1}]}

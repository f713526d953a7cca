"""``@curate.filter`` makes a filter of a function that gives a number for a row."""

from __future__ import annotations

import inspect
import math
import re
import traceback
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any, ClassVar, TypeVar, get_type_hints, overload

import numpy as np
import polars as pl
import pyarrow as pa
from pydantic import Field, ValidationError, create_model

from curate.catalog.docstrings import documented
from curate.catalog.model import NAME_PATTERN
from curate.catalog.params import Decision, PerLanguage
from curate.errors import StepError, described
from curate.rows import Kind, main_fields, unknown_fields
from curate.steps.base import ScoreStep
from curate.steps.context import Context
from curate.steps.rows import Rows

F = TypeVar("F", bound=Callable[..., Any])
Threshold = float | Mapping[str, float | None] | None
_ROW, _TEXT, _LANGUAGE = "row", "text", "language"
_SURE = 10
"""If the function raises on each of at least so many rows, it is wrong, not the rows."""


class FunctionFilter(ScoreStep):
    """Scores each row with a function. Score ``score``: its number; attribute ``error``: why there is none."""

    assesses: ClassVar[str] = "score"
    function: ClassVar[Callable[..., Any]]
    inputs: ClassVar[tuple[str, ...]]
    """The arguments that the function takes from the row."""
    vectorized: ClassVar[bool] = False
    """Whether the arguments are a Polars series each."""

    min: Decision[PerLanguage[float]] = PerLanguage[float]()
    """Minimum score; null: no limit."""
    max: Decision[PerLanguage[float]] = PerLanguage[float]()
    """Maximum score; null: no limit."""

    def check(self, kind: Kind) -> list[str]:
        fields = [name for name in self.inputs if name not in (_ROW, _TEXT, _LANGUAGE)]
        return unknown_fields(kind, fields, f"the function's argument{'s' if len(fields) > 1 else ''}")

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        return {"score": pa.float64(), "error": pa.string()}

    def drop_rules(self, kind: Kind) -> Mapping[str, pl.Expr]:
        return {"below min": pl.col("score") < self.min.expr(), "above max": pl.col("score") > self.max.expr()}

    def score(self, rows: Rows, context: Context, fitted: pa.Table | None) -> pl.DataFrame:
        given = [self._input(name, rows) for name in self.inputs]
        own = [name for name in type(self).model_fields if name not in FunctionFilter.model_fields]
        more = {name: getattr(self, name) for name in own}
        if self.vectorized:
            scores, errors = self._whole(given, more, len(rows))
        else:
            scores, errors = self._each(given, more, rows.ids)
        for name in sorted({error.partition(":")[0] for error in errors if error is not None}):
            context.warn(
                f"{self.tag}: {name} on some rows; they are not assessed, and their attribute 'error' says why"
            )
        return pl.DataFrame({"score": pl.Series(scores, dtype=pl.Float64), "error": pl.Series(errors, dtype=pl.String)})

    def _line(self, error: Exception) -> str:
        """Where the function raised, as ``, line 4``."""
        file = inspect.unwrap(type(self).function).__code__.co_filename
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
        return f", line {lines[-1]}" if lines else ""

    def _input(self, name: str, rows: Rows) -> Any:
        """One value for each row: a series, or the rows as dictionaries."""
        if name == _ROW:
            return rows.table.to_pylist()
        if name == _LANGUAGE:
            return rows.language
        if name == _TEXT and rows.kind is not Kind.DOCUMENT:
            fields = [rows.text(one) for one in main_fields(rows.kind)]
            return pl.select(pl.concat_str(fields, separator="\n\n").alias(_TEXT)).to_series()
        return rows.text(name)

    def _each(
        self, given: list[Any], more: Mapping[str, Any], ids: pl.Series
    ) -> tuple[list[float | None], list[str | None]]:
        scores: list[float | None] = []
        errors: list[str | None] = []
        raised: Exception | None = None
        for at, values in enumerate(zip(*given, strict=True)):
            score, why = None, None
            try:
                found = type(self).function(**dict(zip(self.inputs, values, strict=True)), **more)
            except Exception as error:  # noqa: BLE001 - the row has no score, and says why
                raised, why = error, described(error)
            else:
                if found is not None and not isinstance(found, Real | np.bool_):
                    raise StepError(
                        f"{self.tag}: the function returned {found!r:.80} ({type(found).__name__}) for the row "
                        f"{ids[at]}; a filter returns a number, or None for a row that it cannot assess"
                    )
                score, why = _finite(found)
            scores.append(score)
            errors.append(why)
        if raised is not None and len(errors) >= _SURE and all(error is not None for error in errors):
            raise StepError(
                f"{self.tag}: the function has no score for any of {len(errors)} rows; the last error, of the row "
                f"{ids[-1]}{self._line(raised)}: {errors[-1]}"
            ) from raised
        return scores, errors

    def _whole(
        self, given: list[pl.Series], more: Mapping[str, Any], count: int
    ) -> tuple[list[float | None], list[str | None]]:
        try:
            found = type(self).function(**dict(zip(self.inputs, given, strict=True)), **more)
        except Exception as error:
            raise StepError(
                f"{self.tag}: the function raised{self._line(error)}: {described(error)}; "
                "over a series no row is told from the others, so nothing was scored"
            ) from error
        if not isinstance(found, pl.Series) or not (found.dtype.is_numeric() or found.dtype == pl.Boolean):
            said = f"a series of {found.dtype}" if isinstance(found, pl.Series) else f"{type(found).__name__}"
            raise StepError(f"{self.tag}: the function returned {said}; over a series a filter returns one of numbers")
        if len(found) != count:
            raise StepError(f"{self.tag}: the function returned {len(found)} numbers for {count} rows")
        pairs = [_finite(value) for value in found.cast(pl.Float64).to_list()]
        return [score for score, _ in pairs], [why for _, why in pairs]


def _finite(value: Any) -> tuple[float | None, str | None]:
    """The score and, where there is none, why; None is a row that the function does not assess."""
    if value is None:
        return None, None
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    return (number, None) if math.isfinite(number) else (None, f"no finite number: {number}")


@overload
def filter(function: F) -> F: ...


@overload
def filter(*, min: Threshold = None, max: Threshold = None) -> Callable[[F], F]: ...


def filter(function: F | None = None, *, min: Threshold = None, max: Threshold = None) -> Any:
    """Makes a filter of a function, named as the function, for the ``plugins`` of a catalog.

    The function's arguments without a default are what it takes from the row: a field (``prompt``, ``response``,
    ``source`` …), ``text`` (the main fields, a blank line between them), ``language`` or ``row`` (a dictionary). Those
    with a default are parameters of the step. It returns a number (true is 1, false 0), or None for a row that it
    cannot assess. Arguments annotated as ``pl.Series`` make it work on many rows at once: it returns a series of as
    many numbers, each of its own row only.

    A row on which it raises, or returns NaN or infinity, is not assessed, and says why in the attribute ``error``. The
    build stops if it returns what is no number, or raises on all rows.

    Args:
        min: the default minimum, a number or one for each language (``{"default": 0.3, "sw": 0.2}``). A catalog
            overrides it with ``my_filter: {min: 0.5}``.
        max: the default maximum.

    Returns:
        The function itself, which can still be called; its attribute ``step`` is the step.

    Raises:
        StepError: the name, an argument or a threshold cannot be used.
    """

    def made(function: F) -> F:
        function.step = _step(function, min, max)  # type: ignore[attr-defined]
        return function

    return made if function is None else made(function)


def _step(function: Callable[..., Any], low: Threshold, high: Threshold) -> type[FunctionFilter]:
    name = function.__name__
    if not re.fullmatch(NAME_PATTERN, name):
        raise StepError(f"'{name}' is no name of a step: use small letters, digits, single '_', a letter first")
    hints = get_type_hints(function)
    inputs: list[str] = []
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise StepError(
                f"{name}: '{parameter}' cannot be given by name; write each argument by itself, without '/'"
            )
        if parameter.default is parameter.empty:
            inputs.append(parameter.name)
        elif parameter.name in FunctionFilter.model_fields:
            raise StepError(f"{name}: the filter's own '{parameter.name}' is in the way of this argument; rename it")
        else:
            fields[parameter.name] = (hints.get(parameter.name, type(parameter.default)), parameter.default)
    series = [one for one in inputs if hints.get(one) is pl.Series]
    if not inputs:
        raise StepError(f"{name}: the function takes nothing from the row; give it an argument 'text'")
    if series and (len(series) < len(inputs) or _ROW in inputs):
        raise StepError(f"{name}: either all that it takes from the row is a pl.Series, or nothing; 'row' cannot be")
    for limit, value in (("min", low), ("max", high)):
        if value is not None:
            limits = documented(FunctionFilter).model_fields
            fields[limit] = (Decision[PerLanguage[float]], Field(default=value, description=limits[limit].description))
    about = inspect.getdoc(function) or ""
    made = create_model(name, __base__=FunctionFilter, __module__=function.__module__, __doc__=about or None, **fields)
    made.__qualname__ = f"{function.__qualname__}.step"
    made.tag, made.function, made.inputs, made.vectorized = name, staticmethod(function), tuple(inputs), bool(series)
    made.summary = about.partition("\n")[0]
    try:
        made()
    except ValidationError as error:
        first = error.errors()[0]
        raise StepError(f"{name}: {'.'.join(map(str, first['loc'][:1]))}: {first['msg']}") from None
    return made

"""Calibration files: which language pairs an encoder can judge, and the cosine threshold of each.

``curate calibrate`` writes the file, a catalog names it (``similarity: {calibration: …, min: calibrated}``). Only its
content counts, not its path. Its values are thresholds, so changing them scores nothing again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import regex
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, WithJsonSchema

from curate.errors import StepError
from curate.files import regular
from curate.rows import languages

Verdict = Literal["trusted", "weak", "cannot judge", "not checked"]
Interval = tuple[float, float]
_HEAD = (
    "# Written by `curate calibrate`; a catalog refers to it: similarity: {model: …, calibration: THIS FILE, "
    "min: calibrated}\n"
)
# Separates two tags: scripts have four letters, regions capitals or digits, variants at least five letters.
_BETWEEN = regex.compile(r"(?:(?<=.)-(?=[a-z]{2,3}(?:[-_]|$)))|[:→>]")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class CalibrationSettings(_Part):
    """The parameters of a calibration."""

    precision: Annotated[float, Field(gt=0, lt=1)] = 0.98
    """Required share of good pairs among the kept ones."""
    bad: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Assumed share of bad pairs in the data, each as near as a hard negative."""
    among: Annotated[int, Field(ge=1)] = 20
    """A hard negative is the nearest of this many wrong sentences."""
    least: Annotated[int, Field(ge=5)] = 30
    """With fewer anchors a pair is not checked."""
    most: Annotated[int, Field(ge=5)] = 1000
    """If there are more anchors, a sample of this many is used."""


class AnchorsUsed(_Part):
    """The parallel sentences that were used."""

    name: str
    license: str
    version: str = ""
    digest: str
    """Digest of all their texts, keys and languages."""
    languages: int
    sentences: int


class PairCalibration(_Part):
    """The results for one language pair; see :mod:`filters.calibration.metrics` for the metrics."""

    verdict: Verdict
    reason: str = ""
    """Why it is not trusted."""
    anchors: int = 0
    threshold: float | None = None
    """Minimum cosine with the required precision."""
    threshold_interval: Interval | None = None
    recall: float | None = None
    """Share of true pairs that reach the threshold."""
    recall_interval: Interval | None = None
    precision: float | None = None
    retrieval: Interval | None = None
    """In either direction."""
    retrieval_interval: Interval | None = None
    xsim: Interval | None = None
    xsim_cosine: Interval | None = None
    auc_hard: float | None = None
    auc_hard_interval: Interval | None = None
    auc_random: float | None = None
    mexa: float | None = None
    mexa_interval: Interval | None = None
    cka: float | None = None
    cka_unbiased: float | None = None
    true_mean: float | None = None
    wrong_mean: float | None = None
    supported: bool = True
    """Whether the model claims to support both languages."""


class Calibration(_Part):
    """The result of ``curate calibrate`` for one encoder."""

    format: Literal[1] = 1
    model: str
    """``name@revision``."""
    anchors: AnchorsUsed
    asked: CalibrationSettings = CalibrationSettings()
    pairs: Mapping[str, PairCalibration]
    """``en-sw`` → results."""

    def to_yaml(self) -> str:
        """The file's text; equal calibrations give equal text."""
        data = self.model_dump(mode="json", exclude_none=True)
        for pair in data["pairs"].values():
            if not pair["reason"]:
                del pair["reason"]
            if pair["supported"]:
                del pair["supported"]
        return _HEAD + yaml.dump(data, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=160)

    def write(self, path: Path) -> None:
        """Writes the file atomically.

        Raises:
            StepError: it cannot be written there.
        """
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(self.to_yaml(), encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise StepError(f"{path} cannot be written: {error.strerror or error}") from None

    def thresholds(self) -> Thresholds:
        """The part that steps use for decisions."""
        pairs = {
            name: PairThreshold(verdict=one.verdict, threshold=one.threshold, recall=one.recall)
            for name, one in sorted(self.pairs.items())
        }
        return Thresholds(model=self.model, precision=self.asked.precision, pairs=pairs)


def read_calibration(path: Path) -> Calibration:
    """Reads a file that ``curate calibrate`` wrote.

    Raises:
        StepError: it does not exist, or is not a calibration.
    """
    try:
        data = yaml.safe_load(regular(path).read_text(encoding="utf-8"))
    except OSError as error:
        problem = "there is no calibration" if isinstance(error, FileNotFoundError) else f"{error.strerror or error}:"
        raise StepError(f"{problem} {path}; 'curate calibrate MODEL --out FILE' writes one") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StepError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    try:
        return Calibration.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise StepError(
            f"{path} is not a calibration ({place + ': ' if place else ''}{first['msg']}); "
            "'curate calibrate MODEL --out FILE' writes one"
        ) from None


# --------------------------------------------------------------------------------------------------------- what decides
class PairThreshold(_Part):
    """The threshold of one language pair."""

    verdict: Verdict
    threshold: Annotated[float, Field(ge=-1, le=1)] | None = None
    recall: Annotated[float, Field(ge=0, le=1)] | None = None


class Thresholds(_Part):
    """The thresholds of a calibration."""

    model: str
    precision: Annotated[float, Field(ge=0, le=1)]
    pairs: Mapping[str, PairThreshold]

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    @cached_property
    def _by_language(self) -> dict[frozenset[tuple[str, str]], tuple[str, PairThreshold]]:
        entries: dict[frozenset[tuple[str, str]], tuple[str, PairThreshold]] = {}
        for name, one in self.pairs.items():
            left, right = split_pair(name)
            entries.setdefault(frozenset((_key(left), _key(right))), (name, one))
        return entries

    def find(self, left: str, right: str) -> tuple[str, PairThreshold] | None:
        """The entry for two languages, in either order; ``pt`` also applies to ``pt-BR``, but ``hi`` not to
        ``hi-Latn``."""
        for name in (f"{left}-{right}", f"{right}-{left}"):
            if name in self.pairs:
                return name, self.pairs[name]
        return self._by_language.get(frozenset((_key(left), _key(right))))


def split_pair(text: str) -> tuple[str, str]:
    """Splits ``en-zh-Hant`` or ``eng_Latn:zho_Hant`` into two canonical tags.

    Raises:
        ValueError: it is not two languages.
    """
    parts = [part for part in _BETWEEN.split(text.strip(), maxsplit=1) if part]
    if len(parts) != 2:
        raise ValueError(f"'{text}' is not a language pair; write 'en-sw'")
    try:
        return languages.normalize(parts[0]), languages.normalize(parts[1])
    except languages.InvalidLanguage as error:
        raise ValueError(f"'{text}' is not a language pair: {error}") from None


def _key(tag: str) -> tuple[str, str]:
    return languages.base(tag), languages.script(tag)


def _read(value: Any, info: ValidationInfo) -> Any:
    """Replaces a path in a catalog by the file's content, so that the path is stored nowhere."""
    if not isinstance(value, str | Path):
        return value
    folder = (info.context or {}).get("folder") if isinstance(info.context, Mapping) else None
    path = Path(value).expanduser()
    try:
        return read_calibration(Path(folder) / path if folder is not None else path).thresholds()
    except StepError as error:
        raise ValueError(str(error)) from None


CalibrationFile = Annotated[
    Thresholds,
    BeforeValidator(_read),
    WithJsonSchema({"type": "string", "description": "A file that curate calibrate wrote."}),
]
"""In a catalog the path of a calibration; after validation its content."""


class _Dumper(yaml.SafeDumper):
    """Lists on one line: intervals are two numbers."""


_Dumper.add_representer(
    list, lambda dumper, data: dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)
)

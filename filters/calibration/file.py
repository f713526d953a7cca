"""A calibration is a small file that says, for one encoder, which language pairs it can judge and from which cosine on.

``curate calibrate`` writes it, a catalog names it (``similarity: {calibration: …, min: calibrated}``). It counts by
what it says, never by where it lies: its thresholds are decisions, so other thresholds score nothing again.
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
# Where a tag ends and the next begins: scripts have four letters, regions capitals or digits, variants five letters and
# more.
_BETWEEN = regex.compile(r"(?:(?<=.)-(?=[a-z]{2,3}(?:[-_]|$)))|[:→>]")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, protected_namespaces=())


class Asked(_Part):
    """What was asked of a calibration."""

    precision: Annotated[float, Field(gt=0, lt=1)] = 0.98
    """Wanted share of good pairs among those kept."""
    bad: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Assumed share of bad pairs in the data, each as near as a hard negative."""
    among: Annotated[int, Field(ge=1)] = 20
    """A hard negative is the nearest of so many wrong sentences."""
    least: Annotated[int, Field(ge=5)] = 30
    """With fewer anchors a pair is not checked."""
    most: Annotated[int, Field(ge=5)] = 1000
    """Of more anchors a fair sample of so many is taken."""


class AnchorsUsed(_Part):
    """Which parallel sentences were used."""

    name: str
    license: str
    version: str = ""
    digest: str
    """Of all their texts, keys and languages."""
    languages: int
    sentences: int


class PairCalibration(_Part):
    """What was found of one language pair; see :mod:`filters.calibration.metrics` for each figure."""

    verdict: Verdict
    reason: str = ""
    """Why it is not trusted."""
    anchors: int = 0
    threshold: float | None = None
    """Least cosine with the wanted precision."""
    threshold_interval: Interval | None = None
    recall: float | None = None
    """Share of true pairs that reach it."""
    recall_interval: Interval | None = None
    precision: float | None = None
    retrieval: Interval | None = None
    """One way and the other."""
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
    """Whether the model says that it supports both languages."""


class Calibration(_Part):
    """What ``curate calibrate`` found of one encoder."""

    format: Literal[1] = 1
    model: str
    """``name@revision``."""
    anchors: AnchorsUsed
    asked: Asked = Asked()
    pairs: Mapping[str, PairCalibration]
    """``en-sw`` → what was found."""

    def to_yaml(self) -> str:
        """The file's text: the same calibration gives the same text."""
        data = self.model_dump(mode="json", exclude_none=True)
        for pair in data["pairs"].values():
            if not pair["reason"]:
                del pair["reason"]
            if pair["supported"]:
                del pair["supported"]
        return _HEAD + yaml.dump(data, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=160)

    def write(self, path: Path) -> None:
        """Writes the file whole or not at all.

        Raises:
            StepError: it cannot be written there.
        """
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(self.to_yaml(), encoding="utf-8")
            beside.replace(path)
        except OSError as error:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise StepError(f"{path} cannot be written: {error.strerror or error}") from None

    def thresholds(self) -> Thresholds:
        """What of it decides."""
        pairs = {
            name: PairThreshold(verdict=one.verdict, threshold=one.threshold, recall=one.recall)
            for name, one in sorted(self.pairs.items())
        }
        return Thresholds(model=self.model, precision=self.asked.precision, pairs=pairs)


def read_calibration(path: Path) -> Calibration:
    """A file that ``curate calibrate`` wrote.

    Raises:
        StepError: it is not there, or no calibration.
    """
    try:
        data = yaml.safe_load(regular(path).read_text(encoding="utf-8"))
    except OSError as error:
        said = "there is no calibration" if isinstance(error, FileNotFoundError) else f"{error.strerror or error}:"
        raise StepError(f"{said} {path}; 'curate calibrate MODEL --out FILE' writes one") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StepError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    try:
        return Calibration.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise StepError(
            f"{path} is no calibration ({place + ': ' if place else ''}{first['msg']}); 'curate calibrate MODEL --out "
            "FILE' writes one"
        ) from None


# --------------------------------------------------------------------------------------------------------- what decides
class PairThreshold(_Part):
    """What decides about rows of one language pair."""

    verdict: Verdict
    threshold: Annotated[float, Field(ge=-1, le=1)] | None = None
    recall: Annotated[float, Field(ge=0, le=1)] | None = None


class Thresholds(_Part):
    """Of a calibration, what decides."""

    model: str
    precision: Annotated[float, Field(ge=0, le=1)]
    pairs: Mapping[str, PairThreshold]

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    @cached_property
    def _by_language(self) -> dict[frozenset[tuple[str, str]], tuple[str, PairThreshold]]:
        found: dict[frozenset[tuple[str, str]], tuple[str, PairThreshold]] = {}
        for name, one in self.pairs.items():
            left, right = split_pair(name)
            found.setdefault(frozenset((_key(left), _key(right))), (name, one))
        return found

    def find(self, left: str, right: str) -> tuple[str, PairThreshold] | None:
        """The entry for two languages, whichever comes first; ``pt`` answers for ``pt-BR``, but not ``hi`` for
        ``hi-Latn``."""
        for name in (f"{left}-{right}", f"{right}-{left}"):
            if name in self.pairs:
                return name, self.pairs[name]
        return self._by_language.get(frozenset((_key(left), _key(right))))


def split_pair(text: str) -> tuple[str, str]:
    """``en-zh-Hant``, ``eng_Latn:zho_Hant``: two canonical tags.

    Raises:
        ValueError: that are not two languages.
    """
    parts = [part for part in _BETWEEN.split(text.strip(), maxsplit=1) if part]
    if len(parts) != 2:
        raise ValueError(f"'{text}' is no language pair; write 'en-sw'")
    try:
        return languages.normalize(parts[0]), languages.normalize(parts[1])
    except languages.InvalidLanguage as error:
        raise ValueError(f"'{text}' is no language pair: {error}") from None


def _key(tag: str) -> tuple[str, str]:
    return languages.base(tag), languages.script(tag)


def _read(value: Any, info: ValidationInfo) -> Any:
    """A path in a catalog becomes what the file says, so that the path is nowhere else."""
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
"""In a catalog the path of a calibration; what it says once it is read."""


class _Dumper(yaml.SafeDumper):
    """Lists on one line: intervals are two numbers."""


_Dumper.add_representer(
    list, lambda dumper, data: dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)
)

"""Exports a sample of a dataset for human annotation, and imports the labels.

:func:`export` writes a stratified sample of a version for a spreadsheet, Argilla or Label Studio, without earlier
scores and verdicts. :func:`import_` reads the annotated files of several people into one file of labels. The step
``labels`` joins these by row id; rows with human verdicts (``gold`` of ``judge``) and pairs of correction and original
are made from them too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import regex

from curate.catalog.suggestions import nearest
from curate.engine.store.copies import note_copy
from curate.engine.store.store import Store, write_atomically
from curate.errors import StepError
from curate.preferences.review.annotation_tools import format_of, read, targets, write
from curate.preferences.review.labels_file import (
    RATINGS,
    VERDICTS,
    Label,
    Verdict,
    by_row,
    exclusive_labels,
    is_id,
    read_labels,
    write_labels,
)
from curate.preferences.review.sampling import Share, Version, earlier_verdicts, rows_by_language, sample_of
from curate.preferences.review.sheet import INSTRUCTIONS, SIDES, AnnotationBatch, entry_of, side_of
from curate.rows import Kind, payload, present

_SHOWN = 20
_NUMBER = regex.compile(r"\p{Nd}(?:[.,]\p{Nd}+)?")


@dataclass(frozen=True)
class Exported:
    """The result of an export."""

    files: tuple[Path, ...]
    rows: int
    strata: Mapping[tuple[str, ...], tuple[int, int]]
    """Stratum → (rows in it, rows sampled)."""
    languages: Mapping[str, int]
    cut: int = 0
    """Number of texts cut because they are too long for a cell."""
    other_kinds: int = 0
    """Rejected rows of another kind, which are not exported."""


@dataclass
class Imported:
    """The result of an import."""

    labels: int = 0
    """Number of labels in the file now."""
    new: int = 0
    changed: int = 0
    """Labels that replaced another label of the same annotator and row."""
    unanswered: int = 0
    problems: list[str] = field(default_factory=list)
    """Entries that could not be imported, with file and line."""
    disagreements: dict[str, list[str]] = field(default_factory=dict)
    """Row → verdict of each annotator (``mary: good``), where they differ; all are kept."""
    gold: int = 0
    """Number of gold rows written."""
    pairs: int = 0
    """Number of pairs of correction and original written."""


# --------------------------------------------------------------------------------------------------------------- export
def export(
    store: Store,
    name: str,
    to: str | Path,
    *,
    sample: int | None = 200,
    by: Sequence[str] = ("language",),
    share: Share = "equal",
    format: str | None = None,
    rejected: bool = False,
    blind: bool = True,
    seed: int = 0,
    instructions: str | None = None,
    overwrite: bool = False,
) -> Exported:
    """Does what :func:`curate.review_export` says."""
    path = Path(to)
    form = format_of(path, format)
    if sample is not None and sample < 1:
        raise StepError(f"review: a sample needs at least one row, not {sample}")
    existing = [one for one in targets(path, form) if one.exists()]
    if existing and not overwrite:
        raise StepError(f"{existing[0]} exists, and may have annotations; use another name, or --overwrite")
    version = Version.open(store, name, rejected=rejected)
    chosen = sample_of(version, sample, tuple(by), share, seed)
    if not chosen.rows:
        raise StepError(f"review: {name} has no rows")
    entries = [
        entry_of(version.kind, row, seed, shown=None if blind else earlier_verdicts(part, row))
        for part, row in chosen.rows
    ]
    text = INSTRUCTIONS[version.kind is Kind.PREFERENCE] if instructions is None else instructions
    batch = AnnotationBatch(f"{version.name}@{version.version}", version.kind, entries, text)
    cut = write(batch, path, form)
    note_copy(store, version.name, version.version, path)
    languages = rows_by_language(chosen)
    return Exported(tuple(targets(path, form)), len(entries), chosen.strata, languages, cut, version.other_kinds)


# --------------------------------------------------------------------------------------------------------------- import
def import_(
    files: Iterable[str | Path],
    into: str | Path,
    *,
    of: str | None = None,
    store: Store | None = None,
    annotator: str | None = None,
    gold: str | Path | None = None,
    pairs: str | Path | None = None,
) -> Imported:
    """Does what :func:`curate.review_import` says."""
    target, result = Path(into), Imported()
    version = None if of is None or store is None else Version.open(store, of, rejected=True)
    if version is None and (gold is not None or pairs is not None):
        raise StepError("review: 'gold' and 'pairs' need 'of', the annotated dataset")
    new: dict[tuple[str, str], Label] = {}
    lines = 0
    for file in map(Path, files):
        if not file.exists():
            raise StepError(f"{file} does not exist")
        for seen, label, problem in _labels(file, annotator or file.stem):
            lines += 1
            if problem:
                result.problems.append(f"{seen}: {problem}")
            elif label is None:
                result.unanswered += 1
            else:
                before = new.get(label.key)
                if before is not None and before.content != label.content:
                    result.problems.append(
                        f"{seen}: {label.annotator or 'the same annotator'} has another label for row {label.id} in "
                        f"{before.seen}; this one counts"
                    )
                new[label.key] = label
    if not lines:
        raise StepError("review: there are no rows in these files")
    rows = _rows(version, [*new.values()], result)
    with exclusive_labels(target):
        kept = {one.key: one for one in read_labels([target])} if target.exists() else {}
        result.new = sum(key not in kept for key in new)
        result.changed = sum(key in kept and kept[key].content != one.content for key, one in new.items())
        kept |= new
        write_labels(target, kept.values())
    result.labels = len(kept)
    result.disagreements = _disagreements(kept.values())
    if version is not None and (gold is not None or pairs is not None):
        rows = rows | version.find({one for one, _ in kept} - set(rows))
        result.gold = 0 if gold is None else _write_rows(Path(gold), _gold(version.kind, rows, kept.values()))
        result.pairs = 0 if pairs is None else _write_rows(Path(pairs), _pairs(version.kind, rows, kept.values()))
    return result


def _labels(file: Path, annotator: str) -> Iterator[tuple[str, Label | None, str]]:
    """(place, label, problem) of each row of an annotated file, or of a file of labels (as `curate view` writes it)."""
    if _holds_labels(file):
        for label in read_labels([file]):
            seen = label.seen or f"{file.name}, row {label.id}"
            yield seen, replace(label, seen=seen, annotator=label.annotator or annotator), ""
        return
    for place, columns in read(file):
        seen = f"{file.name}, {place}"
        yield seen, *_label(columns, seen, annotator)


def _holds_labels(file: Path) -> bool:
    """Whether a file holds labels: lines of an annotated file have a key beside the id."""
    if file.suffix != ".jsonl" or not file.is_file():
        return file.suffix == ".parquet"
    with file.open("rb") as lines:
        try:
            first = orjson.loads(next((line for line in lines if line.strip()), b"null").removeprefix(b"\xef\xbb\xbf"))
        except orjson.JSONDecodeError:
            return False
    return isinstance(first, dict) and "annotator" in first and "key" not in first


def _label(columns: Mapping[str, str], place: str, annotator: str) -> tuple[Label | None, str]:
    """(label, problem); neither if the row was not annotated."""
    row = columns.get("id", "").strip().casefold()
    if not columns.get("id"):
        return None, "there is no column 'id' with the row's id"
    if not is_id(row):
        return None, f"'{columns['id'][:60]}' is not a row id"
    side = side_of(row, columns.get("key", ""))
    if side is None:
        key = columns.get("key", "")[:20]
        return None, f"the key '{key}' does not belong to row {row}: an id or a key was changed, or cells were moved"
    values: dict[str, Any] = {}
    problems = []
    for name in ("choice", "verdict", "rating"):
        text = columns.get(name, "").strip()
        if text:
            values[name], problem = _value(name, text, side)
            problems += [problem] if problem else []
    if problems:
        return None, "; ".join(problems)
    for name in ("correction", "comment"):
        values[name] = columns.get(name, "").replace("\r\n", "\n").strip() or None
    label = Label(
        id=row,
        annotator=columns.get("annotator", "").strip() or annotator,
        **values,
        kind="" if side == "row" else Kind.PREFERENCE.value,
        language=columns.get("language", "").strip(),
        seen=place,
    )
    return (label if label.has_content else None), ""


def _value(name: str, text: str, side: str) -> tuple[Any, str]:
    """(value, problem) of an answer."""
    plain = text.casefold().strip(" .*\"'")
    if name == "rating":
        digits = _NUMBER.fullmatch(plain)
        value = float(digits[0].replace(",", ".")) if digits else 0.0
        if RATINGS[0] <= value <= RATINGS[1]:
            return value, ""
        return None, f"rating '{text}' is not a number from {RATINGS[0]} to {RATINGS[1]}"
    if name == "verdict":
        known: Sequence[str] = VERDICTS
        verdict: Verdict | None = next((one for one in VERDICTS if one == plain), None)
        problem = f"verdict '{text}' is not one of {', '.join(known)}{nearest(plain, known)}"
        return verdict, "" if verdict else problem
    if side == "row":
        return None, f"choice '{text}': the row is not a pair"
    if plain == "tie":
        return "tie", ""
    shown = {letter.casefold(): letter for letter in SIDES}.get({"ａ": "a", "ｂ": "b"}.get(plain, plain))
    if shown is None:
        return None, f"choice '{text}' is not one of A, B, tie"
    return ("chosen" if (shown == "A") == (side == "chosen") else "rejected"), ""


def _rows(version: Version | None, labels: Sequence[Label], result: Imported) -> dict[str, dict[str, Any]]:
    """The labelled rows; reports ids that the dataset does not have."""
    if version is None:
        return {}
    rows = version.find({one.id for one in labels})
    result.problems += [
        f"{one.seen}: {version.name}@{version.version} has no row {one.id} (the label is kept)"
        for one in labels
        if one.id not in rows
    ]
    return rows


def _disagreements(labels: Iterable[Label]) -> dict[str, list[str]]:
    disagreements = {}
    for row, of_row in by_row(labels).items():
        verdicts = [(one.annotator, one.choice or one.verdict) for one in of_row if one.choice or one.verdict]
        if len({word for _, word in verdicts}) > 1:
            disagreements[row] = [f"{annotator}: {word}" for annotator, word in verdicts]
    return disagreements


# ---------------------------------------------------------------------------------------------------------------- rows
def _gold(kind: Kind, rows: Mapping[str, dict[str, Any]], labels: Iterable[Label]) -> list[dict[str, Any]]:
    """Rows with the human verdict: pairs with the better answer as chosen (ties have 0); other rows with the mean
    rating or, without ratings, the mean of good (5), unsure (3) and bad (1)."""
    made = []
    for row, of_row in by_row(labels).items():
        values = [value for one in of_row if (value := one.value) is not None]
        ratings = [one.rating for one in of_row if one.rating is not None]
        if row not in rows or not (values or ratings):
            continue
        new = _payload(kind, rows[row])
        if kind is Kind.PREFERENCE:
            if not values:
                continue
            score = sum(values) / len(values)
            if score < 0:
                new["chosen"], new["rejected"] = new["rejected"], new["chosen"]
            score = abs(score)
        else:
            score = sum(ratings) / len(ratings) if ratings else 3 + 2 * sum(values) / len(values)
        made.append({**new, "gold": round(score, 6), "people": len(of_row), "row": row})
    return made


def _pairs(kind: Kind, rows: Mapping[str, dict[str, Any]], labels: Iterable[Label]) -> list[dict[str, Any]]:
    """A preference row for each correction that differs from the original."""
    made = []
    for one in sorted(labels, key=lambda one: one.key):
        if one.correction is None or one.id not in rows:
            continue
        row = rows[one.id]
        if kind is Kind.SFT:
            prompt, last = row["messages"][:-1], row["messages"][-1]
            if last["role"] != "assistant" or last["tool_calls"]:
                continue
            answer = last["content"]
        elif kind is Kind.UNPAIRED and len(row["completion"]) == 1 and not row["completion"][0]["tool_calls"]:
            prompt, answer = row["prompt"], row["completion"][0]["content"]
        else:
            continue
        if answer.strip() != one.correction:
            made.append(
                {
                    "prompt": present(list(prompt)),
                    "chosen": [{"role": "assistant", "content": one.correction}],
                    "rejected": [{"role": "assistant", "content": answer}],
                    "language": row["language"],
                    "group_id": row["group_id"],
                    "annotator": one.annotator,
                    "row": one.id,
                }
            )
    return made


def _payload(kind: Kind, row: Mapping[str, Any]) -> dict[str, Any]:
    from curate.rows import present

    return {
        **present({name: row[name] for name in payload(kind)}),
        "language": row["language"],
        "group_id": row["group_id"],
    }


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, b"".join(orjson.dumps(row) + b"\n" for row in rows))
    except OSError as error:
        raise StepError(f"{path} cannot be written: {error.strerror or error}") from None
    return len(rows)


def summary(result: Imported) -> str:
    """The result of an import, in a few lines."""
    lines = [
        f"{result.labels:,} labels ({result.new:,} new, {result.changed:,} changed), "
        f"{result.unanswered:,} rows without an answer"
    ]
    if result.disagreements:
        kinds = Counter(
            " / ".join(sorted({one.rpartition(": ")[2] for one in verdicts}))
            for verdicts in result.disagreements.values()
        )
        counts = ", ".join(f"{count:,} {name}" for name, count in kinds.most_common())
        lines.append(f"{len(result.disagreements):,} rows on which annotators differ: {counts}")
    lines += [f"{result.gold:,} gold rows"] * bool(result.gold)
    lines += [f"{result.pairs:,} corrections as pairs"] * bool(result.pairs)
    lines += result.problems[:_SHOWN]
    if len(result.problems) > _SHOWN:
        lines.append(f"… and {len(result.problems) - _SHOWN:,} more like these")
    return "\n".join(lines)

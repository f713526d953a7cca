"""People look at a sample of a dataset, and what they say comes back as labels of its rows: two functions, and files between them.

:func:`review_export` writes a stratified sample of a version for a spreadsheet, Argilla or Label Studio, without what was thought of the rows before;
:func:`review_import` reads what came back, from several people, and keeps it in one file of labels, which the step ``labels`` merges by row id
and from which rows with people's verdicts (``gold`` of ``judge``) and pairs of correction and original are made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
    is_id,
    read_labels,
    write_labels,
)
from curate.preferences.review.sampling import Share, Version, counted, sample_of, told_of
from curate.preferences.review.sheet import INSTRUCTIONS, SIDES, Sheet, entry_of, side_of
from curate.rows import Kind

_SHOWN = 20
_NUMBER = regex.compile(r"\p{Nd}(?:[.,]\p{Nd}+)?")


@dataclass(frozen=True)
class Exported:
    """What an export wrote."""

    files: tuple[Path, ...]
    rows: int
    strata: Mapping[tuple[str, ...], tuple[int, int]]
    """Stratum → (rows there are, rows taken)."""
    languages: Mapping[str, int]
    cut: int = 0
    """How many texts were cut because a cell takes no longer ones."""
    other_kinds: int = 0
    """Rejected rows of another kind, which are not among these."""


@dataclass
class Imported:
    """What an import found."""

    labels: int = 0
    """How many labels the file holds now."""
    new: int = 0
    changed: int = 0
    """Labels of the same person and row that say something else than before."""
    unanswered: int = 0
    problems: list[str] = field(default_factory=list)
    """What could not be taken, each with file and line."""
    disagreements: dict[str, list[str]] = field(default_factory=dict)
    """Row → what each person says (``mary: good``), where people differ; all are kept."""
    gold: int = 0
    """How many gold rows were written."""
    pairs: int = 0
    """How many pairs of correction and original were written."""


# ----------------------------------------------------------------------------------------------------------------- export
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
    """Writes a sample of a version for people to look at.

    Args:
        name: ``name`` or ``name@ref``.
        to: the file; for ``argilla`` a folder.
        sample: how many rows; None for all.
        by: of what each value has its share: ``language``, ``status``, ``step``, ``reason``, ``split``, ``source``, ``maker``, ``attribute.NAME``.
        share: ``equal``: as many rows of each as far as it has them; ``proportional``: by its size.
        format: ``csv``, ``tsv``, ``jsonl``, ``xlsx``, ``argilla``, ``label-studio``; by the file's name if left out.
        rejected: also rows that steps dropped (of the dataset's own kind).
        blind: not to show scores and verdicts that rows have already.
        seed: other rows, and another order of answers.
        instructions: what people are asked to do, in place of the shipped words.
        overwrite: write over files that are there, with whatever people filled in.

    Raises:
        StepError: there are no rows, the format is not known, a file is there already.
        StoreError: there is no such version.
    """
    path = Path(to)
    form = format_of(path, format)
    if sample is not None and sample < 1:
        raise StepError(f"review: a sample has at least one row, not {sample}")
    there = [one for one in targets(path, form) if one.exists()]
    if there and not overwrite:
        raise StepError(
            f"{there[0]} is there already, and may hold what people filled in; take another name, or say --overwrite"
        )
    version = Version.open(store, name, rejected=rejected)
    chosen = sample_of(version, sample, tuple(by), share, seed)
    if not chosen.rows:
        raise StepError(f"review: {name} has no rows")
    entries = [
        entry_of(version.kind, row, seed, shown=None if blind else told_of(part, row)) for part, row in chosen.rows
    ]
    told = INSTRUCTIONS[version.kind is Kind.PREFERENCE] if instructions is None else instructions
    cut = write(Sheet(f"{version.name}@{version.version}", version.kind, entries, told), path, form)
    note_copy(store, version.name, version.version, path)
    return Exported(tuple(targets(path, form)), len(entries), chosen.strata, counted(chosen), cut, version.other_kinds)


# ----------------------------------------------------------------------------------------------------------------- import
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
    """Reads what people filled in, and merges it into a file of labels.

    Args:
        files: what came back (a file or an Argilla folder for each person, or several people in one).
        into: the file of labels (.jsonl or .parquet); labels that it holds stay, unless the same person says something else of the same row.
        of: the dataset (``name`` or ``name@ref``), to find ids that it does not have; needed for ``gold`` and ``pairs``.
        annotator: who filled it in, where the files do not say; by default the file's name.
        gold: a file for rows with people's verdict: the better answer of a preference row as ``chosen``, any other row with the score ``gold``.
        pairs: a file for preference rows in which a person's correction is chosen over the answer as it was.

    Raises:
        StepError: a file cannot be read at all, or nothing in it is a label.
        StoreError: there is no such version.
    """
    target, found = Path(into), Imported()
    version = None if of is None or store is None else Version.open(store, of, rejected=True)
    if version is None and (gold is not None or pairs is not None):
        raise StepError("review: 'gold' and 'pairs' need 'of', the dataset that was reviewed")
    read_now: dict[tuple[str, str], Label] = {}
    lines = 0
    for file in map(Path, files):
        if not file.exists():
            raise StepError(f"{file} is not there")
        for place, given in read(file):
            lines += 1
            label, problem = _label(given, f"{file.name}, {place}", annotator or file.stem)
            if problem:
                found.problems.append(f"{file.name}, {place}: {problem}")
            elif label is None:
                found.unanswered += 1
            else:
                before = read_now.get(label.key)
                if before is not None and before.content != label.content:
                    found.problems.append(
                        f"{file.name}, {place}: {label.annotator or 'the same person'} says something else of row {label.id} than in {before.seen}; this one counts"
                    )
                read_now[label.key] = label
    if not lines:
        raise StepError("review: there are no rows in these files")
    rows = _rows(version, [*read_now.values()], found)
    kept = {one.key: one for one in read_labels([target])} if target.exists() else {}
    found.new = sum(key not in kept for key in read_now)
    found.changed = sum(key in kept and kept[key].content != one.content for key, one in read_now.items())
    kept |= read_now
    write_labels(target, kept.values())
    found.labels = len(kept)
    found.disagreements = _disagreements(kept.values())
    if version is not None and (gold is not None or pairs is not None):
        rows = rows | version.find({one for one, _ in kept} - set(rows))
        found.gold = 0 if gold is None else _write_rows(Path(gold), _gold(version.kind, rows, kept.values()))
        found.pairs = 0 if pairs is None else _write_rows(Path(pairs), _pairs(version.kind, rows, kept.values()))
    return found


def _label(given: Mapping[str, str], place: str, annotator: str) -> tuple[Label | None, str]:
    """(label, what is wrong): neither, where nothing was filled in."""
    row = given.get("id", "").strip().casefold()
    if not is_id(row):
        return None, f"'{given.get('id', '')[:60]}' is no row id" if given.get(
            "id"
        ) else "there is no column 'id' with the row's id"
    side = side_of(row, given.get("key", ""))
    if side is None:
        return (
            None,
            f"the key '{given.get('key', '')[:20]}' does not belong to row {row}: an id or a key was changed, or cells were moved",
        )
    who = given.get("annotator", "").strip() or annotator
    said: dict[str, Any] = {}
    problems = []
    for name in ("choice", "verdict", "rating"):
        text = given.get(name, "").strip()
        if text:
            value, problem = _read(name, text, side)
            said[name] = value
            problems += [problem] if problem else []
    if problems:
        return None, "; ".join(problems)
    for name in ("correction", "comment"):
        text = given.get(name, "").replace("\r\n", "\n").strip()
        said[name] = text or None
    kind = "" if side == "row" else Kind.PREFERENCE.value
    label = Label(
        row,
        who,
        said.get("verdict"),
        said.get("choice"),
        said.get("rating"),
        said["correction"],
        said["comment"],
        kind,
        given.get("language", "").strip(),
        place,
    )
    return (label if label.says else None), ""


def _read(name: str, text: str, side: str) -> tuple[Any, str]:
    """(what an answer says, what is wrong with it)."""
    plain = text.casefold().strip(" .*\"'")
    if name == "rating":
        digits = _NUMBER.fullmatch(plain)
        value = float(digits[0].replace(",", ".")) if digits else 0.0
        return (
            (value, "")
            if RATINGS[0] <= value <= RATINGS[1]
            else (None, f"rating '{text}' is no number from {RATINGS[0]} to {RATINGS[1]}")
        )
    if name == "verdict":
        known: Sequence[str] = VERDICTS
        verdict: Verdict | None = next((one for one in VERDICTS if one == plain), None)
        return verdict, "" if verdict else f"verdict '{text}' is none of {', '.join(known)}{nearest(plain, known)}"
    if side == "row":
        return None, f"choice '{text}': the row is no pair"
    if plain == "tie":
        return "tie", ""
    shown = {letter.casefold(): letter for letter in SIDES}.get({"ａ": "a", "ｂ": "b"}.get(plain, plain))
    if shown is None:
        return None, f"choice '{text}' is none of A, B, tie"
    return ("chosen" if (shown == "A") == (side == "chosen") else "rejected"), ""


def _rows(version: Version | None, labels: Sequence[Label], found: Imported) -> dict[str, dict[str, Any]]:
    """The rows that are labelled; tells of ids that the dataset does not have."""
    if version is None:
        return {}
    rows = version.find({one.id for one in labels})
    found.problems += [
        f"{one.seen}: {version.name}@{version.version} has no row {one.id} (the label is kept)"
        for one in labels
        if one.id not in rows
    ]
    return rows


def _disagreements(labels: Iterable[Label]) -> dict[str, list[str]]:
    found = {}
    for row, listed in by_row(labels).items():
        said = [(one.annotator, one.choice or one.verdict) for one in listed if one.choice or one.verdict]
        if len({word for _, word in said}) > 1:
            found[row] = [f"{who}: {word}" for who, word in said]
    return found


# ---------------------------------------------------------------------------------------------------------------- rows
def _gold(kind: Kind, rows: Mapping[str, dict[str, Any]], labels: Iterable[Label]) -> list[dict[str, Any]]:
    """Rows with what people say of them: pairs the better answer first, ties with 0, others with the mean rating, or, where
    nobody rated, the mean of good (5), unsure (3) and bad (1)."""
    made = []
    for row, listed in by_row(labels).items():
        values = [value for one in listed if (value := one.value) is not None]
        ratings = [one.rating for one in listed if one.rating is not None]
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
        made.append({**new, "gold": round(score, 6), "people": len(listed), "row": row})
    return made


def _pairs(kind: Kind, rows: Mapping[str, dict[str, Any]], labels: Iterable[Label]) -> list[dict[str, Any]]:
    """A preference row for each correction that differs from what stood there."""
    made = []
    for one in sorted(labels, key=lambda one: one.key):
        if one.correction is None or one.id not in rows:
            continue
        row = rows[one.id]
        if kind is Kind.SFT:
            prompt, old = row["messages"][:-1], row["messages"][-1]
            if old["role"] != "assistant":
                continue
            prompt, answer = prompt, old["content"]
        elif kind is Kind.UNPAIRED and len(row["completion"]) == 1:
            prompt, answer = row["prompt"], row["completion"][0]["content"]
        else:
            continue
        if answer.strip() != one.correction:
            said = [[{"role": "assistant", "content": text}] for text in (one.correction, answer)]
            made.append(
                {
                    "prompt": prompt,
                    "chosen": said[0],
                    "rejected": said[1],
                    "language": row["language"],
                    "group_id": row["group_id"],
                    "annotator": one.annotator,
                    "row": one.id,
                }
            )
    return made


def _payload(kind: Kind, row: Mapping[str, Any]) -> dict[str, Any]:
    from curate.rows.kinds import payload

    return {**{name: row[name] for name in payload(kind)}, "language": row["language"], "group_id": row["group_id"]}


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, b"".join(orjson.dumps(row) + b"\n" for row in rows))
    except OSError as error:
        raise StepError(f"{path} cannot be written: {error.strerror or error}") from None
    return len(rows)


def told(found: Imported) -> str:
    """What an import found, in a few lines."""
    lines = [
        f"{found.labels:,} labels ({found.new:,} new, {found.changed:,} changed), {found.unanswered:,} rows without an answer"
    ]
    if found.disagreements:
        kinds = Counter(
            " / ".join(sorted({one.rpartition(": ")[2] for one in said})) for said in found.disagreements.values()
        )
        lines.append(
            f"{len(found.disagreements):,} rows on which people differ: "
            + ", ".join(f"{count:,} {name}" for name, count in kinds.most_common())
        )
    lines += [f"{found.gold:,} gold rows"] * bool(found.gold) + [f"{found.pairs:,} corrections as pairs"] * bool(
        found.pairs
    )
    lines += found.problems[:_SHOWN]
    if len(found.problems) > _SHOWN:
        lines.append(f"… and {len(found.problems) - _SHOWN:,} more like these")
    return "\n".join(lines)

"""``curate calibrate``: which language pairs an encoder can judge, as a table, and as the file that a catalog
refers to; and which thresholds labels speak for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from filters.calibration.file import Calibration
    from outputs.view.labelled_thresholds import ReviewedThreshold

Model = Annotated[
    str,
    typer.Argument(help="A model of the catalog, or the name of an installed encoder; with --labels, a dataset."),
]
Labels = Annotated[
    list[Path] | None,
    typer.Option("--labels", help="Labels of rows of that dataset: find the best threshold for each language."),
]
Threshold = Annotated[str, typer.Option("--threshold", help="With --labels: which one, such as similarity.min.")]
Write = Annotated[bool, typer.Option("--write", help="With --labels: write the values into the catalog.")]
Files = Annotated[
    list[Path] | None,
    typer.Option(
        "--anchors",
        help="Parallel sentences in place of the shipped ones: FLORES-like folder, X-Y.X files, TMX, TSV, CSV, JSON lines.",  # noqa: E501
    ),
]
License = Annotated[str, typer.Option("--license", help="Of those sentences.")]
Pairs = Annotated[
    str, typer.Option("--pairs", help="en-sw,en-de or all; by default the pivot with each other language.")
]
Pivot = Annotated[str, typer.Option("--pivot", help="The language on one side.")]
Precision = Annotated[
    float, typer.Option("--precision", help="Wanted share of good pairs (or right rows) among those kept.")
]
Bad = Annotated[float, typer.Option("--bad", help="Assumed share of bad pairs in the data.")]
Among = Annotated[int, typer.Option("--among", help="A hard negative is the nearest of so many wrong sentences.")]
Least = Annotated[
    int, typer.Option("--least", help="With fewer anchors (or labels) a pair (or language) is not checked.")
]
Most = Annotated[int, typer.Option("--most", help="Of more anchors a fair sample of so many is taken.")]
Unsupported = Annotated[
    bool, typer.Option("--unsupported", help="Also measure languages that the model does not say it supports.")
]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="The file to write, for 'calibration:' in the catalog.")]
Json = Annotated[bool, typer.Option("--json", help="Print everything as JSON.")]

_FOR_LABELS = ("model", "labels", "threshold", "write", "precision", "least", "json_", "catalog")
_COLUMNS = ("pair", "verdict", "anchors", "threshold", "recall", "95 %", "found", "xsim", "AUC hard", "MEXA", "CKA")


def show(found: Calibration, out: Path | None, *, as_json: bool) -> None:
    """Prints what was found; the file is written already."""
    if as_json:
        import orjson

        print(orjson.dumps(found.model_dump(mode="json"), option=orjson.OPT_INDENT_2).decode())
    else:
        _print(found)
    if out is not None:
        print(f"written to {out}", file=sys.stderr)


def misplaced(context: Any, labels: Any) -> str:
    """What is given and does not go with ``--labels``, or not without it; empty if nothing."""
    given = {
        one.name: one.opts[0]
        for one in context.command.params
        if (source := context.get_parameter_source(one.name)) is not None and source.name == "COMMANDLINE"
    }
    if labels:
        wrong = [option for name, option in given.items() if name not in _FOR_LABELS]
        return f"{', '.join(wrong)}: not with --labels" if wrong else ""
    wrong = [given[name] for name in ("threshold", "write") if name in given]
    return f"{', '.join(wrong)}: only with --labels" if wrong else ""


def show_labelled(found: ReviewedThreshold, wanted: float, *, as_json: bool, written: bool) -> None:
    """Prints what labels say about a threshold."""
    if as_json:
        import orjson

        print(orjson.dumps(asdict(found), option=orjson.OPT_INDENT_2).decode())
        return
    print(
        f"{found.dataset}@{found.version}, {found.threshold}: at least {wanted:.0%} of the labelled rows kept right\n"
    )
    rows = [("language", "labels", "now", "right", "labels say", "right", "95 %", "right rows kept")]
    for one in found.languages:
        at = one.at_value
        low, high = at.interval if at is not None else (0.0, 0.0)
        more = ("", "", "", "") if at is None else (
            f"{one.value:g}", _part(at.precision), f"{low:.2f}–{high:.2f}", _part(at.recall)
        )  # fmt: skip
        now = "no limit" if one.now is None else f"{one.now:g}" if isinstance(one.now, int | float) else str(one.now)
        rows.append((one.language or "all", str(one.labels), now, _part(one.at_now.precision), *more))
    _print_table(rows)
    print()
    for one in found.languages:
        if one.reason:
            print(f"{one.language or 'all'}: {one.reason}")
    left = (
        (found.unsure, "say neither right nor wrong"),
        (found.without, "are of rows without this score"),
        (found.elsewhere, "are of rows that this version does not have"),
    )
    for count, what in left:
        if count:
            print(f"{count:,} labels {what}")
    if written:
        print(found.diff or "nothing to write: the catalog stays as it is", end="" if found.diff else "\n")


def _part(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    for row in rows:
        cells = (
            cell.ljust(width) if index < 1 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join(cells).rstrip())


def _print(found: Calibration) -> None:
    from collections import Counter

    asked, anchors = found.asked, found.anchors
    print(
        f"{found.model} on {anchors.name} ({anchors.sentences:,} sentences, {anchors.languages} languages, "
        f"{anchors.license})"
    )
    print(
        f"for a precision of {asked.precision:g} where {asked.bad:.0%} of pairs are bad, each as near as the "
        f"nearest of {asked.among} wrong sentences\n"
    )
    rows = [_COLUMNS, *(_row(name, one) for name, one in found.pairs.items())]
    widths = [max(len(row[index]) for row in rows) for index in range(len(_COLUMNS))]
    for row in rows:
        cells = (
            cell.ljust(width) if index < 2 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join(cells).rstrip())
    counts = Counter(one.verdict for one in found.pairs.values())
    print("\n" + ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()))
    for name, one in found.pairs.items():
        if one.reason:
            print(f"  {name}: {one.reason}")


def _row(name: str, one: Any) -> tuple[str, ...]:
    def said(value: float | None, form: str = ".3f") -> str:
        return "" if value is None else format(value, form)

    interval = "" if one.recall is None else f"{one.recall_interval[0]:.2f}–{one.recall_interval[1]:.2f}"
    retrieval = None if one.retrieval is None else sum(one.retrieval) / 2
    xsim = None if one.xsim is None else sum(one.xsim) / 2
    return (
        name,
        one.verdict,
        str(one.anchors or ""),
        said(one.threshold),
        said(one.recall, ".2f"),
        interval,
        said(retrieval),
        said(xsim),
        said(one.auc_hard),
        said(one.mexa, ".2f"),
        said(one.cka_unbiased, ".2f"),
    )

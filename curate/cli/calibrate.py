"""``curate calibrate``: which language pairs an encoder can judge, as a table, and as the file that a catalog
refers to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.cli.options import print_table

if TYPE_CHECKING:
    from filters.calibration.file import Calibration

Model = Annotated[str, typer.Argument(help="A model of the catalog, or the name of an installed encoder.")]
Labels = Annotated[list[Path] | None, typer.Option("--labels", hidden=True)]
Moved = Annotated[str, typer.Option("--threshold", hidden=True)]
MovedFlag = Annotated[bool, typer.Option("--write", hidden=True)]
LABELS_MOVED = (
    "--labels: thresholds out of labels are found by 'curate review thresholds DATASET LABELS --threshold NAME'"
)
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
Precision = Annotated[float, typer.Option("--precision", help="Wanted share of good pairs among those kept.")]
Bad = Annotated[float, typer.Option("--bad", help="Assumed share of bad pairs in the data.")]
Among = Annotated[int, typer.Option("--among", help="A hard negative is the nearest of so many wrong sentences.")]
Least = Annotated[int, typer.Option("--least", help="With fewer anchors a pair is not checked.")]
Most = Annotated[int, typer.Option("--most", help="Of more anchors a fair sample of so many is taken.")]
Unsupported = Annotated[
    bool, typer.Option("--unsupported", help="Also measure languages that the model does not say it supports.")
]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="The file to write, for 'calibration:' in the catalog.")]
Json = Annotated[bool, typer.Option("--json", help="Print everything as JSON.")]

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
    print_table(rows, left=2)
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

"""``curate review``: exports a sample for human annotation, imports the labels, and finds thresholds from them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

import curate
from curate.cli.options import DEFAULT, CatalogFile, StoreFolder, number, or_fail, print_table, say

if TYPE_CHECKING:
    from outputs.view.labelled_thresholds import ReviewedThreshold

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Export a sample for people to review, import what they say, and find thresholds by it.",
)


@app.command("export")
def export(
    name: Annotated[str, typer.Argument(help="name or name@ref.")],
    to: Annotated[
        Path, typer.Option("--to", "-o", help="The file (.csv, .tsv, .jsonl, .xlsx, .json), for Argilla a folder.")
    ],
    sample: Annotated[int, typer.Option(help="How many rows; 0 for all.", min=0)] = 200,
    by: Annotated[
        str,
        typer.Option(
            help="Strata: language, status, step, reason, split, source, maker, attribute.NAME; with commas between."
        ),
    ] = "language",
    share: Annotated[
        str, typer.Option(help="equal: as many rows of each stratum; proportional: by its size.")
    ] = "equal",
    format_: Annotated[
        str | None,
        typer.Option(
            "--format", "-f", help="csv, tsv, jsonl, xlsx, argilla, label-studio; by the file's name if left out."
        ),
    ] = None,
    rejected: Annotated[bool, typer.Option("--rejected", help="Also rows that steps dropped.")] = False,
    show: Annotated[
        bool,
        typer.Option("--show-verdicts", help="Show scores and verdicts that rows have already; else they are hidden."),
    ] = False,
    seed: Annotated[int, typer.Option(help="Another one takes other rows.")] = 0,
    instructions: Annotated[Path | None, typer.Option(help="A text file with what people are asked to do.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write over files that are there.")] = False,
    catalog: CatalogFile = DEFAULT,
    store: StoreFolder = None,
) -> None:
    """Export a stratified sample of a version for human annotation: spreadsheet, JSONL, Argilla, Label Studio."""

    wanted = [part for name in by.split(",") if (part := name.strip())]
    words = or_fail(lambda: None if instructions is None else _text(instructions))
    found = or_fail(
        lambda: curate.review_export(
            name,
            to,
            sample=sample or None,
            by=wanted,
            share=cast(Literal["equal", "proportional"], share),
            format=format_,
            rejected=rejected,
            blind=not show,
            seed=seed,
            instructions=words,
            overwrite=overwrite,
            store=store,
            catalog=catalog,
        )
    )
    print(
        f"{found.rows:,} rows: "
        + ", ".join(f"{count:,} {language}" for language, count in sorted(found.languages.items()))
    )
    if wanted and wanted != ["language"]:
        for stratum, (there, taken) in found.strata.items():
            print(f"  {' · '.join(part or '-' for part in stratum)}: {taken:,} of {there:,}")
    for file in found.files:
        print(f"written to {file}")
    if found.cut:
        say(
            f"{found.cut:,} texts were too long for a cell and are cut; take .jsonl, argilla or label-studio to "
            "show them whole"
        )
    if found.other_kinds:
        say(f"{found.other_kinds:,} rejected rows are of another kind and not among these")


@app.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(help="What came back: files or Argilla folders.")],
    into: Annotated[
        Path, typer.Option("--into", "-o", help="The file of labels (.jsonl or .parquet); what it holds stays.")
    ],
    of: Annotated[
        str | None, typer.Option(help="The dataset that was reviewed, to find ids that it does not have.")
    ] = None,
    annotator: Annotated[
        str | None, typer.Option(help="Who filled it in, where the files do not say; by default the file's name.")
    ] = None,
    gold: Annotated[
        Path | None,
        typer.Option(help="Also write rows with people's verdicts, for 'gold' of the step judge (needs --of)."),
    ] = None,
    pairs: Annotated[Path | None, typer.Option(help="Also write corrections as preference rows (needs --of).")] = None,
    catalog: CatalogFile = DEFAULT,
    store: StoreFolder = None,
) -> None:
    """Import annotations, and merge them by row id into a label file."""
    from curate.preferences.review.api import summary

    found = or_fail(
        lambda: curate.review_import(
            files, into, of=of, annotator=annotator, gold=gold, pairs=pairs, store=store, catalog=catalog
        )
    )
    print(summary(found))
    if found.problems:
        raise typer.Exit(1)


@app.command("thresholds")
def thresholds(
    name: Annotated[str, typer.Argument(metavar="DATASET", help="name or name@ref.")],
    labels: Annotated[list[Path], typer.Argument(help="Labels of its rows, as curate view writes them.")],
    threshold: Annotated[str, typer.Option("--threshold", help="Which one, such as similarity.min.")] = "",
    precision: Annotated[
        float, typer.Option(help="Wanted share of right rows among those kept.", min=0, callback=number)
    ] = 0.98,
    least: Annotated[int, typer.Option(help="A language with fewer labels is not checked.", min=1)] = 30,
    write: Annotated[bool, typer.Option("--write", help="Write the values into the catalog.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    catalog: CatalogFile = DEFAULT,
) -> None:
    """Find the value of a threshold for each language that labels speak for."""
    found = or_fail(
        lambda: curate.review_thresholds(
            name, labels, threshold, precision=precision, least=least, write=write, catalog=catalog
        )
    )
    _show(found, precision, as_json=json_, written=write)


def _show(found: ReviewedThreshold, wanted: float, *, as_json: bool, written: bool) -> None:
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
        more = (
            ("", "", "", "")
            if at is None
            else (f"{one.value:g}", _part(at.precision), f"{low:.2f}–{high:.2f}", _part(at.recall))
        )
        now = "no limit" if one.now is None else f"{one.now:g}" if isinstance(one.now, int | float) else str(one.now)
        rows.append((one.language or "all", str(one.labels), now, _part(one.at_now.precision), *more))
    print_table(rows, left=1)
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


def _text(path: Path) -> str:
    from curate.errors import StepError
    from curate.files import regular

    try:
        return regular(path).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise StepError(f"{path} cannot be read: {error}") from None

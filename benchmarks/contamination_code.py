"""How many items of HumanEval the step contamination finds in other words and other programming languages, and how many
programming tasks that are none it flags.

    python benchmarks/contamination_code.py --data FOLDER --half held [SECTION ...] [--examples 10]
    python benchmarks/contamination_code.py --data FOLDER fit           # the weights of the stage `code`, as YAML

Items, rows and rewritten items are split in two by a digest or by turns: rules and weights were made on ``tune``, and
``held`` is what the docs report. The rewritten items are in ``contamination_code.yaml``.
"""

from __future__ import annotations

import argparse
import ast
import gzip
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import regex
import yaml
from contamination_alarms import CODE, NLLB, part
from contamination_items import Bench, Item, of_item, weigh
from workbench import DATA, World, conversation, make_rows, markdown, shown

from curate.rows import Kind
from filters.contamination.code_index import FEATURES, code_index_of

LANGUAGES = {**NLLB, "ar": "arb_Arab", "fr": "fra_Latn", "hi": "hin_Deva", "sw": "swh_Latn"}
PROGRAM = regex.compile(
    r"\bdef \w+\(|\bfunction \w+\(|\bpublic (static|class)|=>|#include|print\(|console\.log|return "
)


@dataclass(frozen=True)
class Row:
    """A row, and the item that it has, if any."""

    sort: str
    language: str
    prompt: str
    answer: str
    item: str | None = None


def humaneval(data: Path, language: str) -> list[dict[str, Any]]:
    path = data / "bench" / "mhumaneval" / f"mHumanEval-{LANGUAGES[language]}-python.json.gz"
    found: list[dict[str, Any]] = json.loads(gzip.decompress(path.read_bytes()))
    return found


def items_of(data: Path, half: Callable[[str], bool] = lambda name: True) -> dict[str, Item]:
    return {
        one["task_id"]: Item("humaneval", one["task_id"], "en", one["prompt"], answer=one["canonical_solution"])
        for one in humaneval(data, "en")
        if half(one["task_id"])
    }


def rewritten(data: Path, half: int) -> Iterator[Row]:
    """Items reworded, and given in other programming languages, by hand."""
    known = yaml.safe_load((Path(__file__).parent / "contamination_code.yaml").read_text())
    for number, one in enumerate(known):
        if number % 2 == half:
            for sort, given in one.items():
                if sort != "item":
                    yield Row(sort, "en", given["prompt"], given["answer"], f"HumanEval/{one['item']}")


def renamed(data: Path, half: int) -> Iterator[Row]:
    """Solutions alone, with other names and no docstring, as the answer to a prompt that says nothing."""
    for one in humaneval(data, "en"):
        told = _renamed(one["prompt"], one["canonical_solution"]) if part(one["task_id"]) == half else None
        if told is not None:
            yield Row("renamed solution", "en", "Please write the function that we talked about.", told, one["task_id"])


def _renamed(prompt: str, solution: str) -> str | None:
    body = solution if solution.startswith((" ", "\t")) else "".join(f"    {one}\n" for one in solution.splitlines())
    for whole in (f"{prompt}{body}", f"{prompt}    {solution.strip()}\n"):
        try:
            tree = ast.parse(whole)
        except SyntaxError:
            continue
        own = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        own |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
        own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        new = {name: f"thing{number}" for number, name in enumerate(sorted(own))}
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                node.id = new.get(node.id, node.id)
            elif isinstance(node, ast.arg):
                node.arg, node.annotation = new[node.arg], None
            elif isinstance(node, ast.FunctionDef):
                node.name, node.returns = new[node.name], None
                if ast.get_docstring(node) is not None:
                    node.body = node.body[1:] or [ast.Pass()]
        return ast.unparse(tree)
    return None


def translations(data: Path, half: int) -> Iterator[Row]:
    """Items with the docstring in another language."""
    for language in LANGUAGES:
        for one in humaneval(data, language):
            if language != "en" and part(one["task_id"]) == half:
                yield Row("docstring translated", language, one["prompt"], one["canonical_solution"], one["task_id"])


def others(data: Path, half: int) -> Iterator[Row]:
    """Alpaca's programming tasks: those with a program in the answer, and those that ask for one."""
    folder = data / "alpaca"
    english = json.loads(gzip.decompress((folder / "alpaca_data_en.json.gz").read_bytes()))
    lines = gzip.decompress((folder / "alpaca_de_openai_12k.jsonl.gz").read_bytes()).decode().splitlines()
    german = [one for one in map(json.loads, lines) if one["alpaca_id"] is not None]
    chinese = pl.read_parquet(folder / "alpaca_en_zh_scored_00000_29999.parquet").to_dicts()
    having = {number for number, one in enumerate(english) if PROGRAM.search(one["output"])}
    every = [
        *(("en", number, one["instruction"], one["input"], one["output"]) for number, one in enumerate(english)),
        *(("de", one["alpaca_id"], one["instruction"], one["input"], one["output"]) for one in german),
        *(("zh", one["alpaca_id"], one["zh_instruction"], one["zh_input"], one["zh_output"]) for one in chinese),
    ]
    for language, number, instruction, given, output in every:
        if part(str(number)) == half and (number in having or regex.search(CODE[language], instruction or "")):
            yield Row("programming task", language, f"{instruction}\n\n{given or ''}".strip(), output or "")


PLANTED = (rewritten, renamed, translations)


def planted(bench: Bench, arguments: argparse.Namespace) -> None:
    """Items in other words, against all of HumanEval."""
    items = items_of(arguments.data)
    rows = [row for section in PLANTED for row in section(arguments.data, HALVES.index(arguments.half))]
    lines = []
    for label, parameters in (("code and meaning", {}), ("without an encoder", {"model": None})):
        step, fitted = bench.step(list(items.values()), **parameters)
        frame, _ = bench.judge(step, fitted, [conversation(row.language, row.prompt, None, row.answer) for row in rows])
        for sort in dict.fromkeys(row.sort for row in rows):
            mine = [at for at, row in enumerate(rows) if row.sort == sort]
            found = [at for at in mine if of_item(frame, at, items[rows[at].item or ""])]
            told = pl.Series([frame["reason"][at] for at in found]).value_counts(sort=True, name="n").rows()
            lines.append(
                [
                    label,
                    sort,
                    f"{len(found)} of {len(mine)} ({shown(len(found) / len(mine))})",
                    ", ".join(f"{many} {reason}" for reason, many in told),
                ]
            )
            for at in [at for at in mine if at not in found][: arguments.examples]:
                print(f"<!-- missed, {label}, {sort}: {rows[at].item} {frame.select('score', 'code').row(at)} -->")
    print(f"\n### Items in other words, {arguments.half}\n")
    print(markdown(["", "row", "found", "as"], lines))


def clean(bench: Bench, arguments: argparse.Namespace) -> None:
    """Programming tasks that are no items; and the other half of HumanEval, where its first half is the benchmark."""
    half = HALVES.index(arguments.half)
    first = items_of(arguments.data, lambda name: part(name, salt="other") == half)
    rest = [
        Row("other items of HumanEval", language, one["prompt"], one["canonical_solution"])
        for language in LANGUAGES
        for one in humaneval(arguments.data, language)
        if one["task_id"] not in first
    ]
    lines = []
    for label, parameters in (("code and meaning", {}), ("without an encoder", {"model": None})):
        for items, rows in ((items_of(arguments.data), list(others(arguments.data, half))), (first, rest)):
            step, fitted = bench.step(list(items.values()), **parameters)
            payloads = [conversation(row.language, row.prompt, None, row.answer) for row in rows]
            frame, seconds = bench.judge(step, fitted, payloads)
            for language in dict.fromkeys(row.language for row in rows):
                mine = [at for at, row in enumerate(rows) if row.language == language]
                wrong = [at for at in mine if frame["reason"][at] is not None]
                told = pl.Series([frame["reason"][at] for at in wrong], dtype=pl.String).value_counts(
                    sort=True, name="n"
                )
                share = f"{len(wrong)} of {len(mine)} ({100 * len(wrong) / len(mine):.1f} %)"
                about = ", ".join(f"{many} {reason}" for reason, many in told.rows())
                lines.append([label, rows[0].sort, language, share, about, f"{1e6 * seconds / len(rows):.0f}"])
                for at in wrong[: arguments.examples]:
                    print(
                        f"<!-- {label}, {language}: {rows[at].prompt[:110]!r} / {frame['item'][at]}"
                        f" {frame.select('reason', 'score', 'translation', 'paraphrase', 'code').row(at)} -->"
                    )
    print(f"\n### Not the item, {arguments.half}\n")
    print(markdown(["", "rows", "language", "flagged", "as", "µs a row"], lines))


def fit(bench: Bench, arguments: argparse.Namespace) -> None:
    """The weights of the stages ``code`` and ``code alone``: the half ``tune``."""
    items = items_of(arguments.data)
    step, fitted = bench.step(list(items.values()))
    index = code_index_of(fitted, step.pivot)
    classes: dict[str, list[Any]] = {"by hand": [], "planted": [], "other": []}
    rows = [row for section in (*PLANTED, others) for row in section(arguments.data, 0)]
    some = make_rows(Kind.SFT, [conversation(row.language, row.prompt, None, row.answer) for row in rows])
    _, _, margins = step._translations(some, bench.world, fitted)
    for at, row in enumerate(rows):
        for match in index.matches(f"{row.prompt}\n\n{row.answer}", margins.get(at, {})):
            right = row.item is not None and index.keys[match.item][1] == row.item
            if right:
                classes["planted" if "docstring" in row.sort or "solution" in row.sort else "by hand"].append(
                    match.features
                )
            else:
                classes["other"].append(match.features)
    print("# " + ", ".join(f"{len(some)} {name}" for name, some in classes.items()))
    by_hand, planted, other = (np.stack(classes[name]) for name in ("by hand", "planted", "other"))
    for stage, width in (("code", len(FEATURES)), ("code alone", len(FEATURES) - 1)):
        parts = [(by_hand[:, :width], 1, 0.7), (planted[:, :width], 1, 0.3), (other[:, :width], 0, OTHERS)]
        weigh(stage, FEATURES[:width], parts)


HALVES = ("tune", "held")
# How much more all other pairs weigh than all items: as in a data set where few rows are copies.
OTHERS = 5.0
SECTIONS = {"planted": planted, "clean": clean, "fit": fit}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--half", choices=HALVES, default="held")
    parser.add_argument("--examples", type=int, default=0, help="rows to show of what goes wrong")
    parser.add_argument("--cache", type=Path, help="a folder to keep vectors in")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(World(arguments.cache or Path(scratch), 2), Path(scratch))
        for name in arguments.sections or ("planted", "clean"):
            SECTIONS[name](bench, arguments)


if __name__ == "__main__":
    main()

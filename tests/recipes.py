"""What the tests of recipes share: a built recipe, rows as READMEs show them, datasets that are deliberately wrong.

``python -m tests.recipes ID [ID…]`` builds recipes, says which statements do not hold or cannot fail, and writes the
three rows of their READMEs anew. Which rows, and what of them, says the line above them: ``<!-- rows: dataset
language attribute.name item -->``, each word optional; without a dataset, all in turn; ``item``: rows of one item.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import polars as pl

from curate.api.recipes import Recipe, Verified, recipe, verify
from curate.sql import Database

ROWS = re.compile(r"<!-- rows: ?(.*?) ?-->\n\n```json\n(.*?)```\n", re.S)
_MACROS = """
CREATE MACRO score(s, n) AS list_extract(list_filter(s, lambda x: x.name = n), 1).value;
CREATE MACRO attribute(s, n) AS list_extract(list_filter(s, lambda x: x.name = n), 1).value;
"""


class BuiltRecipe:
    """A recipe that was built in a folder."""

    def __init__(self, name: str, folder: Path) -> None:
        self.recipe: Recipe = recipe(name)
        self.verified: Verified = verify(name, folder)
        self._store = folder / "recipes" / name / ".curate"

    @cached_property
    def tables(self) -> dict[str, pl.DataFrame]:
        """Every table that a statement may read: datasets, what was dropped, ``curate.…``."""
        from curate.engine.store.store import Store

        names = [one.dataset for one in self.verified.built]
        found = {}
        with Database(Store(self._store)) as database:
            for name in names:
                for part in ("", ".rejected", ".quarantined"):
                    found[f'"{name}"{part}'] = database.query(f'SELECT * FROM "{name}"{part}')
            for name in ("datasets", "funnel", "representation", "sources", "audits"):
                found[f"curate.{name}"] = database.query(f"SELECT * FROM curate.{name}")
        return found

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The rows of a dataset as a README may show them."""
        return [shown(name, row) for row in self.tables[f'"{name}"'].iter_rows(named=True)]

    def that_cannot_fail(self) -> list[str]:
        """What the statements say that hold for every wrong dataset that is tried."""
        statements = {one.says: one.sql for one in self.recipe.expectations}
        connection = duckdb.connect()
        connection.execute(_MACROS)
        for table, frame in self.tables.items():
            place, dot, part = table.rpartition(".")
            if dot and part in ("rejected", "quarantined"):
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {place}")
            elif dot:
                connection.execute("CREATE SCHEMA IF NOT EXISTS curate")
            connection.register("frame", frame.to_arrow())
            connection.execute(f"CREATE TABLE {table if dot else 'main.' + table} AS SELECT * FROM frame")
        for name in self.tables:
            table = name if "." in name else f"main.{name}"
            word = name.replace('"', "")
            if not any(word in sql.replace('"', "") for sql in statements.values()):
                continue
            connection.execute(f"CREATE TABLE kept AS SELECT *, row_number() OVER () AS place FROM {table}")
            for wrong in _wrong(name, self.tables):
                if not statements:
                    break
                connection.execute(f"CREATE OR REPLACE TABLE {table} AS {wrong}")
                for says, sql in list(statements.items()):
                    if word not in sql.replace('"', ""):
                        continue
                    try:
                        failed = bool(connection.execute(sql).fetchone())
                    except duckdb.Error:  # a wrong value can be none at all
                        continue
                    if failed:
                        del statements[says]
            connection.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT * EXCLUDE (place) FROM kept")
            connection.execute("DROP TABLE kept")
        return list(statements)


_TEXTS = ("messages", "prompt", "chosen", "rejected", "completion")


def _wrong(name: str, tables: Mapping[str, pl.DataFrame]) -> Iterator[str]:
    """Queries that give a table's rows wrongly: none, half, all twice, each column with the value of another row, of
    the same item in another dataset, or with one value (of turns, one text) everywhere."""
    frame = tables[name]
    yield "SELECT * EXCLUDE (place) FROM kept WHERE false"
    yield "SELECT * EXCLUDE (place) FROM kept WHERE place % 2 = 0"
    yield "SELECT * EXCLUDE (place) FROM kept UNION ALL SELECT * EXCLUDE (place) FROM kept"
    count = max(frame.height, 1)
    for column, kind in frame.schema.items():
        one = {
            "scores": "list_transform(scores, lambda one: {'name': one.name, 'value': -1.0 * length(one.name)})",
            "lineage": "{'source': '', 'source_id': '', 'license': '', 'parents': lineage.parents[:0],"
            " 'makers': lineage.makers[:0]}",
            "attributes": "list_transform(attributes, lambda one: {'name': one.name, 'value': 'x'})",
        }.get(column, "'x'" if kind == pl.String else f'first("{column}") OVER ()')
        yield f'SELECT kept.* EXCLUDE (place) REPLACE ({one} AS "{column}") FROM kept'
        if kind == pl.List(pl.Struct({"role": pl.String, "content": pl.String})):
            yield (
                f"SELECT kept.* EXCLUDE (place) REPLACE (list_transform({column}, lambda one:"
                f" {{'role': one.role, 'content': 'x'}}) AS {column}) FROM kept"
            )
        values = [f'other."{column}"']
        if isinstance(kind, pl.List) and column in _TEXTS:
            every = f"list_transform(kept.{column}, lambda turn: struct_update(turn, content := 'x'))"
            yield f'SELECT kept.* EXCLUDE (place) REPLACE ({every} AS "{column}") FROM kept'
            # The next row's answer, and the next row's question, below one's own other turns.
            values += [
                f"list_concat({x}.{column}[:-2], {y}.{column}[-1:])" for x, y in (("kept", "other"), ("other", "kept"))
            ]
        for value in values:
            for step in {1, max(1, count // 2)}:
                yield (
                    f'SELECT kept.* EXCLUDE (place) REPLACE ({value} AS "{column}") FROM kept JOIN kept other'
                    f" ON other.place = (kept.place + {step - 1}) % {count} + 1"
                )
            for table, another in tables.items():
                if (
                    table != name
                    and another.schema.get(column) == kind
                    and "group_id" in frame.columns
                    and "." not in table
                ):
                    yield (
                        f'SELECT kept.* EXCLUDE (place) REPLACE ({value} AS "{column}") FROM kept'
                        f" JOIN main.{table} other USING (group_id)"
                    )


def shown(dataset: str, row: dict[str, Any]) -> dict[str, Any]:
    """A row as a README shows it: its dataset, languages, texts, attributes and scores under their own names."""
    seen: dict[str, Any] = {"dataset": dataset, "group_id": row["group_id"]}
    for name in ("source_language", "language"):
        if row.get(name):
            seen[name] = row[name]
    for name in _TEXTS:
        turns = row.get(name)
        if not turns:
            continue
        if name == "messages":
            *before, asked, answer = [(turn["role"], turn["content"]) for turn in turns]
            before = [*before, asked]
            seen |= _asked(before) | {"response": answer[1]}
        elif name == "prompt":
            seen |= _asked([(turn["role"], turn["content"]) for turn in turns])
        else:
            seen[name] = turns[-1]["content"]
    for name in ("source", "target", "text", "label", "images"):
        if row.get(name) is not None and row[name] != []:
            seen[name] = row[name]
    seen |= {f"attribute.{one['name']}": one["value"] for one in row["attributes"] or ()}
    return seen | {
        f"score.{one['name']}": round(one["value"], 2) for one in row["scores"] or () if one["value"] is not None
    }


def _asked(turns: list[tuple[str, str]]) -> dict[str, str]:
    system = {"system": turns[0][1]} if turns[0][0] == "system" else {}
    asked = turns[1:] if system else turns
    text = asked[-1][1] if len(asked) == 1 else "\n\n".join(f"{role}: {content}" for role, content in asked)
    return {**system, "prompt": text}


def picked(built: BuiltRecipe, words: str) -> list[dict[str, Any]]:
    """Three rows for a README, of the named dataset and language, else of different ones."""
    names = [one.dataset for one in built.verified.built]
    wanted = words.split()
    some = [word for word in wanted if word in names] or names
    rows = [row for name in some for row in built.rows(name)]
    if "item" in wanted:
        counts = Counter(row["group_id"] for row in rows)
        rows = [row for row in rows if row["group_id"] == max(counts, key=counts.__getitem__)]
    languages = {row.get("language") for row in rows}
    tongues = [word for word in wanted if word in languages] or sorted(map(str, languages))
    places = {word: at for at, word in enumerate([*some, *tongues])}
    lines: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda one: sum(map(len, map(str, one.values())))):
        if str(row.get("language")) in tongues:
            lines.setdefault((places[row["dataset"]], places[str(row.get("language"))]), []).append(row)
    found: list[dict[str, Any]] = []
    while len(found) < 3 and any(lines.values()):
        for key in sorted(lines, key=lambda one: (one[1], one[0])):
            found += [lines[key].pop(len(lines[key]) // 2)] if lines[key] else []
    more = {word for word in wanted if word.startswith(("attribute.", "score."))}
    plain = {"group_id", "dataset"} if len(some) == 1 else {"group_id"}
    return [
        {
            name: value
            for name, value in row.items()
            if name not in plain and (name in more or not name.startswith(("attribute.", "score.")))
        }
        for row in found[:3]
    ]


def written(name: str) -> int:
    """Writes the rows of a recipe's README; the number of statements that are wrong."""
    with TemporaryDirectory() as folder:
        built = BuiltRecipe(name, Path(folder))
        readme = built.recipe.folder / "README.md"
        text = readme.read_text(encoding="utf-8")

        def block(match: re.Match[str]) -> str:
            rows = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in picked(built, match[1]))
            return f"<!-- rows: {match[1]} -->\n\n```json\n{rows}```\n"

        readme.write_text(ROWS.sub(block, text), encoding="utf-8")
        wrong = [f"does not hold: {one}" for one in built.verified.failed]
        wrong += [f"cannot fail: {one}" for one in built.that_cannot_fail()]
        rows = ", ".join(f"{one.dataset} {one.rows}" for one in built.verified.built)
        print(f"{name}: {rows}; {len(built.recipe.expectations)} statements")
        for one in wrong:
            print(f"  {one}")
        return len(wrong)


if __name__ == "__main__":
    sys.exit(bool(sum(map(written, sys.argv[1:]))))

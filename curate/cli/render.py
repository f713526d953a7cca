"""How the command line shows what was built and what is installed; no work is done here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curate.engine.dataset import Built
    from curate.engine.funnel import Funnel
    from curate.engine.store.diff import Difference
    from curate.engine.store.history import LogEntry
    from curate.models.probe import Finding
    from outputs.export import Exported


def tell_all(built: Sequence[Built]) -> None:
    """What several builds came to: one at length, more than one in a line each, with where the rest is said."""
    changed = [one for one in built if one.changed and one.version]
    if len(changed) < 2:
        for one in built:
            tell(one)
        return
    width = max(len(one.dataset) for one in built)
    for one in built:
        if not one.changed:
            print(f"{one.dataset.ljust(width)}  {one.rows:>7,} rows, nothing to do")
            continue
        reasons = [reasons for _, counts in one.funnel.steps for reasons in counts.values()]
        dropped = sum(count for each in reasons for reason, count in each.items() if reason != "kept")
        calls = sum(spent["calls"] for spent in one.spending)
        told = [
            _many(sum(map(bool, one.funnel.kept.values())), "language"),
            f"{dropped:,} dropped",
            f"{one.seconds:.1f} s",
        ]
        told += [_many(calls, "model call")] if calls else []
        told += [_many(len(one.warnings), "warning")] if one.warnings else []
        print(f"{one.dataset.ljust(width)}  {one.rows:>7,} rows: {', '.join(told)}")
    for one in changed:
        for message in one.alarms:
            print(f"! alarm: {one.dataset}: {message}")
    for message in dict.fromkeys(message for one in changed for message in one.mended):
        print(f"! {message}")
    print("steps, languages and warnings of one: curate show NAME")


def _many(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def tell(built: Built) -> None:
    if not built.version:
        last = built.funnel.steps[-1][0]
        print(
            f"\n{built.dataset}: stopped after {last} with {built.rows:,} rows in {built.seconds:.1f} s; no version "
            f"was written, 'curate build {built.dataset}' goes on from here"
        )
    elif not built.changed:
        print(f"{built.dataset}: nothing to do, version {built.version} ({built.rows:,} rows) is up to date")
        return
    else:
        print(f"\n{built.dataset} {built.version}: {built.rows:,} rows in {built.seconds:.1f} s\n{built.path}")
    print_funnel(built.funnel)
    for one in built.spending:
        tokens = one["prompt_tokens"] + one["completion_tokens"]
        money = f", {one['money']:.4f} spent" if one["money"] else ""
        print(f"  {one['stage']}: {one['calls']:,} calls to {one['model']}, {tokens:,} tokens{money}")
    if built.estimate is not None:
        from curate.engine.planning.estimate import beside

        for line in beside(built.estimate, built.rows, built.spending, built.compute_time):
            print(f"  {line}")
    for message in built.alarms:
        print(f"! alarm: {message}")
    for message in built.warnings:
        print(f"! {message}")


def print_funnel(funnel: Funnel) -> None:
    from curate.engine.funnel import render

    header, rows = render(funnel)
    widths = [max(len(row[index]) for row in [header, *rows]) for index in range(len(header))]
    for row in [header, *rows]:
        print(
            "  "
            + "  ".join(
                cell.ljust(width) if index == 0 else cell.rjust(width)
                for index, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
        )


def tell_finding(found: Finding) -> None:
    """One check of one model."""
    print(f"{'ok    ' if found.ok else 'FAILED'} {found.model} {found.check} ({found.seconds:.1f} s): {found.message}")


def tell_export(one: Exported) -> None:
    """One export, and what was left out of it."""
    splits = ", ".join(f"{split} {rows:,}" for split, rows in one.written.rows.items())
    print(f"{one.dataset} {one.version} → {one.folder}: {one.rows:,} rows ({splits})")
    for reason, count in one.written.skipped.items():
        print(f"! {count:,} rows left out: {reason} ({', '.join(one.written.examples[reason][:3])} …)")
    for note in one.written.notes:
        print(f"! {note}")


def print_difference(found: Difference, *, as_json: bool = False) -> None:
    """What became of a dataset: recipe, rows, scores."""
    if as_json:
        import dataclasses

        import orjson

        told = {name: value.to_dicts() if hasattr(value, "to_dicts") else value for name, value in vars(found).items()}
        assert set(told) == {one.name for one in dataclasses.fields(found)}
        print(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())
        return
    print(f"{found.old} ({found.old_rows:,} rows) → {found.new} ({found.new_rows:,} rows)")
    for line in found.recipe:
        print(f"  {line}")
    if found.same:
        print("the rows are the same")
    else:
        print(", ".join(f"{found.count(change):,} {change}" for change in ("added", "removed", "changed")))
    for row in found.changes.iter_rows(named=True):
        print(f"  {row['rows']:>9,} {row['change']:8} {row['language']:8} {row['source']}: {row['because']}")
    if not found.examples.is_empty():
        print("for instance")
        for row in found.examples.iter_rows(named=True):
            print(f"  {row['change']:8} {row['language']:8} {row['id']}  {row['because']}")
    for row in found.shifts.iter_rows(named=True):
        print(
            f"  score {row['score']} {row['language']}: {row['old']:.4f} → {row['new']:.4f} "
            f"({row['shift']:+.4f}, {row['rows']:,} rows)"
        )


def print_log(name: str, entries: Sequence[LogEntry]) -> None:
    """The versions of a dataset."""
    for one in entries:
        refs = f"  ({', '.join(one.refs)})" if one.refs else ""
        if one.damage:
            print(f"{name} {one.version}{refs}\n    {one.damage}")
            continue
        print(f"{name} {one.version}  {one.created_at}  {one.rows:,} rows, {one.rejected:,} rejected{refs}")
        for line in one.changes:
            print(f"    {line}")


def first_sentence(found: type) -> str:
    """The first paragraph of a class's docstring, in one line."""
    return " ".join((found.__doc__ or "").strip().split("\n\n")[0].split())


def describe(what: str, name: str, found: Any) -> None:
    import textwrap

    from curate.catalog.params import Mark

    print(f"{what} {name}, version {found.version}\n{first_sentence(found)}\n")
    properties = found.model_json_schema(by_alias=True).get("properties", {})
    for field, about in found.model_fields.items():
        key = about.alias or field
        default = "required" if about.is_required() else f"default {_shown(properties.get(key, {}).get('default'))}"
        effect = (
            "changes no row"
            if Mark.RUNTIME in about.metadata
            else "decides only"
            if Mark.DECISION in about.metadata
            else ""
        )
        print(f"  {key} ({', '.join(part for part in (default, effect) if part)})")
        print(textwrap.indent(textwrap.fill(" ".join((about.description or "").split()), 110), "      "))


def _shown(value: Any) -> str:
    import orjson

    return orjson.dumps(value).decode()

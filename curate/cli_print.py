"""How the command line shows what was built and what is installed; no work is done here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curate.engine.build import Built
    from curate.engine.funnel import Funnel
    from curate.models.probe import Finding


def tell(built: Built) -> None:
    if not built.fresh:
        print(f"{built.dataset}: nothing to do, version {built.version} ({built.rows:,} rows) is up to date")
        return
    print(f"\n{built.dataset} {built.version}: {built.rows:,} rows in {built.seconds:.1f} s\n{built.path}")
    print_funnel(built.funnel)
    for one in built.spending:
        tokens = one["prompt_tokens"] + one["completion_tokens"]
        money = f", {one['money']:.4f} spent" if one["money"] else ""
        print(f"  {one['stage']}: {one['calls']:,} calls to {one['model']}, {tokens:,} tokens{money}")
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


def first_sentence(found: type) -> str:
    return (found.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")


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

"""The commands' page is what ``--help`` says, of all commands at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import markup
import typer

from curate.cli import main as cli


def text() -> str:
    root = typer.main.get_command(cli.app)
    lines = ["---\ntitle: Commands\n---\n\n# Commands", "`curate COMMAND --help` says the same."]
    return "\n\n".join([*lines, *_of(root, "curate")]) + "\n"


def _of(group: Any, name: str) -> Iterator[str]:
    for word, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _of(command, f"{name} {word}")
            continue
        arguments = [one for one in command.params if one.param_type_name == "argument"]
        options = [one for one in command.params if one.param_type_name == "option" and "--help" not in one.opts]
        usage = [name, word, *(f"{one.name.upper()}" if one.required else f"[{one.name.upper()}]" for one in arguments)]
        yield f"## `{name} {word}`"
        yield markup.prose(command.help or "")
        yield f"```text\n{' '.join(usage + (['[OPTIONS]'] if options else []))}\n```"
        rows = [f"| {markup.code(', '.join([*one.opts, *one.secondary_opts]))} | {_about(one)} |" for one in options]
        rows = [f"| `{one.name.upper()}` | {_about(one)} |" for one in arguments] + rows
        if rows:
            yield "\n".join(["| | |", "|---|---|", *rows])


def _about(one: Any) -> str:
    default = (
        one.default
        if isinstance(one.default, (str, int, float)) and not isinstance(one.default, bool) and one.default != ""
        else None
    )
    told = [
        markup.inline(getattr(one, "help", None) or ""),
        f"Default {markup.code(str(getattr(default, 'value', default)))}." if default is not None else "",
    ]
    return " ".join(part for part in told if part)

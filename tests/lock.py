"""The lock of steps: which modules and data files of ours each installed part can reach, and the digests of all of
them.

``python tests/lock.py`` writes ``tests/steps.lock`` anew. A change of a module or data file changes its one line
there; the reviewer
sees beside it which parts raised their versions.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from curate.data_files import DataFile
from curate.steps import Registry

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "tests" / "steps.lock"
OURS = ("curate", "sources", "filters", "outputs")
LEFT_OUT = (
    "curate.engine",
    "curate.catalog",
    "curate.cli",
    "curate.api",
    "curate.sql",
    "curate.erase",
    "curate._version",
    "curate.guard",
)
"""They run steps or show what came of them; they have tests of their own, and no row depends on how."""


@cache
def file_of(module: str) -> Path | None:
    """The file of a module of ours; None for anything else, and for what is left out."""
    if module.partition(".")[0] not in OURS or any(
        module == one or module.startswith((f"{one}.", f"{one}_")) for one in LEFT_OUT
    ):
        return None
    place = ROOT.joinpath(*module.split("."))
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


@cache
def tree_of(module: str) -> ast.Module:
    """A module without its docstrings and comments."""
    file = file_of(module)
    assert file is not None
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            kept = [one for one in node.body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]
            node.body = kept or [ast.Pass()]
    return tree


@cache
def imports_of(module: str) -> frozenset[str]:
    """The modules of ours that a module imports, at its top or inside a function, with the packages that they are
    in."""
    package = (
        module if file_of(module) == ROOT.joinpath(*module.split("."), "__init__.py") else module.rpartition(".")[0]
    )
    named: set[str] = set()
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            named.update(one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            # `from package import module` names a module, or something that the package's own module gets from
            # elsewhere.
            named.update([base, *(f"{base}.{one.name}" for one in node.names)])
    packages = {
        ".".join(parts[:length]) for one in named for parts in [one.split(".")] for length in range(1, len(parts))
    }
    return frozenset(one for one in named | packages if file_of(one) is not None)


@cache
def reached(module: str) -> frozenset[str]:
    """A module and all that it can reach."""
    found, waiting = {module}, [module]
    while waiting:
        fresh = imports_of(waiting.pop()) - found
        found |= fresh
        waiting += fresh
    return frozenset(found)


@cache
def data_of(module: str) -> frozenset[DataFile]:
    """The data files that a module reads: it has them in a variable at its top, one or several."""
    held: set[DataFile] = set()
    for node in tree_of(module).body:
        for target in node.targets if isinstance(node, ast.Assign) else ():
            value = getattr(import_module(module), target.id, None) if isinstance(target, ast.Name) else None
            held.update(one for one in (value if isinstance(value, tuple) else (value,)) if isinstance(one, DataFile))
    return frozenset(held)


def data_reached(part: type) -> frozenset[DataFile]:
    """The data files of all modules that a part can reach."""
    return frozenset(file for module in reached(part.__module__) for file in data_of(module))


def parts() -> Iterator[tuple[str, Any]]:
    """Name (``step:shape``) and class of everything of ours that is installed."""
    registry = Registry.installed()
    for what in ("source", "step", "model", "output"):
        for name in registry.names(what):
            part = registry.get(what, name)
            if part.__module__.partition(".")[0] in OURS:
                yield f"{what}:{name}", part


def current() -> dict[str, str]:
    """Line by line what the lock should say: ``module …``, ``data …``, ``part …``."""
    lines: dict[str, str] = {}
    every: set[str] = set()
    for name, part in parts():
        lines[f"part {name}"] = str(part.version)
        every |= reached(part.__module__)
    for module in every:
        lines[f"module {module}"] = hashlib.blake2b(ast.dump(tree_of(module)).encode(), digest_size=8).hexdigest()
        for file in data_of(module):
            lines[f"data {file}"] = file.digest[:16]
    return dict(sorted(lines.items()))


def locked() -> dict[str, str]:
    """What the lock says."""
    return dict(line.rsplit(" ", 1) for line in LOCK.read_text(encoding="utf-8").splitlines())


def problems(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """What has to be decided or written down again: each with what changed and the parts that it may concern."""
    closures = {name: reached(part.__module__) for name, part in parts()}
    data = {str(file): module for modules in closures.values() for module in modules for file in data_of(module)}
    found = []
    for line in sorted({*before, *now}):
        if before.get(line) == now.get(line):
            continue
        what, _, name = line.partition(" ")
        if what == "part":
            if line in before and line in now and int(now[line]) < int(before[line]):
                found.append(f"{name}: its version went down from {before[line]} to {now[line]}")
            elif line not in before or line not in now:
                found.append(f"{name}: the part is {'new' if line in now else 'gone'}")
            else:
                found.append(f"{name}: its version was raised to {now[line]}")
            continue
        module = data.get(name) if what == "data" else name
        concerned = sorted(part for part, modules in closures.items() if module in modules)
        how = "changed" if line in before and line in now else "is new" if line in now else "is gone"
        found.append(f"{name} {how}; it may decide rows of {', '.join(concerned) or 'nothing installed any more'}")
    advice = "raise the versions of the parts whose rows change, then: python -m tests.lock"
    return [*found, advice] if found else []


def write() -> None:
    """Writes the lock anew."""
    LOCK.write_text("".join(f"{name} {value}\n" for name, value in current().items()), encoding="utf-8")


if __name__ == "__main__":
    write()

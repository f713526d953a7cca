"""Draws which package imports which, out of the imports themselves: rows from top to bottom in the direction of
imports."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from graphlib import TopologicalSorter
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_BUILD = ("build", "dataset", "sampling")
_WIDTH, _HEIGHT, _ACROSS, _DOWN = 128, 34, 16, 46


def room(module: str) -> str:
    """The package that a module is drawn in: ``curate.engine.store.lock`` → ``engine.store``, ``filters.mix`` →
    ``filters``."""
    first, *rest = module.split(".")
    if first != "curate":
        return first
    if rest[:1] == ["engine"] and len(rest) > 1:
        inner = "build" if rest[1] in _BUILD else "common" if len(rest) == 2 else rest[1]
        return f"engine.{inner}"
    if rest and (ROOT / "curate" / f"{rest[0]}.py").is_file():
        return "base"  # modules by themselves: errors, files, caches, logs …
    return rest[0] if rest else "curate"


def edges() -> dict[str, set[str]]:
    """Package → packages that its modules import."""
    paths = [path for name in ("curate", "sources", "filters", "outputs") for path in (ROOT / name).rglob("*.py")]
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}
    found: dict[str, set[str]] = {}
    for module, path in modules.items():
        here = found.setdefault(room(module), set())
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [one.name for one in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{one.name}" for one in node.names)]
            here |= {room(name) for name in names if name in modules}
    left_out = {"curate", "engine"}
    return {name: targets - {name, *left_out} for name, targets in found.items() if name not in left_out}


def levels(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Packages in rows: each imports only from rows below its own (what imports in both directions shares a row)."""
    depth: dict[str, int] = {}
    for name in TopologicalSorter(
        {name: {one for one in targets if name not in graph[one]} for name, targets in graph.items()}
    ).static_order():
        depth[name] = 1 + max((depth[one] for one in graph[name] if one in depth), default=-1)
    rows = [
        sorted(name for name, level in depth.items() if level == wanted) for wanted in range(max(depth.values()) + 1)
    ]
    return rows[::-1]


def svg() -> str:
    """The picture; arrows that another way implies are left out, so that it can be read."""
    graph = edges()
    rows = levels(graph)
    widest = max(map(len, rows))
    width, height = widest * (_WIDTH + _ACROSS) + _ACROSS, len(rows) * (_HEIGHT + _DOWN)
    places = {}
    for level, names in enumerate(rows):
        left = (width - len(names) * (_WIDTH + _ACROSS) + _ACROSS) / 2
        for at, name in enumerate(names):
            places[name] = (left + at * (_WIDTH + _ACROSS), level * (_HEIGHT + _DOWN) + 8)
    below = {name: _reach(graph, name) for name in graph}
    lines = []
    for name, targets in graph.items():
        for target in sorted(targets):
            if any(target in below[other] for other in targets if other != target and other not in below[target]):
                continue
            (x1, y1), (x2, y2) = places[name], places[target]
            lines.append(f'<line x1="{x1 + _WIDTH / 2:.0f}" y1="{y1 + _HEIGHT}" x2="{x2 + _WIDTH / 2:.0f}" y2="{y2}"/>')
    boxes = [
        f'<rect x="{x:.0f}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="5"/>'
        f'<text x="{x + _WIDTH / 2:.0f}" y="{y + 22}">{escape(name)}</text>'
        for name, (x, y) in places.items()
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="packages and their imports">'  # noqa: E501
        "<style>line{stroke:#8893a5;stroke-width:1.2}rect{fill:#eef2f8;stroke:#4a5a78}"
        "text{font:13px sans-serif;text-anchor:middle;fill:#1c2536}</style>"
        f"{''.join(lines)}{''.join(boxes)}</svg>\n"
    )


def _reach(graph: Mapping[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += graph[name]
    return seen


if __name__ == "__main__":
    (ROOT / "docs" / "assets" / "architecture.svg").write_text(svg(), encoding="utf-8")

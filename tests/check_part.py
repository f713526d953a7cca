"""What a new component still lacks: `make check-part NAME` names missing tests, docs and docstrings, and writes
generated files anew.

schema.json, components.pyi and steps.lock change with any parameter; what else is missing is printed, a line each,
in seconds.
"""

from __future__ import annotations

import sys
from pathlib import Path

import curate
from curate.catalog.docstrings import documented
from curate.catalog.schema import written
from curate.catalog.suggestions import nearest
from curate.steps import Registry
from tests import lock, stubs

ROOT = Path(__file__).resolve().parents[1]


def problems(what: str, name: str, part: type) -> list[str]:
    """What is missing, a sentence each."""
    module = Path(*part.__module__.split(".")).with_suffix(".py")
    missing = []
    undocumented = [field for field, about in documented(part).model_fields.items() if not about.description]
    if undocumented:
        missing.append(f"{module}: no docstring below the parameters {', '.join(undocumented)}")
    if not getattr(part, "summary", "") and not part.__doc__:
        missing.append(f"{module}: the class has neither 'summary' nor a docstring")
    if not tests_of(name, part):
        missing.append(f"no test imports {part.__module__}; write tests/…/test_{name.replace('-', '_')}.py")
    pages = [page for page in (ROOT / "docs").rglob("*.md") if f"`{name}`" in page.read_text(encoding="utf-8")]
    if not pages:
        missing.append(f"no page in docs/ names `{name}`")
    return missing


def tests_of(name: str, part: type) -> list[str]:
    """The test files that import the component's module, or are called after it."""
    named = f"test_{name.replace('-', '_')}.py"
    package = part.__module__.removesuffix(".step").removesuffix(".model")
    return [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if path.name == named or f"from {package}" in path.read_text(encoding="utf-8")
    ]


def main(name: str) -> int:
    registry = Registry.installed()
    parts = [
        (what, registry.get(what, name))
        for what in ("source", "step", "model", "output")
        if name in registry.names(what)
    ]
    if not parts:
        known = [one for what in ("source", "step", "model", "output") for one in registry.names(what)]
        print(
            f"no component is called '{name}'{nearest(name, known)}; is it in pyproject.toml below "
            "[project.entry-points]?"
        )
        return 1
    (ROOT / "schema.json").write_text(written(curate.schema(registry)) + "\n", encoding="utf-8")
    lock.write()
    stubs.write()
    missing = [problem for what, part in parts for problem in problems(what, name, part)]
    for problem in missing:
        print(f"missing: {problem}")
    tests = sorted({test for _, part in parts for test in tests_of(name, part)})
    print("schema.json, curate/api/components.pyi and tests/steps.lock are written")
    print(f"next: pytest {' '.join(tests) or 'tests'} tests/test_house.py")
    return 1 if missing else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("make check-part NAME=shape")
    sys.exit(main(sys.argv[1]))

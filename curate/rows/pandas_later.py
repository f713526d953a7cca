"""pyarrow imports pandas with the first list that it converts: a quarter of a second and 40 MB in every process. Here
it learns of pandas once something imports it, and not before; nothing else changes."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pyarrow as pa


def put_off() -> None:
    """Does nothing if pandas is loaded already."""
    if "pandas" in sys.modules:
        return
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    pa.array([])  # looks for pandas, and does not look again until it is needed
    finder.asked = True


class _Finder(MetaPathFinder):
    """Tells pyarrow when pandas is imported, so that it knows a series when it is given one."""

    asked = False
    """Whether pyarrow has asked for it."""

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != "pandas":
            return None
        if not self.asked:
            raise ModuleNotFoundError("not yet", name=fullname)
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        loader, load = spec.loader, spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            load(module)
            del loader.exec_module
            with suppress(ImportError):  # too old for pyarrow, which then goes on without
                _ = pa.lib._pandas_api.pd

        loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec

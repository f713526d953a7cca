"""A plug-in of one file: Python code beside a catalog that its ``plugins`` names, known by its content."""

from __future__ import annotations

import hashlib
import re
import sys
import traceback
from dataclasses import dataclass
from importlib.abc import ExecutionLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

from curate.errors import StepError, described
from curate.files import regular


@dataclass(frozen=True)
class PluginFile:
    """The code of a plug-in, read once, so that what runs in a worker is what the keys name."""

    name: str
    """As messages show it."""
    path: str
    """Where it was read, for tracebacks."""
    text: str

    @classmethod
    def read(cls, path: Path, name: str) -> PluginFile:
        """Reads a file; runs nothing.

        Raises:
            StepError: it is no Python file of UTF-8 text.
        """
        if path.suffix != ".py":
            raise StepError(f"{name}: a plug-in is one Python file, 'name.py'; a package is installed instead")
        try:
            return cls(name, str(path), regular(path).read_text(encoding="utf-8-sig"))
        except UnicodeDecodeError as error:
            raise StepError(f"{name}: no UTF-8 at byte {error.start:,}; save it as UTF-8") from None
        except OSError as error:
            raise StepError(f"{name}: cannot be read: {error.strerror or error}") from None

    @property
    def digest(self) -> str:
        """24 hexadecimal digits of the content."""
        return hashlib.blake2b(self.text.encode(), digest_size=12).hexdigest()

    def load(self) -> ModuleType:
        """The module; its code runs once in a process.

        Raises:
            StepError: the code raises; the message has the line.
        """
        name = f"curate_plugin_{re.sub(r'[^0-9A-Za-z]', '_', Path(self.path).stem)}_{self.digest}"
        if name in sys.modules:
            return sys.modules[name]
        spec = spec_from_loader(name, _Loader(self))
        assert spec is not None and spec.loader is not None
        module = sys.modules[name] = module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except BaseException as error:
            del sys.modules[name]
            if isinstance(error, KeyboardInterrupt):  # the user's
                raise
            raise StepError(f"{self.name}:{self._line(error)}: {described(error)}") from error
        return module

    def _line(self, error: BaseException) -> int:
        if isinstance(error, SyntaxError) and error.filename == self.path:
            return error.lineno or 1
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == self.path]
        return (lines[-1] if lines else None) or 1


class _Loader(ExecutionLoader):
    def __init__(self, file: PluginFile) -> None:
        self._file = file

    def get_filename(self, fullname: str) -> str:
        return self._file.path

    def get_source(self, fullname: str) -> str:
        return self._file.text

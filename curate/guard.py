"""Checks that the packages ``filters``, ``sources`` and ``outputs`` that Python imports are curate's own and of its
version.

Other distributions install top-level packages of these names; mixing them would fail far away and oddly, so it
fails here.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from curate._version import __version__

_NAMES = ("sources", "filters", "outputs")


def check_packages(names: tuple[str, ...] = _NAMES) -> None:
    """Looks where the packages come from without importing them.

    Raises:
        ImportError: one is missing, foreign or of another version.
    """
    home = Path(__file__).resolve().parent.parent
    for name in names:
        spec = importlib.util.find_spec(name)
        origin = Path(spec.origin).resolve() if spec is not None and spec.origin else None
        if origin is None:
            raise ImportError(f"curate's package '{name}' is missing; install polycurate {__version__} again")
        if origin.parent.parent != home:
            raise ImportError(
                f"the package '{name}' comes from {origin.parent}, not from curate ({home}); another "
                "distribution or a folder of "
                "that name hides it: uninstall or rename that, or use a fresh virtual environment"
            )
        text = origin.read_text(encoding="utf-8")
        if "__curate_version__" not in text:
            raise ImportError(
                f"the package '{name}' in {home} was overwritten by another distribution; uninstall that and install "
                f"polycurate {__version__} again"
            )

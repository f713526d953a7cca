"""The lists that the checks of pairs go by are YAML beside this module: each has an owner, a licence and a version."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml


@cache
def load(name: str) -> Mapping[str, Any]:
    """What stands in ``data/<name>.yaml``."""
    found: dict[str, Any] = yaml.safe_load(files("curate.pairs").joinpath("data", f"{name}.yaml").read_text("utf-8"))
    return found

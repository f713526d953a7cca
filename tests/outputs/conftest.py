"""Finished versions made by hand, as a build leaves them, and their exports."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from trainer_bench import model, tokenizer
from version_bench import version, written

__all__ = ["model", "tokenizer", "version", "written"]

"""What several tests share: the plug-in's parts in a registry, a catalog in a folder, tiny shards."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "plugin"))


@pytest.fixture(scope="session")
def registry():
    """Everything installed, and the plug-in's parts without installing it."""
    import curate_letters as letters
    from curate_letters import making

    from curate.steps import Registry

    found = Registry.installed()
    found.add("source", "numbered", letters.Numbered)
    found.add("model", "counter", letters.Counter)
    found.add("model", "echo", making.Echo)
    found.add("model", "chain", making.Chain)
    for step in (letters.Letters, letters.Shout, letters.Most, making.Reply, making.Lexicon, making.Marked):
        found.add("step", step.tag, step)
    return found


@pytest.fixture
def shared() -> Path:
    """The development data beside the checkout."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the development data is not here")
    return folder

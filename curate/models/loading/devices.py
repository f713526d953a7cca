"""Determines the device of a model from the system, without importing heavy libraries.

The device decides the number of copies: on a CPU every worker has its own; a GPU is owned by the one process of
*exclusive* models.
"""

from __future__ import annotations

import platform
import re
import sys
from pathlib import Path

from curate.errors import ModelError


class OnDevice:
    """Mix-in for a :class:`Model` that runs in the build's own process, on the GPU or CPU that its ``device`` names."""

    device: str | None

    @property
    def exclusive(self) -> bool:
        """Whether it runs on a GPU, which only one process may use."""
        return takes_device(self.device)

    @property
    def accelerators(self) -> int:
        """Number of GPUs it uses."""
        return int(self.exclusive)


def takes_device(device: str | None) -> bool:
    """Whether a model with this ``device:`` runs on a GPU (or similar); if unset, whether this machine has one."""
    if device is not None:
        return not device.startswith("cpu")
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/kfd").exists()


_PLACE = re.compile(r"cuda(?::(\d+))?|cpu|mps|auto")


def device_and_index(device: str | None) -> tuple[str, int]:
    """``cuda:1`` as (``cuda``, 1); ``auto`` for the fastest available.

    Raises:
        ModelError: it is not a device.
    """
    match = _PLACE.fullmatch(device or "auto")
    if match is None:
        raise ModelError(f"'{device}' is no device; use cpu, cuda, cuda:1 or leave it out")
    return match[0].partition(":")[0], int(match[1] or 0)

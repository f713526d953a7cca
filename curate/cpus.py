"""How many CPUs this process may use: its affinity where the system has one (containers, clusters), else all."""

from __future__ import annotations

import os


def available_cpus() -> int:
    """At least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

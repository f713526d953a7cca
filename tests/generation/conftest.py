"""The bench for steps that make rows, as fixtures."""

from making_bench import bench, gathered, make, scripted, turns  # noqa: F401

"""The bench for steps that make rows, as fixtures."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from making_bench import bench, gathered, make, scripted, turns  # noqa: F401

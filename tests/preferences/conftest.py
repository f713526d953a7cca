"""The bench for steps that make rows, as fixtures here too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "generation"))

from judging import judge  # noqa: F401
from making_bench import bench, gathered, make, scripted, turns  # noqa: F401

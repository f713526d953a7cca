"""Derives the seed of a request from its messages and sample number, independent of time and batch.

All generators use it, so that a request has the same seed with every backend.
"""

from __future__ import annotations

from collections.abc import Sequence

from curate.models.cache.responses import question_key
from curate.steps.models import Sampling

# llama.cpp takes 32 bits and means "at random" by the highest number, some servers take a signed integer of 32 bits.
_LARGEST = 2**31 - 1


def effective_seed(sampling: Sampling, messages: Sequence[tuple[str, str]], sample: int) -> int | None:
    """The seed of a request, in [0, 2**31 - 1); None at temperature 0, where it is unused.

    Args:
        sampling: only ``seed`` and ``temperature`` are used.
        messages: (role, content) of each turn; may contain lone surrogates.
        sample: sample number.
    """
    if sampling.temperature == 0:
        return None
    key = question_key([sampling.seed, [list(turn) for turn in messages], sample])
    return int.from_bytes(key[:8], "big") % _LARGEST

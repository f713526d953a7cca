"""A long text is looked at piece by piece, and what is said of it is what would be said of it as a whole."""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from curate.text import segmentation as text
from filters import repetition as module
from filters.repetition import repetition

WORDS = [
    "bread",
    "Ελλάς",
    "ΟΔΟΣ",
    "خبز",
    "ขนมปัง",
    "面包",
    "パン",
    "빵을",
    "नमस्ते",
    "👩\u200d💻",
    "1234",
    "a",
    "ǅ",
    "İ",
    "ß",
    "x" * 45,
    " ",
    "\n",
    ". ",
    "—",
    "\u0301",
]
TEXT = st.lists(st.sampled_from(WORDS), max_size=60).map("".join) | st.text(max_size=80)
REPEATING = st.tuples(TEXT, st.integers(1, 12), TEXT).map(lambda parts: parts[0] * parts[1] + parts[2])
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=300, deadline=None, suppress_health_check=QUIET)
@given(texts=st.lists(REPEATING, max_size=4), piece=st.sampled_from([20, 21, 40, 64]))
@example(texts=["a" * 100, "ab " * 50, "", "ขนมปัง" * 30], piece=20)
@example(texts=["ΑΣ" * 40 + " ΑΣ"], piece=20)
def test_units_of_pieces_are_those_of_the_whole(monkeypatch, texts, piece):
    series = pl.Series(texts, dtype=pl.String)
    monkeypatch.setattr(text, "_PIECE", 10**9)
    whole = text.units(series)
    monkeypatch.setattr(text, "_PIECE", piece)
    cut = text.units(series)
    for name in ("hashes", "offsets", "singles", "lengths"):
        assert np.array_equal(getattr(whole, name), getattr(cut, name)), name
    assert len(whole.offsets) == len(texts) + 1


@settings(max_examples=300, deadline=None, suppress_health_check=QUIET)
@given(one=REPEATING, many=st.sampled_from([1, 3, 50]))
@example(one="ha " * 40, many=1)
@example(one="面包很好吃。" * 20, many=3)
def test_a_long_text_is_judged_as_a_short_one(monkeypatch, one, many):
    texts = pl.Series([one])
    monkeypatch.setattr(module, "_MANY", 10**9)
    whole = repetition(texts)
    monkeypatch.setattr(module, "_MANY", many)
    assert repetition(texts).equals(whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit",
    [
        "The river had risen overnight and the fields were under water. ",
        "昨夜河水上涨，村里人还没醒来。",
        "ارتفع ماء النهر ليلا وغمر الحقول المنخفضة. ",
    ],
)
def test_really_long_texts_are_judged_as_short_ones(monkeypatch, unit):
    """More units than are looked at together, with the real numbers."""
    chance = random.Random(5)
    fresh = " ".join("".join(chance.choices(sorted(set(unit)), k=5)) for _ in range(400_000))
    texts = [unit * 40_000, fresh, fresh + fresh[: len(fresh) // 2]]
    found = pl.concat([repetition(pl.Series([one])) for one in texts])
    monkeypatch.setattr(module, "_MANY", 10**9)
    assert found.equals(pl.concat([repetition(pl.Series([one])) for one in texts]))
    assert found["loop"][0] == 40_000 and found["repetition"][0] > 0.99
    assert found["repetition"][2] > found["repetition"][1]


MEASURE = """
import random
import polars as pl
from filters.repetition import repetition
chance = random.Random(3)
words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randrange(2, 10))) for _ in range(20_000)]
texts = pl.Series([" ".join(chance.choices(words, k=3_000_000))])
megabytes = texts.str.len_bytes()[0] / 1e6
repetition(pl.Series(["some words to begin with " * 20]))
# Not ru_maxrss: it begins at the size of the process that forked.
peak = lambda: int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
before = peak()
repetition(texts)
print((peak() - before) / 1024 / megabytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_a_long_text_takes_few_bytes_of_memory_for_each_of_its_own():
    run = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    assert float(run.stdout) < 25, "it was 54 when everything was looked at together"

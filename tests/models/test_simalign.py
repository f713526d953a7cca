from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate.errors import ModelError
from curate.models.alignment.simalign import SimAlign, _links

pytestmark = pytest.mark.heavy(env="common")
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "red", "house", "घर", "लाल", "屋", "un", "##kind", "kind")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers with random weights, and a tokenizer of a few words."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    place = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    transformers.BertModel(config).save_pretrained(place)
    inner = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    inner.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special: dict[str, Any] = {
        "unk_token": "[UNK]",
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    transformers.PreTrainedTokenizerFast(tokenizer_object=inner, model_max_length=32, **special).save_pretrained(place)
    return place


def load(folder: Path, **given: Any) -> Any:
    return SimAlign(model=str(folder), **{"layer": 0, **given}).load(cache=None, threads=1)


@pytest.mark.parametrize("method", ["argmax", "itermax", "match"])
def test_words_with_like_vectors_are_linked(folder: Path, method: str) -> None:
    sides = [["red", "house", "घर"], ["लाल", "屋"]]
    found = load(folder, method=method).align(sides, sides)
    assert [alignment.links for alignment in found] == [((0, 0), (1, 1), (2, 2)), ((0, 0), (1, 1))]
    assert all(score == pytest.approx(1.0, abs=1e-5) for score in found[0].scores)
    assert np.isnan(found[0].forward)


@pytest.mark.parametrize("by", ["subword", "word"])
def test_words_of_several_pieces_are_one_unit(folder: Path, by: str) -> None:
    (found,) = load(folder, by=by).align([["the", "unkind", "house"]], [["the", "unkind", "house"]])
    assert found.links == ((0, 0), (1, 1), (2, 2))


def test_batches_and_neighbours_change_nothing(folder: Path) -> None:
    left = [["red", "house"], ["the", "red", "house", "घर"], [], ["屋"]]
    right = [["लाल", "घर"], ["घर", "लाल"], ["屋"], ["house"]]
    one = load(folder, batch_size=1, layer=2).align(left, right)
    all_ = load(folder, batch_size=4, layer=2).align(left, right)
    assert [found.links for found in one] == [found.links for found in all_]
    assert one[2].links == ()


def test_overlong_sides_are_aligned_as_far_as_the_model_reaches(folder: Path) -> None:
    (found,) = load(folder).align([["red"] * 100], [["red"] * 100])
    assert all(i < 32 and j < 32 for i, j in found.links)


def test_links_below_a_similarity_are_left_out(folder: Path) -> None:
    (found,) = load(folder, min_similarity=0.99).align([["red"]], [["屋"]])
    assert found.links == ()


def test_the_model_counts_by_its_content_and_a_missing_layer_is_told(folder: Path) -> None:
    assert SimAlign(model=str(folder)).name_and_revision().startswith("local@")
    assert "model" not in SimAlign(model=str(folder)).identity()
    with pytest.raises(ModelError, match=r"2 layers, so none of number 8"):
        load(folder, layer=8)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"neither a folder with a model"):
        SimAlign(model=str(tmp_path)).name_and_revision()


def test_itermax_links_what_mutual_bests_leave_over() -> None:
    grid = np.array([[0.9, 0.8, 0.1], [0.2, 0.1, 0.7]])
    assert _links(grid, "argmax", 2) == [(0, 0), (1, 2)]
    assert _links(grid, "itermax", 2) == [(0, 0), (1, 2), (0, 1)]

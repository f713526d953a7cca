"""Identity of sentence-transformers models, and the real library with a tiny random network where it is installed."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from curate.models.embedding.sentence_transformers import LABSE_LANGUAGES, SentenceTransformers
from curate.models.loading import hub
from curate.steps import StepError

pytestmark = pytest.mark.heavy(env="common")
COMMIT = "836121a0533e5664b21c7aacc5d22951f2b8b25b"


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    hub.resolve_commit.cache_clear()


def test_labse_is_the_default() -> None:
    assert SentenceTransformers(revision=COMMIT).name_and_revision() == f"sentence-transformers/LaBSE@{COMMIT}"
    assert len(LABSE_LANGUAGES) == len(set(LABSE_LANGUAGES)) >= 109


def test_a_branch_or_abbreviated_commit_is_resolved_by_the_local_hub_cache(tmp_path: Path) -> None:
    folder = tmp_path / "hub" / "models--sentence-transformers--LaBSE"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    (folder / "snapshots" / COMMIT).mkdir(parents=True)
    pinned = SentenceTransformers(revision=COMMIT)
    for model in (
        SentenceTransformers(),
        SentenceTransformers(revision="main"),
        SentenceTransformers(revision="836121a"),
    ):
        assert model.model_identity() == pinned.model_identity()


def test_offline_an_unknown_commit_is_an_error_that_says_how_to_pin_it() -> None:
    with pytest.raises(StepError, match=r"LaBSE at 'main'.*revision:"):
        SentenceTransformers().name_and_revision()


def test_a_path_that_holds_no_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="neither a folder with a model"):
        SentenceTransformers(model=str(tmp_path)).name_and_revision()


def test_a_folder_counts_by_its_content_wherever_it_lies(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    (one / "modules.json").write_text("[]")
    (one / "model.safetensors").write_bytes(b"weights")
    shutil.copytree(one, two)
    (two / "README.md").write_text("told about")
    first = SentenceTransformers(model=str(one)).model_identity()
    assert SentenceTransformers(model=str(two), device="cpu", batch_size=3).model_identity() == first
    assert str(tmp_path) not in str(first)
    (two / "model.safetensors").write_bytes(b"other weights")
    assert SentenceTransformers(model=str(two)).model_identity() != first
    assert SentenceTransformers(model=str(one), prompt="query: ").model_identity() != first


# ------------------------------------------------------------------------------------------------ with the real library
@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of 16 dimensions with mean pooling, saved by the library itself."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("sentence_transformers")
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    raw, folder = tmp_path_factory.mktemp("raw"), tmp_path_factory.mktemp("tiny")
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *"abcdefghijklmnopqrstuvwxyz.",
        *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz"),
    ]
    BertTokenizerFast(vocab={word: number for number, word in enumerate(words)}).save_pretrained(raw)
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(raw)
    transformer = Transformer(str(raw))
    SentenceTransformer(modules=[transformer, Pooling(16)]).save(str(folder))
    return folder


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_local_folder_is_loaded_and_encodes(tiny: Path, tmp_path: Path) -> None:
    encoder = SentenceTransformers(model=str(tiny), languages=("en", "sw"), device="cpu").load(
        cache=tmp_path, threads=1
    )
    texts = ["hello there.", "general", "", "a longer text. " * 100, "hello there."]
    vectors = encoder.encode(texts)
    assert vectors.shape == (5, 16)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), [1, 1, 0, 1, 1], atol=1e-5)
    assert np.array_equal(vectors[0], vectors[4])
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    assert np.array_equal(vectors, alone)  # from the cache
    again = SentenceTransformers(model=str(tiny), languages=("en",), device="cpu").load(cache=None, threads=1)
    assert np.abs(np.concatenate([again.encode([text]) for text in texts]) - vectors).max() < 1e-3
    assert encoder.supports("sw-KE")
    assert not encoder.supports("de")
    assert encoder.absolute


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_prompt_and_length_change_vectors(tiny: Path) -> None:
    plain, prompted, short = (
        SentenceTransformers(model=str(tiny), languages=("en",), device="cpu", **more)
        .load(cache=None, threads=1)
        .encode(["abcdefghijklmnop"])
        for more in ({}, {"prompt": "query "}, {"max_length": 8})
    )
    assert not np.allclose(plain, prompted, atol=1e-3)
    assert not np.allclose(plain, short, atol=1e-3)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_model_that_names_no_languages_is_taken_at_its_word_with_a_warning(
    tiny: Path, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = SentenceTransformers(model=str(tiny), device="cpu").load(cache=None, threads=1)
    assert "languages:" in caplog.text
    assert encoder.supports("yo")


def test_without_the_library_the_command_that_gets_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(StepError, match="pip install torch sentence-transformers"):
        SentenceTransformers(model=str(tmp_path)).load(cache=None, threads=1)

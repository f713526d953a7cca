"""Vectors are kept by content, for several processes, and a cache never changes or stops a run."""

import logging
import multiprocessing
import re
import sqlite3
import time
from logging.handlers import QueueHandler
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.models.cache.embeddings import CachedEncoder, EmbeddingCache, kept_vectors, prune, statistics
from curate.rows.ids import hash_texts
from curate.steps import Encoder

IDENTITY = {"use": "toy", "model": "acme/toy@1"}


class Toy:
    """Letters' code points as a vector, and a diary of what it was asked."""

    def __init__(self, dimensions: int = 8) -> None:
        self.dimensions = dimensions
        self.asked: list[list[str]] = []

    def __call__(self, texts: list[str]) -> np.ndarray:
        self.asked.append(list(texts))
        rows = [np.random.default_rng(list(hash_texts([text])[0])).standard_normal(self.dimensions) for text in texts]
        vectors = np.array(rows, np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def encoder(toy: Toy, folder: Path | None, batch_size: int = 4, **identity: str) -> CachedEncoder:
    cache = EmbeddingCache(folder, {**IDENTITY, **identity}, toy.dimensions) if folder else None
    return CachedEncoder(
        toy,
        dimensions=toy.dimensions,
        supports=lambda tag: tag == "de",
        absolute=True,
        batch_size=batch_size,
        cache=cache,
    )


def test_a_warm_run_asks_the_model_nothing_and_gives_the_same_numbers(tmp_path: Path) -> None:
    texts = ["eins", "zwei", "", "eins", "три", "四", "  "]
    bare, cold, warm = Toy(), Toy(), Toy()
    without = encoder(bare, None).encode(texts)
    first = encoder(cold, tmp_path).encode(texts)
    again = encoder(warm, tmp_path).encode(texts)
    assert cold.asked == [["eins", "zwei", "три", "四"]]
    assert warm.asked == []
    assert np.array_equal(without, first)
    assert np.array_equal(first, again)
    assert np.array_equal(first[0], first[3])
    assert not first[[2, 6]].any()
    assert first.dtype == np.float32


def test_only_new_texts_are_encoded(tmp_path: Path) -> None:
    toy = Toy()
    encoder(toy, tmp_path).encode(["a", "b"])
    encoder(toy, tmp_path).encode(["b", "c", "a", "d"])
    assert toy.asked == [["a", "b"], ["c", "d"]]


def test_another_model_has_another_file(tmp_path: Path) -> None:
    toy = Toy()
    encoder(toy, tmp_path).encode(["a"])
    encoder(toy, tmp_path, model="acme/toy@2").encode(["a"])
    assert toy.asked == [["a"], ["a"]]
    assert [file.identity["model"] for file in statistics(tmp_path)] in (
        ["acme/toy@1", "acme/toy@2"],
        ["acme/toy@2", "acme/toy@1"],
    )


def test_rounding_costs_less_than_a_ten_thousandth_of_a_cosine() -> None:
    toy = Toy(512)
    texts = [f"text {i}" for i in range(200)]
    exact = toy(texts).astype(np.float64)
    given = encoder(toy, None).encode(texts).astype(np.float64)
    assert np.abs(exact @ exact.T - given @ given.T).max() < 1e-4
    assert np.allclose(np.linalg.norm(given, axis=1), 1, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(max_size=6), max_size=20), st.integers(1, 5))
def test_every_list_of_texts_gets_each_text_its_vector(texts: list[str], batch_size: int) -> None:
    toy = Toy()
    vectors = encoder(toy, None, batch_size).encode(texts)
    assert vectors.shape == (len(texts), 8)
    for text, vector in zip(texts, vectors, strict=True):
        assert np.array_equal(vector, encoder(toy, None).encode([text])[0])


def test_lone_surrogates_have_keys_of_their_own(tmp_path: Path) -> None:
    toy = Toy()
    encoder(toy, tmp_path).encode(["a\ud800", "a\udfff", "a?"])
    encoder(toy, tmp_path).encode(["a\udfff"])
    assert len(toy.asked) == 1


def test_what_was_encoded_before_a_crash_is_kept(tmp_path: Path) -> None:
    toy = Toy()

    def crash_late(texts: list[str]) -> np.ndarray:
        if "f" in texts:
            raise KeyboardInterrupt
        return toy(texts)

    dying = CachedEncoder(
        crash_late,
        dimensions=8,
        supports=bool,
        absolute=True,
        batch_size=2,
        cache=EmbeddingCache(tmp_path, IDENTITY, 8),
    )
    with pytest.raises(KeyboardInterrupt):
        dying.encode(list("abcdef"))
    encoder(toy, tmp_path).encode(list("abcdef"))
    assert toy.asked == [["a", "b"], ["c", "d"], ["e", "f"]]


def _fill(folder: Path, start: int, problems: "multiprocessing.Queue[logging.LogRecord]") -> None:
    handler = QueueHandler(problems)
    logging.getLogger("curate").addHandler(handler)
    for offset in range(start, start + 60, 10):
        encoder(Toy(), folder, 5).encode([f"text {i}" for i in range(offset, offset + 40)])


def test_several_processes_write_one_file_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    problems: multiprocessing.Queue[logging.LogRecord] = context.Queue()
    workers = [context.Process(target=_fill, args=(tmp_path, start, problems)) for start in (0, 10, 20, 30)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert problems.empty()
    assert [worker.exitcode for worker in workers] == [0] * 4
    toy = Toy()
    texts = [f"text {i}" for i in range(120)]
    assert np.array_equal(encoder(toy, tmp_path).encode(texts), encoder(Toy(), None).encode(texts))
    assert toy.asked == []
    assert statistics(tmp_path)[0].vectors == 120


@pytest.mark.parametrize(
    "content",
    [b"this is no database, but it is long enough to look like something", b"SQLite format 3\0" + b"\xff" * 5000],
)
def test_a_damaged_cache_is_a_warning(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    toy = Toy()
    mine = encoder(toy, tmp_path)
    assert mine._cache is not None
    mine._cache.file.write_bytes(content)
    assert statistics(tmp_path)[0].problem
    assert prune(tmp_path, 0)[0].problem
    vectors = mine.encode(["a", "b"])
    [message] = caplog.messages
    assert re.search(r"is damaged \(file is not a database\); it was moved to .*\.damaged-", message)
    assert np.array_equal(vectors, encoder(Toy(), None).encode(["a", "b"]))
    mine.encode(["c"])
    assert len(caplog.messages) == 1
    assert not statistics(tmp_path)[0].problem and statistics(tmp_path)[0].vectors == 3
    [aside] = tmp_path.glob("*.damaged-*")
    assert aside.read_bytes() == content


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    assert encoder(Toy(), tmp_path / "file").encode(["a"]).any()
    assert "going on without" in caplog.text


def test_a_locked_cache_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    encoder(Toy(), tmp_path).encode(["a"])
    path = statistics(tmp_path)[0].path
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    cache = EmbeddingCache(tmp_path, IDENTITY, 8, deadline=0.1)
    cache.put(hash_texts(["b"]), np.ones((1, 8), np.float16))
    assert "another process holds it" in caplog.text
    other.execute("ROLLBACK")
    other.close()


def test_a_vector_of_wrong_length_is_encoded_again(tmp_path: Path) -> None:
    toy = Toy()
    encoder(toy, tmp_path).encode(["a", "b"])
    with sqlite3.connect(statistics(tmp_path)[0].path) as connection:
        connection.execute("UPDATE vectors SET vector = x'00' WHERE key = ?", hash_texts(["a"]))
    encoder(toy, tmp_path).encode(["a", "b"])
    encoder(toy, tmp_path).encode(["a", "b"])
    assert toy.asked == [["a", "b"], ["a"]]


def test_pruning_removes_what_no_run_asked_for_lately(tmp_path: Path) -> None:
    toy = Toy(512)
    texts = [f"text {i}" for i in range(500)]
    encoder(toy, tmp_path, 500).encode(texts)
    path = statistics(tmp_path)[0].path
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE used SET day = day - 40")
    encoder(toy, tmp_path).encode(texts[:3])  # used today
    assert prune(tmp_path, 60)[0].removed == 0
    done = prune(tmp_path, 30)[0]
    assert (done.removed, done.kept) == (497, 3)
    assert done.freed > 400_000
    toy.asked.clear()
    encoder(toy, tmp_path).encode(texts[:4])
    assert toy.asked == [["text 3"]]
    assert prune(tmp_path, 0, now=time.time() + 2 * 86_400)[0].kept == 0


def test_statistics_of_no_folder_are_empty(tmp_path: Path) -> None:
    assert statistics(tmp_path / "nothing") == []
    assert prune(tmp_path / "nothing", 1) == []


def test_the_wrapper_is_an_encoder() -> None:
    toy = encoder(Toy(), None)
    assert isinstance(toy, Encoder)
    assert toy.supports("de")
    assert not toy.supports("en")
    assert toy.encode([]).shape == (0, 8)


def test_what_is_kept_of_texts_is_found_without_a_model(tmp_path: Path) -> None:
    assert kept_vectors(tmp_path, ["eins"]) is None
    made = encoder(Toy(), tmp_path).encode(["eins", "四", "drei"])
    encoder(Toy(4), tmp_path, model="acme/other@1").encode(["eins"])  # has fewer of them
    before = statistics(tmp_path)
    found = kept_vectors(tmp_path, ["四", "zwei", "eins", ""])
    assert found is not None and found.model == "acme/toy"
    assert found.found.tolist() == [True, False, True, False]
    assert np.array_equal(found.vectors[[0, 2]], made[[1, 0]])
    assert not found.vectors[[1, 3]].any()
    assert statistics(tmp_path) == before


def test_a_damaged_vector_is_not_found(tmp_path: Path) -> None:
    encoder(Toy(), tmp_path).encode(["eins", "zwei"])
    [file] = tmp_path.glob("*.sqlite")
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE vectors SET vector = zeroblob(16) WHERE key = ?", hash_texts(["eins"]))
    found = kept_vectors(tmp_path, ["eins", "zwei"])
    assert found is not None and found.found.tolist() == [False, True]

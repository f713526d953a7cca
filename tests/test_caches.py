"""What several machines kept for themselves becomes one cache, in which everything is that any of them found out."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np

from curate.caches import base_of, empty_logs, has_nodes, machine, node_folder, read_settled, settle
from curate.models.cache.embeddings import EmbeddingCache, prune, round_vectors, statistics
from curate.models.cache.responses import AnswerCache, question_key

IDENTITY = {"model": "tiny@1"}


def key(text: str) -> bytes:
    return question_key({"q": text})


def answers(folder: Path) -> AnswerCache:
    return AnswerCache(folder, "tiny", IDENTITY)


def put_vectors(folder: Path, *texts: str) -> None:
    cache = EmbeddingCache(folder, IDENTITY, 3)
    cache.put([key(text) for text in texts], halves(*texts))
    cache.close()


def halves(*texts: str) -> np.ndarray:
    vectors = np.array([[len(text), 1, 2] for text in texts], np.float32)
    return round_vectors(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))[0]


def day_of(file: Path, text: str) -> int:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(
            "SELECT u.day FROM used u JOIN vectors v ON v.id = u.id WHERE v.key = ?", (key(text),)
        ).fetchone()[0]


def test_answers_of_several_machines_become_one_file_and_the_first_stays(tmp_path):
    main = answers(tmp_path)
    main.put({key("old"): "from before"})
    main.close()
    for name in ("one", "two"):
        own = answers(node_folder(tmp_path, name))
        assert own.get([key("old"), key(name)]) == {key("old"): "from before"}, (
            "what was known before is known everywhere"
        )
        own.put({key(name): name, key("both"): f"by {name}", key("old"): "anew"})
        assert own.get([key("both"), key("old")])[key("both")] == f"by {name}"
        own.close()
    assert answers(node_folder(tmp_path, "two")).get([key("one")]) == {}, "another machine's file is left alone"
    assert has_nodes(tmp_path)
    settle(tmp_path)
    assert not has_nodes(tmp_path)
    found = answers(tmp_path).get([key(name) for name in ("old", "one", "two", "both")])
    assert found == {key("old"): "from before", key("one"): "one", key("two"): "two", key("both"): "by one"}


def test_vectors_of_several_machines_become_one_file_and_days_of_use_come_along(tmp_path):
    put_vectors(tmp_path, "old", "forgotten")
    [file] = [one.path for one in statistics(tmp_path)]
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE used SET day = 1")
    for name in ("one", "two"):
        cache = EmbeddingCache(node_folder(tmp_path, name), IDENTITY, 3)
        assert list(cache.get([key("old"), key(name)])) == [key("old")]
        assert np.array_equal(cache.get([key("old")])[key("old")], halves("old")[0])
        cache.put([key(name), key("both")], halves(name, "both"))
        cache.close()
    settle(tmp_path)
    cache = EmbeddingCache(tmp_path, IDENTITY, 3)
    found = cache.get([key(name) for name in ("one", "two", "both", "old")])
    assert {text: tuple(found[key(text)]) for text in ("one", "two", "both", "old")} == {
        text: tuple(halves(text)[0]) for text in ("one", "two", "both", "old")
    }
    assert day_of(file, "old") > 1 and day_of(file, "one") > 1
    cache.close()
    assert [one.removed for one in prune(tmp_path, 30)] == [1], "only what nobody asked for is pruned"
    assert EmbeddingCache(tmp_path, IDENTITY, 3).get([key("forgotten"), key("old")]).keys() == {key("old")}


def test_where_nothing_was_known_before_a_machines_file_is_the_cache(tmp_path):
    put_vectors(node_folder(tmp_path, "one"), "a")
    own = answers(node_folder(tmp_path, "alone"))
    own.put({key("q"): 1})  # and is killed: nothing is closed, the log is still beside the file
    settle(tmp_path)
    assert answers(tmp_path).get([key("q")]) == {key("q"): 1}
    assert EmbeddingCache(tmp_path, IDENTITY, 3).get([key("a")]).keys() == {key("a")}
    assert not has_nodes(tmp_path)
    own.close()


def test_a_machine_sees_what_a_killed_build_left_in_a_log(tmp_path):
    killed = answers(tmp_path)
    killed.put({key("q"): "paid for"})
    assert killed.file is not None and killed.file.with_name(killed.file.name + "-wal").stat().st_size > 0
    empty_logs(tmp_path)
    assert answers(node_folder(tmp_path, "one")).get([key("q")]) == {key("q"): "paid for"}
    killed.close()


def test_a_damaged_file_is_a_warning_and_the_others_come_in(tmp_path, caplog):
    answers(tmp_path).put({key("a"): 1})
    put_vectors(tmp_path, "x")
    [file] = [one.path for one in statistics(tmp_path)]
    bad = node_folder(tmp_path, "one") / file.name
    bad.parent.mkdir(parents=True)
    bad.write_bytes(b"this is no database" * 100)
    own = answers(node_folder(tmp_path, "one"))
    own.put({key("b"): 2})
    own.close()
    settle(tmp_path)
    assert "cannot be brought into the cache" in caplog.text
    assert answers(tmp_path).get([key("b")]) == {key("b"): 2} and bad.exists()


def test_a_file_of_another_model_under_the_same_name_is_not_mixed_in(tmp_path, caplog):
    put_vectors(tmp_path, "x")
    [file] = [one.path for one in statistics(tmp_path)]
    put_vectors(node_folder(tmp_path, "one"), "y")
    with closing(sqlite3.connect(node_folder(tmp_path, "one") / file.name)) as connection, connection:
        connection.execute("UPDATE meta SET value = '{}' WHERE name = 'identity'")
    settle(tmp_path)
    assert "it is of another model" in caplog.text
    assert EmbeddingCache(tmp_path, IDENTITY, 3).get([key("y")]) == {}


def test_a_file_of_a_plug_in_stays_with_its_machine_unless_it_is_the_only_one(tmp_path):
    for place, text in ((tmp_path, "main"), (node_folder(tmp_path, "one"), "own")):
        place.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(place / "mine.sqlite")) as connection, connection:
            connection.execute("CREATE TABLE things (name TEXT)")
            connection.execute("INSERT INTO things VALUES (?)", (text,))
    settle(tmp_path)
    assert (node_folder(tmp_path, "one") / "mine.sqlite").exists()
    (tmp_path / "mine.sqlite").unlink()
    settle(tmp_path)
    with closing(sqlite3.connect(tmp_path / "mine.sqlite")) as connection:
        assert connection.execute("SELECT name FROM things").fetchall() == [("own",)]


def test_folders_and_machines_have_names(tmp_path):
    assert base_of(node_folder(tmp_path, "one")) == tmp_path and base_of(tmp_path) is None
    assert machine() == machine() and machine()
    assert read_settled(tmp_path / "nothing.sqlite", "answers") is None
    (tmp_path / "empty.sqlite").touch()
    assert read_settled(tmp_path / "empty.sqlite", "answers") is None
    settle(tmp_path / "nowhere")

"""Kept answers outlive the process that got them."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import ModelError
from curate.models.cache.responses import AnswerCache, AnswerWriter, question_key


def test_the_first_value_of_a_key_stays(tmp_path):
    cache = AnswerCache(tmp_path, "a/b@c", {"model": "x"})
    cache.put({b"1": {"n": 1}, b"2": orjson.Fragment(b'{"n":2}')})
    cache.put({b"1": {"n": 9}})
    assert cache.get([b"1", b"2", b"3", b"1"]) == {b"1": {"n": 1}, b"2": {"n": 2}}
    assert len(cache) == 2


def test_each_identity_has_a_file_of_its_own(tmp_path):
    one, other = AnswerCache(tmp_path, "m", {"model": "a"}), AnswerCache(tmp_path, "m", {"model": "b"})
    one.put({b"1": 1})
    assert other.get([b"1"]) == {} and one.file != other.file
    assert AnswerCache(tmp_path, "m", {"model": "a"}).get([b"1"]) == {b"1": 1}


def test_any_number_of_keys_is_looked_up(tmp_path):
    cache = AnswerCache(tmp_path, "m", {})
    cache.put({str(number).encode(): number for number in range(3_000)})
    assert len(cache.get(str(number).encode() for number in range(5_000))) == 3_000


@given(
    st.recursive(
        st.none() | st.integers(-(2**53), 2**53) | st.text(st.characters()),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    )
)
def test_equal_questions_have_equal_keys(question):
    assert question_key(question) == question_key(question)
    assert question_key(question) != question_key([question])
    assert len(question_key(question)) == 16


def test_the_order_of_keys_in_a_question_means_nothing():
    assert question_key({"a": 1, "b": 2}) == question_key({"b": 2, "a": 1})


def test_many_threads_put_and_all_is_kept(tmp_path):
    cache = AnswerCache(tmp_path, "m", {})
    writer = AnswerWriter(cache)

    def work(part):
        for number in range(200):
            writer.put(f"{part}-{number}".encode(), {"part": part, "number": number})
        writer.flush()
        assert len(cache.get([f"{part}-{number}".encode() for number in range(200)])) == 200

    threads = [threading.Thread(target=work, args=(part,)) for part in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(cache) == 1_600


def test_what_was_flushed_survives_a_kill(tmp_path):
    code = (
        "import os, sys, pathlib; from curate.models.cache.responses import *\n"
        "writer = AnswerWriter(AnswerCache(pathlib.Path(sys.argv[1]), 'm', {}))\n"
        "for n in range(500): writer.put(str(n).encode(), n)\n"
        "writer.flush(); os.kill(os.getpid(), 9)"
    )
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, timeout=600)
    assert run.returncode == -9, run.stderr
    assert len(AnswerCache(tmp_path, "m", {})) == 500


def test_answers_that_cannot_be_kept_are_an_error(tmp_path, monkeypatch):
    cache = AnswerCache(tmp_path, "m", {})
    writer = AnswerWriter(cache)

    def full(answers):
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(cache, "put", full)
        writer.put(b"1", 1)
        with pytest.raises(ModelError, match=r"disk is full"):
            writer.flush()
        assert writer.failed
    writer.put(b"2", 2)
    writer.flush()
    assert not writer.failed and cache.get([b"1", b"2"]) == {b"2": 2}

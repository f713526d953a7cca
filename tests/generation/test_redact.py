"""``redact``: the same thing by the same word in all of a row, and nothing else changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from plain import plain
from pydantic import ValidationError

from curate.generation.redact import Redact
from curate.pii.detect import find
from curate.rows import Kind, schema, with_ids
from curate.steps import RowBatch, Rows

LINEAGE = {"source": "test", "source_id": "", "license": "CC0-1.0", "parents": [], "makers": []}


def rows_of(kind: Kind, payloads: list[dict[str, Any]]) -> Rows:
    full = [
        {"language": "en", "group_id": "g", "scores": [], "attributes": [], "lineage": LINEAGE, **one}
        for one in payloads
    ]
    return Rows(
        kind,
        with_ids(
            kind, pa.Table.from_pylist(full, schema=pa.schema([field for field in schema(kind) if field.name != "id"]))
        ),
    )


def made(rows: Rows, **params: Any) -> list[dict[str, Any]]:
    tables = list(Redact(**params).make(rows, None))  # type: ignore[arg-type]
    assert not any(isinstance(table, RowBatch) for table in tables)
    return [row for table in tables for row in plain(table.to_pylist())]  # type: ignore[union-attr]


def chat(*turns: str) -> list[dict[str, str]]:
    return [dict(zip(("role", "content"), turn.split(": ", 1), strict=True)) for turn in turns]


def test_one_thing_has_one_word_in_question_and_answer_however_it_is_written() -> None:
    rows = rows_of(
        Kind.SFT,
        [
            {
                "messages": chat(
                    "system: Mail is ana@posteo.de",
                    "user: Is it Ana@Posteo.de or bo@posteo.de?",
                    "assistant: ana@posteo.de; ring +٢٥٤ ٧١٢ ٨٠٥ ٣٦٩",
                )
            },
            {"messages": chat("user: Hi", "assistant: Hello")},
            {"messages": chat("user: Wer ist bo@posteo.de?", "assistant: Bo.")},
        ],
    )
    found = made(rows)
    assert [turn["content"] for turn in found[0]["messages"]] == [
        "Mail is [EMAIL_1]",
        "Is it [EMAIL_1] or [EMAIL_2]?",
        "[EMAIL_1]; ring [PHONE_1]",
    ]
    assert found[1]["messages"] == chat("user: Hi", "assistant: Hello") and found[1]["lineage"] == LINEAGE
    assert found[2]["messages"][0]["content"] == "Wer ist [EMAIL_1]?"
    assert found[0]["scores"] == [{"name": "redact", "value": 5.0}]
    assert found[0]["attributes"] == [{"name": "redact.kinds", "value": "email:4 phone:1"}]
    assert found[0]["lineage"]["parents"] == [rows.ids[0]] and found[0]["group_id"] == "g"
    assert not [hit for row in found for turn in row["messages"] for hit in find(turn["content"])]


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (Kind.DOCUMENT, {"text": "ana@posteo.de"}),
        (Kind.PARALLEL, {"source_language": "de", "source": "an ana@posteo.de", "target": "to ana@posteo.de"}),
        (Kind.PROMPT, {"prompt": chat("user: ana@posteo.de?")}),
        (
            Kind.PREFERENCE,
            {
                "prompt": chat("user: who?"),
                "chosen": chat("assistant: ana@posteo.de"),
                "rejected": chat("assistant: none"),
            },
        ),
        (Kind.UNPAIRED, {"prompt": chat("user: who?"), "completion": chat("assistant: ana@posteo.de"), "label": True}),
    ],
)
def test_every_kind_of_row_is_redacted_and_keeps_its_shape(kind: Kind, payload: dict[str, Any]) -> None:
    [row] = made(rows_of(kind, [payload]))
    assert "posteo" not in str(row) and str(row).count("[EMAIL_1]") == str(payload).count("posteo")
    assert Redact().check(kind) == []
    assert made(rows_of(kind, [])) == []


def test_words_kinds_and_fields_are_chosen() -> None:
    rows = rows_of(Kind.SFT, [{"messages": chat("user: ana@posteo.de +49 30 9018 2034", "assistant: ana@posteo.de")}])
    told = lambda **params: [turn["content"] for turn in made(rows, **params)[0]["messages"]]  # noqa: E731
    assert told(what=["phone"]) == ["ana@posteo.de [PHONE_1]", "ana@posteo.de"]
    assert told(fields=["response"]) == ["ana@posteo.de +49 30 9018 2034", "[EMAIL_1]"]
    assert told(template="<{kind}>", labels={"email": "CORREO"}) == ["<CORREO> <PHONE>", "<CORREO>"]
    assert told(template="") == [" ", ""]
    with pytest.raises(ValidationError, match="numbr"):
        Redact(template="[{kind}_{numbr}]")
    assert "no field 'answer'" in Redact(fields=("answer",)).check(Kind.SFT)[0]
    assert Redact(fields=()).check(Kind.SFT) and Redact(what=()).check(Kind.SFT)


def test_it_runs_in_a_catalog(tmp_path: Path) -> None:
    import curate

    (tmp_path / "rows.jsonl").write_text('{"text": "Write to ana@posteo.de."}\n{"text": "Nothing here."}\n', "utf-8")
    (tmp_path / "catalog.yaml").write_text(
        "version: 1\nsources:\n  notes: {use: jsonl, path: "
        "rows.jsonl, kind: document, language: en, license: CC0-1.0}\n"
        "datasets:\n  clean: {from: notes, steps: [redact, quality]}\n",
        "utf-8",
    )
    [built] = curate.build(tmp_path / "catalog.yaml")
    assert built.rows == 2
    texts = curate.query("select text from clean order by text", store=tmp_path / ".curate")["text"].to_list()
    assert texts == ["Nothing here.", "Write to [EMAIL_1]."]

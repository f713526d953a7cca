"""Ids and digests: equal exactly when the content is, however it lies in memory."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.rows import Kind, content_digest, message_columns, payload, required_columns, row_ids, schema, with_ids
from curate.rows.ids import row_digests

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
SOME = TEXT.filter(bool)
CALL = st.fixed_dictionaries(
    {"id": TEXT, "type": st.just("function"), "function": st.fixed_dictionaries({"name": TEXT, "arguments": TEXT})}
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["system", "user", "assistant"]),
            "content": TEXT,
            "tool_calls": st.none() | st.lists(CALL, min_size=1, max_size=2),
            "tool_call_id": st.none() | SOME,
            "name": st.none() | SOME,
            "reasoning": st.none() | SOME,
            "weight": st.none() | st.just(0),
        }
    )
    | st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": TEXT}).map(
        lambda turn: turn | dict.fromkeys(("tool_calls", "tool_call_id", "name", "reasoning", "weight"))
    ),
    max_size=4,
)
MEDIA = st.none() | st.lists(TEXT, min_size=1, max_size=2)
LINEAGE = st.fixed_dictionaries(
    {
        "source": TEXT,
        "source_id": TEXT,
        "license": TEXT,
        "parents": st.lists(TEXT, max_size=2),
        "makers": st.lists(
            st.fixed_dictionaries(dict.fromkeys(("step", "model", "prompt_hash", "key"), TEXT)), max_size=2
        ),
    }
)
VALUES = {
    "messages": MESSAGES,
    "prompt": MESSAGES,
    "chosen": MESSAGES,
    "rejected": MESSAGES,
    "completion": MESSAGES,
    "label": st.booleans(),
    "source_language": st.sampled_from(["en", "sw"]),
    "source": TEXT,
    "target": TEXT,
    "text": TEXT,
    "tools": st.none() | SOME,
    "images": MEDIA,
    "audios": MEDIA,
    "videos": MEDIA,
    "prompt_language": st.none() | st.sampled_from(["en", "sw"]),
}


def rows(kind: Kind) -> st.SearchStrategy[list[dict]]:
    fields = {name: VALUES[name] for name in payload(kind)}
    scores = st.lists(st.fixed_dictionaries({"name": TEXT, "value": st.floats(allow_nan=False)}), max_size=2)
    attributes = st.lists(st.fixed_dictionaries({"name": TEXT, "value": TEXT}), max_size=2)
    fields |= {
        "id": st.just(""),
        "language": st.sampled_from(["en", "ar", "zh-Hant"]),
        "group_id": TEXT,
        "scores": scores,
        "attributes": attributes,
        "lineage": LINEAGE,
    }
    return st.lists(st.fixed_dictionaries(fields), max_size=6)


KINDED = st.sampled_from(list(Kind)).flatmap(lambda kind: st.tuples(st.just(kind), rows(kind)))


@given(KINDED)
@settings(max_examples=150, deadline=None)
def test_two_rows_have_one_id_exactly_when_kind_language_and_payload_are_equal(given_rows):
    kind, items = given_rows
    table = pa.Table.from_pylist(items, schema(kind))
    ids = row_ids(kind, table).to_pylist()
    content = [[item["language"], *(item[name] for name in payload(kind))] for item in items]
    for i in range(len(items)):
        for j in range(i):
            assert (ids[i] == ids[j]) == (content[i] == content[j])


@given(given_rows=KINDED, data=st.data())
@settings(max_examples=150, deadline=None)
def test_digests_do_not_see_chunks_slices_or_files(tmp_path_factory, given_rows, data):
    kind, items = given_rows
    whole = with_ids(kind, pa.Table.from_pylist(items, schema(kind)))
    at = data.draw(st.integers(0, len(items)))
    chunked = pa.concat_tables([whole.slice(0, at), whole.slice(at)])
    assert content_digest(chunked) == content_digest(whole)
    padded = pa.concat_tables([whole, whole]).combine_chunks().slice(len(items), len(items))
    assert content_digest(padded) == content_digest(whole) and row_digests(padded) == row_digests(whole)
    assert row_ids(kind, padded).to_pylist() == whole["id"].to_pylist()
    assert row_digests(whole) == row_digests(whole.slice(0, at)) + row_digests(whole.slice(at))
    path = tmp_path_factory.mktemp("digest") / "a.parquet"
    pq.write_table(whole, path, compression="gzip")
    assert content_digest(pq.read_table(path)) == content_digest(whole)


def base(**change) -> pa.Table:
    row = {
        "id": "",
        "text": "habari",
        "language": "sw",
        "group_id": "g",
        "scores": [{"name": "a", "value": 0.5}],
        "attributes": [],
        "lineage": {
            "source": "s",
            "source_id": "f:1",
            "license": "mit",
            "parents": [],
            "makers": [{"step": "m", "model": "x@1", "prompt_hash": "", "key": "k"}],
        },
    }
    row.update(change)
    return with_ids(Kind.DOCUMENT, pa.Table.from_pylist([row], schema(Kind.DOCUMENT)))


def test_everything_a_step_can_read_moves_the_digest_and_places_and_keys_do_not():
    first = content_digest(base())
    lineage = base()["lineage"][0].as_py()
    for change in (
        {"text": "Habari"},
        {"language": "en"},
        {"group_id": "h"},
        {"scores": []},
        {"scores": [{"name": "a", "value": 0.25}]},
        {"attributes": [{"name": "n", "value": "v"}]},
        {"lineage": {**lineage, "license": "cc0"}},
        {"lineage": {**lineage, "parents": ["p"]}},
    ):
        assert content_digest(base(**change)) != first, change
    moved = {"lineage": {**lineage, "source_id": "f:2"}}
    assert content_digest(base(**moved)) == first
    assert content_digest(base(**moved), places=True) != content_digest(base(), places=True)
    rekeyed = {"lineage": {**lineage, "makers": [{**lineage["makers"][0], "key": "other"}]}}
    assert content_digest(base(**rekeyed), places=True) == content_digest(base(), places=True)
    assert row_digests(base(**rekeyed)) == row_digests(base()) != row_digests(base(**moved))


def test_the_id_is_what_it_was_in_the_first_release():
    assert base()["id"].to_pylist() == ["e75802ce284092a3bbfddb6dfd2a0cef"]


def test_nulls_in_a_payload_are_refused():
    table = pa.table({"language": ["en"], "text": pa.array([None], pa.string())})
    with pytest.raises(ValueError, match="column text holds 1 nulls"):
        row_ids(Kind.DOCUMENT, table)


def test_datasets_and_duckdb_read_every_kind(tmp_path):
    import duckdb
    from datasets import load_dataset

    for kind in Kind:
        path = tmp_path / f"{kind}.parquet"
        item = {
            "id": "",
            "language": "sw",
            "group_id": "",
            "scores": [{"name": "a", "value": 1.0}],
            "attributes": [],
            "lineage": {"source": "s", "source_id": "1", "license": "mit", "parents": [], "makers": []},
        }
        call = {"id": "c", "type": "function", "function": {"name": "jua", "arguments": '{"mji": "القاهرة"}'}}
        thought = {
            "role": "assistant",
            "content": "",
            "tool_calls": [call],
            "name": "n",
            "reasoning": "فكرة",
            "weight": 0,
        }
        answer = {"role": "tool", "content": "35°", "tool_call_id": "c"}
        absent = dict.fromkeys(("tool_calls", "tool_call_id", "name", "reasoning", "weight"))
        turns = [{**absent, **turn} for turn in ({"role": "user", "content": "سلام"}, thought, answer)]
        examples = {"label": True, "source_language": "en", "tools": "[]", "images": ["a.png", "b.png"]}
        item |= {name: examples.get(name, turns if name in message_columns(kind) else None) for name in payload(kind)}
        item |= {name: "neno" for name in required_columns(kind) if item[name] is None}
        table = with_ids(kind, pa.Table.from_pylist([item], schema(kind)))
        pq.write_table(table, path)
        loaded = load_dataset("parquet", data_files=str(path), cache_dir=str(tmp_path / "cache"), split="train")
        row = loaded[0]
        for name in payload(kind):
            assert row[name] == item[name]
        assert duckdb.sql(f"SELECT id FROM '{path}'").fetchall() == [(table["id"][0].as_py(),)]

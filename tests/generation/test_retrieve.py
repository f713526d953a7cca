"""``retrieve``: the nearest texts of a pool, by a real encoder, never the row's own, with scores and lineage."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

import curate
from curate.generation.retrieve import Retrieve
from curate.rows import Kind, with_ids
from curate.steps import Registry, Rows, StepError

POOL = [
    ("en", "How do I bake bread at home?", "Mix flour, water and yeast.", "bread"),
    ("en", "When does the train to Lagos leave?", "At nine.", "train"),
    ("de", "Wie backe ich zu Hause Brot?", "Mehl, Wasser und Hefe mischen.", "bread"),
    ("zh", "去拉各斯的火车几点开？", "九点。", "train"),
    ("ar", "كيف أخبز الخبز في المنزل؟", "اخلط الدقيق والماء.", "bread"),
]


@pytest.fixture(scope="module")
def encoder():
    return Registry.installed().get("model", "use-multilingual")().load(cache=None, threads=1)


@pytest.fixture
def world(bench, make, encoder, turns):
    pool = make(
        Kind.SFT,
        [
            {
                "language": tag,
                "group_id": item,
                "messages": turns(f"user: {prompt}", f"assistant: {response}"),
                "lineage": {"license": "CC-BY-4.0"},
            }
            for tag, prompt, response, item in POOL
        ],
    )
    return bench({"use-multilingual": encoder}, {"pool": [pool]})


def prompts(make, turns, *texts):
    return make(
        Kind.PROMPT,
        [
            {
                "language": tag,
                "prompt": turns(f"user: {text}"),
                "group_id": f"own-{text}",
                "scores": [{"name": "shape", "value": 1.0}],
            }
            for tag, text in texts
        ],
    )


def test_the_nearest_of_the_same_language_come_with_scores(world, make, turns, gathered, encoder):
    rows = prompts(make, turns, ("en", "What do I need to bake a loaf of bread?"), ("en", "Is there a train today?"))
    step = Retrieve(pool="pool", k=1, answer="response")
    [bread, train], bad = gathered(Kind.PROMPT, step.make(rows, world))
    assert not bad
    assert bread["attributes"]["retrieve.1"] == POOL[0][1] and train["attributes"]["retrieve.1"] == POOL[1][1]
    assert bread["attributes"]["retrieve.answer_1"] == "Mix flour, water and yeast."
    one, two = encoder.encode(["What do I need to bake a loaf of bread?", POOL[0][1]])
    assert bread["scores"]["retrieve.1"] == bread["scores"]["retrieve"] == pytest.approx(float(one @ two), abs=1e-5)
    assert bread["scores"]["shape"] == 1.0
    assert bread["id"] == rows.ids[0] and bread["attributes"]["retrieve.ids"] in bread["lineage"]["parents"]
    assert bread["lineage"]["license"] == "CC0-1.0 AND CC-BY-4.0"


def test_texts_of_other_languages(world, make, turns, gathered):
    rows = prompts(make, turns, ("en", "What do I need to bake a loaf of bread?"))
    [other], _ = gathered(Kind.PROMPT, Retrieve(pool="pool", k=2, languages="other").make(rows, world))
    assert {other["attributes"]["retrieve.1"], other["attributes"]["retrieve.2"]} == {POOL[2][1], POOL[4][1]}
    [every], _ = gathered(Kind.PROMPT, Retrieve(pool="pool", k=3, languages="any").make(rows, world))
    assert "retrieve.answer_1" not in every["attributes"]
    assert {every["attributes"][f"retrieve.{n}"] for n in (1, 2, 3)} == {POOL[0][1], POOL[2][1], POOL[4][1]}
    scores = [every["scores"][f"retrieve.{n}"] for n in (1, 2, 3)]
    assert scores == sorted(scores, reverse=True)


def test_a_row_never_gets_its_own_item(world, make, turns, gathered):
    rows = make(Kind.PROMPT, [{"language": "en", "prompt": turns(f"user: {POOL[0][1]}"), "group_id": "bread"}])
    [row], _ = gathered(Kind.PROMPT, Retrieve(pool="pool", languages="any", k=5).make(rows, world))
    assert {value for name, value in row["attributes"].items() if name != "retrieve.ids"} == {POOL[1][1], POOL[3][1]}


def test_rows_that_get_nothing_are_kept_and_told(world, make, turns, gathered):
    rows = prompts(make, turns, ("hi", "रोटी कैसे बनाते हैं?"), ("th", "อบขนมปังอย่างไร"), ("en", " "))
    made, bad = gathered(Kind.PROMPT, Retrieve(pool="pool").make(rows, world))
    assert len(made) == 3 and not bad and not any(row["attributes"] for row in made)
    assert all(row["scores"] == {"shape": 1.0} for row in made)
    assert any("for 1 rows 'pool' has no text in the same language" in one for one in world.warnings)
    assert any("does not know hi" in one for one in world.warnings)


def test_a_field_that_the_pool_lacks_is_an_error(world, make, turns):
    with pytest.raises(StepError, match=r"retrieve: answer: sft rows of 'pool' have no field 'respons'; did you mean"):
        list(Retrieve(pool="pool", answer="respons").make(prompts(make, turns, ("en", "x y")), world))
    assert Retrieve(pool="pool", field="text").check(Kind.PROMPT)


def test_prompts_of_later_steps_show_what_was_retrieved(tmp_path: Path):
    def write(name, lines):
        (tmp_path / name).write_text("".join(json.dumps(one) + "\n" for one in lines), "utf-8")

    write("pool.jsonl", [{"prompt": prompt, "response": response} for tag, prompt, response, _ in POOL if tag == "en"])
    write("new.jsonl", [{"prompt": "What do I need to bake a loaf of bread?"}])
    asked = "Like this:\n{attribute.retrieve.1}\nThe question:\n{prompt}"
    source = {"use": "jsonl", "language": "en", "license": "CC0-1.0"}
    rewrite = {"model": "writer", "prompt": asked, "field": "prompt", "fenced": False}
    text = {
        "version": 1,
        "models": {"writer": {"use": "recorded", "path": "answers.jsonl", "model": "tests/m"}},
        "sources": {
            "pool": {**source, "path": "pool.jsonl", "kind": "sft"},
            "new": {**source, "path": "new.jsonl", "kind": "prompt", "columns": {"prompt": "{prompt}"}},
        },
        "datasets": {"d": {"from": "new", "steps": [{"retrieve": {"pool": "pool", "k": 1}}, {"rewrite": rewrite}]}},
        "run": {"workers": 1},
    }
    (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(text), "utf-8")
    curate.record(tmp_path / "answers.jsonl", catalog=tmp_path / "catalog.yaml")
    [line] = (tmp_path / "answers.jsonl").read_text("utf-8").splitlines()
    record = json.loads(line)
    assert f"Like this:\n{POOL[0][1]}\n" in record["messages"][-1]["content"]
    (tmp_path / "answers.jsonl").write_text(json.dumps({**record, "answer": "What goes into bread?"}), "utf-8")
    [built] = curate.build(tmp_path / "catalog.yaml")
    assert built.rows == 1 and curate.plan(tmp_path / "catalog.yaml").idle


def test_a_row_stays_the_child_of_what_it_was_made_of(world, make, turns, gathered):
    """Steps that compare a row with its parent must not compare it with itself, nor with what stands beside it."""
    above = "f" * 32
    rows = make(
        Kind.PROMPT,
        [
            {"language": "en", "prompt": turns("user: What do I need to bake bread?"), "lineage": {"parents": []}},
            {"language": "de", "prompt": turns("user: Backe ich Brot?"), "lineage": {"parents": [above]}},
            {"language": "fr", "prompt": turns("user: Du pain ?"), "lineage": {"parents": [above]}},
        ],
    )
    [english, german, french], _ = gathered(Kind.PROMPT, Retrieve(pool="pool", k=2).make(rows, world))
    assert english["lineage"]["parents"][0] == english["id"] and len(english["lineage"]["parents"]) == 3
    assert german["lineage"]["parents"][:2] == [above, german["id"]] and len(german["lineage"]["parents"]) == 3
    assert french["lineage"]["parents"] == [above]
    after = [with_ids(Kind.PROMPT, table) for table in Retrieve(pool="pool", k=2).make(rows, world)]
    assert Rows(Kind.PROMPT, pa.concat_tables(after)).parents().to_list() == [None, above, above]

"""The output ``sentence-transformers``: columns in the order of its losses and no others; its trainer reads them."""

from __future__ import annotations

import json

import pytest
from version_bench import ASKED, data_of, turns

from curate.errors import ExportError
from curate.rows import Kind
from outputs.formats.sentence_transformers import SentenceTransformers


def named(**values):
    return [{"name": name.replace("__", "."), "value": value} for name, value in values.items()]


PAIRS = [
    {
        "language": tag,
        "source_language": "en",
        "source": ASKED["en"][1],
        "target": question,
        "scores": named(similarity__score=0.5 + number / 10),
        "attributes": named(
            negatives__1=answer, negatives__2=other, negatives__label="true" if number % 2 else "false"
        ),
    }
    for number, (tag, (_, question, answer, other)) in enumerate(ASKED.items())
]


def columns(rows):
    return {tuple(row) for row in rows}


def test_pairs_are_anchor_and_positive(version, written):
    rows = data_of(found := written(version(Kind.PARALLEL, train=PAIRS), "sentence-transformers"))
    assert columns(rows) == {("anchor", "positive")}
    assert [row["positive"] for row in rows] == [row["target"] for row in PAIRS]
    beside = (found.folder / "rows/train.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["language"] for line in beside] == list(ASKED)
    guide = (found.folder / "README.md").read_text("utf-8")
    assert "losses.MultipleNegativesRankingLoss" in guide and 'data["train"]' in guide


def test_negatives_follow_in_order(version, written):
    there = version(
        Kind.PARALLEL, train=[*PAIRS, {**PAIRS[0], "attributes": PAIRS[0]["attributes"][:1], "target": "one"}]
    )
    [*_, last] = rows = data_of(found := written(there, "sentence-transformers", negatives=2))
    assert columns(rows) == {("anchor", "positive", "negative_1", "negative_2")} and len(rows) == 5
    assert (last["negative_1"], last["negative_2"]) == ASKED["en"][2:]
    assert found.written.skipped == {"no attribute 'negatives.2'": 1}
    assert columns(data_of(written(there, "sentence-transformers", negatives=1))) == {
        ("anchor", "positive", "negative")
    }


def test_scored_and_labelled_pairs(version, written):
    there = version(Kind.PARALLEL, train=[*PAIRS, {**PAIRS[0], "target": "neither", "scores": [], "attributes": []}])
    scored = data_of(found := written(there, "sentence-transformers", score="similarity.score"))
    assert columns(scored) == {("sentence1", "sentence2", "score")}
    assert [row["score"] for row in scored] == [0.5, 0.6, 0.7, 0.8, 0.9]
    assert found.written.skipped == {"no score 'similarity.score'": 1}
    labelled = data_of(found := written(there, "sentence-transformers", label="negatives.label"))
    assert columns(labelled) == {("sentence1", "sentence2", "label")}
    assert [row["label"] for row in labelled] == [0, 1, 0, 1, 0] and sum(found.written.skipped.values()) == 1


def test_conversations_and_preferences(version, written):
    sft = [
        {"language": tag, "messages": turns(f"system: {system}", f"user: {asked}", f"assistant: {said}")}
        for tag, (system, asked, said, _) in ASKED.items()
    ]
    long = {"messages": turns("user: a", "assistant: b", "user: c", "assistant: d")}
    silent = {"messages": turns("user: a", "assistant: ")}
    rows = data_of(found := written(version(Kind.SFT, train=[*sft, long, silent]), "sentence-transformers"))
    assert [tuple(row.values()) for row in rows] == [(asked, said) for _, asked, said, _ in ASKED.values()]
    assert sum(found.written.skipped.values()) == 2 and len(found.written.skipped) == 2
    pairs = [
        {
            "language": tag,
            "prompt": turns(f"user: {asked}"),
            "chosen": turns(f"assistant: {said}"),
            "rejected": turns(f"assistant: {no}"),
        }
        for tag, (_, asked, said, no) in ASKED.items()
    ]
    rows = data_of(written(version(Kind.PREFERENCE, train=pairs, name="pairs"), "sentence-transformers"))
    assert [tuple(row.items()) for row in rows][1] == (
        ("anchor", ASKED["th"][1]),
        ("positive", ASKED["th"][2]),
        ("negative", ASKED["th"][3]),
    )


@pytest.mark.parametrize(
    ("parameters", "kind", "message"),
    [
        ({"meta_in": "column"}, Kind.PARALLEL, "every column is an input"),
        ({"score": "a", "label": "b"}, Kind.PARALLEL, "a loss takes one of them"),
        ({"score": "a", "negatives": 1}, Kind.PARALLEL, "without negatives"),
        ({"label": "a"}, Kind.PREFERENCE, "without negatives"),
    ],
)
def test_wrong_parameters(parameters, kind, message):
    assert any(message in one for one in SentenceTransformers(**parameters).check(kind))


def test_an_export_without_rows_is_an_error(version, written):
    with pytest.raises(ExportError, match=r"no score 'quality' \(5"):
        written(version(Kind.PARALLEL, train=PAIRS), "sentence-transformers", score="quality")


@pytest.mark.heavy(env="common")
@pytest.mark.parametrize(
    ("parameters", "loss"),
    [
        ({}, "MultipleNegativesRankingLoss"),
        ({"negatives": 2}, "MultipleNegativesRankingLoss"),
        ({"negatives": 1}, "TripletLoss"),
        ({"score": "similarity.score"}, "CoSENTLoss"),
        ({"label": "negatives.label"}, "ContrastiveLoss"),
    ],
)
def test_its_own_trainer_reads_it(version, written, parameters, loss, tmp_path, monkeypatch):
    library = pytest.importorskip("sentence_transformers")
    torch = pytest.importorskip("torch")
    from datasets import load_dataset

    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    found = written(version(Kind.PARALLEL, train=PAIRS), "sentence-transformers", **parameters)
    data = load_dataset(str(found.folder))["train"]
    words = sorted({word for row in data for value in row.values() if isinstance(value, str) for word in value.split()})
    from sentence_transformers import losses, models

    torch.manual_seed(1)
    dense = models.Dense(len(words), 8)
    model = library.SentenceTransformer(modules=[models.BoW(vocab=words), dense], device="cpu")
    before = dense.linear.weight.detach().clone()
    arguments = library.SentenceTransformerTrainingArguments(
        str(tmp_path / "out"), num_train_epochs=2, report_to=[], save_strategy="no", use_cpu=True, learning_rate=0.1
    )
    trainer = library.SentenceTransformerTrainer(
        model, args=arguments, train_dataset=data, loss=getattr(losses, loss)(model)
    )
    trained = trainer.train()
    assert trained.global_step > 0 and not torch.equal(before, dense.linear.weight)

"""The output ``beir``: a corpus, queries and their right texts as BEIR's loader reads them, negatives apart."""

from __future__ import annotations

import csv
import json

import pytest
from version_bench import ASKED, turns

from curate.errors import ExportError
from curate.rows import Kind
from outputs.formats.beir import Beir


def negatives(*texts):
    return [{"name": f"negatives.{number}", "value": text} for number, text in enumerate(texts, 1)]


def pair(source, target, *wrong, language="ar", **more):
    return {"source_language": "th", "source": source, "language": language, "target": target,
            "attributes": negatives(*wrong), **more}  # fmt: skip


TRAIN = [
    pair("ห้องสมุดเปิดกี่โมง", "تفتح المكتبة في الثامنة.", "تفتح السوق في السادسة.", "أغلقت المكتبة أمس."),
    pair("ตลาดเปิดกี่โมง", "تفتح السوق في السادسة.", "تفتح المكتبة في الثامنة."),
    pair("ห้องสมุดเปิดกี่โมง", "أغلقت المكتبة أمس.", " "),  # a second right text, which was a negative above
]
TEST = [pair("รถไฟมาเมื่อไร\u2028?", "يصل القطار\tعند\nالظهر.", "تفتح السوق في السادسة.")]


def read(folder, split):
    """Corpus, queries and relevance, as ``GenericDataLoader(folder).load(split)`` of beir 2 reads them."""
    corpus, queries, qrels = {}, {}, {}
    with (folder / "corpus.jsonl").open(encoding="utf8") as lines:
        for line in map(json.loads, lines):
            corpus[line["_id"]] = {"text": line["text"], "title": line["title"]}
    with (folder / "queries.jsonl").open(encoding="utf8") as lines:
        for line in map(json.loads, lines):
            queries[line["_id"]] = line["text"]
    with (folder / "qrels" / f"{split}.tsv").open(encoding="utf-8") as lines:
        table = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_MINIMAL)
        assert next(table) == ["query-id", "corpus-id", "score"]
        for query, text, score in table:
            qrels.setdefault(query, {})[text] = int(score)
    return corpus, {query: queries[query] for query in qrels}, qrels


def test_what_beir_reads_is_every_question_with_its_right_texts(version, written):
    found = written(version(Kind.PARALLEL, train=TRAIN, test=TEST), "beir")
    corpus, queries, qrels = read(found.folder, "train")
    right = {queries[query]: {corpus[text]["text"] for text in texts} for query, texts in qrels.items()}
    assert right == {
        "ห้องสมุดเปิดกี่โมง": {"تفتح المكتبة في الثامنة.", "أغلقت المكتبة أمس."},
        "ตลาดเปิดกี่โมง": {"تفتح السوق في السادسة."},
    }
    assert {score for texts in qrels.values() for score in texts.values()} == {1}
    assert len(corpus) == len({one["text"] for one in corpus.values()}) == 4  # equal texts once, of all splits
    _, queries, qrels = read(found.folder, "test")
    [(query, text)] = queries.items()
    assert text == TEST[0]["source"] and [corpus[one]["text"] for one in qrels[query]] == [TEST[0]["target"]]
    assert not {*queries} & {*corpus}  # BEIR leaves out a text with the query's id
    assert found.written.rows == {"train": 3, "test": 1}


def test_hard_negatives_are_kept_apart_and_none_is_right(version, written):
    found = written(version(Kind.PARALLEL, train=TRAIN, test=TEST), "beir")
    corpus, queries, _ = read(found.folder, "train")
    lines = [json.loads(line) for line in (found.folder / "hard-negatives/train.jsonl").read_text("utf-8").splitlines()]
    told = {
        queries[line["qid"]]: [{corpus[one]["text"] for one in ids} for ids in (line["pos"], line["neg"]["negatives"])]
        for line in lines
    }
    assert told == {
        TRAIN[0]["source"]: [{TRAIN[0]["target"], TRAIN[2]["target"]}, {TRAIN[1]["target"]}],
        TRAIN[1]["source"]: [{TRAIN[1]["target"]}, {TRAIN[0]["target"]}],
    }
    assert found.written.notes == ["1 negatives are right texts of their query elsewhere, and no negatives"]
    without = written(version(Kind.PARALLEL, train=[pair("a", "b")], name="plain"), "beir")
    assert not (without.folder / "hard-negatives").exists()


def test_rows_are_told_by_both_ids_and_texts_by_their_language(version, written):
    found = written(version(Kind.PARALLEL, train=TRAIN), "beir")
    lines = [json.loads(line) for line in (found.folder / "rows/train.jsonl").read_text("utf-8").splitlines()]
    assert [(line["source_id"], line["license"]) for line in lines] == [
        (f"letters.jsonl:{number}", "CC0-1.0") for number in (1, 2, 3)
    ]
    corpus = {one["_id"]: one for one in map(json.loads, (found.folder / "corpus.jsonl").open(encoding="utf-8"))}
    assert [corpus[line["corpus-id"]]["text"] for line in lines] == [row["target"] for row in TRAIN]
    assert {one["metadata"]["language"] for one in corpus.values()} == {"ar"}
    asked = [json.loads(line) for line in (found.folder / "queries.jsonl").open(encoding="utf-8")]
    assert [one["metadata"] for one in asked] == [{"language": "th"}] * 2


def test_conversations_and_preferences(version, written):
    pairs = [
        {"language": tag, "prompt": turns(f"user: {asked}"), "chosen": turns(f"assistant: {yes}"),
         "rejected": turns(f"assistant: {no}")}
        for tag, (_, asked, yes, no) in ASKED.items()
    ]  # fmt: skip
    found = written(version(Kind.PREFERENCE, train=pairs), "beir")
    corpus, queries, qrels = read(found.folder, "train")
    assert len(corpus) == 2 * len(ASKED) and len(queries) == len(ASKED)
    assert {(queries[query], corpus[text]["text"]) for query, texts in qrels.items() for text in texts} == {
        (asked, yes) for _, asked, yes, _ in ASKED.values()
    }
    assert len((found.folder / "hard-negatives/train.jsonl").read_text("utf-8").splitlines()) == len(ASKED)
    long = {"language": "en", "messages": turns("user: a", "assistant: b", "user: c", "assistant: d")}
    one = {"language": "en", "messages": turns("user: a", "assistant: b")}
    found = written(version(Kind.SFT, train=[long, one, one], test=[one], name="chats"), "beir")
    assert found.written.rows == {"train": 2, "test": 1} and sum(found.written.skipped.values()) == 1
    assert found.written.notes == ["1 queries are in several splits, with a right text in each"]
    with pytest.raises(ExportError, match="no rows to write"):
        written(version(Kind.SFT, train=[long], name="long"), "beir")


def test_datasets_is_told_of_the_table_and_the_readme_of_the_split_to_test_on(version, written):
    there = version(Kind.PARALLEL, train=TRAIN, test=TEST)
    folder = written(there, "beir").folder
    head = (folder / "README.md").read_text("utf-8")
    assert "qrels/train.tsv" in head.split("---")[1] and "InformationRetrievalEvaluator" in head
    assert "qrels/test.tsv" in head.split("```python")[1]
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")} == {
        "README.md", "corpus.jsonl", "export.json", "queries.jsonl", "qrels/train.tsv", "qrels/test.tsv",
        "rows/train.jsonl", "rows/test.jsonl", "hard-negatives/train.jsonl", "hard-negatives/test.jsonl",
    }  # fmt: skip


def test_the_layout_is_fixed():
    assert any("jsonl" in one for one in Beir(format="parquet").check(Kind.PARALLEL))
    with pytest.raises(ValueError, match="rows_per_file"):
        Beir(rows_per_file=10)


@pytest.mark.heavy(env="common")
def test_the_code_of_the_readme_runs(version, written, tmp_path, monkeypatch, capsys):
    library = pytest.importorskip("sentence_transformers")
    from sentence_transformers import models

    found = written(version(Kind.PARALLEL, train=TRAIN, test=TEST), "beir")
    corpus, queries, _ = read(found.folder, "test")
    words = sorted(
        {word for one in [*queries.values(), *(one["text"] for one in corpus.values())] for word in one.split()}
    )
    model = library.SentenceTransformer(modules=[models.BoW(vocab=words)], device="cpu")
    monkeypatch.setattr(library, "SentenceTransformer", lambda name: model)
    monkeypatch.chdir(found.folder)
    code = (found.folder / "README.md").read_text("utf-8").split("```python\n")[1].split("```")[0]
    exec(compile(code, "README.md", "exec"), {})
    assert "accuracy@1" in capsys.readouterr().out

"""What people said of a row becomes its scores, and decides about it; of rows that nobody looked at nothing is
claimed."""

import json

import polars as pl
import pytest
import yaml
from pydantic import ValidationError

import curate
from curate.preferences.review.labels_file import Label, digest_of, read_labels, write_labels
from curate.preferences.review.step import Labels
from curate.rows import Kind
from curate.steps import StepError


@pytest.fixture
def texts(make):
    said = [
        ("en", "Fog is a cloud."),
        ("ar", "الضباب سحاب."),
        ("zh", "雾是云。"),
        ("hi", "कोहरा बादल है।"),
        ("th", "หมอกคือเมฆ"),
    ]
    return make(Kind.DOCUMENT, [{"language": tag, "text": text} for tag, text in said])


def reasons(step, rows, context):
    frame = step.score(rows, context, None)
    assert {name: {pl.Float64: "double", pl.String: "string"}[dtype] for name, dtype in frame.schema.items()} == {
        name: str(dtype) for name, dtype in step.columns(rows.kind).items()
    }
    table = frame.with_columns(rows.language.alias("language"))
    first = pl.lit(None, pl.String)
    for reason, test in reversed(list(step.drop_rules(rows.kind).items())):
        first = pl.when(test.fill_null(False)).then(pl.lit(reason)).otherwise(first)
    return frame, table.select(first.alias("reason"))["reason"].to_list()


@pytest.fixture
def labelled(texts, tmp_path):
    ids = texts.ids.to_list()
    write_labels(
        tmp_path / "labels.jsonl",
        [
            Label(ids[0], "ann", "good", rating=5.0),
            Label(ids[0], "bob", "good", rating=4.0),
            Label(ids[1], "ann", "bad", comment="ليس دقيقًا"),
            Label(ids[1], "bob", "bad", correction="الضباب سحاب منخفض."),
            Label(ids[2], "ann", "good"),
            Label(ids[2], "bob", "bad"),
            Label(ids[3], "ann", None, comment="?"),
            Label("f" * 32, "ann", "good"),
        ],
    )
    return tmp_path / "labels.jsonl"


def test_labels_are_merged_by_row_id_and_bad_rows_go(texts, labelled, bench):
    frame, why = reasons(Labels(files=(str(labelled),)), texts, bench())
    assert frame["score"].to_list() == [1.0, -1.0, 0.0, None, None]
    assert frame["annotators"].to_list() == [2, 2, 2, 1, 0]
    assert frame["agreement"].to_list() == [1.0, 1.0, 0.5, None, None]
    assert frame["rating"].to_list() == [4.5, None, None, None, None]
    assert frame["verdict"].to_list() == ["good", "bad", "split", None, None]
    assert frame["by"].to_list() == ["ann bob", "ann bob", "ann bob", "ann", None]
    assert frame["correction"][1] == "الضباب سحاب منخفض." and frame["comment"].to_list()[1:4] == [
        "ليس دقيقًا",
        None,
        "?",
    ]
    assert why == [None, "bad", None, None, None]


def test_decisions_are_thresholds_and_change_no_score(texts, labelled, bench):
    step = {"files": (str(labelled),)}
    assert reasons(Labels(**step, min_agreement=0.6), texts, bench())[1] == [None, "bad", "split", None, None]
    assert reasons(Labels(**step, min_annotators=1), texts, bench())[1] == [None, "bad", None, None, "unlabelled"]
    assert reasons(Labels(**step, min=-1), texts, bench())[1] == [None] * 5
    assert reasons(Labels(**step, min_rating={"en": 4.6, "default": 1}), texts, bench())[1][0] == "rating"
    assert Labels(**step).identity(decisions=False) == Labels(**step, min_annotators=1).identity(decisions=False)


def test_only_named_people_count(texts, labelled, bench):
    frame, why = reasons(Labels(files=str(labelled), annotators=("bob",)), texts, bench())
    assert frame["score"].to_list() == [1.0, -1.0, -1.0, None, None] and why[2] == "bad"


def test_a_choice_says_whether_the_pair_is_the_right_way_round(make, turns, tmp_path, bench):
    rows = make(
        Kind.PREFERENCE,
        [
            {
                "language": "sw",
                "prompt": turns("user: ?"),
                "chosen": turns(f"assistant: a{n}"),
                "rejected": turns("assistant: b"),
            }
            for n in range(3)
        ],
    )
    write_labels(
        tmp_path / "l.parquet",
        [Label(one, "ann", choice=said) for one, said in zip(rows.ids, ("chosen", "rejected", "tie"), strict=True)],
    )
    frame, why = reasons(Labels(files=str(tmp_path / "l.parquet")), rows, bench())
    assert frame["score"].to_list() == [1, -1, 0] and why == [None, "reversed", None]
    assert reasons(Labels(files=str(tmp_path / "l.parquet"), min=0.5), rows, bench())[1] == [
        None,
        "reversed",
        "reversed",
    ]


def test_files_count_by_what_they_say(labelled, tmp_path):
    lines = labelled.read_text("utf-8").splitlines()
    other = tmp_path / "other.jsonl"
    other.write_text("\n".join(["", *reversed(lines)]), "utf-8")
    one, two = Labels(files=str(labelled)), Labels(files=(str(other),))
    assert one.identity() == two.identity() and str(tmp_path) not in json.dumps(one.identity())
    other.write_text("\n".join(lines[:-1]), "utf-8")
    assert Labels(files=str(other)).identity() != one.identity()
    assert digest_of(read_labels([labelled, labelled])) == digest_of(read_labels([labelled]))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2: not JSON"),
        ("[1]", "line 2: must be an object with 'id'"),
        ('{"id": "x"}', "32 hexadecimal"),
        (json.dumps({"id": "a" * 32, "verdikt": "good"}), "no field 'verdikt'.*verdict"),
        (json.dumps({"id": "a" * 32, "verdict": "fine"}), "one of good, bad, unsure"),
        (json.dumps({"id": "a" * 32, "rating": 7}), "from 1 to 5"),
        (json.dumps({"id": "a" * 32, "rating": True}), "from 1 to 5"),
        (json.dumps({"id": "a" * 32, "comment": 3}), "must be a text"),
    ],
)
def test_a_line_that_is_no_label_is_named(line, said, tmp_path):
    (tmp_path / "l.jsonl").write_text(
        json.dumps({"id": "b" * 32, "annotator": "x", "verdict": "good"}) + "\n" + line + "\n"
    )
    with pytest.raises(StepError, match=said):
        Labels(files=str(tmp_path / "l.jsonl")).identity()


def test_files_must_be_named_and_there(tmp_path):
    with pytest.raises(ValidationError):
        Labels(files=())
    with pytest.raises(StepError, match="cannot be read"):
        Labels(files=str(tmp_path / "none.jsonl")).identity()


def test_a_build_drops_what_people_called_bad_and_scores_nothing_again_for_another_threshold(tmp_path):
    (tmp_path / "texts.jsonl").write_text(
        "".join(
            json.dumps({"text": text, "lang": tag}) + "\n"
            for tag, text in (("en", "Fog."), ("zh", "雾。"), ("ar", "ضباب"))
        )
    )
    catalog = {
        "version": 1,
        "sources": {
            "texts": {
                "use": "jsonl",
                "path": "texts.jsonl",
                "kind": "document",
                "language": "{lang}",
                "license": "CC0-1.0",
                "columns": {"text": "{text}"},
            }
        },
        "datasets": {"good": {"from": "texts"}},
    }

    def built():
        (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(catalog))
        return curate.build(tmp_path / "catalog.yaml")[0]

    def query(sql):
        return curate.query(sql, catalog=tmp_path / "catalog.yaml").rows()

    assert built().rows == 3
    ids = dict(query("SELECT language, id FROM good"))
    write_labels(
        tmp_path / "people.jsonl", [Label(ids["zh"], "ann", "bad"), Label(ids["en"], "ann", "good", rating=5.0)]
    )
    catalog["datasets"]["good"]["steps"] = [{"labels": {"files": "people.jsonl"}}]
    assert built().rows == 2
    assert query("SELECT language, reason FROM good.rejected") == [("zh", "bad")]
    assert query(
        "SELECT score(scores, 'labels'), attribute(attributes, 'labels.by') FROM good WHERE language = 'en'"
    ) == [(1.0, "ann")]
    catalog["datasets"]["good"]["steps"][0]["labels"]["min_annotators"] = 1
    assert built().rows == 1
    # Another label, the same path: the file counts by what it says.
    write_labels(tmp_path / "people.jsonl", [Label(one, "ann", "good") for one in ids.values()])
    assert built().rows == 3

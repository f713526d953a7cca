"""A sample goes out to people in a form they can work in, and what they say comes back to the right rows, whatever a
spreadsheet did to it."""

import csv
import json
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import curate
from curate.api.review import review_export, review_import
from curate.cli.review import app
from curate.engine.store.store import Store
from curate.errors import StepError, StoreError
from curate.preferences.review.annotation_tools import label_studio_config
from curate.preferences.review.api import summary
from curate.preferences.review.labels_file import Label, read_labels, write_labels
from curate.preferences.review.sampling import shares
from curate.preferences.review.sheet import AnnotationBatch, entry_of, side_of, token
from curate.preferences.review.spreadsheets import safe, unsafe
from curate.rows import Kind

TEXTS = {
    "en": ("=1+1 is what?", "'quoted' answer"),
    "ar": ("ما هو الضباب؟", "- سحاب قريب من الأرض\n- ماء"),
    "zh": ("雾是什么？", "@雾是水汽。"),
    "hi": ("कोहरा क्या है?", "+ज़मीन के पास का बादल।"),
}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A store with conversations (some rejected) and pairs."""
    folder = tmp_path_factory.mktemp("house")
    chats = [
        {"prompt": f"{text} {number}", "response": answer if number % 5 else "", "lang": tag}
        for tag, (text, answer) in TEXTS.items()
        for number in range(12 if tag == "en" else 6)
    ]
    pairs = [
        {"prompt": f"{text} {number}", "chosen": f"good {tag} {number}", "rejected": f"bad {tag} {number}", "lang": tag}
        for tag, (text, _) in TEXTS.items()
        for number in range(5)
    ]
    for name, rows in (("chats", chats), ("pairs", pairs)):
        (folder / f"{name}.jsonl").write_text(
            "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8"
        )
    common = {"use": "jsonl", "language": "{lang}", "license": "CC0-1.0"}
    catalog = {
        "version": 1,
        "sources": {
            "chats": {
                **common,
                "path": "chats.jsonl",
                "kind": "sft",
                "columns": {"prompt": "{prompt}", "response": "{response}"},
            },
            "pairs": {
                **common,
                "path": "pairs.jsonl",
                "kind": "preference",
                "columns": {"prompt": "{prompt}", "chosen": "{chosen}", "rejected": "{rejected}"},
            },
        },
        "datasets": {"talk": {"from": "chats", "steps": [{"shape": {}}]}, "better": {"from": "pairs"}},
    }
    (folder / "catalog.yaml").write_text(yaml.safe_dump(catalog, sort_keys=False))
    curate.build(folder / "catalog.yaml")
    return folder


@pytest.fixture
def catalog(house):
    return house / "catalog.yaml"


def sheet_rows(path: Path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def fill(path: Path, change):
    """Fills a CSV as a person would."""
    rows = sheet_rows(path)
    for number, row in enumerate(rows):
        row.update(change(number, row) or {})
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return rows


# ------------------------------------------------------------------------------------------------------------- sampling
def test_each_language_has_its_share_and_the_same_seed_takes_the_same_rows(catalog, tmp_path):
    first = review_export("talk", tmp_path / "a.csv", sample=12, catalog=catalog)
    assert first.rows == 12 and set(first.languages.values()) == {3}
    review_export("talk", tmp_path / "b.csv", sample=12, catalog=catalog)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    review_export("talk", tmp_path / "c.csv", sample=12, seed=1, catalog=catalog)
    assert {row["id"] for row in sheet_rows(tmp_path / "a.csv")} != {
        row["id"] for row in sheet_rows(tmp_path / "c.csv")
    }
    sized = review_export("talk", tmp_path / "d.csv", sample=10, share="proportional", catalog=catalog)
    assert sized.languages["en"] == 4 and sum(sized.languages.values()) == 10


def test_rejected_rows_come_on_request_with_the_step_that_dropped_them_only_if_asked(catalog, tmp_path):
    found = review_export(
        "talk", tmp_path / "a.csv", sample=None, by=("status", "step", "reason"), rejected=True, catalog=catalog
    )
    assert found.strata == {("kept", "", ""): (21, 21), ("rejected", "shape", "empty"): (9, 9)}
    assert "reason" not in sheet_rows(tmp_path / "a.csv")[0]
    review_export("talk", tmp_path / "b.csv", sample=None, rejected=True, blind=False, catalog=catalog)
    assert Counter(row["reason"] for row in sheet_rows(tmp_path / "b.csv")) == {"": 21, "empty": 9}


@given(
    st.dictionaries(st.tuples(st.text(max_size=2)), st.integers(1, 50), min_size=1, max_size=8),
    st.integers(1, 200),
    st.sampled_from(["equal", "proportional"]),
)
def test_shares_add_up_and_no_stratum_gives_more_than_it_has(sizes, size, share):
    wanted = shares(sizes, size, share)
    assert sum(wanted.values()) == min(size, sum(sizes.values()))
    assert all(0 <= wanted[one] <= sizes[one] for one in sizes)
    if share == "equal":
        free = [wanted[one] for one in sizes if wanted[one] < sizes[one]]
        assert not free or (max(free) - min(free) <= 1 and all(wanted[one] <= min(free) + 1 for one in sizes))


def test_mistakes_are_told(catalog, tmp_path):
    with pytest.raises(StepError, match=r"langage.*language"):
        review_export("talk", tmp_path / "a.csv", by=("langage",), catalog=catalog)
    with pytest.raises(StoreError, match="no dataset"):
        review_export("tlk", tmp_path / "a.csv", catalog=catalog)
    with pytest.raises(StepError, match="the format of"):
        review_export("talk", tmp_path / "a.doc", catalog=catalog)
    review_export("talk", tmp_path / "a.csv", catalog=catalog)
    with pytest.raises(StepError, match="exists"):
        review_export("talk", tmp_path / "a.csv", catalog=catalog)


# --------------------------------------------------------------------------------------------------------------- tables
@given(st.text(alphabet=st.sampled_from("=+-@'\t\r\nab ＝"), max_size=6))
def test_a_text_is_never_computed_and_comes_back_as_it_was(text):
    assert not safe(text).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert unsafe(safe(text)) == text


def test_hostile_texts_stand_in_csv_and_xlsx_as_texts(catalog, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    review_export("talk", tmp_path / "a.csv", sample=None, catalog=catalog)
    raw = sheet_rows(tmp_path / "a.csv")
    assert all(not value.startswith(("=", "+", "-", "@")) for row in raw for value in row.values())
    assert any(row["prompt"].startswith("'=1+1") for row in raw) and any(
        row["response"] == "''quoted' answer" for row in raw
    )
    review_export("talk", tmp_path / "a.xlsx", sample=None, catalog=catalog)
    page = openpyxl.load_workbook(tmp_path / "a.xlsx")["review"]
    header = [cell.value for cell in page[1]]
    texts = Counter()
    for row in page.iter_rows(min_row=2):
        assert all(cell.data_type != "f" for cell in row)
        cells = dict(zip(header, row, strict=True))
        texts[cells["response"].value] += 1
        assert cells["response"].alignment.readingOrder == (2 if cells["language"].value == "ar" else 1)
        assert cells["prompt"].quotePrefix == cells["prompt"].value.startswith("=")
    assert texts["- سحاب قريب من الأرض\n- ماء"] == 4 and not page.sheet_view.rightToLeft
    assert {str(one.sqref)[0] for one in page.data_validations.dataValidation} == {"F", "G"}


def test_texts_that_xlsx_cannot_hold_are_mended_and_counted(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    from curate.preferences.review.annotation_tools import write

    row = {"id": "a" * 32, "language": "he", "text": "\x00\x1bשלום" + "א" * 40_000}
    sheet = AnnotationBatch("x", Kind.DOCUMENT, [entry_of(Kind.DOCUMENT, row, 0)], "Lies.")
    assert write(sheet, tmp_path / "a.xlsx", "xlsx") == 1
    page = openpyxl.load_workbook(tmp_path / "a.xlsx")["review"]
    assert (
        page["D2"].value.startswith("\ufffd\ufffdשלום")
        and len(page["D2"].value) == 32_767
        and page.sheet_view.rightToLeft
    )


# ------------------------------------------------------------------------------------------------------- there and back
def test_pairs_are_blind_and_a_choice_comes_back_as_chosen_or_rejected(catalog, tmp_path):
    review_export("better", tmp_path / "mary.csv", sample=None, catalog=catalog)
    rows = fill(
        tmp_path / "mary.csv",
        lambda number, row: (
            {"choice": " a " if row["answer_a"].startswith("good") else "B"}
            if number
            else {"choice": "TIE", "comment": "hm"}
        ),
    )
    first = Counter(row["answer_a"].split()[0] for row in rows)
    assert len(rows) == 20 and min(first.values()) >= 4, "which answer is A differs from row to row"
    found = review_import(
        tmp_path / "mary.csv", tmp_path / "labels.jsonl", of="better", gold=tmp_path / "gold.jsonl", catalog=catalog
    )
    assert not found.problems and found.labels == found.new == 20 and found.gold == 20
    labels = read_labels([tmp_path / "labels.jsonl"])
    assert Counter(one.choice for one in labels) == {"chosen": 19, "tie": 1}
    assert {one.annotator for one in labels} == {"mary"} and {one.kind for one in labels} == {"preference"}


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "xlsx", "argilla", "label-studio"])
def test_what_people_say_comes_back_from_every_form(form, catalog, tmp_path):
    if form == "xlsx":
        pytest.importorskip("openpyxl")
    path = tmp_path / {"argilla": "folder", "label-studio": "tasks.json"}.get(form, f"sheet.{form}")
    exported = review_export("talk", path, sample=8, format=form, catalog=catalog)
    assert all(file.exists() for file in exported.files)
    answered = FILLERS[form](path, tmp_path)
    found = review_import(
        answered, tmp_path / "labels.jsonl", of="talk", pairs=tmp_path / "pairs.jsonl", catalog=catalog
    )
    assert found.problems == [] and found.labels == 3 and found.unanswered == 6
    labels = read_labels([tmp_path / "labels.jsonl"])
    assert Counter(one.verdict for one in labels) == {"good": 2, "bad": 1}
    (bad,) = [one for one in labels if one.verdict == "bad"]
    assert bad.rating == 2 and bad.correction == "=ضباب\nماء" and bad.comment == "why"
    assert sorted({one.annotator for one in labels}) == ["ann", "bob"] and len(found.disagreements) == 1
    (pair,) = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text("utf-8").splitlines()]
    assert pair["chosen"][0]["content"] == "=ضباب\nماء" and pair["rejected"][0]["content"] in [
        answer for _, answer in TEXTS.values()
    ]


def _answers(number):
    """What two people say: ann of the first two rows, bob of the second."""
    if number == 0:
        return [
            ("ann", {"verdict": "bad", "rating": "2", "correction": "=ضباب\nماء", "comment": "why"}),
            ("bob", {"verdict": "good"}),
        ]
    return [("ann", {"verdict": "good"})] if number == 1 else []


def _delimited(path, folder):
    files = []
    for who in ("ann", "bob"):
        copy = folder / f"{who}{path.suffix}"
        copy.write_bytes(path.read_bytes())
        mark = "\t" if path.suffix == ".tsv" else ","
        with copy.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, delimiter=mark))
        for number, row in enumerate(rows):
            row.update({**dict(_answers(number)).get(who, {})})
            if row["correction"]:
                row["correction"] = "'" + row["correction"]
        if who == "bob":
            rows = rows[:1]
        with copy.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0], delimiter=";" if path.suffix == ".csv" else mark)
            writer.writeheader()
            writer.writerows(rows)
        files.append(copy)
    return files


def _lines(path, folder):
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    filled = [
        {**row, "annotator": who, **said}
        for number, row in enumerate(rows)
        for who, said in (_answers(number) or [(None, {})])
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in filled))
    return path


def _workbook(path, folder):
    import openpyxl

    book = openpyxl.load_workbook(path)
    page = book["review"]
    header = [cell.value for cell in page[1]]
    added = page.max_row + 1
    for number in (0, 1):
        for at, (who, said) in enumerate(_answers(number)):
            row = number + 2
            if at:  # a second person copies the row below
                for column in range(1, len(header) + 1):
                    page.cell(added, column).value = (
                        page.cell(row, column).value if header[column - 1] in ("id", "key") else None
                    )
                row = added
            for name, text in {**said, "annotator": who}.items():
                cell = page.cell(row, header.index(name) + 1)
                cell.value = int(text) if name == "rating" else text
                cell.data_type = "n" if name == "rating" else "s"
    book.save(path)
    return path


def _argilla(path, folder):
    records = json.loads((path / "records.json").read_text("utf-8"))
    for number, record in enumerate(records):
        for who, said in _answers(number):
            for name, text in said.items():
                record["responses"].setdefault(name, []).append(
                    {"value": int(text) if name == "rating" else text, "user_id": who}
                )
    (path / "records.json").write_text(json.dumps(records))
    return path


def _label_studio(path, folder):
    tasks = json.loads(path.read_text("utf-8"))
    kinds = {"verdict": "choices", "rating": "rating"}
    for number, task in enumerate(tasks):
        task["annotations"] = [
            {
                "completed_by": {"id": 1, "email": who},
                "was_cancelled": False,
                "result": [
                    {
                        "from_name": name,
                        "to_name": "response",
                        "type": kinds.get(name, "textarea"),
                        "value": {kinds.get(name, "text"): int(text) if name == "rating" else [text]},
                    }
                    for name, text in said.items()
                ],
            }
            for who, said in _answers(number)
        ]
    path.write_text(json.dumps(tasks))
    return path


FILLERS = {
    "csv": _delimited,
    "tsv": _delimited,
    "jsonl": _lines,
    "xlsx": _workbook,
    "argilla": _argilla,
    "label-studio": _label_studio,
}


def test_label_studios_flat_export_is_read_too(catalog, tmp_path):
    review_export("talk", tmp_path / "tasks.json", sample=2, format="label-studio", catalog=catalog)
    tasks = [one["data"] for one in json.loads((tmp_path / "tasks.json").read_text("utf-8"))]
    flat = [
        {**tasks[0], "verdict": "good", "rating": 4, "annotator": 7},
        {**tasks[1], "verdict": {"choices": ["bad"]}, "comment": ["a", "b"], "annotator": 7},
    ]
    (tmp_path / "min.json").write_text(json.dumps(flat))
    assert review_import([tmp_path / "min.json"], tmp_path / "l.parquet", catalog=catalog).labels == 2
    labels = {one.verdict: one for one in read_labels([tmp_path / "l.parquet"])}
    assert labels["good"].rating == 4 and labels["bad"].comment == "a\nb" and labels["bad"].annotator == "7"


def test_what_cannot_be_taken_is_told_with_file_and_line_and_all_else_is_kept(catalog, tmp_path):
    review_export("talk", tmp_path / "eve.csv", sample=8, catalog=catalog)

    def spoil(number, row):
        changes = [
            {"id": "f" * 32, "verdict": "good"},
            {"id": "=1", "verdict": "good"},
            {"verdict": "god"},
            {"rating": "9"},
            {"choice": "A"},
        ]
        return changes[number] if number < len(changes) else {"verdict": "good"}

    rows = sheet_rows(tmp_path / "eve.csv")
    for row in rows:
        row["choice"] = ""
    with (tmp_path / "eve.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, **spoil(number, row)} for number, row in enumerate(rows))
    found = review_import(tmp_path / "eve.csv", tmp_path / "labels.jsonl", of="talk", catalog=catalog)
    text = (tmp_path / "eve.csv").read_text("utf-8")
    assert found.labels == 3 and len(found.problems) == 5
    said = "\n".join(found.problems)
    assert (
        "does not belong to row ffff" in said
        and "'=1' is not a row id" in said
        and "verdict 'god'" in said
        and "good" in said
    )
    assert "rating '9'" in said and "the row is not a pair" in said
    # A multi-line cell counts its lines.
    for number, problem in enumerate(found.problems):
        line = int(problem.partition("line ")[2].partition(":")[0])
        assert text.splitlines()[line - 1].startswith(("f" * 32, "=1", rows[number]["id"]))


def test_a_row_that_the_dataset_does_not_have_is_told_and_its_label_kept(catalog, tmp_path):
    (tmp_path / "x.jsonl").write_text(
        json.dumps({"id": "0" * 32, "key": token("0" * 32, "row"), "verdict": "good"}) + "\n"
    )
    found = review_import(tmp_path / "x.jsonl", tmp_path / "labels.jsonl", of="talk", catalog=catalog)
    assert found.labels == 1 and "x.jsonl, line 1: talk@" in found.problems[0] and "has no row 000" in found.problems[0]


def test_a_second_import_adds_and_changes_and_keeps_everybody_else(catalog, tmp_path):
    review_export("talk", tmp_path / "a.csv", sample=4, catalog=catalog)
    for who, word in (("ann", "good"), ("bob", "bad")):
        (tmp_path / f"{who}.csv").write_bytes((tmp_path / "a.csv").read_bytes())
        fill(tmp_path / f"{who}.csv", lambda number, row, word=word: {"verdict": word})
    assert review_import([tmp_path / "ann.csv"], tmp_path / "l.jsonl").labels == 4
    second = review_import([tmp_path / "bob.csv"], tmp_path / "l.jsonl")
    assert (second.labels, second.new, len(second.disagreements)) == (8, 4, 4)
    fill(tmp_path / "ann.csv", lambda number, row: {"verdict": "bad" if number else "good"})
    third = review_import([tmp_path / "ann.csv"], tmp_path / "l.jsonl")
    assert (third.labels, third.new, third.changed, len(third.disagreements)) == (8, 0, 3, 1)
    assert "8 labels (0 new, 3 changed)" in summary(third)
    assert "1 rows on which annotators differ: 1 bad / good" in summary(third)


def test_gold_rows_have_the_better_answer_first_and_feed_a_catalog(catalog, house, tmp_path):
    review_export("better", tmp_path / "a.csv", sample=None, catalog=catalog)
    fill(tmp_path / "a.csv", lambda number, row: {"choice": "A" if row["answer_a"].startswith("bad") else "B"})
    review_import(
        tmp_path / "a.csv", tmp_path / "labels.jsonl", of="better", gold=tmp_path / "gold.jsonl", catalog=catalog
    )
    source = {
        "use": "jsonl",
        "path": "gold.jsonl",
        "kind": "preference",
        "language": "{language}",
        "license": "CC0-1.0",
        "columns": {"prompt": "{prompt}", "chosen": "{chosen}", "rejected": "{rejected}"},
        "scores": {"gold": "{gold}"},
    }
    (tmp_path / "catalog.yaml").write_text(
        yaml.safe_dump({"version": 1, "sources": {"people": source}, "datasets": {"gold": {"from": "people"}}})
    )
    assert curate.build(tmp_path / "catalog.yaml")[0].rows == 20
    found = curate.query(
        "SELECT chosen[1].content AS c, rejected[1].content AS r, score(scores, 'gold') AS gold FROM gold",
        catalog=tmp_path / "catalog.yaml",
    )
    assert all(row[0].startswith("bad") and row[1].startswith("good") and row[2] == 1.0 for row in found.rows())


# ---------------------------------------------------------------------------------------------------------- other forms
def test_the_labelling_configuration_names_every_text_and_question():
    row = {
        "id": "b" * 32,
        "language": "fa",
        "prompt": [{"role": "user", "content": "؟"}],
        "chosen": [{"role": "assistant", "content": "آ"}],
        "rejected": [{"role": "assistant", "content": "ب"}],
    }
    sheet = AnnotationBatch("x", Kind.PREFERENCE, [entry_of(Kind.PREFERENCE, row, 0)], 'Say "A" & <B>')
    root = ElementTree.fromstring(label_studio_config(sheet))
    names = [one.get("name") for one in root.iter() if one.get("name")]
    assert names == ["prompt", "answer_a", "answer_b", "choice", "comment"]
    assert [one.get("value") for one in root.iter("Choice")] == ["A", "B", "tie"]
    assert root.find("Header").get("value") == 'Say "A" & <B>'
    assert {one.get("toName") for one in root.iter() if one.get("toName")} <= set(names)


def test_keys_tell_what_is_a_and_belong_to_one_row():
    assert (
        side_of("c" * 32, token("c" * 32, "rejected")) == "rejected"
        and side_of("d" * 32, token("c" * 32, "rejected")) is None
    )


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from(["user", "assistant", "system"]), st.text(max_size=20)), min_size=1, max_size=4)
)
def test_any_conversation_fits_a_sheet(turns):
    row = {"id": "e" * 32, "language": "und", "messages": [{"role": role, "content": text} for role, text in turns]}
    assert set(entry_of(Kind.SFT, row, 3).texts) == {"prompt", "response"}


# --------------------------------------------------------------------------------------------------------- command line
def test_the_command_line_exports_and_imports(catalog, tmp_path):
    run = CliRunner()
    out = run.invoke(
        app,
        [
            "export",
            "talk",
            "--sample",
            "6",
            "--by",
            "language,status",
            "--to",
            str(tmp_path / "a.csv"),
            "-c",
            str(catalog),
        ],
    )
    assert out.exit_code == 0, out.output
    assert "6 rows: 2 ar" in out.output and "en · kept: " in out.output and "a_instructions.txt" in out.output
    fill(tmp_path / "a.csv", lambda number, row: {"verdict": "good" if number else "gut"})
    out = run.invoke(
        app, ["import", str(tmp_path / "a.csv"), "--into", str(tmp_path / "l.jsonl"), "--annotator", "ann"]
    )
    assert (
        out.exit_code == 1
        and "5 labels (5 new, 0 changed)" in out.output
        and "a.csv, line 2: verdict 'gut'" in out.output
    )
    out = run.invoke(app, ["export", "nobody", "--to", str(tmp_path / "b.csv"), "-c", str(catalog)])
    assert out.exit_code == 1 and "no dataset 'nobody'" in out.output
    assert Store(catalog.parent / ".curate").datasets() == ["better", "talk"]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_files_of_labels_are_joined_and_become_gold(catalog, tmp_path, suffix):
    """As `curate view` writes them, one by each annotator."""
    rows = curate.query("SELECT id, language FROM better ORDER BY id LIMIT 3", store=catalog.parent / ".curate").rows()
    for name, choices in (("mary", ("rejected", "tie", "chosen")), ("john", ("rejected", "chosen", "chosen"))):
        labels = [
            Label(row, name, choice=choice, kind="preference", language=language)
            for (row, language), choice in zip(rows, choices, strict=True)
        ]
        write_labels(tmp_path / f"{name}{suffix}", labels)
    found = review_import(
        [tmp_path / f"mary{suffix}", tmp_path / f"john{suffix}"],
        tmp_path / "all.jsonl",
        of="better",
        gold=tmp_path / "gold.jsonl",
        catalog=catalog,
    )
    assert (found.new, found.problems, found.gold, len(found.disagreements)) == (6, [], 3, 1)
    gold = {one["row"]: one for one in map(json.loads, (tmp_path / "gold.jsonl").read_text("utf-8").splitlines())}
    assert [gold[row]["gold"] for row, _ in rows] == [1.0, 0.5, 1.0]
    assert gold[rows[0][0]]["chosen"][0]["content"].startswith("bad ")  # the people turned it round
    again = review_import([tmp_path / f"mary{suffix}"], tmp_path / "all.jsonl", of="better", catalog=catalog)
    assert (again.new, again.changed, again.labels) == (0, 0, 6)

"""The Python objects: catalogs from dictionaries, built versions, and what notebooks show of them."""

from __future__ import annotations

import json
import math
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import curate
from curate.catalog import CatalogError
from curate.catalog.document import from_values, read_document, to_yaml
from curate.engine.progress import PlainProgress, SilentProgress, progress_or_default
from curate.errors import DamagedError, StoreError
from curate.notebook import table

ROOT = Path(__file__).resolve().parents[1]
ROWS = [
    ("en", "Why is the sky blue?", "Air scatters short waves of light more than long ones."),
    ("hi", "चाय कैसे बनती है?", "पानी उबालें, फिर पत्ती और दूध डालें।"),
    ("th", "ทำไมท้องฟ้าเป็นสีฟ้า", "เพราะอากาศกระเจิงแสงสีฟ้ามากกว่า"),
    ("ar", "كيف حالك؟", "<b>بخير</b> والحمد لله"),
    ("zh", "你好吗？", "很好，谢谢。"),
    ("sw", "Habari?", ""),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with a small built dataset in several scripts, with dropped and unreadable rows."""
    folder = tmp_path_factory.mktemp("python")
    lines = [json.dumps({"prompt": p, "response": r, "lang": tag}, ensure_ascii=False) for tag, p, r in ROWS]
    (folder / "rows.jsonl").write_text("\n".join([*lines, "{broken"]) + "\n", encoding="utf-8")
    curate.build(curate.load_catalog(catalog(folder)))
    return folder


def catalog(folder: Path) -> dict:
    return {
        "version": 1,
        "sources": {
            "talk": {"use": "jsonl", "path": folder / "rows.jsonl", "kind": "sft", "language": "{lang}",
                     "license": "CC0-1.0", "max_error_rate": 0.5},
        },
        "datasets": {"everyday": {"from": "talk", "steps": ["shape"], "splits": {"train": 0.5, "test": 0.5}}},
        "run": {"workers": 1, "store": str(folder / "store")},
    }  # fmt: skip


@pytest.fixture
def everyday(built) -> curate.Dataset:
    return curate.dataset("everyday", store=built / "store")


# ------------------------------------------------------------------------------------------------------------- catalogs
def test_a_catalog_of_a_dictionary_is_that_of_the_file_it_writes(built, tmp_path):
    of_dict = curate.load_catalog(catalog(built))
    (tmp_path / "catalog.yaml").write_text(of_dict.to_yaml(), encoding="utf-8")
    of_file = curate.load_catalog(tmp_path / "catalog.yaml")
    assert of_file.sources == of_dict.sources and of_file.run == of_dict.run
    assert of_file.datasets["everyday"].steps[0].params == of_dict.datasets["everyday"].steps[0].params
    assert of_file.to_yaml() == of_dict.to_yaml()
    (again,) = curate.build(of_file)
    (tmp_path / "catalog.yaml").unlink()  # two catalogs do not share a dataset
    assert not again.changed and again.version == curate.dataset("everyday", catalog=of_dict).version


def test_variables_and_loops_are_written_as_they_were(built):
    values = catalog(built)
    values["variables"] = {"shares": {"train": 1}}
    values["datasets"]["everyday"]["splits"] = "${variables.shares}"
    loaded = curate.load_catalog(values)
    assert loaded.datasets["everyday"].splits == {"train": 1}
    assert "splits: ${variables.shares}" in loaded.to_yaml()
    assert curate.load_catalog(yaml.safe_load(loaded.to_yaml())).to_yaml() == loaded.to_yaml()


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
ODD = [
    "no",
    "NO",
    "yes",
    "1:30",
    "0o17",
    "0x1f",
    "1e5",
    "~",
    "null",
    "<<",
    "2026-01-01",
    ".5",
    "- a",
    "a: b",
    "#x",
    "\n",
]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | st.sampled_from([*ODD, "${x}", "हिन्दी", "مرحبا"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_written_is_read_as_the_same(tmp_path_factory, value):
    file = tmp_path_factory.getbasetemp() / "value.yaml"
    file.write_text(to_yaml({"value": value}), encoding="utf-8")
    assert read_document(file, "value.yaml").values == {"value": value}
    assert from_values({"value": value}, file).values == {"value": value}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"datasets": {"everyday": {"from": "talk", "steps": [{"shape": {"mim": 1}}]}}},
         r"^datasets\.everyday\.steps\[0\]\.shape\.mim: unknown key 'mim'"),
        ({"datasets": {"everyday": {"from": "tlak", "steps": []}}}, r"datasets\.everyday\.from.*did you mean 'talk'"),
        ({"sourcse": {}}, r"^sourcse: unknown key 'sourcse'; did you mean 'sources'"),
        ({"variables": {"when": object}}, r"^variables\.when: a catalog holds only texts"),
        ({"variables": {"x": [1, math.nan]}}, r"^variables\.x\[1\]: a catalog holds only .*, not nan"),
        ({"variables": {1: "x"}}, r"^variables: the key 1 is no text"),
        ({"version": 2}, "^version: version 2 is not known"),
    ],
)  # fmt: skip
def test_mistakes_in_a_dictionary_name_their_place(built, change, message):
    with pytest.raises(CatalogError, match=message):
        curate.load_catalog({**catalog(built), **change})


# ------------------------------------------------------------------------------------------------------------- datasets
def test_rows_are_those_of_a_query_in_every_form(built, everyday):
    frame = everyday.to_polars()
    asked = curate.query("SELECT id, language, split FROM everyday ORDER BY id", store=built / "store")
    assert frame.select("id", "language", "split").sort("id").equals(asked)
    assert len(everyday) == len(frame) == 5 and everyday.languages == dict.fromkeys(("ar", "en", "hi", "th", "zh"), 1)
    answers = {row["language"]: row["messages"][1]["content"] for row in frame.to_dicts()}
    assert answers == {tag: answer for tag, _, answer in ROWS if answer}
    assert everyday.to_arrow().num_rows == 5
    for split, rows in everyday.splits.items():
        assert everyday.to_polars(split)["split"].to_list() == [split] * rows


def test_rows_come_to_hugging_face_as_they_are(everyday):
    splits = everyday.to_hf()
    assert {split: len(rows) for split, rows in splits.items()} == everyday.splits
    for split in everyday.splits:
        rows = everyday.to_hf(split)
        assert str(rows.split) == split and "split" not in rows.column_names
        assert rows["id"][:] == everyday.to_polars(split)["id"].to_list()


def test_the_head_is_the_beginning(everyday):
    assert everyday.head(2).equals(everyday.to_polars().head(2))
    assert len(everyday.head(99)) == 5 and len(everyday.head(0)) == 0
    assert everyday.head(0).schema == everyday.to_polars().schema


def test_what_was_left_out_is_there_with_its_reason(everyday):
    (row,) = everyday.rejected().to_dicts()
    assert row["language"] == "sw" and row["step"] == "shape"
    for reason in (row["reason"], "shape"):
        assert everyday.rejected(reason)["id"].to_list() == [row["id"]]
    with pytest.raises(StoreError, match="no row was dropped for 'shap'; did you mean 'shape'"):
        everyday.rejected("shap")
    explained = str(everyday.why(row["id"]))
    assert "shape" in explained and explained == str(everyday.why("rows.jsonl:6"))
    (bad,) = everyday.quarantined().to_dicts()
    assert bad["raw"] == "{broken" and "7" in bad["place"]


def test_names_that_are_not_there_are_errors(built, everyday):
    with pytest.raises(StoreError, match="no split is called 'tets'; did you mean 'test'"):
        everyday.to_polars("tets")
    with pytest.raises(StoreError, match="no dataset 'evryday' has been built"):
        curate.dataset("evryday", store=built / "store")
    with pytest.raises(StoreError, match="'v9' names no version"):
        curate.dataset("everyday@v9", store=built / "store")


def test_a_version_without_dropped_rows_has_empty_tables(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"text": "ไทย"}\n', encoding="utf-8")
    values = {
        "version": 1,
        "sources": {"s": {"use": "jsonl", "path": tmp_path / "rows.jsonl", "kind": "document", "language": "th",
                          "license": "CC0-1.0"}},
        "datasets": {"whole": {"from": "s", "steps": []}},
        "run": {"workers": 1, "store": str(tmp_path / "store")},
    }  # fmt: skip
    (built,) = curate.build(curate.load_catalog(values))
    made = curate.dataset(built)
    assert made.to_polars()["text"].to_list() == ["ไทย"]
    assert made.rejected().is_empty() and {"text", "step", "reason"} <= {*made.rejected().columns}
    assert made.quarantined().is_empty() and "reason" in made.quarantined().columns


def test_a_damaged_file_is_an_error_and_no_rows(tmp_path, built):
    shutil.copytree(built / "store", tmp_path / "store")
    made = curate.dataset("everyday", store=tmp_path / "store")
    file = next((made.path / "data").iterdir())
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.unlink()
    file.write_bytes(bytes(data))
    with pytest.raises(DamagedError, match="its bytes are not those that were written"):
        made.to_polars()


def test_a_version_writes_its_report(everyday, tmp_path):
    assert everyday.report(tmp_path / "r.html", sample=5).path.read_text(encoding="utf-8").startswith("<!doctype html>")


# ---------------------------------------------------------------------------------------------------------------- shown
class Tags(HTMLParser):
    """The tags of a fragment, each closed as it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.tags.add(tag)
        assert all(not name.startswith("on") and name not in ("src", "href") for name, _ in attributes)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_notebooks_show_every_object_without_scripts_and_colours_of_their_own(built, everyday):
    loaded = curate.load_catalog(catalog(built))
    shown = {
        "catalog": loaded._repr_html_(),
        "plan": curate.plan(loaded)._repr_html_(),
        "built": curate.build(loaded)[0]._repr_html_(),
        "funnel": everyday.funnel._repr_html_(),
        "dataset": everyday._repr_html_(),
    }
    for text in shown.values():
        assert not {"script", "img", "iframe", "b"} & Tags(text).tags
        assert not re.search(
            r"(?:^|[;{])(?:color|background(?:-color)?):\s*(?:#[0-9a-f]{3}(?![0-9a-f])|white|black)", text
        )
    assert "shape" in shown["catalog"] and "nothing to do" in shown["plan"] and "nothing to do" in shown["built"]
    assert "−1" in shown["funnel"]
    assert "1 rejected, 1 quarantined" in shown["dataset"] and "CC0-1.0" in shown["dataset"]
    assert all(tag in shown["dataset"] for tag in ("ar", "hi", "th", "zh"))


@given(st.text(st.characters(), max_size=30))
def test_any_text_in_a_table_stays_text(text):
    shown = table(text, [text], [[text]], [text])
    assert Tags(shown).tags == {"div", "style", "table", "caption", "thead", "tbody", "tr", "th", "td", "ul", "li"}
    assert not set(shown) & {"\x1b", "\u202e", "\x00"}


def test_short_names_in_lists(built, everyday):
    loaded = curate.load_catalog(catalog(built))
    assert repr(loaded) == "<Catalog catalog: 1 sources, 0 models, 1 datasets>"
    assert repr(curate.build(loaded)) == f"[<Built everyday {everyday.version}: 5 rows, nothing to do>]"
    assert repr(everyday) == f"<Dataset everyday@{everyday.version}: 5 sft rows, 5 languages>"


def test_the_package_lists_its_public_names_and_no_others():
    assert dir(curate) == sorted(curate.__all__)
    assert all(hasattr(curate, name) for name in dir(curate))


class ZMQInteractiveShell:
    """Stands for the kernel of a notebook, by the name that IPython gives it."""


def test_progress_is_told_in_notebooks_and_on_terminals_only(monkeypatch, capsys):
    assert isinstance(progress_or_default(None), SilentProgress)
    assert isinstance(progress_or_default(False), SilentProgress)
    mine = PlainProgress()
    assert progress_or_default(mine) is mine
    kernel = type(sys)("IPython")
    kernel.get_ipython = ZMQInteractiveShell
    monkeypatch.setitem(sys.modules, "IPython", kernel)
    told = progress_or_default(None)
    told.begin("read", 1)
    told.end("read")
    assert capsys.readouterr().out.startswith("read: 0 rows in")
    assert isinstance(progress_or_default(False), SilentProgress)

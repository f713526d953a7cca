"""`curate view`: who may ask, which rows a filter finds, what a record shows, where labels go."""

from __future__ import annotations

import contextlib
import html
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import unicodedata
import urllib.request
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_bench import SAID
from typer.testing import CliRunner
from view_bench import CANARY, make_store, serving

import curate
from curate.cli.main import app
from curate.engine.store.store import Store
from curate.errors import StepError, StoreError
from curate.logs import show_warnings
from curate.preferences.review.labels_file import ErrorSpan, Label, read_labels, write_labels
from curate.records.conversation import WHOLE, Own, compared
from curate.rows import Kind, schema
from curate.rows.kinds import message_columns
from outputs.report.records import record, summary
from outputs.report.thresholds import Limit
from outputs.view import View, ViewError
from outputs.view.compare import changed_texts
from outputs.view.labelling import Labels, form, quoted, spans
from outputs.view.reading import Filter, Reader, has, literal
from outputs.view.server import POLICY


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("view") / "sea")


@pytest.fixture(scope="module")
def client(store, tmp_path_factory):
    labels = tmp_path_factory.mktemp("labels") / "labels.jsonl"
    with serving(
        View(store, "sea", catalog=store.root.parent / "catalog.yaml", labels=labels, annotator="mary")
    ) as one:
        yield one


@pytest.fixture(scope="module")
def read(store):
    reader = Reader(store)
    yield reader.version("sea")
    reader.close()


def ids(text: str) -> list[str]:
    return re.findall(r'data-id="([0-9a-f]{32})"', text)


class Tags(HTMLParser):
    """The elements and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


# ------------------------------------------------------------------------------------------------------- who may ask
def test_only_the_address_with_the_token_opens_the_door(client):
    for cookie in ("", "curate=1", client.cookie + "x", client.cookie.replace("=", "=x")):
        status, _, text = client.ask(client.base, headers={"Cookie": cookie})
        assert status == 403 and "token" in text and "Summary" not in text
    status, headers, _ = client.ask(client.start)
    assert status == 303 and "token" not in headers["Location"]
    assert "HttpOnly" in headers["Set-Cookie"] and "SameSite=Strict" in headers["Set-Cookie"]
    assert client.ask(client.base + "?token=wrong", headers={"Cookie": ""})[0] == 403
    assert client.ask("/%5Cevil.example" + client.start[client.start.index("?") :])[1]["Location"].startswith("/%5C")
    for path in ("//evil.example", "/\\evil.example", "/\\/evil.example"):
        _, headers, _ = client.ask(path + client.start[client.start.index("?") :])
        assert headers["Location"] == "/evil.example"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", ""])
def test_another_name_for_this_machine_is_refused(client, host):
    status, _, text = client.ask(client.base, headers={"Host": host})
    assert status == 421 and "Summary" not in text


@pytest.mark.parametrize("origin", ["", "null", "http://evil.example", "http://127.0.0.1:1"])
def test_a_foreign_page_changes_nothing(client, read, origin):
    [row] = read.page(Filter(text="And why is it?", state="dropped"), 1)
    before = client.get(f"/row/{row['id']}")
    assert client.ask(f"{client.base}/label/{row['id']}", {"label": "bad"}, {"Origin": origin})[0] == 403
    assert client.get(f"/row/{row['id']}") == before


def test_every_answer_has_the_policy_and_is_stored_nowhere(client):
    for path in (client.base, client.base + "/rows", "/assets/view.js", "/nothing", "/sea@nothing"):
        _, headers, text = client.ask(path)
        assert headers["Content-Security-Policy"] == POLICY
        assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in headers
        for tag, attributes in Tags(text).found if path[1:7] != "assets" else ():
            assert not [name for name in attributes if name.startswith("on")]
            if tag == "script":
                assert attributes["src"] == "/assets/view.js"


def test_what_is_not_there_is_told(client):
    assert "no dataset &#x27;other&#x27;" in client.ask("/other")[2]
    assert client.ask(f"{client.base}/elsewhere")[0] == 404
    assert client.ask(f"{client.base}/row/zzz")[0] == 404
    assert "did you mean" in client.ask(f"{client.base}/rows?state=droped")[2]
    assert "is no number" in client.ask(f"{client.base}/rows?score=shape.chars&min=x")[2]
    assert client.ask("/../../etc/passwd")[0] in (400, 404)


def test_bars_and_numbers_of_the_funnel_lead_to_the_rows(client):
    text = client.get("")
    chart = re.search(r'<div class="levels".*?<figcaption', text, re.S)[0]
    assert f'href="{client.base}/rows?state=dropped&amp;step=shape&amp;language=zh"' in chart
    assert all(one["tabindex"] == "-1" and one["title"] for tag, one in Tags(chart).found if tag == "a")
    link = re.search(r'href="([^"]+)"[^>]*>−1</a>', text)[1].replace("&amp;", "&")
    assert len(ids(client.ask(link)[2])) == 1
    assert "#rows" not in text


def test_a_damaged_version_is_said_and_takes_no_other_with_it(store, tmp_path):
    copy = shutil.copytree(store.root, tmp_path / "store")
    next((copy / "datasets" / "pairs").glob("*/data/*.parquet")).write_bytes(b"PAR1")
    with serving(View(Store(copy), labels=tmp_path / "l.jsonl")) as one:
        status, _, text = one.ask("/pairs/rows")
        assert status == 400 and "is damaged" in text and "curate repair" in text
        assert len(ids(one.ask("/sea/rows")[2])) == 18
        assert ">pairs</a>" in one.ask("/")[2]


# ------------------------------------------------------------------------------------------------------------- rows
def test_kept_dropped_and_quarantined_rows_are_counted_and_found(client, read):
    manifest = read.version.manifest
    assert (manifest["rows"], manifest["rejected"], manifest["quarantined"]) == (18, 2, 1)
    assert f"1–18 of {manifest['rows']}" in client.get("/rows")
    dropped = client.get("/rows?state=dropped&step=shape&reason=min_response_chars")
    assert "1–2 of 2" in dropped and len(ids(dropped)) == 2
    assert "{broken &lt;b&gt;" in client.get("/rows?state=quarantined")
    assert "none of 0" in client.get("/rows?state=dropped&language=th")


def test_filters_agree_with_the_rows(read):
    for language in ("ar", "hi", "th", "zh"):
        found = read.page(Filter(language=language), 1)
        assert {row["language"] for row in found} <= {language}
        assert read.count(Filter(language=language)) == len(found) == (0 if language == "hi" else 2)
    chars = {
        row["id"]: one["value"]
        for row in read.page(Filter(), 1)
        for one in row["scores"]
        if one["name"] == "shape.chars"
    }
    near = Filter(score="shape.chars", min="60", max="100")
    assert {row["id"] for row in read.page(near, 1)} == {row for row, value in chars.items() if 60 <= value <= 100}
    assert read.count(near) == len(read.page(near, 1)) > 0


def test_search_finds_texts_in_every_script_and_case(read):
    for language, (ask, _) in SAID.items():
        assert {row["language"] for row in read.page(Filter(text=ask[:12]), 1)} == {language}
    assert read.count(Filter(text="RIVERS CARRY")) == read.count(Filter(text="rivers carry")) == 2
    assert read.count(Filter(text="' OR 1=1 --")) == 0
    [row] = read.page(Filter(text=CANARY), 1)
    assert read.page(Filter(text=row["id"][:8]), 1) == [row]


def test_search_finds_composed_and_decomposed_letters(store, read):
    word = "café"
    both = [f"SELECT {literal(unicodedata.normalize(one, word))} AS w" for one in ("NFC", "NFD")]
    for composition in ("NFC", "NFD"):
        said = has("w", unicodedata.normalize(composition, word.upper()))
        assert read.ask(f"SELECT count(*) AS n FROM ({both[0]} UNION ALL {both[1]}) WHERE {said}")["n"][0] == 2


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20))
def test_any_text_is_only_a_text_in_sql(read, text):
    assert read.ask(f"SELECT {literal(text)} AS x")["x"][0] == text


def test_pages_have_fifty_rows_and_miss_none(tmp_path):
    (tmp_path / "rows.jsonl").write_text("".join(f'{{"q": "Question {n}?", "a": "Answer {n}"}}\n' for n in range(120)))
    (tmp_path / "catalog.yaml").write_text(
        "version: 1\nrun: {workers: 1}\nsources:\n  s: {use: jsonl, path: rows.jsonl, kind: sft, language: en, "
        'license: CC0-1.0, columns: {prompt: "{q}", response: "{a}"}}\ndatasets:\n  d: {from: [s]}\n'
    )
    curate.build(tmp_path / "catalog.yaml")
    with serving(View(curate.open_store(catalog=tmp_path / "catalog.yaml"), "d", labels=tmp_path / "l.jsonl")) as one:
        pages = [one.get(f"/rows?page={page}") for page in (1, 2, 3, 4)]
        assert [len(ids(page)) for page in pages] == [50, 50, 20, 0]
        assert len({row for page in pages for row in ids(page)}) == 120
        assert "51–100 of 120" in pages[1] and "Next" in pages[1] and "Next" not in pages[2]
        assert one.get("/rows/count?text=question") == "120"
        (tmp_path / "rows.jsonl").write_text('{"q": "Another?", "a": "Yes, one"}\n')
        curate.build(tmp_path / "catalog.yaml")  # a version that came up meanwhile is found
        assert "Another?" in one.ask("/d/rows")[2]


# ----------------------------------------------------------------------------------------------------------- records
def test_a_record_shows_texts_in_their_language_translations_and_the_reason(client, read):
    row = next(one for one in read.page(Filter(language="ar"), 1) if one["lineage"]["parents"])
    text = client.get(f"/row/{row['id']}")
    assert SAID["ar"][1] in text and SAID["en"][1] in text and SAID["th"][1] in text
    assert f'lang="ar" dir="rtl">{SAID["ar"][1]}' in text and f'lang="th" dir="ltr">{SAID["th"][1]}' in text
    assert "Parent" in text and "Translation" in text
    [short] = read.page(Filter(state="dropped", language="zh"), 1)
    text = client.get(f"/row/{short['id']}")
    assert "shape.response_chars is 3, below the threshold 20 for Chinese." in text
    assert client.get(f"/row/{short['id'][:8]}") == text


def test_nothing_in_a_row_becomes_markup(client, read):
    [row] = read.page(Filter(text=CANARY), 1)
    for text in (client.get(f"/row/{row['id']}"), client.get("/rows"), client.get(f"/row/{row['id']}?part=1")):
        found = Tags(text).found
        assert "img" not in [tag for tag, _ in found]
        assert len([tag for tag, _ in found if tag == "script"]) <= 1
    assert client.get(f"/rows?text={'%22%3E%3Cimg%20src=x%3E'}").count("<img") == 0
    assert "U+202E" in client.get("/rows?text=gnp") and "\u202e" not in client.get("/rows?text=gnp")


def poisoned(kind: Kind) -> dict:
    """A row with markup and a control character in every text that it can hold."""
    bad = f"{CANARY}\u202e"
    call = {"id": bad, "type": "function", "function": {"name": bad, "arguments": bad}}
    message = {"role": "assistant", "content": bad, "tool_calls": [call], "name": bad, "reasoning": bad, "weight": 0}
    row = {name: [message, {**message, "role": bad}] for name in message_columns(kind)}
    row |= {name: [bad] for name in ("images", "audios", "videos") if row}
    row |= {name: bad for name in ("text", "source", "target", "source_language") if name in schema(kind).names}
    row |= dict.fromkeys(("tools", "id", "language", "group_id", "split", "step", "reason"), bad)
    row["lineage"] = dict.fromkeys(("source", "source_id", "license"), bad)
    row["lineage"] |= {"parents": [bad], "makers": [{"step": bad, "model": bad}]}
    row["attributes"] = [{"name": name, "value": bad} for name in (bad, f"{bad}.duplicate_of")]
    return {**row, "kind": kind, "scores": [{"name": bad, "value": 1.0}]}


@pytest.mark.parametrize("kind", Kind)
def test_no_field_of_any_kind_of_row_becomes_markup(kind):
    row = poisoned(kind)
    limit = Limit(row["step"], row["language"], row["reason"], "below", 2.0)
    errors = [ErrorSpan(name, 3, 20, row["id"]) for name in spans(row)]
    label = Label(row["id"], row["id"], comment=row["id"], errors=tuple(errors))
    kept = {name: value for name, value in row.items() if name not in ("step", "reason")}
    made = [
        record(
            one,
            [limit],
            [{**row, "id": "other"}],
            {row["id"]: row},
            lambda one: f"/base/row/{one}",
            [row["step"]],
            Own("/base/row/x", 0, errors),
        )
        for one in (row, kept)
    ]
    made += [
        summary(row, "/base/row/x", label),
        form(row, label, "/base"),
        changed_texts(row, {**row, "text": "another"}),
    ]
    for text in made:
        found = Tags(text).found
        assert found and not {tag for tag, _ in found} & {"script", "img", "style", "iframe", "svg"}
        assert not [name for _, attributes in found for name in attributes if name.startswith("on")]
        assert "\u202e" not in text
        for _, attributes in found:
            for name in ("href", "action"):
                assert attributes.get(name, "/base").startswith("/base/"[: len(attributes.get(name, "/base"))])


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A view of a pair and a Thai conversation of half a million characters."""
    folder = tmp_path_factory.mktemp("long")
    thai = {"messages": [{"role": "user", "content": "เล่าเรื่อง"}, {"role": "assistant", "content": "น้ำเค็ม" * 70_000}]}
    pair = {"ask": "Why?", "good": f"{'Salt. ' * 50_000}End.", "poor": f"{'Salt. ' * 50_000}Stop."}
    for name, row in (("thai", thai), ("pair", pair)):
        (folder / f"{name}.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "catalog.yaml").write_text("""\
version: 1
run: {workers: 1}
sources:
  thai: {use: jsonl, path: thai.jsonl, kind: sft, language: th, license: CC0-1.0, columns: {messages: "{messages}"}}
  pair: {use: jsonl, path: pair.jsonl, kind: preference, language: en, license: CC0-1.0,
         columns: {prompt: "{ask}", chosen: "{good}", rejected: "{poor}"}}
datasets: {story: {from: [thai]}, choice: {from: [pair]}}
""")
    curate.build(folder / "catalog.yaml")
    with serving(View(Store(folder / ".curate"), "story", labels=folder / "l.jsonl", annotator="mary")) as one:
        yield one


def test_a_very_long_text_is_shown_in_pieces_that_join(long):
    for path, whole in (("/story", "น้ำเค็ม" * 70_000), ("/choice", "Salt. " * 50_000 + "End.")):
        [row] = ids(long.ask(f"{path}/rows")[2])
        pieces, start = [], 0
        while True:
            status, _, page = long.ask(f"{path}/row/{row}?part=1&from={start}")
            assert status == 200 and len(page) < 10 * WHOLE
            name = "messages[1]" if path == "/story" else "chosen[0]"
            text = re.search(rf'data-text="{re.escape(name)}" data-start="{start}"[^>]*>([^<]*)<', page)[1]
            pieces.append(text)
            more = re.search(r'from=(\d+)">more →', page)
            if more is None:
                break
            start = int(more[1])
        assert "".join(pieces) == whole and len(pieces) > 2


def test_a_page_after_the_last_says_which_is_the_last(client):
    for asked in ("2", "99999999999", "7&text=a", "7&state=quarantined&text=broken"):
        text = client.get(f"/rows?page={asked}")
        assert re.search(r"There is no page [\d,]+: the \d+ rows? ends? with page 1\.|There is no page", text), asked
        assert 'rel="prev"' in text and "page=" not in re.search(r'href="([^"]*)" rel="prev"', text)[1]


def test_calls_are_folded_and_pairs_are_side_by_side(client, store):
    text = client.ask("/calls/rows")[2]
    [row] = ids(text)
    text = client.ask(f"/calls/row/{row}")[2]
    assert re.search(r"<details class=\"call\"><summary>Calls <code>tide</code>.*?مرفأ", text, re.S)
    text = client.ask("/pairs/rows?language=en")[2]
    [row] = ids(text)
    text = client.ask(f"/pairs/row/{row}")[2]
    assert "<ins>salt</ins>" in text and "<del>sugar</del>" in text
    assert text.index('class="side chosen"') < text.index('class="side rejected"')
    assert "Chosen is better" in text


def test_a_row_that_others_were_made_of_is_shown_though_the_version_does_not_have_it(client):
    [row] = ids(client.ask("/clean/rows")[2])
    [parent] = set(re.findall(r"/row/([0-9a-f]{32})", client.ask(f"/clean/row/{row}")[2])) - {row}
    status, _, text = client.ask(f"/clean/row/{parent}")
    assert status == 200 and "Not a row of this version" in text
    assert "jo@tide-museum.org" in text and "jo@tide-museum.org" not in client.ask("/clean/rows")[2]
    assert client.ask(f"/clean/row/{'0' * 32}")[0] == 404


@given(st.text(max_size=60), st.text(max_size=60))
def test_marks_change_no_text(old, new):
    from curate.records.markup import text

    left, right = compared(old, new, "en")
    assert re.sub("</?(?:ins|del)>", "", left) == text(old)
    assert re.sub("</?(?:ins|del)>", "", right) == text(new)


def test_thai_and_chinese_differences_are_letters_not_lines():
    old, new = compared("河流把盐带到海里", "河流把糖带到海里", "zh")
    assert (old, new) == ("河流把<del>盐</del>带到海里", "河流把<ins>糖</ins>带到海里")


# ------------------------------------------------------------------------------------------------------------ labels
def test_a_defect_is_told_in_the_terminal_without_credentials_and_the_server_goes_on(store, monkeypatch, capfd):
    monkeypatch.setenv("HF_TOKEN", "hf_KanariToken4444")
    monkeypatch.setattr("outputs.view.app.App.__call__", lambda self, request: 1 / int(f"0 {os.environ['HF_TOKEN']}"))
    monkeypatch.setattr(logging.getLogger("curate"), "handlers", [])
    show_warnings()
    view = View(store)
    with serving(view) as client:
        for _ in range(2):
            status, _, page = client.ask("/")
            assert status == 500 and "a defect in curate" in page
    told = capfd.readouterr().err
    assert told.count("ValueError: invalid literal for int() with base 10: '0 ***'") == 2 and "Kanari" not in told
    assert view.address.rpartition("=")[2] not in told


def test_labels_go_to_the_file_that_the_step_reads(client, read, store, tmp_path):
    [row] = read.page(Filter(state="dropped", language="en"), 1)
    path = f"{client.base}/label/{row['id']}"
    assert client.ask(path, {"label": "good", "comment": "short, “salt” but right"})[0] == 303
    text = client.get(f"/row/{row['id']}")
    assert 'value="good" type="submit" aria-pressed="true"' in text and "short, “salt” but right" in text
    assert client.ask(path, {"label": "better"})[0] == 400
    file = Path(re.search(r"by mary in ([^<]+)<", client.get("/rows"))[1])
    assert read_labels([file]) == [
        Label(row["id"], "mary", verdict="good", comment="short, “salt” but right", kind="sft", language="en")
    ]
    folder = store.root.parent
    catalog = (
        folder / "catalog.yaml"
    ).read_text() + f"  judged: {{from: [english], steps: [labels: {{files: {file}, min_annotators: 1}}]}}\n"
    (tmp_path / "catalog.yaml").write_text(catalog)
    for name in ("en", "others", "chats", "choices"):
        (tmp_path / f"{name}.jsonl").write_bytes((folder / f"{name}.jsonl").read_bytes())
    [built] = curate.build(tmp_path / "catalog.yaml", "judged")
    assert built.rows == 1
    assert client.ask("/undo?part=1", {})[2] == row["id"]
    assert read_labels([file]) == [] and 'aria-pressed="true"' not in client.get(f"/row/{row['id']}")
    assert client.ask("/undo?part=1", {})[2] == ""


def test_two_processes_label_into_one_file_and_lose_nothing(tmp_path):
    script = """
import sys
from pathlib import Path
from curate.rows import Kind
from outputs.view.labelling import Labels
mine = Labels(Path(sys.argv[1]), sys.argv[2])
for n in range(40):
    mine.give({"id": f"{n:032x}", "kind": Kind.SFT, "language": "th"}, "good", None)
"""
    path = tmp_path / "new" / "labels.jsonl"
    started = [subprocess.Popen([sys.executable, "-c", script, path, name]) for name in ("mary", "john", "amina")]
    assert [one.wait() for one in started] == [0, 0, 0]
    assert len(read_labels([path])) == 120
    assert [one.name for one in path.parent.iterdir()] == ["labels.jsonl"]


def test_labels_go_on_where_they_stopped_and_keep_what_others_wrote(tmp_path):
    path = tmp_path / "labels.jsonl"
    rows = [{"id": f"{n:032x}", "kind": Kind.SFT, "language": "th"} for n in range(3)]
    pair = {"id": "f" * 32, "kind": Kind.PREFERENCE, "language": "ar"}
    first = Labels(path, "mary")
    first.give(rows[0], "good", None)
    write_labels(path, [*read_labels([path]), Label(rows[0]["id"], "john", verdict="bad")])
    first.give(rows[1], "bad", "«ผิด»")
    first.give(pair, "rejected", "")
    again = Labels(path, "mary")
    assert len(again) == 3 and again.of(rows[1]["id"]).comment == "«ผิด»" and again.of(pair["id"]).choice == "rejected"
    assert {(one.id, one.annotator) for one in read_labels([path])} >= {
        (rows[0]["id"], "john"),
        (rows[0]["id"], "mary"),
    }
    first.give(rows[1], "unsure", None)
    assert [first.undo(), first.undo()] == [rows[1]["id"], pair["id"]]
    assert Labels(path, "mary").of(rows[1]["id"]).verdict == "bad" and Labels(path, "mary").of(pair["id"]) is None
    with pytest.raises(StepError, match="did you mean 'good'"):
        first.give(rows[0], "god", None)
    with pytest.raises(StepError, match=r"'good'.*known: chosen, rejected, tie"):
        first.give(pair, "good", None)
    path.write_text("not labels\n")
    with pytest.raises(StepError, match="line 1: not JSON"):
        Labels(path, "mary")


def test_errors_are_stretches_of_a_text_in_characters(tmp_path):
    path = tmp_path / "labels.jsonl"
    said = "น้ำ🌊 \u202eทะเล เค็ม"
    row = {"id": "a" * 32, "kind": Kind.PARALLEL, "language": "th", "source": "The sea is salty.", "target": said}
    labels = Labels(path, "mary")
    labels.give(row, None, None, ErrorSpan("target", 3, 4, "ไม่มี"))
    labels.give(row, "bad", "all of it", ErrorSpan("source", 0, 3))
    [label] = read_labels([path])
    assert [(quoted(row, one), one.note) for one in label.errors] == [("The", ""), ("🌊", "ไม่มี")]
    assert json.loads(path.read_text())["errors"][1] == {"text": "target", "from": 3, "to": 4, "note": "ไม่มี"}
    write_labels(tmp_path / "l.parquet", [label, Label("b" * 32, "john", verdict="good")])
    assert read_labels([tmp_path / "l.parquet"]) == [label, Label("b" * 32, "john", verdict="good")]
    labels.give(row, None, None, ErrorSpan("source", 0, 3))  # the same again takes it away
    assert [one.text for one in Labels(path, "mary").of(row["id"]).errors] == ["target"]
    assert labels.undo() == row["id"] and len(labels.of(row["id"]).errors) == 2
    for wrong in (ErrorSpan("target", 3, len(said) + 1), ErrorSpan("messages[0]", 0, 1), ErrorSpan("target", 3, 3)):
        with pytest.raises(StepError, match="has no characters"):
            labels.give(row, None, None, wrong)


@pytest.mark.parametrize(
    "given",
    [
        "[3]",
        '[{"text": "target", "from": 3}]',
        '[{"text": "t", "from": 3, "to": 3}]',
        '{"text": "t", "from": true, "to": 3}',
        '[{"text": "t", "from": -1, "to": 3}]',
    ],
)
def test_what_is_no_error_in_a_file_of_labels_is_told_with_its_line(tmp_path, given):
    (tmp_path / "l.jsonl").write_text(f'{{"id": "{"a" * 32}", "errors": {given}}}\n')
    with pytest.raises(StepError, match=r"l\.jsonl, line 1: 'errors' must be a list"):
        read_labels([tmp_path / "l.jsonl"])


def test_rows_are_found_by_their_label_and_in_random_order(client, read):
    everything = ids(client.get("/rows"))
    shuffled = ids(client.get("/rows?order=random"))
    assert shuffled == sorted(everything) != everything
    row = everything[3]
    assert client.ask(f"{client.base}/label/{row}", {"label": "unsure", "error": "messages[1]:0:4"})[0] == 303
    assert "<mark" in client.get(f"/row/{row}")
    assert ids(client.get("/rows?label=unsure")) == ids(client.get("/rows?label=any")) == [row]
    assert ids(client.get("/rows?label=good")) == []
    assert sorted([*ids(client.get("/rows?label=none")), row]) == sorted(everything)
    assert client.get("/rows/count?label=none") == "17"
    assert "did you mean 'unsure'" in html.unescape(client.ask(f"{client.base}/rows?label=unsur")[2])
    assert client.ask(f"{client.base}/label/{row}", {"error": "messages[1]:0:4000"})[0] == 400
    assert client.ask(f"{client.base}/label/{row}", {"error": "x"})[0] == 400
    assert client.ask("/undo?part=1", {})[2] == row and ids(client.get("/rows?label=any")) == []


# ----------------------------------------------------------------------------------------------------------- command
def test_what_is_wrong_is_said_before_anything_is_served(store, tmp_path):
    with pytest.raises(StoreError, match="no dataset 'see'"):
        View(store, "see", labels=tmp_path / "l.jsonl")
    with View(store, labels=tmp_path / "l.jsonl") as one:
        port = int(one.address.split(":")[2].split("/")[0])
        with pytest.raises(ViewError, match=r"--port: 127\.0\.0\.1:"):
            View(store, port=port, labels=tmp_path / "l.jsonl")
    done = CliRunner().invoke(app, ["view", "see", "--store", str(store.root), "--no-browser"])
    assert done.exit_code == 1 and "no dataset 'see'" in done.output


def test_the_command_prints_its_address_and_ends_with_ctrl_c(store, tmp_path):
    command = [sys.executable, "-m", "curate.cli", "view", "sea", "--store", str(store.root), "--no-browser"]
    # A shell may have started the tests with Ctrl-C ignored, as it does in the background; that is inherited.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        run = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    with contextlib.ExitStack() as ends:
        ends.enter_context(run)
        ends.callback(run.kill)
        address = run.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/sea%40[0-9a-f]{20}\?token=[\w-]{32}", address)
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        assert "Funnel" in browser.open(address, timeout=60).read().decode()
        run.send_signal(signal.SIGINT)
        assert run.wait(60) == 0
        assert "Traceback" not in run.stderr.read()
    assert list(tmp_path.iterdir()) == []  # no file of labels without a label

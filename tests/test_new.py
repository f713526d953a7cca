"""``curate new`` writes catalogs that build, for every public form, in several languages, or says why not."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from servers.web import Served, serving
from typer.testing import CliRunner

import curate
from curate.cli.main import app
from curate.errors import BuildError, SourceError

TEXTS = {
    "en": [
        "The market opens early in the morning and closes after lunch.",
        "Please bring two loaves of bread and some salt.",
        "Our neighbours planted three apple trees behind the house.",
        "It rained all night, so the river is high today.",
    ],
    "ar": [
        "يفتح السوق باكرا في الصباح ويغلق بعد الغداء.",
        "من فضلك أحضر رغيفين من الخبز وبعض الملح.",
        "زرع جيراننا ثلاث أشجار تفاح خلف المنزل.",
        "أمطرت السماء طوال الليل، لذلك النهر مرتفع اليوم.",
    ],
    "hi": [
        "बाज़ार सुबह जल्दी खुलता है और दोपहर के भोजन के बाद बंद होता है।",
        "कृपया दो रोटियाँ और थोड़ा नमक ले आइए।",
        "हमारे पड़ोसियों ने घर के पीछे सेब के तीन पेड़ लगाए।",
        "सारी रात बारिश हुई, इसलिए आज नदी ऊँची है।",
    ],
    "th": [
        "ตลาดเปิดแต่เช้าและปิดหลังอาหารกลางวัน",
        "กรุณานำขนมปังสองก้อนและเกลือมาด้วย",
        "เพื่อนบ้านของเราปลูกต้นแอปเปิลสามต้นหลังบ้าน",
        "ฝนตกทั้งคืน วันนี้น้ำในแม่น้ำจึงสูง",
    ],
    "zh": [
        "市场一大早就开门，午饭后关门。",
        "请带两个面包和一些盐来，谢谢你。",
        "我们的邻居在房子后面种了三棵苹果树。",
        "下了一整夜的雨，所以今天河水很高。",
    ],
}
CALL = {"type": "function", "function": {"name": "weather", "arguments": '{"city": "Cairo"}'}}


def said(language: str) -> list[tuple[str, str]]:
    """Pairs of a request and an answer."""
    texts = TEXTS[language]
    return [(texts[number], texts[(number + 1) % 4]) for number in range(4)]


def build(made) -> list:
    """Builds without worker processes."""
    catalog = curate.load_catalog(made.file)
    return curate.build(catalog.changed(run=catalog.run.model_copy(update={"workers": 1})))


def jsonl(path: Path, rows: list[Any]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def sharegpt(folder: Path) -> None:
    jsonl(folder / "chat.jsonl", [{"conversations": [{"from": "human", "value": ask}, {"from": "gpt", "value": answer}]}
                                  for ask, answer in said("zh")])  # fmt: skip


def messages(folder: Path) -> None:
    rows: list[Any] = [
        {"messages": [{"role": "user", "content": ask}, {"role": "assistant", "content": answer}]}
        for ask, answer in said("th")
    ]
    rows[0]["messages"].insert(1, {"role": "assistant", "content": "", "tool_calls": [{"id": "1", **CALL}]})
    rows[0]["messages"].insert(2, {"role": "tool", "content": "31", "tool_call_id": "1"})
    (folder / "chat.json").write_text(json.dumps(rows), encoding="utf-8")


def alpaca(folder: Path) -> None:
    with (folder / "tasks.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["instruction", "input", "output"], *([ask, "", answer] for ask, answer in said("ar"))])


def preference(folder: Path) -> None:
    jsonl(folder / "pairs.jsonl", [{"prompt": ask, "chosen": answer, "rejected": TEXTS["hi"][0] * 2}
                                   for ask, answer in said("hi")])  # fmt: skip


def parallel(folder: Path) -> None:
    lines = [f"{left}\t{right}\n" for left, right in zip(TEXTS["en"], TEXTS["ar"], strict=True)]
    (folder / "news.tsv").write_text("".join(lines), encoding="utf-8")


def headed(folder: Path) -> None:
    lines = [f"{right}\t{left}\n" for left, right in zip(TEXTS["en"], TEXTS["zh"], strict=True)]
    (folder / "news.tsv").write_text("zh\ten\n" + "".join(lines), encoding="utf-8")


def text(folder: Path) -> None:
    (folder / "news.txt").write_text("\n".join(TEXTS["hi"]) + "\n", encoding="utf-8")


def parquet(folder: Path) -> None:
    pq.write_table(pa.table({"text": TEXTS["th"], "license": ["CC0-1.0"] * 4}), folder / "news.parquet")


def moses(folder: Path) -> None:
    for tag in ("hi", "en"):
        (folder / f"news.{tag}").write_text("\n".join(TEXTS[tag]) + "\n", encoding="utf-8")


def tmx(folder: Path) -> None:
    units = "".join(
        f'<tu><tuv xml:lang="th"><seg>{right}</seg></tuv><tuv xml:lang="en"><seg>{left}</seg></tuv></tu>'
        for left, right in zip(TEXTS["en"], TEXTS["th"], strict=True)
    )
    head = '<tmx version="1.4"><header srclang="en" datatype="plaintext" segtype="sentence" adminlang="en" o-tmf="x" '
    head += 'creationtool="x" creationtoolversion="1"/><body>'
    (folder / "news.tmx").write_text(f'<?xml version="1.0"?>{head}{units}</body></tmx>', encoding="utf-8")


@pytest.mark.parametrize(
    ("write", "use", "kind", "languages"),
    [
        (sharegpt, "jsonl", "sft", ("zh",)),
        (messages, "json", "sft", ("th",)),
        (alpaca, "csv", "sft", ("ar",)),
        (preference, "jsonl", "preference", ("hi",)),
        (parallel, "parallel-tsv", "parallel", ("en", "ar")),
        (headed, "parallel-tsv", "parallel", ("en", "zh")),
        (text, "csv", "document", ("hi",)),
        (parquet, "parquet", "document", ("th",)),
        (moses, "moses", "parallel", ("en", "hi")),
        (tmx, "tmx", "parallel", ("en", "th")),
    ],
)
def test_every_public_form_gets_a_catalog_that_builds(tmp_path, write, use, kind, languages):
    data = tmp_path / "data"
    data.mkdir()
    write(data)
    made = curate.new_catalog(*sorted(data.iterdir()), folder=tmp_path)
    told = yaml.safe_load(made.text)
    [source] = told["sources"].values()
    assert source["use"] == use and source["license"] == ("{license}" if write is parquet else "unknown")
    assert languages in (
        (source.get("language"),),
        (source.get("source_language"), source.get("target_language")),
    )
    assert not Path(source["path"]).is_absolute()
    curate.check(made.file)
    [built] = build(made)
    manifest = curate.head("clean", rows=9, catalog=made.file)
    assert built.rows == 4 and {row["language"] for row in manifest.rows} == {languages[-1]}
    assert json.dumps(TEXTS[languages[-1]][1], ensure_ascii=False)[1:-1] in json.dumps(
        manifest.rows, ensure_ascii=False
    )
    steps = [step if isinstance(step, str) else next(iter(step)) for step in told["datasets"]["clean"]["steps"]]
    assert steps[0] == "shape" and steps[-1] == "duplicates"
    assert ("translation_quality" in steps) == (kind == "parallel")
    # The embedded encoder knows no Hindi.
    assert ("similarity" in steps) == (kind == "parallel" and "hi" not in languages)


def test_a_folder_gets_a_source_for_each_language_and_a_dataset_for_each_kind(tmp_path, monkeypatch):
    for tag in ("ar", "th"):
        jsonl(tmp_path / f"{tag}.jsonl", [{"text": one} for one in TEXTS[tag]])
    jsonl(tmp_path / "more.ar.jsonl", [{"text": one} for one in TEXTS["ar"][:2]])
    jsonl(tmp_path / "chat.jsonl", [{"prompt": ask, "response": answer} for ask, answer in said("en")])
    (tmp_path / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n# Set\n")
    monkeypatch.chdir(tmp_path)
    made = curate.new_catalog(".", folder="new")
    told = yaml.safe_load(made.text)
    assert {(one["language"], one["license"]) for one in told["sources"].values()} == {
        ("ar", "CC-BY-4.0"), ("th", "CC-BY-4.0"), ("en", "CC-BY-4.0")}  # fmt: skip
    [arabic] = [one for one in told["sources"].values() if one["language"] == "ar"]
    assert arabic["path"] == ["../ar.jsonl", "../more.ar.jsonl"]
    assert set(told["datasets"]) == {"clean-sft", "clean-document"}
    assert sorted(one.rows for one in build(made)) == [4, 8]


def test_files_with_the_same_keys_are_translations_with_measured_thresholds(tmp_path):
    for tag in ("ar", "en", "hi"):
        items = zip(("sky", "tea", "sea", "sun"), said(tag), strict=True)
        jsonl(tmp_path / f"{tag}.jsonl", [{"item": i, "prompt": ask, "response": told} for i, (ask, told) in items])
    made = curate.new_catalog(tmp_path / "*.jsonl", folder=tmp_path)
    told = yaml.safe_load(made.text)
    assert told["sources"]["en"]["key"] == "{item}" and "translation_of" not in told["sources"]["en"]
    for tag in ("ar", "hi"):
        assert (told["sources"][tag]["key"], told["sources"][tag]["translation_of"]) == ("{item}", "en")
    [least] = [step["similarity"]["min"] for step in told["datasets"]["clean"]["steps"] if "similarity" in step]
    assert set(least) == {"default", "ar"} and 0.3 < least["ar"] < 0.5  # the encoder knows no Hindi
    assert "translations of en" in str(made)
    [built] = build(made)
    rows = curate.dataset(built).to_polars()
    assert built.rows == 12 and rows.filter(rows["language"] != "en")["lineage"].struct["parents"].list.len().min() == 1


def test_files_of_the_same_length_are_compared_before_they_are_called_translations(tmp_path):
    for tag in ("ar", "en", "hi"):
        (tmp_path / f"{tag}.txt").write_text("\n".join(TEXTS[tag]) + "\n", encoding="utf-8")
    made = curate.new_catalog(tmp_path / "*.txt", folder=tmp_path)
    told = yaml.safe_load(made.text)["sources"]
    assert told["ar"]["translation_of"] == "en" and told["ar"]["key"] == told["en"]["key"] == "{@row}"
    assert "translation_of" not in told["hi"] and "# translation_of: en" in made.text  # nothing here compares Hindi
    assert "hi: 4 rows, as many as en.txt has" in str(made)
    assert build(made)[0].rows == 12
    (tmp_path / "other").mkdir()
    jsonl(tmp_path / "other" / "ar.jsonl", [{"id": at, "text": text} for at, text in enumerate(TEXTS["ar"])])
    turned = enumerate([*TEXTS["en"][2:], *TEXTS["en"][:2]])
    jsonl(tmp_path / "other" / "en.jsonl", [{"id": at, "text": text} for at, text in turned])
    made = curate.new_catalog(tmp_path / "other", folder=tmp_path / "other")  # the same numbers, other texts
    assert "translation_of" not in made.text and "key:" not in made.text


def test_a_file_is_in_the_language_of_most_of_its_rows(tmp_path):
    swahili = [
        "Hifadhi nyanya mahali penye hewa ya kutosha na kivuli, usizioshe kabla ya kuzihifadhi.",
        "Miti hupunguza mmomonyoko wa udongo, huongeza rutuba na kutoa kivuli kwa mifugo.",
        "Izime simu mara moja, kisha iache ikauke kwa saa arobaini na nane kabla ya kuiwasha.",
    ]
    english = "Put it into boiling water for seven minutes, then cool it."
    jsonl(tmp_path / "rows.jsonl", [{"text": one} for one in [*swahili, english]])
    made = curate.new_catalog(tmp_path / "rows.jsonl", folder=tmp_path)
    assert yaml.safe_load(made.text)["sources"]["rows"]["language"] == "sw"
    jsonl(tmp_path / "unclear.jsonl", [{"text": one} for one in ["1 2 3", "x = 4", "7", english]])
    with pytest.raises(SourceError, match=r"could not be detected \(en 1, unclear 3\); set it: --language TAG"):
        curate.new_catalog(tmp_path / "unclear.jsonl", folder=tmp_path / "b")


def test_short_answers_are_in_the_language_that_prompts_and_answers_tell_together(tmp_path):
    asked = [
        "Bata wa Janet hutaga mayai matatu kila siku. Je, hutaga mayai mangapi kwa wiki nzima?",
        "Miti mitano iko bustanini, na miwili imekatwa. Imebaki miti mingapi bustanini leo?",
        "Mvuvi ana nyavu nne, na kila moja ina samaki kumi. Je, ana samaki wangapi kwa jumla?",
    ]
    rows = [
        {"conversations": [{"from": "human", "value": one}, {"from": "gpt", "value": f"{n}."}]}
        for n, one in enumerate(asked)
    ]
    jsonl(tmp_path / "majibu.jsonl", rows)
    made = curate.new_catalog(tmp_path / "majibu.jsonl", folder=tmp_path)
    assert yaml.safe_load(made.text)["sources"]["majibu"]["language"] == "sw"
    assert any("unsure of its texts; sw is from its prompts and answers together" in note for note in made.notes)
    assert "sw: null" in made.text  # no limit for it


@pytest.mark.parametrize("words", [["कुत्रा", "मांजर", "घर", "पाणी"], ["mbwa", "paka", "nyumba", "maji"]])
def test_short_answers_in_words_that_the_prompt_lacks_may_be_in_another_language(tmp_path, words):
    asked = ["dog", "cat", "house", "water"]
    rows = [
        {"instruction": f"Translate the word '{one}' into the other language, please.", "input": "", "output": word}
        for one, word in zip(asked, words, strict=True)
    ]
    jsonl(tmp_path / "words.jsonl", rows)
    with pytest.raises(SourceError, match="could not be detected"):
        curate.new_catalog(tmp_path / "words.jsonl", folder=tmp_path)


def test_languages_are_told_row_by_row(tmp_path):
    mixed = [text for tag in ("ar", "hi", "zh") for text in TEXTS[tag]]
    jsonl(tmp_path / "mixed.jsonl", [{"text": one} for one in mixed])
    jsonl(tmp_path / "named.jsonl", [{"text": one, "lang": "Thai"} for one in TEXTS["th"]])
    made = curate.new_catalog(tmp_path, folder=tmp_path)
    told = yaml.safe_load(made.text)["sources"]
    assert (told["mixed"]["language"], told["named"]["language"]) == ("detect", "{lang}")
    assert "ar 4, hi 4, zh 4" in made.text
    build(made)
    found = {(row["language"], row["text"]) for row in curate.head("clean", rows=99, catalog=made.file).rows}
    assert found == {(tag, text) for tag in ("ar", "hi", "zh", "th") for text in TEXTS[tag]}


def test_what_cannot_be_told_is_asked_and_can_be_set(tmp_path):
    jsonl(tmp_path / "short.jsonl", [{"text": "ok"}, {"text": "17"}])
    with pytest.raises(
        SourceError, match=r"language of its texts could not be detected \(unclear 2\); set it: --language TAG"
    ):
        curate.new_catalog(tmp_path / "short.jsonl", folder=tmp_path)
    made = curate.new_catalog(tmp_path / "short.jsonl", folder=tmp_path / "a", parameters={"language": "sw"})
    assert yaml.safe_load(made.text)["sources"]["short"]["language"] == "sw"
    jsonl(tmp_path / "sw.jsonl", [{"text": "ok"}, {"text": "17"}])
    named = curate.new_catalog(tmp_path / "sw.jsonl", folder=tmp_path / "b")
    assert "sw is from its name" in str(named)
    step = yaml.safe_load(named.text)["datasets"]["clean"]["steps"][1]
    assert step == {"language": {"min": {"default": 0.3, "sw": None}}}, "no limit where the identifier is unsure"
    galician = [
        "A veciña tróuxonos onte unha torta porque fixera moita.",
        "Os nenos xogaban á beira do río ata a noite.",
    ]
    jsonl(tmp_path / "gl.jsonl", [{"text": one} for one in galician])
    doubtful = curate.new_catalog(tmp_path / "gl.jsonl", folder=tmp_path / "gl", parameters={"language": "gl"})
    step = yaml.safe_load(doubtful.text)["datasets"]["clean"]["steps"][1]
    assert step == {"language": {"min": {"default": 0.3, "gl": None}}} and "drops 7% of right rows" in doubtful.text
    jsonl(tmp_path / "odd.jsonl", [{"ask": ask, "reply": answer} for ask, answer in said("ar")])
    with pytest.raises(SourceError, match="no known format: its columns are ask, reply"):
        curate.new_catalog(tmp_path / "odd.jsonl", folder=tmp_path)
    set_ = {"kind": "sft", "columns": {"prompt": "{ask}", "response": "{reply}"}}
    made = curate.new_catalog(tmp_path / "odd.jsonl", folder=tmp_path / "c", parameters=set_)
    assert yaml.safe_load(made.text)["sources"]["odd"]["language"] == "ar" and build(made)[0].rows == 4
    with pytest.raises(SourceError, match=r"has no such parameter; did you mean 'language'"):
        curate.new_catalog(tmp_path / "odd.jsonl", folder=tmp_path, parameters={**set_, "langauge": "ar"})
    with pytest.raises(SourceError, match="--set path: this is detected from the files"):
        curate.new_catalog(tmp_path / "odd.jsonl", folder=tmp_path, parameters={"path": "x"})
    assert not (tmp_path / "catalog.yaml").exists()
    wrong = curate.new_catalog(tmp_path / "odd.jsonl", folder=tmp_path / "d", parameters={**set_, "language": "de"})
    assert "its language is said to be de, but in most rows the identifier finds another: ar 4" in str(wrong)
    assert yaml.safe_load(wrong.text)["datasets"]["clean"]["steps"][1] == "language"


def test_a_catalog_is_never_replaced_and_missing_files_are_told(tmp_path):
    jsonl(tmp_path / "th.jsonl", [{"text": one} for one in TEXTS["th"]])
    (tmp_path / "catalog.yaml").write_text("mine")
    with pytest.raises(BuildError, match="is there already; write elsewhere with --folder DIR"):
        curate.new_catalog(tmp_path / "th.jsonl", folder=tmp_path)
    assert (tmp_path / "catalog.yaml").read_text() == "mine"
    with pytest.raises(SourceError, match=r"did you mean .*th\.jsonl"):
        curate.new_catalog(tmp_path / "ht.jsonl", folder=tmp_path / "new")
    (tmp_path / "x.docx").write_text("x")
    with pytest.raises(SourceError, match="no suffix that is known"):
        curate.new_catalog(tmp_path / "x.docx", folder=tmp_path / "new")
    with pytest.raises(SourceError, match=r"may hold credentials.*\$\{NAME\}"):
        curate.new_catalog("https://me:hunter2hunter2@127.0.0.1/a.jsonl", folder=tmp_path / "new")
    (tmp_path / "news.sw").write_text("habari\n")
    with pytest.raises(SourceError, match="of the prefix news there is 1"):
        curate.new_catalog(tmp_path / "news.sw", folder=tmp_path / "new")


def test_unreadable_rows_licences_and_quoting_are_seen(tmp_path):
    rows = [{"text": one} for tag in TEXTS for one in TEXTS["th"]]
    jsonl(tmp_path / "th.jsonl", rows)
    with (tmp_path / "th.jsonl").open("a") as file:
        file.write('{"text": "\x1b]0;\n')
    (tmp_path / "LICENSE").write_text("Creative Commons\nAttribution-ShareAlike 4.0 International\n")
    made = curate.new_catalog(tmp_path / "th.jsonl", folder=tmp_path)
    source = yaml.safe_load(made.text)["sources"]["th"]
    assert source["license"] == "CC-BY-SA-4.0" and source["max_error_rate"] == 0.1
    assert "1 of the 21 rows looked at cannot be read, such as th.jsonl, line 21" in str(made)
    assert "\x1b" not in made.text and "\x1b" not in str(made)
    lines = [f'"{ask}\nx"\t{answer}\n' for ask, answer in said("ar")]
    (tmp_path / "tasks.tsv").write_text("instruction\toutput\n" + "".join(lines), encoding="utf-8")
    made = curate.new_catalog(tmp_path / "tasks.tsv", folder=tmp_path / "b")
    assert yaml.safe_load(made.text)["sources"]["tasks"]["quoting"] == "standard" and build(made)[0].rows == 4


def test_the_command_checks_and_previews_what_it_wrote(tmp_path, monkeypatch):
    alpaca(tmp_path)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["new", "tasks.csv", "--set", "license=CC0-1.0", "-n", "2"])
    assert done.exit_code == 0, done.output
    assert "tasks: Alpaca, sft rows" in done.stdout and "1 of 2" in done.stdout
    assert any(text[:20] in done.stdout for text in TEXTS["ar"])
    assert "next: read catalog.yaml, then: curate build\n" in done.stdout
    assert yaml.safe_load(Path("catalog.yaml").read_text())["sources"]["tasks"]["license"] == "CC0-1.0"
    again = CliRunner().invoke(app, ["new", "tasks.csv"])
    assert again.exit_code == 1 and "is there already" in again.output
    assert "NAME=VALUE" in CliRunner().invoke(app, ["new", "tasks.csv", "--folder", "b", "--set", "x"]).output


def test_pairs_verdicts_archives_and_urls(tmp_path, monkeypatch):
    monkeypatch.setenv("CURATE_CACHE", str(tmp_path / "cache"))
    data = tmp_path / "data"
    data.mkdir()
    both = list(zip(TEXTS["hi"], TEXTS["en"], strict=True))
    jsonl(data / "translation.jsonl", [{"translation": {"hi": one, "en": other}} for one, other in both])
    jsonl(data / "sides.jsonl", [{"source": other, "target": one} for one, other in both])
    jsonl(data / "verdicts.jsonl", [{"prompt": ask, "completion": told, "label": True} for ask, told in said("th")])
    made = curate.new_catalog(data, folder=tmp_path)
    told = yaml.safe_load(made.text)["sources"]
    for name in ("translation", "sides"):
        assert (told[name]["source_language"], told[name]["language"]) == ("en", "hi")
    assert [(one.dataset, one.rows) for one in build(made)] == [("clean-parallel", 4), ("clean-unpaired", 4)]
    sharegpt(tmp_path)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.write(tmp_path / "chat.jsonl", "train/chat.jsonl")
    made = curate.new_catalog(tmp_path / "set.zip", folder=tmp_path / "b")
    assert yaml.safe_load(made.text)["sources"]["set"]["language"] == "zh" and build(made)[0].rows == 4
    with serving() as shelf:
        shelf.files["sets/chat.jsonl"] = Served((tmp_path / "chat.jsonl").read_bytes())
        made = curate.new_catalog(f"{shelf.url}/sets/chat.jsonl", folder=tmp_path / "c")
        source = yaml.safe_load(made.text)["sources"]["chat"]
        assert source["path"].startswith("http://127.0.0.1:") and source["language"] == "zh"
        assert build(made)[0].rows == 4


def test_the_quick_start_is_written_with_its_data_and_replaces_nothing(tmp_path):
    run = CliRunner()
    done = run.invoke(app, ["new", "--demo", "--folder", str(tmp_path / "demo")])
    assert done.exit_code == 0 and f"next: cd {tmp_path / 'demo'} && curate build" in done.stdout
    root = Path(__file__).resolve().parents[1]
    for name in ("catalog.yaml", "catalog-llm.yaml", "data/everyday/th.tsv", "data/answers.jsonl"):
        assert (tmp_path / "demo" / name).read_bytes() == (root / name).read_bytes()
    assert curate.check(tmp_path / "demo" / "catalog-llm.yaml") == curate.check(root / "catalog-llm.yaml")
    with pytest.raises(BuildError, match="data is there already"):
        curate.new_demo(tmp_path / "demo")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "catalog.yaml").write_text("mine")
    with pytest.raises(BuildError, match=r"catalog\.yaml is there already"):
        curate.new_demo(tmp_path / "own")
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["catalog.yaml"]


@pytest.mark.parametrize(
    "arguments", [["new"], ["new", "--demo", "mine.jsonl"], ["new", "--demo", "--set", "kind=sft"]]
)
def test_files_or_the_quick_start_one_of_them(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code != 0 and "--demo" in done.stderr
    assert not list(tmp_path.iterdir())

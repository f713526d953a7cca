"""Whatever a row holds, it is a row or one bad row: no reader and no mapping lets another error out."""

from __future__ import annotations

import csv
import datetime
import decimal
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.rows import Kind
from curate.steps import SourceError
from sources.dictionaries import Dictd, Dictionary
from sources.files import Csv, JsonArray, JsonLines, Parquet, Tsv
from sources.hub import Hub
from sources.parallel import Moses, ParallelTsv, Tmx
from sources.written import load_text

Read = Callable[..., Any]
FUZZ = settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
SEEDS = st.integers(0, 2**40)
GIVEN: dict[str, Any] = {
    "license": "{lic}", "language": "{lang}", "key": "{k?}", "id": "{i?}", "scores": {"s": "{s?}"},
    "only": {"o?": [None, "", 1, "x", True]},
    "attributes": {"a": "{a?}", "deep": "{a.b.0?}", "mixed": "<{a?}|{k?}>"}, "max_row_bytes": 4_096,
}  # fmt: skip
COLUMNS: dict[Kind, list[dict[str, str]]] = {
    Kind.SFT: [{"messages": "{m}"}, {"prompt": "{p}", "response": "{r}", "system": "{y?}", "history": "{h?}"},
    {"prompt": "{p}\n{r?}", "response": "{m}"}],
    Kind.PREFERENCE: [{"chosen": "{m}", "rejected": "{r}"}, {"prompt": "{p}", "chosen": "{m}", "rejected": "{r}",
    "history": "{h?}"}],
    Kind.UNPAIRED: [{"completion": "{m}", "label": "{s?}"}, {"prompt": "{p}", "completion": "{r}", "label": "{l}"}],
    Kind.PARALLEL: [{"source": "{p}", "target": "{r}", "source_language": "{lang}"}],
    Kind.DOCUMENT: [{"text": "{m}"}, {"text": "{p}{r?}"}],
    Kind.PROMPT: [{"prompt": "{m}"}, {"prompt": "{p}", "system": "{y?}"}],
}  # fmt: skip
MAPPINGS = [(kind, columns) for kind, listed in COLUMNS.items() for columns in listed]
NAMES = [
    "m",
    "p",
    "r",
    "y",
    "h",
    "l",
    "k",
    "i",
    "s",
    "a",
    "o",
    "lang",
    "lic",
    "tools",
    "functions",
    "images",
    "@row",
    "a.b",
    "",
    "\ud800",
    "p?",
]
TEXTS = [
    "", " ", "x", "\0", "\ud800", "\udcff", "[", "{", "[]", "{}", "[{", "[{'role': 'user', 'content': 'x'}]",
    '[{"role": "user", "content": "x"}]', "[" * 2_000,
    "{'a': " * 500, "\n\nHuman: x\n\nAssistant: y", "Human:", "true", "NaN", "12", "1e999", "9" * 5_000, "sw", "zh-TW",
    "mit", "user", "x" * 5_000, "\ufeff",
    "### Human: a### Assistant: b", "[('a', 'b')]", "\u2028", "-", "\x1e", "नमस्ते", "🙂\r\n", '"', "a\tb", "accepted",
    "{a}", "</seg>",
]  # fmt: skip
SCALARS = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**53,
    2**70,
    -(2**70),
    10**25,
    1.5,
    1e300,
    -0.0,
    2.0**60,
    float("nan"),
    float("inf"),
    float("-inf"),
]
ROLES = [
    "user",
    "assistant",
    "system",
    "tool",
    "human",
    "gpt",
    "ai",
    "function_call",
    "observation",
    "nobody",
    "",
    7,
    None,
    ["user"],
    {"a": 1},
]
KEYS = ["role", "from", "type", "content", "value", "text", "data", "tool_calls", "tool_call_id", "weight", "train",
        "train_detail", "refusal", "name",
        "additional_kwargs", "images", "parts", "", "\ud800"]  # fmt: skip
PARTS = ["text", "image_url", "tool_use", "thinking", "refusal", "", 3]
GOOD = {"m": [{"role": "user", "content": "Habari?"}, {"role": "assistant", "content": "Nzuri."}], "p": "Habari?",
        "r": "Nzuri.", "l": True, "lang": "sw",
        "lic": "x", "s": 1}  # fmt: skip
PIECES = ["\t", "\n", "\r", "\r\n", "|||", " ", '"', "#", "&", "<", ">", "</tu>", "<tu>", "<tuv xml:lang='en'>",
          "<tuv xml:lang='sw'>", "</tuv>", "<seg>", "</seg>",
          "<!--", "]]>", "&#0;", "A", "B", "==", "00-database", "\0", "\x0c", "1. x", "sep=;", "a",
          "नमस्ते"]  # fmt: skip


class Odd:
    """Draws odd values; the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)

    def one(self, *makers: Callable[[], Any]) -> Any:
        return self.draw.choice(makers)()

    def some(self, make: Callable[[], Any], most: int = 3) -> list[Any]:
        return [make() for _ in range(self.draw.randint(0, most))]

    def text(self) -> str:
        made: str = self.one(lambda: self.draw.choice(TEXTS), lambda: self.soup(TEXTS, 3))
        return made

    def soup(self, pieces: list[str], most: int) -> str:
        return "".join(self.some(lambda: self.draw.choice(pieces), most))

    def scalar(self) -> Any:
        return self.one(self.text, lambda: self.draw.choice(SCALARS))

    def value(self, depth: int = 3) -> Any:
        if depth == 0 or self.draw.random() < 0.3:
            return self.scalar()
        return self.one(
            lambda: self.some(lambda: self.value(depth - 1)),
            lambda: {
                self.draw.choice([*KEYS, self.text()]): self.value(depth - 1) for _ in range(self.draw.randint(0, 3))
            },
            lambda: self.some(lambda: self.message(depth - 1)),
            lambda: self.message(depth - 1),
            lambda: self.some(lambda: self.some(lambda: self.value(depth - 1))),
            lambda: {key: self.some(self.scalar) for key in ("role", "content")},
        )

    def message(self, depth: int = 2) -> Any:
        made = {"role": self.draw.choice(ROLES), "content": self.one(self.text, self.text, lambda: self.value(depth))}
        for key in self.draw.sample(KEYS, self.draw.choice([0, 0, 1, 2])):
            made[key] = self.value(max(0, depth - 1))
        if self.draw.random() < 0.2:
            made["content"] = self.some(lambda: {"type": self.draw.choice(PARTS), "text": self.value(1)})
        return made if self.draw.random() < 0.9 else self.value(1)

    def row(self) -> dict[str, Any]:
        made: dict[str, Any] = dict(GOOD) if self.draw.random() < 0.7 else {}
        if self.draw.random() < 0.8:
            made["m"] = self.one(lambda: self.some(self.message, 4), self.value)
        for name in self.draw.sample(NAMES, self.draw.randint(0, 4)):
            made[name] = self.value()
        return made


def holds(read: Read, source: Any, rows: int | None = None) -> None:
    """Every row becomes a row or one bad row; only the file as a whole may be refused, in a sentence."""
    try:
        out = read(source)
    except SourceError as error:
        assert str(error)
        str(error).encode()
        return
    for _, bad in out.bad:
        assert bad.where and bad.reason and len(bad.raw) <= 2_000
        (bad.reason + bad.raw + bad.where).encode()
    if rows is not None and not source.only:
        assert len(out.rows) + len(out.bad) == rows


def sources(cls: Any, path: str, mapping: Any, **more: Any) -> list[Any]:
    """The source as it is told, with a kind only, and with nothing: what can be detected is."""
    kind, columns = mapping
    spoken = {"source_language": "en"} if kind is Kind.PARALLEL else {}
    whole = {**more, **GIVEN, **({} if "source_language" in columns else spoken)}
    plain = {"path": path, "license": "x", "language": "sw", **more}
    return [cls(path=path, kind=kind, columns=columns, **whole), cls(kind=kind, **spoken, **plain), cls(**plain)]


@FUZZ
@given(SEEDS)
def test_json_lines_and_arrays(read: Read, tmp_path: Path, seed: int) -> None:
    odd = Odd(seed)
    mapping = odd.draw.choice(MAPPINGS)
    rows = odd.some(lambda: odd.row() if odd.draw.random() < 0.9 else odd.value(), 5) + [GOOD] * odd.draw.randint(0, 1)
    lines = [json.dumps(row, ensure_ascii=seed % 2 == 0).encode("utf-8", "surrogatepass") for row in rows]
    (tmp_path / "t.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    (tmp_path / "t.json").write_bytes(b"[" + b",\n".join(lines) + b"]")
    for cls, name in ((JsonLines, "t.jsonl"), (JsonArray, "t.json")):
        for source in sources(cls, str(tmp_path / name), mapping):
            holds(read, source, len(rows))


@FUZZ
@given(SEEDS, st.lists(st.binary(max_size=30), max_size=3))
def test_bytes_that_are_no_json(read: Read, tmp_path: Path, seed: int, junk: list[bytes]) -> None:
    odd = Odd(seed)
    mapping = odd.draw.choice(MAPPINGS)
    texts, rows = odd.some(odd.text), odd.some(odd.row, 2)
    lines = [
        *junk,
        *(text.encode("utf-8", "surrogatepass") for text in texts),
        *(json.dumps(row).encode() for row in rows),
    ]
    odd.draw.shuffle(lines)
    whole = b"\n".join(lines)
    cut = whole[: odd.draw.randint(0, len(whole))]
    for name, data in (("t", whole), ("cut", cut), ("array", b"[" + b",".join(lines) + b"]")):
        (tmp_path / name).write_bytes(data)
        for cls in (JsonLines, JsonArray, Csv, Tsv):
            for source in sources(cls, str(tmp_path / name), mapping):
                holds(read, source)
        holds(read, JsonArray(path=str(tmp_path / name), rows="*", license="x", language="sw", columns={"text": "p"}))


@FUZZ
@given(SEEDS)
def test_delimited_text(read: Read, tmp_path: Path, seed: int) -> None:
    odd = Odd(seed)
    mapping = odd.draw.choice(MAPPINGS)
    names = [name for name in NAMES if name and name.isascii()]
    quoting, python, delimiter = odd.draw.choice(["standard", "none"]), odd.draw.random() < 0.5, odd.draw.choice(",;\t")

    def cell(value: Any) -> str:
        text = "" if value is None else value if isinstance(value, str) else str(value) if python else json.dumps(value)
        return text if quoting == "standard" else text.replace("\n", " ").replace("\r", " ")

    table = [names, *([cell(row.get(name)) for name in names] for row in odd.some(odd.row, 4))]
    out = io.StringIO(newline="")
    if quoting == "standard":
        csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(table)
    else:
        out.write("\n".join(delimiter.join(line) for line in table) + "\n")
    (tmp_path / "t").write_bytes(out.getvalue().encode("utf-8", "surrogatepass"))
    for source in sources(Csv, str(tmp_path / "t"), mapping, delimiter=delimiter, quoting=quoting):
        holds(read, source)
    for source in sources(Tsv, str(tmp_path / "t"), mapping):
        holds(read, source)


def no_utf_8(count: int) -> pa.Array:
    offsets = pa.py_buffer(b"".join((4 * i).to_bytes(4, "little") for i in range(count + 1)))
    return pa.Array.from_buffers(pa.string(), count, [None, offsets, pa.py_buffer(b"ab\xff\xfe" * count)])


ODD_COLUMNS: list[Callable[[int], pa.Array]] = [
    no_utf_8,
    lambda n: pa.array([b"\xff\xfe"] * n, pa.binary()),
    lambda n: pa.array([2**62] * n, pa.int64()).cast(pa.timestamp("s")),
    lambda n: pa.array([2**40] * n, pa.timestamp("s")),
    lambda n: pa.array([1] * n, pa.timestamp("ns", "Asia/Kolkata")),
    lambda n: pa.array([1] * n, pa.duration("ns")),
    lambda n: pa.array([datetime.time(1)] * n),
    lambda n: pa.array([decimal.Decimal("1.10")] * n),
    lambda n: pa.array([decimal.Decimal(10) ** 40] * n, pa.decimal256(60, 2)),
    lambda n: pa.array([[("a", 1), ("a", 2)]] * n, pa.map_(pa.string(), pa.int64())),
    lambda n: pa.array(["x"] * n).dictionary_encode(),
    lambda n: pa.array([float("nan")] * n, pa.float32()),
    lambda n: pa.array([1.5] * n, pa.float64()).cast(pa.float16()),
    lambda n: pa.array([None] * n, pa.null()),
    lambda n: pa.array([[1, 2]] * n, pa.list_(pa.int8(), 2)),
    lambda n: pa.array([2**63] * n, pa.uint64()),
    lambda n: pa.array([b"ab"] * n, pa.binary(2)),
    lambda n: pa.array([{"role": ["user"], "content": ["x", "y"]}] * n),
    lambda n: pa.array([{"role": "user", "content": {"a": None}}] * n),
    lambda n: pa.array([[{"role": 1, "content": [{"type": "text", "text": None}]}]] * n),
    lambda n: pa.array([[{"role": "user", "content": None, "tool_calls": [{"a": None}]}]] * n),
    lambda n: pa.array(["x" * 5_000] * n),
    lambda n: pa.array(["sw"] * n, pa.large_string()),
    lambda n: pa.array(["Habari?"] * n),
    lambda n: pa.array([GOOD["m"]] * n),
]


@FUZZ
@given(SEEDS)
def test_parquet_and_folders_of_the_hub(read: Read, tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    folder, odd = tmp_path_factory.mktemp("hub"), Odd(seed)
    mapping = odd.draw.choice(MAPPINGS)
    names, count = [name for name in NAMES if name.isascii()], odd.draw.randint(0, 3)
    columns = {name: odd.draw.choice(ODD_COLUMNS)(count) for name in names if name == "p" or odd.draw.random() < 0.8}
    if seed % 2:  # what Arrow makes of rows, where it makes anything of them
        rows = [*odd.some(odd.row, 3), GOOD]
        count, columns = len(rows), {}
        for name in names:
            try:
                columns[name] = pa.array([row.get(name) for row in rows])
            except (pa.ArrowException, UnicodeError, OverflowError, TypeError):
                columns[name] = pa.array([GOOD.get(name)] * count)
    try:
        pq.write_table(pa.table(columns), folder / "train.parquet")
    except pa.ArrowException:
        return
    for source in sources(Parquet, str(folder / "train.parquet"), mapping):
        holds(read, source, count)
    if seed % 10 == 0 and count:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HF_HUB_OFFLINE", "1")
            holds(read, Hub(dataset=str(folder), kind=mapping[0], columns=mapping[1], **GIVEN), count)


PAIR: dict[str, Any] = {"source_language": "en", "target_language": "sw", "license": "x", "max_row_bytes": 4_096}


@FUZZ
@given(SEEDS)
def test_pairs_of_every_kind(read: Read, tmp_path: Path, seed: int) -> None:
    odd = Odd(seed)
    one, other = (odd.soup([*PIECES, *TEXTS], 25).encode("utf-8", "surrogatepass") for _ in range(2))
    more = {**PAIR, "direction": odd.draw.choice(["forward", "backward", "both"])}
    memory = b'<tmx version="1.4"><header/><body>' + one + b"</body></tmx>"
    for name, data in (
        ("l", one),
        ("r", other),
        ("t.tmx", memory),
        ("u.tmx", one + other),
        ("d.index", one),
        ("d.dict", other),
    ):
        (tmp_path / name).write_bytes(data)
    left, right = str(tmp_path / "l"), str(tmp_path / "r")
    holds(read, Moses(source_path=left, target_path=right, **more))
    for name in ("t.tmx", "u.tmx"):
        holds(read, Tmx(path=str(tmp_path / name), **more))
    holds(read, ParallelTsv(path=left, header=seed % 2 == 0, **more))
    holds(read, ParallelTsv(path=left, quoting="standard", delimiter=" ", **more))
    holds(read, Dictionary(path=left, **more))
    holds(read, Dictionary(path=right, separator="|||", alternatives="/", **more))
    holds(read, Dictd(path=str(tmp_path / "d.index"), take="both", **more))


@FUZZ
@given(SEEDS)
def test_text_that_may_be_a_list(seed: int) -> None:
    odd = Odd(seed)
    for text in (
        odd.text(),
        str(odd.value()),
        odd.soup([*PIECES, "[", "{", "'", ",", ":", "}", "]", "None", "'a'"], 25),
    ):
        try:
            load_text(text)
        except ValueError as error:
            assert str(error)


def test_a_row_that_fails_in_a_way_nobody_thought_of_is_one_bad_row(
    read: Read, jsonl: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sources import mapping

    def breaks(value: Any) -> str:
        if value == "boom":
            raise ZeroDivisionError("nobody thought of it")
        return "sw"

    monkeypatch.setattr(mapping, "language_of", breaks)
    path = jsonl({"t": "a", "l": "x"}, {"t": "b", "l": "boom"}, {"t": "c", "l": "x"})
    out = read(JsonLines(path=path, language="{l}", license="x", columns={"text": "t"}))
    assert [row["text"] for row in out.rows] == ["a", "c"]
    assert out.reasons == ["line 2: cannot be read (ZeroDivisionError: nobody thought of it)"]


def test_a_build_goes_on_and_the_odd_rows_are_in_quarantine_with_their_reasons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import curate

    ask, say = GOOD["m"]
    odd: list[Any] = [
        {"messages": [ask, {"role": ["assistant"], "content": "x"}]},
        {"messages": 7},
        {"messages": [ask, {**say, "tool_calls": [{"id": 1}]}]},
        '{"messages": ' + "[" * 3_000 + "]" * 3_000 + "}",
        '{"messages": ' + "9" * 6_000 + "}",
        "not json",
        '{"messages": [], "messages": []}',
        {"messages": [ask, {"role": "assistant", "content": "\ud800"}]},
        {"messages": [ask, {"role": "nobody", "content": "x"}]},
        [1],
    ]
    lines = [json.dumps({"messages": [{**ask, "content": f"Habari {i}?"}, say]}) for i in range(990)]
    for place, one in enumerate(odd):
        lines.insert(97 * place, one if isinstance(one, str) else json.dumps(one))
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "catalog.yaml").write_text(
        "version: 1\nrun: {workers: 1}\nsources: {a: {use: jsonl, path: a.jsonl, language: sw, license: "
        "CC0-1.0}}\ndatasets: {d: {from: a}}\n"
    )
    (built,) = curate.build(tmp_path / "catalog.yaml")
    assert built.rows == 990 and "10 of 1,000 rows of a cannot be read" in "".join(built.warnings)
    told = curate.query("SELECT unit, place, reason, raw FROM d.quarantined", catalog=tmp_path / "catalog.yaml")
    assert sorted(int(place.removeprefix("line ")) for place in told["place"]) == [97 * i + 1 for i in range(10)]
    assert all(told["reason"]) and set(told["unit"]) == {"a.jsonl"}

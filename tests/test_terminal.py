"""A terminal gets no control character and no mark of direction out of a row, a catalog or a file; a pipe gets what
there is."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
import termios
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from commands import run, run_on
from hypothesis import given
from hypothesis import strategies as st

from curate.terminal import visible

HOSTILE = "\x1b]0;owned\x07\x1b[31mred\x1b[2J\x1b[1;1H\x9b5mshy\x7f\r\x08\u202egpj.exe\u2066\u200f\u2028end"
READABLE = {
    "ar": "مرحبا بالعالم",
    "he": "שלום עולם",
    "fa": "می\u200cخواهم",
    "hi": "क्\u200dष नमस्ते",
    "th": "สวัสดี",
    "zh": "你好",
    "en": "👩\u200d💻 naïve",
}
TURNS = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}


def unsafe(character: str) -> bool:
    """By Unicode's own properties, not by the list that is tested."""
    return (unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") and character not in "\n\t") or (
        unicodedata.bidirectional(character) in TURNS or character in "\u200e\u200f\u061c"
    )


def test_every_unsafe_character_is_written_out_and_no_letter_is():
    for point in range(0x110000):
        character = chr(point)
        if unsafe(character):
            assert visible(character).isascii() and visible(character).startswith("\\")
        elif unicodedata.category(character)[0] in "LMNPSZ" or character in "\n\t\u200c\u200d\u200b":
            assert visible(character) == character, hex(point)
    assert visible("\x1b\x7f\x9b\u202e\ud800") == "\\x1b\\u007f\\u009b\\u202e\\ud800"


@given(st.text(st.characters(exclude_categories=[])))
def test_what_is_shown_is_safe_and_stays_as_it_is_when_it_is_shown_again(text):
    assert not any(map(unsafe, visible(text)))
    assert visible(visible(text)) == visible(text)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_json_that_is_shown_is_json_of_the_same_text(text):
    assert json.loads(visible(json.dumps({text: [text]}, ensure_ascii=False))) == {text: [text]}


# ------------------------------------------------------------------------------------------------------------ the
# commands
@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A catalog and its store in which everything that people can write is hostile."""
    place: Path = tmp_path_factory.mktemp("terminal")
    rows = [{"t": f"{text} {HOSTILE} {n}", "l": language} for n in range(3) for language, text in READABLE.items()]
    (place / "a\x1b[31m\u202e.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = json.dumps(HOSTILE)  # YAML reads JSON's escapes
    source = f'{{use: jsonl, path: "a\\e[31m\\u202e.jsonl", kind: document, language: "{{l}}", license: {said}, columns: {{text: "{{t}}"}}}}'  # noqa: E501
    catalog = (
        f"version: 1\nsources: {{one: {source}}}\ndatasets: {{first: {{from: one, description: {said}, "
        "steps: [shape: {max_controls: 99, max_chars: LIMIT}]}}\nrun: {workers: 1}\n"
    )
    for limit in (1000, 70):
        (place / "catalog.yaml").write_text(catalog.replace("LIMIT", str(limit)))
        on_terminal(place, "build")
    return place


def on_terminal(folder: Path, *arguments: str) -> str:
    """What a real terminal gets from a command."""
    leader, follower = open_terminal()
    with (
        ThreadPoolExecutor(1) as pool,
        os.fdopen(follower, "w", encoding="utf-8") as out,
        os.fdopen(os.dup(follower), "w", encoding="utf-8") as err,
    ):
        got = pool.submit(read, leader)
        run_on(folder, arguments, sys.stdin, out, err, TERM="xterm", COLUMNS="200")
        out.close()
        err.close()
        return got.result()


def open_terminal() -> tuple[int, int]:
    """Both sides of a terminal."""
    leader, follower = pty.openpty()
    attributes = termios.tcgetattr(follower)
    attributes[1] &= ~termios.OPOST  # the terminal adds no carriage returns of its own
    termios.tcsetattr(follower, termios.TCSANOW, attributes)
    return leader, follower


def read(leader: int) -> str:
    """All that a terminal gets until nobody has it open any more."""
    got = bytearray()
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:  # how Linux says that the other side is closed
            break
        if not piece:
            break
        got += piece
    os.close(leader)
    return got.decode("utf-8")


QUERY = "SELECT text FROM first ORDER BY text"
COMMANDS = {
    "table": ("query", QUERY),
    "csv": ("query", QUERY, "-f", "csv"),
    "json": ("query", QUERY, "-f", "json"),
    "jsonl": ("query", QUERY, "-f", "jsonl"),
    "names": ("query", f'SELECT 1 AS "{HOSTILE}"'.replace("\x00", "")),
    "nested": ("query", "SELECT [text] AS t, {'a': text} AS s FROM first"),
    "a value in an error": ("query", "SELECT text::INT FROM first"),
    "a statement in an error": ("query", f"SELECT {HOSTILE}"),
    "manifest": ("show", "first", "--json"),
    "show": ("show", "first"),
    "diff": ("diff", "first"),
    "diff --json": ("diff", "first", "--json"),
    "log": ("log", "first"),
    "card": ("card", "first"),
    "licenses": ("licenses", "first"),
    "plan": ("plan",),
    "an unknown name": ("show", HOSTILE),
    "an unknown option": ("show", f"--{HOSTILE}"),
    "--set": ("check", "--set", f"x.{HOSTILE}=1"),
    "a file": ("check", "-c", f"no{HOSTILE}.yaml"),
    "publish": ("publish", "first", "--to", "./out", "--dry-run"),
}
QUIET = ("show", "diff", "diff --json", "log", "plan", "card", "licenses", "publish")
"""They show nothing of the hostile text, or (the last three) escape it in a way of their own."""


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_passes_control_characters_to_a_terminal(folder, command):
    shown = on_terminal(folder, *COMMANDS[command])
    assert not [hex(ord(one)) for one in shown if unsafe(one)], shown
    assert "\\x1b]0;owned" in shown or "\\u001b]0;owned" in shown or command in QUIET, shown
    if command in ("table", "csv", "json", "jsonl"):
        assert all(text in shown for text in READABLE.values())
    if command == "json":
        assert all(HOSTILE in row["text"] for row in json.loads(shown))
    if command == "manifest":
        assert json.loads(shown)["description"] == HOSTILE


def test_the_prompt_is_guarded_too(folder):
    """In a process of its own, whose standard streams are the terminal: readline reads from no other."""
    leader, follower = open_terminal()
    process = subprocess.Popen(
        [sys.executable, "-m", "curate.cli", "query"],
        cwd=folder,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "200"},
        start_new_session=True,
    )
    os.close(follower)
    os.write(leader, b"SELECT text FROM first LIMIT 1;\nSELECT text::INT FROM first;\nexit\n")
    shown = read(leader)
    assert process.wait() == 0
    answers = re.sub(r"\x1b\[\?2004[hl]|\r", "", shown)  # what readline itself says to the terminal
    assert not [hex(ord(one)) for one in answers if unsafe(one)], shown
    assert answers.count("\\x1b]0;owned") >= 2


def test_progress_draws_its_own_bars_and_passes_nothing_of_others(folder):
    (folder / "broken.yaml").write_text(
        (folder / "catalog.yaml").read_text().replace("workers: 1", "workers: 1, store: elsewhere")
    )
    shown = on_terminal(folder, "build", "-c", "broken.yaml")
    assert "\x1b[" in shown, "bars are drawn"
    assert "\x1b]0;" not in shown and "\u202e" not in shown and "\x9b" not in shown and "\x1b[31mred" not in shown


@pytest.mark.parametrize("format_", ["csv", "json", "jsonl"])
def test_a_pipe_and_a_file_get_every_character(folder, format_, tmp_path):
    piped = run(folder, "query", QUERY, "-f", format_).stdout
    assert run(folder, "query", QUERY, "-f", format_, "-o", str(tmp_path / "x")).returncode == 0
    assert (tmp_path / "x").read_bytes().decode() == piped
    if format_ == "csv":
        texts = [row["text"] for row in csv.DictReader(io.StringIO(piped, newline=""))]
    else:
        texts = [
            row["text"] for row in (json.loads(piped) if format_ == "json" else map(json.loads, piped.split("\n")[:-1]))
        ]
    assert len(texts) == 21 and all(HOSTILE in text for text in texts)
    assert {text.split(" \x1b")[0] for text in texts} == set(READABLE.values())

"""Contamination by programs: an item renamed, rewritten or in another language is found, another task is not."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest

from curate.rows import Kind
from filters.contamination.code import description, information, is_program, program
from filters.contamination.step import Contamination

# Own tasks, in the form of HumanEval.
TASKS = [
    {
        "task_id": "own/1",
        "prompt": 'def ferry_loads(weights, limit):\n    """Crates of these weights wait for a ferry in this order. A '
        "load is as many of the next crates as stay below the limit together. Return the number of crates of each "
        'load.\n    >>> ferry_loads([4, 7, 3, 9, 2, 8], 12)\n    [2, 2, 2]\n    """\n',
        "canonical_solution": "    loads = []\n    left = 0\n    for weight in weights:\n        if loads and weight "
        "<= left:\n            loads[-1] += 1\n            left -= weight\n        else:\n            loads.append(1)\n"
        "            left = limit - weight\n    return loads\n",
    },
    {
        "task_id": "own/2",
        "prompt": 'def lantern_code(signal):\n    """Read a signal of long and short flashes and return its digits.\n'
        '    >>> lantern_code(\'-.. .-- ..-\')\n    [4, 3, 1]\n    """\n',
        "canonical_solution": "    return [sum(2 ** at for at, one in enumerate(reversed(part)) if one == '-') for "
        "part in signal.split()]\n",
    },
    {
        "task_id": "own/3",
        "prompt": 'def add(a, b):\n    """Add two numbers.\n    >>> add(1, 2)\n    3\n    """\n',
        "canonical_solution": "    return a + b\n",
    },
]
JAVASCRIPT = """const ferryLoads = (weights, limit) => {
  const loads = [];
  let left = 0;
  for (const weight of weights) {
    if (loads.length && weight <= left) {
      loads[loads.length - 1]++;
      left -= weight;
    } else {
      loads.push(1);
      left = limit - weight;
    }
  }
  return loads;
};"""
RENAMED = """def groups(boxes, most):
    made, room = [], 0
    for box in boxes:
        if made and box <= room:
            made[-1] += 1
            room -= box
        else:
            made.append(1)
            room = most - box
    return made"""


def chat(prompt: str, answer: str, language: str = "en") -> dict[str, Any]:
    turns = (("user", prompt), ("assistant", answer))
    return {"language": language, "messages": [{"role": role, "content": said} for role, said in turns]}


@pytest.fixture
def judged(tmp_path, make, work_context):
    """Scores and reasons of conversations against the tasks."""
    path = tmp_path / "tasks.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in TASKS))

    def judge(*rows: dict[str, Any], model: str | None = None, **parameters: Any) -> tuple[pl.DataFrame, list[Any]]:
        step = Contamination(against=["humaneval"], files={"humaneval": str(path)}, model=model, **parameters)
        context = work_context()
        some = make(Kind.SFT, rows)
        frame = step.score(some, context, step.fit([], context)).with_columns(language=some.language)
        reason = pl.lit(None, dtype=pl.String)
        for name, test in reversed(step.drop_rules(Kind.SFT).items()):
            reason = pl.when(test.fill_null(False)).then(pl.lit(name)).otherwise(reason)
        return frame, frame.select(reason=reason).to_series().to_list()

    return judge


@pytest.mark.parametrize("model", [None, "use-multilingual"])
def test_a_program_is_found_in_other_words_and_languages_and_told_with_its_place(judged, model):
    rows = (
        chat("Port this to JavaScript, please.", JAVASCRIPT),
        chat("Pack boxes in their order: groups([4, 7, 3, 9, 2, 8], 12) is [2, 2, 2].", RENAMED),
        chat("Packe Kisten der Reihe nach: groups([4, 7, 3, 9, 2, 8], 12) ergibt [2, 2, 2].", RENAMED, "de"),
        chat("फ्लैश पढ़ें: blink('-.. .-- ..-') = [4, 3, 1]", "def blink(s):\n    return decode(s)", "hi"),
        chat("Write a function that sorts [9, 1, 5].", "def sort_list(values):\n    return sorted(values)"),
        chat("Sortiere die Liste [4, 7, 3].", "def sortieren(liste):\n    return sorted(liste)", "de"),
        chat("Write a function that adds two numbers.", "def add(x, y):\n    return x + y"),
        chat("What is a ferry?", 'A ship (often small) that carries people, cars and "crates" over water.'),
    )
    frame, reasons = judged(*rows, model=model)
    assert reasons == ["code", "code", "code", "code", None, None, None, None]
    assert frame["item"].to_list()[:4] == ["own/1", "own/1", "own/1", "own/2"]
    assert frame["hit"][0] == "code" and frame["benchmark"][0] == "humaneval"
    field, start, end = json.loads(frame["spans"][0])[-1]
    assert field == "response" and JAVASCRIPT[start:end].startswith("const ferryLoads")
    assert frame["code"][7] == 0.0


def test_the_description_of_a_program_is_an_item_by_itself(judged):
    told = "Crates of these weights wait for a ferry in this order. A load is as many of the next crates as stay below "
    told += "the limit together. Return the number of crates of each load."
    _, reasons = judged(chat(f"// {told}\nfunction f(w, l) {{", "…"), chat("Add two numbers, and tell me why.", "…"))
    assert reasons == ["verbatim", None]


def test_meaning_alone_does_not_make_a_programming_task_an_item(judged):
    frame, reasons = judged(
        chat("Schreibe eine Funktion, die zwei Zahlen addiert.", "Gern.", "de"),
        chat("Add two numbers together.", "Sure."),
        model="use-multilingual",
    )
    assert reasons == [None, None] and frame["translation"].to_list() == [0.0, 0.0]


def test_the_threshold_is_a_decision(judged):
    rows = [chat("Port this to JavaScript, please.", JAVASCRIPT)]
    assert judged(*rows, code=None)[1] == [None]
    assert judged(*rows, code=1.0)[1] == [None]


def test_names_literals_and_shape_are_those_of_any_language():
    python, javascript = program(TASKS[0]["prompt"] + TASKS[0]["canonical_solution"]), program(JAVASCRIPT)
    assert python is not None and javascript is not None
    assert "ferry loads" in python.names and "ferry loads" in javascript.names
    assert ("4", "7", "3", "9", "2", "8") in python.literals
    common = set(python.shape) & set(javascript.shape)
    assert len(common) >= 0.5 * len(javascript.shape)
    go = program('x := Total([]string{"red", "green"}, -1, 2.50)')
    assert go is not None and {("'red", "'green"), ("-1", "2.5")} <= set(go.literals)


def test_counting_and_textbook_words_say_nothing():
    assert information(("1", "2", "3", "4", "5")) < 0.8 and information(("2", "3", "5", "7", "11")) == 0
    assert information(("'hello",)) == information(("'abcdefghijklmnopqrstuvwxyz",)) == 0.2
    assert information(("4", "7", "3", "9")) > 2.5 and information(("'o| .|",)) > 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (TASKS[1]["prompt"], "Read a signal of long and short flashes and return its digits."),
        ("// Add the numbers.\n// >>> f(1)\nfunc f(x int) int {", "Add the numbers."),
        ("/* Zähle die Möwen. */ const f = (x) => 1", "Zähle die Möwen."),
        ("Just a question?", ""),
    ],
)
def test_a_description_ends_before_the_examples(text, told):
    assert description(text) == told


def test_prose_is_no_program_and_no_text_is_too_long():
    assert not is_program("The function f(x) of x (see below) is even; let us say why.")
    assert not is_program("Find the maximum of f(x) = \\frac{1}{1+x^2} on the reals.")
    assert not is_program("已知函数 f(x) = \\frac{1}{x} 求最大值")
    assert not is_program("Define the set (say A) = {2, 4, 7, 9}.")
    assert program("Nothing to see here") is None and program("") is None
    for hostile in ("f(1 " * 20_000, '"\\' * 20_000, "[" * 50_000, "a_" * 50_000, "/*" * 20_000, '"""x' * 10_000):
        program(hostile)
        description(hostile)

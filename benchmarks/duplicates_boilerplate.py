"""How many different rows ``duplicates`` merges because they share a prompt, and how many copies it finds among them.

    python benchmarks/duplicates_boilerplate.py --data FOLDER --half held [--examples 10]

Instructions of Alpaca stand in prompts of several lengths, in front, behind and around, in three languages; a tenth are
copies, edited or with a heading. ``tune`` and ``held`` have other instructions and other prompts.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path

from contamination_alarms import alpaca, part
from duplicates_plants import Plant, clusters_of, edited, prefixed
from workbench import DATA, World, markdown, shown

# Our own words: (before, after) of each half and language.
PROMPTS = {
    ("tune", "en"): [
        ("Below is an instruction that describes a task. Write a response that completes the request well.\n\n", ""),
        (
            "You are a patient assistant who answers politely, admits what it does not know, never invents sources,"
            " keeps answers short where that is enough, and asks back if a request is unclear. Read the user's"
            " request with care, think about what is meant by it, and then answer in complete sentences.\nRequest: ",
            "\nAnswer:",
        ),
        ("", "\n\nThink step by step, check your result twice, and give the final answer in a sentence of its own."),
    ],
    ("tune", "de"): [
        ("Du bist ein hilfsbereiter Assistent. Beantworte die folgende Bitte des Nutzers ausführlich: ", ""),
        ("Unten steht eine Anweisung, die eine Aufgabe beschreibt. Schreibe eine Antwort, die sie erfüllt.\n\n",
         "\nAntwort:"),
    ],
    ("tune", "zh"): [
        ("你是一位耐心的助手，请认真阅读用户的要求，思考之后用完整的句子作答。要求：", ""),
        ("以下是一条描述任务的指令，请写出恰当完成该请求的回答。\n", "\n回答："),
    ],
    ("held", "en"): [
        ("A curious person talks with a careful machine that explains things well and says when it is unsure. The"
         " person writes: ", "\nThe machine replies:"),
        ("Task for the writer. Keep to the point, use plain words, do not repeat the task, and stop when everything has"
         " been said. If a list is better than a paragraph, write a list; if numbers are asked for, say how you got"
         " them; if something cannot be known, say so and say why it cannot. The task is this: ", ""),
        ("", "\n\nPlease answer in no more than five sentences, without any introduction, and in a friendly tone."),
    ],
    ("held", "de"): [
        ("Ein Mensch stellt einer sorgfältigen Maschine eine Frage, und sie antwortet knapp und höflich. Die Frage: ",
         ""),
        ("", "\n\nBitte antworte in höchstens fünf Sätzen, ohne Einleitung und in einem freundlichen Ton."),
    ],
    ("held", "zh"): [
        ("一个好奇的人正在和一台细心的机器交谈，机器会把事情解释清楚，并说明自己不确定的地方。这个人写道：", ""),
        ("", "\n请用不超过五句话回答，不要写开场白，语气要友好，内容要准确。"),
    ],
}  # fmt: skip


def rows_of(told: dict[str, dict[int, str]], half: str, rng: random.Random, most: int) -> list[Plant]:
    """Instructions in each prompt of a half, and copies of a tenth of them."""
    rows: list[Plant] = []
    for (name, language), prompts in PROMPTS.items():
        if name != half:
            continue
        for before, after in prompts:
            mine = [n for n in told[language] if part(str(n)) == ("tune", "held").index(half)]
            for n in rng.sample(mine, most):
                family = len(rows)
                text = told[language][n]
                rows.append(Plant(f"{before}{text}{after}", language, family, ""))
                if rng.random() < 0.1:
                    kind = rng.choice(["edited", "heading"])
                    changed = edited(0.05)(text, rng) if kind == "edited" else prefixed(text, rng)
                    rows.append(Plant(f"{before}{changed}{after}", language, family, kind))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--half", choices=["tune", "held"], default="held")
    parser.add_argument("--most", type=int, default=300, help="rows of each prompt")
    parser.add_argument("--examples", type=int, default=0)
    arguments = parser.parse_args()
    rows = rows_of(alpaca(arguments.data), arguments.half, random.Random(arguments.half), arguments.most)
    with tempfile.TemporaryDirectory() as scratch:
        stays, _, seconds = clusters_of(rows, World(Path(scratch), 2), method="minhash")
    lines = []
    for language in ("en", "de", "zh"):
        mine = [at for at, one in enumerate(rows) if one.language == language]
        wrong = [at for at in mine if stays[at] != at and rows[stays[at]].family != rows[at].family]
        copies = [at for at in mine if rows[at].change]
        # Two rows may ask the same by themselves.
        wrong = [at for at in wrong if rows[stays[at]].text.casefold() != rows[at].text.casefold()]
        found = [at for at in copies if stays[at] != at and rows[stays[at]].family == rows[at].family]
        lines.append([language, str(len(mine)), f"{len(wrong)} of {len(mine)}", shown(len(found) / len(copies))])
        for at in wrong[: arguments.examples]:
            print(f"<!-- {rows[at].text[-160:]!r} / {rows[stays[at]].text[-160:]!r} -->")
    print(f"\n### {arguments.half}: {seconds:.1f} s\n")
    print(markdown(["language", "rows", "different rows merged", "copies found"], lines))


if __name__ == "__main__":
    main()

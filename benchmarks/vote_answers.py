"""Whether final answers are found: gold answers of MGSM put into sentences in eleven languages, in several ways, behind
the question.

    python benchmarks/vote_answers.py --data FOLDER

FOLDER holds ``bench/mgsm/mgsm_*.tsv`` (question TAB answer). Prints Markdown: of 250 answers a language and way, how
many are read as the gold value; beside it what the usual pattern finds (the last run of ASCII digits with points and
commas, commas taken out). Then microseconds an answer.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from curate.preferences.self_consistency.extract import Reader
from curate.preferences.self_consistency.numbers import written

# (announced at the end of reasoning, announced with more numbers after it, not announced)
SENTENCES: dict[str, tuple[str, str, str]] = {
    "bn": ("সুতরাং উত্তর হল {n}।", "**উত্তর:** {n}\n\n(আমি ২ বার যাচাই করেছি।)", "তাই মোট {n} হয়।"),
    "de": ("Die Antwort lautet {n}.", "**Antwort:** {n}\n\n(Ich habe 2 Mal nachgerechnet.)",
    "Das macht zusammen {n} Stück."),
    "en": ("So the answer is {n}.", "**Answer:** {n}\n\n(I checked it 2 times.)", "That makes {n} in all."),
    "es": ("La respuesta es {n}.", "**Respuesta:** {n}\n\n(Lo he comprobado 2 veces.)", "En total son {n} unidades."),
    "fr": ("La réponse est {n}.", "**Réponse :** {n}\n\n(J'ai vérifié 2 fois.)", "Cela fait {n} en tout."),
    "ja": ("したがって、答えは{n}です。", "**答え：**{n}\n\n（2回確かめました。）", "合計で{n}になります。"),
    "ru": ("Ответ: {n}.", "**Ответ:** {n}\n\n(Я проверил 2 раза.)", "Всего получается {n} штук."),
    "sw": ("Kwa hiyo jibu ni {n}.", "**Jibu:** {n}\n\n(Nimehakiki mara 2.)", "Jumla inakuwa {n}."),
    "te": ("కాబట్టి సమాధానం {n}.", "**సమాధానం:** {n}\n\n(నేను 2 సార్లు సరిచూశాను.)", "మొత్తం {n} అవుతుంది."),
    "th": ("ดังนั้นคำตอบคือ {n}", "**คำตอบ:** {n}\n\n(ตรวจแล้ว 2 ครั้ง)", "รวมทั้งหมด {n} หน่วย"),
    "zh": ("所以答案是{n}。", "**答案：**{n}\n\n（我检查了2遍。）", "一共是{n}个。"),
}  # fmt: skip
GROUPS = {"de": ".", "es": "\u00a0", "fr": "\u202f", "ru": "\u00a0"}
DIGITS = {"bn": "০১২৩৪৫৬৭৮৯", "te": "౦౧౨౩౪౫౬౭౮౯", "th": "๐๑๒๓๔๕๖๗๘๙", "ja": "０１２３４５６７８９"}
HAN = "〇一二三四五六七八九"


def grouped(value: int, language: str) -> str:
    """With the language's signs, in its own digits where it has some."""
    if language == "bn":
        head, tail = divmod(value, 1000)
        text = f"{tail}" if not head else f"{_pairs(head)},{tail:03d}"
    else:
        text = f"{value:,}".replace(",", GROUPS.get(language, ","))
    return text.translate({48 + place: digit for place, digit in enumerate(DIGITS.get(language, "0123456789"))})


def _pairs(head: int) -> str:
    parts = []
    while head >= 100:
        head, rest = divmod(head, 100)
        parts.append(f"{rest:02d}")
    return ",".join([str(head), *reversed(parts)])


def han(value: int) -> str:
    """In Han numerals, zeros between units as 零."""
    if value == 0:
        return "零"
    text, zero = "", False
    for size, unit in ((10**8, "亿"), (10**4, "万"), (1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit, value = divmod(value, size)
        if digit:
            text += ("零" if zero else "") + (han(digit) if digit > 9 else HAN[digit]) + unit
            zero = False
        elif text and value:
            zero = True
    return text


def usual(text: str) -> str:
    """What most evaluation code does."""
    found = re.findall(r"-?[0-9][0-9.,]*", text)
    return found[-1].rstrip(".,").replace(",", "") if found else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    folder = parser.parse_args().data / "bench" / "mgsm"
    reader = Reader("number")
    ways: dict[str, tuple[int, Callable[[int, str], str]]] = {
        "announced": (0, lambda value, language: str(value)),
        "announced, grouped, own digits": (0, grouped),
        "with more after it": (1, grouped),
        "not announced": (2, grouped),
    }
    print("| language | " + " | ".join(f"{name} (usual pattern)" for name in ways) + " |")
    print("|---|" + "---|" * len(ways))
    texts: list[tuple[str, str]] = []
    for path in sorted(folder.glob("mgsm_*.tsv")):
        language = path.stem.partition("_")[2]
        items = [line.rsplit("\t", 1) for line in path.read_text("utf-8").splitlines() if line.strip()]
        cells = []
        for place, form in ways.values():
            right = common = 0
            for question, gold in items:
                value = int(gold.replace(",", ""))
                text = f"{question}\n\n{SENTENCES[language][place].format(n=form(value, language))}"
                texts.append((text, language))
                found = reader.find(text, language)
                right += found is not None and found.answer == written(Fraction(value))
                common += usual(text) == str(value)
            cells.append(f"{right / len(items):.1%} ({common / len(items):.0%})")
        print(f"| {language} | " + " | ".join(cells) + " |")
    path = folder / "mgsm_zh.tsv"
    values = [
        int(line.rsplit("\t", 1)[1].replace(",", "")) for line in path.read_text("utf-8").splitlines() if line.strip()
    ]
    right = sum(
        (found := reader.find(f"所以答案是{han(value)}。", "zh")) is not None and found.answer == str(value)
        for value in values
    )
    print(f"\nzh in Han numerals, announced: {right / len(values):.1%}")
    start = time.process_time()
    for text, language in texts:
        reader.find(text, language)
    print(
        f"\n{(time.process_time() - start) / len(texts) * 1e6:.0f} µs an answer of"
        f" {sum(len(text) for text, _ in texts) / len(texts):.0f} characters"
    )


if __name__ == "__main__":
    main()
